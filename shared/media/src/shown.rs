//! The part of an MP4 that is shown: what its edit list says, found by comparing two readings of the file.

use std::{collections::HashMap, ops::Range};

use crate::{
    Limits, MediaError,
    demux::{Demuxer, Timeline},
    entry_point::Bitstream,
    scan::{self, ScannedPacket},
};

/// The presentation inside the media's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The media time of the presentation's time 0, in ticks.
    pub origin_pts: i64,
    /// The shown pictures' times: from the first one, to just after the last one.
    pub pts: Range<i64>,
}

/// Reads the file as a player does and finds where the shown pictures lie among all of `packets`.
pub(crate) fn shown_window(file: &Demuxer, packets: &[ScannedPacket], limits: &Limits) -> Result<Shown, MediaError> {
    let mut player = match file.hollow(Timeline::Presented, limits)? {
        Some(player) => player,
        None => Demuxer::open(file.source(), Timeline::Presented, limits)?,
    };
    let mut stream =
        (!player.is_hollow()).then(|| player.parameters().map(|parameters| Bitstream::of(&parameters))).transpose()?;
    let presented = scan::read_all(&mut player, stream.as_mut(), limits)?.packets;
    let mut stored: HashMap<(i64, usize), Vec<i64>> = HashMap::new();
    for packet in packets.iter().rev() {
        stored.entry((packet.position, packet.size)).or_default().extend(packet.pts);
    }
    let (mut shift, mut shown) = (None, Vec::new());
    for packet in presented.iter().filter(|p| p.has_picture) {
        let media = stored.get_mut(&(packet.position, packet.size)).and_then(Vec::pop);
        let (Some(media), Some(pts)) = (media, packet.pts) else { return Err(several_edits("repeats pictures")) };
        if packet.is_discarded {
            continue;
        }
        if *shift.get_or_insert(media - pts) != media - pts {
            return Err(several_edits("joins several stretches of it"));
        }
        shown.push(media);
    }
    let (Some(origin_pts), Some(&first), Some(&last)) = (shift, shown.iter().min(), shown.iter().max()) else {
        return Err(MediaError::Unsupported { reason: "the file's edit list hides every picture".into() });
    };
    let inside =
        packets.iter().filter(|p| p.has_picture && p.pts.is_some_and(|pts| (first..=last).contains(&pts))).count();
    if inside != shown.len() {
        return Err(several_edits("hides pictures in the middle"));
    }
    Ok(Shown { origin_pts, pts: first..last + 1 })
}

fn several_edits(what: &str) -> MediaError {
    MediaError::Unsupported {
        reason: format!("the file's edit list {what}, so shown time is not stored time; export the video once more"),
    }
}
