//! `load` as a service.

use std::process::ExitCode;
use trackdrop_framework::serve;
use trackdrop_load::{Load, LoadService};

fn main() -> ExitCode {
    serve(include_str!("../../../triggers/load.yaml"), async |service| {
        // Set and not empty: merged requests wait for the clock, which posts `trackdrop.load.window`.
        let is_by_window = std::env::var_os("TRACKDROP_LOAD_WINDOW").is_some_and(|value| !value.is_empty());
        Ok(LoadService::new(Load::new(service.cloud.clone()).by_window(is_by_window)))
    })
}
