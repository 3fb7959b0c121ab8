//! Clips made with the ffmpeg command line at test time, and FFmpeg's own serial decode of them to compare with.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod annotate;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;
use trackdrop_media::{ChunkReader, Cutter, DecodeReport, Limits, Rational, VideoIndex};

/// A directory with one generated clip.
pub struct Clip {
    pub dir: TempDir,
    pub path: PathBuf,
}

/// Runs `ffmpeg` with space-separated arguments; `OUT` is replaced by the clip's path.
pub fn make(name: &str, arguments: &str) -> Clip {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    ffmpeg(arguments, &path);
    Clip { dir, path }
}

/// Four seconds of moving test picture, 320x180 at 30 pictures per second.
pub const PICTURE: &str = "-f lavfi -i testsrc2=s=320x180:r=30:d=4";

pub fn ffmpeg(arguments: &str, out: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]);
    for argument in arguments.split_whitespace() {
        match argument {
            "OUT" => command.arg(out),
            // So that a clip is the same each time: see docs/speed.md.
            "libx264" if encodes_by_chance() => command.args(["libx264", "-x264opts", "asm=AVX2"]),
            other => command.arg(other),
        };
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "ffmpeg {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whether libx264 reads memory here that nothing was written to, as it does with AVX-512.
fn encodes_by_chance() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Writes a, b, c, d of the display matrix into the only track of an MP4. The options of `ffmpeg` for it differ between its versions.
pub fn set_matrix(file: &Path, [a, b, c, d]: [i32; 4]) {
    let mut bytes = fs::read(file).unwrap();
    let header = bytes.windows(4).position(|name| name == b"tkhd").unwrap();
    let cells = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30];
    for (cell, place) in cells.iter().zip(bytes[header + 44..].chunks_mut(4)) {
        place.copy_from_slice(&cell.to_be_bytes());
    }
    fs::write(file, bytes).unwrap();
}

/// The MD5 of each picture that `ffmpeg` shows of an input, given with its options.
pub fn ffmpeg_md5(input: &str) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-noautorotate"])
        .args(input.split_whitespace())
        .args(["-map", "0:V:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let pictures = text.lines().filter(|line| !line.starts_with('#'));
    pictures.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

/// A frame as time in an exact fraction of seconds, and the MD5 of its pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub ticks: i64,
    pub md5: String,
}

/// What `ffmpeg` decodes from the file in one go; ticks of `time_base`.
pub fn serial_decode(path: &Path, time_base: Rational) -> Vec<Shown> {
    serial_decode_of(path, time_base, 0)
}

/// The same of another video stream than the first; covers are not counted.
pub fn serial_decode_of(path: &Path, time_base: Rational, stream: u32) -> Vec<Shown> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-copyts", "-noautorotate", "-i"])
        .arg(path)
        .args([
            "-map",
            &format!("0:V:{stream}"),
            "-noautoscale",
            "-fps_mode",
            "passthrough",
            "-enc_time_base",
            source_time_base(),
            "-f",
            "framemd5",
            "-",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let tb = text.lines().find_map(|l| l.strip_prefix("#tb 0: ")).expect("framemd5 states its time base");
    let (num, den) = tb.split_once('/').unwrap();
    let (num, den): (i128, i128) = (num.parse().unwrap(), den.parse().unwrap());
    text.lines()
        .filter(|l| !l.starts_with('#'))
        .map(|line| {
            let fields: Vec<_> = line.split(',').map(str::trim).collect();
            let exact = fields[2].parse::<i128>().unwrap() * num * i128::from(time_base.den());
            let den = den * i128::from(time_base.num());
            assert_eq!(exact % den, 0, "the reference's time is a whole number of source ticks");
            Shown { ticks: (exact / den) as i64, md5: fields[5].to_owned() }
        })
        .collect()
}

/// What `-enc_time_base` calls the source's own time base: `-1` up to FFmpeg 6, `demux` from 7 on, and neither takes the other's name.
fn source_time_base() -> &'static str {
    static NAME: OnceLock<&str> = OnceLock::new();
    NAME.get_or_init(|| {
        let knows_it = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "quiet", "-f", "lavfi", "-i", "color=s=16x16:r=1:d=1"])
            .args(["-enc_time_base", "demux", "-f", "null", "-"])
            .status()
            .unwrap()
            .success();
        if knows_it { "demux" } else { "-1" }
    })
}

/// Cuts the clip into segments of `target_seconds` and decodes each chunk alone.
pub fn chunked_decode(clip: &Path, index: &VideoIndex, target_seconds: f64) -> (Vec<Shown>, Vec<DecodeReport>) {
    let segments = index.plan(target_seconds).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (mut frames, mut reports) = (Vec::new(), Vec::new());
    let mut cutter = Cutter::open(clip, index, &segments).unwrap();
    for segment in &segments {
        let chunk = dir.path().join(format!("{}.mkv", segment.number));
        assert_eq!(cutter.next_chunk(&chunk).unwrap(), Some(segment.number));
        let (some, report) = decode_chunk(&chunk, segment);
        frames.extend(some);
        reports.push(report);
    }
    assert_eq!(cutter.next_chunk(&dir.path().join("none.mkv")).unwrap(), None);
    (frames, reports)
}

pub fn decode_chunk(chunk: &Path, segment: &trackdrop_media::PlannedSegment) -> (Vec<Shown>, DecodeReport) {
    let window = segment.window();
    let mut reader = ChunkReader::open(chunk, &window, &segment.frame_pts, &Limits::default(), 2).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().unwrap() {
        frames.push(Shown { ticks: frame.pts, md5: hex(&frame.md5().unwrap()) });
    }
    (frames, reader.report())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Runs ffprobe and returns what it prints.
pub fn ffprobe(arguments: &[&str], path: &Path) -> String {
    let output = Command::new("ffprobe").args(["-v", "error"]).args(arguments).arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
