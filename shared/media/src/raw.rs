//! Bare streams of pictures (`.h264`, `.hevc`, `.m4v` ...). They have no clock, so their times are computed from a
//! frame rate.

use crate::{
    Limits, MediaError, Rational,
    demux::Demuxer,
    scan::{ShownPictures, shown_pictures},
    scanned_packet::ScannedPacket,
};

/// The rate if neither the stream nor the user states one.
const USUAL_RATE: Rational = Rational::of(25, 1);
/// Rates that a stream can state, in pictures per second. Other numbers are ignored.
const CREDIBLE: std::ops::RangeInclusive<f64> = 1.0..=1000.0;

/// Gives the n-th shown picture the n-th time at a constant rate, and returns the rate: that of the user, or that of
/// the stream, or the usual one.
pub(crate) fn count_out(
    packets: &mut [ScannedPacket],
    demuxer: &Demuxer,
    limits: &Limits,
    warnings: &mut Vec<String>,
) -> Result<Rational, MediaError> {
    if packets.len() < 2 && demuxer.input().format().name() == "jpeg_pipe" {
        let reason = "it is a single still picture".into();
        return Err(MediaError::NotAVideo { path: demuxer.path().to_owned(), reason });
    }
    let ShownPictures { pictures, is_shown, stated_rate } = shown_pictures(packets.len(), demuxer, limits)?;
    if pictures.is_empty() {
        // Any text is taken for a bare stream if its name ends so.
        let reason = "no supported format recognises it, and as a bare stream it has no picture".into();
        return Err(MediaError::NotAVideo { path: demuxer.path().to_owned(), reason });
    }
    let (rate, why) = match (demuxer.source().reading().raw_frame_rate, stated_rate) {
        (Some(asked), _) => (asked, "as was asked for (raw_frame_rate)"),
        (None, Some(stated)) if CREDIBLE.contains(&stated.to_f64()) => (stated, "as it says of itself"),
        (None, _) => (
            USUAL_RATE,
            "since it says no rate itself; --raw-frame-rate (the request setting raw_frame_rate) sets another",
        ),
    };
    warnings.push(format!("a bare stream without a clock: its pictures are counted out at {rate} a second, {why}"));
    let (tick, time_base) = (Rational::of(rate.den(), rate.num()), demuxer.time_base()?);
    for (packet, is_shown) in packets.iter_mut().zip(is_shown) {
        (packet.pts, packet.dts, packet.duration) = (None, None, tick.rescale(1, time_base));
        packet.has_picture = is_shown;
    }
    for (nth, picture) in pictures.iter().enumerate() {
        packets[picture.packet].pts = Some(tick.rescale(nth as i64, time_base));
    }
    Ok(rate)
}
