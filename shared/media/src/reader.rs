//! Decodes a chunk: exactly the frames that it owns, with exactly the source's times.

use ffmpeg::{Packet, frame};
use ffmpeg_next as ffmpeg;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    ChunkDescription, Frame, Limits, MediaError, Orientation, PtsList, Source, VideoEngine, Window,
    chunk_format::owned_times_ms,
    decoder::{Decoder, Step},
    demux::Demuxer,
    packing::Packing,
};

/// A pixel of no format has more bytes.
const MOST_PIXEL_BYTES: u64 = 16;

/// The result of decoding a chunk: the entry of one segment in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodeReport {
    /// How many frames were returned, also damaged ones.
    pub frames: u64,
    /// PTS of the first of them, in the source's time base.
    pub first_pts: Option<i64>,
    /// PTS of the last of them.
    pub last_pts: Option<i64>,
    /// SHA-256 of the PTS of the returned frames, each as 8 bytes little-endian, in lower-case hexadecimal.
    pub pts_sha256: String,
    /// PTS of owned frames that could not be decoded, or were decoded with errors, ascending. The list is complete when
    /// [`ChunkReader::next`] has returned `None`.
    pub damaged: Vec<i64>,
    /// How many pictures were decoded only as references for others, or belong to another segment.
    pub discarded_outside_window: u64,
}

/// Decodes a chunk, and returns the frames of its window in presentation order.
///
/// If a frame can't be decoded, the report lists it.
#[derive(Debug)]
pub struct ChunkReader {
    demuxer: Demuxer,
    decoder: Decoder,
    packet: PacketSlot,
    /// A frame that the caller returned, to be filled again.
    spare: Option<Frame>,
    limits: Limits,
    orientation: Orientation,
    frame_pts: PtsList,
    /// The chunk's own time of each owned frame, in milliseconds.
    times_ms: Vec<i64>,
    /// For each owned frame, whether it is wanted.
    is_wanted: Vec<bool>,
    /// Whether pictures that no wanted frame needs are not decoded.
    may_skip: bool,
    /// How many pictures the decoder returned.
    decoded: u64,
    /// PTS of frames that were damaged before they were re-encoded.
    damaged_before: PtsList,
    /// How the chunk's pictures encode other pictures, if they do.
    packing: Option<Packing>,
    /// Index in `frame_pts` after the last decoded frame.
    next_place: usize,
    /// Index in `frame_pts` after the last frame that was returned before the decoder began again.
    given_out: usize,
    phase: Phase,
    tally: Tally,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Reading,
    Draining,
    Done,
}

#[derive(Debug, Default)]
struct Tally {
    frames: u64,
    first_pts: Option<i64>,
    last_pts: Option<i64>,
    digest: Sha256,
    damaged: Vec<i64>,
    outside: u64,
}

struct PacketSlot(Packet);

impl std::fmt::Debug for PacketSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PacketSlot")
    }
}

impl ChunkReader {
    /// Opens a chunk that [`crate::cut`] wrote. `chunk` is a path or a [`Source`]. `window` and `frame_pts` are from
    /// the manifest, in the source's time base. They are compared with the chunk's own description. `threads` is the
    /// number of decoding threads.
    ///
    /// # Errors
    /// [`MediaError::Mismatch`] if the file is not a chunk, or the chunk of another segment.
    pub fn open(
        chunk: impl Into<Source>,
        window: &Window,
        frame_pts: &PtsList,
        limits: &Limits,
        threads: usize,
    ) -> Result<Self, MediaError> {
        Self::open_on(VideoEngine::Software, chunk, window, frame_pts, limits, threads)
    }

