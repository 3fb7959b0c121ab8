//! The console as a service behind Identity-Aware Proxy, with the rights that Terraform grants it.
//!
//! The proxy is played by keys made here and a server of their public halves: what it signs is let in, and nothing else.

#![allow(clippy::unwrap_used)]

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use trackdrop_e2e::{
    deployment::{Deployment, Finished, Setup},
    gateway::Fault,
    local::clip,
    service::ServiceProcess,
};
use trackdrop_pipeline::{Bucket, RequestId};

const AUDIENCE: &str = "/projects/1/locations/europe-west4/services/trackdrop-console";
const HOST: &str = "trackdrop-console-1.europe-west4.run.app";
const ORIGIN: &str = "https://trackdrop-console-1.europe-west4.run.app";
const MEMBER: &str = "ann@acme.example";
const WITHIN: Duration = Duration::from_secs(120);

/// What plays the proxy: its key.
struct Proxy {
    key: EncodingKey,
    keys_url: String,
}

impl Proxy {
    async fn start() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref().to_vec();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        let jwk = json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one", "x": x, "y": y });
        let keys = json!({ "keys": [jwk] }).to_string();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keys_url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", get(|| async { keys }))).await });
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        Self { key, keys_url }
    }

    /// What the proxy says of a person, with some of it changed.
    fn says(&self, changes: Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": "https://cloud.google.com/iap", "aud": AUDIENCE, "email": MEMBER, "sub": "accounts.google.com:1",
            "iat": now, "exp": now + 600,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let header = Header { kid: Some("one".into()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &self.key).unwrap()
    }
}

/// The console, and a person in front of it.
struct World {
    deployment: Deployment,
    proxy: Proxy,
    console: ServiceProcess,
    http: reqwest::Client,
}

impl World {
    async fn start() -> Option<Self> {
        let deployment = Deployment::start_with(Setup { has_console: true, ..Setup::default() }).await?;
        let proxy = Proxy::start().await;
        let console = deployment
            .console(&[
                ("TRACKDROP_IAP_AUDIENCE", AUDIENCE),
                ("TRACKDROP_IAP_KEYS_URL", &proxy.keys_url),
                ("TRACKDROP_CONSOLE_HOSTS", HOST),
                ("TRACKDROP_CONSOLE_MEMBERS", "user:ann@acme.example,domain:films.example"),
            ])
            .await;
        Some(Self { deployment, proxy, console, http: trackdrop_e2e::http_client() })
    }

    /// A request without what the proxy and the browser add.
    fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://127.0.0.1:{}{path}", self.console.port))
    }

    /// What the page of a member sends.
    fn page(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.bare(method, path).header("host", HOST).header("origin", ORIGIN);
        request.header("x-goog-iap-jwt-assertion", self.proxy.says(json!({})))
    }

    async fn json(&self, path: &str) -> Value {
        told(self.page(Method::GET, path), StatusCode::OK).await
    }

    async fn post(&self, path: &str, body: Value, expected: StatusCode) -> Value {
        told(self.page(Method::POST, path).body(body.to_string()), expected).await
    }

    async fn processed(&self, name: &str) -> RequestId {
        let video = self.deployment.folder.path().join(name);
        clip(&video);
        self.deployment.gateway.begin(Fault::None);
        let settings = json!({ "segment_seconds": 1.0 });
        let request = self.deployment.upload(name, &std::fs::read(&video).unwrap(), Some(&settings)).await;
        assert_eq!(self.deployment.finished(&request).await, Finished { state: "done".into(), error: None });
        self.deployment.gateway.settled(0, WITHIN).await;
        request
    }
}

