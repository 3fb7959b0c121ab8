//! The smallest service: takes each chunk's event and does nothing. `scripts/bench/services` measures the adapter with it.

use async_trait::async_trait;
use std::process::ExitCode;
use trackdrop_framework::serve;
use trackdrop_pipeline::{Delivery, Event, Failure, Handler, trigger::files};

struct NoOp;

#[async_trait]
impl Handler for NoOp {
    async fn handle(&self, _event: &Event, _delivery: &Delivery) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() -> ExitCode {
    serve(files::TRACK, async |_service| Ok(NoOp))
}
