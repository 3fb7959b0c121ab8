//! Frames without detections, sinks that fail, files that must not be half there.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::{
    fs::{self, File},
    io,
    path::Path,
};
use trackdrop_exchange::{
    ExchangeError, Frames, Retracked, TextFormat, TextSink, TrackFile, TrackSink, WrittenTrack, read_detections,
    read_written_tracks, retrack, retrack_refined,
};
use trackdrop_refine::{Link, Refine, Smooth, Video};
use trackdrop_tracker::{Settings, Track};

/// Somebody who walks to the right through frames 2 to `last`, and a box without a size in each of them.
fn walker(last: u32) -> Frames {
    let mut text = "frame,x1,y1,x2,y2,score\n".to_owned();
    for frame in 2..=last {
        let x = f64::from(frame) * 0.7 + 0.1;
        text += &format!("{frame},{x},50,{},150,0.9\n{frame},5,5,5,5,0.9\n", x + 40.0);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("detections.csv");
    fs::write(&path, text).unwrap();
    read_detections(&path).unwrap()
}

/// The numbers of the frames it was given, and of those that had a track.
#[derive(Default)]
struct Log {
    frames: Vec<u32>,
    tracked: Vec<u32>,
    finished: bool,
}

impl TrackSink for Log {
    fn frame(&mut self, number: u32, tracks: &[Track], _: &[Track]) -> io::Result<()> {
        self.frames.push(number);
        self.tracked.extend(tracks.iter().map(|_| number));
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.finished = true;
        Ok(())
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
fn every_frame_is_a_step_also_the_empty_ones_at_both_ends() {
    let mut log = Log::default();
    let retracked = retrack(&walker(5), &Settings::default(), Some(9), &mut log).unwrap();
    assert_eq!(log.frames, (1..=9).collect::<Vec<_>>());
    // The reference confirms a track at once in its very first frame only.
    assert_eq!(log.tracked, [3, 4, 5]);
    assert!(log.finished);
    assert_eq!(retracked, Retracked { frames: 9, rows: 3, ids: 1, refused: 4 });
}

#[test]
fn without_a_count_the_last_detection_ends_it_and_no_detection_is_no_frame() {
    let frames_of = |frames: &Frames| retrack(frames, &Settings::default(), None, &mut Log::default()).unwrap().frames;
    assert_eq!(frames_of(&walker(5)), 5);
    assert_eq!(frames_of(&walker(1)), 0);
}

#[test]
fn a_count_that_would_lose_detections_is_refused() {
    let error = retrack(&walker(5), &Settings::default(), Some(4), &mut FullDisk).unwrap_err();
    assert!(matches!(error, ExchangeError::TooFewFrames { asked: 4, last: 5 }), "{error}");
}

#[test]
fn a_bad_setting_is_refused() {
    let settings = Settings { match_thresh: 0.0, ..Settings::default() };
    let error = retrack(&walker(5), &settings, None, &mut FullDisk).unwrap_err();
    assert!(error.to_string().contains("match_thresh"), "{error}");
}

#[test]
fn a_sink_that_fails_stops_the_tracker() {
    // More than fits into the queue between the two: a tracker that waited for room would hang here.
    let error = retrack(&walker(100_000), &Settings::default(), None, &mut FullDisk).unwrap_err();
    assert!(matches!(error, ExchangeError::Write(source) if source.kind() == io::ErrorKind::StorageFull));
}

#[test]
fn a_file_appears_only_when_it_is_complete_and_replaces_an_older_one() {
    let folder = tempfile::tempdir().unwrap();
    let entries = || fs::read_dir(folder.path()).unwrap().count();
    for ending in ["csv", "txt", "parquet"] {
        let path = folder.path().join("tracks").with_extension(ending);
        let before = entries();
        drop(TrackFile::create(&path, false).unwrap());
        assert_eq!(entries(), before, "nothing is left of a file that was not finished");
        for _ in 0..2 {
            retrack(&walker(5), &Settings::default(), None, &mut TrackFile::create(&path, false).unwrap()).unwrap();
        }
        assert_eq!(entries(), before + 1);
        assert!(fs::metadata(&path).unwrap().len() > 50);
    }
}

#[test]
fn an_output_that_cannot_be_is_refused_before_any_work() {
    let unknown = TrackFile::create(Path::new("tracks.mot"), false).unwrap_err();
    assert!(unknown.to_string().contains(".parquet"), "{unknown}");
    let nowhere = TrackFile::create(Path::new("no/such/folder/tracks.csv"), false).unwrap_err();
    assert!(nowhere.to_string().contains("no/such/folder"), "{nowhere}");
}

#[test]
fn the_three_formats_hold_the_same_numbers_to_the_last_bit() {
    let (frames, folder) = (walker(70_000), tempfile::tempdir().unwrap());
    let path = |ending: &str| folder.path().join("tracks").with_extension(ending);
    for ending in ["csv", "txt", "parquet"] {
        retrack(&frames, &Settings::default(), None, &mut TrackFile::create(&path(ending), false).unwrap()).unwrap();
    }
    let csv = fs::read_to_string(path("csv")).unwrap();
    let csv: Vec<_> = csv.lines().skip(1).collect();
    let mot = fs::read_to_string(path("txt")).unwrap();
    assert!(mot.lines().eq(csv.iter().map(|line| format!("{line},-1,-1,-1"))));

    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path("parquet")).unwrap()).unwrap();
    let names: Vec<_> = reader.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["frame", "id", "x", "y", "w", "h", "score"]);
    let written = read_written_tracks(fs::read(path("parquet")).unwrap().into()).unwrap().unwrap();
    let text = |track: &WrittenTrack| {
        let WrittenTrack { frame, id, tlwh: [x, y, w, h], score, observed } = *track;
        assert!(observed);
        // Rust's own text is the shortest that reads back, too.
        format!("{frame},{id},{}", [x, y, w, h, score].map(|value| value.to_string()).join(","))
    };
    let rows: Vec<_> = written.iter().map(text).collect();
    assert_eq!(rows, csv);
    assert_eq!(rows.len(), 69_998);
}

