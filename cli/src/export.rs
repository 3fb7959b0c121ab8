//! `trackdrop export`: a request's tracks in the formats of other tools.

use crate::{args::ExportArguments, which_request, whole_file};
use anyhow::{Context, bail};
use std::{
    io::{self, Write},
    path::Path,
};
use trackdrop_exchange::{ExportChoice, ExportFormat, VideoMeta};
use trackdrop_flow::end;
use trackdrop_pipeline::names::ResultFile;
use trackdrop_tables::tracks;

/// Writes a request's tracks in another tool's format.
pub(crate) async fn export(data: &Path, arguments: &ExportArguments) -> anyhow::Result<()> {
    let (cloud, manifest) = which_request::stored(data, &arguments.request, arguments.google).await?;
    let request = &manifest.request_id;
    let Some(video) = manifest.source.video.as_ref().filter(|_| manifest.state.has_rows()) else {
        bail!("{request} is not done ({}): there are no tracks to export", manifest.state.as_str());
    };
    let meta = VideoMeta::new(&manifest, video, end::video_name(&manifest));
    let (_, file) = cloud.storage.fetch(&ResultFile::Tracks.object(request), None).await?;
    let (format, scratch) = (arguments.format, cloud.storage.scratch());
    let write = |out: &mut dyn Write| -> anyhow::Result<()> {
        Ok(format.write(&meta, tracks::stream(file.path())?, scratch, out)?)
    };
    if format == ExportChoice::File(ExportFormat::RekognitionPersons) {
        let summary = end::read_summary(&cloud, request).await?;
        let classes: Vec<_> = summary.into_iter().flat_map(|summary| summary.tracks_by_class.into_keys()).collect();
        if !classes.is_empty() && !classes.iter().any(|class| class.eq_ignore_ascii_case("person")) {
            eprintln!(
                "trackdrop: no track is of the class person, so Persons is empty: {request} has {}",
                classes.join(", ")
            );
        }
    }
    match &arguments.out {
        Some(path) => whole_file::write(path, |mut out| write(&mut out))
            .with_context(|| format!("{} can't be written", path.display()))?,
        None => write(&mut io::stdout().lock())?,
    }
    Ok(())
}
