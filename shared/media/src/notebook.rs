//! Notes with which an interrupted scan resumes where it stopped.
//!
//! To plan some long sources, all their packets must be read. While a scan advances, it stores its results in parts. A
//! later scan reads these parts, and continues a little before their end. A demuxer that begins in the middle can know
//! less than one that began at the start. So the later scan must first return exactly the noted packets, over a long
//! part and up to the last of them. If it does not, the scan starts again from the beginning.
//!
//! A part ends at the first packet whose position is beyond the next multiple of a fixed number of bytes. So two scans
//! of the same source make the same parts.

use std::{collections::VecDeque, fmt, io, sync::Arc};

use ffmpeg::{Packet, codec::packet::side_data, ffi};
use ffmpeg_next as ffmpeg;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde::{Deserialize, Serialize};

use crate::{MediaError, demux::Demuxer, scanned_packet::ScannedPacket};

/// The store of the parts. A write is atomic: a part is stored completely or not at all.
pub trait Notes: Send + Sync {
    /// The part with this name, if it exists.
    ///
    /// # Errors
    /// If the store does not answer. The scan then fails, and can be repeated.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Stores a part. If a part with this name exists already, it has the same content.
    ///
    /// # Errors
    /// The same as of [`Notes::read`].
    fn write(&self, name: &str, part: Vec<u8>) -> io::Result<()>;
}

/// How often notes are made, and how far a later scan goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoteEvery {
    /// How many bytes of the source a part covers. Sources that are not longer have no notes.
    pub bytes: u64,
    /// How many packets before the end of the notes a later scan reads again, if they are within `bytes`.
    pub overlap_packets: usize,
}

impl Default for NoteEvery {
    /// 1 GiB, 1,024 packets.
    fn default() -> Self {
        Self { bytes: 1 << 30, overlap_packets: 1_024 }
    }
}

/// Notes of a source, and how often they are made.
#[derive(Clone)]
pub(crate) struct Noted {
    pub(crate) notes: Arc<dyn Notes>,
    pub(crate) every: NoteEvery,
}

impl fmt::Debug for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Noted").field("every", &self.every).finish_non_exhaustive()
    }
}

/// Packets at the end of a scan that the ones after them may still change.
const UNSETTLED: usize = 4;
/// A later scan goes back by at least this many packets.
const LEAST_OVERLAP: usize = 32;

/// Packets that were found one after the other, and what was true at the last of them.
#[derive(Serialize, Deserialize)]
struct Part {
    streams: u32,
    broken_places: u64,
    packets: Vec<ScannedPacket>,
}

/// The notes of one scan.
pub(crate) struct Notebook {
    noted: Noted,
    /// What earlier scans found, until this scan has reached the end of it.
    known: Vec<ScannedPacket>,
    streams: u32,
    broken_places: u64,
    /// Where in the notes this scan began.
    began_at: Option<usize>,
    parts: u32,
    /// Packets in the parts.
    in_parts: usize,
    /// Broken places when each of the last packets was read.
    broken: VecDeque<u64>,
    /// The source has something beside its packets that a scan from here would not know.
    is_over: bool,
}

/// Whether a scan continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    /// What is noted can't be reached.
    StartAgain,
}

impl Notebook {
    /// Reads the notes of the demuxer's source. None if there are none, or if the source is too short for notes.
    pub(crate) fn of(demuxer: &Demuxer) -> Result<Option<Self>, MediaError> {
        let source = demuxer.source();
        let Some(noted) = source.noted().filter(|noted| source.bytes().is_some_and(|bytes| bytes > noted.every.bytes))
        else {
            return Ok(None);
        };
        let mut notebook = Self {
            noted: noted.clone(),
            known: Vec::new(),
            streams: 0,
            broken_places: 0,
            began_at: None,
            parts: 0,
            in_parts: 0,
            broken: VecDeque::new(),
            is_over: false,
        };
        let failed = |error| MediaError::io("read what is noted of", demuxer.path(), error);
        while let Some(bytes) = noted.notes.read(&name_of(notebook.parts)).map_err(failed)? {
            // Notes that can't be read are treated as missing.
            let Ok(part) = serde_json::from_reader::<_, Part>(ZlibDecoder::new(&bytes[..])) else { break };
            notebook.parts += 1;
            (notebook.streams, notebook.broken_places) = (part.streams, part.broken_places);
            notebook.known.extend(part.packets);
        }
        notebook.in_parts = notebook.known.len();
        Ok(Some(notebook))
    }

