//! A day at scale, in virtual time: from a hundred to a million videos, on the services as Terraform declares them.
//!
//! Handlers do not run here, because a million videos are a hundred million operations. Instead the time of each delivery is computed from three inputs:
//!
//! - the operations that the real handlers do ([`operations`]; a test compares the two);
//! - times that were measured or are assumed ([`Times`]);
//! - the limits of Google's services ([`Limits`]).
//!
//! The result of a day is a [`Report`]. The same profile and seed give the same report.
//!
//! ```
//! use trackdrop_simulator::day::{Profile, simulate};
//!
//! let profile = Profile::parse("videos: 20", &[])?;
//! let report = simulate(&profile, 0)?;
//! assert_eq!((report.with_rows, report.failed), (20, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrivals;
mod flow;
mod gpu;
mod histogram;
mod limits;
mod meter;
pub mod operations;
mod pool;
mod profile;
mod report;
mod stages;
mod warehouse;

pub use limits::{Limits, SOURCES, source_of};
pub use profile::{BUILT_IN, DayPrices, Deployment, Goals, Length, Profile, ProfileError, Times, TrackDelivery, Video};
pub use report::{Cost, Goal, Gpus, OfFunction, Percentiles, Report, Use};

use trackdrop_pipeline::trigger::TriggerError;

/// Simulates the day.
///
/// # Errors
/// A trigger file of the product can't be read.
pub fn simulate(profile: &Profile, seed: u64) -> Result<Report, TriggerError> {
    let mut day = flow::Day::new(profile, seed)?;
    let until_us = day.run();
    Ok(report::of(&day, profile, seed, until_us))
}
