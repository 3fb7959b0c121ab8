//! `load` as a service.

use std::process::ExitCode;
use trackdrop_flow::stage::Staged;
use trackdrop_framework::serve;
use trackdrop_load::Load;

fn main() -> ExitCode {
    serve(include_str!("../../../triggers/load.yaml"), async |service| Ok(Staged(Load::new(service.cloud.clone()))))
}
