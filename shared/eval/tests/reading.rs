//! Files as people write them, and the errors for those that are wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use std::path::Path;

use trackdrop_eval::{Row, Sequence, parse, read_file};

fn read(text: &str) -> Result<Sequence, String> {
    parse(text.as_bytes(), Path::new("tracks.txt")).map_err(|error| error.to_string())
}

fn refusal(text: &str) -> String {
    read(text).expect_err("must be refused")
}

#[test]
fn motchallenge_ground_truth_has_scores_and_classes() {
    let expected = Row { score: 0.0, class: Some(7), ..Row::new(2, 5, [1.5, -2.0, 30.0, 40.0]) };
    assert_eq!(read("2,5,1.5,-2,30,40,0,7,0.25\n").unwrap().rows(), [expected]);
}

#[test]
fn six_columns_are_enough() {
    assert_eq!(read("1,2,3,4,5,6").unwrap().rows(), [Row::new(1, 2, [3.0, 4.0, 5.0, 6.0])]);
}

#[test]
fn a_score_may_be_missing_in_some_lines() {
    let rows = read("1,2,3,4,5,6\n2,2,3,4,5,6,0.5\n3,2,3,4,5,6,,1").unwrap();
    assert_eq!(rows.rows().iter().map(|row| row.score).collect::<Vec<_>>(), [1.0, 0.5, 1.0]);
}

#[test]
fn places_in_the_world_are_no_classes() {
    let rows = read("1,9,499,158,31,75,1,-4.1554,-7.3591,0\n1,10,9,8,31,75,1,-1,-1,-1\n").unwrap();
    assert!(rows.rows().iter().all(|row| row.class.is_none() && row.score == 1.0));
}

#[test]
fn csv_columns_are_found_by_name() {
    let text = "frame,track,score,h,w,y,x,id,observed\r\n3,zero,0.5,6,5,4,3,2,false\r\n";
    let expected = Row { score: 0.5, observed: false, ..Row::new(3, 2, [3.0, 4.0, 5.0, 6.0]) };
    assert_eq!(read(text).unwrap().rows(), [expected]);
}

#[test]
fn rows_come_by_frame_and_stay_in_order_within_one() {
    let rows = read("2,1,0,0,1,1\n1,9,0,0,1,1\n\n1,3,0,0,1,1\n").unwrap();
    let order: Vec<_> = rows.rows().iter().map(|row| (row.frame, row.id)).collect();
    assert_eq!(order, [(1, 9), (1, 3), (2, 1)]);
    assert_eq!(rows.frame(1).len(), 2);
    assert!(rows.frame(3).is_empty());
    assert_eq!(rows.last_frame(), 2);
}

#[test]
fn whole_numbers_may_be_written_as_decimals() {
    assert_eq!(read("1.0,2.00,3,4,5,6").unwrap().rows(), [Row::new(1, 2, [3.0, 4.0, 5.0, 6.0])]);
}

#[test]
fn frame_zero_is_refused_with_the_way_out() {
    assert_eq!(
        refusal("1,1,0,0,1,1\n0,1,0,0,1,1\n"),
        "tracks.txt, line 2: frame 0: frames start at 1 here; this looks 0-based, so add 1 to every frame"
    );
}

#[test]
fn an_id_twice_in_a_frame_is_refused_with_both_lines() {
    let text = "frame,id,x,y,w,h\n7,3,0,0,1,1\n8,3,0,0,1,1\n\n7,3,5,5,1,1\n";
    assert_eq!(refusal(text), "tracks.txt, line 5: id 3 appears twice in frame 7 (first on line 2)");
}

#[test]
fn detections_are_no_tracks() {
    let expected = "tracks.txt, line 1: id is -1, which marks detections; tracks and ground truth have ids from 0";
    assert_eq!(refusal("1,-1,0,0,1,1,0.9,-1,-1,-1"), expected);
    let expected = "tracks.txt, line 1: the header has no column `id`; needed are frame,id,x,y,w,h";
    assert_eq!(refusal("frame,x1,y1,x2,y2,score\n1,0,0,1,1,0.9\n"), expected);
}

#[test]
fn corners_in_place_of_sizes_are_refused_where_they_show() {
    let error = refusal("1,1,50,60,-10,20");
    assert!(error.starts_with("tracks.txt, line 1: w is -10, but a box can't have a negative size"), "{error}");
}

