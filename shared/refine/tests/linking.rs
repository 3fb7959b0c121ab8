//! Linking, recovering and smoothing on test sequences whose truth is known.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use trackdrop_refine::{Detection, Link, Origin, Refine, Row, Smooth, Video, link, recover, smooth_rts};

const VIDEO: Video = Video { frame_rate: 10.0, frame_count: 100, size_px: Some([1000.0, 500.0]) };

/// Rows of an object of 40 x 100 px that walks `speed` px a frame through `x` in frame 0.
fn walk(id: u64, frames: std::ops::Range<u32>, x: f64, speed: f64, y: f64) -> impl Iterator<Item = Row> {
    frames.map(move |frame| {
        let left = x + speed * f64::from(frame);
        Row::new(frame, id, [left, y, left + 40.0, y + 100.0])
    })
}

fn sorted(rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.into_iter().collect();
    rows.sort_by_key(|row| (row.frame, row.id));
    rows
}

/// The ids in a frame, by place from left to right.
fn ids(rows: &[Row], frame: u32) -> Vec<u64> {
    let mut of_frame: Vec<&Row> = rows.iter().filter(|row| row.frame == frame).collect();
    of_frame.sort_by(|a, b| a.bbox[0].total_cmp(&b.bbox[0]));
    of_frame.iter().map(|row| row.id).collect()
}

fn as_detection(row: Row, score: f64) -> Detection {
    Detection { frame: row.frame, bbox: row.bbox, score, class: 0 }
}

#[test]
fn a_track_that_was_lost_and_found_under_another_id_is_one_again() {
    let rows = sorted(walk(1, 0..20, 0.0, 5.0, 100.0).chain(walk(2, 30..60, 0.0, 5.0, 100.0)));
    let linked = link(rows.clone(), &VIDEO, &Link::default());
    assert!(linked.rows.iter().all(|row| row.id == 1));
    assert_eq!(
        linked.links.iter().map(|one| (one.id, one.last_frame, one.first_frame)).collect::<Vec<_>>(),
        [(1, 19, 30)]
    );
    assert!(linked.links[0].margin > 0.0);
}

#[test]
fn two_tracks_that_swapped_behind_something_are_put_right() {
    // Both walk on; while nothing is seen of them, each gets the other's id.
    let before = walk(1, 0..20, 100.0, 8.0, 100.0).chain(walk(2, 0..20, 500.0, -8.0, 120.0));
    let after = walk(2, 30..50, 100.0, 8.0, 100.0).chain(walk(1, 30..50, 500.0, -8.0, 120.0));
    let rows = sorted(before.chain(after));
    let linked = link(rows.clone(), &VIDEO, &Link::default());
    assert_eq!((ids(&linked.rows, 0), ids(&linked.rows, 49)), (vec![1, 2], vec![2, 1]));
}

#[test]
fn a_wrong_continuation_is_cut_and_the_later_part_gets_a_new_id() {
    let rows = sorted(walk(7, 0..20, 0.0, 0.0, 100.0).chain(walk(7, 25..45, 800.0, 0.0, 100.0)));
    let linked = link(rows.clone(), &VIDEO, &Link::default());
    assert_eq!((ids(&linked.rows, 0), ids(&linked.rows, 30)), (vec![7], vec![8]));
    assert!(linked.links.is_empty());
}

#[test]
fn a_gap_longer_than_asked_for_is_not_linked() {
    let rows = sorted(walk(1, 0..20, 0.0, 0.0, 100.0).chain(walk(1, 30..60, 0.0, 0.0, 100.0)));
    let long = Link { max_gap_s: 1.1, ..Link::default() };
    let short = Link { max_gap_s: 1.0, ..Link::default() };
    assert_eq!(ids(&link(rows.clone(), &VIDEO, &long).rows, 50), [1]);
    assert_eq!(ids(&link(rows.clone(), &VIDEO, &short).rows, 50), [2], "11 frames at 10 a second are 1.1 s");
}

#[test]
fn classes_associated_by_themselves_are_linked_by_themselves() {
    let other = walk(2, 25..45, 0.0, 5.0, 100.0).map(|row| Row { class: 3, ..row });
    let rows = sorted(walk(1, 0..20, 0.0, 5.0, 100.0).chain(other));
    let per_class = Link { per_class: true, ..Link::default() };
    assert_eq!(ids(&link(rows.clone(), &VIDEO, &Link::default()).rows, 40), [1]);
    assert_eq!(ids(&link(rows.clone(), &VIDEO, &per_class).rows, 40), [2]);
}

#[test]
fn a_camera_that_jolts_does_not_break_links() {
    // Six people at different speeds; the picture shakes by up to 40 px, and one of them is hidden for a while.
    let jolt = |frame: u32| 40.0 * (f64::from(frame) * 1.9).sin();
    let people = (1..7).flat_map(|id| walk(id, 0..90, 140.0 * id as f64, id as f64 - 3.0, 60.0 * id as f64));
    let shaken = people.map(|row| {
        let dx = jolt(row.frame);
        let [x1, y1, x2, y2] = row.bbox;
        Row::new(row.frame, row.id, [x1 + dx, y1, x2 + dx, y2])
    });
    let rows = sorted(shaken.filter(|row| row.id != 3 || !(40..52).contains(&row.frame)));
    let linked = link(rows.clone(), &VIDEO, &Link::default());
    assert_eq!(linked.links.len(), 1);
    assert!(linked.rows.iter().zip(&rows).all(|(is, was)| is.id == was.id));
}

