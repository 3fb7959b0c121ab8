//! What stands between one service and Cloud Storage: passes everything on, and holds the writes that a test wants held, so that a process can be
//! killed when its handler has done its work and nothing of it stands yet, whatever the machine's speed.

use crate::proxy::pass_on;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, Uri},
    response::Response,
};
use serde_json::Value;
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, sync::oneshot};

/// Where an upload begins; all else passes without a look.
const UPLOADS: &str = "/upload/";

/// A way to Cloud Storage for one service.
#[derive(Clone, Debug)]
pub struct StorageGate {
    upstream: String,
    http: reqwest::Client,
    holds: Arc<Mutex<Vec<Hold>>>,
    /// The port that the service is to call.
    pub port: u16,
}

/// Writes that are held.
#[derive(Debug)]
struct Hold {
    part: String,
    /// Tells that the first one is there.
    held: Option<oneshot::Sender<String>>,
}

impl StorageGate {
    /// Listens in front of the Cloud Storage at `upstream`, a host and port.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (http, holds) = (reqwest::Client::new(), Arc::default());
        let gate = Self { upstream: upstream.to_owned(), http, holds, port };
        let router = Router::new().fallback(pass).with_state(gate.clone());
        // A chunk is larger than what an extractor takes unasked.
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, router).await });
        gate
    }

    /// From now on no write of a result is answered whose name holds `part`. Gives the name of the first one when it is there; nothing where
    /// [`StorageGate::release`] came before.
    pub fn hold(&self, part: &str) -> oneshot::Receiver<String> {
        let (held, is_held) = oneshot::channel();
        self.holds.lock().unwrap().push(Hold { part: part.to_owned(), held: Some(held) });
        is_held
    }

    /// Holds nothing any more. What is held already is never answered: its caller is to be dead.
    pub fn release(&self) {
        self.holds.lock().unwrap().clear();
    }

    /// Whether this write is one to be held.
    fn holds(&self, uri: &Uri, body: &[u8]) -> bool {
        let Some(name) = uri.path().starts_with(UPLOADS).then(|| object_of(body)).flatten() else { return false };
        // It says how far the request is, and is written before there is anything to lose.
        if name.ends_with("/manifest.json") {
            return false;
        }
        let mut holds = self.holds.lock().unwrap();
        let Some(hold) = holds.iter_mut().find(|hold| name.contains(&hold.part)) else { return false };
        if let Some(held) = hold.held.take() {
            let _ = held.send(name);
        }
        true
    }
}

/// The name of the object that an upload is to make: its description is the first thing of the body.
fn object_of(body: &[u8]) -> Option<String> {
    let at = body.iter().position(|&byte| byte == b'{')?;
    let description = serde_json::Deserializer::from_slice(&body[at..]).into_iter::<Value>().next()?.ok()?;
    Some(description["name"].as_str()?.to_owned())
}

async fn pass(State(gate): State<StorageGate>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    if gate.holds(&uri, &body) {
        // Until the caller is gone.
        return std::future::pending().await;
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    pass_on(&gate.http, &gate.upstream, method, path, headers, body).await
}
