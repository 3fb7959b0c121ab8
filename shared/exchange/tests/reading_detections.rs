//! What files of detections are taken, and what is said of those that are not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use bytes::Bytes;
use std::{fs, path::PathBuf};
use tempfile::TempDir;
use trackdrop_exchange::{ExchangeError, Frames, LineProblem, MAX_FRAME, read_detections};
use trackdrop_tables::detections::{DetectionRow, DetectionsWriter};
use trackdrop_tracker::Detection;

struct Input {
    _folder: TempDir,
    path: PathBuf,
}

fn file(name: &str, content: impl AsRef<[u8]>) -> Input {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    Input { _folder: folder, path }
}

fn read(name: &str, content: impl AsRef<[u8]>) -> Result<Frames, ExchangeError> {
    read_detections(&file(name, content).path)
}

fn problem(name: &str, content: impl AsRef<[u8]>) -> (u64, LineProblem) {
    match read(name, content).unwrap_err() {
        ExchangeError::Line { line, problem, .. } => (line, problem),
        other => panic!("{other}"),
    }
}

fn detection(values: [f64; 5]) -> Detection {
    let [x1, y1, x2, y2, score] = values;
    Detection { x1, y1, x2, y2, score }
}

const CSV: &str = "frame,x1,y1,x2,y2,score\n";

#[test]
fn csv_is_read_to_the_last_bit() {
    let frames = read("d.csv", format!("{CSV}1,0.1,0.2,1325.064372494271,4e2,0.99\n3,1,2,3,4,.5\n")).unwrap();
    assert_eq!(frames.last_frame(), 3);
    assert_eq!(frames.frame(1), [detection([0.1, 0.2, 1_325.064_372_494_271, 400.0, 0.99])]);
    assert_eq!(frames.frame(2), []);
    assert_eq!(frames.frame(3), [detection([1.0, 2.0, 3.0, 4.0, 0.5])]);
}

#[test]
fn motchallenge_sizes_become_corners_and_unsorted_frames_are_sorted() {
    let text = "2,-1,1.5,2,10,20,0.25,-1,-1,-1\n1,-1,5,6,7,8,0.5\n2,-1,9,9,1,1,0.75,-1,-1,-1\n";
    let frames = read("det.txt", text).unwrap();
    assert_eq!(frames.frame(1), [detection([5.0, 6.0, 12.0, 14.0, 0.5])]);
    assert_eq!(frames.frame(2), [detection([1.5, 2.0, 11.5, 22.0, 0.25]), detection([9.0, 9.0, 10.0, 10.0, 0.75])]);
}

#[test]
fn our_parquet_counts_frames_from_0_and_is_widened() {
    let mut writer = DetectionsWriter::new(Vec::new()).unwrap();
    let row = DetectionRow { frame_index: 0, pts: 0, bbox: [0.1, 1.0, 2.0, 3.0], score: 0.3, class_id: 0 };
    writer.push(row).unwrap();
    writer.push(DetectionRow { frame_index: 2, ..row }).unwrap();
    let bytes = Bytes::from(writer.finish(None).unwrap().0);
    // Recognised by content, whatever its name.
    for name in ["detections.parquet", "detections.bin"] {
        let frames = read(name, &bytes).unwrap();
        assert_eq!(frames.frame(1), [detection([f64::from(0.1_f32), 1.0, 2.0, 3.0, f64::from(0.3_f32)])]);
        assert_eq!((frames.last_frame(), frames.frame(2).len(), frames.frame(3).len()), (3, 0, 1));
    }
}

#[test]
fn a_negative_frame_index_in_parquet_is_refused() {
    let mut writer = DetectionsWriter::new(Vec::new()).unwrap();
    writer.push(DetectionRow { frame_index: -1, pts: 0, bbox: [0.0; 4], score: 0.3, class_id: 0 }).unwrap();
    let error = read("d.parquet", writer.finish(None).unwrap().0).unwrap_err();
    assert!(matches!(error, ExchangeError::FrameIndex { row: 0, frame_index: -1, .. }), "{error}");
}