async fn told(request: RequestBuilder, expected: StatusCode) -> Value {
    let answer = request.send().await.unwrap();
    let (status, body) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, expected, "{body}");
    serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_sees_asks_and_uploads_over_the_services_own_stores() {
    let Some(world) = World::start().await.map(Arc::new) else { return };
    let request = world.processed("people <b>.mp4").await;
    let of = format!("/api/requests/{request}");

    let list = world.json("/api/requests").await;
    let line = &list["requests"][0];
    assert_eq!(
        (&line["video"], &line["state"], &line["frames"]),
        (&json!("people <b>.mp4"), &json!("done"), &json!(100))
    );
    assert!(line["tracks"].as_u64().unwrap() > 0 && !line["cost"].is_null(), "{line}");
    let facts = world.json(&of).await;
    assert_eq!(facts["has"], json!({ "source": true, "annotated": true, "tracks": true, "crops": false }));
    let frames = world.json(&format!("{of}/frames")).await;
    assert_eq!(frames["frame_count"], 100);

    let tracks = world.json(&format!("{of}/tracks")).await;
    let rows: u64 = tracks["rows"].as_array().unwrap().iter().map(|rows| rows.as_u64().unwrap()).sum();
    assert_eq!(Some(rows), facts["summary"]["track_rows"].as_u64());
    let boxes = world.page(Method::GET, &format!("{of}/boxes/0/100")).send().await.unwrap().bytes().await.unwrap();
    let packed = u32::from_le_bytes(boxes[4..8].try_into().unwrap());
    assert_eq!((&boxes[..4], u64::from(packed)), (&b"TDB1"[..], rows));

    // Videos come in ranges, as a player asks for them.
    for which in ["source", "annotated"] {
        let path = format!("{of}/video/{which}");
        let part = world.page(Method::GET, &path).header("range", "bytes=4-7").send().await.unwrap();
        assert_eq!(
            (part.status(), part.headers()["content-type"].to_str().unwrap()),
            (StatusCode::PARTIAL_CONTENT, "video/mp4")
        );
        assert_eq!(&part.bytes().await.unwrap()[..], b"ftyp", "{which}");
        let whole = world.page(Method::GET, &path).send().await.unwrap();
        assert!(
            !whole.headers().contains_key("content-length"),
            "Cloud Run sends no answer of a known length above 32 MiB"
        );
        assert!(whole.bytes().await.unwrap().len() > 10_000);
    }
    let file = world.page(Method::GET, &format!("{of}/files/tracks.parquet")).send().await.unwrap();
    assert_eq!(file.headers()["content-disposition"], "attachment; filename=\"tracks.parquet\"");
    assert!(!file.headers().contains_key("content-length"));
    assert_eq!(&file.bytes().await.unwrap()[..4], b"PAR1");
    let exported = world.page(Method::GET, &format!("{of}/export/csv")).send().await.unwrap();
    assert!(!exported.headers().contains_key("content-length"), "an export may be larger than that, too");
    assert_eq!(exported.text().await.unwrap().lines().count() as u64, rows + 1);
    let still = world.page(Method::GET, &format!("{of}/stills/30.png")).send().await.unwrap();
    assert_eq!(still.status(), StatusCode::OK);
    assert_eq!(&still.bytes().await.unwrap()[1..4], b"PNG");

    a_statement_is_priced_and_then_answered(&world, &request, rows).await;
    questions_about_a_request_are_answered_from_its_file(&world, &request, rows).await;
    its_tracks_are_compared(&world, &request, rows).await;
    lines_count_and_nothing_is_stored_or_changed(&world, &request).await;
    a_browser_shows_it_asks_and_uploads(&world, "people <b>.mp4", rows).await;
    an_upload_resumes_and_starts_its_request(&world).await;
    world.deployment.check_rights("console");
}

async fn a_statement_is_priced_and_then_answered(world: &World, request: &RequestId, rows: u64) {
    let sql = format!("SELECT COUNT(*) AS rows_of, MAX(uploaded_at) AS at FROM tracks WHERE request_id = '{request}'");
    let priced = world.post("/api/ask", json!({ "sql": sql }), StatusCode::OK).await;
    // The emulator bills nothing; that is for a unit test of the price.
    assert_eq!(priced, json!({ "price": { "bytes": 0, "paid_bytes": 0, "usd": 0.0 } }));
    let answer = world.post("/api/ask", json!({ "sql": sql, "agreed_bytes": 0 }), StatusCode::OK).await;
    assert_eq!(answer["rows"][0][0], json!(rows.to_string()));
    assert!(answer["rows"][0][1].as_str().unwrap().starts_with("20"), "a moment as people read it: {answer}");
    assert_eq!(answer["columns"][0], json!({ "name": "rows_of", "type": "INTEGER" }));
    for (sql, said) in [
        ("DELETE FROM tracks WHERE TRUE", "only one SELECT"),
        ("INSERT INTO tracks (request_id) VALUES ('x')", "only one SELECT"),
        ("SELECT 1; SELECT 2", "only one SELECT"),
        ("SELECT nonsense FROM tracks", "nonsense"),
    ] {
        for body in [json!({ "sql": sql }), json!({ "sql": sql, "agreed_bytes": 1 })] {
            let problem = world.post("/api/ask", body, StatusCode::BAD_REQUEST).await;
            assert!(problem["problem"].as_str().unwrap().contains(said), "{sql}: {problem}");
        }
    }
}

