//! The source and the annotated video, in the ranges that players request.

use crate::{Console, problem::Problem, requests};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, sync::Arc};
use trackdrop_cloud::{LocalFile, OpenObject, ReadRange};
use trackdrop_pipeline::{Manifest, names::ResultFile};

/// Bytes that are read at a time: of a file, and of a store that is asked for each.
const PIECE_BYTES: u64 = 256 << 10;
const RANGE_BYTES: u64 = 2 << 20;

pub(crate) async fn play(
    State(console): State<Arc<Console>>,
    Path((request, which)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let manifest = requests::found(&console, &request).await?;
    let (object, generation, kind) = match which.as_str() {
        "source" => (requests::source(&manifest), Some(manifest.source.generation), media_type(&manifest)),
        "annotated" => (ResultFile::AnnotatedVideo.object(&manifest.request_id), None, "video/mp4"),
        _ => return Err(Problem::not_found(format!("no video {which:?}: there are source and annotated"))),
    };
    let (info, content) = console.cloud.storage.open(&object, generation).await?;
    let (bytes, tag) = (info.bytes, format!("\"{}\"", info.generation));
    // A range of an older one is of no use.
    let is_same = headers.get(header::IF_RANGE).is_none_or(|one| one.as_bytes() == tag.as_bytes());
    let asked = headers.get(header::RANGE).filter(|_| is_same).and_then(|range| range.to_str().ok());
    let range = match asked.map_or(Asked::All, |asked| Asked::of(asked, bytes)) {
        Asked::All => None,
        Asked::Part(range) => Some(range),
        Asked::Beyond => {
            let mut response =
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("the video has {bytes} bytes")).into_response();
            put(&mut response, header::CONTENT_RANGE, format!("bytes */{bytes}"));
            return Ok(response);
        }
    };
    // A player asks for the rest of what it was given a part of.
    let range = range.map(|range| match console.most_answer_bytes {
        Some(most) => range.start..range.end.min(range.start.saturating_add(most)),
        None => range,
    });
    let sent = range.clone().unwrap_or(0..bytes);
    let mut response = Response::new(Body::from_stream(pieces(Reader::of(content)?, sent.clone())));
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        put(
            &mut response,
            header::CONTENT_RANGE,
            format!("bytes {}-{}/{bytes}", sent.start, sent.end.saturating_sub(1)),
        );
    }
    // Where answers of a known length are bounded, a range is within the bound, and the whole video is sent without a length.
    if range.is_some() || console.most_answer_bytes.is_none() {
        put(&mut response, header::CONTENT_LENGTH, (sent.end - sent.start).to_string());
    }
    put(&mut response, header::CONTENT_TYPE, kind.into());
    put(&mut response, header::ACCEPT_RANGES, "bytes".into());
    put(&mut response, header::CACHE_CONTROL, "no-cache".into());
    put(&mut response, header::ETAG, tag);
    Ok(response)
}

pub(crate) fn put(response: &mut Response, name: header::HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The media type, from the container that was found in the file and not from its name.
fn media_type(manifest: &Manifest) -> &'static str {
    match manifest.source.video.as_ref().map_or("", |video| video.container.as_str()) {
        container if container.contains("mp4") || container.contains("mov") => "video/mp4",
        container if container.contains("matroska") || container.contains("webm") => "video/webm",
        _ => "application/octet-stream",
    }
}

/// What of a content is asked for.
#[derive(Debug, PartialEq)]
enum Asked {
    All,
    Part(Range<u64>),
    Beyond,
}

impl Asked {
    /// What a header `Range` asks for of this many bytes. What is no such header, or asks for several parts, asks for all.
    fn of(header: &str, bytes: u64) -> Self {
        let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
            return Self::All;
        };
        let (first, last) = (first.trim(), last.trim());
        match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last && first < bytes => {
                Self::Part(first..last.saturating_add(1).min(bytes))
            }
            (Ok(first), Err(_)) if last.is_empty() && first < bytes => Self::Part(first..bytes),
            (Err(_), Ok(last)) if first.is_empty() && last > 0 && bytes > 0 => {
                Self::Part(bytes.saturating_sub(last)..bytes)
            }
            (Ok(first), Ok(last)) if first > last => Self::All,
            (Ok(_), Ok(_)) => Self::Beyond,
            (Ok(_), Err(_)) if last.is_empty() => Self::Beyond,
            (Err(_), Ok(_)) if first.is_empty() => Self::Beyond,
            _ => Self::All,
        }
    }
}

/// What ranges are read from.
#[derive(Clone)]
pub(crate) enum Reader {
    File(Arc<(File, LocalFile)>),
    Ranges(Arc<dyn ReadRange>),
}

impl Reader {
    pub(crate) fn of(content: OpenObject) -> io::Result<Self> {
        Ok(match content {
            OpenObject::File(file) => Self::File(Arc::new((File::open(file.path())?, file))),
            OpenObject::Ranges(ranges) => Self::Ranges(ranges),
        })
    }

    async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        match self {
            Self::File(file) => {
                let file = file.clone();
                tokio::task::spawn_blocking(move || {
                    let mut bytes = vec![0; (range.end - range.start) as usize];
                    file.0.read_exact_at(&mut bytes, range.start)?;
                    Ok(Bytes::from(bytes))
                })
                .await
                .map_err(io::Error::other)?
            }
            Self::Ranges(ranges) => ranges.read(range).await.map_err(io::Error::other),
        }
    }
}

/// The range, piece by piece, each read when the one before was sent.
pub(crate) fn pieces(reader: Reader, range: Range<u64>) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((reader, range), |(reader, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let piece = match &reader {
            Reader::File(_) => PIECE_BYTES,
            Reader::Ranges(_) => RANGE_BYTES,
        };
        let end = range.end.min(range.start + piece);
        let bytes = reader.read(range.start..end).await?;
        Ok(Some((bytes, (reader, end..range.end))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_part_that_it_says_within_the_content() {
        for (header, range) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-5", 2..6),
            ("bytes=2-", 2..10),
            ("bytes=2-99", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
            ("bytes=9-18446744073709551615", 9..10),
        ] {
            assert_eq!(Asked::of(header, 10), Asked::Part(range), "{header}");
        }
    }

    #[test]
    fn a_range_beyond_the_content_is_refused_and_what_is_no_range_is_all_of_it() {
        for header in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert_eq!(Asked::of(header, 10), Asked::Beyond, "{header}");
        }
        assert_eq!(Asked::of("bytes=0-", 0), Asked::Beyond);
        for header in
            ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "lines=0-1", "bytes=0-1,3-4", "bytes=-1-2"]
        {
            assert_eq!(Asked::of(header, 10), Asked::All, "{header}");
        }
    }
}
