//! Optional refinements of finished tracks, when all frames are known. Each is a pure function from rows to rows. Each
//! makes rows that differ from the tracker's, so each has a name and is off by default. [`Refine`] applies several in
//! the right order. A row is the box of one id in one frame.
//!
//! | function | ids | boxes | adds rows |
//! |---|---|---|---|
//! | [`link()`], [`link_seen()`] | changes them | leaves them | no |
//! | [`recover()`] | leaves them | leaves them | detections that no track had |
//! | [`backfill_first_boxes`] | leaves them | leaves them | the detection before a track's first row |
//! | [`fill_gaps`] | leaves them | leaves them | straight lines |
//! | [`smooth`] | leaves them | changes them | no |
//! | [`smooth_rts`] | leaves them | changes them | the motion through gaps |
//!
//! ```
//! use trackdrop_refine::{Gaps, Row, fill_gaps};
//!
//! let rows = vec![Row::new(0, 1, [0.0, 0.0, 10.0, 20.0]), Row::new(2, 1, [4.0, 0.0, 14.0, 20.0])];
//! let filled = fill_gaps(rows, &Gaps { max_missing_frames: 1, min_rows: 2 });
//! assert_eq!((filled[1].frame, filled[1].bbox), (1, [2.0, 0.0, 12.0, 20.0]));
//! ```
//!
//! [`Streamed`] returns the same rows as [`Refine::apply`], for videos that are too long for memory.
//!
//! No row is removed, no id occurs twice in a frame, and the [`Origin`] of every added row says that it was added. The
//! effects are measured in `docs/tracking.md`.
//!
//! # Conventions
//! Frames count from 0. Boxes are left, top, right and bottom edges in px. Rows are sorted by frame; rows added come
//! after all others of their frame. All computation is `f64` and deterministic: neither the order of rows within a
//! frame nor the number of cores has an effect on what is in a row.

mod appearance;
mod backfill;
mod camera;
mod crowding;
mod gaps;
mod ids;
mod link;
mod looks;
mod motion;
mod noise;
mod overlap;
mod parallel;
mod pieces;
mod recover;
mod refine;
mod row;
mod rts;
mod smoothing;
mod streamed;
mod tracks;

pub use appearance::{Appearances, DESCRIPTOR_BYTES, Descriptor, Picture};
pub use backfill::{Backfill, backfill_first_boxes};
pub use gaps::{Gaps, fill_gaps};
pub use link::{Link, LinkMade, Linked, link, link_seen};
pub use looks::Looks;
pub use recover::recover;
pub use refine::{Refine, Refined, Smooth};
pub use row::{Detection, Origin, Row, Video};
pub use rts::smooth_rts;
pub use smoothing::{Smoothing, SmoothingError, smooth};
pub use streamed::{Numbers, ScratchFiles, Streamed, StreamedRows};
