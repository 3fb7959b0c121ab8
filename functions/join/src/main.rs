//! `join` as a service.

use std::{process::ExitCode, sync::Arc};
use trackdrop_flow::stage::Staged;
use trackdrop_framework::serve;
use trackdrop_join::{Join, MediaJoiner};

fn main() -> ExitCode {
    serve(include_str!("../../../triggers/join.yaml"), async |service| {
        Ok(Staged(Join::new(service.cloud.clone(), Arc::new(MediaJoiner))))
    })
}
