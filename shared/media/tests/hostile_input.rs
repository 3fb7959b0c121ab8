//! Files that are no video, broken videos, and files that would make FFmpeg open others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::{fs, os::unix::ffi::OsStrExt, path::Path};

use common::{PICTURE, chunked_decode, make};
use trackdrop_media::{ChunkReader, Limits, MediaError, PtsList, Window, index};

fn refused(path: &Path) -> MediaError {
    let error = index(path, &Limits::default()).unwrap_err();
    assert!(!error.to_string().is_empty());
    error
}

fn written(name: &str, content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    (dir, path)
}

#[test]
fn text_is_no_video() {
    let (_dir, path) = written("a.mp4", b"This is not a video at all, only a few words.\n");
    let error = refused(&path);
    assert!(matches!(error, MediaError::NotAVideo { .. }), "{error}");
    assert!(!error.is_transient());
}

#[test]
fn an_empty_file_is_called_empty() {
    let (_dir, path) = written("a.mp4", b"");
    assert!(matches!(refused(&path), MediaError::Empty { .. }));
}

#[test]
fn a_directory_is_no_video_and_a_missing_file_is_an_io_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(refused(dir.path()), MediaError::NotAVideo { .. }));
    let error = refused(&dir.path().join("missing.mp4"));
    assert!(matches!(error, MediaError::Io { .. }) && error.is_transient());
}

#[test]
fn audio_alone_and_audio_with_a_cover_have_no_video() {
    let sound = make("a.m4a", "-f lavfi -i sine=d=1 -c:a aac OUT");
    assert!(matches!(refused(&sound.path), MediaError::NoVideoStream { .. }));
    let cover = sound.dir.path().join("cover.png");
    common::ffmpeg("-f lavfi -i testsrc2=s=64x64:d=1 -frames:v 1 OUT", &cover);
    let album = sound.dir.path().join("album.mp3");
    common::ffmpeg(
        &format!(
            "-f lavfi -i sine=d=1 -i {} -map 0 -map 1 -c:a libmp3lame -c:v png -disposition:v attached_pic OUT",
            cover.display()
        ),
        &album,
    );
    let error = refused(&album);
    assert!(matches!(error, MediaError::NoVideoStream { .. }), "{error}");
}

