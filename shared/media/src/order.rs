//! Compares the times of a container with the order in which the bitstream shows its pictures.
//!
//! Some writers store the decoding time of each picture as its presentation time, although the stream has B-frames:
//! `ffmpeg -r 25 -i raw.h264 -c copy`, and writers that use one number for both. A decoder returns the pictures in the
//! order of the bitstream, for any times. So in such a file the n-th picture of the decoder gets the n-th time.

use crate::{
    MediaError,
    demux::Demuxer,
    picture_head::PictureHeads,
    scanned_packet::{DecodedPicture, ScannedPacket},
};

/// An MP4 with at most this many bytes of pictures is examined completely. Reading holds as many bytes in memory, so
/// cutting need not read them again.
const FEW_BYTES: usize = 16 << 20;
/// In a larger MP4, pictures at this many key frames are examined, evenly spread, ...
const PLACES: usize = 8;
/// ... and this many pictures from each key frame on. An encoder that makes B-frames makes one every few pictures.
const AT_A_PLACE: usize = 12;
/// How many bytes of a picture are read.
const HEAD_BYTES: usize = 4096;
/// If fewer than one of this many pictures contradicts its time, the reason is damage, and not the writer.
const A_HABIT: usize = 500;

/// Reads the first bytes of pictures of an MP4, if its times show all pictures in stored order. Until then only its
/// index is known.
pub(crate) fn look_at_pictures(packets: &mut [ScannedPacket], demuxer: &Demuxer) -> Result<(), MediaError> {
    let Some(mut heads) = PictureHeads::of(&demuxer.parameters()?) else { return Ok(()) };
    if !packets.is_sorted_by_key(|packet| packet.pts) {
        return Ok(());
    }
    let mut source = demuxer.source().open()?;
    let mut buffer = vec![0; HEAD_BYTES];
    let places = places(packets);
    let is_whole = places.len() == 1;
    for place in places {
        heads.skip();
        for packet in &mut packets[place] {
            let (Ok(position), bytes) = (u64::try_from(packet.position), packet.size.min(HEAD_BYTES)) else { continue };
            let head = &mut buffer[..bytes];
            let read =
                if is_whole { source.read_on_at(position, head) } else { source.read_exactly_at(position, head) };
            read.map_err(|error| MediaError::io("read", demuxer.path(), error))?;
            packet.shows_before_previous = heads.read(&buffer[..bytes]).shows_before_previous;
        }
    }
    Ok(())
}

/// The ranges of packets to look at.
fn places(packets: &[ScannedPacket]) -> Vec<std::ops::Range<usize>> {
    if packets.iter().map(|packet| packet.size).sum::<usize>() <= FEW_BYTES {
        return std::iter::once(0..packets.len()).collect();
    }
    let entries: Vec<usize> = (0..packets.len()).filter(|&at| at == 0 || packets[at].is_entry).collect();
    let starts: std::collections::BTreeSet<usize> =
        (0..PLACES).map(|nth| entries[nth * entries.len() / PLACES]).collect();
    starts.into_iter().map(|start| start..(start + AT_A_PLACE).min(packets.len())).collect()
}

/// Whether the times contradict the bitstream, and not because of damage: the bitstream shows a picture before the one
/// that is stored ahead of it, but its time is later.
pub(crate) fn contradicts_times(packets: &[ScannedPacket]) -> bool {
    let (mut previous, mut pictures, mut contradictions) = (None, 0usize, 0usize);
    for packet in packets.iter().filter(|packet| packet.has_picture) {
        pictures += 1;
        contradictions += usize::from(packet.shows_before_previous && packet.pts > previous);
        previous = packet.pts;
    }
    contradictions > 0 && contradictions.saturating_mul(A_HABIT) >= pictures
}

/// Gives the n-th picture of `decoded` the n-th time, unless the intact ones among them are already in the order of
/// their times. Two kinds of pictures retain their times: those that an edit list hides, whose times are outside the
/// shown interval, and those that the decoder does not return, which are then missing.
pub(crate) fn show_as_decoded(
    packets: &mut [ScannedPacket],
    decoded: &[DecodedPicture],
    warnings: &mut Vec<String>,
) -> bool {
    let is_shown = |at: usize| packets.get(at).is_some_and(|p: &ScannedPacket| p.has_picture && !p.is_hidden);
    let shown: Vec<DecodedPicture> = decoded.iter().copied().filter(|picture| is_shown(picture.packet)).collect();
    if shown.iter().filter(|picture| picture.is_whole).is_sorted_by_key(|picture| packets[picture.packet].pts) {
        return false;
    }
    let mut seen = std::collections::HashSet::new();
    let order: Vec<usize> = shown.iter().map(|picture| picture.packet).filter(|&packet| seen.insert(packet)).collect();
    let mut times: Vec<Option<i64>> = order.iter().map(|&at| packets[at].pts).collect();
    times.sort_unstable();
    order.iter().zip(times).for_each(|(&at, time)| packets[at].pts = time);
    warnings.push(
        "the container's times of its pictures contradict the order in which a decoder puts them out; they are shown in the decoder's order".into(),
    );
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(stored: &[(i64, bool)]) -> Vec<ScannedPacket> {
        let packet = |&(pts, shows_before_previous): &(i64, bool)| ScannedPacket {
            pts: Some(pts),
            dts: Some(pts),
            duration: 1,
            position: pts,
            size: 1,
            is_entry: pts == 0,
            is_discarded: false,
            has_picture: true,
            is_lost: false,
            is_hidden: false,
            is_second_field: false,
            shows_before_previous,
            new_extradata: None,
            lead_in: None,
        };
        stored.iter().map(packet).collect()
    }

    fn decoded(order: &[usize]) -> Vec<DecodedPicture> {
        order.iter().map(|&packet| DecodedPicture { packet, is_whole: true }).collect()
    }

    #[test]
    fn the_nth_picture_that_comes_out_takes_the_nth_time() {
        let mut stored = packets(&[(0, false), (1, false), (2, true), (3, false)]);
        assert!(contradicts_times(&stored));
        assert!(show_as_decoded(&mut stored, &decoded(&[0, 2, 1, 3]), &mut Vec::new()));
        assert_eq!(stored.iter().filter_map(|p| p.pts).collect::<Vec<_>>(), [0, 2, 1, 3]);
    }

    #[test]
    fn times_that_agree_with_the_bitstream_are_believed() {
        assert!(!contradicts_times(&packets(&[(0, false), (2, false), (1, true), (3, false)])));
        let mut stored = packets(&[(0, false), (1, true), (2, false)]);
        assert!(!show_as_decoded(&mut stored, &decoded(&[0, 1, 2]), &mut Vec::new()), "a decoder has the last word");
    }

    #[test]
    fn one_broken_picture_of_many_is_no_habit_of_the_writer() {
        let stored: Vec<(i64, bool)> = (0..1000).map(|i| (i, i == 500)).collect();
        assert!(!contradicts_times(&packets(&stored)));
    }
}
