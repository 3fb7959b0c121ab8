//! `split` as a service.

use std::{process::ExitCode, sync::Arc};
use trackdrop_flow::stage::Staged;
use trackdrop_framework::{serve, variable};
use trackdrop_pipeline::Failure;
use trackdrop_split::{Limits, MediaCutter, Split};

fn main() -> ExitCode {
    serve(include_str!("../../../triggers/split.yaml"), async |service| {
        let cutter = MediaCutter { limits: Limits::from_environment()? };
        let split = Split::new(service.cloud.clone(), Arc::new(cutter)).with_models(service.settings.models.clone());
        Ok(Staged(match variable("TRACKDROP_SPOOL_BYTES")? {
            Some(text) => split.with_spool(text.parse().map_err(|error| {
                Failure::permanent(format!("TRACKDROP_SPOOL_BYTES is {text:?}: {error}; give a number of bytes"))
            })?),
            None => split,
        }))
    })
}
