//! Any frame as a picture, decoded from the chunk that owns it. It is exactly that frame, also if a browser seeks to another one.

use crate::{Console, problem::Problem, requests};
use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use std::{
    cmp::Ordering,
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Semaphore;
use trackdrop_media::{Canvas, ChunkDescription, ChunkReader, Frame, Limits, RgbScaler, StillFormat, VideoParams};
use trackdrop_pipeline::{
    Manifest, RequestId,
    manifest::ManifestSegment,
    names::{ObjectName, PerSegment},
};

/// Stills that are cached, so that a step back is quick.
const MOST_KEPT: usize = 48;
/// Videos that are decoded at the same time.
const AT_ONCE: usize = 1;
/// Sides of a thumbnail in pixels, whatever the picture's shape is.
const THUMB: u32 = 32;

/// Which picture of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Jpeg,
    Png,
    /// The frame and its neighbours in the chunk, small, by which the page checks which frame its browser shows. Of each a byte that says
    /// which it is (0 the one before, 1 itself, 2 the one after), then a plane of bytes for each of red, green and blue.
    Thumbs,
}

impl Kind {
    fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Thumbs => "application/octet-stream",
        }
    }
}

/// The request, the frame and the kind of a still.
type Key = (RequestId, u64, Kind);

/// The stills that were asked for last.
#[derive(Debug)]
pub(crate) struct Stills {
    kept: Mutex<VecDeque<(Key, Bytes)>>,
    turns: Semaphore,
}

impl Default for Stills {
    fn default() -> Self {
        Self { kept: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }
}

impl Stills {
    fn kept(&self) -> MutexGuard<'_, VecDeque<(Key, Bytes)>> {
        // A panic elsewhere leaves a list of whole pictures.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &Key) -> Option<Bytes> {
        self.kept().iter().find(|(known, _)| known == key).map(|(_, bytes)| bytes.clone())
    }

    fn keep(&self, key: Key, bytes: Bytes) {
        let mut kept = self.kept();
        kept.push_back((key, bytes));
        if kept.len() > MOST_KEPT {
            kept.pop_front();
        }
    }
}

pub(crate) async fn picture(
    State(console): State<Arc<Console>>,
    Path((request, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let asked = name.split_once('.').and_then(|(frame, ending)| {
        let kind = match ending {
            "jpg" => Kind::Jpeg,
            "png" => Kind::Png,
            "thumbs" => Kind::Thumbs,
            _ => return None,
        };
        Some((frame.parse::<u64>().ok()?, kind))
    });
    let (frame, kind) = asked.ok_or_else(|| {
        Problem::not_found(format!("no still {name:?}: give a frame's index and .jpg or .png, such as 12.jpg"))
    })?;
    let manifest = requests::found(&console, &request).await?;
    let key = (manifest.request_id.clone(), frame, kind);
    let bytes = match console.stills.find(&key) {
        Some(bytes) => bytes,
        None => {
            let _turn = console.stills.turns.acquire().await.map_err(|error| Problem::bad(error.to_string()))?;
            match console.stills.find(&key) {
                Some(bytes) => bytes,
                None => {
                    let bytes = decoded(&console, &manifest, frame, kind).await?;
                    console.stills.keep(key, bytes.clone());
                    bytes
                }
            }
        }
    };
    let headers = [(header::CONTENT_TYPE, kind.media_type()), (header::CACHE_CONTROL, "private, max-age=600")];
    Ok((headers, bytes).into_response())
}

async fn decoded(console: &Console, manifest: &Manifest, frame: u64, kind: Kind) -> Result<Bytes, Problem> {
    let owner = |segment: &&ManifestSegment| (segment.span.first_frame..segment.span.end_frame()).contains(&frame);
    let segment = manifest.segments.iter().find(owner);
    let (Some(segment), Some(video)) = (segment, manifest.source.video.as_ref()) else {
        let frames: u64 = manifest.segments.iter().map(|segment| segment.span.frame_count).sum();
        return Err(Problem::not_found(format!("there is no frame {frame}: the video has {frames}, from 0")));
    };
    let chunk: ObjectName = PerSegment::Chunk.object(manifest.detected_in(), segment.segment_number);
    let params = video.presentation.clone();
    let file = console.files.get(&*console.cloud.storage, &chunk).await.map_err(|problem| match problem.status {
        axum::http::StatusCode::NOT_FOUND => Problem::not_found(format!(
            "frame {frame} can't be decoded: its chunk is no longer in the bucket of work; process the video again for stills"
        )),
        _ => problem,
    })?;
    let place = (frame - segment.span.first_frame) as usize;
    let limits = console.limits.clone();
    tokio::task::spawn_blocking(move || still(file.path(), place, &params, &limits, kind)).await?
}

fn still(
    chunk: &std::path::Path,
    place: usize,
    params: &VideoParams,
    limits: &Limits,
    kind: Kind,
) -> Result<Bytes, Problem> {
    let described = ChunkDescription::read(chunk, limits)?;
    let missing = || Problem::not_found("this frame is damaged: no decoder gives a picture of it");
    let pts = *described.frame_pts.as_slice().get(place).ok_or_else(missing)?;
    let (first, last) = match kind {
        Kind::Thumbs => (place.saturating_sub(1), (place + 1).min(described.frame_pts.len() - 1)),
        Kind::Jpeg | Kind::Png => (place, place),
    };
    let wanted = described.frame_pts.as_slice()[first]..=described.frame_pts.as_slice()[last];
    let mut reader = ChunkReader::open(chunk, &described.window, &described.frame_pts, limits, 1)?
        .with_orientation(params.orientation);
    let mut thumbs = Vec::new();
    while let Some(frame) = reader.next()?.filter(|frame| frame.pts <= *wanted.end()) {
        if wanted.contains(&frame.pts) {
            let format = match kind {
                Kind::Jpeg => StillFormat::Jpeg,
                Kind::Png => StillFormat::Png,
                Kind::Thumbs => {
                    thumbs.push(match frame.pts.cmp(&pts) {
                        Ordering::Less => 0,
                        Ordering::Equal => 1,
                        Ordering::Greater => 2,
                    });
                    thumb(&frame, &mut thumbs)?;
                    reader.take_back(frame);
                    continue;
                }
            };
            let mut canvas = Canvas::new(params)?;
            canvas.load(&frame)?;
            return Ok(canvas.encode_still(format)?.into());
        }
        reader.take_back(frame);
    }
    if thumbs.is_empty() { Err(missing()) } else { Ok(thumbs.into()) }
}

/// Appends the planes of a thumbnail.
fn thumb(frame: &Frame, bytes: &mut Vec<u8>) -> Result<(), Problem> {
    let (at, plane) = (bytes.len(), (THUMB * THUMB) as usize);
    bytes.resize(at + 3 * plane, 0);
    let (red, rest) = bytes[at..].split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    Ok(frame.rgb_scaled_into(&mut RgbScaler::new(), THUMB, THUMB, [red, green, blue], THUMB as usize)?)
}
