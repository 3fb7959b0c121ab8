//! Lines and zones: their counts in one request, before and after they are stored, and the place where they are stored.
//!
//! A draft uses the same SQL as a stored scene, over the rows of its request only. So a count on the page is that of `trackdrop
//! query`'s.

use crate::{
    Console, MEMORY, THREADS,
    files::Fetched,
    json::{Json, Text},
    problem::Problem,
    requests,
};
use axum::{
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use duckdb::Connection;
use serde_json::{Map, Value, json};
use std::{
    path,
    sync::{Arc, Mutex, PoisonError},
};
use tempfile::TempDir;
use trackdrop_cloud::{Content, PutOptions};
use trackdrop_database::{Contents, Draft, LoadedFile, scenes};
use trackdrop_flow::end;
use trackdrop_pipeline::{Manifest, names::ResultFile};
use trackdrop_scenes::{Scene, SceneError};

/// The views that a draft is asked about; with a calibration the last one, too.
const VIEWS: [&str; 4] = ["line_crossings", "zone_visits", "flows", "track_speeds"];
/// Crossings that are sent, to be jumped to.
const MOST_CROSSINGS: usize = 5000;

/// The request that was counted in last. A person who draws a line draws another one there.
#[derive(Debug, Default)]
pub(crate) struct Drafts(Mutex<Option<Latest>>);

#[derive(Debug)]
struct Latest {
    draft: Draft,
    file: Arc<Fetched>,
    _folder: TempDir,
}

impl Latest {
    fn new(file: Arc<Fetched>, contents: Contents, scratch: &path::Path) -> Result<Self, Problem> {
        let folder = tempfile::tempdir_in(scratch)?;
        Ok(Self { draft: Draft::new(contents, folder.path(), THREADS, MEMORY), file, _folder: folder })
    }

    fn is_of(&self, file: &Fetched) -> bool {
        self.file.info.object == file.info.object && self.file.info.generation == file.info.generation
    }
}

impl Drafts {
    /// Runs `count` on the draft of this file. Counts run one after the other, because each uses all threads.
    fn with<T>(
        &self,
        file: Arc<Fetched>,
        contents: Contents,
        scratch: &path::Path,
        count: impl FnOnce(&mut Draft) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        // After a panic elsewhere there is no draft.
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = match latest.take().filter(|kept| kept.is_of(&file)) {
            Some(kept) => kept,
            None => Latest::new(file, contents, scratch)?,
        };
        count(&mut latest.insert(kept).draft)
    }
}

fn read(body: &[u8]) -> Result<Scene, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| Problem::bad("the scene is no text"))?;
    Scene::parse(text).map_err(|error: SceneError| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
}

/// What the lines and zones of a scene count in a request.
pub(crate) async fn count(
    State(console): State<Arc<Console>>,
    Path(request): Path<String>,
    body: Bytes,
) -> Result<Text, Problem> {
    let scene = read(&body)?;
    asked(console, &request, scene, counted).await
}

/// Makes what depends on no line and no zone, before the first one of a scene is drawn.
pub(crate) async fn prepare(
    State(console): State<Arc<Console>>,
    Path(request): Path<String>,
    body: Bytes,
) -> Result<Json, Problem> {
    // No scene yet: that has a line or a zone.
    let scene: Scene = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("no scene: {error}")))?;
    asked(console, &request, scene, |draft, scene| {
        draft.prepare(scene)?;
        Ok(Json(json!({})))
    })
    .await
}

/// Queries the draft of a request about a scene.
async fn asked<T: Send + 'static>(
    console: Arc<Console>,
    request: &str,
    scene: Scene,
    ask: impl FnOnce(&mut Draft, &Scene) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let manifest = requests::found(&console, request).await?;
    // Whatever videos the scene is for, this one is asked.
    let scene = Scene { videos: vec!["*".into()], ..scene };
    let video = manifest.source.video.as_ref();
    if let Some(video) = video.filter(|video| !scene.fits(video.width_px, video.height_px)) {
        return Err(Problem::bad(format!(
            "the scene was drawn on {}x{} and the picture is {}x{}, another aspect ratio: draw one for this camera",
            scene.picture.width_px, scene.picture.height_px, video.width_px, video.height_px
        )));
    }
    let file = console.files.get(&*console.cloud.storage, &ResultFile::Tracks.object(&manifest.request_id)).await?;
    let contents = contents_of(&console, &manifest, &file).await?;
    tokio::task::spawn_blocking(move || {
        console.drafts.with(file, contents, console.cloud.storage.scratch(), |draft| ask(draft, &scene))
    })
    .await?
}

