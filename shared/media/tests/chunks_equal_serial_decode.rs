//! However a video is cut, its chunks decode to exactly the frames of a serial decode: same pixels, same times.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{PICTURE, Shown, chunked_decode, ffprobe, make, serial_decode};
use trackdrop_media::{Limits, VerifyOptions, VideoIndex, index, verify};

/// Compares every segment length with FFmpeg's own decode; returns the index for further checks.
fn equals_serial_decode(path: &Path) -> VideoIndex {
    let video = index(path, &Limits::default()).unwrap();
    check_all_lengths(path, &video, &serial_decode(path, video.time_base));
    video
}

fn check_all_lengths(path: &Path, video: &VideoIndex, expected: &[Shown]) {
    assert_eq!(video.frame_count() as usize, expected.len());
    for target in [0.5, 2.0, f64::INFINITY] {
        let segments = video.plan(target).unwrap();
        assert_eq!(segments[0].span.start_pts, video.shown_start_pts);
        assert_eq!(segments.last().unwrap().span.end_pts, video.shown_end_pts);
        assert!(segments.windows(2).all(|w| w[0].span.end_pts == w[1].span.start_pts), "no hole, no overlap");
        assert_eq!(segments.iter().map(|s| s.span.frame_count).sum::<u64>(), video.frame_count());
        let (frames, reports) = chunked_decode(path, video, target);
        for (segment, report) in segments.iter().zip(&reports) {
            assert_eq!(report.damaged, Vec::<i64>::new(), "segment {} of {target} s", segment.number);
            assert_eq!(report.frames, segment.span.frame_count);
        }
        if let Some(at) = frames.iter().zip(expected).position(|(a, b)| a != b) {
            panic!("{target} s: frame {at} is {:?}, not {:?}", frames[at], expected[at]);
        }
        assert_eq!(frames.len(), expected.len(), "{target} s");
    }
}

#[test]
fn closed_gop_h264() {
    let clip = make("closed.mp4", &format!("{PICTURE} -c:v libx264 -g 12 -bf 2 -x264-params open-gop=0 OUT"));
    let video = equals_serial_decode(&clip.path);
    assert_eq!(video.plan(0.5).unwrap().len(), 5, "groups of 0.4 s make segments of 0.8 s");
    assert_eq!(video.frame_pts[0], 0, "the encoder's delay of two pictures is hidden by an edit list");
}

#[test]
fn open_gop_h264_with_b_frames() {
    for name in ["open.mp4", "open.mkv", "open.ts"] {
        let clip = make(
            name,
            &format!("{PICTURE} -c:v libx264 -g 12 -bf 3 -x264-params open-gop=1:b-pyramid=normal:scenecut=0 OUT"),
        );
        let video = equals_serial_decode(&clip.path);
        assert!(video.keyframes.iter().any(|k| k.has_leading_pictures), "{name} really has open GOPs");
    }
}

/// A chunk's reorder depth is not guessed by decoding its first pictures, so what states none must come out whole all the same.
#[test]
fn h264_that_does_not_state_its_reorder_depth() {
    let options = "-c:v libx264 -g 12 -bf 4 -x264-params open-gop=1:b-pyramid=normal:b-adapt=0:scenecut=0";
    let clip = make("silent.mkv", &format!("{PICTURE} {options} OUT"));
    assert!(ffprobe(&["-show_entries", "stream=has_b_frames"], &clip.path).contains("has_b_frames=2"));
    let mut bytes = std::fs::read(&clip.path).unwrap();
    leave_out_usability_information(&mut bytes);
    std::fs::write(&clip.path, bytes).unwrap();
    let video = equals_serial_decode(&clip.path);
    assert!(video.keyframes.iter().any(|k| k.has_leading_pictures));
    assert!(video.plan(0.5).unwrap().len() > 3);
}