#[test]
fn text_goes_to_any_writer() {
    let mut out = Vec::new();
    retrack(&walker(3), &Settings::default(), None, &mut TextSink::new(&mut out, TextFormat::Csv, false)).unwrap();
    let text = String::from_utf8(out).unwrap();
    let (header, row) = text.split_once('\n').unwrap();
    assert_eq!(header, "frame,id,x,y,w,h,score");
    assert!(row.starts_with("3,1,") && row.ends_with(",0.9\n"), "{row}");
}

#[test]
fn refined_tracks_say_in_every_format_which_rows_were_not_observed() {
    // Seen in 40 frames, but for six in the middle.
    let text: String = (1..=40)
        .filter(|frame| !(20..26).contains(frame))
        .map(|frame| format!("{frame},{},10,{},60,0.9\n", frame * 2, frame * 2 + 30))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("detections.csv");
    fs::write(&input, format!("frame,x1,y1,x2,y2,score\n{text}")).unwrap();
    let frames = read_detections(&input).unwrap();
    let refine = Refine { link: Some(Link::default()), recover: true, smooth: Some(Smooth::Rts), ..Refine::default() };
    let video = Video { frame_rate: 10.0, frame_count: 0, size_px: None };
    let path = |ending: &str| folder.path().join("tracks").with_extension(ending);
    for ending in ["csv", "txt", "parquet"] {
        let mut file = TrackFile::create(&path(ending), true).unwrap();
        let done = retrack_refined(&frames, &Settings::default(), Some(45), &refine, &video, &mut file).unwrap();
        assert_eq!((done.frames, done.rows, done.ids), (45, 40, 1), "{ending}");
    }
    let csv = fs::read_to_string(path("csv")).unwrap();
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("frame,id,x,y,w,h,score,observed"));
    let added: Vec<u32> = lines
        .filter(|line| line.ends_with(",0"))
        .map(|line| line.split(',').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(added, (20..26).collect::<Vec<_>>());
    let mot = fs::read_to_string(path("txt")).unwrap();
    let added = mot.lines().filter(|line| line.ends_with(",-1,-1,-1,-1")).count();
    assert_eq!((added, mot.lines().count()), (6, 40));
    let written = read_written_tracks(fs::read(path("parquet")).unwrap().into()).unwrap().unwrap();
    let added: Vec<i64> = written.iter().filter(|row| !row.observed).map(|row| row.frame).collect();
    assert_eq!(added, (20..26).collect::<Vec<_>>());
}
