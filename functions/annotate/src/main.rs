//! `annotate` as a service.

use std::{process::ExitCode, sync::Arc};
use trackdrop_annotate::{Annotate, Limits, MediaRenderer};
use trackdrop_flow::{room::Room, stage::Staged};
use trackdrop_framework::{serve, setting};
use trackdrop_pipeline::trigger::files;

fn main() -> ExitCode {
    serve(files::ANNOTATE, async |service| {
        let limits: Limits = service.values.parsed(&setting::LIMITS)?.unwrap_or_default();
        let renderer = MediaRenderer {
            room: Room::new(limits.max_memory_bytes),
            limits,
            threads: service.threads(),
            video_engine: service.values.parsed(&setting::VIDEO_ENGINE)?.unwrap_or_default(),
        };
        Ok(Staged(Annotate::new(service.cloud.clone(), Arc::new(renderer))))
    })
}