#[test]
fn playlists_and_scripts_open_nothing() {
    let clip = make("real.mp4", &format!("{PICTURE} -c:v libx264 -g 15 OUT"));
    let real = clip.path.display();
    for (name, text) in [
        ("hls.mp4", format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{real}\n#EXT-X-ENDLIST\n")),
        ("concat.mp4", format!("ffconcat version 1.0\nfile '{real}'\n")),
        (
            "dash.mp4",
            format!(
                "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"><BaseURL>{real}</BaseURL></MPD>"
            ),
        ),
        ("sdp.mp4", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\n".to_owned()),
    ] {
        let path = clip.dir.path().join(name);
        fs::write(&path, text).unwrap();
        let error = refused(&path);
        assert!(matches!(error, MediaError::NotAVideo { .. }), "{name}: {error}");
    }
}

#[test]
fn names_are_taken_literally() {
    let clip = make("real.mp4", &format!("{PICTURE} -c:v libx264 -g 15 -t 1 OUT"));
    for name in
        ["-x.mp4", "a%03d.mp4", "concat:a|b.mp4", "it's \"quoted\".mp4", "line\nbreak.mp4", "日本語 é.mp4", "http:x"]
    {
        let path = clip.dir.path().join(name);
        fs::copy(&clip.path, &path).unwrap();
        let video = index(&path, &Limits::default()).unwrap();
        assert_eq!(chunked_decode(&path, &video, 0.5).0.len(), 30, "{name}");
    }
    let no_utf8 = clip.dir.path().join(std::ffi::OsStr::from_bytes(b"bytes \xff\xfe.mp4"));
    fs::copy(&clip.path, &no_utf8).unwrap();
    assert_eq!(index(&no_utf8, &Limits::default()).unwrap().frame_count(), 30);
}

#[test]
fn an_mp4_without_its_index_is_refused() {
    let clip = make("whole.mp4", &format!("{PICTURE} -c:v libx264 -g 15 OUT"));
    let bytes = fs::read(&clip.path).unwrap();
    let (_dir, path) = written("cut.mp4", &bytes[..bytes.len() * 2 / 3]);
    let error = refused(&path);
    assert!(matches!(error, MediaError::NotAVideo { .. } | MediaError::Damaged { .. }), "{error}");
}

#[test]
fn what_is_left_of_a_truncated_file_is_accounted_for() {
    for (name, options) in [
        ("a.avi", "-c:v mpeg4 -g 10"),
        ("a.ts", "-c:v libx264 -g 15 -bf 2"),
        ("a.mp4", "-c:v libx264 -g 15 -bf 2 -movflags +faststart"),
        ("a.mkv", "-c:v libx264 -g 15 -bf 2"),
    ] {
        let clip = make(name, &format!("{PICTURE} {options} OUT"));
        let bytes = fs::read(&clip.path).unwrap();
        let (_dir, path) = written(name, &bytes[..bytes.len() * 2 / 3]);
        let video = index(&path, &Limits::default()).unwrap();
        let (frames, reports) = chunked_decode(&path, &video, 0.5);
        let missing: u64 = reports.iter().map(|r| r.damaged.len() as u64).sum();
        assert!((30..120).contains(&video.frame_count()), "{name}: {}", video.frame_count());
        assert!(frames.len() as u64 + missing >= video.frame_count(), "{name}: every planned frame is given or named");
        assert!(missing <= 4, "{name}: {missing} damaged");
    }
}

#[test]
fn damage_in_the_middle_is_named() {
    let clip = make("whole.mkv", &format!("{PICTURE} -c:v libx264 -g 15 -bf 0 OUT"));
    let mut bytes = fs::read(&clip.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 900].iter_mut().enumerate().for_each(|(i, b)| *b = (i * 37) as u8);
    let (_dir, path) = written("damaged.mkv", &bytes);
    let video = index(&path, &Limits::default()).unwrap();
    let (frames, reports) = chunked_decode(&path, &video, 0.5);
    let damaged: Vec<i64> = reports.iter().flat_map(|r| r.damaged.clone()).collect();
    let given: Vec<i64> = frames.iter().map(|f| f.ticks).collect();
    for pts in &video.frame_pts {
        assert!(given.contains(pts) || damaged.contains(pts), "{pts} vanished");
    }
    assert!(!damaged.is_empty() || video.frame_count() < 120, "the damage shows");
}

#[test]
fn random_damage_never_panics_and_every_planned_frame_is_accounted_for() {
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for (name, codec) in [
        ("a.mp4", "libx264 -bf 2"),
        ("a.ts", "libx264 -bf 2"),
        ("a.mkv", "libx265 -x265-params log-level=none"),
        ("a.avi", "mpeg4 -bf 2"),
        ("a.mpg", "mpeg2video -bf 2"),
    ] {
        let clip = make(name, &format!("-f lavfi -i testsrc2=s=128x72:r=30:d=1 -g 10 -c:v {codec} OUT"));
        let bytes = fs::read(&clip.path).unwrap();
        for round in 0..10 {
            let mut broken = bytes.clone();
            for _ in 0..[2, 20, 200][round % 3] {
                let at = random(broken.len());
                broken[at] = random(256) as u8;
            }
            if round % 4 == 3 {
                let (at, length) = (random(broken.len()), random(2000));
                broken.drain(at..(at + length).min(bytes.len()));
            }
            let (_dir, path) = written(name, &broken);
            let Ok(video) = index(&path, &Limits::default()) else { continue };
            for (segment, report) in video.plan(0.3).unwrap().iter().zip(chunked_decode(&path, &video, 0.3).1) {
                assert!(report.frames + report.damaged.len() as u64 >= segment.span.frame_count, "{name} {round}");
            }
        }
    }
}

#[test]
fn an_edit_list_of_several_stretches_is_refused_with_the_reason() {
    let clip = make("a.mp4", &format!("{PICTURE} -c:v libx264 -g 15 OUT"));
    let mut bytes = fs::read(&clip.path).unwrap();
    let find = |bytes: &[u8], name: &[u8]| bytes.windows(4).rposition(|w| w == name).unwrap();
    let elst = find(&bytes, b"elst");
    // A second entry: another second, from the media time 2 s on (15360 ticks a second).
    assert_eq!(bytes[elst + 8..elst + 12], [0, 0, 0, 1]);
    bytes[elst + 11] = 2;
    bytes[elst + 12..elst + 16].copy_from_slice(&1000u32.to_be_bytes());
    let second = [1000u32, 2 * 15_360, 0x1_0000].map(u32::to_be_bytes).concat();
    bytes.splice(elst + 24..elst + 24, second);
    for atom in [b"elst", b"edts", b"trak", b"moov"] {
        let at = find(&bytes, atom) - 4;
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) + 12;
        bytes[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    let (_dir, path) = written("edited.mp4", &bytes);
    let error = refused(&path);
    assert!(matches!(&error, MediaError::Unsupported { reason } if reason.contains("edit list")), "{error}");
}

#[test]
fn limits_are_enforced_with_value_and_bound() {
    let clip = make("a.mp4", &format!("{PICTURE} -c:v libx264 OUT"));
    let all = Limits::default();
    for limits in [
        Limits { max_bytes: 1000, ..all.clone() },
        Limits { max_pixels: 320 * 180 - 1, ..all.clone() },
        Limits { max_dimension_px: 319, ..all.clone() },
        Limits { max_frames: 119, ..all.clone() },
        Limits { max_duration_s: 3, ..all.clone() },
        Limits { max_streams: 0, ..all.clone() },
    ] {
        let error = index(&clip.path, &limits).unwrap_err();
        let MediaError::LimitExceeded { value, bound, .. } = error else { panic!("{limits:?}: {error}") };
        assert!(value > bound);
    }
}

/// A bound of 0 s is passed by the first packet that is decoded without a picture coming out: B-pictures make the decoder wait.
#[test]
fn decoding_without_a_picture_for_too_long_is_stopped_in_the_source_and_in_a_chunk() {
    let clip = make("a.mp4", &format!("{PICTURE} -c:v libx264 -g 15 -bf 2 OUT"));
    let (all, none) = (Limits::default(), Limits { max_decode_s: 0, ..Limits::default() });
    let stopped = |error: MediaError| {
        assert!(matches!(error, MediaError::LimitExceeded { value: 1.., bound: 0, .. }), "{error}");
        assert!(!error.is_transient() && error.to_string().contains("decoding without a picture"), "{error}");
    };
    stopped(index(&clip.path, &none).unwrap_err());
    let video = index(&clip.path, &all).unwrap();
    let segment = &video.plan(0.5).unwrap()[1];
    let chunk = clip.dir.path().join("chunk.mkv");
    trackdrop_media::cut(&clip.path, &video, segment, &chunk).unwrap();
    let window = segment.window();
    let mut reader = ChunkReader::open(&chunk, &window, &segment.frame_pts, &none, 1).unwrap();
    stopped(reader.next().unwrap_err());
    let options = trackdrop_media::VerifyOptions { segment_seconds: 0.5, limits: none, threads: 1 };
    stopped(trackdrop_media::verify(&clip.path, &options, clip.dir.path()).unwrap_err());
}

#[test]
fn a_chunk_of_another_segment_is_refused() {
    let clip = make("a.mp4", &format!("{PICTURE} -c:v libx264 -g 15 OUT"));
    let video = index(&clip.path, &Limits::default()).unwrap();
    let segments = video.plan(0.5).unwrap();
    let chunk = clip.dir.path().join("chunk.mkv");
    trackdrop_media::cut(&clip.path, &video, &segments[1], &chunk).unwrap();
    let open = |window: &Window, frames: &PtsList| ChunkReader::open(&chunk, window, frames, &Limits::default(), 1);
    assert!(open(&segments[1].window(), &segments[1].frame_pts).is_ok());
    let wrong = open(&segments[2].window(), &segments[2].frame_pts).unwrap_err();
    assert!(matches!(wrong, MediaError::Mismatch { .. }), "{wrong}");
    let plain = open(&segments[1].window(), &PtsList::default()).unwrap_err();
    assert!(matches!(plain, MediaError::Mismatch { .. }), "{plain}");
}

#[test]
fn a_source_that_changed_since_it_was_indexed_is_refused() {
    let clip = make("a.mp4", &format!("{PICTURE} -c:v libx264 -g 15 OUT"));
    let other = make("b.mp4", &format!("{PICTURE} -c:v libx264 -g 15 -crf 30 -movflags +faststart OUT"));
    let video = index(&clip.path, &Limits::default()).unwrap();
    let mut same_size = fs::read(&other.path).unwrap();
    for bytes in [same_size.clone(), {
        same_size.resize(video.bytes as usize, 0);
        same_size
    }] {
        fs::write(&clip.path, bytes).unwrap();
        let chunk = clip.dir.path().join("c.mkv");
        let error = trackdrop_media::cut(&clip.path, &video, &video.plan(9.0).unwrap()[0], &chunk).unwrap_err();
        assert!(matches!(error, MediaError::Mismatch { .. }), "{error}");
    }
}
