//! The console: a web page that shows the results of Trackdrop. The server uses only the traits of a cloud.
//!
//! - `door`: which HTTP requests are admitted: the token, the host names of the page, and what the browser may load.
//! - `assets`: the files of the page, which are built into the binary.
//! - `requests`: the list, and the page of one request.
//! - `frames`: the time of every frame.
//! - `boxes`: the boxes of a span of frames, as bytes that the page draws without parsing.
//! - `tracks`: one line per track.
//! - `video`: the source and the annotated video, in ranges.
//! - `downloads`: the files of its results.
//! - `still`: any frame as a picture, exactly.
//! - `crops`: the best picture of each object.
//! - `exports`: a request's tracks in other tools' formats.
//! - `links`: the least certain links between track pieces.
//! - `evaluation`: tracks against ground truth, and the frames in which they differ.
//! - `others`: files of other programs, tracked and refined.
//! - `ask`: SQL of the page over the tables, read-only and bounded.
//! - `scenes`: lines and zones, what they count, and where they are stored.
//! - `files`: objects as files, held open while they are of use.
//! - `incoming`: videos that are uploaded in parts, and survive a kill of any process; `tus`: the protocol of these uploads.
//! - `works`: the actions that the host of the functions does for the page; `drops`: videos that people drop on the page, from
//!   upload to request, and cancel, retry, mend, track again, delete.
//! - `sessions`: on Google Cloud, uploads that the browser sends directly to the store.
//! - `live`: the progress of uploads and requests, sent immediately.
//!
//! Names, labels and messages are always data: the server sends JSON and pictures, and the page shows names as text.

mod ask;
mod assets;
mod boxes;
mod crops;
mod door;
mod downloads;
mod drops;
mod evaluation;
mod exports;
mod files;
mod frames;
mod incoming;
mod json;
mod links;
mod live;
mod others;
mod problem;
mod requests;
mod scenes;
mod sessions;
mod still;
mod tracks;
mod tus;
mod video;
mod works;

pub use {
    ask::Billed,
    door::{Guard, Token, TokenError, TurnedAway},
    drops::Drops,
    incoming::{Incoming, IncomingOpenError},
    sessions::Sessions,
    works::{FileWork, Model, Planning, Refused, Retracking, Wishes, Works},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderValue, StatusCode},
    middleware,
    routing::{delete, get, options, post, put},
};
use duckdb::Connection;
use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore};
use trackdrop_database::{DatabaseError, RETURNS_MEMORY, Tables};
use trackdrop_flow::Cloud;
use trackdrop_media::Limits;

/// Threads of a question about one request's rows.
const THREADS: usize = 2;
/// Memory of all such questions together.
const MEMORY: &str = "256MB";

/// What answers that are being sent may still take when the console ends.
const GRACE: Duration = Duration::from_secs(2);

/// The server of the page.
#[derive(Debug)]
pub struct Console {
    cloud: Cloud,
    rows: ask::Rows,
    limits: Limits,
    door: door::Door,
    policy: HeaderValue,
    files: files::Files,
    listed: requests::ListedRequests,
    database: Mutex<Connection>,
    drafts: scenes::Drafts,
    stills: still::Stills,
    /// Statements of the page run one after the other.
    turns: Arc<Semaphore>,
    exports: exports::Exports,
    /// What has the rows of whole files in memory runs one after the other.
    evaluations: Semaphore,
    /// What takes videos; else why nothing does.
    drops: Result<Drops, String>,
    /// How uploads go straight to the store, where they do.
    sessions: Option<Sessions>,
    /// Bytes of a video that are answered at a time, where there is a bound.
    most_answer_bytes: Option<u64>,
    live: live::Live,
}

/// What a console on Google Cloud does not do.
const READS_ONLY: &str = "the console on Google Cloud shows, asks and takes uploads, and changes nothing else";
/// Cloud Run sends no answer of a known length above 32 MiB.
const MOST_ANSWER_BYTES: u64 = 16 << 20;

impl Console {
    /// Over a cloud and the tables of its warehouse. `limits` are those of pictures that are decoded for stills.
    ///
    /// # Errors
    /// [`DatabaseError`] where DuckDB can't start.
    pub fn new(cloud: Cloud, tables: Arc<dyn Tables>, limits: Limits, token: Token) -> Result<Self, DatabaseError> {
        Self::made(cloud, ask::Rows::Files(tables), limits, door::Door::Token(token))
    }

    /// Over a cloud whose functions run as services, behind a guard. This console only reads and opens uploads.
    ///
    /// # Errors
    /// [`DatabaseError`] where DuckDB can't start.
    pub fn in_cloud(
        cloud: Cloud,
        billed: Billed,
        sessions: Sessions,
        limits: Limits,
        guard: Arc<dyn Guard>,
    ) -> Result<Self, DatabaseError> {
        let policy = door::policy(Some(&sessions.uploads.origin()));
        let console = Self::made(cloud, ask::Rows::Billed(billed), limits, door::Door::Guard(guard))?;
        Ok(Self {
            policy,
            sessions: Some(sessions),
            most_answer_bytes: Some(MOST_ANSWER_BYTES),
            drops: Err(format!("{READS_ONLY}: docs/console.md names the command for each change")),
            ..console
        })
    }

