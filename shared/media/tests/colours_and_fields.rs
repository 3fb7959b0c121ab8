//! Colours are what players show, whatever a source says of them and wherever it changes its mind; fields stay fields.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{annotate::annotate, ffmpeg, ffprobe, make, set_matrix};
use trackdrop_media::{ChunkReader, Cutter, Limits, RgbScaler, index};

/// The colour in the middle of every frame, as the detector gets it.
fn colours(path: &Path) -> Vec<[u8; 3]> {
    let video = index(path, &Limits::default()).unwrap();
    let segments = video.plan(0.5).unwrap();
    let mut cutter = Cutter::open(path, &video, &segments).unwrap();
    let chunk = path.with_extension("chunk.mkv");
    let mut colours = Vec::new();
    for segment in &segments {
        cutter.next_chunk(&chunk).unwrap();
        let window = segment.window();
        let mut reader = ChunkReader::open(&chunk, &window, &segment.frame_pts, &Limits::default(), 1).unwrap();
        let mut scaler = RgbScaler::new();
        while let Some(frame) = reader.next().unwrap() {
            let mut planes = [(); 3].map(|()| [0; 32 * 18]);
            frame.rgb_scaled_into(&mut scaler, 32, 18, planes.each_mut().map(|plane| &mut plane[..]), 32).unwrap();
            colours.push(planes.map(|plane| plane[9 * 32 + 16]));
        }
    }
    colours
}

/// Whether every frame of a video has this colour, to the rounding of YUV.
fn all_are(path: &Path, expected: [u8; 3]) {
    let found = colours(path);
    assert!(!found.is_empty());
    for (frame, colour) in found.iter().enumerate() {
        let is_near = colour.iter().zip(expected).all(|(channel, right)| channel.abs_diff(right) <= 5);
        assert!(is_near, "frame {frame}: {colour:?} for {expected:?}");
    }
}

const RED: [u8; 3] = [0xE0, 0x20, 0x40];

#[test]
fn high_definition_that_states_no_matrix_is_bt_709_and_less_is_bt_601() {
    for (size, matrix) in [("1280x720", "bt709"), ("1280x540", "bt709"), ("960x720", "bt709"), ("960x540", "bt601")] {
        // From FFmpeg 7.1 on the scaler states the matrix in its pictures, and the encoder would write it.
        let filter = format!("scale=out_color_matrix={matrix},format=yuv420p,setparams=colorspace=unknown");
        let encode = "-c:v libx264 -preset ultrafast -qp 4";
        let clip =
            make("untagged.mp4", &format!("-f lavfi -i color=0xE02040:s={size}:r=10:d=0.3 -vf {filter} {encode} OUT"));
        assert_eq!(index(&clip.path, &Limits::default()).unwrap().color.matrix, None, "{size}");
        all_are(&clip.path, RED);
    }
}

#[test]
fn a_stream_that_changes_its_matrix_and_range_keeps_its_colours() {
    let first =
        "-vf scale=out_color_matrix=smpte170m:out_range=tv,format=yuv420p -colorspace smpte170m -color_range tv";
    let second = "-vf scale=out_color_matrix=bt709:out_range=pc,format=yuvj420p -colorspace bt709 -color_range pc";
    let encode = "-c:v libx264 -preset ultrafast -qp 4 -g 5";
    let one = make("one.ts", &format!("-f lavfi -i color=0xE02040:s=320x180:r=10:d=1 {first} {encode} OUT"));
    let two = one.dir.path().join("two.ts");
    ffmpeg(&format!("-f lavfi -i color=0xE02040:s=320x180:r=10:d=1 {second} {encode} -output_ts_offset 1 OUT"), &two);
    let both = one.dir.path().join("both.ts");
    std::fs::write(&both, [std::fs::read(&one.path).unwrap(), std::fs::read(&two).unwrap()].concat()).unwrap();
    all_are(&both, RED);
    // And so has what is drawn on: away from the mark and its label.
    let out = one.dir.path().join("annotated.mp4");
    annotate(&both, &out, 0.5);
    assert_eq!(colours(&out).len(), 20);
    all_are(&out, RED);
}

#[test]
fn an_interlaced_source_is_annotated_in_its_fields() {
    for (order, matrix, expected) in [
        ("tff", [1, 0, 0, 1], "tt"),
        ("bff", [1, 0, 0, 1], "bb"),
        // The last row comes first.
        ("tff", [-1, 0, 0, -1], "bb"),
        // Fields that a rotation turned into columns can't be stated.
        ("tff", [0, -1, 1, 0], "progressive"),
    ] {
        let fields = format!("-vf setfield={order} -flags +ildct+ilme -x264-params {order}=1");
        let encode = format!("-c:v libx264 -preset ultrafast {fields}");
        let clip =
            make("fields.mp4", &format!("-f lavfi -i testsrc2=s=320x192:r=25:d=0.6 {encode} -pix_fmt yuv420p OUT"));
        set_matrix(&clip.path, matrix);
        let out = clip.dir.path().join("annotated.mp4");
        annotate(&clip.path, &out, 10.0);
        let said = ffprobe(&["-show_entries", "stream=field_order", "-of", "csv=p=0"], &out);
        assert_eq!(said.trim(), expected, "{order}, {matrix:?}");
        let frames = ffprobe(&["-show_entries", "frame=interlaced_frame", "-of", "csv=p=0"], &out);
        let interlaced = frames.lines().filter(|line| line.starts_with('1')).count();
        assert_eq!(interlaced, if expected == "progressive" { 0 } else { 15 }, "{order}, {matrix:?}");
    }
    // H.264 has no fields of this number of rows.
    let encode = "-vf setfield=tff -c:v mpeg2video -flags +ildct+ilme";
    let clip = make("rows.ts", &format!("-f lavfi -i testsrc2=s=320x190:r=25:d=0.6 {encode} OUT"));
    let out = clip.dir.path().join("annotated.mp4");
    annotate(&clip.path, &out, 10.0);
    assert_eq!(ffprobe(&["-show_entries", "stream=field_order", "-of", "csv=p=0"], &out).trim(), "progressive");
}
