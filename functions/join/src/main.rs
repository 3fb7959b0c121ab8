//! `join` as a service.

use std::{process::ExitCode, sync::Arc};
use trackdrop_flow::stage::Staged;
use trackdrop_framework::serve;
use trackdrop_join::{Join, MediaJoiner};
use trackdrop_pipeline::trigger::files;

fn main() -> ExitCode {
    serve(files::JOIN, async |service| Ok(Staged(Join::new(service.cloud.clone(), Arc::new(MediaJoiner)))))
}
