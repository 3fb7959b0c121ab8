//! `annotate` as a service.

use std::{process::ExitCode, sync::Arc};
use trackdrop_annotate::{Annotate, Limits, MediaRenderer, VideoEngine};
use trackdrop_flow::{room::Room, stage::Staged};
use trackdrop_framework::serve;

fn main() -> ExitCode {
    serve(include_str!("../../../triggers/annotate.yaml"), async |service| {
        let limits = Limits::from_environment()?;
        let renderer = MediaRenderer {
            room: Room::new(limits.max_memory_bytes),
            limits,
            threads: service.threads(),
            video_engine: VideoEngine::from_environment()?,
        };
        Ok(Staged(Annotate::new(service.cloud.clone(), Arc::new(renderer))))
    })
}