#[test]
fn detections_in_a_gap_and_beyond_the_ends_are_taken_once() {
    let rows = sorted(walk(1, 20..40, 0.0, 5.0, 100.0).chain(walk(1, 46..60, 0.0, 5.0, 100.0)));
    let seen = |frames| walk(1, frames, 0.0, 5.0, 100.0).map(|row| as_detection(row, 0.5));
    let far = Detection { frame: 42, bbox: [700.0, 0.0, 740.0, 100.0], score: 0.9, class: 0 };
    let faint = walk(1, 44..45, 0.0, 5.0, 100.0).map(|row| as_detection(row, 0.3));
    let mut detections: Vec<Detection> = seen(17..44).chain(faint).chain([far]).chain(seen(60..63)).collect();
    detections.sort_by_key(|detection| detection.frame);
    let recovered = recover(rows.clone(), &detections, &VIDEO, false);
    let added: Vec<u32> = recovered.iter().filter(|row| !row.is_observed()).map(|row| row.frame).collect();
    assert_eq!(added, [17, 18, 19, 40, 41, 42, 43, 60, 61, 62]);
    assert!(recovered.iter().all(|row| row.id == 1 && row.bbox[0] < 600.0));
    assert!(recovered.iter().all(|row| row.is_observed() || (row.origin == Origin::Detected && row.score == 0.5)));
}

#[test]
fn an_end_is_not_followed_out_of_the_video() {
    let rows = sorted(walk(1, 3..97, 0.0, 5.0, 100.0));
    let detections: Vec<Detection> = walk(1, 0..120, 0.0, 5.0, 100.0).map(|row| as_detection(row, 0.5)).collect();
    let recovered = recover(rows.clone(), &detections, &VIDEO, false);
    assert_eq!((recovered[0].frame, recovered.last().unwrap().frame, recovered.len()), (0, 99, 100));
}

/// Deterministic noise of about one px.
fn noise(frame: u32, axis: u32) -> f64 {
    let hash = (frame * 4 + axis).wrapping_mul(2_654_435_761) >> 8;
    f64::from(hash % 2001) / 500.0 - 2.0
}

#[test]
fn smoothing_by_motion_brings_boxes_nearer_to_the_truth_and_fills_gaps() {
    let truth: Vec<Row> = walk(1, 0..100, 0.0, 5.0, 100.0).collect();
    let noisy = truth.iter().filter(|row| !(50..60).contains(&row.frame)).map(|row| {
        let measured: [f64; 4] = std::array::from_fn(|side| row.bbox[side] + noise(row.frame, side as u32));
        Row { bbox: measured, measured, ..*row }
    });
    let noisy: Vec<Row> = noisy.collect();
    let smoothed = smooth_rts(noisy.clone(), &VIDEO);
    let filled: Vec<u32> = smoothed.iter().filter(|row| !row.is_observed()).map(|row| row.frame).collect();
    assert_eq!(filled, (50..60).collect::<Vec<_>>());
    let error = |rows: &[Row]| {
        let of = |row: &Row| (row.bbox[0] - truth[row.frame as usize].bbox[0]).powi(2);
        (rows.iter().map(of).sum::<f64>() / rows.len() as f64).sqrt()
    };
    assert!(error(&smoothed) < 0.6 * error(&noisy), "{} instead of {}", error(&smoothed), error(&noisy));
    assert!(smoothed.iter().all(|row| row.is_observed() || (row.score == -1.0 && row.origin == Origin::Filled)));
}

#[test]
fn longer_gaps_and_tracks_of_five_rows_are_not_filled() {
    let long = sorted(walk(1, 0..10, 0.0, 5.0, 100.0).chain(walk(1, 29..40, 0.0, 5.0, 100.0)));
    assert_eq!(smooth_rts(long.clone(), &VIDEO).len(), long.len());
    let second = Video { frame_rate: 30.0, ..VIDEO };
    assert_eq!(smooth_rts(long.clone(), &second).len(), long.len() + 19, "a second has more than 18 frames there");
    let short = sorted(walk(1, 0..3, 0.0, 5.0, 100.0).chain(walk(1, 5..7, 0.0, 5.0, 100.0)));
    assert_eq!(smooth_rts(short.clone(), &VIDEO).len(), short.len());
}

#[test]
fn nothing_at_all_stays_nothing() {
    let all = Refine { link: Some(Link::default()), recover: true, smooth: Some(Smooth::Rts), ..Refine::default() };
    for frame_rate in [30.0, 0.0, f64::NAN, f64::INFINITY, 1e300] {
        let video = Video { frame_rate, frame_count: 0, size_px: None };
        assert!(all.apply(Vec::new(), &[], &video).rows.is_empty());
        let refined = all.apply(vec![Row::new(0, 1, [0.0; 4])], &[], &Video { frame_count: 1, ..video });
        assert!(refined.rows.len() == 1 && refined.rows[0].bbox.iter().all(|edge| edge.is_finite()), "{frame_rate}");
    }
}
