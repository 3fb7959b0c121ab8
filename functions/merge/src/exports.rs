//! The tracks in the formats of other tools, where the request asks for them.

use crate::{table, video_of};
use std::path::{Path, PathBuf};
use tempfile::TempPath;
use trackdrop_exchange::{ExportError, ExportFormat, VideoMeta, export};
use trackdrop_flow::{Cloud, NewObject, blocking, end, scratch_file};
use trackdrop_pipeline::{Delivery, Failure, Manifest, names::ResultFile};
use trackdrop_tables::tracks;

/// Creates a file for each format that is asked for, of the finished `tracks.parquet` at `tracks`. They exist before that one does: who waits for
/// the request to be done finds them.
pub(crate) async fn create(
    cloud: &Cloud,
    manifest: &Manifest,
    tracks: &Path,
    delivery: &Delivery,
) -> Result<(), Failure> {
    for &format in &manifest.settings.exports {
        delivery.step()?;
        let meta = VideoMeta::new(manifest, video_of(manifest)?, end::video_name(manifest));
        let (tracks, scratch) = (tracks.to_owned(), cloud.storage.scratch().to_owned());
        let file = blocking(move || write(format, &meta, &tracks, scratch)).await?;
        let object = ResultFile::Export(format).object(&manifest.request_id);
        cloud.create(NewObject::of_file(object, file, format.content_type())).await?;
    }
    Ok(())
}

fn write(format: ExportFormat, meta: &VideoMeta, tracks: &Path, scratch: PathBuf) -> Result<TempPath, Failure> {
    let file = scratch_file(&scratch, "")?;
    let rows = tracks::stream(tracks).map_err(table)?;
    export(format, meta, rows, &scratch, file.as_file()).map_err(|error| match error {
        ExportError::Io(error) => Failure::from_io(&format!("writing the export {format}"), error),
        ExportError::Table(error) => table(error),
        other => Failure::permanent(format!("the tracks can't be written as {format}: {other}")),
    })?;
    Ok(file.into_temp_path())
}
