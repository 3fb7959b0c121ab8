//! A file that is tracked while it is read gives what the whole file gives.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use fastrand::Rng;
use std::{fs, io, path::Path};
use trackdrop_exchange::{
    ExchangeError, Retracked, TrackFile, TrackSink, read_detections, retrack, retrack_file, retrack_file_refined,
    retrack_refined,
};
use trackdrop_refine::{Backfill, Link, Refine, Smooth, Video};
use trackdrop_tables::detections::{DetectionRow, DetectionsWriter};
use trackdrop_tracker::{Settings, Track};

const CSV: &str = "frame,x1,y1,x2,y2,score\n";

/// What a file gives when it is read whole first, and when it is tracked while it is read: the numbers, and the bytes of the tracks.
fn both(input: &Path, frame_count: Option<u32>, refine: Option<&Refine>) -> [Result<(Retracked, Vec<u8>), String>; 2] {
    let settings = Settings::default();
    let video = Video { frame_rate: 30.0, frame_count: 0, size_px: None };
    [false, true].map(|streamed| {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("tracks.csv");
        let create = || TrackFile::create(&out, refine.is_some());
        let done = match (streamed, refine) {
            (true, None) => retrack_file(input, &settings, frame_count, create),
            (true, Some(refine)) => retrack_file_refined(input, &settings, frame_count, refine, &video, create),
            (false, _) => read_detections(input).and_then(|frames| match refine {
                None => retrack(&frames, &settings, frame_count, &mut create().unwrap()),
                Some(refine) => {
                    retrack_refined(&frames, &settings, frame_count, refine, &video, &mut create().unwrap())
                }
            }),
        };
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, usize::from(done.is_ok()), "a file of tracks is whole or not there");
        done.map(|retracked| (retracked, fs::read(&out).unwrap())).map_err(|error| error.to_string())
    })
}

/// Both, which must be equal; also refined, on disk, and where the file is short in memory, too, unless the frames are
/// counted. The tracks as they are.
fn same(input: &Path, frame_count: Option<u32>) -> Result<(Retracked, Vec<u8>), String> {
    let on_disk = Refine { link: Some(Link::default()), recover: true, smooth: Some(Smooth::Rts), ..Refine::default() };
    let in_memory = Refine { backfill: Some(Backfill::default()), ..on_disk.clone() };
    let in_memory = Some(&in_memory).filter(|_| fs::metadata(input).is_ok_and(|file| file.len() < 100_000));
    let [on_disk, in_memory] = [Some(&on_disk), in_memory].map(|refine| refine.filter(|_| frame_count.is_none()));
    let [.., tracks] = [on_disk, in_memory, None].map(|refine| {
        let [whole, streamed] = both(input, frame_count, refine);
        let numbers = |done: &Result<(Retracked, _), String>| done.as_ref().map(|it| it.0).map_err(String::clone);
        assert!(
            whole == streamed,
            "{input:?} {frame_count:?} {refine:?}: {:?} {:?}",
            numbers(&whole),
            numbers(&streamed)
        );
        streamed
    });
    tracks
}

/// Some objects that walk through some frames, now and then nobody for a while: frame, corners, score.
fn walk(random: &mut Rng, frames: u32, objects: u32) -> Vec<(u32, [f64; 4], f64)> {
    let mut rows = Vec::new();
    let mut number = random.u32(1..5);
    while number <= frames {
        for object in 0..random.u32(0..=objects) {
            let x = f64::from(object) * 90.0 + f64::from(number) * 0.7 + random.f64();
            rows.push((number, [x, 20.0, x + 40.0, 120.0], 0.3 + 0.65 * random.f64()));
        }
        number += if random.u32(0..50) == 0 { random.u32(2..40) } else { 1 };
    }
    rows
}

fn csv(rows: &[(u32, [f64; 4], f64)]) -> String {
    let line =
        |&(frame, [x1, y1, x2, y2], score): &(u32, [f64; 4], f64)| format!("{frame},{x1},{y1},{x2},{y2},{score}\n");
    CSV.to_owned() + &rows.iter().map(line).collect::<String>()
}

