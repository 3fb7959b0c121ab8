//! Whether chunks can hold the packets of a stream as they are. They can if Matroska gives a decoder the same
//! information as the source's container.

use std::{
    io::{Cursor, Seek, SeekFrom, Write},
    sync::{Arc, Mutex, PoisonError},
};

use ffmpeg::{Packet, frame};
use ffmpeg_next as ffmpeg;

use crate::{
    Frame, Limits, MediaError, Orientation, Rational, Source,
    decoder::{Decoder, Step},
    demux::{Demuxer, Timeline, codec_name},
    mux::Muxer,
};

/// Codecs whose packets, with the description that Matroska defines for them, have all information.
const SELF_DESCRIBED: [&str; 5] = ["h264", "hevc", "av1", "vp8", "vp9"];
/// How many packets are tried, and after how many bytes no other packet is.
const TRIED_PACKETS: usize = 4;
const TRIED_BYTES: usize = 32 << 20;

/// Whether the first pictures of a chunk equal those of the source. A container describes its stream before all
/// packets. So a description that is sufficient for the first packets is sufficient for all.
pub(crate) fn holds(source: &Demuxer, first_entry: usize, limits: &Limits) -> Result<bool, MediaError> {
    if SELF_DESCRIBED.contains(&codec_name(&source.parameters()?).as_str()) {
        return Ok(true);
    }
    let mut demuxer = Demuxer::open(source.source(), Timeline::Media, limits)?;
    let mut packets = Vec::new();
    let (mut packet, mut at, mut bytes) = (Packet::empty(), 0, 0);
    while packets.len() < TRIED_PACKETS && bytes < TRIED_BYTES && demuxer.read(&mut packet)? {
        if at >= first_entry && packet.size() > 0 {
            bytes += packet.size();
            let time = Some(packets.len() as i64);
            packet.set_pts(time);
            packet.set_dts(time);
            packet.set_duration(0);
            packets.push(packet.clone());
        }
        at += 1;
    }
    let expected = pictures(&demuxer, packets.iter().cloned().map(Ok), limits)?;
    match through_chunk(&demuxer, packets, limits) {
        Ok(found) => Ok(found == expected),
        Err(error) if error.is_transient() => Err(error),
        // Matroska refuses the codec, or its description.
        Err(_) => Ok(false),
    }
}

/// Pixel format, size and MD5 of each picture.
type Seen = Vec<(String, u32, u32, [u8; 16])>;

fn through_chunk(source: &Demuxer, packets: Vec<Packet>, limits: &Limits) -> Result<Seen, MediaError> {
    let memory = Memory::default();
    let mut muxer = Muxer::matroska_in_memory(memory.clone(), source.parameters()?, Rational::of(1, 1000))?;
    packets.into_iter().try_for_each(|packet| muxer.write(packet))?;
    muxer.finish()?;
    let content = memory.take();
    let (bytes, limits) = (content.len() as u64, Limits { max_bytes: u64::MAX, ..limits.clone() });
    let chunk = Source::of_ranges("chunk.mkv", bytes, move |offset, into| {
        let start = usize::try_from(offset).map_err(std::io::Error::other)?;
        into.copy_from_slice(content.get(start..start + into.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    });
    let mut demuxer = Demuxer::open(&chunk, Timeline::Media, &limits)?;
    let parameters = Demuxer::open(&chunk, Timeline::Media, &limits)?;
    let packets = std::iter::from_fn(|| {
        let mut packet = Packet::empty();
        demuxer.read(&mut packet).map(|is_there| is_there.then_some(packet)).transpose()
    });
    pictures(&parameters, packets, &limits)
}

fn pictures(
    described_by: &Demuxer,
    mut packets: impl Iterator<Item = Result<Packet, MediaError>>,
    limits: &Limits,
) -> Result<Seen, MediaError> {
    let (parameters, time_base) = (described_by.parameters()?, described_by.time_base()?);
    let mut decoder = Decoder::open(parameters, time_base, 1, limits, described_by.path())?;
    let (mut seen, mut at_end) = (Vec::new(), false);
    loop {
        let mut picture = frame::Video::empty();
        match decoder.receive(&mut picture)? {
            Step::Picture => {
                let frame = Frame { pts: 0, is_damaged: false, orientation: Orientation::UPRIGHT, picture };
                let format = crate::picture_format::pixel_format_name(&frame.picture);
                seen.push((format, frame.width(), frame.height(), frame.md5()?));
            }
            // One thread tells what is damaged.
            Step::Error | Step::IsDamaged => {}
            Step::Finished => return Ok(seen),
            Step::NeedsPacket if at_end => return Ok(seen),
            Step::NeedsPacket => match packets.next() {
                Some(packet) => drop(decoder.send(&packet?)?),
                None => {
                    at_end = true;
                    decoder.send_eof()?;
                }
            },
        }
    }
}

/// A file in memory, which the muxer writes and we read.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Cursor<Vec<u8>>>>);

impl Memory {
    fn with<T>(&self, act: impl FnOnce(&mut Cursor<Vec<u8>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self) -> Vec<u8> {
        self.with(std::mem::take).into_inner()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.with(|file| file.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Memory {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.with(|file| file.seek(to))
    }
}
