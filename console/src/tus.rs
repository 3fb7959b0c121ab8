//! Uploads by the protocol tus 1.0 (<https://tus.io/protocols/resumable-upload>) with its extensions creation and termination.
//!
//! `Upload-Checksum: crc32c BASE64` with a part is checked before the part counts. `Upload-CRC32C` of an answer, hexadecimal, is that of all bytes before
//! the offset: a page that resumes an upload compares it with that of its file.

use crate::{
    Console, drops,
    incoming::{Incoming, IncomingError, Upload, Writing},
    problem::Problem,
    works::Wishes,
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::StreamExt;
use std::sync::Arc;

const VERSION: &str = "1.0.0";
const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
const CRC32C: HeaderName = HeaderName::from_static("upload-crc32c");
/// Bytes after which a piece without a checksum counts before it has ended.
const COUNT_EVERY_BYTES: u64 = 16 << 20;
/// What tus answers where a checksum does not fit.
const CHECKSUM_MISMATCH: u16 = 460;

impl From<IncomingError> for Problem {
    fn from(error: IncomingError) -> Self {
        let status = match &error {
            IncomingError::Unknown(_) => StatusCode::NOT_FOUND,
            IncomingError::TooLarge { .. } | IncomingError::Beyond(_) => StatusCode::PAYLOAD_TOO_LARGE,
            IncomingError::NoRoom { .. } | IncomingError::TooMany => StatusCode::INSUFFICIENT_STORAGE,
            IncomingError::Empty | IncomingError::Name(_) => StatusCode::BAD_REQUEST,
            IncomingError::Offset { .. } | IncomingError::Begun => StatusCode::CONFLICT,
            IncomingError::InUse => StatusCode::LOCKED,
            // A number of three digits is a status.
            IncomingError::Damaged { .. } => StatusCode::from_u16(CHECKSUM_MISMATCH).unwrap_or(StatusCode::BAD_REQUEST),
            IncomingError::Io(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

/// The headers that the protocol requires in every answer.
fn answer(status: StatusCode, headers: &[(HeaderName, String)]) -> Response {
    let mut response = (status, [(RESUMABLE, VERSION), (header::CACHE_CONTROL, "no-store")]).into_response();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The folder of uploads, for a client that speaks this version.
fn incoming<'a>(console: &'a Console, headers: &HeaderMap) -> Result<&'a Incoming, Problem> {
    match text(headers, &RESUMABLE) {
        Some(VERSION) => Ok(&console.drops()?.incoming),
        other => Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            format!("uploads speak tus {VERSION}, and Tus-Resumable was {other:?}: send that version"),
        )),
    }
}

fn whole_number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Problem> {
    text(headers, name)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Problem::bad(format!("{name} was {:?}: it is a whole number of bytes", text(headers, name))))
}

/// What this server can.
pub(crate) async fn options(State(console): State<Arc<Console>>) -> Result<Response, Problem> {
    let most = console.drops()?.incoming.most_bytes();
    let of = |name, value: &str| (HeaderName::from_static(name), value.to_owned());
    Ok(answer(
        StatusCode::NO_CONTENT,
        &[
            of("tus-version", VERSION),
            of("tus-extension", "creation,termination"),
            of("tus-max-size", &most.to_string()),
        ],
    ))
}

/// Begins an upload. Its metadata are `filename`, `lastmodified` in milliseconds, and `settings` as JSON.
pub(crate) async fn create(State(console): State<Arc<Console>>, headers: HeaderMap) -> Result<Response, Problem> {
    let incoming = incoming(&console, &headers)?;
    let bytes = whole_number(&headers, &LENGTH)?;
    let metadata = text(&headers, &METADATA).unwrap_or_default();
    let name = of_metadata(metadata, "filename")?
        .ok_or_else(|| Problem::bad("Upload-Metadata has no filename: send the video's name in Base64"))?;
    let modified_ms = of_metadata(metadata, "lastmodified")?.and_then(|text| text.parse().ok()).unwrap_or_default();
    let wishes: Wishes = match of_metadata(metadata, "settings")? {
        Some(json) => {
            serde_json::from_str(&json).map_err(|error| Problem::bad(format!("the settings {json}: {error}")))?
        }
        None => Wishes::default(),
    };
    console.drops()?.works.check(&name, &wishes).await?;
    let upload = incoming.begin(&name, bytes, modified_ms, wishes)?;
    console.live.read_now();
    Ok(answer(
        StatusCode::CREATED,
        &[(header::LOCATION, format!("/api/uploads/{}", upload.id)), (OFFSET, "0".to_owned())],
    ))
}

fn headers_of(upload: &Upload) -> [(HeaderName, String); 3] {
    [
        (OFFSET, upload.offset.to_string()),
        (LENGTH, upload.bytes.to_string()),
        (CRC32C, format!("{:08x}", upload.crc32c)),
    ]
}

/// How far an upload has come.
pub(crate) async fn offset(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, &headers_of(&incoming(&console, &headers)?.get(&id)?)))
}

