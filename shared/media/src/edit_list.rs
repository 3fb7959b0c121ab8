//! Finds the shown part of an MP4, as its edit list says, by comparing two readings of the file.

use std::collections::HashMap;

use crate::{
    Limits, MediaError,
    demux::{Demuxer, Timeline},
    entry_point::Bitstream,
    scan,
    scanned_packet::ScannedPacket,
};

/// Moves the times of `packets` from the media's own clock to the presentation's, which players and other readers use.
/// Marks the hidden pictures. Returns how many ticks the media's clock is ahead.
///
/// Several edits are supported if there is no gap between them. Then the distance between the two clocks is constant.
pub(crate) fn present(file: &Demuxer, packets: &mut [ScannedPacket], limits: &Limits) -> Result<i64, MediaError> {
    let mut player = match file.hollow(Timeline::Presented, limits)? {
        Some(player) => player,
        None => Demuxer::open(file.source(), Timeline::Presented, limits)?,
    };
    let mut stream =
        (!player.is_hollow()).then(|| player.parameters().map(|parameters| Bitstream::of(&parameters))).transpose()?;
    let presented = scan::read_all(&mut player, stream.as_mut(), limits)?.packets;
    let mut stored: HashMap<(i64, usize), Vec<usize>> = HashMap::new();
    for (at, packet) in packets.iter_mut().enumerate().rev() {
        packet.is_hidden = true;
        stored.entry((packet.position, packet.size)).or_default().push(at);
    }
    let picture_ticks = mean_distance(packets);
    let (mut first_shift, mut shift, mut last_media) = (None, None, i64::MIN);
    // If an edit begins between key frames, FFmpeg repeats the packets from the previous key frame on. They are decoded
    // and not shown, so they are skipped here.
    for packet in presented.iter().filter(|packet| !packet.is_discarded && packet.size > 0) {
        let Some(at) = stored.get_mut(&(packet.position, packet.size)).and_then(Vec::pop) else {
            return Err(several_edits("shows pictures more than once"));
        };
        if !packets[at].has_picture {
            continue;
        }
        let (Some(media), Some(pts)) = (packets[at].pts, packet.pts) else { continue };
        packets[at].is_hidden = false;
        // In some files with B-frames, FFmpeg shifts the times after the end of an edit by one picture. We use its
        // times, because other readers get the same ones.
        let this = media - pts;
        if (this - *shift.get_or_insert(this)).abs() > picture_ticks {
            return Err(several_edits("leaves out, slows down or puts a pause into a part of it"));
        }
        first_shift.get_or_insert(this);
        (shift, last_media) = (Some(this), last_media.max(media));
        packets[at].pts = Some(pts);
        packets[at].dts = packets[at].dts.map(|dts| dts - this);
    }
    let (Some(ahead), Some(at_the_end)) = (first_shift, shift) else {
        return Err(MediaError::Unsupported { reason: "the file's edit list hides every picture".into() });
    };
    for packet in packets.iter_mut().filter(|packet| packet.is_hidden) {
        let shift = if packet.pts > Some(last_media) { at_the_end } else { ahead };
        packet.pts = packet.pts.map(|pts| pts - shift);
        packet.dts = packet.dts.map(|dts| dts - shift);
    }
    Ok(ahead)
}

/// Ticks from picture to picture.
fn mean_distance(packets: &[ScannedPacket]) -> i64 {
    let times = || packets.iter().filter(|packet| packet.has_picture).filter_map(|packet| packet.pts);
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return 0 };
    last.saturating_sub(first) / (times().count() as i64 - 1).max(1)
}

/// Refuses pictures that are hidden among those that are shown.
pub(crate) fn check_hidden(packets: &[ScannedPacket]) -> Result<(), MediaError> {
    let shown = || packets.iter().filter(|p| p.has_picture && !p.is_hidden).filter_map(|p| p.pts);
    let (Some(first), Some(last)) = (shown().min(), shown().max()) else { return Ok(()) };
    let is_between =
        |p: &ScannedPacket| p.has_picture && p.is_hidden && p.pts.is_some_and(|pts| (first..=last).contains(&pts));
    if packets.iter().any(is_between) { Err(several_edits("hides pictures in the middle")) } else { Ok(()) }
}

fn several_edits(what: &str) -> MediaError {
    MediaError::Unsupported {
        reason: format!(
            "the file's edit list {what}, so shown time is not stored time; write the video as it is shown with \
             `ffmpeg -i IN -c:v libx264 -crf 16 -c:a copy OUT.mp4` and process that"
        ),
    }
}