#[test]
fn bad_values_are_named() {
    for (text, expected) in [
        ("1,1,nan,0,1,1", "line 1: x is NaN; it must be a finite number within ±1e9"),
        ("1,1,0,0,inf,1", "line 1: w is inf; it must be a finite number within ±1e9"),
        ("1,1,0,0,1,1,1e10", "line 1: score is 10000000000; it must be a finite number within ±1e9"),
        ("1,1,0,0,1,1\n2,1,0,abc,1,1", "line 2: y is `abc`, which is no number"),
        ("1,1,0,0,1,1,high", "line 1: conf is `high`, which is no number"),
        ("1.5,1,0,0,1,1", "line 1: frame is `1.5`; it must be a whole number from 1"),
        ("4294967296,1,0,0,1,1", "line 1: frame is `4294967296`; it must be a whole number from 1"),
        ("1,-2,0,0,1,1", "line 1: id is `-2`; it must be a whole number from 0"),
        ("1,1,0,0,1", "line 1: has 5 columns, but 6 are needed"),
        ("frame,id,x,y,w,h,observed\n1,1,0,0,1,1,maybe", "line 2: observed is `maybe`; it must be true or false"),
        (
            "once upon a time",
            "line 1: expected `frame,id,x,y,w,h,..` as numbers or as a header, got `once upon a time`",
        ),
    ] {
        assert_eq!(refusal(text), format!("tracks.txt, {expected}"));
    }
}

#[test]
fn binary_content_is_refused_as_such() {
    let error = parse(&b"PAR1\xff\xfe\x00"[..], Path::new("tracks.txt")).unwrap_err().to_string();
    assert_eq!(error, "tracks.txt, line 1: is no text; only MOTChallenge text and CSV are read here");
    let error = read_file(Path::new("tracks.parquet")).unwrap_err().to_string();
    assert_eq!(error, "tracks.parquet: is no text; only MOTChallenge text and CSV are read here");
}

#[test]
fn a_missing_file_is_named() {
    let error = read_file(Path::new("nowhere/gt.txt")).unwrap_err();
    assert!(error.to_string().starts_with("nowhere/gt.txt: can't be read: "), "{error}");
}

#[test]
fn an_empty_file_is_an_empty_sequence() {
    assert!(read("").unwrap().is_empty());
}

/// Long enough that several threads share it.
fn long(lines: u32) -> Vec<String> {
    (1..=lines)
        .map(|line| format!("{},{},{}.123456789,5,40,90,0.5,-1,-1,-1", (line - 1) % 300 + 1, line, line))
        .collect()
}

#[test]
fn a_long_text_has_all_its_rows_and_names_the_line_at_fault_wherever_it_is() {
    let lines = long(30_000);
    let rows = read(&lines.join("\n")).unwrap();
    let mut expected: Vec<Row> = (1..=30_000_u32)
        .map(|line| {
            let x = format!("{line}.123456789").parse().unwrap();
            Row { score: 0.5, ..Row::new((line - 1) % 300 + 1, line.into(), [x, 5.0, 40.0, 90.0]) }
        })
        .collect();
    expected.sort_by_key(|row| row.frame);
    assert!(rows.rows() == expected);

    for at in [0, 1, 14_998, 14_999, 15_000, 29_999] {
        let mut faulty = lines.clone();
        faulty[at] = "7,8,wide,5,40,90".to_owned();
        // The first fault counts, also where a later piece of the text has one.
        faulty.push("nothing".to_owned());
        assert_eq!(
            refusal(&faulty.join("\n")),
            format!("tracks.txt, line {}: x is `wide`, which is no number", at + 1)
        );
        let mut twice = lines.clone();
        twice.push(lines[at].clone());
        let expected = format!("tracks.txt, line 30001: id {} appears twice in frame", at + 1);
        let error = refusal(&twice.join("\r\n"));
        assert!(error.starts_with(&expected) && error.ends_with(&format!("(first on line {})", at + 1)), "{error}");
    }
}

#[test]
fn a_byte_that_is_no_text_is_refused_with_its_line_unless_an_earlier_one_is_at_fault() {
    let mut text = long(20_000).join("\n").into_bytes();
    let place = text.len() - 3;
    let line = 20_000;
    text[place] = 0xff;
    let told = |text: &[u8]| parse(text, Path::new("tracks.txt")).unwrap_err().to_string();
    assert!(told(&text).starts_with(&format!("tracks.txt, line {line}: is no text")), "{}", told(&text));
    let bad = text.iter().position(|&byte| byte == b'.').unwrap();
    text[bad] = b'?';
    assert!(told(&text).starts_with("tracks.txt, line 1: x is `1?123456789`"), "{}", told(&text));
}