/// Takes a part of an upload. The last one makes a request of the video.
pub(crate) async fn append(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let incoming = incoming(&console, &headers)?;
    let kind = text(&headers, &header::CONTENT_TYPE);
    if kind != Some("application/offset+octet-stream") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("a part of an upload has the type application/offset+octet-stream, and this one has {kind:?}"),
        ));
    }
    let checksum = text(&headers, &CHECKSUM).map(checksum_of).transpose()?;
    let writing = incoming.writing(&id, whole_number(&headers, &OFFSET)?)?;
    let upload = receive(writing, body, checksum).await?;
    if upload.is_whole() {
        drops::begin(&console, upload.clone());
    }
    console.live.read_now();
    Ok(answer(StatusCode::NO_CONTENT, &headers_of(&upload)))
}

/// Writes what comes. A part with a checksum counts as a whole; of one without, all that has come.
async fn receive(mut writing: Writing<'_>, body: Body, checksum: Option<u32>) -> Result<Upload, Problem> {
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                if checksum.is_none() {
                    tokio::task::block_in_place(|| writing.count())?;
                }
                return Err(Problem::bad(format!(
                    "this part of the upload broke off: {error}; ask for the offset, and resume there"
                )));
            }
        };
        tokio::task::block_in_place(|| {
            writing.take(&piece)?;
            match checksum.is_none() && writing.uncounted() >= COUNT_EVERY_BYTES {
                true => writing.count().map(drop),
                false => Ok(()),
            }
        })?;
    }
    writing.check(checksum)?;
    Ok(tokio::task::block_in_place(|| writing.count())?)
}

/// Discards an upload; one that has become a request is dismissed, and the request stays.
pub(crate) async fn discard(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    incoming(&console, &headers)?.discard(&id)?;
    console.live.read_now();
    Ok(answer(StatusCode::NO_CONTENT, &[]))
}

/// A value of `Upload-Metadata`: pairs of a key and Base64, parted by commas.
fn of_metadata(metadata: &str, key: &str) -> Result<Option<String>, Problem> {
    let mut pairs = metadata.split(',').map(|pair| pair.trim().split_once(' ').unwrap_or((pair.trim(), "")));
    let Some((_, value)) = pairs.find(|(name, _)| *name == key) else { return Ok(None) };
    let bytes = BASE64_STANDARD.decode(value).ok();
    match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(text) => Ok(Some(text)),
        None => Err(Problem::bad(format!("{key} of Upload-Metadata is {value:?}, which is not text in Base64"))),
    }
}

fn checksum_of(header: &str) -> Result<u32, Problem> {
    let bytes = header.strip_prefix("crc32c ").and_then(|value| BASE64_STANDARD.decode(value.trim()).ok());
    let bytes: Option<[u8; 4]> = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_be_bytes).ok_or_else(|| {
        Problem::bad(format!(
            "Upload-Checksum was {header:?}: send \"crc32c \" and four bytes in Base64, or leave it out"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_pairs_of_a_key_and_base64() {
        let metadata = "filename PGltZz4ubXA0,lastmodified MTIz, is_confidential";
        assert_eq!(of_metadata(metadata, "filename").unwrap().unwrap(), "<img>.mp4");
        assert_eq!(of_metadata(metadata, "lastmodified").unwrap().unwrap(), "123");
        assert_eq!(of_metadata(metadata, "is_confidential").unwrap().unwrap(), "");
        assert!(of_metadata(metadata, "settings").unwrap().is_none());
        assert!(of_metadata("filename ///", "filename").is_err());
    }

    #[test]
    fn a_checksum_is_four_bytes_in_base64() {
        assert_eq!(checksum_of("crc32c 4waSgw==").unwrap(), 0xe306_9283);
        for wrong in ["crc32c", "crc32c AAA=", "sha1 4waSgw==", ""] {
            assert!(checksum_of(wrong).is_err(), "{wrong}");
        }
    }
}