    /// Moves a demuxer to a place before the end of the notes. False if there are no notes, or if it can't be moved.
    pub(crate) fn go_back(&mut self, demuxer: &mut Demuxer) -> Result<bool, MediaError> {
        let NoteEvery { bytes, overlap_packets } = self.noted.every;
        let Some(last) = self.known.last() else { return Ok(false) };
        let near = last.position.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        let within = self.known.iter().rev().take_while(|packet| packet.position >= near).count();
        let overlap = overlap_packets.min(within).max(LEAST_OVERLAP);
        let Some(back) = self.known.len().checked_sub(overlap) else { return Ok(false) };
        let entry = self.known[..=back].iter().rposition(|packet| packet.is_entry);
        let begin = entry.unwrap_or(back);
        let packet = &self.known[begin];
        let Some(time) = packet.dts.or(packet.pts).filter(|_| begin > 0 && packet.position >= 0) else {
            return Ok(false);
        };
        self.began_at = Some(begin);
        demuxer.go_to(packet.position, time)
    }

    /// Begins a new scan.
    pub(crate) fn start_again(&mut self) {
        (self.known, self.broken, self.began_at) = (Vec::new(), VecDeque::new(), None);
        (self.parts, self.in_parts, self.broken_places) = (0, 0, 0);
    }

    /// Whether the scan has not reached the end of the notes yet.
    pub(crate) fn is_behind(&self) -> bool {
        !self.known.is_empty()
    }

    /// Notes a packet. Call it for each packet after it was found. `packets` are all packets so far. `is_plain` says
    /// that nothing but packets is known.
    pub(crate) fn note(
        &mut self,
        packets: &mut Vec<ScannedPacket>,
        packet: &Packet,
        is_plain: bool,
        demuxer: &mut Demuxer,
    ) -> Result<Then, MediaError> {
        self.broken.push_back(demuxer.broken_places());
        if self.is_behind() {
            return Ok(self.catch_up(packets, demuxer));
        }
        self.broken.drain(..self.broken.len().saturating_sub(UNSETTLED + 1));
        self.is_over |= !is_plain || packets.len() > 1 && says_more(packet);
        let settled = packets.len().saturating_sub(UNSETTLED);
        let end = (u64::from(self.parts) + 1).saturating_mul(self.noted.every.bytes);
        let is_due = settled > self.in_parts && packets[settled - 1].position >= i64::try_from(end).unwrap_or(i64::MAX);
        if is_due && !self.is_over {
            let part = Part {
                streams: demuxer.input().nb_streams(),
                broken_places: self.broken.front().copied().unwrap_or_default(),
                packets: packets[self.in_parts..settled].to_vec(),
            };
            let failed = |error| MediaError::io("note what was found of", demuxer.path(), error);
            let bytes = packed(&part).map_err(failed)?;
            self.noted.notes.write(&name_of(self.parts), bytes).map_err(failed)?;
            (self.parts, self.in_parts) = (self.parts + 1, settled);
        }
        Ok(Then::GoOn)
    }

    /// If the packets that were read end with the noted ones, the result is the notes and the packets after them.
    fn catch_up(&mut self, packets: &mut Vec<ScannedPacket>, demuxer: &mut Demuxer) -> Then {
        let overlap = self.known.len() - self.began_at.unwrap_or_default();
        let Some(settled) = packets.len().checked_sub(UNSETTLED).filter(|&settled| settled > 0) else {
            return Then::GoOn;
        };
        if packets.len() > 2 * overlap + LEAST_OVERLAP {
            return Then::StartAgain;
        }
        if packets.get(settled - 1) != self.known.last() {
            return Then::GoOn;
        }
        let run = overlap.div_ceil(2);
        let same =
            packets[..settled].iter().rev().zip(self.known.iter().rev()).take_while(|(read, known)| read == known);
        if same.count() < run || demuxer.input().nb_streams() != self.streams {
            return Then::StartAgain;
        }
        let before = self.broken.get(settled - 1).copied().unwrap_or_default();
        self.broken.drain(..settled.saturating_sub(1));
        self.broken.iter_mut().for_each(|broken| *broken = *broken - before + self.broken_places);
        demuxer.set_broken_places(demuxer.broken_places() - before + self.broken_places);
        let after = packets.split_off(settled);
        *packets = std::mem::take(&mut self.known);
        packets.extend(after);
        Then::GoOn
    }
}

/// A part of this release, since another one may find other things.
fn name_of(part: u32) -> String {
    // SAFETY: gives a number.
    let version = unsafe { ffi::avformat_version() };
    format!("{}-{version:x}-{part:06}", env!("CARGO_PKG_VERSION"))
}

fn packed(part: &Part) -> io::Result<Vec<u8>> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut packed, part)?;
    packed.finish()
}

/// Whether the container tells with this packet how those after it are to be read.
fn says_more(packet: &Packet) -> bool {
    use side_data::Type;
    packet.side_data().any(|side| matches!(side.kind(), Type::NewExtraData | Type::Palette | Type::ParamChange))
}
