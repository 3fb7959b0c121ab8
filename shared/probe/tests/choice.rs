//! What is chosen for scenes of which it is known what is right.
#![allow(clippy::unwrap_used)]

use trackdrop_pipeline::{DetectEvery, RequestSettings, looks::MostLoss, stride::StrideReason};
use trackdrop_probe::{Asked, STRIDES, Stretch, choose};
use trackdrop_refine::Detection;

const FRAMES: u32 = 120;

/// Four people who walk at this many px a frame, one below the other, so that nobody is covered; boxes tremble by half a pixel. Every second
/// one turns round halfway.
fn walkers(px_per_frame: f64, seed: u64) -> Stretch {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut detections = Vec::new();
    for frame in 0..FRAMES {
        for person in 0..4 {
            let time = f64::from(if person % 2 == 1 && frame > FRAMES / 2 { FRAMES - frame } else { frame });
            let x = 100.0 + px_per_frame * time + random.f64() - 0.5;
            let y = 100.0 + 200.0 * f64::from(person) + random.f64() - 0.5;
            detections.push(Detection { frame, bbox: [x, y, x + 40.0, y + 120.0], score: 0.9, class: 0 });
        }
    }
    Stretch { frame_count: FRAMES, detections }
}

fn asked() -> Asked {
    Asked::of(&RequestSettings::default(), None, 30.0, [1920.0, 1080.0]).unwrap()
}

fn most(text: &str) -> MostLoss {
    match text.parse().unwrap() {
        DetectEvery::Auto(most) => most,
        DetectEvery::Frames(_) => unreachable!("auto was given"),
    }
}

#[test]
fn people_who_hardly_move_need_few_looks() {
    let choice = choose(&[walkers(0.2, 1), walkers(0.2, 2)], &asked(), MostLoss::USUAL).unwrap();
    assert_eq!((choice.detect_every.get(), choice.reason), (10, StrideReason::LongestTried), "{choice:?}");
    assert_eq!(choice.trials.iter().map(|trial| trial.detect_every.get()).collect::<Vec<_>>(), STRIDES);
    assert!(choice.trials.iter().all(|trial| trial.loss_percent == 0.0), "{choice:?}");
    assert_eq!(choice.frames_looked_at, 240);
}

#[test]
fn the_faster_they_are_the_more_looks_they_need_and_a_looser_bound_needs_fewer() {
    let of = |speed: f64, bound: &str| choose(&[walkers(speed, 1), walkers(speed, 2)], &asked(), most(bound)).unwrap();
    let strides: Vec<u32> = [0.2, 4.0, 12.0, 36.0].map(|speed| of(speed, "auto").detect_every.get()).to_vec();
    assert!(strides.is_sorted_by(|slower, faster| slower >= faster), "{strides:?}");
    assert_eq!((strides[0], strides[3]), (10, 1), "{strides:?}");
    let (strict, loose) = (of(12.0, "auto:0.5"), of(12.0, "auto:50"));
    assert!(strict.detect_every < loose.detect_every, "{strict:?} {loose:?}");
    assert_eq!(strict.trials, loose.trials, "what is lost does not depend on what may be");
    for choice in [strict, loose] {
        let most = choice.most_loss_percent;
        let chosen = choice.trials.iter().filter(|trial| trial.detect_every <= choice.detect_every);
        assert!(chosen.into_iter().all(|trial| trial.is_within(most)), "{choice:?}");
    }
}

#[test]
fn stretches_that_differ_are_trusted_less() {
    let alike = choose(&[walkers(0.2, 1), walkers(0.2, 2)], &asked(), most("auto:5")).unwrap();
    let unlike = choose(&[walkers(0.2, 1), walkers(36.0, 2)], &asked(), most("auto:5")).unwrap();
    assert_eq!(unlike.reason, StrideReason::AllLoseMore, "{unlike:?}");
    assert!(unlike.trials.iter().zip(&alike.trials).all(|(unlike, alike)| unlike.error_percent > alike.error_percent));
}

#[test]
fn what_shows_nothing_is_looked_at_in_every_frame() {
    let empty = Stretch { frame_count: FRAMES, detections: Vec::new() };
    for (stretches, reason) in [
        (vec![], StrideReason::TooShort),
        (vec![empty.clone(), empty.clone()], StrideReason::NothingSeen),
        (vec![empty, walkers(0.2, 1)], StrideReason::NothingSeen),
    ] {
        let choice = choose(&stretches, &asked(), MostLoss::USUAL).unwrap();
        assert_eq!((choice.detect_every.get(), choice.reason), (1, reason));
        assert!(choice.trials.is_empty());
    }
}

#[test]
fn classes_that_are_tracked_by_themselves_are_compared_by_themselves() {
    let mut stretch = walkers(0.2, 1);
    stretch.detections.iter_mut().for_each(|seen| seen.class = (seen.frame % 2) as i32);
    let of = |per_class| choose(&[stretch.clone(), stretch.clone()], &Asked { per_class, ..asked() }, MostLoss::USUAL);
    assert_eq!(of(false).unwrap().detect_every.get(), 10);
    // Each object's class is another in every frame, so that every second look always sees one of two.
    assert_eq!(of(true).unwrap().detect_every.get(), 1);
}
