//! The reference: decodes a source in one piece, as a player does.

use std::collections::{HashMap, VecDeque};

use ffmpeg::{Packet, ffi, frame, packet::Mut};
use ffmpeg_next as ffmpeg;

use crate::{
    Frame, Limits, MediaError, Orientation, Source, VideoIndex,
    decoder::{Decoder, Step},
    demux::{Demuxer, Timeline},
    scan::tag_packet,
};

/// Decodes a whole source from its first packet to its last. It knows nothing of segments, windows or chunks.
pub(crate) struct SerialDecoder<'a> {
    source: &'a Source,
    limits: &'a Limits,
    demuxer: Demuxer,
    decoder: Decoder,
    packet: Packet,
    index: &'a VideoIndex,
    /// Packets given to the decoder.
    fed: usize,
    /// Pictures that the decoder returned, and how many of them the caller got before decoding restarted.
    pictures: u64,
    given_out: u64,
    at_end: bool,
    /// The index of each packet by its position and size. Set if packets can't be identified by their number, because
    /// an edit list leaves out some packets or repeats some.
    by_place: Option<HashMap<(i64, u32), usize>>,
    /// Packets that are decoded and not shown, before the first one that is read.
    before: VecDeque<Packet>,
}

impl<'a> SerialDecoder<'a> {
    pub(crate) fn open(
        source: &'a Source,
        index: &'a VideoIndex,
        limits: &'a Limits,
        threads: usize,
    ) -> Result<Self, MediaError> {
        let mut demuxer = Demuxer::open(source, Timeline::Presented, limits)?;
        let decoder = Decoder::open(demuxer.parameters()?, demuxer.time_base()?, threads, limits, source.name())?;
        let places = || index.packets.iter().enumerate().map(|(at, packet)| ((packet.position, packet.size), at));
        let by_place: Option<HashMap<_, _>> = demuxer.is_mp4().then(|| places().collect());
        let mut before = VecDeque::new();
        let mut first = Packet::empty();
        if let Some(places) = &by_place
            && demuxer.read(&mut first)?
        {
            if let Some(&at) = places.get(&place_of(&first)) {
                before = hidden_before(source, index, at, limits)?;
            }
            before.push_back(first);
        }
        Ok(Self {
            source,
            limits,
            demuxer,
            decoder,
            packet: Packet::empty(),
            index,
            fed: 0,
            pictures: 0,
            given_out: 0,
            at_end: false,
            by_place,
            before,
        })
    }

    /// Reads the next packet to decode.
    fn read(&mut self) -> Result<bool, MediaError> {
        match self.before.pop_front() {
            Some(packet) => {
                self.packet = packet;
                Ok(true)
            }
            None => self.demuxer.read(&mut self.packet),
        }
    }

    /// The next picture that is shown. Where the container states no time, the picture is known by
    /// its packet, and its time is what the index gave that packet; `None` for a packet that the index does not show.
    pub(crate) fn next(&mut self) -> Result<Option<(Option<i64>, Frame)>, MediaError> {
        loop {
            let mut picture = frame::Video::empty();
            match self.decoder.receive(&mut picture)? {
                Step::Picture => {
                    self.pictures += 1;
                    if self.pictures <= self.given_out {
                        continue;
                    }
                    let pts = if self.index.times_are_stated {
                        picture.timestamp()
                    } else {
                        let tag = picture.pts().and_then(|tag| usize::try_from(tag).ok());
                        tag.and_then(|tag| self.index.packets.get(tag)).filter(|p| !p.is_lost).and_then(|p| p.pts)
                    };
                    let is_damaged = picture.is_corrupt() || picture.has_decode_errors();
                    let frame =
                        Frame { pts: pts.unwrap_or_default(), is_damaged, orientation: Orientation::UPRIGHT, picture };
                    return Ok(Some((pts, frame)));
                }
                Step::Error => {}
                Step::IsDamaged => {
                    let again = Self::open(self.source, self.index, self.limits, 1)?;
                    *self = Self { given_out: self.pictures, ..again };
                }
                Step::Finished => return Ok(None),
                Step::NeedsPacket if self.at_end => return Ok(None),
                Step::NeedsPacket if self.read()? => {
                    if !self.index.times_are_stated {
                        let place = place_of(&self.packet);
                        let by_place = self.by_place.as_ref().and_then(|places| places.get(&place).copied());
                        tag_packet(&mut self.packet, by_place.unwrap_or(self.fed));
                    }
                    self.fed += 1;
                    self.decoder.send(&self.packet)?;
                }
                Step::NeedsPacket => {
                    self.at_end = true;
                    self.decoder.send_eof()?;
                }
            }
        }
    }
}

/// Position and size, which identify a packet in any order of reading.
fn place_of(packet: &Packet) -> (i64, u32) {
    (packet.position() as i64, packet.size() as u32)
}

/// The packets from the entry point before packet `at` up to it, which are decoded and not shown. FFmpeg begins an edit
/// at a packet that the container marks as a key frame. If the mark is wrong, the pictures to which the first ones
/// refer are missing, and the decoder invents them.
fn hidden_before(
    source: &Source,
    index: &VideoIndex,
    at: usize,
    limits: &Limits,
) -> Result<VecDeque<Packet>, MediaError> {
    let entry = index.keyframes.iter().rev().find(|key| key.packet_index <= at).map_or(at, |key| key.packet_index);
    let mut hidden = VecDeque::new();
    if entry == at {
        return Ok(hidden);
    }
    let mut stored = Demuxer::open(source, Timeline::Media, limits)?;
    for nth in 0..at {
        let mut packet = Packet::empty();
        if !stored.read(&mut packet)? {
            break;
        }
        if nth >= entry {
            // SAFETY: the packet is this one's own, and the flag is a field of it.
            unsafe { (*packet.as_mut_ptr()).flags |= ffi::AV_PKT_FLAG_DISCARD }
            hidden.push_back(packet);
        }
    }
    Ok(hidden)
}
