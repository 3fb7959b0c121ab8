//! The reference: a source decoded in one piece, as a player does.

use std::collections::HashMap;

use ffmpeg::{Packet, frame};
use ffmpeg_next as ffmpeg;

use crate::{
    Frame, Limits, MediaError, Orientation, Source, VideoIndex,
    decoder::{Decoder, Step},
    demux::{Demuxer, Timeline},
    scan::tag_packet,
};

/// Decodes a whole source from its first packet to its last. It knows nothing of segments, windows or chunks.
pub(crate) struct SerialDecoder<'a> {
    demuxer: Demuxer,
    decoder: Decoder,
    packet: Packet,
    index: &'a VideoIndex,
    /// Packets given to the decoder.
    fed: usize,
    at_end: bool,
    /// Where the packets are known by what they are, not by how many came before: an edit list leaves packets out or gives some twice.
    by_place: Option<HashMap<(i64, u32), usize>>,
}

impl<'a> SerialDecoder<'a> {
    pub(crate) fn open(
        source: &Source,
        index: &'a VideoIndex,
        limits: &Limits,
        threads: usize,
    ) -> Result<Self, MediaError> {
        let demuxer = Demuxer::open(source, Timeline::Presented, limits)?;
        let decoder = Decoder::open(demuxer.parameters()?, demuxer.time_base()?, threads, limits, source.path())?;
        let places = || index.packets.iter().enumerate().map(|(at, packet)| ((packet.position, packet.size), at));
        let by_place = demuxer.is_mp4().then(|| places().collect());
        Ok(Self { demuxer, decoder, packet: Packet::empty(), index, fed: 0, at_end: false, by_place })
    }

    /// The next picture that is shown. Where the container states no time, the picture is known by
    /// its packet, and its time is what the index gave that packet; `None` for a packet that the index does not show.
    pub(crate) fn next(&mut self) -> Result<Option<(Option<i64>, Frame)>, MediaError> {
        loop {
            let mut picture = frame::Video::empty();
            match self.decoder.receive(&mut picture)? {
                Step::Picture => {
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
                Step::Finished => return Ok(None),
                Step::NeedsPacket if self.at_end => return Ok(None),
                Step::NeedsPacket if self.demuxer.read(&mut self.packet)? => {
                    if !self.index.times_are_stated {
                        let place = (self.packet.position() as i64, self.packet.size() as u32);
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
