//! Cuts a source into chunks by packet copy.

use std::{collections::VecDeque, path::Path};

use ffmpeg::{
    Packet,
    codec::packet::{Mut, Ref},
    ffi,
};
use ffmpeg_next as ffmpeg;

use crate::{
    ChunkDescription, Limits, MediaError, PlannedSegment, PtsList, Rational, Source, VideoIndex,
    chunk_format::{earlier_times_ms, owned_times_ms},
    demux::{Demuxer, Timeline},
    error::check,
    index::PacketRecord,
    lossless::Reencoded,
    mux::Muxer,
};

/// Writes the chunk of one segment: the packets from its key frame through the next segment's key frame and the leading
/// pictures of that key frame. So every owned frame can be decoded from the chunk alone.
///
/// If a segment has no key frame to cut at, or if a chunk can't hold its packets, it is re-encoded without loss
/// instead. The chunk is a Matroska file with the video only. To cut several segments, use [`Cutter`], which reads the
/// source once.
///
/// # Errors
/// [`MediaError::Mismatch`] if the source is no longer what was indexed.
pub fn cut(
    source: impl Into<Source>,
    index: &VideoIndex,
    segment: &PlannedSegment,
    chunk_out: &Path,
) -> Result<(), MediaError> {
    let mut cutter = Cutter::open(source, index, std::slice::from_ref(segment))?;
    cutter.next_chunk(chunk_out).map(|_| ())
}

/// Cuts segments in order, and reads the source once. If the first segment is a later one, it seeks there, if the
/// format allows that.
#[derive(Debug)]
pub struct Cutter<'a> {
    index: &'a VideoIndex,
    segments: VecDeque<&'a PlannedSegment>,
    demuxer: Demuxer,
    /// Index of the next packet of the demuxer.
    position: usize,
    /// Packets that were read, and that the next chunk needs too: a key frame and its leading pictures.
    held: VecDeque<HeldPacket>,
    /// The part that is being re-encoded, decoded up to the segment cut last.
    reencoded: Option<(usize, Reencoded)>,
}

struct HeldPacket {
    index: usize,
    packet: Packet,
}

impl std::fmt::Debug for HeldPacket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldPacket").field("index", &self.index).finish_non_exhaustive()
    }
}

impl<'a> Cutter<'a> {
    /// Opens the source to cut `segments`. They must be in ascending order; some can be left out.
    ///
    /// # Errors
    /// As [`crate::index`]; [`MediaError::Mismatch`] if the segments are not of this index or out of order.
    pub fn open(
        source: impl Into<Source>,
        index: &'a VideoIndex,
        segments: &'a [PlannedSegment],
    ) -> Result<Self, MediaError> {
        let source = source.into();
        for segment in segments {
            if segment.first_keyframe >= index.keyframes.len()
                || segment.end_keyframe.is_some_and(|end| end >= index.keyframes.len() || end <= segment.first_keyframe)
            {
                return Err(MediaError::Mismatch {
                    reason: format!("segment {} names key frames that the index does not have", segment.number),
                });
            }
        }
        let follows = |a: &PlannedSegment, b: &PlannedSegment| {
            a.span.end_pts <= b.span.start_pts
                && (a.first_keyframe < b.first_keyframe || a.is_reencoded && b.is_reencoded)
        };
        if segments.windows(2).any(|w| !follows(&w[0], &w[1])) {
            return Err(MediaError::Mismatch { reason: "the segments to cut are not in ascending order".into() });
        }
        let mut cutter = Self {
            index,
            segments: segments.iter().collect(),
            demuxer: open_source(&source, index)?,
            position: 0,
            held: VecDeque::new(),
            reencoded: None,
        };
        if let Some(first) = segments.first() {
            cutter.seek(&source, index.keyframes[first.first_keyframe].packet_index)?;
        }
        Ok(cutter)
    }

    /// Writes the next segment's chunk to `chunk_out` and returns the segment's number; `None` when all are cut.
    ///
    /// # Errors
    /// [`MediaError::Mismatch`] if the source is no longer what was indexed; I/O errors of either file.
    pub fn next_chunk(&mut self, chunk_out: &Path) -> Result<Option<u32>, MediaError> {
        let Some(segment) = self.segments.pop_front() else { return Ok(None) };
        if segment.is_reencoded {
            self.reencode(segment, chunk_out)?;
        } else {
            self.copy(segment, chunk_out)?;
        }
        Ok(Some(segment.number))
    }

