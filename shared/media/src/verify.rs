//! Proves for one file that its chunks, decoded one by one, have the same frames as the file decoded in one piece.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use serde::Serialize;
use trackdrop_pipeline::{
    SegmentNumber,
    ledger::{FrameAccount, Ledger, LedgerTotal, PlannedFrames},
};

use crate::{
    ChunkReader, Cutter, Frame, Limits, MediaError, Orientation, PlannedSegment, Source, VideoIndex, index,
    serial::SerialDecoder,
};

/// How to cut and decode.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Target length of a segment in seconds, as in a request.
    pub segment_seconds: f64,
    /// The bounds on the source.
    pub limits: Limits,
    /// Threads of each of the two decoders.
    pub threads: usize,
}

/// The result of the comparison. Without a [`Difference`], exactly one chunk has each frame of the source, with the
/// same pixels and the same time.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// Width and height of the pictures that were compared, as they are stored.
    pub stored_size_px: (u32, u32),
    /// The orientation that makes them upright, as for boxes and the annotated video.
    pub orientation: Orientation,
    /// Width and height of the upright picture that boxes are in.
    pub upright_size_px: (u32, u32),
    /// Chunks that the file was cut into.
    pub segments: u32,
    /// How many of them were re-encoded without loss, because the file has no key frame to cut at. In these the encoder
    /// chooses the key frames, so key frames are not compared.
    pub segments_reencoded: u32,
    /// The ledger's totals, as `merge` would check them.
    pub ledger: LedgerTotal,
    /// Whether the container states the time of each picture. Otherwise the times are those of the index, and pictures
    /// of the serial decode are identified by their packets.
    pub times_are_stated: bool,
    /// Pictures of the serial decode that do not belong to the video: they are before the first key frame, or too
    /// damaged to have a time.
    pub left_out: u64,
    /// Pictures after a damaged one, up to the next key frame, whose errors in the chunk differ from those in the
    /// serial decode.
    pub unequal_after_damage: u64,
    /// What is unusual about the file.
    pub warnings: Vec<String>,
    /// The first difference from the serial decode.
    pub first_difference: Option<Difference>,
}

/// A frame of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedFrame {
    /// Its index in the plan.
    pub frame_index: u64,
    /// When it is shown, in ticks, as rows have it.
    pub pts: i64,
    /// MD5 of the decoded picture: its planes without padding, in its own pixel format.
    pub md5: [u8; 16],
    /// Whether it was decoded with errors.
    pub is_damaged: bool,
}

/// A difference between the chunks and the serial decode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// The serial decode has an undamaged picture that no chunk has.
    Missing {
        /// When it is shown, in ticks.
        pts: Option<i64>,
        /// How many pictures the serial decode returned before it.
        serial_index: u64,
    },
    /// A chunk has an undamaged picture that the serial decode does not have.
    Invented {
        /// Its index in the plan.
        frame_index: u64,
        /// When it would be shown, in ticks.
        pts: i64,
    },
    /// The pixels differ.
    Picture {
        /// Index of the frame.
        frame_index: u64,
        /// When it is shown, in ticks.
        pts: i64,
        /// MD5 of the serial decode's picture, hex.
        serial_md5: String,
        /// MD5 of the chunk's picture, hex.
        chunk_md5: String,
    },
    /// Only one of the two reports a key frame.
    KeyFlag {
        /// Index of the frame.
        frame_index: u64,
        /// When it is shown, in ticks.
        pts: i64,
        /// Whether the serial decode does.
        serial_is_key: bool,
    },
    /// The ledger of the chunks does not fit the plan.
    Ledger {
        /// How.
        reason: String,
    },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { pts: Some(pts), serial_index } => {
                write!(f, "picture {serial_index} of the serial decode, shown at {pts}, is in no chunk")
            }
            Self::Missing { pts: None, serial_index } => {
                write!(f, "picture {serial_index} of the serial decode, which has no time, is in no chunk")
            }
            Self::Invented { frame_index, pts } => {
                write!(f, "frame {frame_index} at {pts} comes out of a chunk, but the serial decode does not show it")
            }
            Self::Picture { frame_index, pts, serial_md5, chunk_md5 } => {
                write!(f, "frame {frame_index} at {pts} has other pixels: MD5 {chunk_md5}, serially {serial_md5}")
            }
            Self::KeyFlag { frame_index, pts, serial_is_key } => {
                let (chunk, serial) = if *serial_is_key { ("no", "a") } else { ("a", "no") };
                write!(
                    f,
                    "frame {frame_index} at {pts} is {chunk} key frame in its chunk, but {serial} key frame serially"
                )
            }
            Self::Ledger { reason } => f.write_str(reason),
        }
    }
}

