//! The joiner for real video.

use crate::{Joined, Joiner, Part};
use std::path::Path;
use trackdrop_media::{JoinPart, Source};
use trackdrop_pipeline::{Failure, manifest::VideoInfo};

/// Joins by packet copy with FFmpeg.
#[derive(Clone, Copy, Debug, Default)]
pub struct MediaJoiner;

impl Joiner for MediaJoiner {
    fn join(&self, parts: &[Part], source: Option<&Source>, video: &VideoInfo, out: &Path) -> Result<Joined, Failure> {
        let parts: Vec<_> =
            parts.iter().map(|part| JoinPart { path: part.file.path(), start_pts: part.start_pts }).collect();
        let report = trackdrop_media::join(&parts, source, &video.presentation, out)?;
        if let Some(reason) = &report.audio_left_out {
            tracing::warn!(reason, "sound is left out of the annotated video");
        }
        let became = report.audio_transcoded_from.map(|codec| {
            format!("the sound of the annotated video is AAC, made from {codec}, which an MP4 can't hold as it is")
        });
        Ok(Joined { frames: report.video_frames, notes: became.into_iter().chain(report.audio_left_out).collect() })
    }
}