    /// The same as [`ChunkReader::open`], but decodes on a video engine if possible, and otherwise in software.
    ///
    /// # Errors
    /// The same as of [`ChunkReader::open`].
    pub fn open_on(
        engine: VideoEngine,
        chunk: impl Into<Source>,
        window: &Window,
        frame_pts: &PtsList,
        limits: &Limits,
        threads: usize,
    ) -> Result<Self, MediaError> {
        let (demuxer, decoder, description) = open_pictures(chunk.into(), engine, limits, threads)?;
        if description.window != *window || description.frame_pts != *frame_pts {
            return Err(MediaError::Mismatch {
                reason: format!(
                    "the chunk owns {} frames of {:?}, but {} frames of {window:?} were asked for",
                    description.frame_pts.len(),
                    description.window,
                    frame_pts.len()
                ),
            });
        }
        if frame_pts.iter().any(|pts| !(window.start_pts..window.end_pts).contains(pts)) {
            return Err(MediaError::Mismatch { reason: "the chunk's list of frames leaves its window".into() });
        }
        let times_ms = owned_times_ms(window.time_base, frame_pts).iter().map(|t| t + description.start_ms).collect();
        Ok(Self {
            demuxer,
            decoder,
            packet: PacketSlot(Packet::empty()),
            spare: None,
            limits: limits.clone(),
            orientation: Orientation::UPRIGHT,
            frame_pts: frame_pts.clone(),
            is_wanted: vec![true; frame_pts.len()],
            may_skip: false,
            decoded: 0,
            times_ms,
            damaged_before: description.damaged_pts,
            packing: description.packing,
            next_place: 0,
            given_out: 0,
            phase: Phase::Reading,
            tally: Tally::default(),
        })
    }

    /// Returns upright frames. The orientation is that of the source's index. A chunk can state another one, or none.
    #[must_use]
    pub fn with_orientation(self, orientation: Orientation) -> Self {
        Self { orientation, ..self }
    }

    /// Returns only the frames with these PTS, which are ascending. The report has no others either. Other pictures are
    /// not decoded if no picture refers to them: all of them in a codec that has key frames only, and in H.264 without
    /// fields those that the stream marks. Nothing is decoded after the last of these frames.
    #[must_use]
    pub fn only(mut self, wanted_pts: &[i64]) -> Self {
        self.is_wanted = self.frame_pts.iter().map(|pts| wanted_pts.binary_search(pts).is_ok()).collect();
        self.may_skip = self.is_wanted.contains(&false);
        self
    }

    /// Returns the next frame of the window; `None` after the last one.
    ///
    /// # Errors
    /// I/O errors, and [`MediaError::LimitExceeded`] for a picture beyond the limits. Damage is not an error: see
    /// [`DecodeReport::damaged`].
    #[expect(clippy::should_implement_trait, reason = "an iterator of results would hide that this reads a file")]
    pub fn next(&mut self) -> Result<Option<Frame>, MediaError> {
        // Reused while the decoder asks for packets and returns pictures of neighbours.
        let mut picture = self.spare.take().map_or_else(frame::Video::empty, |frame| frame.picture);
        while self.phase != Phase::Done {
            if self.may_skip && !self.is_wanted[self.next_place..].contains(&true) {
                self.finish();
                continue;
            }
            match self.decoder.receive(&mut picture)? {
                Step::Picture => {
                    self.decoded += 1;
                    let accepted = self.accept(&picture)?;
                    if let Some((pts, is_damaged)) = accepted.filter(|_| self.next_place > self.given_out) {
                        let picture = match self.packing {
                            Some(packing) => packing.unpack(&picture)?,
                            None => picture,
                        };
                        self.limits.check_picture(picture.width(), picture.height())?;
                        return Ok(Some(Frame { pts, is_damaged, orientation: self.orientation, picture }));
                    }
                }
                Step::Error => {}
                Step::IsDamaged => self.begin_again()?,
                Step::Finished => self.finish(),
                Step::NeedsPacket => self.feed()?,
            }
        }
        Ok(None)
    }

    /// Takes a frame that is no longer needed, so that the next one need not be allocated.
    pub fn take_back(&mut self, frame: Frame) {
        self.spare = Some(frame);
    }

    /// Whether a GPU decodes. A GPU does not report damage, so only missing frames count as damaged.
    pub fn is_in_hardware(&self) -> bool {
        self.decoder.is_in_hardware()
    }

    /// How many pictures the decoder returned, wanted or not.
    pub fn decoded(&self) -> u64 {
        self.decoded
    }

    /// The report of what was decoded so far.
    pub fn report(&self) -> DecodeReport {
        let mut damaged = self.tally.damaged.clone();
        damaged.sort_unstable();
        DecodeReport {
            frames: self.tally.frames,
            first_pts: self.tally.first_pts,
            last_pts: self.tally.last_pts,
            pts_sha256: format!("{:x}", self.tally.digest.clone().finalize()),
            damaged,
            discarded_outside_window: self.tally.outside,
        }
    }

