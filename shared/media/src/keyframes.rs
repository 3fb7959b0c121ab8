//! Finds where decoding can start, and checks the order of times.

use std::collections::BTreeSet;

use crate::{
    Keyframe, MediaError, Rational,
    demux::{Demuxer, codec_name},
    params::OutputClock,
    scanned_packet::ScannedPacket,
};

/// What to do about a clock that jumps.
const ONE_CLOCK: &str = "give the file one clock with `ffmpeg -i IN -c copy OUT.mkv` and process that";
/// Pictures are stored at most this many places away from where they are shown (H.264 and HEVC allow 16).
const MAX_REORDER: usize = 64;

/// The first packet that can be decoded on its own. Packets before it are lost, and a note says so.
pub(crate) fn first_entry(
    packets: &mut [ScannedPacket],
    demuxer: &Demuxer,
    warnings: &mut Vec<String>,
) -> Result<usize, MediaError> {
    let found = packets.iter().position(|p| p.is_entry && p.has_picture && p.pts.is_some());
    // A stream of gradual refreshes has no whole picture anywhere: decode it from the start, in one piece.
    let Some(first) = found.or_else(|| packets.iter().position(|p| p.has_picture && p.pts.is_some())) else {
        return Err(MediaError::NoDecodableFrame {
            path: demuxer.path().to_owned(),
            codec: codec_name(&demuxer.parameters()?),
            reason: "the video stream has no packets; the file is cut off or was never finished".into(),
        });
    };
    if found.is_none() {
        warnings.push("the video has no key frame to cut at; it is processed in one piece".into());
    }
    if first > 0 {
        warnings.push(format!("{first} packets before the first key frame cannot be decoded and are left out"));
        packets[..first].iter_mut().for_each(|p| p.is_lost = true);
    }
    Ok(first)
}

/// The key frames at which a cut loses nothing. Everything that is stored before such a key frame is shown before it.
/// Of the pictures that are stored after it, only its leading pictures are shown before it.
pub(crate) fn keyframes(packets: &[ScannedPacket], first_entry: usize) -> Result<Vec<Keyframe>, MediaError> {
    let pts = |i: usize| packets[i].pts.filter(|_| packets[i].has_picture);
    check_order(packets)?;
    let mut earliest_after = vec![i64::MAX; packets.len() + 1];
    for i in (0..packets.len()).rev() {
        earliest_after[i] = earliest_after[i + 1].min(pts(i).unwrap_or(i64::MAX));
    }
    let entries: Vec<usize> =
        (first_entry..packets.len()).filter(|&i| i == first_entry || packets[i].is_entry && pts(i).is_some()).collect();
    let mut found = Vec::new();
    let (mut latest_before, mut scanned) = (i64::MIN, first_entry);
    for (nth, &at) in entries.iter().enumerate() {
        latest_before = (scanned..at).filter_map(pts).fold(latest_before, i64::max);
        scanned = at;
        let Some(own) = pts(at) else { continue };
        let until = entries.get(nth + 1).copied().unwrap_or(packets.len());
        let last_leading = (at + 1..until).rev().find(|&i| pts(i).is_some_and(|p| p < own));
        // Both fields of a frame stay together.
        let until = last_leading.map_or(at + 1, |i| i + 1);
        let leading_end_index = until + packets[until..].iter().take_while(|packet| packet.is_second_field).count();
        if at == first_entry || latest_before < own && earliest_after[leading_end_index] > own {
            found.push(Keyframe {
                pts: own,
                dts: packets[at].dts.unwrap_or(own),
                packet_index: at,
                has_leading_pictures: last_leading.is_some(),
                leading_end_index,
            });
        }
    }
    Ok(found)
}

/// Refuses a stream whose clock jumps back, because its pictures have no single order in time.
fn check_order(packets: &[ScannedPacket]) -> Result<(), MediaError> {
    let stored: Vec<i64> = packets.iter().filter(|p| p.has_picture).filter_map(|p| p.pts).collect();
    let mut order: Vec<usize> = (0..stored.len()).collect();
    order.sort_by_key(|&i| stored[i]);
    match order.iter().enumerate().find(|&(rank, &place)| rank.abs_diff(place) > MAX_REORDER) {
        None => Ok(()),
        Some((_, &place)) => Err(jumps_back(place)),
    }
}

/// Refuses a stream whose decoding times fall by more than a second, after any number of pictures.
pub(crate) fn check_clock(packets: &[ScannedPacket], time_base: Rational) -> Result<(), MediaError> {
    let falls = |pair: &[ScannedPacket]| {
        pair[0].dts.zip(pair[1].dts).is_some_and(|(a, b)| (a as f64 - b as f64) * time_base.to_f64() > 1.0)
    };
    packets.windows(2).position(falls).map_or(Ok(()), |place| Err(jumps_back(place + 1)))
}

fn jumps_back(place: usize) -> MediaError {
    MediaError::Unsupported {
        reason: format!(
            "the clock jumps back near picture {place}, as where parts of other clocks were spliced in; {ONE_CLOCK}"
        ),
    }
}

/// Refuses a jump of the clock that no MP4 can express. In an MP4 a picture is shown for at most 2^31 ticks.
pub(crate) fn check_gaps(frame_pts: &[i64], time_base: Rational) -> Result<(), MediaError> {
    let factor = OutputClock::exact(time_base).factor;
    let longest = i64::from(i32::MAX) / factor.max(1);
    match frame_pts.windows(2).position(|pair| pair[1] - pair[0] > longest) {
        None => Ok(()),
        Some(at) => {
            let jump_s = (frame_pts[at + 1] - frame_pts[at]) as f64 * time_base.to_f64();
            let hint = hint_of_a_jump_back(jump_s);
            Err(MediaError::Unsupported {
                reason: format!("the clock jumps ahead by {jump_s:.0} s after picture {at}{hint}; {ONE_CLOCK}"),
            })
        }
    }
}

/// Seconds after which the clock of MPEG-TS starts again at 0. It has 33 bits, and counts 90,000 ticks per second.
const MPEG_TS_CLOCK_S: f64 = (1_u64 << 33) as f64 / 90_000.0;

/// A text for the message if a jump ahead can be a jump back. That is so if it is longer than half the period of
/// MPEG-TS's clock, because FFmpeg continues to count where that clock falls.
fn hint_of_a_jump_back(jump_s: f64) -> String {
    if !(MPEG_TS_CLOCK_S / 2.0..MPEG_TS_CLOCK_S).contains(&jump_s) {
        return String::new();
    }
    let back_s = MPEG_TS_CLOCK_S - jump_s;
    format!(" (in MPEG-TS, whose clock has 33 bits, this can be a jump back by {back_s:.0} s)")
}

/// Leading pictures of the first key frame that the trial could not decode are no part of the video.
pub(crate) fn drop_undecodable_leading(
    packets: &mut [ScannedPacket],
    keyframes: &[Keyframe],
    whole: &BTreeSet<usize>,
    warnings: &mut Vec<String>,
) {
    let Some(first) = keyframes.first() else { return };
    let mut lost = 0;
    for (i, packet) in packets.iter_mut().enumerate().take(first.leading_end_index).skip(first.packet_index + 1) {
        if packet.has_picture && packet.pts < Some(first.pts) && !whole.contains(&i) {
            packet.is_lost = true;
            lost += 1;
        }
    }
    if lost > 0 {
        warnings.push(format!("{lost} pictures before the first key frame refer to a part that is missing"));
    }
}
