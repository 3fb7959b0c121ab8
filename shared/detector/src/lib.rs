//! Object detection with ONNX models: a picture in, boxes in source pixels out.
//!
//! ```no_run
//! use trackdrop_detector::{Detector, DetectorOptions, ImageBatch};
//!
//! # fn main() -> Result<(), trackdrop_detector::DetectorError> {
//! let detector = Detector::open(&DetectorOptions::default())?;
//! let mut batch = ImageBatch::new(detector.info(), detector.batch(), 1920, 1080);
//! let placement = batch.placement(0);
//! let ([red, green, blue], stride_bytes) = batch.slot_mut(0);
//! // ... scale the frame to placement.inner_width x inner_height pixels, straight into the planes ...
//! # let _ = (placement, red, green, blue, stride_bytes);
//! for detection in &detector.detect(&batch, 1, 0.1)?[0] {
//!     println!("{} {:.2}", detector.info().class_name(detection.class_id), detection.score);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! These are the parts, in the order in which they process a picture. A [`Placement`] says where the scaled frame is in
//! the model's input (letterbox). An [`ImageBatch`] holds the pictures as bytes. The model's [`Family`] turns its
//! output into candidates. Suppression leaves one box per object. The placement takes the boxes back to source pixels.
//!
//! Facts about a model are read from the model itself and from its card, a JSON file of the same name next to it
//! (`model.onnx`, `model.json`; see [`Card`]). The card overrides the model.
//!
//! An [`AppearanceModel`] computes a vector from the crop of a box. It describes what the object looks like.
//!
//! On one machine the same pictures give the same detections, bit for bit, also with other pictures in the batch: the
//! batch shape never changes, and ties are broken by the order of the model's output.
//!
//! # Troubleshooting
//!
//! - [`DetectorError::RuntimeNotFound`], [`DetectorError::ModelNotFound`]: run `scripts/setup`.
//! - [`DetectorError::UnknownFamily`]: the shapes in the message fit no family, or more than one. Name the family in
//!   the card.
//! - [`DetectorError::Device`]: the requested device is missing; `auto` takes an available one.
//! - [`DetectorError::Outputs`]: the model returns other shapes than it declares, or no usable scores (none is a finite
//!   number, or all are 0).
//! - [`DetectorError::Appearance`]: the network returns no vector for a crop; the message says what it returns.
//! - Boxes are right, but all scores are low: mean, std or colour order in the card are not those of the training.

mod appearance;
mod appearance_card;
mod batch;
mod batch_detections;
mod card;
mod class_names;
mod convert;
mod detection;
mod detector;
mod device;
mod engine;
mod error;
mod failure;
mod family;
mod finding;
mod graph_cache;
mod inputs;
mod lanes;
mod metadata;
mod model;
mod nms;
mod placement;
mod runtime;
mod session;
mod trial;
mod unreadable;

pub use appearance::{AppearanceModel, MOST_DIMENSIONS};
pub use appearance_card::AppearanceCard;
pub use batch::ImageBatch;
pub use batch_detections::BatchDetections;
pub use card::{Card, ColorOrder};
pub use detection::Detection;
pub use detector::{Detector, DetectorOptions, FreeLane};
pub use device::{Device, DeviceChoice, PassedOver};
pub use error::DetectorError;
pub use family::{BoxFormat, Family, RowOrder};
pub use finding::{Finding, Origin};
pub use model::{ModelInfo, default_model_path, models_folder};
pub use nms::Suppressor;
pub use placement::{Letterbox, Placement, Resize};
pub use runtime::{find_runtime, onnx_runtime};