    /// Copies the packets from which a segment can be decoded.
    fn copy(&mut self, segment: &PlannedSegment, chunk_out: &Path) -> Result<(), MediaError> {
        let range = packet_range(self.index, segment);
        let plan = ChunkTimes::of(self.index, segment, range.clone());
        let mut muxer =
            Muxer::matroska(chunk_out, self.demuxer.parameters()?, self.index.time_base, plan.description.to_tags())?;
        for at in range.clone() {
            let mut packet = self.led_packet(at, segment, range.start)?;
            let times = plan.times_ms[at - range.start];
            packet.set_pts(Some(times.pts));
            packet.set_dts(Some(times.dts));
            packet.set_duration(0);
            match muxer.write(packet) {
                Err(error) if !error.is_transient() => {
                    // A packet so broken that the container refuses it: its frame will be missing and reported so.
                    tracing::warn!(packet = at, segment = segment.number, %error, "left a damaged packet out of a chunk");
                }
                result => result?,
            }
        }
        muxer.finish()
    }

    /// Re-encodes the frames of a segment. It continues in the part after the end of the segment before.
    fn reencode(&mut self, segment: &PlannedSegment, chunk_out: &Path) -> Result<(), MediaError> {
        let range = packet_range(self.index, segment);
        let mut reencoded = match self.reencoded.take() {
            Some((keyframe, reencoded)) if keyframe == segment.first_keyframe => reencoded,
            _ => Reencoded::open(&self.demuxer, self.index, range.clone())?,
        };
        let index = self.index;
        reencoded.write_chunk(segment, index, chunk_out, &mut |at| self.led_packet(at, segment, range.start))?;
        self.reencoded = Some((segment.first_keyframe, reencoded));
        Ok(())
    }

    /// The packet with number `at`, after the parameter sets that it needs. The segment's chunk or re-encoded part
    /// starts with packet `start`.
    fn led_packet(&mut self, at: usize, segment: &PlannedSegment, start: usize) -> Result<Packet, MediaError> {
        // The next chunk starts with the packets from here on.
        let next = self.segments.iter().find(|next| next.first_keyframe != segment.first_keyframe);
        let shared_from = next.map_or(usize::MAX, |next| self.index.keyframes[next.first_keyframe].packet_index);
        let packet = self.packet(at, shared_from)?;
        let Some(lead_in) = self.index.lead_ins.get(&at) else { return Ok(packet) };
        behind(if at == start { &lead_in.at_start } else { &lead_in.changed }, packet)
    }

    /// The packet with number `at`, from memory or from the source. Packets are requested in order, except if a part is
    /// decoded again from its start. Packets from `shared_from` on remain in memory.
    fn packet(&mut self, at: usize, shared_from: usize) -> Result<Packet, MediaError> {
        while self.held.front().is_some_and(|held| held.index < at.min(shared_from)) {
            self.held.pop_front();
        }
        if let Some(place) = self.held.iter().position(|held| held.index == at) {
            if at >= shared_from {
                return Ok(self.held[place].packet.clone());
            }
            if let Some(held) = self.held.remove(place) {
                return Ok(held.packet);
            }
        }
        if at < self.position {
            let source = self.demuxer.source().clone();
            (self.demuxer, self.position) = (open_source(&source, self.index)?, 0);
            self.held.clear();
            self.seek(&source, at)?;
            return self.packet(at, shared_from);
        }
        loop {
            let mut packet = Packet::empty();
            if !self.demuxer.read(&mut packet)? {
                return Err(changed(self.position, "is missing"));
            }
            let index = self.position;
            self.position += 1;
            if index == at {
                self.verify(index, &packet)?;
                if at >= shared_from {
                    self.held.push_back(HeldPacket { index, packet: packet.clone() });
                }
                return Ok(packet);
            }
        }
    }

    fn verify(&self, index: usize, packet: &Packet) -> Result<(), MediaError> {
        let known = self.index.packets.get(index);
        if known.is_some_and(|known| is_same(known, packet)) { Ok(()) } else { Err(changed(index, "differs")) }
    }

    /// Goes to packet `target`. It seeks, if that leads to a known packet at or before `target`. Otherwise it reads
    /// forward.
    fn seek(&mut self, source: &Source, target: usize) -> Result<(), MediaError> {
        let record = self.index.packets[target];
        // Without byte offsets a packet cannot be recognised after the jump; at the start there is nothing to gain.
        if target < 100
            || record.position < 0
            || !self.demuxer.seek(self.index.stored_clock.time_of(record.pts.unwrap_or_default()))
        {
            return Ok(());
        }
        let mut packet = Packet::empty();
        let mut tries = 0;
        while tries < target && self.demuxer.read(&mut packet)? {
            tries += 1;
            if packet.position() as i64 == record.position {
                if is_same(&record, &packet) {
                    self.held.push_back(HeldPacket { index: target, packet });
                    self.position = target + 1;
                    return Ok(());
                }
                break;
            }
            if packet.position() as i64 > record.position {
                break;
            }
        }
        self.demuxer = open_source(source, self.index)?;
        Ok(())
    }
}

