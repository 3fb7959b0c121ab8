//! A video, cut as `split` cuts it.

use anyhow::Result;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use trackdrop_media::{Cutter, Limits, index};
use trackdrop_pipeline::{RequestSettings, SegmentDescription};

/// The chunks of a video, and their descriptions for `track` and `annotate`.
pub(crate) struct Clip {
    pub(crate) chunks: Vec<(PathBuf, SegmentDescription)>,
    pub(crate) frames: u64,
    _dir: TempDir,
}

pub(crate) fn cut(video: &Path, model: Option<&str>) -> Result<Clip> {
    let dir = tempfile::tempdir()?;
    let index = index(video, &Limits::default())?;
    let planned = index.plan(10.0)?;
    let mut cutter = Cutter::open(video, &index, &planned)?;
    let mut chunks = Vec::new();
    let settings = RequestSettings { model: model.map(str::to_owned), ..RequestSettings::default() };
    for segment in &planned {
        let chunk = dir.path().join(format!("{:06}.mkv", segment.number));
        cutter.next_chunk(&chunk)?;
        let description = SegmentDescription {
            request_id: "req_AAAAAAAA_20260101T000000".parse()?,
            segment_number: segment.number.try_into()?,
            segment_count: planned.len() as u32,
            span: segment.span,
            pts_sha256: segment.frame_pts.sha256(),
            sha256: String::new(),
            presentation: index.video_params(),
            settings: settings.clone(),
        };
        chunks.push((chunk, description));
    }
    Ok(Clip { chunks, frames: index.frame_count(), _dir: dir })
}
