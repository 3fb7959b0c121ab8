//! Frames come upright however they are stored, for the detector and for drawing, wherever the file says how.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
};

use common::{Clip, annotate::annotate, ffmpeg, make, set_matrix};
use trackdrop_media::{ChunkReader, Limits, Orientation, RgbScaler, Turn, VideoIndex, cut, index};

/// A name, and the display matrix a, b, c, d.
const MATRICES: [(&str, [i32; 4]); 8] = [
    ("0", [1, 0, 0, 1]),
    ("90", [0, 1, -1, 0]),
    ("180", [-1, 0, 0, -1]),
    ("270", [0, -1, 1, 0]),
    ("0, mirrored", [-1, 0, 0, 1]),
    ("90, mirrored", [0, -1, -1, 0]),
    ("180, mirrored", [1, 0, 0, -1]),
    ("270, mirrored", [0, 1, 1, 0]),
];

/// The first frame as the ffmpeg command shows it: width, height, RGB of u8 [H, W, 3].
fn shown_by_ffmpeg(path: &Path) -> (u32, u32, Vec<u8>) {
    let out = path.with_extension("ppm");
    // As our scaler is set.
    ffmpeg(
        &format!(
            "-i {} -frames:v 1 -pix_fmt rgb24 -sws_flags bilinear+accurate_rnd+full_chroma_int OUT",
            path.display()
        ),
        &out,
    );
    let bytes = fs::read(&out).unwrap();
    let mut words = bytes.split(u8::is_ascii_whitespace).map(|word| String::from_utf8_lossy(word).into_owned());
    assert_eq!(words.next().unwrap(), "P6");
    let [width, height] = [(); 2].map(|()| words.next().unwrap().parse::<u32>().unwrap());
    (width, height, bytes[bytes.len() - (width * height * 3) as usize..].to_vec())
}

