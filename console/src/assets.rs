//! The files of the page, which are built into the binary.

use crate::problem::Problem;
use axum::{
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

macro_rules! assets {
    ($($name:literal: $kind:ident),+ $(,)?) => {
        &[$(Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("../assets/", $name)) }),+]
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";
const PAGE: &str = "text/html; charset=utf-8";

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const ASSETS: &[Asset] = assets![
    "index.html": PAGE,
    "address.js": SCRIPT,
    "again.js": SCRIPT,
    "answerplot.js": SCRIPT,
    "api.js": SCRIPT,
    "app.css": STYLE,
    "app.js": SCRIPT,
    "ask.js": SCRIPT,
    "boxes.js": SCRIPT,
    "calibrate.js": SCRIPT,
    "can.js": SCRIPT,
    "chart.js": SCRIPT,
    "colour.js": SCRIPT,
    "compare.js": SCRIPT,
    "complete.js": SCRIPT,
    "crc32c.js": SCRIPT,
    "csv.js": SCRIPT,
    "drop.js": SCRIPT,
    "export.js": SCRIPT,
    "files.js": SCRIPT,
    "flows.js": SCRIPT,
    "grid.js": SCRIPT,
    "heatmap.js": SCRIPT,
    "highlight.js": SCRIPT,
    "html.js": SCRIPT,
    "icon.svg": PICTURE,
    "lanes.js": SCRIPT,
    "links.js": SCRIPT,
    "list.js": SCRIPT,
    "live.js": SCRIPT,
    "match.js": SCRIPT,
    "mend.js": SCRIPT,
    "overlay.js": SCRIPT,
    "plan.js": SCRIPT,
    "player.js": SCRIPT,
    "playerview.js": SCRIPT,
    "plots.js": SCRIPT,
    "points.js": SCRIPT,
    "removal.js": SCRIPT,
    "request.js": SCRIPT,
    "roam.js": SCRIPT,
    "scene.js": SCRIPT,
    "session.js": SCRIPT,
    "shapes.js": SCRIPT,
    "stored.js": SCRIPT,
    "table.js": SCRIPT,
    "text.js": SCRIPT,
    "track.js": SCRIPT,
    "tus.js": SCRIPT,
    "vendor/hooks.js": SCRIPT,
    "vendor/htm.js": SCRIPT,
    "vendor/preact.js": SCRIPT,
];

/// The page for every address that is its own, and the files that it loads.
pub(crate) async fn serve(uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let path = uri.path();
    let is_page = path == "/" || path.starts_with("/request/") || ["/ask", "/files"].contains(&path);
    let name = if is_page { "index.html" } else { path.strip_prefix("/assets/").unwrap_or_default() };
    let asset = ASSETS
        .iter()
        .find(|asset| asset.name == name)
        .ok_or_else(|| Problem::not_found("there is no such page: the list of requests is at /"))?;
    let tag = format!("\"{:x}\"", Sha256::digest(asset.bytes));
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let headers = [
        (header::CONTENT_TYPE, asset.kind.to_owned()),
        (header::CACHE_CONTROL, "no-cache".into()),
        (header::ETAG, tag),
    ];
    Ok((headers, asset.bytes).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    fn files(folder: &Path, below: &str, all: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().into_string().unwrap());
            match entry.path().is_dir() {
                true => files(&entry.path(), &format!("{name}/"), all),
                false => all.push(name),
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_built_in_but_for_the_licences() {
        let mut found = Vec::new();
        files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/assets")), "", &mut found);
        found.retain(|name| !name.ends_with(".txt"));
        found.sort();
        let mut built_in: Vec<_> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        built_in.sort();
        assert_eq!(found, built_in);
    }

    #[test]
    fn all_that_the_page_loads_is_smaller_than_a_megabyte() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes < 1_000_000, "{bytes} bytes");
    }

    #[test]
    fn no_file_names_another_host() {
        for asset in ASSETS {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            let is_named = |text: &str| text.contains("://") && !text.contains("http://www.w3.org/");
            assert!(!text.lines().any(is_named), "{}", asset.name);
        }
    }
}
