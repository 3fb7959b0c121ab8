//! The sound of the annotated video: whatever a container holds, the video is joined; a warning names what can't be retained.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::annotate::annotate;
use std::{path::Path, process::Command};

/// Codecs that the ffmpeg command writes into each container, and whether the sound is copied, encoded again or left out.
const SOUNDS: [(&str, &str, Fate); 46] = [
    ("mkv", "aac", Fate::Copied),
    ("mkv", "libmp3lame", Fate::Copied),
    ("mkv", "mp2", Fate::Copied),
    ("mkv", "ac3", Fate::Copied),
    ("mkv", "eac3", Fate::Copied),
    ("mkv", "dca", Fate::Copied),
    ("mkv", "libopus", Fate::Copied),
    ("mkv", "libvorbis", Fate::Copied),
    ("mkv", "alac", Fate::Copied),
    ("mkv", "flac", Fate::Coded),
    ("mkv", "truehd", Fate::Coded),
    ("mkv", "mlp", Fate::Coded),
    ("mkv", "tta", Fate::Coded),
    ("mkv", "wavpack", Fate::Coded),
    ("mkv", "wmav2", Fate::Coded),
    ("mkv", "pcm_s16be", Fate::Coded),
    ("mkv", "pcm_s24le", Fate::Coded),
    ("mkv", "pcm_s32le", Fate::Coded),
    ("mkv", "pcm_f32le", Fate::Coded),
    ("mkv", "pcm_f64le", Fate::Coded),
    ("mkv", "pcm_alaw", Fate::Coded),
    ("mkv", "adpcm_ms", Fate::Coded),
    ("mkv", "adpcm_ima_wav", Fate::Coded),
    ("mov", "aac", Fate::Copied),
    ("mov", "alac", Fate::Copied),
    ("mov", "pcm_s16be", Fate::Coded),
    ("mov", "pcm_s24be", Fate::Coded),
    ("mov", "pcm_mulaw", Fate::Coded),
    ("mov", "adpcm_ima_qt", Fate::Coded),
    ("mp4", "flac", Fate::Coded),
    ("mp4", "libopus", Fate::Copied),
    ("mp4", "alac", Fate::Copied),
    ("mp4", "dca", Fate::Copied),
    ("avi", "pcm_s16le", Fate::Coded),
    ("avi", "adpcm_ms", Fate::Coded),
    ("avi", "libmp3lame", Fate::Copied),
    ("avi", "ac3", Fate::Copied),
    ("avi", "wmav1", Fate::Coded),
    ("ts", "mp2", Fate::Copied),
    ("ts", "ac3", Fate::Copied),
    ("ts", "eac3", Fate::Copied),
    ("ts", "libopus", Fate::Copied),
    ("webm", "libvorbis", Fate::Copied),
    ("nut", "sonic", Fate::LeftOut),
    ("mxf", "pcm_s16le", Fate::Coded),
    ("asf", "wmav2", Fate::Coded),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Copied,
    Coded,
    LeftOut,
}

#[test]
fn a_video_is_joined_whatever_its_sound_is() {
    let dir = tempfile::tempdir().unwrap();
    let encoders = Command::new("ffmpeg").args(["-nostdin", "-v", "quiet", "-encoders"]).output().unwrap().stdout;
    // FFmpeg 9 no longer has the one encoder whose sound is left out.
    let has_sonic = String::from_utf8(encoders).unwrap().contains(" sonic ");
    for (container, codec, fate) in SOUNDS.into_iter().filter(|(_, codec, _)| has_sonic || *codec != "sonic") {
        let case = format!("{codec} in {container}");
        let source = dir.path().join(format!("in.{container}"));
        let video = match container {
            "webm" => "-c:v libvpx -deadline realtime",
            "mxf" => "-c:v mpeg2video",
            _ => "-c:v mpeg4",
        };
        common::ffmpeg(
            &format!(
                "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -f lavfi -i sine=f=440:r=48000:d=1 {video} -g 12 -c:a {codec} -ac 2 -strict -2 OUT"
            ),
            &source,
        );
        let out = dir.path().join("out.mp4");
        let (_, report, _) = annotate(&source, &out, 10.0);
        assert_eq!(report.video_frames, 25, "{case}");
        let found = match (&report.audio_transcoded_from, &report.audio_left_out) {
            (None, None) => Fate::Copied,
            (Some(_), None) => Fate::Coded,
            (_, Some(_)) => Fate::LeftOut,
        };
        assert_eq!(found, fate, "{case}: {report:?}");
        let seconds = sound_s(&out);
        assert!((fate == Fate::LeftOut) == (seconds == 0.0), "{case}: {seconds} s of sound, {report:?}");
        assert!(fate == Fate::LeftOut || (0.9..1.2).contains(&seconds), "{case}: {seconds} s of sound");
    }
}

/// Seconds of sound that decode.
fn sound_s(path: &Path) -> f64 {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "quiet", "-i"])
        .arg(path)
        .args(["-map", "0:a", "-ac", "1", "-ar", "8000", "-f", "s16le", "-"])
        .output()
        .unwrap();
    output.stdout.len() as f64 / 2.0 / 8000.0
}
