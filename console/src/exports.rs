//! A request's tracks in the formats of other tools, as `trackdrop export` writes them.

use crate::{Console, problem::Problem, requests};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::{
    io::{self, Write},
    sync::Arc,
};
use tokio::sync::{Semaphore, mpsc};
use trackdrop_exchange::{ExportChoice, ExportError, VideoMeta};
use trackdrop_flow::end;
use trackdrop_pipeline::names::ResultFile;
use trackdrop_tables::tracks;

/// Exports that are written at the same time: CVAT's format has all rows in memory.
const AT_ONCE: usize = 2;
/// Pieces that wait for the browser, of about a quarter of a megabyte each.
const MOST_WAITING: usize = 4;

/// How many exports may begin.
#[derive(Debug)]
pub(crate) struct Exports(Arc<Semaphore>);

impl Default for Exports {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// Writes an export while the browser reads it.
pub(crate) async fn download(
    State(console): State<Arc<Console>>,
    Path((request, format)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let choice: ExportChoice =
        format.parse().map_err(|error: trackdrop_exchange::UnknownChoice| Problem::not_found(error.to_string()))?;
    let manifest = requests::found(&console, &request).await?;
    let Some(video) = manifest.source.video.as_ref().filter(|_| manifest.state.has_rows()) else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!("{request} is not done ({}): there are no tracks to export", manifest.state.as_str()),
        ));
    };
    let meta = VideoMeta::new(&manifest, video, end::video_name(&manifest));
    let busy = || {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{AT_ONCE} exports are being written: try again when one of them has ended"),
        )
    };
    let turn = console.exports.0.clone().try_acquire_owned().map_err(|_| busy())?;
    let storage = &console.cloud.storage;
    let file = console.files.get(&**storage, &ResultFile::Tracks.object(&manifest.request_id)).await?;
    let scratch = storage.scratch().to_owned();
    let (sender, mut pieces) = mpsc::channel(MOST_WAITING);
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let rows = tracks::stream(file.path()).map_err(ExportError::from);
        if let Err(error) = rows.and_then(|rows| choice.write(&meta, rows, &scratch, Pieces(&sender))) {
            // Where nobody reads any more, no one is answered.
            sender.blocking_send(Err(io::Error::other(error))).ok();
        }
    });
    // What fails at once is an answer that says why; what fails later breaks the answer off, so that no part is taken for the whole.
    let first = match pieces.recv().await {
        Some(Err(error)) => return Err(error.into()),
        Some(Ok(first)) => first,
        None => Bytes::new(),
    };
    let rest = stream::unfold(pieces, |mut pieces| async move { pieces.recv().await.map(|piece| (piece, pieces)) });
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(rest));
    let headers = [
        (header::CONTENT_TYPE, choice.content_type().to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", choice.file_name())),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// Sends what is written, and waits while the browser does not read it.
struct Pieces<'a>(&'a mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The menu of the page.
    const MENU: &str = include_str!("../assets/export.js");

    #[test]
    fn the_menu_has_every_format_that_the_command_has_and_no_other() {
        let named: Vec<_> = MENU
            .lines()
            .filter_map(|line| line.strip_prefix("  [\""))
            .filter_map(|line| line.split('"').next())
            .collect();
        assert_eq!(named, ExportChoice::all().map(ExportChoice::name).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn an_export_ends_when_nobody_reads_it() {
        let (sender, pieces) = mpsc::channel(MOST_WAITING);
        drop(pieces);
        let wrote = tokio::task::spawn_blocking(move || Pieces(&sender).write(b"row").map_err(|error| error.kind()));
        assert_eq!(wrote.await.unwrap(), Err(io::ErrorKind::BrokenPipe));
    }
}
