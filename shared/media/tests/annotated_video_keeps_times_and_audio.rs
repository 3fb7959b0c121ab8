//! The annotated video has the source's frames at the source's times, and the source's audio bit by bit.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};

use common::{PICTURE, annotate::annotate, ffprobe, make, serial_decode};
use trackdrop_media::{Canvas, JoinPart, JoinReport, Limits, Rational, SegmentEncoder, VideoIndex, index, join};

/// Times at which a player shows the frames, as exact ticks of `time_base`.
fn shown_times(path: &Path, time_base: Rational) -> Vec<i64> {
    serial_decode(path, time_base).into_iter().map(|f| f.ticks).collect()
}

/// The annotated video's times are the source's, relative to the presentation's time 0.
fn keeps_times(source: &Path) -> (tempfile::TempDir, PathBuf, VideoIndex, JoinReport) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("annotated.mp4");
    let (video, report, given) = annotate(source, &out, 1.0);
    assert_eq!(given, *video.frame_pts);
    let expected: Vec<i64> = video.frame_pts.iter().map(|pts| pts - video.origin_pts).collect();
    assert_eq!(shown_times(&out, video.time_base), expected);
    (dir, out, video, report)
}

fn audio_md5(path: &Path, stream: &str) -> String {
    let output = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args(["-map", stream, "-c", "copy", "-f", "md5", "-"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

const SOUND: &str = "-f lavfi -i sine=f=440:d=4";

#[test]
fn mp4_with_aac() {
    let clip = make("in.mp4", &format!("{PICTURE} {SOUND} -c:v libx264 -g 15 -bf 2 -c:a aac OUT"));
    let (_dir, out, _, report) = keeps_times(&clip.path);
    assert!(report.audio_packets > 100);
    assert_eq!(report.audio_left_out, None);
    assert_eq!(audio_md5(&clip.path, "0:a"), audio_md5(&out, "0:a"));
    let streams = ffprobe(&["-show_entries", "stream=codec_type", "-of", "csv=p=0"], &out);
    assert_eq!(streams.split_whitespace().collect::<Vec<_>>(), ["video", "audio"]);
    for path in [&clip.path, &out] {
        let start = ffprobe(&["-select_streams", "a", "-show_entries", "stream=start_time", "-of", "csv=p=0"], path);
        assert_eq!(start.trim(), "0.000000", "the audio starts with the picture");
    }
}

#[test]
fn ntsc_rate_and_variable_rate() {
    keeps_times(&make("n.mp4", "-f lavfi -i testsrc2=s=320x180:r=30000/1001:d=3 -c:v libx264 -g 15 OUT").path);
    let gaps = format!("{PICTURE} -vf select=not(between(n\\,40\\,70)) -fps_mode vfr -c:v libx264 -g 10 OUT");
    keeps_times(&make("vfr.mkv", &gaps).path);
}

#[test]
fn avi_with_ten_ticks_per_second() {
    let clip = make(
        "in.avi",
        &format!("-f lavfi -i testsrc2=s=320x180:r=10:d=4 {SOUND} -c:v mpeg4 -g 10 -c:a libmp3lame OUT"),
    );
    let (_dir, out, _, report) = keeps_times(&clip.path);
    assert!(report.audio_packets > 50);
    assert_eq!(audio_md5(&clip.path, "0:a"), audio_md5(&out, "0:a"));
}

#[test]
fn transport_stream_audio_stays_in_sync() {
    let clip = make("in.ts", &format!("{PICTURE} {SOUND} -c:v libx264 -g 15 -bf 2 -c:a aac OUT"));
    let (_dir, out, video, report) = keeps_times(&clip.path);
    assert!(report.audio_packets > 100);
    let first = |path: &Path| -> f64 {
        let times = ffprobe(&["-select_streams", "a", "-show_entries", "packet=pts_time", "-of", "csv=p=0"], path);
        times.split_whitespace().nth(9).unwrap().trim_matches(',').parse().unwrap()
    };
    let origin = video.origin_pts as f64 * video.time_base.to_f64();
    assert!((first(&clip.path) - origin - first(&out)).abs() < 0.001);
}

/// Seconds of each packet of a stream, on the clock that a player shows.
fn packet_times_s(path: &Path, stream: &str) -> Vec<f64> {
    let times = ffprobe(&["-select_streams", stream, "-show_entries", "packet=pts_time", "-of", "csv=p=0"], path);
    let mut times: Vec<f64> = times.split_whitespace().filter_map(|time| time.trim_matches(',').parse().ok()).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// From the first picture to each packet of sound. An MP4's clock begins where its picture or sound does, a transport stream's anywhere.
fn sound_against_picture_s(path: &Path) -> Vec<f64> {
    let picture = serial_decode(path, Rational::of(1, 90_000_000));
    let first = picture[0].ticks as f64 / 90e6;
    packet_times_s(path, "a:0").into_iter().map(|time| time - first).collect()
}

#[test]
fn sound_keeps_its_place_within_one_of_its_frames_in_every_container() {
    let late_sound = "-itsoffset 0.7 -f lavfi -i sine=f=440:d=4:r=48000";
    let sound = "-f lavfi -i sine=f=440:r=48000";
    for (what, inputs, filter) in [
        ("late", late_sound.to_owned(), ""),
        ("longer", format!("{sound}:d=6"), ""),
        ("shorter", format!("{sound}:d=2"), ""),
        ("before the picture", format!("{sound}:d=4"), "-vf setpts=PTS+0.5/TB -fps_mode passthrough"),
    ] {
        for (container, audio) in
            [("mp4", "aac"), ("mov", "aac"), ("mkv", "aac"), ("mkv", "libopus"), ("ts", "aac"), ("ts", "libmp3lame")]
        {
            let options = format!("{filter} -c:v libx264 -g 15 -bf 2 -c:a {audio} OUT");
            let clip = make(&format!("in.{container}"), &format!("{PICTURE} {inputs} {options}"));
            let (_dir, out, _, report) = keeps_times(&clip.path);
            let case = format!("{what}, {container}, {audio}");
            assert_eq!(report.audio_left_out, None, "{case}");
            // In a transport stream each packet of AAC begins with a header, of which an MP4 has one for all.
            let bare = clip.dir.path().join("sound.mka");
            let filter = if (container, audio) == ("ts", "aac") { "-bsf:a aac_adtstoasc" } else { "" };
            common::ffmpeg(&format!("-i {} -map 0:a -c copy {filter} OUT", clip.path.display()), &bare);
            assert_eq!(audio_md5(&bare, "0:a"), audio_md5(&out, "0:a"), "{case}: bit by bit");
            let (source, annotated) = (sound_against_picture_s(&clip.path), sound_against_picture_s(&out));
            assert!(source.len() > 50 && source.len() == annotated.len(), "{case}");
            // The longest of the three codecs' frames: 1152 samples at 48 kHz.
            let frame_s = 1152.0 / 48_000.0;
            let apart = source.iter().zip(&annotated).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart < frame_s, "{case}: the sound moved by {apart} s");
        }
    }
}

#[test]
fn the_time_of_recording_is_carried_over() {
    for name in ["in.mp4", "in.mov", "in.mkv"] {
        let clip = make(name, &format!("{PICTURE} -t 1 -c:v libx264 -metadata creation_time=2021-03-04T05:06:07Z OUT"));
        let (_dir, out, video, _) = keeps_times(&clip.path);
        assert_eq!(video.creation_time.as_deref(), Some("2021-03-04T05:06:07.000000Z"), "{name}");
        assert_eq!(index(&out, &Limits::default()).unwrap().creation_time, video.creation_time, "{name}");
    }
    let clip = make("in.ts", &format!("{PICTURE} -t 1 -c:v libx264 OUT"));
    let (_dir, out, video, _) = keeps_times(&clip.path);
    assert_eq!((video.creation_time, index(&out, &Limits::default()).unwrap().creation_time), (None, None));
}

#[test]
fn more_than_10_000_segments_are_joined_in_the_order_of_their_numbers() {
    let clip = make("in.mkv", "-f lavfi -i testsrc2=s=16x16:r=25 -frames:v 10050 -c:v mjpeg OUT");
    let video = index(&clip.path, &Limits::default()).unwrap();
    let segments = video.plan(0.04).unwrap();
    assert_eq!(segments.len(), 10_050);
    let numbers: Vec<u32> = segments.iter().map(|segment| segment.number).collect();
    assert_eq!(numbers, (0..10_050).collect::<Vec<_>>());
    // As objects they have names; a listing returns the segments in the same order.
    let request = "req_abcdefgh_20260102T030405".parse().unwrap();
    let names: Vec<String> = numbers
        .iter()
        .map(|&number| {
            let number = trackdrop_pipeline::SegmentNumber::new(number.into()).unwrap();
            trackdrop_pipeline::names::PerSegment::Annotated.object(&request, number).name
        })
        .collect();
    assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]));

    // One picture serves for all of them: what differs is when it is shown.
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("part.mp4"), dir.path().join("annotated.mp4"));
    let params = video.video_params();
    let mut encoder = SegmentEncoder::create(&file, &params, &segments[0].window(), 1).unwrap();
    encoder.write(&mut Canvas::new(&params).unwrap(), segments[0].span.start_pts).unwrap();
    encoder.finish().unwrap();
    let parts: Vec<_> = segments.iter().map(|s| JoinPart { path: &file, start_pts: s.span.start_pts }).collect();
    assert_eq!(join(&parts, None, &params, &out).unwrap().video_frames, 10_050);
    let joined = index(&out, &Limits::default()).unwrap();
    let seconds = |video: &VideoIndex| -> Vec<f64> {
        let since = |pts: &i64| (pts - video.frame_pts[0]) as f64 * video.time_base.to_f64();
        video.frame_pts.iter().map(|pts| (since(pts) * 1e6).round()).collect()
    };
    assert_eq!(seconds(&joined), seconds(&video));
    let mut swapped = parts;
    swapped.swap(9_999, 10_000);
    assert!(join(&swapped, None, &params, &out).is_err(), "another order is refused");
}

