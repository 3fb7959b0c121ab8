//! Scenes: named lines and zones over a camera's picture, which can be drawn after tracking, and the SQL that applies
//! them to all stored tracks.
//!
//! A [`Scene`] is one small file. [`Scene::parse`] reads and checks it; [`Scene::rows`] flattens it into rows of the
//! table `scenes`, where geometry is plain numbers. [`sql`] has the definition of every view once, as SQL over
//! `tracks`, `requests` and `scenes` for DuckDB and BigQuery.
//!
//! ```
//! use trackdrop_scenes::Scene;
//!
//! let scene = Scene::parse(
//!     "{name: gate, videos: ['gate/*'], picture: {width_px: 200, height_px: 100}, lines: [{name: a, points: [[1, 2], [3, 4]]}]}",
//! )?;
//! assert!(scene.is_for("gate/monday.mp4"));
//! # Ok::<(), trackdrop_scenes::SceneError>(())
//! ```
//!
//! This crate reads no file and opens no database. `docs/analytics.md` defines what is counted.

mod check;
mod geometry;
mod homography;
mod rows;
mod scene;
pub mod sql;

pub use homography::{Homography, HomographyError};
pub use scene::{CalibrationPair, Encounter, Fault, Line, Picture, Point, Scene, SceneError, Zone};
