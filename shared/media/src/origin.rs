//! Where time 0 of a presentation is.

use ffmpeg::media;
use ffmpeg_next as ffmpeg;

use crate::{Rational, demux::Demuxer};

/// If the picture or the sound begins within this many seconds of the clock's zero, time 0 is the clock's zero.
const NEAR_ZERO_S: f64 = 1.0;

/// PTS of the presentation's time 0. The rule is the same for every container. If the picture or the sound begins
/// within a second of the clock's zero, time 0 is that zero. So a picture that begins a little late stays late.
/// Otherwise time 0 is the first shown picture, because something else started the clock, perhaps hours earlier. The
/// clocks of MPEG-TS and MPEG-PS have no zero.
pub(crate) fn origin_pts(demuxer: &Demuxer, time_base: Rational, shown_start_pts: i64) -> i64 {
    let begins_s = [Some(shown_start_pts as f64 * time_base.to_f64()), sound_starts_s(demuxer)];
    let has_zero = !matches!(demuxer.input().format().name(), "mpegts" | "mpeg");
    if has_zero && begins_s.iter().flatten().any(|s| s.abs() < NEAR_ZERO_S) { 0 } else { shown_start_pts }
}

fn sound_starts_s(demuxer: &Demuxer) -> Option<f64> {
    let stream = demuxer.input().streams().best(media::Type::Audio)?;
    let start = stream.start_time();
    (start != ffmpeg::ffi::AV_NOPTS_VALUE).then(|| start as f64 * f64::from(stream.time_base()))
}
