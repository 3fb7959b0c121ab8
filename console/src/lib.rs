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
//! - `incoming`: videos that come in pieces, whatever is killed meanwhile; `tus`: the protocol by which they come.
//! - `works`: what the host of the functions does for the page; `drops`: from an upload to its request, and cancel, retry, delete.
//! - `live`: the progress of all that, as it happens.
//!
//! Names, labels and messages are data everywhere: the server sends JSON and pictures, and the page makes text of them.

mod ask;
mod assets;
mod boxes;
mod crops;
mod door;
mod drops;
mod files;
mod frames;
mod incoming;
mod json;
mod live;
mod problem;
mod requests;
mod scenes;
mod still;
mod tracks;
mod tus;
mod video;
mod works;

pub use {
    door::{Token, TokenError},
    drops::Drops,
    incoming::{Incoming, IncomingOpenError},
    works::{Model, Refused, Wishes, Works},
};

use axum::{
    Router, middleware,
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
use trackdrop_database::{DatabaseError, Tables};
use trackdrop_flow::Cloud;
use trackdrop_media::Limits;

/// Threads of a question about one request's rows.
const THREADS: usize = 2;
/// Memory of all such questions together.
const MEMORY: &str = "256MB";

/// What answers that are being sent may still take when the console ends.
const GRACE: Duration = Duration::from_secs(2);

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
    /// What takes videos; else why nothing does.
    drops: Result<Drops, String>,
    live: live::Live,
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
            drops: Err("this console takes no videos".to_owned()),
            live: live::Live::default(),
        })
    }

    /// Takes videos, or tells the page why it does not.
    #[must_use]
    pub fn with_drops(self, drops: Result<Drops, String>) -> Self {
        Self { drops, ..self }
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
            .route("/api/requests/{request}", get(requests::page).delete(drops::remove))
            .route("/api/requests/{request}/removal", get(drops::removal))
            .route("/api/requests/{request}/cancel", post(drops::cancel))
            .route("/api/requests/{request}/retry", post(drops::retry))
            .route("/api/requests/{request}/mend", post(drops::mend))
            .route("/api/requests/{request}/frames", get(frames::table))
            .route("/api/requests/{request}/boxes/{from}/{to}", get(boxes::span))
            .route("/api/requests/{request}/tracks", get(tracks::all))
            .route("/api/requests/{request}/video/{which}", get(video::play))
            .route("/api/requests/{request}/stills/{frame}", get(still::picture))
            .route("/api/requests/{request}/crops/{track}", get(crops::picture))
            .route("/api/requests/{request}/count", post(scenes::count))
            .route("/api/ask", post(ask::ask))
            .route("/api/tables", get(ask::tables))
            .route("/api/live", get(live::stream))
            .route("/api/choices", get(drops::choices))
            .route("/api/uploads", options(tus::options).post(tus::create))
            .route("/api/uploads/{id}", delete(tus::discard).head(tus::offset).patch(tus::append))
            .route("/api/uploads/{id}/again", post(drops::again))
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
    let console = Arc::new(console);
    drops::take_up(&console).await;
    let looking = tokio::spawn(live::look_on(console.clone()));
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
    looking.abort();
    served
}
