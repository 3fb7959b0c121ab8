//! A proxy between one service and Cloud Storage. It passes everything on, and holds the writes that a test wants held. So a process can be killed
//! when its handler has done its work and no result of it exists yet, whatever the machine's speed.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
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
    oddities: Arc<Mutex<Vec<(String, Oddity)>>>,
    /// The port that the service is to call.
    pub port: u16,
}

/// What uploads of other people's tools are like, which the emulator knows nothing of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// Its description has no checksum.
    WithoutChecksum,
    /// Its description lacks what every other has.
    WithoutGeneration,
    /// It is encrypted with a customer-supplied key: its description has no checksums, and its content is readable only with the key.
    CustomerKey,
    /// It is stored with `Content-Encoding: gzip`: whatever range is asked for, it is sent whole and unpacked.
    Packed,
    /// The same; but its description does not say so.
    PackedInSecret,
}

impl Oddity {
    /// How Cloud Storage describes such an object.
    fn describe(self, object: &mut Value) {
        let Some(members) = object.as_object_mut() else { return };
        match self {
            Self::WithoutChecksum => drop(members.remove("crc32c")),
            Self::WithoutGeneration => drop(members.remove("generation")),
            Self::CustomerKey => {
                members.remove("crc32c");
                members.remove("md5Hash");
                let encryption = serde_json::json!({ "encryptionAlgorithm": "AES256", "keySha256": "c2VjcmV0" });
                members.insert("customerEncryption".into(), encryption);
            }
            Self::Packed => drop(members.insert("contentEncoding".into(), "gzip".into())),
            Self::PackedInSecret => {}
        }
    }
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
        let (http, holds, oddities) = (crate::http_client(), Arc::default(), Arc::default());
        let gate = Self { upstream: upstream.to_owned(), http, holds, oddities, port };
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

    /// From now on uploads whose name ends so are what Cloud Storage makes of such an upload.
    pub fn plays(&self, ending: &str, oddity: Oddity) {
        self.oddities.lock().unwrap().push((ending.to_owned(), oddity));
    }

    fn oddity_of(&self, name: &str) -> Option<Oddity> {
        let oddities = self.oddities.lock().unwrap();
        oddities.iter().find(|(ending, _)| name.ends_with(ending.as_str())).map(|(_, oddity)| *oddity)
    }

    /// Holds nothing any more. What is held already is never answered: its caller is to be dead.
    pub fn release(&self) {
        self.holds.lock().unwrap().clear();
    }

    /// Descriptions of objects, alone or in a listing, with what is odd about some.
    fn described(&self, body: Bytes) -> Bytes {
        if self.oddities.lock().unwrap().is_empty() {
            return body;
        }
        let Ok(mut json) = serde_json::from_slice::<Value>(&body) else { return body };
        let describe = |object: &mut Value| {
            let oddity = object["name"].as_str().and_then(|name| self.oddity_of(name));
            if let Some(oddity) = oddity {
                oddity.describe(object);
            }
        };
        // Not by index, which would add an `items` that is null to what has none.
        match json.get_mut("items").and_then(Value::as_array_mut) {
            Some(items) => items.iter_mut().for_each(describe),
            None => describe(&mut json),
        }
        json.to_string().into()
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
            held.send(name).ok();
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

async fn pass(
    State(gate): State<StorageGate>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    if gate.holds(&uri, &body) {
        // Until the caller is gone.
        return std::future::pending().await;
    }
    // As it came: names are encoded in it.
    let url = format!("http://{}{}", gate.upstream, uri.path_and_query().map_or("/", |path| path.as_str()));
    headers.remove(header::HOST);
    let is_content = uri.query().is_some_and(|query| query.contains("alt=media"));
    let oddity = uri.path().rsplit_once("/o/").and_then(|(_, name)| gate.oddity_of(&name.replace("%2F", "/")));
    match oddity.filter(|_| is_content) {
        Some(Oddity::CustomerKey) => {
            let said = "The target object is encrypted by a customer-supplied encryption key.";
            return (
                StatusCode::BAD_REQUEST,
                serde_json::json!({ "error": { "code": 400, "message": said } }).to_string(),
            )
                .into_response();
        }
        Some(Oddity::Packed | Oddity::PackedInSecret) => drop(headers.remove(header::RANGE)),
        _ => {}
    }
    let method_is_get = method == Method::GET;
    let answer = gate.http.request(method, url).headers(headers).body(body).send().await;
    let Ok(answer) = answer else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    // The connection's, not the answer's.
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    match answer.bytes().await {
        Ok(body) if !is_content && method_is_get && uri.path().contains("/o") => {
            (status, headers, gate.described(body)).into_response()
        }
        Ok(body) => (status, headers, body).into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
