//! Offline refinements: what they add and change, and what they leave alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use trackdrop_refine::{Backfill, Detection, Gaps, Origin, Row, Smoothing, backfill_first_boxes, fill_gaps, smooth};

fn sequence(rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.into_iter().collect();
    rows.sort_by_key(|row| row.frame);
    rows
}

fn boxed(frame: u32, id: u64, [x, y, w, h]: [f64; 4]) -> Row {
    Row::new(frame, id, [x, y, x + w, y + h])
}

fn frame(rows: &[Row], frame: u32) -> Vec<&Row> {
    rows.iter().filter(|row| row.frame == frame).collect()
}

fn tlwh(row: &Row) -> [f64; 4] {
    let [x1, y1, x2, y2] = row.bbox;
    [x1, y1, x2 - x1, y2 - y1]
}

fn seen_in(id: u64, frames: &[u32]) -> Vec<Row> {
    sequence(frames.iter().map(|&frame| boxed(frame, id, [f64::from(frame) * 2.0, 5.0, 40.0, 90.0])))
}

fn frames_of(tracks: &[Row]) -> Vec<u32> {
    tracks.iter().map(|row| row.frame).collect()
}

#[test]
fn a_gap_is_filled_by_a_straight_line() {
    let class = 1;
    let start = Row { score: 0.9, class, ..boxed(10, 7, [100.0, 50.0, 40.0, 80.0]) };
    let end = Row { score: 0.8, class, ..boxed(14, 7, [120.0, 42.0, 44.0, 90.0]) };
    let filled = fill_gaps(&sequence([start, end]), &Gaps { max_missing_frames: 3, min_rows: 2 });
    let made_up = |frame, tlwh| Row { score: -1.0, class, origin: Origin::Filled, ..boxed(frame, 7, tlwh) };
    let expected = [
        start,
        made_up(11, [105.0, 48.0, 41.0, 82.5]),
        made_up(12, [110.0, 46.0, 42.0, 85.0]),
        made_up(13, [115.0, 44.0, 43.0, 87.5]),
        end,
    ];
    assert_eq!(filled, expected);
}

#[test]
fn the_default_fills_what_the_reference_fills() {
    let eighteen_missing = seen_in(1, &[1, 2, 3, 4, 5, 24]);
    assert_eq!(frames_of(&fill_gaps(&eighteen_missing, &Gaps::default())), (1..=24).collect::<Vec<_>>());
    let nineteen_missing = seen_in(1, &[1, 2, 3, 4, 5, 25]);
    assert_eq!(fill_gaps(&nineteen_missing, &Gaps::default()), nineteen_missing);
    let five_rows = seen_in(1, &[1, 2, 3, 4, 6]);
    assert_eq!(fill_gaps(&five_rows, &Gaps::default()), five_rows);
}

#[test]
fn gaps_are_those_of_one_id() {
    let both = sequence([seen_in(1, &[1, 2]), seen_in(2, &[4, 5])].concat());
    assert_eq!(fill_gaps(&both, &Gaps { max_missing_frames: 9, min_rows: 1 }), both);
}

#[test]
fn rows_made_up_come_after_those_of_their_frame() {
    let both = sequence([seen_in(1, &[1, 3]), seen_in(2, &[2])].concat());
    let filled = fill_gaps(&both, &Gaps { max_missing_frames: 1, min_rows: 1 });
    assert_eq!(
        frame(&filled, 2).iter().map(|row| (row.id, row.is_observed())).collect::<Vec<_>>(),
        [(2, true), (1, false)]
    );
}

#[test]
fn smoothing_fits_a_weighted_line_around_every_row() {
    let frames = [1, 2, 3, 4, 5, 9, 10];
    let x = [10.0, 13.0, 15.0, 20.0, 21.0, 40.0, 47.0];
    let h = [50.0, 52.0, 49.0, 51.0, 50.0, 48.0, 50.0];
    // numpy 2.4.6: polyfit of degree 1 with weights exp(-(t / 1.5)² / 2), rows up to 6 frames away, at t = 0.
    let smooth_x = [
        9.977474505666839,
        12.85083100127692,
        15.822327043456836,
        18.809780912179463,
        21.99145093508346,
        40.64851719155145,
        46.86371175720364,
    ];
    let smooth_h = [
        50.56242320442602,
        50.57098703853315,
        50.40942107519404,
        50.27557561528306,
        50.10686350311198,
        48.68320606531771,
        49.85369276504419,
    ];
    let rows = (0..7).map(|i| boxed(frames[i], 3, [x[i], 8.0, 30.0, h[i]]));
    let smoothed = smooth(&sequence(rows), &Smoothing::new(1.5).unwrap());
    for (i, row) in smoothed.iter().enumerate() {
        for (is, should_be) in tlwh(row).into_iter().zip([smooth_x[i], 8.0, 30.0, smooth_h[i]]) {
            assert!((is - should_be).abs() < 1e-9, "frame {}: {is} instead of {should_be}", row.frame);
        }
    }
}

#[test]
fn steady_motion_is_left_alone() {
    let steady = seen_in(1, &[1, 2, 3, 4, 7, 8, 20, 21]);
    let smoothed = smooth(&steady, &Smoothing::default());
    for (is, was) in smoothed.iter().zip(&steady) {
        assert!((is.bbox[0] - was.bbox[0]).abs() < 1e-9, "{is:?} was {was:?}");
    }
}

#[test]
fn a_lone_row_is_left_alone() {
    let lone = seen_in(1, &[9]);
    assert_eq!(smooth(&lone, &Smoothing::default()), lone);
}

#[test]
fn a_sigma_without_sense_is_refused() {
    for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY, 1001.0] {
        let error = Smoothing::new(sigma).unwrap_err().to_string();
        assert_eq!(error, format!("sigma must be above 0 and at most 1000 frames, got {sigma}"));
    }
}

fn detection(frame: u32, x: f64, score: f64) -> Detection {
    Detection { frame, bbox: [x, 5.0, x + 40.0, 95.0], score, class: 0 }
}

#[test]
fn a_track_gets_back_the_detection_it_was_born_from() {
    let tracks = sequence([boxed(1, 1, [0.0, 5.0, 40.0, 90.0]), boxed(6, 4, [102.0, 5.0, 40.0, 90.0])]);
    let detections = [detection(5, 300.0, 0.9), detection(5, 100.0, 0.8)];
    let whole = backfill_first_boxes(&tracks, &detections, &Backfill::default());
    let first = Row { score: 0.8, origin: Origin::Detected, ..boxed(5, 4, [100.0, 5.0, 40.0, 90.0]) };
    assert_eq!(whole, [tracks[0], first, tracks[1]]);
}

#[test]
fn a_detection_that_another_track_has_is_not_taken_twice() {
    let neighbour = boxed(5, 1, [100.0, 5.0, 40.0, 90.0]);
    let tracks = sequence([neighbour, boxed(6, 4, [104.0, 5.0, 40.0, 90.0])]);
    let detections = [detection(5, 100.0, 0.9)];
    assert_eq!(backfill_first_boxes(&tracks, &detections, &Backfill::default()), tracks);
}

#[test]
fn a_detection_too_weak_or_too_far_starts_no_track() {
    let tracks = seen_in(4, &[6]);
    for weak_or_far in [detection(5, 12.0, 0.69), detection(5, 40.0, 0.9)] {
        assert_eq!(backfill_first_boxes(&tracks, &[weak_or_far], &Backfill::default()), tracks);
    }
}
