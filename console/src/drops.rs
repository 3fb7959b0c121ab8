//! Makes a request of a dropped video, and carries out the actions of the page on requests.

use crate::{
    Console,
    incoming::{Incoming, Upload},
    json::Json,
    problem::Problem,
    requests,
    works::{Planning, Refused, Retracking, Wishes, Works},
};
use axum::{
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use trackdrop_flow::{delete, end};
use trackdrop_pipeline::{Edit, EditError, RequestId};

/// What takes videos and works for them.
#[derive(Debug)]
pub struct Drops {
    /// Where they come in.
    pub incoming: Incoming,
    /// The host of the functions.
    pub works: Arc<dyn Works>,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, refused.0)
    }
}

impl Console {
    /// What takes videos, or the reason why nothing does.
    pub(crate) fn drops(&self) -> Result<&Drops, Problem> {
        self.drops.as_ref().map_err(|why| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why.clone()))
    }
}

/// Makes a request of an upload that is whole, beside what the page does meanwhile: its hash takes a while.
pub(crate) fn begin(console: &Arc<Console>, upload: Upload) {
    let console = console.clone();
    tokio::spawn(async move {
        let Ok(drops) = console.drops() else { return };
        let Ok(_held) = drops.incoming.hold(&upload.id) else { return };
        console.live.read_now();
        let begun = drops.works.begin(&upload.name, &drops.incoming.data(&upload.id), &upload.wishes).await;
        let has_begun = begun.is_ok();
        let changed = drops.incoming.change(&upload.id, |upload| match begun {
            Ok(request) => (upload.request, upload.problem) = (Some(request), None),
            Err(refused) => upload.problem = Some(refused.0),
        });
        match changed {
            // The request has its content now. Without the record of that, the next console begins it once more, which changes nothing.
            Ok(_) if has_begun => drops.incoming.drop_data(&upload.id),
            Ok(_) => {}
            Err(error) => tracing::warn!(id = upload.id, %error, "the result of an upload could not be recorded"),
        }
        console.live.read_now();
    });
}

/// Resumes what an earlier console left.
pub(crate) async fn take_up(console: &Arc<Console>) {
    let Ok(drops) = console.drops() else { return };
    for upload in drops.incoming.all() {
        let Some(request) = &upload.request else {
            if upload.is_whole() && upload.problem.is_none() {
                begin(console, upload);
            }
            continue;
        };
        drops.incoming.drop_data(&upload.id);
        let outcome = match end::is_told(&console.cloud, request).await {
            Ok(true) => drops.incoming.discard(&upload.id).map_err(|error| error.to_string()),
            Ok(false) => drops.works.go_on(request).await.map_err(|refused| refused.0),
            Err(failure) => Err(failure.to_string()),
        };
        if let Err(reason) = outcome {
            tracing::warn!(%request, reason, "a request of an earlier console does not resume");
        }
    }
}

/// What the form of the page offers.
pub(crate) async fn choices(State(console): State<Arc<Console>>) -> Json {
    if let Some(sessions) = &console.sessions {
        let models = sessions.models.names().map(|name| json!({ "name": name, "path": name }));
        let models: Vec<_> = [json!({ "name": "the services' own", "path": "" })].into_iter().chain(models).collect();
        return Json(json!({ "models": models, "max_bytes": console.limits.max_bytes, "why_not": null }));
    }
    Json(match console.drops.as_ref() {
        Ok(drops) => {
            json!({ "models": drops.works.models(), "max_bytes": drops.incoming.most_bytes(), "why_not": null })
        }
        Err(why) => json!({ "models": [], "max_bytes": 0, "why_not": why }),
    })
}

/// Makes a request of an upload once more, with other settings.
pub(crate) async fn again(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json, Problem> {
    let drops = console.drops()?;
    let wishes: Wishes =
        serde_json::from_slice(&body).map_err(|error| Problem::bad(format!("no settings: {error}")))?;
    let upload = drops.incoming.get(&id)?;
    if !upload.is_whole() || upload.request.is_some() || drops.incoming.is_held(&id) {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "the upload is not whole yet, or has begun already: wait for it",
        ));
    }
    drops.works.check(&upload.name, &wishes).await?;
    let upload = drops.incoming.change(&id, |upload| (upload.wishes, upload.problem) = (wishes, None))?;
    begin(&console, upload);
    Ok(Json(json!({ "begun": id })))
}