/// The counts, as the page shows them.
fn counted(draft: &mut Draft, scene: &Scene) -> Result<Text, Problem> {
    let is_calibrated = scene.calibration.is_some();
    let database = &draft.ask(scene, if is_calibrated { &VIEWS } else { &VIEWS[..3] })?;
    let speeds = match is_calibrated {
        true => rows_of(
            database,
            "SELECT class_name, COUNT(*) AS tracks, MEDIAN(median_speed) AS median_m_s, MAX(max_speed) AS fastest_m_s,
                    MEDIAN(median_error) AS error_m_s
             FROM track_speeds GROUP BY ALL ORDER BY ALL",
        )?,
        false => "[]".to_owned(),
    };
    let crossings = "SELECT line, direction, class_name, track_id, frame_index, time_s FROM line_crossings";
    let lines = rows_of(
        database,
        &format!(
            "SELECT line, direction, class_name, COUNT(*) AS crossings FROM ({crossings}) GROUP BY ALL ORDER BY ALL"
        ),
    )?;
    let zones = rows_of(
        database,
        "SELECT zone, class_name, COUNT(*) AS visits, AVG(dwell_s) AS mean_dwell_s, MAX(dwell_s) AS longest_dwell_s,
                SUM(CASE WHEN left_scene THEN 1 ELSE 0 END)::BIGINT AS ended_inside
         FROM zone_visits GROUP BY ALL ORDER BY ALL",
    )?;
    let flows = rows_of(
        database,
        "SELECT origin, destination, class_name, moves::BIGINT AS moves, identities::BIGINT AS identities
         FROM flows ORDER BY ALL",
    )?;
    let visitors = rows_of(
        database,
        "SELECT zone, LIST(DISTINCT track_id) AS tracks FROM zone_visits GROUP BY zone ORDER BY zone",
    )?;
    let residual: Option<f64> =
        database.query_row("SELECT residual_m FROM scenes WHERE kind = 'scene'", [], |row| row.get(0))?;
    let residual = Value::from(residual);
    let crossings = rows_of(database, &format!("{crossings} ORDER BY time_s, track_id, line LIMIT {MOST_CROSSINGS}"))?;
    Ok(Text(format!(
        "{{\"lines\":{lines},\"zones\":{zones},\"flows\":{flows},\"visitors\":{visitors},\"speeds\":{speeds},\
          \"residual_m\":{residual},\"crossings\":{crossings}}}"
    )))
}

/// The tables with this request in them and no other, and without a scene.
pub(crate) async fn contents_of(console: &Console, manifest: &Manifest, file: &Fetched) -> Result<Contents, Problem> {
    let request = &manifest.request_id;
    let summary = end::read_summary(&console.cloud, request).await?;
    let summary = summary.ok_or_else(|| Problem::bad(format!("{request} can't be counted yet: it has not ended")))?;
    let row = serde_json::to_string(&end::row(manifest, &summary)).map_err(|error| Problem::bad(error.to_string()))?;
    Ok(Contents {
        tracks: vec![LoadedFile { request_id: request.to_string(), path: file.path().to_owned() }],
        requests: vec![row],
        scenes: Vec::new(),
    })
}

/// The rows of an answer as objects. DuckDB writes them, since it knows every type.
/// The rows of an answer as a JSON array. They stay text, which takes less memory than values.
fn rows_of(database: &Connection, sql: &str) -> Result<String, Problem> {
    let mut statement = database.prepare(&format!("SELECT TO_JSON(answer)::VARCHAR FROM ({sql}) AS answer"))?;
    let mut rows = statement.query([])?;
    let mut found = "[".to_owned();
    while let Some(row) = rows.next()? {
        if found.len() > 1 {
            found.push(',');
        }
        found.push_str(row.get_ref(0)?.as_str().map_err(duckdb::Error::from)?);
    }
    found.push(']');
    Ok(found)
}

/// All stored scenes.
pub(crate) async fn list(State(console): State<Arc<Console>>) -> Result<Json, Problem> {
    let all = scenes::stored(&*console.cloud.storage).await?;
    let mut listed = Vec::new();
    for scene in all {
        listed.push(serde_json::to_value(scene).map_err(|error| Problem::bad(error.to_string()))?);
    }
    Ok(Json(json!({ "scenes": listed })))
}

/// Stores a scene, as `trackdrop scene add` does; one of the same name is replaced.
pub(crate) async fn store(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json, Problem> {
    console.writes("save the scene as a file, and store it with `trackdrop scene add FILE --google`")?;
    let scene = read(&body)?;
    if scene.name != name {
        return Err(Problem::bad(format!("the scene is named {:?} and not {name:?}", scene.name)));
    }
    let options = PutOptions { content_type: scenes::CONTENT_TYPE, ..PutOptions::default() };
    console.cloud.storage.put(&scenes::object(&name), Content::Bytes(scene.ndjson().into()), options).await?;
    Ok(Json(Value::Object(Map::from_iter([("stored".to_owned(), Value::from(name))]))))
}

/// Removes a stored scene, as `trackdrop scene remove` does.
pub(crate) async fn remove(State(console): State<Arc<Console>>, Path(name): Path<String>) -> Result<Json, Problem> {
    console.writes("remove the scene with `trackdrop scene remove NAME --google`")?;
    // A name of a scene names no other object.
    let is_plain = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-');
    let object = scenes::object(&name);
    if !is_plain || console.cloud.find(&object).await?.is_none() {
        return Err(Problem::not_found(format!(
            "there is no stored scene {name:?}: choose one of those that are listed"
        )));
    }
    console.cloud.storage.delete(&object).await?;
    Ok(Json(json!({ "removed": name })))
}
