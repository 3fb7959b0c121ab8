//! Rows held on disk are refined to the same bits as rows in memory.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use proptest::prelude::*;
use std::fs::File;
use trackdrop_refine::{Detection, Link, LinkMade, Numbers, Origin, Refine, Row, Smooth, Streamed, Video};

/// Files that are gone with the test.
fn scratch() -> [File; 3] {
    [(); 3].map(|()| {
        let number = fastrand::u64(..);
        let path = std::env::temp_dir().join(format!("trackdrop-refine-{}-{number}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    })
}

/// What is compared of a row: edges as results have them.
type Seen = (u32, u64, [u64; 4], u64, i32, Origin);

fn seen(row: &Row, numbers: Numbers) -> Seen {
    let bits = |value: f64| match numbers {
        Numbers::Single => short(value).to_bits(),
        Numbers::Double => value.to_bits(),
    };
    (row.frame, row.id, row.bbox.map(bits), bits(row.score), row.class, row.origin)
}

fn of_frame<T>(items: &[T], frame: u32, frame_of: impl Fn(&T) -> u32) -> &[T] {
    let rest = &items[items.partition_point(|item| frame_of(item) < frame)..];
    &rest[..rest.partition_point(|item| frame_of(item) == frame)]
}

/// Refined from disk, and given in portions of this many frames; and the ids of the tracker's rows, as they were given.
fn streamed(
    rows: &[Row],
    detections: &[Detection],
    refine: &Refine,
    video: &Video,
    portion: u32,
    numbers: Numbers,
) -> (Vec<Seen>, Vec<LinkMade>, Vec<(u64, u32)>) {
    assert!(Streamed::serves(refine));
    let mut streamed = Streamed::new(refine, &Video { frame_count: 0, ..*video }, numbers, scratch());
    streamed.set_frame_count(video.frame_count);
    for frame in 0..video.frame_count {
        let (rows, free) = (of_frame(rows, frame, |row| row.frame), of_frame(detections, frame, |free| free.frame));
        streamed.frame(frame, rows, free).unwrap();
    }
    let mut told = Vec::new();
    let mut refined = streamed.finish(|row| told.push((row.id, row.frame))).unwrap();
    let links = refined.links().to_vec();
    let ends = (1..).map(|number| number * portion).take_while(|end| *end < video.frame_count + portion);
    let rows: Vec<Row> = ends.flat_map(|end| refined.until(end).unwrap()).collect();
    (rows.iter().map(|row| seen(row, numbers)).collect(), links, told)
}

fn assert_same(rows: Vec<Row>, detections: &[Detection], refine: &Refine, video: &Video, portion: u32) {
    let in_memory = refine.apply(rows.clone(), detections, video);
    for numbers in [Numbers::Single, Numbers::Double] {
        let (from_disk, links, told) = streamed(&rows, detections, refine, video, portion, numbers);
        assert_eq!(from_disk, in_memory.rows.iter().map(|row| seen(row, numbers)).collect::<Vec<_>>());
        assert_eq!(links, in_memory.links);
        assert_told(&told, &in_memory.rows);
    }
}

/// The tracker's rows were given, object after object.
fn assert_told(told: &[(u64, u32)], rows: &[Row]) {
    let mut observed: Vec<(u64, u32)> =
        rows.iter().filter(|row| row.is_observed()).map(|row| (row.id, row.frame)).collect();
    observed.sort_unstable();
    assert_eq!(told, observed);
}

fn short(value: f64) -> f64 {
    f64::from(value as f32)
}

prop_compose! {
    fn any_refinements()(
        link in prop::option::of(0.2..4.0), per_class: bool, recover: bool, rts: bool
    ) -> Refine {
        let link = link.map(|max_gap_s| Link { max_gap_s, per_class });
        let smooth = (rts || (link.is_none() && !recover)).then_some(Smooth::Rts);
        Refine { link, recover, per_class, smooth, ..Refine::default() }
    }
}

prop_compose! {
    /// Tracks that come and go, wander, cross and shake with the camera; and detections around them.
    fn any_video()(
        frames in 1_u32..150, rate in prop_oneof![Just(2.0), Just(10.0), Just(30.0)], seed: u64, objects in 1_u64..30,
        missed in 0.0..0.3, is_size_known: bool
    ) -> (Vec<Row>, Vec<Detection>, Video) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut rows, mut free) = (Vec::new(), Vec::new());
        let mut shake = [0.0; 2];
        for frame in 0..frames {
            shake = shake.map(|at: f64| at + 6.0 * random.f64() - 3.0);
            let mut ids: Vec<u64> = (0..objects).collect();
            random.shuffle(&mut ids);
            for id in ids {
                let jump = if frame / 40 % 2 == 1 { id * 7 % objects } else { id };
                let x = 50.0 * jump as f64 + (3.0 - 0.4 * id as f64) * f64::from(frame) + shake[0] + random.f64();
                let y = 100.0 + 9.0 * (id % 5) as f64 + shake[1] + random.f64();
                let h = 80.0 + random.f64() * 4.0;
                let measured = [x, y, x + 35.0, y + h].map(short);
                let class = i32::from(random.f64() < 0.1);
                let score = short(0.2 + 0.8 * random.f64());
                if random.f64() < missed {
                    free.push(Detection { frame, bbox: measured, score, class });
                    continue;
                }
                let bbox = measured.map(|edge| short(edge + random.f64()));
                rows.push(Row { measured, class, score, ..Row::new(frame, id + 1, bbox) });
            }
        }
        (rows, free, Video { frame_rate: rate, frame_count: frames, size_px: is_size_known.then_some([1920.0, 1080.0]) })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn rows_on_disk_are_refined_as_those_in_memory(
        (rows, free, video) in any_video(), refine in any_refinements(), portion in 1_u32..200
    ) {
        assert_same(rows, &free, &refine, &video, portion);
    }
}

/// More rows than are buffered, and than are worked on at a time: in one track, and in all.
#[test]
fn rows_of_a_long_video_are_refined_as_those_in_memory() {
    let video = Video { frame_rate: 30.0, frame_count: 230_000, size_px: Some([1920.0, 1080.0]) };
    let mut random = fastrand::Rng::with_seed(7);
    let (mut rows, mut free) = (Vec::new(), Vec::new());
    for frame in 0..video.frame_count {
        for id in 1..4_u64 {
            // The first is there in every frame.
            let is_missed = id > 1 && random.f64() < 0.01;
            let x = 500.0 * id as f64 + 200.0 * (f64::from(frame) / (100.0 * id as f64)).sin();
            let bbox = [x, 100.0, x + 40.0, 200.0].map(|edge| short(edge + random.f64()));
            match is_missed {
                true => free.push(Detection { frame, bbox, score: 0.5, class: 0 }),
                false => rows.push(Row { score: 0.5, ..Row::new(frame, id, bbox) }),
            }
        }
    }
    let all = Refine { link: Some(Link::default()), recover: true, smooth: Some(Smooth::Rts), ..Refine::default() };
    assert_same(rows, &free, &all, &video, 9_000);
}

#[test]
fn numbers_that_would_lose_bits_are_refused() {
    let video = Video { frame_rate: 10.0, frame_count: 1, size_px: Some([100.0; 2]) };
    let refine = Refine { recover: true, ..Refine::default() };
    let mut streamed = Streamed::new(&refine, &video, Numbers::Single, scratch());
    let refused = streamed.frame(0, &[Row::new(0, 1, [0.1, 0.0, 9.0, 9.0])], &[]).unwrap_err();
    assert!(refused.to_string().starts_with("0.1 is no 32-bit float"), "{refused}");
}

#[test]
fn a_video_without_rows_has_none() {
    let video = Video { frame_rate: 10.0, frame_count: 3, size_px: Some([100.0; 2]) };
    let all = Refine { link: Some(Link::default()), recover: true, smooth: Some(Smooth::Rts), ..Refine::default() };
    assert_same(Vec::new(), &[], &all, &video, 2);
}