impl Verification {
    /// Whether exactly one chunk has each frame, as in the serial decode. The ledger has the damaged frames.
    pub fn is_exact(&self) -> bool {
        self.first_difference.is_none()
    }
}

/// Cuts `source` as `split` does, and decodes each chunk in its window. At the same time it decodes the source in one
/// piece, and compares frame by frame: MD5 of the decoded picture, PTS, key flag. The folder `scratch` has one chunk at
/// a time. Memory grows with the file only by its list of packets.
///
/// # Errors
/// The same as of [`index`] and [`Cutter`]. A refused file is not compared.
pub fn verify(source: impl Into<Source>, options: &VerifyOptions, scratch: &Path) -> Result<Verification, MediaError> {
    verify_each(source, options, scratch, &mut |_, _| ())
}

/// The same as [`verify`]. It also calls `each` with every frame of the chunks, in order, and the index of the video.
///
/// # Errors
/// The same as of [`verify`].
pub fn verify_each(
    source: impl Into<Source>,
    options: &VerifyOptions,
    scratch: &Path,
    each: &mut dyn FnMut(&VideoIndex, VerifiedFrame),
) -> Result<Verification, MediaError> {
    let source = &source.into();
    let video = index(source, &options.limits)?;
    let segments = video.plan(options.segment_seconds)?;
    let mut serial = SerialDecoder::open(source, &video, &options.limits, options.threads)?;
    let mut chunks = Chunks {
        cutter: Cutter::open(source, &video, &segments)?,
        waiting: segments.iter().collect(),
        current: None,
        file: scratch.join("verify.mkv"),
        options,
        ledger: Ledger::default(),
        broken_ledger: None,
    };
    let mut comparison = Comparison::new(&video, each);
    let (mut left, mut right) = (serial.next()?, chunks.next()?);
    loop {
        (left, right) = match (left, right) {
            (None, None) => break,
            (Some((None, frame)), own) => {
                comparison.serial_only(None, &frame);
                (serial.next()?, own)
            }
            (Some((Some(pts), frame)), Some(own)) if pts == own.pts => {
                comparison.both(&frame, &own, chunks.are_copied())?;
                (serial.next()?, chunks.next()?)
            }
            (Some((Some(pts), frame)), own) if own.as_ref().is_none_or(|own| pts < own.pts) => {
                comparison.serial_only(Some(pts), &frame);
                (serial.next()?, own)
            }
            (serially, Some(own)) => {
                comparison.chunk_only(&own)?;
                (serially, chunks.next()?)
            }
            (serially, None) => (serially, None),
        };
    }
    let difference = comparison.first.or(chunks.broken_ledger.map(|reason| Difference::Ledger { reason }));
    let stored_size_px = (video.width, video.height);
    Ok(Verification {
        stored_size_px,
        orientation: video.orientation,
        upright_size_px: video.orientation.size(stored_size_px),
        segments: segments.len() as u32,
        segments_reencoded: segments.iter().filter(|segment| segment.is_reencoded).count() as u32,
        ledger: chunks.ledger.total().clone(),
        times_are_stated: video.times_are_stated,
        left_out: comparison.left_out,
        unequal_after_damage: comparison.unequal_after_damage,
        warnings: video.warnings.clone(),
        first_difference: difference,
    })
}

/// A frame that came out: its PTS, and whether it is damaged.
type Seen = (i64, bool);

/// The frames of all chunks in order, each chunk cut when the one before it is decoded.
struct Chunks<'a> {
    cutter: Cutter<'a>,
    waiting: VecDeque<&'a PlannedSegment>,
    current: Option<(&'a PlannedSegment, ChunkReader, Vec<Seen>)>,
    file: PathBuf,
    options: &'a VerifyOptions,
    ledger: Ledger,
    broken_ledger: Option<String>,
}

impl Chunks<'_> {
    /// Whether the chunk of the frame given out last holds the source's own packets.
    fn are_copied(&self) -> bool {
        self.current.as_ref().is_some_and(|(segment, ..)| !segment.is_reencoded)
    }

    fn next(&mut self) -> Result<Option<Frame>, MediaError> {
        loop {
            if let Some((segment, reader, seen)) = &mut self.current {
                if let Some(frame) = reader.next()? {
                    seen.push((frame.pts, frame.is_damaged));
                    return Ok(Some(frame));
                }
                let outcome = account(segment, seen, &mut self.ledger);
                self.broken_ledger = self.broken_ledger.take().or(outcome.err());
            }
            self.current = None;
            let Some(segment) = self.waiting.pop_front() else { return Ok(None) };
            self.cutter.next_chunk(&self.file)?;
            let window = segment.window();
            let VerifyOptions { limits, threads, .. } = self.options;
            let reader = ChunkReader::open(&self.file, &window, &segment.frame_pts, limits, *threads)?;
            self.current = Some((segment, reader, Vec::new()));
        }
    }
}