    /// Decodes again with one thread, which always reports the same damage. Frames that were returned already are not
    /// returned again, but they are counted again.
    fn begin_again(&mut self) -> Result<(), MediaError> {
        let chunk = self.demuxer.source().clone();
        tracing::info!(chunk = %chunk.name().display(), frames = self.next_place, "FFmpeg complains: decoded once more on one thread");
        (self.demuxer, self.decoder, _) = open_pictures(chunk, VideoEngine::Software, &self.limits, 1)?;
        self.given_out = self.next_place;
        (self.next_place, self.phase, self.tally) = (0, Phase::Reading, Tally::default());
        Ok(())
    }

    fn feed(&mut self) -> Result<(), MediaError> {
        if self.phase == Phase::Draining {
            self.finish();
        } else if self.demuxer.read(&mut self.packet.0)? {
            let place = self.packet.0.pts().and_then(|time| self.times_ms.binary_search(&time).ok());
            match !self.may_skip || place.is_some_and(|place| self.is_wanted[place]) {
                true => self.decoder.send(&self.packet.0)?,
                false => self.decoder.send_unwanted(&self.packet.0)?,
            };
        } else {
            self.phase = Phase::Draining;
            self.decoder.send_eof()?;
        }
        Ok(())
    }

    /// Finds the picture in the list of owned frames by its time, which no other picture has. Returns its PTS, and
    /// whether it is damaged. None if it is not owned.
    fn accept(&mut self, picture: &frame::Video) -> Result<Option<(i64, bool)>, MediaError> {
        let place = picture.pts().and_then(|time| self.times_ms.binary_search(&time).ok());
        let Some(place) = place.filter(|&place| place >= self.next_place) else {
            // Not owned, or out of order. If it is out of order, its PTS is already among the damaged ones.
            self.tally.outside += 1;
            return Ok(None);
        };
        self.pass_over(place);
        self.next_place = place + 1;
        if !self.is_wanted[place] {
            return Ok(None);
        }
        let pts = self.frame_pts[place];
        let is_damaged =
            picture.is_corrupt() || picture.has_decode_errors() || self.damaged_before.binary_search(&pts).is_ok();
        if is_damaged {
            self.tally.damaged.push(pts);
        }
        self.tally.frames += 1;
        self.tally.first_pts.get_or_insert(pts);
        self.tally.last_pts = Some(pts);
        self.tally.digest.update(pts.to_le_bytes());
        Ok(Some((pts, is_damaged)))
    }

    fn finish(&mut self) {
        self.phase = Phase::Done;
        self.pass_over(self.frame_pts.len());
        self.next_place = self.frame_pts.len();
    }

    /// Reports the wanted frames before an index that were not decoded.
    fn pass_over(&mut self, place: usize) {
        let passed = self.next_place..place;
        let lost =
            self.frame_pts[passed.clone()].iter().zip(&self.is_wanted[passed]).filter(|(_, is_wanted)| **is_wanted);
        self.tally.damaged.extend(lost.map(|(pts, _)| pts));
    }
}

/// A chunk's packets, what decodes them, and what the chunk says about itself.
fn open_pictures(
    chunk: Source,
    engine: VideoEngine,
    limits: &Limits,
    threads: usize,
) -> Result<(Demuxer, Decoder, ChunkDescription), MediaError> {
    // A video engine is asked for pixel formats that it may not take, and these are in the packets.
    let demuxer = Demuxer::open_chunk(chunk, engine != VideoEngine::Software, limits)?;
    let description = ChunkDescription::from_tags(demuxer.input(), limits)?;
    let (parameters, time_base) = (demuxer.parameters()?, demuxer.time_base()?);
    // A grey picture has as many pixels as the picture in it has bytes. That one is checked when it is there.
    let max_pixels = limits.max_pixels.saturating_mul(if description.packing.is_some() { MOST_PIXEL_BYTES } else { 1 });
    let decoder_limits = Limits { max_pixels, ..limits.clone() };
    let decoder = Decoder::open_on(engine, parameters, time_base, threads, &decoder_limits, demuxer.path())?;
    Ok((demuxer, decoder, description))
}
