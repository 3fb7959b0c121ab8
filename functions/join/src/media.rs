//! The joiner that joins real video.

use crate::{Joiner, Part};
use std::path::Path;
use trackdrop_media::{JoinPart, Source, VideoParams};
use trackdrop_pipeline::{Failure, manifest::VideoInfo};

/// Joins by packet copy with FFmpeg.
#[derive(Clone, Copy, Debug, Default)]
pub struct MediaJoiner;

impl Joiner for MediaJoiner {
    fn join(&self, parts: &[Part], source: &Source, video: &VideoInfo, out: &Path) -> Result<u64, Failure> {
        let params: VideoParams = serde_json::from_value(video.presentation.clone())
            .map_err(|error| Failure::permanent(format!("the manifest's presentation can't be read: {error}")))?;
        let parts: Vec<_> =
            parts.iter().map(|part| JoinPart { path: part.file.path(), start_pts: part.start_pts }).collect();
        let report = trackdrop_media::join(&parts, Some(source), &params, out)?;
        if let Some(reason) = report.audio_left_out {
            tracing::warn!(reason, "the annotated video has no audio");
        }
        Ok(report.video_frames)
    }
}
