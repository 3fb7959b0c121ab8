//! Another version of a request's tracks: its chunks and detections with other settings of the tracker, so no detector runs.
//!
//! A version is a separate request that begins at the marker `tracked`. From there `merge`, `load`, `annotate` and
//! `join` process it like any other request. Its name is computed from the request and the settings. So if it is
//! requested twice, there is one version.

use crate::{Cloud, Created, manifest};
use std::collections::BTreeMap;
use trackdrop_pipeline::{
    Appearance, Failure, Manifest, RequestId, RequestSettings, RequestState, Timestamp, manifest::Progress,
    names::Marker,
};

/// Custom metadata of a segment's tracks: the request to which its chunk belongs, if that is another one.
const CHUNKS_OF_KEY: &str = "trackdrop-chunks-of";

/// The metadata of a segment's tracks that say where its chunk is. So drawing does not need to read the whole manifest.
pub fn chunks_metadata(manifest: &Manifest) -> BTreeMap<String, String> {
    manifest.retrack_of.iter().map(|root| (CHUNKS_OF_KEY.to_owned(), root.to_string())).collect()
}

/// The request that the chunk of a segment's tracks belongs to.
///
/// # Errors
/// Permanent: the metadata name no request.
pub fn chunks_of(request: &RequestId, metadata: &BTreeMap<String, String>) -> Result<RequestId, Failure> {
    match metadata.get(CHUNKS_OF_KEY) {
        None => Ok(request.clone()),
        Some(root) => root.parse().map_err(|error| Failure::permanent(format!("tracks of {request}: {error}"))),
    }
}

/// A requested version.
#[derive(Debug)]
pub struct Version {
    /// Its request.
    pub request: RequestId,
    /// Whether it was requested before.
    pub is_new: bool,
}

/// The request id of the version with these settings, whether it exists or not.
///
/// # Errors
/// Permanent: the settings can't be written as JSON.
pub fn named(of: &Manifest, settings: &RequestSettings) -> Result<RequestId, Failure> {
    let json = serde_json::to_vec(settings)
        .map_err(|error| Failure::permanent(format!("the settings can't be written: {error}")))?;
    Ok(of.detected_in().version(&json))
}

/// Makes a version of the tracks of `of`, which has this manifest. Only what `merge` and the functions after it read may differ in
/// `settings`: the tracker, refinements, classes, the minimum score, and whether there is an annotated video.
///
/// # Errors
/// Permanent: `of` does not have all its detections, or it was tracked with the same `settings`.
pub async fn make(cloud: &Cloud, of: &Manifest, settings: RequestSettings) -> Result<Version, Failure> {
    let root = of.detected_in().clone();
    if settings == of.settings {
        return Err(Failure::permanent(format!("{} was tracked with these same settings", of.request_id)));
    }
    let of_root = manifest::read(cloud, &root).await?;
    let of_root = of_root.as_ref().unwrap_or(of);
    let (detected, stride) = (of_root.detect_every().get(), of_root.stride.clone());
    let asked = match (settings.detect_every.frames(), &stride) {
        (Some(asked), _) => asked.get(),
        // What the video chose remains.
        (None, Some(chosen)) => chosen.detect_every.get(),
        (None, None) => {
            return Err(Failure::permanent(format!(
                "the request setting detect_every is {}, which is decided before anything is detected: give a multiple of {detected} as \
                 --detect-every, or process the video again",
                settings.detect_every
            )));
        }
    };
    if !asked.is_multiple_of(detected) {
        return Err(Failure::permanent(format!(
            "detections exist for every {detected} frames, so --detect-every can be {detected}, {} and so on, and not {asked}: give such a number, \
             or process the video again",
            2 * detected
        )));
    }
    let stored = of_root.settings.appearance.as_ref();
    let is_stored = |asked: &&Appearance| stored.is_some_and(|stored| stored.is_same(asked));
    if let Some(appearance) = settings.appearance.as_ref().filter(|asked| !is_stored(asked)) {
        return Err(Failure::permanent(format!(
            "{root} was detected without --appearance {appearance} (the request setting appearance), so nobody knows what its objects look like: process \
             the video again with it"
        )));
    }
    if cloud.find(&Marker::Tracked.object(&root)).await?.is_none() {
        return Err(Failure::permanent(format!(
            "{root} has no complete set of detections (it is {}): process the video first",
            of.state.as_str()
        )));
    }
    let request = named(of, &settings)?;
    let mut manifest = Manifest {
        request_id: request.clone(),
        retrack_of: Some(root),
        state: RequestState::Tracking,
        error: None,
        reopened_at: None,
        stride: stride.filter(|_| settings.detect_every.frames().is_none()),
        settings,
        progress: Progress { segments_annotated: 0, updated_at: Timestamp::now(), ..of.progress.clone() },
        ledger: None,
        model: None,
        appearance_network: None,
        video_notes: Vec::new(),
        ..of.clone()
    };
    for segment in &mut manifest.segments {
        segment.request_id = request.clone();
    }
    let created = manifest::create(cloud, &manifest).await?;
    // This is done after the manifest, and in every call. So if a crash comes between the two, the same call repairs
    // it.
    cloud.mark(Marker::Tracked.object(&request)).await?;
    Ok(Version { request, is_new: matches!(created, Created::Now(_)) })
}
