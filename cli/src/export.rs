//! `trackdrop export`: a request's tracks in anyone's format.

use crate::{args::ExportArguments, host::open_existing, which_request, whole_file};
use anyhow::{Context, anyhow, bail};
use std::{io, path::Path};
use trackdrop_cloud::Storage;
use trackdrop_exchange::{VideoMeta, export as write_export};
use trackdrop_flow::{end, manifest};
use trackdrop_pipeline::names::ResultFile;
use trackdrop_tables::tracks;

/// Writes a request's tracks in another tool's format.
pub(crate) async fn export(data: &Path, arguments: &ExportArguments) -> anyhow::Result<()> {
    let unknown = || anyhow!("there is no request {:?} in {data:?} (trackdrop requests lists them)", arguments.request);
    let local = open_existing(data)?.ok_or_else(unknown)?;
    let cloud = crate::host::cloud_of(&local);
    let request = which_request::of(&cloud, &arguments.request).await?;
    let manifest = manifest::read(&cloud, &request).await?.ok_or_else(unknown)?;
    let Some(video) = manifest.source.video.as_ref().filter(|_| manifest.state.has_rows()) else {
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
    match &arguments.out {
        Some(path) => whole_file::write(path, |file| Ok(write_export(arguments.format, &meta, &rows, file)?))
            .with_context(|| format!("{} can't be written", path.display())),
        None => Ok(write_export(arguments.format, &meta, &rows, io::stdout().lock())?),
    }
}