    fn made(cloud: Cloud, rows: ask::Rows, limits: Limits, door: door::Door) -> Result<Self, DatabaseError> {
        let database = Connection::open_in_memory().map_err(DatabaseError::Start)?;
        database.execute_batch(&format!("SET threads = {THREADS}; SET memory_limit = '{MEMORY}'; {RETURNS_MEMORY}"))?;
        Ok(Self {
            cloud,
            rows,
            limits,
            door,
            policy: door::policy(None),
            files: files::Files::default(),
            listed: requests::ListedRequests::default(),
            database: Mutex::new(database),
            drafts: scenes::Drafts::default(),
            stills: still::Stills::default(),
            turns: Arc::new(Semaphore::new(1)),
            exports: exports::Exports::default(),
            evaluations: Semaphore::new(1),
            drops: Err("this console takes no videos".to_owned()),
            sessions: None,
            most_answer_bytes: None,
            live: live::Live::default(),
        })
    }

    /// Whether the functions run as services.
    fn is_in_cloud(&self) -> bool {
        matches!(self.rows, ask::Rows::Billed(_))
    }

    /// Refuses a change if this console may only read.
    fn writes(&self, instead: &str) -> Result<(), problem::Problem> {
        match self.is_in_cloud() {
            false => Ok(()),
            true => Err(problem::Problem::new(StatusCode::FORBIDDEN, format!("{READS_ONLY}: {instead}"))),
        }
    }

    /// Accepts videos, or says on the page why it does not.
    #[must_use]
    pub fn with_drops(self, drops: Result<Drops, String>) -> Self {
        Self { drops, ..self }
    }

    /// A connection of its own to the database in memory, which has no table: questions name the files that they read.
    fn connection(&self) -> Result<Connection, DatabaseError> {
        // A panic elsewhere leaves the connection as it was.
        Ok(self.database.lock().unwrap_or_else(PoisonError::into_inner).try_clone()?)
    }

    /// All routes of the page.
    fn router(self: Arc<Self>) -> Router {
        // Asked by what runs the service, which comes through no proxy; they tell nothing.
        let health = match self.is_in_cloud() {
            true => Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(async || "ready\n")),
            false => Router::new(),
        };
        Router::new()
            .route("/api/requests", get(requests::list))
            .route("/api/requests/{request}", get(requests::page).delete(drops::remove))
            .route("/api/requests/{request}/removal", get(drops::removal))
            .route("/api/requests/{request}/cancel", post(drops::cancel))
            .route("/api/requests/{request}/retry", post(drops::retry))
            .route("/api/requests/{request}/mend", post(drops::mend))
            .route("/api/requests/{request}/retrack", post(drops::retrack))
            .route("/api/requests/{request}/export/{format}", get(exports::download))
            .route("/api/requests/{request}/links", get(links::weakest))
            .route("/api/requests/{request}/evaluate", post(evaluation::of_request).layer(text_files()))
            .route("/api/requests/{request}/frames", get(frames::table))
            .route("/api/requests/{request}/boxes/{from}/{to}", get(boxes::span))
            .route("/api/requests/{request}/tracks", get(tracks::all))
            .route("/api/requests/{request}/video/{which}", get(video::play))
            .route("/api/requests/{request}/files/{name}", get(downloads::download))
            .route("/api/requests/{request}/stills/{frame}", get(still::picture))
            .route("/api/requests/{request}/crops/{track}", get(crops::picture))
            .route("/api/requests/{request}/count", post(scenes::count))
            .route("/api/requests/{request}/prepare", post(scenes::prepare))
            .route("/api/evaluate", post(evaluation::of_files).layer(text_files()))
            .route("/api/retrack-files", post(others::retrack).layer(text_files()))
            .route("/api/plan", post(drops::plan))
            .route("/api/ask", post(ask::ask))
            .route("/api/tables", get(ask::tables))
            .route("/api/live", get(live::stream))
            .route("/api/can", get(can))
            .route("/api/choices", get(drops::choices))
            .route("/api/sessions", post(sessions::open))
            .route("/api/uploads", options(tus::options).post(tus::create))
            .route("/api/uploads/{id}", delete(tus::discard).head(tus::offset).patch(tus::append))
            .route("/api/uploads/{id}/again", post(drops::again))
            .route("/api/scenes", get(scenes::list))
            .route("/api/scenes/{name}", put(scenes::store).delete(scenes::remove))
            .fallback(get(assets::serve))
            .layer(middleware::from_fn_with_state(self.clone(), door::guard))
            .merge(health)
            .with_state(self)
    }
}

/// The bound of requests that have text files in them.
fn text_files() -> DefaultBodyLimit {
    DefaultBodyLimit::max(evaluation::MOST_SENT_BYTES)
}

/// The actions that this console supports, for the page.
async fn can(State(console): State<Arc<Console>>) -> json::Json {
    let is_here = !console.is_in_cloud();
    json::Json(serde_json::json!({
        "work": is_here, "mend": is_here, "save_scenes": is_here, "delete": is_here, "is_paid": !is_here,
        "sends": if is_here { "tus" } else { "session" },
    }))
}

/// Serves the page until `stop` is done.
///
/// # Errors
/// Those of the listener.
pub async fn serve(
    listener: TcpListener,
    console: Console,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let console = Arc::new(console);
    drops::take_up(&console).await;
    let refreshing = tokio::spawn(live::keep_fresh(console.clone()));
    let (ending, late) = (console.clone(), console.clone());
    let served = axum::serve(listener, console.router()).with_graceful_shutdown(async move {
        stop.await;
        // Their streams have no end of their own.
        ending.live.end();
    });
    let served = tokio::select! {
        served = served.into_future() => served,
        // A client that has stopped reading a video or sending an upload is not waited for.
        () = async { late.live.ended().await; tokio::time::sleep(GRACE).await } => Ok(()),
    };
    refreshing.abort();
    served
}
