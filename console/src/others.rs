//! Files of other programs: detections that are tracked, and tracks that are refined, as `trackdrop retrack` does it.

use crate::{
    Console,
    evaluation::SentFile,
    json::Json,
    problem::Problem,
    works::{FileWork, Retracking},
};
use axum::{body::Bytes, extract::State};
use serde::Deserialize;
use serde_json::json;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The longest name of a file here.
const MOST_NAME_BYTES: usize = 100;

/// Files, and what is done with them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    detections: Option<SentFile>,
    tracks: Option<SentFile>,
    format: TextFormat,
    frame_rate: Option<f64>,
    frames: Option<u32>,
    #[serde(default)]
    options: Retracking,
}

/// Formats that are text. Parquet is written by the command.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TextFormat {
    Csv,
    Txt,
}

/// Tracks or refines the files, and answers with the tracks.
pub(crate) async fn retrack(State(console): State<Arc<Console>>, body: Bytes) -> Result<Json, Problem> {
    let works = console.drops()?.works.clone();
    let asked: Asked =
        serde_json::from_slice(&body).map_err(|error| Problem::bad(format!("no files to track: {error}")))?;
    // One after the other: each has the rows of its files in memory.
    let _turn = console.evaluations.acquire().await.map_err(io::Error::other)?;
    let folder = tempfile::tempdir_in(console.cloud.storage.scratch())?;
    let work = FileWork {
        detections: written(asked.detections.as_ref(), &folder.path().join("detections"))?,
        tracks: written(asked.tracks.as_ref(), &folder.path().join("tracks"))?,
        out: folder.path().join(match asked.format {
            TextFormat::Csv => "tracks.csv",
            TextFormat::Txt => "tracks.txt",
        }),
        frame_rate: asked.frame_rate,
        frames: asked.frames,
        options: asked.options,
    };
    let done = works.retrack_files(&work).await.map_err(|mut refused| {
        // Messages name files as their owner knows them.
        for part in ["detections/", "tracks/", ""] {
            refused.0 = refused.0.replace(&format!("{}/{part}", folder.path().display()), "");
        }
        refused
    })?;
    let (text, name) = (fs::read_to_string(&work.out)?, work.out.file_name().map(|name| name.to_string_lossy()));
    Ok(Json(json!({
        "frames": done.frames, "tracks": done.ids, "rows": done.rows, "refused": done.refused, "name": name, "text": text,
    })))
}

/// A sent file in a folder of its own, under its name: a format may depend on its ending.
fn written(file: Option<&SentFile>, folder: &Path) -> io::Result<Option<PathBuf>> {
    let Some(file) = file else { return Ok(None) };
    fs::create_dir(folder)?;
    let path = folder.join(plain(&file.name));
    fs::write(&path, &file.text)?;
    Ok(Some(path))
}

/// A name that is nothing but a name: letters, digits, `.`, `-` and `_`, and not `.` or `..`.
fn plain(name: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let name: String = name.chars().map(|c| if is_plain(&c) { c } else { '_' }).take(MOST_NAME_BYTES).collect();
    if name.trim_matches('.').is_empty() { "file.txt".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_leave_its_folder() {
        for (given, expected) in [
            ("det.txt", "det.txt"),
            ("../../etc/det.txt", ".._.._etc_det.txt"),
            ("..", "file.txt"),
            ("", "file.txt"),
            ("a b<c>.csv", "a_b_c_.csv"),
            ("straße.txt", "stra_e.txt"),
        ] {
            assert_eq!(plain(given), expected);
        }
        assert_eq!(plain(&"é".repeat(300)).len(), MOST_NAME_BYTES);
    }
}