/// Ends a Matroska file's one sequence parameter set where the usability information would begin, which states the reorder depth.
fn leave_out_usability_information(mkv: &mut [u8]) {
    // Version 1, profile High, ..., lengths of four bytes, one parameter set, its length, its type.
    let start = mkv.windows(9).position(|w| w[..2] == [1, 100] && w[4..6] == [0xff, 0xe1] && w[8] == 0x67).unwrap() + 8;
    let length = usize::from(u16::from_be_bytes([mkv[start - 2], mkv[start - 1]]));
    let mut set = Bits { bytes: &mut mkv[start..start + length], at: 8 + 24 };
    set.skip_numbers(4); // id, 4:2:0, depths
    assert_eq!([set.bit(), set.bit()], [0, 0], "no bypass, no scaling matrices");
    set.skip_numbers(1); // frame numbers
    assert_eq!(set.number(), 0, "order counts of type 0");
    set.skip_numbers(2); // order counts, reference frames
    set.bit(); // gaps
    set.skip_numbers(2); // width, height
    assert_eq!(set.bit(), 1, "frames only");
    set.bit(); // direct
    if set.bit() == 1 {
        set.skip_numbers(4); // cropping
    }
    let at = set.at;
    assert_eq!(set.bit(), 1, "usability information follows");
    // Instead: none follows, the end.
    set.set(at, 0);
    set.set(at + 1, 1);
    (at + 2..8 * length).for_each(|at| set.set(at, 0));
}

struct Bits<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> u8 {
        self.at += 1;
        self.bytes[(self.at - 1) / 8] >> (7 - (self.at - 1) % 8) & 1
    }

    fn set(&mut self, at: usize, bit: u8) {
        let shift = 7 - at % 8;
        self.bytes[at / 8] = self.bytes[at / 8] & !(1 << shift) | bit << shift;
    }

    /// An Exp-Golomb code.
    fn number(&mut self) -> u32 {
        let mut length = 0;
        while self.bit() == 0 {
            length += 1;
        }
        (0..length).fold(1, |value, _| value << 1 | u32::from(self.bit())) - 1
    }

    fn skip_numbers(&mut self, count: usize) {
        for _ in 0..count {
            self.number();
        }
    }
}

#[test]
fn hevc_with_open_gops() {
    for name in ["hevc.mp4", "hevc.mkv"] {
        let clip = make(name, &format!("{PICTURE} -c:v libx265 -g 12 -x265-params log-level=none:keyint=12 OUT"));
        let video = equals_serial_decode(&clip.path);
        assert!(video.keyframes.iter().any(|k| k.has_leading_pictures), "{name} really has open GOPs");
    }
}

#[test]
fn variable_rate_with_gaps() {
    for name in ["vfr.mp4", "vfr.mkv"] {
        let clip = make(
            name,
            &format!(
                "{PICTURE} -vf select=not(between(n\\,40\\,70))*not(eq(mod(n\\,7)\\,3)) -fps_mode vfr -c:v libx264 -g 10 OUT"
            ),
        );
        let video = equals_serial_decode(&clip.path);
        let gap = video.frame_pts.windows(2).map(|w| w[1] - w[0]).max().unwrap();
        assert!(gap as f64 * video.time_base.to_f64() > 1.0, "the gap of a second is kept");
    }
}

#[test]
fn mpeg4_and_mjpeg_avi_without_presentation_times() {
    for (name, codec) in [("m4.avi", "mpeg4 -g 10"), ("mj.avi", "mjpeg"), ("ms.avi", "msmpeg4v3 -g 10")] {
        let clip = make(name, &format!("{PICTURE} -c:v {codec} -q:v 5 OUT"));
        equals_serial_decode(&clip.path);
    }
}