#[test]
fn files_of_all_lengths_and_orders_give_the_same_tracks_as_when_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("detections.csv");
    for seed in 0..60 {
        let mut random = Rng::with_seed(seed);
        let frames = random.u32(0..400);
        let mut rows = walk(&mut random, frames, 6);
        match seed % 4 {
            // Some lines change places; so frames are no longer sorted, or are torn apart.
            1 if rows.len() > 1 => {
                for _ in 0..random.usize(1..4) {
                    let (a, b) = (random.usize(..rows.len()), random.usize(..rows.len()));
                    rows.swap(a, b);
                }
            }
            2 => random.shuffle(&mut rows),
            _ => {}
        }
        fs::write(&input, csv(&rows)).unwrap();
        let last = rows.iter().map(|row| row.0).max().unwrap_or(0);
        for frame_count in [None, Some(last + 10), Some(last), last.checked_sub(1)] {
            let done = same(&input, frame_count);
            assert_eq!(done.is_err(), frame_count.is_some_and(|count| count < last), "{done:?}");
        }
    }
}

#[test]
fn a_file_of_many_blocks_is_tracked_in_order_even_if_the_last_block_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("detections.csv");
    let mut rows = walk(&mut Rng::with_seed(5), 24_000, 20);
    let text = csv(&rows);
    assert!(text.len() > 8 << 20, "more blocks than are read ahead: {}", text.len());
    fs::write(&input, &text).unwrap();
    let sorted = same(&input, None).unwrap();
    assert!(sorted.0.ids >= 20);

    let last = rows.len() - 1;
    rows.swap(last, last - 200);
    fs::write(&input, csv(&rows)).unwrap();
    assert_eq!(same(&input, None).unwrap().0.frames, sorted.0.frames);

    // A bad line late in the file, and one that is later still.
    let broken = text.replacen("\n22000,", "\nx,", 1) + "y\n";
    fs::write(&input, broken).unwrap();
    let error = same(&input, None).unwrap_err();
    assert!(error.contains("\"x\" is not a whole number"), "{error}");
}

#[test]
fn refined_tracks_may_have_more_frames_than_the_file_and_not_fewer() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("detections.csv");
    fs::write(&input, csv(&walk(&mut Rng::with_seed(3), 300, 5))).unwrap();
    let refine = Refine { smooth: Some(Smooth::Rts), ..Refine::default() };
    let last = read_detections(&input).unwrap().last_frame();
    for count in [last + 10, last, last - 1] {
        let [whole, streamed] = both(&input, Some(count), Some(&refine));
        assert!(whole == streamed, "{count} of {last}");
        assert_eq!(streamed.map(|(retracked, _)| retracked.frames).ok(), (count >= last).then_some(count));
    }
}

#[test]
fn our_parquet_is_tracked_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("detections.parquet");
    let write = |rows: &[(u32, [f64; 4], f64)], first: i64| {
        let mut writer = DetectionsWriter::new(Vec::new()).unwrap();
        for &(frame, corners, score) in rows {
            let frame_index = i64::from(frame) + first;
            let bbox = corners.map(|edge| edge as f32);
            writer.push(DetectionRow { frame_index, pts: 0, bbox, score: score as f32, class_id: 0 }).unwrap();
        }
        fs::write(&input, writer.finish(None).unwrap().0).unwrap();
    };
    let mut rows = walk(&mut Rng::with_seed(6), 24_000, 20);
    assert!(rows.len() > 100_000, "more than a group of rows");
    write(&rows, -1);
    assert!(same(&input, None).unwrap().0.rows > 50_000);
    rows.reverse();
    write(&rows, -1);
    same(&input, None).unwrap();
    rows.reverse();
    write(&rows, -10);
    let error = same(&input, None).unwrap_err();
    assert!(error.contains("row 0") && error.contains("frame_index -"), "{error}");
    fs::write(&input, "PAR1 and no more").unwrap();
    same(&input, None).unwrap_err();
}

#[test]
fn files_without_a_detection_have_no_frame() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("d.csv", CSV), ("d.txt", "")] {
        let input = folder.path().join(name);
        fs::write(&input, text).unwrap();
        assert_eq!(same(&input, None).unwrap().0, Retracked::default());
        assert_eq!(same(&input, Some(7)).unwrap().0.frames, 7);
    }
}

struct FullDisk;

impl TrackSink for FullDisk {
    fn frame(&mut self, _: u32, _: &[Track], _: &[Track]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn finish(&mut self) -> io::Result<()> {
        unreachable!("not after a failure");
    }
}

#[test]
fn a_sink_that_fails_stops_the_reading() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("detections.csv");
    // More than fits into the queues between reader, tracker and sink.
    fs::write(&input, csv(&walk(&mut Rng::with_seed(7), 40_000, 20))).unwrap();
    let error = retrack_file(&input, &Settings::default(), None, || Ok(FullDisk)).unwrap_err();
    assert!(matches!(error, ExchangeError::Write(source) if source.kind() == io::ErrorKind::StorageFull));
}