#[test]
fn text_is_told_by_content_not_by_ending() {
    assert_eq!(read("d.txt", format!("{CSV}1,1,2,3,4,1\n")).unwrap().frame(1), [detection([1.0, 2.0, 3.0, 4.0, 1.0])]);
    assert_eq!(read("d.csv", "1,-1,1,2,2,2,1\n").unwrap().frame(1), [detection([1.0, 2.0, 3.0, 4.0, 1.0])]);
}

#[test]
fn what_spreadsheets_and_numeric_libraries_do_to_text_is_taken() {
    let expected = [detection([1.0, 2.0, 3.0, 4.0, 0.5])];
    for text in [
        "\u{feff}frame,x1,y1,x2,y2,score\r\n1,1,2,3,4,0.5\r\n\r\n",
        "\n\"frame\", X1 ,y1,x2,y2,score\n 1 , 1 ,2,3,4, 0.5 \n\n",
        "class,frame,score,x1,x2,y1,y2,note\nperson,1,0.5,1,3,2,4,far away\n",
        "frame,x1,y1,x2,y2,score\n1,1,2,3,4,0.5",
        "1.000000e+00,-1.000000e+00,1.0,2.0,2.0,2.0,5.0e-01\n",
        "1, -1, 1, 2, 2, 2, 0.5, -1, -1, -1\n",
    ] {
        assert_eq!(read("d.txt", text).unwrap().frame(1), expected, "{text:?}");
    }
}

#[test]
fn boxes_that_are_none_are_passed_on_for_the_tracker_to_count() {
    let frames = read("d.csv", format!("{CSV}1,nan,2,3,4,0.5\n1,1,2,inf,4,0.5\n1,5,5,1,1,0.5\n")).unwrap();
    assert_eq!(frames.frame(1).len(), 3);
    assert!(frames.frame(1).iter().all(Detection::is_degenerate));
}

#[test]
fn a_file_without_detections_has_no_frames() {
    for (name, text) in [("d.csv", CSV), ("d.csv", CSV.trim_end()), ("det.txt", "")] {
        assert_eq!(read(name, text).unwrap().last_frame(), 0);
    }
    let error = read("d.csv", "").unwrap_err();
    assert!(matches!(error, ExchangeError::MissingColumn { missing: "frame", .. }), "{error}");
}

#[test]
fn frames_from_0_are_refused_with_the_way_out() {
    let error = read("d.csv", format!("{CSV}0,1,2,3,4,0.5\n")).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("from 1") && error.contains("add 1"), "{error}");
    assert_eq!(problem("d.txt", "1,-1,1,2,2,2,1\n0,-1,1,2,2,2,1\n"), (2, LineProblem::FrameZero));
    assert_eq!(problem("d.txt", "0.0,-1,1,2,2,2,1\n"), (1, LineProblem::FrameZero));
}

#[test]
fn a_frame_that_is_no_whole_number_or_too_large_is_refused() {
    let too_large = u64::from(MAX_FRAME) + 1;
    for value in ["-1", "1.5", "x", "", "1e9", "99999999999999999999", "nan", &too_large.to_string()] {
        let (line, problem) = problem("d.csv", format!("{CSV}1,1,2,3,4,1\n{value},1,2,3,4,0.5\n"));
        assert_eq!((line, problem), (3, LineProblem::NotAFrame { value: value.into() }));
    }
    assert_eq!(read("d.csv", format!("{CSV}{MAX_FRAME},1,2,3,4,0.5\n")).unwrap().last_frame(), MAX_FRAME);
}

