//! The console: a page on which people look at what Trackdrop knows, served over the traits of a cloud.
//!
//! - `door`: who may come in: a token, the names under which the page is asked for, what the browser may load.
//! - `assets`: the page itself, built into the binary.
//! - `requests`: the list, and the page of one request.
//! - `frames`: the time of every frame.
//! - `boxes`: the boxes of a span of frames, as bytes that the page draws without parsing.
//! - `tracks`: one line a track.
//! - `video`: the source and the annotated video, in ranges.
//! - `still`: any frame as a picture, exactly.
//! - `crops`: the best picture of each object.
//! - `ask`: SQL of the page over the tables, read-only and bounded.
//! - `scenes`: lines and zones, what they count, and where they are stored.
//! - `files`: objects as files, held open while they are of use.
//!
//! Names, labels and messages are data everywhere: the server sends JSON and pictures, and the page makes text of them.

mod ask;
mod assets;
mod boxes;
mod crops;
mod door;
mod files;
mod frames;
mod json;
mod problem;
mod requests;
mod scenes;
mod still;
mod tracks;
mod video;

pub use door::{Token, TokenError};

use axum::{
    Router, middleware,
    routing::{get, post, put},
};
use duckdb::Connection;
use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::TcpListener, sync::Semaphore};
use trackdrop_database::{DatabaseError, Tables};
use trackdrop_flow::Cloud;
use trackdrop_media::Limits;

/// Threads of a question about one request's rows.
const THREADS: usize = 2;
/// Memory of all such questions together.
const MEMORY: &str = "256MB";

/// What the page is served from.
#[derive(Debug)]
pub struct Console {
    cloud: Cloud,
    tables: Arc<dyn Tables>,
    limits: Limits,
    token: Token,
    files: files::Files,
    database: Mutex<Connection>,
    stills: still::Stills,
    /// Statements of the page run one after the other.
    turns: Arc<Semaphore>,
}

impl Console {
    /// Over a cloud and the tables of its warehouse. `limits` are those of pictures that are decoded for stills.
    ///
    /// # Errors
    /// [`DatabaseError`] where DuckDB can't start.
    pub fn new(cloud: Cloud, tables: Arc<dyn Tables>, limits: Limits, token: Token) -> Result<Self, DatabaseError> {
        let database = Connection::open_in_memory().map_err(DatabaseError::Start)?;
        database.execute_batch(&format!("SET threads = {THREADS}; SET memory_limit = '{MEMORY}'"))?;
        Ok(Self {
            cloud,
            tables,
            limits,
            token,
            files: files::Files::default(),
            database: Mutex::new(database),
            stills: still::Stills::default(),
            turns: Arc::new(Semaphore::new(1)),
        })
    }

    /// A connection of its own to the database in memory, which has no table: questions name the files that they read.
    fn connection(&self) -> Result<Connection, DatabaseError> {
        // A panic elsewhere leaves the connection as it was.
        Ok(self.database.lock().unwrap_or_else(PoisonError::into_inner).try_clone()?)
    }

    /// All that the page asks for.
    fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/api/requests", get(requests::list))
            .route("/api/requests/{request}", get(requests::page))
            .route("/api/requests/{request}/frames", get(frames::table))
            .route("/api/requests/{request}/boxes/{from}/{to}", get(boxes::span))
            .route("/api/requests/{request}/tracks", get(tracks::all))
            .route("/api/requests/{request}/video/{which}", get(video::play))
            .route("/api/requests/{request}/stills/{frame}", get(still::picture))
            .route("/api/requests/{request}/crops/{track}", get(crops::picture))
            .route("/api/requests/{request}/count", post(scenes::count))
            .route("/api/ask", post(ask::ask))
            .route("/api/tables", get(ask::tables))
            .route("/api/scenes", get(scenes::list))
            .route("/api/scenes/{name}", put(scenes::store))
            .fallback(get(assets::serve))
            .layer(middleware::from_fn_with_state(self.clone(), door::guard))
            .with_state(self)
    }
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
    axum::serve(listener, Arc::new(console).router()).with_graceful_shutdown(stop).await
}
