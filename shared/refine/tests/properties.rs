//! What holds for any tracks and detections.

use proptest::prelude::*;
use std::collections::HashSet;
use trackdrop_refine::{Backfill, Detection, Gaps, Link, Refine, Row, Smooth, Smoothing, Video};

const VIDEO: Video = Video { frame_rate: 10.0, frame_count: 40, size_px: None };

prop_compose! {
    /// Tracks that come and go, wander and cross.
    fn any_tracks()(cells in prop::collection::btree_map((0_u32..40, 1_u64..9), (-20.0..20.0, -20.0..20.0, 1.0..90.0, 0_i32..2), 0..160))
        -> Vec<Row> {
        let row = |((frame, id), (dx, dy, h, class)): ((u32, u64), (f64, f64, f64, i32))| {
            let (x, y) = (60.0 * id as f64 + 3.0 * f64::from(frame) + dx, 100.0 + dy);
            let measured = [x - dx / 4.0, y, x + 40.0, y + h];
            Row { measured, class, ..Row::new(frame, id, [x, y, x + 40.0, y + h]) }
        };
        cells.into_iter().map(row).collect()
    }
}

prop_compose! {
    fn any_detections()(cells in prop::collection::vec((0_u32..40, 0.0..600.0, 80.0..120.0, 30.0..90.0, 0.0..1.0, 0_i32..2), 0..200))
        -> Vec<Detection> {
        let mut detections: Vec<Detection> = cells
            .into_iter()
            .map(|(frame, x, y, h, score, class)| Detection { frame, bbox: [x, y, x + 40.0, y + h], score, class })
            .collect();
        detections.sort_by_key(|detection| detection.frame);
        detections
    }
}

prop_compose! {
    fn any_refinements()(
        link in prop::option::of(0.2..4.0),
        per_class in any::<bool>(),
        recover in any::<bool>(),
        backfill in any::<bool>(),
        fill_gaps in prop::option::of(0_u32..20),
        smooth in prop::option::of(prop_oneof![Just(None), (0.1..5.0).prop_map(Some)]),
    ) -> Refine {
        Refine {
            link: link.map(|max_gap_s| Link { max_gap_s, per_class }),
            recover,
            per_class,
            backfill: backfill.then(Backfill::default),
            fill_gaps: fill_gaps.map(|max_missing_frames| Gaps { max_missing_frames, min_rows: 2 }),
            smooth: smooth.map(|sigma| match sigma.map(Smoothing::new) {
                Some(Ok(smoothing)) => Smooth::Gaussian(smoothing),
                _ => Smooth::Rts,
            }),
        }
    }
}

/// Comparable without regard to the order within a frame.
fn by_frame_and_id(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| (row.frame, row.id));
    rows
}

proptest! {
    #[test]
    fn no_id_is_twice_in_a_frame_no_row_is_lost_and_every_row_added_says_so(
        tracks in any_tracks(), detections in any_detections(), refine in any_refinements()
    ) {
        let refined = refine.apply(tracks.clone(), &detections, &VIDEO).rows;
        let mut seen = HashSet::new();
        prop_assert!(refined.iter().all(|row| seen.insert((row.frame, row.id))), "an id is twice in a frame");
        prop_assert!(refined.is_sorted_by_key(|row| row.frame));
        prop_assert!(refined.iter().all(|row| row.frame < VIDEO.frame_count));
        prop_assert!(refined.iter().all(|row| row.bbox.iter().all(|edge| edge.is_finite())));
        let observed: Vec<Row> = refined.iter().filter(|row| row.is_observed()).copied().collect();
        prop_assert_eq!(observed.len(), tracks.len());
        for (is, was) in observed.iter().zip(&tracks) {
            prop_assert_eq!((is.frame, is.score, is.class), (was.frame, was.score, was.class));
            prop_assert!(refine.smooth.is_some() || is.bbox == was.bbox, "a box moved");
            prop_assert!(refine.link.is_some() || is.id == was.id, "an id changed");
        }
    }

    #[test]
    fn the_order_of_rows_within_a_frame_has_no_effect(
        tracks in any_tracks(), detections in any_detections(), refine in any_refinements()
    ) {
        let straight = by_frame_and_id(refine.apply(tracks.clone(), &detections, &VIDEO).rows);
        let (mut turned, mut detections) = (tracks, detections);
        turned.reverse();
        turned.sort_by_key(|row| row.frame);
        detections.reverse();
        detections.sort_by_key(|detection| detection.frame);
        prop_assert_eq!(by_frame_and_id(refine.apply(turned, &detections, &VIDEO).rows), straight);
    }

    #[test]
    fn links_name_rows_that_are_there(tracks in any_tracks()) {
        let refine = Refine { link: Some(Link::default()), ..Refine::default() };
        let refined = refine.apply(tracks, &[], &VIDEO);
        for link in &refined.links {
            let has = |frame| refined.rows.iter().any(|row| (row.frame, row.id) == (frame, link.id));
            prop_assert!(has(link.last_frame) && has(link.first_frame) && link.last_frame < link.first_frame);
            prop_assert!(!(link.last_frame + 1..link.first_frame).any(has));
        }
    }
}