#[test]
fn an_edited_mp4_keeps_what_is_shown() {
    let clip = make("whole.mp4", &format!("{PICTURE} {SOUND} -c:v libx264 -g 40 -bf 2 -c:a aac OUT"));
    let trimmed = clip.dir.path().join("trimmed.mp4");
    common::ffmpeg(&format!("-ss 1.7 -i {} -t 1.5 -c copy OUT", clip.path.display()), &trimmed);
    keeps_times(&trimmed);
}

#[test]
fn a_video_that_starts_late_starts_late() {
    let clip = make(
        "late.mp4",
        &format!("{PICTURE} {SOUND} -vf setpts=PTS+0.5/TB -fps_mode passthrough -c:v libx264 -g 15 -bf 2 -c:a aac OUT"),
    );
    let (_dir, out, _, _) = keeps_times(&clip.path);
    assert_eq!(audio_md5(&clip.path, "0:a"), audio_md5(&out, "0:a"));
}

#[test]
fn audio_that_mp4_cannot_hold_becomes_aac_in_sync() {
    for (name, codec) in [("in.mkv", "pcm_s16le"), ("in.avi", "pcm_u8"), ("in.mov", "pcm_f32be"), ("b.avi", "wmav2")] {
        // Silence, then a tone from second 2 on.
        let sound = "-f lavfi -i aevalsrc=0.8*sin(2000*t)*gte(t\\,2):d=4:s=44100";
        let clip = make(name, &format!("{PICTURE} {sound} -c:v mpeg4 -g 15 -c:a {codec} OUT"));
        let (_dir, out, _, report) = keeps_times(&clip.path);
        assert_eq!(report.audio_transcoded_from.as_deref(), Some(codec));
        assert!(report.audio_packets > 150, "{codec}: {}", report.audio_packets);
        assert!((tone_start_s(&out) - 2.0).abs() < 0.03, "{codec}: {}", tone_start_s(&out));
    }
}

