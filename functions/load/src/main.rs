//! `load` as a service.

use std::process::ExitCode;
use trackdrop_framework::{serve, setting};
use trackdrop_load::{Load, LoadService};
use trackdrop_pipeline::trigger::files;

fn main() -> ExitCode {
    serve(files::LOAD, async |service| {
        // Merged requests wait for the clock, which posts `trackdrop.load.window`.
        let is_by_window = service.values.has(&setting::LOAD_WINDOW);
        Ok(LoadService::new(Load::new(service.cloud.clone()).by_window(is_by_window)))
    })
}
