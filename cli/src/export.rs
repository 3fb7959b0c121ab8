//! `trackdrop retrack` and `trackdrop export`: anyone's detections in, anyone's formats out.

use crate::{
    args::{ExportArguments, RetrackArguments},
    host::open_existing,
    output::line,
};
use anyhow::{Context, anyhow, bail};
use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    time::Instant,
};
use trackdrop_cloud::Storage;
use trackdrop_exchange::{TrackFile, VideoMeta, read_detections};
use trackdrop_flow::{end, manifest};
use trackdrop_pipeline::{RequestId, RequestState, names::ResultFile};
use trackdrop_tables::tracks;
use trackdrop_tracker::Settings;

/// Tracks a file of detections; nothing but the tracker is needed.
pub(crate) fn retrack(arguments: &RetrackArguments) -> anyhow::Result<()> {
    let settings = Settings {
        track_thresh: arguments.track_thresh,
        match_thresh: arguments.match_thresh,
        track_buffer: arguments.track_buffer,
        frame_rate: arguments.frame_rate,
        score_fusion: !arguments.no_score_fusion,
    };
    settings.validate()?;
    let started = Instant::now();
    let frames = read_detections(&arguments.detections)?;
    let mut out = TrackFile::create(&arguments.out)?;
    let done = trackdrop_exchange::retrack(&frames, &settings, arguments.frames, &mut out)?;
    let seconds = started.elapsed().as_secs_f64();
    line!("{} frames, {} tracks, {} rows in {seconds:.2} s", done.frames, done.ids, done.rows);
    if done.refused > 0 {
        line!("{} detections without a size or with values that are no numbers were left out", done.refused);
    }
    line!("{}", arguments.out.display());
    Ok(())
}

/// Writes a request's tracks in another tool's format.
pub(crate) async fn export(data: &Path, arguments: &ExportArguments) -> anyhow::Result<()> {
    let request: RequestId = arguments.request.parse()?;
    let unknown = || anyhow!("there is no request {request} in {data:?} (trackdrop requests lists them)");
    let local = open_existing(data)?.ok_or_else(unknown)?;
    let cloud = crate::host::cloud_of(&local);
    let (manifest, _) = manifest::read(&cloud, &request).await?.ok_or_else(unknown)?;
    let Some(video) = manifest.source.video.as_ref().filter(|_| manifest.state == RequestState::Done) else {
        bail!("{request} is not done ({}): there are no tracks to export", manifest.state.as_str());
    };
    let meta = VideoMeta {
        name: end::video_name(&manifest),
        width: video.width_px,
        height: video.height_px,
        frame_rate: video.frame_rate,
        frame_count: video.frame_count,
        time_base: video.time_base,
        origin_pts: video.origin_pts,
    };
    let (_, bytes) = local.get(&ResultFile::Tracks.object(&request)).await?;
    let rows = tracks::read(bytes)?;
    let out: Box<dyn Write> = match &arguments.out {
        Some(path) => Box::new(File::create(path).with_context(|| format!("{} can't be written", path.display()))?),
        None => Box::new(io::stdout().lock()),
    };
    trackdrop_exchange::export(arguments.format, &meta, &rows, out)?;
    Ok(())
}
