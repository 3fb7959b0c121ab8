//! `trackdrop export`: a request's tracks in anyone's format.

use crate::{args::ExportArguments, host::open_existing, which_request, whole_file};
use anyhow::{Context, anyhow, bail};
use std::{io, path::Path};
use trackdrop_cloud::Storage;
use trackdrop_exchange::{ExportFormat, VideoMeta, export as write_export};
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
    let meta = VideoMeta::new(&manifest, video, end::video_name(&manifest));
    let (_, file) = local.fetch(&ResultFile::Tracks.object(&request), None).await?;
    let (format, scratch) = (arguments.format, local.scratch());
    let rows = || tracks::stream(file.path());
    if format == ExportFormat::RekognitionPersons {
        let summary = end::read_summary(&cloud, &request).await?;
        let classes: Vec<_> = summary.into_iter().flat_map(|summary| summary.tracks_by_class.into_keys()).collect();
        if !classes.is_empty() && !classes.iter().any(|class| class.eq_ignore_ascii_case("person")) {
            eprintln!(
                "trackdrop: no track is of the class person, so Persons is empty: {request} has {}",
                classes.join(", ")
            );
        }
    }
    match &arguments.out {
        Some(path) => whole_file::write(path, |out| Ok(write_export(format, &meta, rows()?, scratch, out)?))
            .with_context(|| format!("{} can't be written", path.display()))?,
        None => write_export(format, &meta, rows()?, scratch, io::stdout().lock())?,
    }
    Ok(())
}
