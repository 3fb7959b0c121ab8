//! One tracker's output against another's.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use trackdrop_eval::{CompareOptions, Comparison, Row, Sequence, compare};

fn walk(id: u64, x: f64, frames: std::ops::Range<u32>) -> Vec<Row> {
    frames.map(|frame| Row::new(frame, id, [x + f64::from(frame), 0.0, 40.0, 100.0])).collect()
}

fn between(a: &[Vec<Row>], b: &[Vec<Row>]) -> Comparison {
    let sequence = |rows: &[Vec<Row>]| Sequence::from_rows(rows.concat()).unwrap();
    compare(&sequence(a), &sequence(b), &CompareOptions::default())
}

#[test]
fn the_same_output_has_no_difference() {
    let comparison =
        between(&[walk(1, 0.0, 1..11), walk(2, 99.0, 1..11)], &[walk(2, 99.0, 1..11), walk(1, 0.0, 1..11)]);
    assert_eq!((comparison.idf1, comparison.switches, comparison.first_difference.as_ref()), (100.0, 0, None));
    assert_eq!(
        comparison.to_string(),
        "IDF1 100.000 %, 0 identity switches; 20 rows in A, 20 in B\nevery id and box is the same\n"
    );
}

#[test]
fn other_numbers_for_the_same_identities_differ_but_count_as_right() {
    let comparison = between(&[walk(1, 0.0, 1..11)], &[walk(5, 0.0, 1..11)]);
    assert_eq!((comparison.idf1, comparison.switches), (100.0, 0));
    let difference = comparison.first_difference.unwrap();
    assert_eq!((difference.frame, difference.only_in_a, difference.only_in_b), (1, vec![1], vec![5]));
}

#[test]
fn a_switch_half_way_halves_the_identity() {
    let comparison = between(&[walk(1, 0.0, 1..11)], &[walk(1, 0.0, 1..6), walk(2, 0.0, 6..11)]);
    assert_eq!((comparison.idf1, comparison.switches), (50.0, 1));
    assert_eq!(comparison.first_difference.unwrap().frame, 6);
}

#[test]
fn a_box_that_moved_is_shown_in_both_places() {
    let mut moved = walk(1, 0.0, 1..4);
    moved[1].x += 0.5;
    let comparison = between(&[walk(1, 0.0, 1..4)], &[moved]);
    assert_eq!(
        comparison.first_difference.unwrap().to_string(),
        "frame 2; id 1 at [2.0, 0.0, 40.0, 100.0] in A and [2.5, 0.0, 40.0, 100.0] in B"
    );
}

#[test]
fn what_text_rounds_away_is_no_difference() {
    let mut rounded = walk(1, 0.0, 1..4);
    rounded[1].x += 9e-7;
    assert_eq!(between(&[walk(1, 0.0, 1..4)], &[rounded]).first_difference, None);
}

#[test]
fn a_frame_that_only_one_has_is_a_difference() {
    let difference = between(&[walk(1, 0.0, 1..4)], &[walk(1, 0.0, 1..3)]).first_difference.unwrap();
    assert_eq!(difference.to_string(), "frame 3; only in A: id 1");
}

#[test]
fn two_empty_outputs_agree() {
    assert_eq!(between(&[], &[]).idf1, 100.0);
}