/// When the sound begins, by decoding it.
fn tone_start_s(path: &Path) -> f64 {
    let output = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:a", "-ac", "1", "-ar", "8000", "-f", "s16le", "-"])
        .output()
        .unwrap();
    let samples = output.stdout.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]]));
    samples.into_iter().position(|s| s.unsigned_abs() > 8000).unwrap() as f64 / 8000.0
}

#[test]
fn an_odd_turned_video_is_upright_with_its_pixel_shape_and_colours() {
    let clip = make(
        "odd.mp4",
        "-f lavfi -i testsrc=s=161x91:r=30:d=1 -vf setsar=4/3 -c:v libx264 -pix_fmt yuv444p -g 15 -color_primaries bt709 -color_trc bt709 -colorspace bt709 OUT",
    );
    common::set_matrix(&clip.path, [0, -1, 1, 0]);
    let (_dir, out, video, _) = keeps_times(&clip.path);
    assert_eq!(
        (video.width, video.height, video.orientation.to_string()),
        (161, 91, "turned by 270 degrees clockwise".into())
    );
    let again = index(&out, &Limits::default()).unwrap();
    assert_eq!((again.width, again.height), (92, 162));
    assert!(again.orientation.is_upright());
    assert_eq!((video.sample_aspect_ratio.num(), video.sample_aspect_ratio.den()), (4, 3));
    assert_eq!((again.sample_aspect_ratio.num(), again.sample_aspect_ratio.den()), (3, 4));
    assert_eq!(again.color.matrix.as_deref(), Some("bt709"));
}
