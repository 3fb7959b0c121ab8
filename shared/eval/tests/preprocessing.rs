//! Which rules suit which ground truth.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use trackdrop_eval::{Options, Preprocessing, Row, Sequence, evaluate};

fn with_classes(classes: &[Option<u16>]) -> Sequence {
    let rows = classes.iter().zip(1..).map(|(&class, id)| {
        let x = 100.0 * id as f64;
        Row { class, ..Row::new(1, id, [x, 0.0, 40.0, 90.0]) }
    });
    Sequence::from_rows(rows.collect()).unwrap()
}

#[test]
fn classes_of_motchallenge_suggest_its_rules() {
    assert_eq!(Preprocessing::suggested_for(&with_classes(&[Some(1), Some(7)])), Preprocessing::Mot17);
    for plain in [&[Some(1), Some(1)][..], &[Some(1), None], &[Some(1), Some(40)], &[]] {
        assert_eq!(Preprocessing::suggested_for(&with_classes(plain)), Preprocessing::Plain);
    }
}

#[test]
fn the_same_tracks_fare_by_the_rules() {
    // A pedestrian, a static person, a car, something on wheels.
    let truth = with_classes(&[Some(1), Some(7), Some(3), Some(6)]);
    let errors = |preprocessing| {
        let evaluation = evaluate(&truth, &truth, &Options { preprocessing, ..Options::default() });
        (evaluation.objects, evaluation.clear.false_positives)
    };
    assert_eq!(errors(Preprocessing::Plain), (4, 0));
    assert_eq!(errors(Preprocessing::Mot17), (1, 2));
    assert_eq!(errors(Preprocessing::Mot20), (1, 1));
}
