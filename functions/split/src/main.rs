//! `split` as a service.

use std::{process::ExitCode, sync::Arc};
use trackdrop_flow::stage::Staged;
use trackdrop_framework::{serve, setting};
use trackdrop_pipeline::trigger::files;
use trackdrop_split::{MediaCutter, Split};

fn main() -> ExitCode {
    serve(files::SPLIT, async |service| {
        let cutter = MediaCutter { limits: service.values.parsed(&setting::LIMITS)?.unwrap_or_default() };
        let split = Split::new(service.cloud.clone(), Arc::new(cutter)).with_models(service.settings.models.clone());
        Ok(Staged(match service.values.get(&setting::SPOOL_BYTES)? {
            Some(bytes) => split.with_spool(bytes),
            None => split,
        }))
    })
}
