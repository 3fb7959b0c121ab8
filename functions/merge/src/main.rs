//! `merge` as a service.

use std::process::ExitCode;
use trackdrop_flow::stage::Staged;
use trackdrop_framework::serve;
use trackdrop_merge::Merge;

fn main() -> ExitCode {
    serve(include_str!("../../../triggers/merge.yaml"), async |service| Ok(Staged(Merge::new(service.cloud.clone()))))
}
