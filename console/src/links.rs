//! The least certain links of a request that was tracked with links, as `trackdrop links` lists them.

use crate::{Console, json::Json, problem::Problem, requests};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use duckdb::Connection;
use serde_json::json;
use std::{path, sync::Arc};
use trackdrop_database::quoted;
use trackdrop_pipeline::{links::IdentityLink, names::ResultFile};

/// Links that are listed: those of the command, where it is asked for no other number.
const MOST: usize = 20;

pub(crate) async fn weakest(State(console): State<Arc<Console>>, Path(request): Path<String>) -> Result<Json, Problem> {
    let manifest = requests::found(&console, &request).await?;
    let state = manifest.state;
    if manifest.settings.refine.link.is_none() || !state.has_rows() {
        let why = format!("{request} has no links: it was tracked without them, or is not done ({})", state.as_str());
        return Err(Problem::new(StatusCode::CONFLICT, why));
    }
    let file = console.files.get(&*console.cloud.storage, &ResultFile::Tracks.object(&manifest.request_id)).await?;
    let links = tokio::task::spawn_blocking(move || links(&console.connection()?, file.path())).await??;
    Ok(Json(json!({ "links": links })))
}

/// The weakest links of a file, of equals the first. Its footer is read and nothing else, however long it is.
fn links(connection: &Connection, file: &path::Path) -> Result<Vec<IdentityLink>, Problem> {
    let mut statement = connection.prepare(&format!(
        "SELECT decode(value) FROM parquet_kv_metadata({}) WHERE decode(key) = 'trackdrop.identity_links'",
        quoted(&file.to_string_lossy())
    ))?;
    let mut found: Vec<IdentityLink> = Vec::new();
    let mut rows = statement.query([])?;
    if let Some(row) = rows.next()? {
        let json: String = row.get(0)?;
        found = serde_json::from_str(&json).map_err(std::io::Error::from)?;
    }
    found.sort_by(|a, b| a.identity_margin.total_cmp(&b.identity_margin));
    found.truncate(MOST);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackdrop_pipeline::{Rational, Timestamp};
    use trackdrop_tables::tracks::{TracksOf, TracksWriter};

    fn link(track_id: u64, identity_margin: f64) -> IdentityLink {
        IdentityLink {
            track_id,
            last_frame_index: 9,
            last_time_s: 0.3,
            first_frame_index: 12,
            first_time_s: 0.4,
            identity_margin,
        }
    }

    /// What is listed of a file with these links.
    fn listed(stored: Option<&[IdentityLink]>) -> Vec<IdentityLink> {
        let of = TracksOf {
            request_id: "req_0aZ9bY8c_20261123T182501".parse().unwrap(),
            video: "clip.mp4".into(),
            uploaded_at: Timestamp::from_micros(1_764_000_000_123_456),
            time_base: Rational::new(1, 12_800).unwrap(),
            origin_pts: 0,
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        let (bytes, _) = TracksWriter::new(Vec::new(), of).unwrap().finish(stored).unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        links(&Connection::open_in_memory().unwrap(), file.path()).unwrap()
    }

    #[test]
    fn the_weakest_links_of_the_footer_are_listed_first_and_of_equals_the_first() {
        let stored: Vec<_> = (0..25).map(|track| link(track, (25 - track / 2) as f64 / 3.0)).collect();
        let weakest: Vec<_> = listed(Some(&stored)).iter().map(|link| link.track_id).collect();
        let expected: Vec<u64> =
            std::iter::once(24).chain((3..12).rev().flat_map(|pair| [2 * pair, 2 * pair + 1])).collect();
        assert_eq!(weakest[..19], expected);
        assert_eq!((weakest.len(), weakest[19]), (MOST, 4));
        assert_eq!(listed(Some(&[link(3, -0.5)])), [link(3, -0.5)]);
        assert_eq!(listed(None), []);
    }
}