/// Enters a segment into the ledger, as `merge` does; the error says how it does not fit.
fn account(segment: &PlannedSegment, seen: &[Seen], ledger: &mut Ledger) -> Result<(), String> {
    let account = FrameAccount::of(&segment.frame_pts, seen, 1).map_err(|error| error.to_string())?;
    let pts_sha256 = segment.frame_pts.sha256();
    let planned = PlannedFrames {
        segment: SegmentNumber::new(segment.number.into()).map_err(|error| error.to_string())?,
        span: segment.span,
        looks: segment.span.frame_count,
        pts_sha256: pts_sha256.into(),
    };
    ledger.take(&planned, &account).map_err(|error| error.to_string())
}

/// What the comparison knows so far.
struct Comparison<'a> {
    index: &'a VideoIndex,
    each: &'a mut dyn FnMut(&VideoIndex, VerifiedFrame),
    first: Option<Difference>,
    serial_frames: u64,
    left_out: u64,
    unequal_after_damage: u64,
    /// A picture was damaged or lost since the last key frame: what refers to it is concealed, each decoder in its way.
    is_after_damage: bool,
}

impl<'a> Comparison<'a> {
    fn new(index: &'a VideoIndex, each: &'a mut dyn FnMut(&VideoIndex, VerifiedFrame)) -> Self {
        Self {
            index,
            each,
            first: None,
            serial_frames: 0,
            left_out: 0,
            unequal_after_damage: 0,
            is_after_damage: false,
        }
    }

    /// Hands on a frame of a chunk; returns the MD5 of its picture.
    fn hand_on(&mut self, own: &Frame) -> Result<[u8; 16], MediaError> {
        let md5 = own.md5()?;
        let frame_index = self.place(own.pts);
        (self.each)(self.index, VerifiedFrame { frame_index, pts: own.pts, md5, is_damaged: own.is_damaged });
        Ok(md5)
    }

    fn both(&mut self, serial: &Frame, own: &Frame, is_copied: bool) -> Result<(), MediaError> {
        self.serial_frames += 1;
        let (serial_md5, chunk_md5) = (serial.md5()?, self.hand_on(own)?);
        let serial_is_key = serial.is_key();
        let is_key = if is_copied { own.is_key() } else { serial_is_key };
        let is_damaged = serial.is_damaged || own.is_damaged;
        if serial_md5 == chunk_md5 && serial_is_key == is_key {
            self.is_after_damage = is_damaged || self.is_after_damage && !is_key;
            return Ok(());
        }
        self.is_after_damage |= is_damaged;
        let (frame_index, pts) = (self.place(own.pts), own.pts);
        self.differs(if serial_md5 != chunk_md5 {
            Difference::Picture { frame_index, pts, serial_md5: hex(&serial_md5), chunk_md5: hex(&chunk_md5) }
        } else {
            Difference::KeyFlag { frame_index, pts, serial_is_key }
        });
        Ok(())
    }

    fn serial_only(&mut self, pts: Option<i64>, frame: &Frame) {
        let serial_index = self.serial_frames;
        self.serial_frames += 1;
        let is_planned = pts.is_some_and(|pts| self.index.frame_pts.binary_search(&pts).is_ok());
        let is_in_front = pts.is_some_and(|pts| pts < self.index.shown_start_pts);
        self.is_after_damage |= frame.is_damaged;
        if !is_planned && (is_in_front || frame.is_damaged || pts.is_none()) {
            self.left_out += 1;
        } else {
            self.differs(Difference::Missing { pts, serial_index });
        }
    }

    fn chunk_only(&mut self, own: &Frame) -> Result<(), MediaError> {
        self.hand_on(own)?;
        self.is_after_damage |= own.is_damaged;
        self.differs(Difference::Invented { frame_index: self.place(own.pts), pts: own.pts });
        Ok(())
    }

    fn differs(&mut self, difference: Difference) {
        if self.is_after_damage {
            self.unequal_after_damage += 1;
        } else if self.first.is_none() {
            self.first = Some(difference);
        }
    }

    fn place(&self, pts: i64) -> u64 {
        self.index.frame_pts.partition_point(|&planned| planned < pts) as u64
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
