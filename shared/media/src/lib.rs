//! Index, cut, decode, draw, encode and join video without losing a frame.
//!
//! A source is indexed once, divided into segments, and cut into chunks by packet copy. (If a chunk can't hold the
//! source's packets, or if there is no place to cut for too long, a chunk is re-encoded without loss.) Any machine can
//! then decode the frames of a segment from its chunk. Together the chunks give each frame of the source exactly once,
//! at its exact time.
//!
//! ```no_run
//! use std::path::Path;
//! use trackdrop_media::{ChunkReader, Cutter, Limits, index};
//!
//! # fn main() -> Result<(), trackdrop_media::MediaError> {
//! let (source, limits) = (Path::new("match.mp4"), Limits::default());
//! let video = index(source, &limits)?;
//! let segments = video.plan(10.0)?;
//! let mut cutter = Cutter::open(source, &video, &segments)?;
//! for segment in &segments {
//!     let chunk = format!("{:06}.mkv", segment.number);
//!     cutter.next_chunk(Path::new(&chunk))?;
//!     let window = segment.window();
//!     let mut reader = ChunkReader::open(Path::new(&chunk), &window, &segment.frame_pts, &limits, 2)?;
//!     while let Some(frame) = reader.next()? {
//!         println!("{} {}x{}", frame.pts, frame.width(), frame.height());
//!     }
//!     assert_eq!(reader.report().frames, segment.span.frame_count);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Conventions
//! * Times are `i64` ticks (PTS) of a rational time base; intervals are half-open. Frames are never identified by a
//!   float.
//! * Everything blocks; the types are `Send`, so an asynchronous caller moves them to a blocking thread.
//! * Sources are hostile input: only single-file media formats are opened, names are taken literally, and
//!   [`Limits`] are checked before memory or time is spent.
//! * FFmpeg's log is switched off for the process; errors have the important messages.

mod audio;
mod avio;
mod blur;
mod canvas;
mod carried;
mod chunk_format;
mod continuation;
mod crop;
mod cut;
mod decoder;
mod demux;
mod draw;
mod edit_list;
mod encode;
mod entry_point;
mod error;
mod failure;
mod first_pictures;
mod frame;
mod h264;
mod index;
mod installed;
mod join;
mod keyframes;
mod limits;
mod log;
mod lossless;
mod memory;
mod mux;
mod notebook;
mod order;
mod orientation;
mod origin;
mod packing;
mod paint;
mod params;
mod picture_format;
mod picture_head;
mod plan;
mod rational;
mod raw;
mod reader;
mod resize;
mod rgb_crop;
mod rgb_scaler;
mod scale;
mod scan;
mod scanned_packet;
mod serial;
mod sheet;
mod source;
mod spares;
mod still;
mod streams;
mod transcode;
mod ts_watch;
mod verify;
mod video_engine;

pub use blur::pixelate;
pub use canvas::Canvas;
pub use chunk_format::ChunkDescription;
pub use crop::{CropPicture, MAX_CROP_BYTES, View};
pub use cut::{Cutter, cut};
pub use draw::{Annotation, BoxMark, Trail, draw};
pub use encode::SegmentEncoder;
pub use error::MediaError;
pub use frame::Frame;
pub use index::{AudioInfo, Keyframe, VideoIndex, check_head, index};
pub use installed::InstalledFfmpeg;
pub use join::{JoinPart, JoinReport, join};
pub use limits::Limits;
pub use memory::{Effort, VideoWork};
pub use notebook::{NoteEvery, Notes};
pub use plan::{PlannedSegment, Window};
pub use reader::{ChunkReader, DecodeReport};
pub use rgb_crop::RgbCropper;
pub use rgb_scaler::{ResizeFilter, RgbScaler};
pub use sheet::{MOST_ON_A_SHEET, SheetPicture, contact_sheet};
pub use source::{Reading, Source};
pub use still::{StillFormat, read_still};
pub use streams::{VideoStreamInfo, VideoStreams};
pub use trackdrop_pipeline::{
    PtsList, Rational, SegmentSpan, VideoParams,
    video::{ColorTags, FieldOrder, Orientation, Turn},
};
pub use verify::{Difference, Verification, VerifiedFrame, VerifyOptions, verify, verify_each};
pub use video_engine::VideoEngine;

/// A blocking library is used from blocking threads of an asynchronous program.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Cutter<'static>>();
    is_send::<ChunkReader>();
    is_send::<Frame>();
    is_send::<RgbScaler>();
    is_send::<Canvas>();
    is_send::<SegmentEncoder>();
    is_send::<MediaError>();
};