async fn questions_about_a_request_are_answered_from_its_file(world: &World, request: &RequestId, rows: u64) {
    let ask = |sql: &str| json!({ "sql": sql, "request": request });
    let answer = world.post("/api/ask", ask("SELECT COUNT(*), ANY_VALUE(video) FROM tracks"), StatusCode::OK).await;
    assert_eq!(answer["rows"][0], json!([rows.to_string(), "people <b>.mp4"]));
    let objects = world.post("/api/ask", ask("SELECT state, track_rows FROM requests"), StatusCode::OK).await;
    assert_eq!(objects["rows"], json!([["done", rows.to_string()]]));
    let problem = world.post("/api/ask", ask("SELECT * FROM read_csv('/etc/passwd')"), StatusCode::BAD_REQUEST).await;
    assert!(problem["problem"].as_str().unwrap().contains("/etc/passwd"), "{problem}");
}

async fn its_tracks_are_compared(world: &World, request: &RequestId, rows: u64) {
    let evaluate = format!("/api/requests/{request}/evaluate");
    let own = world.post(&evaluate, json!({ "truth": { "request": request }, "iou": 0.5 }), StatusCode::OK).await;
    assert_eq!((&own["metrics"]["IDF1"], &own["metrics"]["TP"]), (&json!(100.0), &json!(rows)));
    let file = json!({ "name": "gt.txt", "text": "1,1,9000,0,5,5\n" });
    let other = world.post(&evaluate, json!({ "truth": { "file": file }, "iou": 0.5 }), StatusCode::OK).await;
    assert_eq!((&other["metrics"]["FN"], &other["metrics"]["FP"]), (&json!(1), &json!(rows)));
    for path in ["/api/plan", "/api/retrack-files"] {
        let problem = world.post(path, json!({ "video": "a.mp4" }), StatusCode::SERVICE_UNAVAILABLE).await;
        assert!(problem["problem"].as_str().unwrap().contains("changes nothing else"), "{problem}");
    }
}

async fn lines_count_and_nothing_is_stored_or_changed(world: &World, request: &RequestId) {
    let scene = json!({
        "name": "draft", "videos": ["*"], "picture": { "width_px": 480, "height_px": 360 },
        "lines": [{ "name": "middle", "points": [[240, 0], [240, 360]] }], "zones": [],
    });
    let counts = world.post(&format!("/api/requests/{request}/count"), scene.clone(), StatusCode::OK).await;
    assert!(counts["lines"].is_array(), "{counts}");
    let stored =
        told(world.page(Method::PUT, "/api/scenes/draft").body(scene.to_string()), StatusCode::FORBIDDEN).await;
    assert!(stored["problem"].as_str().unwrap().contains("trackdrop scene add"), "{stored}");
    let kept = told(world.page(Method::DELETE, "/api/scenes/draft"), StatusCode::FORBIDDEN).await;
    assert!(kept["problem"].as_str().unwrap().contains("trackdrop scene remove"), "{kept}");
    for path in ["cancel", "retry", "mend", "retrack"] {
        let body = json!({ "keep": 0, "edits": ["delete 1"] });
        let path = format!("/api/requests/{request}/{path}");
        let problem = world.post(&path, body, StatusCode::SERVICE_UNAVAILABLE).await;
        assert!(problem["problem"].as_str().unwrap().contains("changes nothing else"), "{problem}");
    }
    let path = format!("/api/requests/{request}");
    told(world.page(Method::DELETE, &path), StatusCode::SERVICE_UNAVAILABLE).await;
    let can = world.json("/api/can").await;
    assert_eq!((&can["mend"], &can["work"], &can["sends"]), (&json!(false), &json!(false), &json!("session")));
}

