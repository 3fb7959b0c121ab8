//! `fail` as a service.

use std::process::ExitCode;
use trackdrop_fail::Fail;
use trackdrop_framework::serve;

fn main() -> ExitCode {
    serve(include_str!("../../../triggers/fail.yaml"), async |service| Ok(Fail::new(service.cloud.clone())))
}
