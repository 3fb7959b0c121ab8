//! `trackdrop export`: a request's tracks in anyone's format.

use crate::{
    args::{ExportArguments, ExportChoice},
    which_request, whole_file,
};
use anyhow::{Context, bail};
use std::{
    io::{self, Write},
    path::Path,
};
use trackdrop_exchange::{ExportFormat, VideoMeta, export as write_export, export_mot_ground_truth};
use trackdrop_flow::end;
use trackdrop_pipeline::names::ResultFile;
use trackdrop_tables::{TableError, tracks, tracks::TrackRow};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

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
    let rows = || tracks::stream(file.path());
    let write = |out: &mut dyn Write| -> anyhow::Result<()> {
        match format {
            ExportChoice::File(format) => Ok(write_export(format, &meta, rows()?, scratch, out)?),
            ExportChoice::CvatMot => cvat_mot(&meta, rows()?, out),
        }
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

/// The archive that CVAT imports as "MOT 1.1", whose bytes depend on the rows only.
fn cvat_mot(
    meta: &VideoMeta,
    rows: impl Iterator<Item = Result<TrackRow, TableError>>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    // Of any size, and of the time 0 of archives.
    let options = SimpleFileOptions::DEFAULT
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT)
        .large_file(true);
    let mut archive = ZipWriter::new_stream(out);
    archive.start_file("gt/gt.txt", options)?;
    let labels = export_mot_ground_truth(meta, rows, &mut archive)?;
    archive.start_file("gt/labels.txt", options)?;
    for label in labels {
        writeln!(archive, "{label}")?;
    }
    archive.finish()?.flush()?;
    Ok(())
}