fn open_source(source: &Source, index: &VideoIndex) -> Result<Demuxer, MediaError> {
    // What was indexed was within the caller's limits, and this is the same file.
    let limits = Limits { max_bytes: u64::MAX, max_streams: 1000, max_pixels: u64::MAX, ..Limits::default() };
    let bytes = source.check(&limits)?;
    if bytes != index.bytes {
        return Err(MediaError::Mismatch {
            reason: format!("the source has {bytes} bytes but had {} when it was indexed; index it again", index.bytes),
        });
    }
    Demuxer::open(source, Timeline::Media, &limits)
}

/// The packet with these bytes in front of its own.
fn behind(lead_in: &[u8], packet: Packet) -> Result<Packet, MediaError> {
    if lead_in.is_empty() {
        return Ok(packet);
    }
    let mut longer = Packet::copy(&[lead_in, packet.data().unwrap_or_default()].concat());
    // SAFETY: both packets are live; what is copied is everything but the data.
    let code = unsafe { ffi::av_packet_copy_props(longer.as_mut_ptr(), packet.as_ptr()) };
    check(code, "copy a packet", None)?;
    Ok(longer)
}

fn is_same(known: &PacketRecord, packet: &Packet) -> bool {
    known.position == packet.position() as i64 && known.size as usize == packet.size()
}

fn changed(index: usize, how: &str) -> MediaError {
    MediaError::Mismatch {
        reason: format!(
            "packet {index} of the source {how}; the file has changed since it was indexed, index it again"
        ),
    }
}

/// The packets of a segment's chunk.
fn packet_range(index: &VideoIndex, segment: &PlannedSegment) -> std::ops::Range<usize> {
    let start = index.keyframes[segment.first_keyframe].packet_index;
    let end = segment.end_keyframe.map_or(index.packets.len(), |end| index.keyframes[end].leading_end_index);
    start..end
}

#[derive(Clone, Copy, Debug)]
struct PacketTimes {
    pts: i64,
    dts: i64,
}

/// The chunk's own clock: see [`crate::chunk_format`].
struct ChunkTimes {
    description: ChunkDescription,
    /// Of each packet in stored order.
    times_ms: Vec<PacketTimes>,
}

impl ChunkTimes {
    fn of(index: &VideoIndex, segment: &PlannedSegment, range: std::ops::Range<usize>) -> Self {
        let time_base: Rational = index.time_base;
        let packets = &index.packets[range];
        let mut pictures: Vec<i64> = packets.iter().filter(|p| !p.is_lost).filter_map(|p| p.pts).collect();
        pictures.sort_unstable();
        let (before, owned_and_after) =
            pictures.split_at(pictures.partition_point(|&pts| pts < segment.span.start_pts));
        let first = owned_and_after.first().copied().unwrap_or(segment.span.start_pts);
        let mut times = earlier_times_ms(time_base, before, first);
        times.extend(owned_times_ms(time_base, owned_and_after));

        // Pictures that cannot be decoded get times before all others, where they can be mistaken for none.
        let mut next_lost = times.first().copied().unwrap_or(0).min(0);
        let mut chunk_pts: Vec<Option<i64>> = packets
            .iter()
            .map(|p| match p.pts {
                Some(_) if p.is_lost => {
                    next_lost -= 1;
                    Some(next_lost)
                }
                Some(pts) => pictures.binary_search(&pts).ok().map(|at| times[at]),
                None => None,
            })
            .collect();
        let start_ms = -next_lost;
        chunk_pts.iter_mut().flatten().for_each(|pts| *pts += start_ms);

        // A decoding time that never falls and is never after a picture still to come. Packets without a picture of
        // their own take it as their time.
        let mut dts = chunk_pts.iter().flatten().max().copied().unwrap_or(0);
        let mut times_ms: Vec<PacketTimes> = chunk_pts
            .iter()
            .rev()
            .map(|&pts| {
                dts = dts.min(pts.unwrap_or(dts));
                PacketTimes { pts: pts.unwrap_or(dts), dts }
            })
            .collect();
        times_ms.reverse();
        let description = ChunkDescription {
            window: segment.window(),
            frame_pts: segment.frame_pts.clone(),
            start_ms,
            damaged_pts: PtsList::default(),
            packing: None,
        };
        Self { description, times_ms }
    }
}