async fn an_upload_resumes_and_starts_its_request(world: &World) {
    let video = world.deployment.folder.path().join("dropped.mp4");
    clip(&video);
    let mut content = std::fs::read(&video).unwrap();
    // A box that nobody reads: pieces but the last have 256 KiB, or a multiple.
    content.extend([&(1u32 << 17).to_be_bytes()[..], b"free", &[0; (1 << 17) - 8]].concat());
    let (first, bytes) = (256 << 10, content.len());
    assert!(bytes > first, "{bytes} bytes can't be sent in two pieces");
    world.deployment.gateway.begin(Fault::None);
    let wishes = json!({ "detect_every": 2, "crops": true });
    let upload = json!({ "name": "dropped.mp4", "bytes": bytes, "wishes": wishes });
    let opened = world.post("/api/sessions", upload.clone(), StatusCode::OK).await;
    let address = opened["address"].as_str().unwrap();
    // As a browser does: it has no other right than the address.
    let put =
        |range: String, body: &[u8]| world.http.put(address).header("content-range", range).body(body.to_vec()).send();
    let piece = put(format!("bytes 0-{}/{bytes}", first - 1), &content[..first]).await.unwrap();
    assert_eq!(piece.status().as_u16(), 308, "{}", piece.text().await.unwrap());
    // How far a session is, is not asked here: the emulator answers that with 200, and Google with 308.
    let last = put(format!("bytes {first}-{}/{bytes}", bytes - 1), &content[first..]).await.unwrap();
    assert!(last.status().is_success(), "{}", last.text().await.unwrap());

    let request = until_listed(world, "dropped.mp4").await;
    assert_eq!(world.deployment.finished(&request).await, Finished { state: "done".into(), error: None });
    world.deployment.gateway.settled(0, WITHIN).await;
    let facts = world.json(&format!("/api/requests/{request}")).await;
    assert_eq!(facts["settings"]["detect_every"], 2);
    assert_eq!(facts["has"]["crops"], true);
    let live = first_of_live(world).await;
    let ended = live["others"].as_array().unwrap().iter().find(|one| one["request_id"] == request.as_str()).unwrap();
    assert_eq!((&ended["state"], &ended["is_over"]), (&json!("done"), &json!(true)), "{ended}");

    let again = world.post("/api/sessions", upload, StatusCode::CONFLICT).await;
    assert!(again["problem"].as_str().unwrap().contains("already"), "{again}");
    for (name, bytes, expected) in [
        ("a/b.mp4", 1, StatusCode::BAD_REQUEST),
        ("empty.mp4", 0, StatusCode::BAD_REQUEST),
        ("large.mp4", u64::MAX, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        world.post("/api/sessions", json!({ "name": name, "bytes": bytes, "wishes": {} }), expected).await;
    }
    let model = json!({ "name": "x.mp4", "bytes": 1, "wishes": { "model": "/etc/passwd" } });
    world.post("/api/sessions", model, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(world.deployment.object(Bucket::Uploads, "x.mp4").await.is_none());
}

/// The request of an upload, when the console lists it.
async fn until_listed(world: &World, video: &str) -> RequestId {
    let listed = async {
        loop {
            let list = world.json("/api/requests").await;
            let found = list["requests"].as_array().unwrap().iter().find(|line| line["video"] == video).cloned();
            if let Some(line) = found {
                return line["request_id"].as_str().unwrap().parse().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, listed).await.unwrap_or_else(|_| panic!("{video} makes no request"))
}

/// The first event of the live stream.
async fn first_of_live(world: &World) -> Value {
    let mut stream = world.page(Method::GET, "/api/live").send().await.unwrap();
    let mut text = String::new();
    while !text.contains("\n\n") {
        text += std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap();
    }
    serde_json::from_str(text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_come_through_the_proxy_as_a_member_is_refused() {
    let Some(world) = World::start().await else { return };
    let asked = |header: Option<String>| {
        let request = world.bare(Method::GET, "/api/requests").header("host", HOST);
        header.into_iter().fold(request, |request, header| request.header("x-goog-iap-jwt-assertion", header))
    };
    let says = |changes: Value| Some(world.proxy.says(changes));
    let stranger = Proxy::start().await;
    for (what, header, status, said) in [
        ("no header", None, 401, "it is missing"),
        ("no token", Some("x".into()), 401, "is not valid"),
        ("a key of another", Some(stranger.says(json!({}))), 401, "InvalidSignature"),
        ("another audience", says(json!({ "aud": "/projects/2/global/backendServices/3" })), 401, "InvalidAudience"),
        ("another issuer", says(json!({ "iss": "https://accounts.google.com" })), 401, "InvalidIssuer"),
        ("an old one", says(json!({ "exp": 1_000_000 })), 401, "ExpiredSignature"),
        ("nobody", says(json!({ "email": null })), 401, "names nobody"),
        ("a stranger", says(json!({ "email": "eve@evil.example" })), 403, "eve@evil.example is not a member"),
    ] {
        let expected = StatusCode::from_u16(status).unwrap();
        let problem = told(asked(header), expected).await;
        assert!(problem["problem"].as_str().unwrap().contains(said), "{what}: {problem}");
    }
    told(asked(says(json!({ "email": "Bob@films.example" }))), StatusCode::OK).await;

    // The door's own checks come first, also for a member.
    let member = || world.proxy.says(json!({}));
    let of_host =
        |host: &str| world.bare(Method::GET, "/").header("host", host).header("x-goog-iap-jwt-assertion", member());
    for host in ["evil.example", "127.0.0.1", &format!("{HOST}.evil.example")] {
        told(of_host(host), StatusCode::FORBIDDEN).await;
    }
    let of_origin = |origin: Option<&str>| {
        let request =
            world.bare(Method::POST, "/api/ask").header("host", HOST).header("x-goog-iap-jwt-assertion", member());
        origin.into_iter().fold(request.body("{}"), |request, origin| request.header("origin", origin))
    };
    for origin in
        [None, Some("https://evil.example"), Some("http://trackdrop-console-1.europe-west4.run.app"), Some("null")]
    {
        told(of_origin(origin), StatusCode::FORBIDDEN).await;
    }
    told(of_origin(Some(ORIGIN)), StatusCode::BAD_REQUEST).await;
    let page = of_host(HOST).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("connect-src 'self' http://127.0.0.1:"),
        "{policy}"
    );
    assert!(page.text().await.unwrap().contains("<title>"));
    // What runs the service asks without anything.
    assert_eq!(world.bare(Method::GET, "/healthz").send().await.unwrap().status(), StatusCode::OK);
}

/// What the proxy does with a member's browser: asks the service in her name, and hands its answers on as they come.
async fn handed_on(world: &World, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut asked = world.bare(parts.method, path).header("host", HOST);
    asked = asked.header("x-goog-iap-jwt-assertion", world.proxy.says(json!({})));
    for (name, value) in &parts.headers {
        match name.as_str() {
            "host" | "connection" | "content-length" => {}
            "origin" => asked = asked.header("origin", ORIGIN),
            _ => asked = asked.header(name, value),
        }
    }
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let answer = asked.body(body).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if !["connection", "transfer-encoding"].contains(&name.as_str()) {
            response = response.header(name, value);
        }
    }
    response.body(Body::from_stream(answer.bytes_stream())).unwrap()
}

/// The Python that has the browser's driver; `scripts/test` makes it.
fn driver() -> Option<PathBuf> {
    let python = std::env::var_os("TRACKDROP_BROWSER_PYTHON").map(PathBuf::from).filter(|python| python.is_file());
    let is_required = std::env::var("TRACKDROP_REQUIRE_BROWSER").is_ok_and(|required| required == "1");
    if python.is_none() {
        assert!(!is_required, "TRACKDROP_BROWSER_PYTHON names no Python with the browser's driver");
        eprintln!(
            "SKIPPED, with nothing tested of the service's page in a browser: TRACKDROP_BROWSER_PYTHON is not set"
        );
    }
    python
}

async fn a_browser_shows_it_asks_and_uploads(world: &Arc<World>, video: &'static str, rows: u64) {
    let Some(python) = driver() else { return };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let front = world.clone();
    let service = Router::new().fallback(move |request: Request| {
        let front = front.clone();
        async move { handed_on(&front, request).await }
    });
    let front = tokio::spawn(async move { axum::serve(listener, service).await });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../console/tests/cloud.py");
    let (folder, rows) = (world.deployment.folder.path().to_owned(), rows.to_string());
    let run = move || Command::new(python).args(["-B", script, &address]).arg(folder).args([video, &rows]).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    front.abort();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    world.deployment.gateway.settled(0, WITHIN).await;
}
