//! `load` as a service.

use std::process::ExitCode;
use trackdrop_framework::serve;
use trackdrop_load::{Load, LoadService};
use trackdrop_pipeline::trigger::files;

fn main() -> ExitCode {
    serve(files::LOAD, async |service| Ok(LoadService::new(Load::new(service.cloud.clone()))))
}
