//! The domain of Trackdrop: requests and their names, segments, the counter, the ledger and the manifest.
//!
//! This crate reads no file, opens no socket and does not depend on a cloud. Every rule can be tested as a pure
//! function.
//!
//! A *request* is one uploaded video (one generation of one object), or another version of its tracks. A *segment* is a
//! planned interval of the video. A *chunk* is the file that holds a segment's packets. Intervals are half-open. The
//! first frame has the index 0. Time is PTS times a rational time base.
//!
//! ```
//! use trackdrop_pipeline::{
//!     RequestId, SegmentNumber,
//!     names::{PerSegment, request_of},
//! };
//!
//! let request = RequestId::of_upload("acme-uploads", "gate/a.mp4", 1, "2026-11-23T18:25:01Z".parse()?);
//! let chunk = PerSegment::Chunk.object(&request, SegmentNumber::new(7)?);
//! assert_eq!(request_of(&chunk), Some(request));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod activity;
pub mod asked;
pub mod clock;
pub mod cost;
pub mod counter;
pub mod delivery;
pub mod event;
pub mod export_format;
pub mod failure;
pub mod ledger;
pub mod links;
pub mod looks;
pub mod manifest;
pub mod models;
pub mod names;
pub mod patterns;
pub mod pts_list;
pub mod request;
pub mod segment;
pub mod settings;
pub mod stage;
pub mod stride;
pub mod time;
pub mod trigger;
pub mod video;

pub use activity::Activity;
pub use clock::Stopwatch;
pub use delivery::{Delivery, Handler};
pub use event::{DeadLetter, Event, ObjectFinalized, RequestFinished};
pub use export_format::ExportFormat;
pub use failure::{Failure, FailureKind};
pub use looks::{DetectEvery, Looks, Stride};
pub use manifest::{Manifest, RequestState};
pub use models::OfferedModels;
pub use names::Bucket;
pub use patterns::NamePatterns;
pub use pts_list::PtsList;
pub use request::RequestId;
pub use segment::{SegmentDescription, SegmentNumber, SegmentSpan};
pub use settings::{
    Appearance, AppearanceNetwork, Boxes, Edit, EditError, NamedAppearance, NamedSmooth, Refinements, RequestSettings,
    Smooth, TrackerOverrides,
};
pub use stage::Stage;
pub use stride::StrideChoice;
pub use time::{Rational, Timestamp};
pub use video::VideoParams;