fn id_of(request: &str) -> Result<RequestId, Problem> {
    request.parse().map_err(|_| Problem::not_found(format!("there is no request {request:?}")))
}

/// Ends a request that is in work.
pub(crate) async fn cancel(State(console): State<Arc<Console>>, Path(request): Path<String>) -> Result<Json, Problem> {
    console.drops()?.works.cancel(&id_of(&request)?).await?;
    console.live.read_now();
    Ok(Json(json!({ "cancelled": request })))
}

/// Tries a request again, or resumes one that was left.
pub(crate) async fn retry(State(console): State<Arc<Console>>, Path(request): Path<String>) -> Result<Json, Problem> {
    console.drops()?.works.go_on(&id_of(&request)?).await?;
    console.live.read_now();
    Ok(Json(json!({ "goes_on": request })))
}

/// What a person corrects of a request's tracks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mending {
    /// How many of its edits stay.
    keep: usize,
    /// What comes after them.
    edits: Vec<String>,
}

/// Makes a version of a request with other edits.
pub(crate) async fn mend(
    State(console): State<Arc<Console>>,
    Path(request): Path<String>,
    body: Bytes,
) -> Result<Json, Problem> {
    let Mending { keep, edits } =
        serde_json::from_slice(&body).map_err(|error| Problem::bad(format!("no edits: {error}")))?;
    let edits: Result<Vec<Edit>, _> = edits.iter().map(|edit| edit.parse()).collect();
    let edits = edits.map_err(|error: EditError| Problem::bad(error.to_string()))?;
    let version = console.drops()?.works.mend(&id_of(&request)?, keep, edits).await?;
    console.live.read_now();
    Ok(Json(json!({ "request": version })))
}

/// Makes a version of a request with other settings of the tracker and the refinements.
pub(crate) async fn retrack(
    State(console): State<Arc<Console>>,
    Path(request): Path<String>,
    body: Bytes,
) -> Result<Json, Problem> {
    let drops = console.drops()?;
    let retracking: Retracking =
        serde_json::from_slice(&body).map_err(|error| Problem::bad(format!("no settings: {error}")))?;
    let version = drops.works.retrack(&id_of(&request)?, &retracking).await?;
    console.live.read_now();
    Ok(Json(json!({ "request": version })))
}

/// Predicts time and cost of a video before it is processed.
pub(crate) async fn plan(State(console): State<Arc<Console>>, body: Bytes) -> Result<Json, Problem> {
    let planning: Planning =
        serde_json::from_slice(&body).map_err(|error| Problem::bad(format!("nothing to predict: {error}")))?;
    // A probe runs the detector.
    let _turn = console.evaluations.acquire().await.map_err(std::io::Error::other)?;
    Ok(Json(console.drops()?.works.plan(&planning).await?))
}

/// What deleting a request would remove.
pub(crate) async fn removal(State(console): State<Arc<Console>>, Path(request): Path<String>) -> Result<Json, Problem> {
    let request = requests::found(&console, &request).await?.request_id;
    let found = delete::find(&console.cloud, &request).await?;
    let found = found.ok_or_else(|| Problem::not_found(format!("there is no request {request}")))?;
    let versions: Vec<_> = found.versions.iter().map(|(version, _)| version).collect();
    let sharing: Vec<_> = found.sharing_upload().collect();
    let upload = found.upload.as_ref().filter(|_| found.upload_exists).map(|upload| &upload.name);
    Ok(Json(json!({
        "objects": found.objects.len(), "bytes": found.bytes(), "upload": upload, "versions": versions,
        "sharing_upload": sharing, "is_over": found.state.is_none_or(|state| state.is_final()),
    })))
}

/// Deletes a request; with `?upload=true` its video, too.
pub(crate) async fn remove(
    State(console): State<Arc<Console>>,
    Path(request): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json, Problem> {
    let drops = console.drops()?;
    let id = id_of(&request)?;
    drops.works.delete(&id, query.as_deref() == Some("upload=true")).await?;
    console.live.forget(&id);
    for upload in drops.incoming.all().into_iter().filter(|upload| upload.request.as_ref() == Some(&id)) {
        drops.incoming.discard(&upload.id)?;
    }
    console.live.read_now();
    Ok(Json(json!({ "deleted": request })))
}