/// The first frame of a source's first chunk, as the detector gets it: width, height, RGB of u8 [H, W, 3].
fn first_frame(path: &Path) -> (VideoIndex, u32, u32, Vec<u8>) {
    let video = index(path, &Limits::default()).unwrap();
    let segment = &video.plan(f64::INFINITY).unwrap()[0];
    let chunk = path.with_extension("chunk.mkv");
    cut(path, &video, segment, &chunk).unwrap();
    let window = segment.window();
    let reader = ChunkReader::open(&chunk, &window, &segment.frame_pts, &Limits::default(), 1).unwrap();
    let frame = reader.with_orientation(video.orientation).next().unwrap().unwrap();
    let (width, height) = (frame.width(), frame.height());
    let mut planes = [(); 3].map(|()| vec![0; (width * height) as usize]);
    let rgb = planes.each_mut().map(Vec::as_mut_slice);
    frame.rgb_scaled_into(&mut RgbScaler::new(), width, height, rgb, width as usize).unwrap();
    let pixels = (0..(width * height) as usize).flat_map(|pixel| [0, 1, 2].map(|plane| planes[plane][pixel])).collect();
    (video, width, height, pixels)
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

/// The frame has the size and the pixels that the ffmpeg command shows.
fn is_as_ffmpeg_shows_it(name: &str, path: &Path) -> Orientation {
    let (video, width, height, pixels) = first_frame(path);
    let (shown_width, shown_height, shown) = shown_by_ffmpeg(path);
    assert_eq!((width, height), (shown_width, shown_height), "{name}");
    let difference = mean_difference(&pixels, &shown);
    // Along the edges of colours the two interpolate differently; another orientation differs by tens.
    assert!(difference < 6.0, "{name}: {difference}");
    assert!(video.warnings.is_empty(), "{name}: {:?}", video.warnings);
    video.orientation
}

/// A picture of which no turned or mirrored version looks like it.
fn picture(size: &str, format: &str, encode: &str, name: &str) -> Clip {
    make(name, &format!("-f lavfi -i testsrc2=s={size}:r=10:d=0.5,format={format} {encode} OUT"))
}

#[test]
fn a_frame_is_as_ffmpeg_shows_it_for_each_display_matrix() {
    for (size, format, encode, file) in [
        ("160x90", "yuv420p", "-c:v libx264 -qp 10", "a.mp4"),
        ("161x91", "yuv420p", "-c:v mpeg4 -q:v 2", "odd.mov"),
        ("150x90", "yuv422p10le", "-c:v prores_ks", "deep.mov"),
        ("161x91", "yuv444p", "-c:v libx264 -qp 10", "odd.mp4"),
    ] {
        let clip = picture(size, format, encode, file);
        let mut seen = Vec::new();
        for (name, matrix) in MATRICES {
            set_matrix(&clip.path, matrix);
            let orientation = is_as_ffmpeg_shows_it(&format!("{name}, {file}"), &clip.path);
            assert!(!seen.contains(&orientation), "{name}: {orientation}");
            seen.push(orientation);
        }
    }
}

/// By the message of H.264 that a container may know nothing of.
#[test]
fn a_frame_is_as_ffmpeg_shows_it_if_the_pictures_state_their_own_orientation() {
    let clip = picture("160x90", "yuv420p", "-c:v libx264 -qp 10", "a.mp4");
    for (ending, turned) in [("mp4", "rotate=90"), ("mkv", "rotate=180"), ("ts", "rotate=270:flip=horizontal")] {
        let says = clip.dir.path().join(format!("says.{ending}"));
        let filter = format!("-c copy -bsf:v h264_metadata=display_orientation=insert:{turned}");
        ffmpeg(&format!("-i {} {filter} OUT", clip.path.display()), &says);
        let orientation = is_as_ffmpeg_shows_it(turned, &says);
        assert!(!orientation.is_upright(), "{turned}");
    }
    // Where both speak, and not of the same, players go by the container.
    let both = clip.dir.path().join("both.mp4");
    let filter = "-c copy -bsf:v h264_metadata=display_orientation=insert:rotate=90";
    ffmpeg(&format!("-i {} {filter} OUT", clip.path.display()), &both);
    set_matrix(&both, [-1, 0, 0, -1]);
    let video = index(&both, &Limits::default()).unwrap();
    assert_eq!(video.orientation, Orientation { mirrored: false, turn: Turn::Half });
    assert!(video.warnings[0].contains("the container is followed"), "{:?}", video.warnings);
}

/// Puts what Matroska has for it into the description of the only track. `-live 1` and `-write_crc32 0` leave nothing that would have to be changed
/// with it but sizes.
fn with_roll(file: &Path, yaw: f64, roll: f64) -> PathBuf {
    let bytes = fs::read(file).unwrap();
    let mut projection = vec![0x76, 0x71, 0x81, 0];
    for (id, angle) in [(0x73, yaw), (0x74, 0.0), (0x75, roll)] {
        projection.extend([0x76, id, 0x88]);
        projection.extend(angle.to_be_bytes());
    }
    let mut element = vec![0x76, 0x70, 0x80 | projection.len() as u8];
    element.extend(projection);
    let segment = child(&bytes, 0, 0x1853_8067);
    let (head, rest) = bytes.split_at(segment.end);
    let patched = [head, &with_element(rest, &[0x1654_ae6b, 0xae, 0xe0], &element)].concat();
    let out = file.with_extension("roll.mkv");
    fs::write(&out, patched).unwrap();
    out
}

/// The elements with another one at the end of the innermost of a path.
fn with_element(elements: &[u8], path: &[usize], element: &[u8]) -> Vec<u8> {
    let Some((&id, rest)) = path.split_first() else { return [elements, element].concat() };
    let size = child(elements, 0, id);
    let end = size.end + number(elements, size.clone());
    let inner = with_element(&elements[size.end..end], rest, element);
    let marked = (inner.len() as u64 | 1 << 56).to_be_bytes();
    [&elements[..size.start], &marked, &inner, &elements[end..]].concat()
}

/// Where the size of the first element of this id is written, among those from a place on; its body follows.
fn child(bytes: &[u8], from: usize, id: usize) -> Range<usize> {
    let vint = |at: usize| at..at + bytes[at].leading_zeros() as usize + 1;
    let mut at = from;
    loop {
        let name = vint(at);
        let size = vint(name.end);
        if bytes[name].iter().fold(0, |value, &byte| value << 8 | usize::from(byte)) == id {
            return size;
        }
        at = size.end + number(bytes, size);
    }
}

/// The number in there, without the bit that marks its length.
fn number(bytes: &[u8], size: Range<usize>) -> usize {
    let length = size.len();
    bytes[size].iter().fold(0, |value, &byte| value << 8 | usize::from(byte)) & ((1 << (7 * length)) - 1)
}

#[test]
fn a_frame_is_as_ffmpeg_shows_it_where_matroska_says_that_it_is_projected_turned() {
    let clip = picture("160x90", "yuv420p", "-c:v libx264 -qp 10 -live 1 -write_crc32 0", "a.mkv");
    let mut seen = Vec::new();
    for (yaw, roll) in [(0.0, 90.0), (0.0, 180.0), (0.0, -90.0), (180.0, 0.0), (180.0, 90.0)] {
        let rolled = with_roll(&clip.path, yaw, roll);
        let orientation = is_as_ffmpeg_shows_it(&format!("yaw {yaw}, roll {roll}"), &rolled);
        assert!(!orientation.is_upright() && !seen.contains(&orientation), "yaw {yaw}, roll {roll}: {orientation}");
        seen.push(orientation);
    }
}

/// Each picture of a video as the ffmpeg command decodes it, u8 [H, W] of luma, colours behind it.
fn pictures(path: &Path) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-noautorotate", "-i"]).arg(path);
    let output = command.args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn the_annotated_video_is_stored_upright_with_upright_labels() {
    // What ffmpeg stores turned, and how it does; drawing must give what it gives on the upright video.
    let turns = ["", "transpose=cclock", "hflip,vflip", "transpose=clock", "hflip", "transpose=cclock,hflip", "vflip"];
    let turns = turns.iter().copied().chain(["transpose=clock,hflip"]);
    let upright = picture("200x152", "yuv420p", "-c:v libx264 -qp 4", "upright.mp4");
    let out = upright.dir.path().join("annotated.mp4");
    annotate(&upright.path, &out, 10.0);
    let expected = pictures(&out);
    for ((name, matrix), turn) in MATRICES.into_iter().zip(turns) {
        let filter = if turn.is_empty() { String::new() } else { format!("-vf {turn}") };
        let stored = upright.dir.path().join("stored.mp4");
        ffmpeg(&format!("-i {} {filter} -c:v libx264 -qp 4 OUT", upright.path.display()), &stored);
        set_matrix(&stored, matrix);
        annotate(&stored, &out, 10.0);
        let again = index(&out, &Limits::default()).unwrap();
        assert_eq!((again.width, again.height, again.orientation), (200, 152, Orientation::UPRIGHT), "{name}");
        let difference = mean_difference(&pictures(&out), &expected);
        assert!(difference < 1.0, "{name}: {difference}");
    }
}
