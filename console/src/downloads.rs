//! The files of a request's results, as downloads.

use crate::{
    Console,
    problem::Problem,
    requests,
    video::{Reader, pieces, put},
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::header,
    response::Response,
};
use std::sync::Arc;
use trackdrop_pipeline::{Bucket, names::ObjectName};

/// A file that the request's page lists. Nothing else of the store has such an address.
pub(crate) async fn download(
    State(console): State<Arc<Console>>,
    Path((request, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id = requests::found(&console, &request).await?.request_id;
    let folder = format!("{id}/");
    let all = console.cloud.storage.list(&ObjectName::new(Bucket::Results, folder.clone())).await?;
    let found = all.into_iter().find(|info| info.object.name.strip_prefix(&folder) == Some(name.as_str()));
    let found = found.ok_or_else(|| {
        Problem::not_found(format!("{id} has no file {name:?}: the page of the request lists its files"))
    })?;
    let (info, content) = console.cloud.storage.open(&found.object, None).await?;
    let mut response = Response::new(Body::from_stream(pieces(Reader::of(content)?, 0..info.bytes)));
    // Where answers of a known length are bounded, it is sent without one, as a whole video is.
    if console.most_answer_bytes.is_none() {
        put(&mut response, header::CONTENT_LENGTH, info.bytes.to_string());
    }
    put(&mut response, header::CONTENT_TYPE, media_type(&name).into());
    put(&mut response, header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", plain(&name)));
    put(&mut response, header::CACHE_CONTROL, "no-cache".into());
    Ok(response)
}

/// By the ending of the name, which is ours.
fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("parquet") => "application/vnd.apache.parquet",
        Some("json") => "application/json",
        Some("mp4") => "video/mp4",
        Some("csv") => "text/csv; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        Some("xml") => "application/xml",
        Some("ndjson") => "application/x-ndjson",
        _ => "application/octet-stream",
    }
}

/// The name with nothing in it that could end the header's text.
fn plain(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_header_is_letters_digits_and_marks_that_end_nothing() {
        assert_eq!(plain("tracks.parquet"), "tracks.parquet");
        assert_eq!(plain("a\"; x=\r\n<b>.json"), "a___x____b_.json");
    }
}
