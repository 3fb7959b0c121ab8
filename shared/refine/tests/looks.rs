//! Tracks of a video in which only some frames were looked at.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use std::{collections::BTreeMap, num::NonZeroU32};
use trackdrop_refine::{Detection, Gaps, Link, Looks, Origin, Refine, Row, Smooth, Video};

fn every(frames: u32) -> NonZeroU32 {
    NonZeroU32::new(frames).unwrap()
}

fn video(frame_count: u32) -> Video {
    Video { frame_rate: 30.0, frame_count, size_px: Some([1000.0, 500.0]) }
}

fn at(frame: u32, id: u64, x: f64) -> Row {
    Row::new(frame, id, [x, 10.0, x + 40.0, 110.0])
}

#[test]
fn each_frame_between_two_looks_has_its_row_on_the_straight_line() {
    // Looks at 0, 4, 8 and 10, the last frame; object 2 is not seen in 4.
    let rows = vec![at(0, 1, 0.0), at(0, 2, 500.0), at(4, 1, 40.0), at(8, 1, 40.0), at(8, 2, 500.0), at(10, 1, 50.0)];
    let refined = Refine::default().apply_to_looks(rows, &[], &video(11), every(4)).rows;
    let of =
        |id: u64| refined.iter().filter(|row| row.id == id).map(|row| (row.frame, row.bbox[0])).collect::<Vec<_>>();
    let expected = [0.0, 10.0, 20.0, 30.0, 40.0, 40.0, 40.0, 40.0, 40.0, 45.0, 50.0];
    assert_eq!(of(1), (0..).zip(expected).collect::<Vec<_>>());
    assert_eq!(of(2), [(0, 500.0), (8, 500.0)], "a look without it is a gap as any other");
    assert!(refined.iter().all(|row| (row.origin == Origin::Tracked) == Looks::new(every(4), 11).at(row.frame)));
    assert!(refined.is_sorted_by_key(|row| row.frame));
    let filled = Refine { fill_gaps: Some(Gaps { max_missing_frames: 7, min_rows: 2 }), ..Refine::default() };
    let rows = vec![at(0, 2, 500.0), at(8, 2, 500.0)];
    assert_eq!(filled.apply_to_looks(rows, &[], &video(11), every(4)).rows.len(), 9, "gaps are counted in frames");
}

#[test]
fn links_are_told_by_frames_and_decided_in_seconds() {
    // Object 1 walks out of sight for three looks and comes back as 2.
    let walk = |frame: u32| 2.0 * f64::from(frame);
    let looks = |from: u32, to: u32, id: u64| (from..to).map(move |look| at(3 * look, id, walk(3 * look)));
    let rows: Vec<Row> = looks(0, 20, 1).chain(looks(23, 40, 2)).collect();
    let refine = Refine { link: Some(Link::default()), ..Refine::default() };
    let refined = refine.apply_to_looks(rows, &[], &video(118), every(3));
    assert!(refined.rows.iter().all(|row| row.id == 1));
    let [link] = refined.links.as_slice() else { panic!("{:?}", refined.links) };
    assert_eq!((link.last_frame, link.first_frame), (57, 69));
}

prop_compose! {
    fn scenes()(
        objects in prop::collection::vec((0.0..400.0_f64, -8.0..8.0_f64, prop::collection::vec(0.0..1.0_f64, 60)), 1..5),
        frames in 1u32..60, stride in 1u32..8
    ) -> (Vec<Row>, Vec<Detection>, u32, u32) {
        let looks = Looks::new(every(stride), frames);
        let (mut rows, mut detections) = (Vec::new(), Vec::new());
        for frame in (0..frames).filter(|&frame| looks.at(frame)) {
            for (id, (x, speed, luck)) in (1..).zip(&objects) {
                let row = at(frame, id, x + speed * f64::from(frame));
                match luck[frame as usize] {
                    ..0.7 => rows.push(row),
                    ..0.9 => detections.push(Detection { frame, bbox: row.bbox, score: 0.8, class: 0 }),
                    _ => {}
                }
            }
        }
        (rows, detections, frames, stride)
    }
}

proptest! {
    #[test]
    fn whatever_is_refined_no_row_is_lost_and_none_is_doubled(
        (rows, detections, frames, stride) in scenes(), link: bool, recover: bool, rts: bool
    ) {
        let refine = Refine {
            link: link.then(Link::default),
            recover,
            smooth: rts.then_some(Smooth::Rts),
            ..Refine::default()
        };
        let refined = refine.apply_to_looks(rows.clone(), &detections, &video(frames), every(stride));
        let mut seen = BTreeMap::new();
        for row in &refined.rows {
            prop_assert!(row.frame < frames && row.bbox.iter().all(|edge| edge.is_finite()));
            prop_assert!(seen.insert((row.frame, row.id), row).is_none(), "{row:?} is there twice");
        }
        prop_assert!(refined.rows.is_sorted_by_key(|row| row.frame));
        prop_assert_eq!(refined.rows.iter().filter(|row| row.is_observed()).count(), rows.len());
        let looks = Looks::new(every(stride), frames);
        let of_looks: Vec<_> = refined.rows.iter().filter(|row| looks.at(row.frame) && row.origin != Origin::Filled).collect();
        for pair in of_looks.iter().flat_map(|a| of_looks.iter().map(move |b| (a, b))) {
            let (a, b) = pair;
            if a.id == b.id && a.frame < b.frame && (a.frame + 1..b.frame).all(|frame| !looks.at(frame)) {
                prop_assert!((a.frame..b.frame).all(|frame| seen.contains_key(&(frame, a.id))));
            }
        }
        if stride == 1 {
            prop_assert_eq!(refined, refine.apply(rows, &detections, &video(frames)));
        }
    }
}