#[test]
fn a_value_that_is_no_number_is_named_with_its_line_and_column() {
    let not_a_number = |column, value: &str| LineProblem::NotANumber { column, value: value.into() };
    assert_eq!(problem("d.csv", format!("{CSV}1,1,2,3,4,1\n\n1,1,abc,3,4,1\n")), (4, not_a_number("y1", "abc")));
    assert_eq!(problem("d.csv", format!("{CSV}1,1,2,,4,1\n")), (2, not_a_number("x2", "")));
    assert_eq!(problem("d.csv", format!("{CSV}1,1,2,3 4,4,1\n")), (2, not_a_number("x2", "3 4")));
    assert_eq!(problem("d.csv", format!("{CSV}1,1,2,3,4,\n")), (2, not_a_number("score", "")));
    assert_eq!(problem("det.txt", "1,-1,1,2,2,1px,1\n"), (1, not_a_number("h", "1px")));
    let long = "9".repeat(30) + &"z".repeat(50);
    let (_, problem) = problem("det.txt", format!("1,-1,{long},2,2,1,1\n"));
    assert_eq!(problem, not_a_number("x", &format!("{}...", &long[..40])));
}

#[test]
fn a_short_line_is_refused() {
    let short = |column, columns| LineProblem::TooShort { column, columns };
    assert_eq!(problem("d.csv", format!("{CSV}1,1,2,3,4\n")), (2, short("score", 5)));
    assert_eq!(problem("det.txt", "1,-1,1,2,2,2,1\n2\n"), (2, short("id", 1)));
}

#[test]
fn a_file_that_is_something_else_is_refused_with_what_is_expected() {
    let tracks = read("d.csv", "frame,id,x,y,w,h,score\n1,1,1,1,1,1,1\n").unwrap_err();
    assert!(matches!(tracks, ExchangeError::MissingColumn { missing: "x1", .. }), "{tracks}");
    let headless = read("d.csv", "1,1,2,3,4,0.5\n").unwrap_err();
    assert!(matches!(headless, ExchangeError::MissingHeader { columns: 6, .. }), "{headless}");
    assert!(matches!(read("d.csv", b"\x1f\x8b\x08").unwrap_err(), ExchangeError::Compressed { .. }));
    assert!(matches!(read("d.parquet", "frame,x1").unwrap_err(), ExchangeError::Table { .. }));
    assert!(matches!(read("d.bin", [0xff, 0xfe, 0, 1]).unwrap_err(), ExchangeError::MissingColumn { .. }));
    let missing = read_detections("no/such/file.csv".as_ref()).unwrap_err().to_string();
    assert!(missing.contains("no/such/file.csv"), "{missing}");
}

/// Lines of many lengths, over several of the blocks that are read at a time.
#[test]
fn a_file_of_many_blocks_is_the_same_as_its_lines() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = CSV.to_owned();
    let mut expected = Vec::new();
    for row in 0..60_000_u32 {
        let frame = row / 7 + 1;
        let x1 = if random.bool() { f64::from(random.u8(..)) } else { random.f64() * 1e3 };
        let values = [x1, random.f64(), x1 + 10.0, 50.0, random.f64()];
        let [x1, y1, x2, y2, score] = values;
        text += &format!("{frame},{x1},{y1},{x2},{y2},{score}\n");
        expected.push(detection(values));
    }
    let path = file("d.csv", &text);
    let frames = read_detections(&path.path).unwrap();
    assert!(text.len() > 3 << 20, "it spans several blocks");
    assert_eq!(frames.detections(), expected);
    assert_eq!(frames.frame(8_000), &expected[7 * 7_999..7 * 8_000]);

    // The first bad line is reported, though a later one is found at the same time.
    let at = |line: usize| text.match_indices('\n').nth(line - 2).unwrap().0 + 1;
    let mut broken = text.clone().into_bytes();
    for line in [30_000, 59_000] {
        broken[at(line)] = b'x';
    }
    assert_eq!(problem("d.csv", broken).0, 30_000);
}

#[test]
fn a_line_longer_than_a_block_is_one_line() {
    let note = "n".repeat(3 << 20);
    let text = format!("{CSV}1,1,2,3,4,1,{note}\n2,1,2,3,4,1,{note}\n3,1,2,3,4,1");
    let frames = read("d.csv", text).unwrap();
    assert_eq!((frames.last_frame(), frames.detections().len()), (3, 3));
}
