//! `merge` as a service.

use std::process::ExitCode;
use trackdrop_flow::stage::Staged;
use trackdrop_framework::serve;
use trackdrop_merge::Merge;
use trackdrop_pipeline::trigger::files;

fn main() -> ExitCode {
    serve(files::MERGE, async |service| Ok(Staged(Merge::new(service.cloud.clone()))))
}