#[test]
fn reordered_avi_gets_times_in_the_order_of_its_pictures() {
    for (name, codec) in [("b4.avi", "mpeg4 -g 10 -bf 2"), ("b264.avi", "libx264 -g 10 -bf 2")] {
        let clip = make(name, &format!("{PICTURE} -c:v {codec} OUT"));
        let video = index(&clip.path, &Limits::default()).unwrap();
        // FFmpeg itself gives these pictures the times of later packets; only the pixels can be compared.
        let expected: Vec<Shown> = serial_decode(&clip.path, video.time_base)
            .into_iter()
            .zip(&video.frame_pts)
            .map(|(f, &ticks)| Shown { ticks, ..f })
            .collect();
        assert_eq!(expected.len(), 120, "{name}");
        check_all_lengths(&clip.path, &video, &expected);
        assert_eq!(*video.frame_pts, (0..120).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn an_edit_list_hides_what_was_trimmed() {
    let clip = make("whole.mp4", &format!("{PICTURE} -c:v libx264 -g 40 -bf 2 OUT"));
    let trimmed = clip.dir.path().join("trimmed.mp4");
    common::ffmpeg(&format!("-ss 1.7 -i {} -t 1.5 -c copy OUT", clip.path.display()), &trimmed);
    let video = equals_serial_decode(&trimmed);
    assert!(video.packet_pts().len() > video.frame_pts.len(), "some stored pictures are hidden");
}

/// FFmpeg begins at the first packet of the edit that is called a key frame, and makes up what its picture refers to.
#[test]
fn pictures_come_out_unchanged_where_an_edit_list_hides_their_entry_point() {
    let encoder = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=60:bframes=3";
    let clip = make("true.mp4", &format!("{PICTURE} -t 2 {encoder} -bsf:v setts=pts=DTS OUT"));
    let lies = clip.dir.path().join("lies.mp4");
    std::fs::copy(&clip.path, &lies).unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let lied = std::process::Command::new(format!("{root}/scripts/container-lies"))
        .args(["keys", "all"])
        .arg(&lies)
        .status()
        .unwrap();
    assert!(lied.success());
    let video = index(&lies, &Limits::default()).unwrap();
    assert!(video.packet_pts().len() > video.frame_pts.len(), "the entry point is hidden");
    let shown = common::ffmpeg_md5(&format!("-i {}", clip.path.display()));
    let (frames, _) = chunked_decode(&lies, &video, 0.5);
    assert_eq!(frames.into_iter().map(|frame| frame.md5).collect::<Vec<_>>(), shown);
    let options = VerifyOptions { segment_seconds: 0.5, limits: Limits::default(), threads: 2 };
    let verified = verify(&lies, &options, clip.dir.path()).unwrap();
    assert!(verified.is_exact(), "{:?}", verified.first_difference);
}

#[test]
fn a_video_that_starts_late_keeps_its_delay() {
    let sound = "-f lavfi -i sine=d=4";
    let clip = make(
        "late.mp4",
        &format!("{PICTURE} {sound} -vf setpts=PTS+0.5/TB -fps_mode passthrough -c:v libx264 -g 15 -bf 2 -c:a aac OUT"),
    );
    let video = equals_serial_decode(&clip.path);
    let start = (video.shown_start_pts - video.origin_pts) as f64 * video.time_base.to_f64();
    assert!((start - 0.5).abs() < 0.001, "{start}");
}

#[test]
fn av1_prores_and_others_in_their_usual_containers() {
    for (name, options) in [
        ("av1.mp4", "-c:v libsvtav1 -g 15 -preset 12"),
        ("prores.mov", "-c:v prores -pix_fmt yuv422p10le"),
        ("fragments.mp4", "-c:v libx264 -g 15 -bf 2 -movflags frag_keyframe+empty_moov"),
        ("flash.flv", "-c:v flv1 -g 15"),
        ("windows.wmv", "-c:v wmv2 -g 15"),
        ("theora.ogv", "-c:v libtheora -g 15"),
        ("material.mxf", "-c:v mpeg2video -g 12 -bf 2"),
    ] {
        equals_serial_decode(&make(name, &format!("{PICTURE} -t 2 {options} OUT")).path);
    }
}

#[test]
fn mpeg_transport_stream() {
    let clip = make("clip.ts", &format!("{PICTURE} -c:v libx264 -g 15 -bf 2 OUT"));
    let video = equals_serial_decode(&clip.path);
    assert_eq!(video.origin_pts, video.shown_start_pts);
}

#[test]
fn mpeg2_with_leading_pictures() {
    for name in ["m2.ts", "m2.mpg"] {
        let clip = make(name, &format!("{PICTURE} -c:v mpeg2video -g 12 -bf 2 OUT"));
        equals_serial_decode(&clip.path);
    }
}

#[test]
fn vp8_and_vp9_webm() {
    for (name, codec) in [("vp9.webm", "libvpx-vp9"), ("vp8.webm", "libvpx")] {
        let clip = make(
            name,
            &format!(
                "{PICTURE} -c:v {codec} -g 15 -b:v 200k -deadline realtime -cpu-used 4 -auto-alt-ref 1 -lag-in-frames 10 OUT"
            ),
        );
        equals_serial_decode(&clip.path);
    }
}

/// `vtest.avi` of Debian's package opencv-doc: 768x576, MS MPEG-4, no presentation times. `scripts/demo` fetches it.
#[test]
fn vtest_avi_has_795_frames_for_any_segment_length() {
    let cache = std::env::var_os("TRACKDROP_CACHE").map(std::path::PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/trackdrop"));
    let clip = cache.or(home).map(|cache| cache.join("clips/vtest.avi"));
    let Some(clip) = clip.filter(|clip| clip.exists()) else {
        println!("SKIPPED: no clips/vtest.avi in the cache; scripts/demo fetches it");
        return;
    };
    let video = equals_serial_decode(&clip);
    assert_eq!(video.frame_count(), 795);
    assert_eq!(*video.frame_pts, (0..795).collect::<Vec<_>>());
}

/// The last chunk holds a key frame, its leading pictures and little more: the decoder is flushed before it is sure of them.
#[test]
fn a_short_last_segment_of_open_gop_video_is_whole() {
    for pictures in [145, 146, 147, 150] {
        let clip = make(
            "short-end.mp4",
            &format!(
                "-f lavfi -i testsrc2=s=160x120:r=25 -frames:v {pictures} -c:v libx264 -preset veryfast -bf 3 -g 12 \
                 -x264-params open-gop=1:scenecut=0 OUT"
            ),
        );
        equals_serial_decode(&clip.path);
    }
}

#[test]
fn ntsc_rate_is_exact() {
    let clip = make("ntsc.mp4", "-f lavfi -i testsrc2=s=320x180:r=30000/1001:d=4 -c:v libx264 -g 15 OUT");
    let video = equals_serial_decode(&clip.path);
    assert_eq!((video.frame_rate.num(), video.frame_rate.den()), (30000, 1001));
}

#[test]
fn a_thousand_pictures_per_second_keep_their_times() {
    let clip = make("fast.mp4", "-f lavfi -i testsrc2=s=64x64:r=3000:d=0.1 -c:v libx264 -g 30 -bf 2 OUT");
    equals_serial_decode(&clip.path);
}

#[test]
fn a_gradual_refresh_is_never_cut_by_copy() {
    let clip = make("refresh.ts", &format!("{PICTURE} -c:v libx264 -g 30 -bf 0 -x264-params intra-refresh=1 OUT"));
    let video = equals_serial_decode(&clip.path);
    // There is one whole picture, the first: what is shorter than the whole is re-encoded.
    assert!(video.plan(0.5).unwrap().iter().all(|segment| segment.is_reencoded));
    let whole = video.plan(f64::INFINITY).unwrap();
    assert!(whole.len() == 1 && !whole[0].is_reencoded, "{whole:?}");
}
