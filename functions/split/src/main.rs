//! `split` as a service.

use std::{process::ExitCode, sync::Arc};
use trackdrop_flow::stage::Staged;
use trackdrop_framework::serve;
use trackdrop_split::{Limits, MediaCutter, Split};

fn main() -> ExitCode {
    serve(include_str!("../../../triggers/split.yaml"), async |service| {
        let cutter = MediaCutter { limits: Limits::from_environment()? };
        Ok(Staged(Split::new(service.cloud.clone(), Arc::new(cutter))))
    })
}
