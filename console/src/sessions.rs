//! Uploads that the page sends directly to the store: on Google Cloud, by resumable sessions that this module opens.
//!
//! The page asks for a session with a name, a size and settings, and gets its address. The sent part of a session remains if the
//! page or this service ends; the page asks the store how much that is. The last byte makes the object, whose event starts
//! `split`.

use crate::{Console, json::Json, problem::Problem, works::Wishes};
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use trackdrop_cloud::{NewUpload, StorageError, UploadSessions};
use trackdrop_pipeline::{
    Bucket, DetectEvery, OfferedModels, RequestSettings, names::ObjectName, settings::METADATA_KEY, trigger::of_uploads,
};

/// Bytes of a video's name: an object's name has 1,024 at most.
const LONGEST_NAME_BYTES: usize = 1_000;

/// Opens sessions, with the settings that they may have.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// The store.
    pub uploads: Arc<dyn UploadSessions>,
    /// Detectors that uploads may ask for.
    pub models: OfferedModels,
}

#[derive(Debug, Deserialize)]
struct Asked {
    name: String,
    bytes: u64,
    wishes: Wishes,
}

/// Opens a session.
pub(crate) async fn open(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json, Problem> {
    let Some(sessions) = &console.sessions else {
        return Err(Problem::not_found("this console takes uploads by tus, at /api/uploads"));
    };
    let Asked { name, bytes, wishes } =
        serde_json::from_slice(&body).map_err(|error| Problem::bad(format!("no upload: {error}")))?;
    check(&name, bytes, console.limits.max_bytes)?;
    let settings = settings_of(&wishes, &sessions.models)?;
    let metadata = serde_json::to_string(&settings).map_err(|error| Problem::bad(error.to_string()))?;
    // The door has compared it with the page's own.
    let page = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default().to_owned();
    let upload = NewUpload { bytes, metadata: BTreeMap::from([(METADATA_KEY.to_owned(), metadata)]), page };
    let opened = sessions.uploads.open_upload(&ObjectName::new(Bucket::Uploads, &*name), &upload).await;
    let address = opened.map_err(|error| match error {
        StorageError::Precondition { .. } => Problem::new(
            StatusCode::CONFLICT,
            format!(
                "there is a video {name:?} already: rename the file, or delete that one's request with its upload first"
            ),
        ),
        error => Problem::from(error),
    })?;
    Ok(Json(json!({ "address": address })))
}

/// Refuses an upload that would not be a video.
fn check(name: &str, bytes: u64, most_bytes: u64) -> Result<(), Problem> {
    if name.is_empty() || name.len() > LONGEST_NAME_BYTES || name.contains(['/', '\r', '\n']) {
        return Err(Problem::bad(format!(
            "{name:?} can't be a video's name: it has 1 to {LONGEST_NAME_BYTES} bytes, and no / nor line break"
        )));
    }
    let uploads = of_uploads(None).map_err(|error| Problem::bad(error.to_string()))?;
    if let Some(why) = uploads.ignores(&ObjectName::new(Bucket::Uploads, name), Some(bytes)) {
        return Err(Problem::bad(format!("{name:?} would be ignored: {why}")));
    }
    if bytes > most_bytes {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "{name:?} has {bytes} bytes; the maximum is {most_bytes}: `max_bytes` of the Terraform variable `limits` is the bound"
            ),
        ));
    }
    Ok(())
}

/// The settings that a request will have.
fn settings_of(wishes: &Wishes, models: &OfferedModels) -> Result<RequestSettings, Problem> {
    let refused = |error: &dyn std::fmt::Display| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
    if let Some(model) = &wishes.model {
        models.find(model).map_err(|error| refused(&error))?;
    }
    let classes =
        wishes.classes.as_ref().map(|classes| classes.split(',').map(|name| name.trim().to_owned()).collect());
    let detect_every = wishes.detect_every.map_or(Ok(DetectEvery::ALL), DetectEvery::try_from);
    let detect_every = detect_every.map_err(|error| refused(&error))?;
    let mut settings = RequestSettings {
        model: wishes.model.clone(),
        classes,
        min_score: wishes.min_score.map(|score| score as f32),
        detect_every,
        video: !wishes.no_video,
        crops: wishes.crops,
        ..RequestSettings::default()
    };
    settings.tracker.track_thresh = wishes.track_thresh;
    settings.check().map_err(|error| refused(&error))?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_become_the_settings_of_an_upload_or_are_refused_before_anything_is_sent() {
        let models = OfferedModels::of_text("big=gs://acme/big.onnx").unwrap();
        let wishes: Wishes = serde_json::from_value(json!({
            "model": "big", "classes": "person, car", "min_score": 0.25, "track_thresh": 0.5, "detect_every": 3, "no_video": true,
        }))
        .unwrap();
        let settings = serde_json::to_value(settings_of(&wishes, &models).unwrap()).unwrap();
        assert_eq!(settings["classes"], json!(["person", "car"]));
        assert_eq!(
            (&settings["model"], &settings["detect_every"], &settings["video"]),
            (&json!("big"), &json!(3), &json!(false))
        );
        assert_eq!(settings["tracker"]["track_thresh"], json!(0.5));
        for (wrong, said) in [
            (json!({ "model": "/etc/passwd" }), "is not offered"),
            (json!({ "detect_every": 0 }), "0"),
            (json!({ "min_score": 7.0 }), "7"),
            (json!({ "crops": true, "no_video": true }), "crops"),
        ] {
            let problem = settings_of(&serde_json::from_value(wrong.clone()).unwrap(), &models).unwrap_err();
            assert!(format!("{problem:?}").contains(said), "{wrong}: {problem:?}");
        }
    }

    #[test]
    fn what_is_no_video_or_too_large_is_refused() {
        assert!(check("clip.mp4", 10, 10).is_ok());
        for (name, bytes) in
            [("", 1), ("a/b.mp4", 1), ("a\n.mp4", 1), ("clip.mp4", 0), ("clip.mp4", 11), (".hidden", 1)]
        {
            assert!(check(name, bytes, 10).is_err(), "{name:?} {bytes}");
        }
    }
}
