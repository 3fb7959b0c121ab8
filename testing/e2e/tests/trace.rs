//! One request is one trace: a tree without a gap, from the upload to its end, across all functions and whatever is delivered again.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use trackdrop_e2e::{
    deployment::{Deployment, say},
    gateway::Fault,
    local::clip,
    service::FUNCTIONS,
};
use trackdrop_otlp_receiver::{Receiver, Span, Trace};
use trackdrop_pipeline::{Bucket, RequestId, Timestamp};

const SETTLES_WITHIN: Duration = Duration::from_secs(120);
/// The uploader has a trace of its own, which continues in the request.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SWEPT_TRACE: &str = "5bf92f3577b34da6a3ce929d0e0e4736";
const WINDOW_TRACE: &str = "6bf92f3577b34da6a3ce929d0e0e4736";
const OUTSIDE: &str = "00f067aa0ba902b7";
/// What `clip` makes: 4 s at 25 frames a second, a key frame every second.
const FRAMES: f64 = 100.0;
const SEGMENTS: usize = 4;

/// Services that export to a receiver.
struct Scene {
    deployment: Deployment,
    receiver: Receiver,
    clip: Vec<u8>,
}

/// What a request left behind.
struct Told {
    request: RequestId,
    trace: Trace,
    /// The trace's id, in hex.
    id: String,
}

impl Scene {
    async fn start() -> Option<Self> {
        let receiver = Receiver::start().await.unwrap();
        let deployment = Deployment::start().await?;
        let video = deployment.folder.path().join("people.mp4");
        clip(&video);
        let clip = std::fs::read(&video).unwrap();
        for function in FUNCTIONS {
            let mut process = deployment.gateway.process(function).await;
            process.set("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint());
        }
        let scene = Self { deployment, receiver, clip };
        scene.services_end_and_start_again().await;
        Some(scene)
    }

    /// Runs a request to its end while something goes wrong, and takes the one trace that there is of it.
    async fn run(&self, fault: Fault, content: &[u8], more: Value, untaken: usize) -> Told {
        self.deployment.gateway.begin(fault);
        let before = self.known();
        let request = self.upload("people.mp4", content, more).await;
        self.deployment.finished(&request).await;
        self.deployment.gateway.settled(untaken, SETTLES_WITHIN).await;
        let mut new = self.new_traces(&before).await;
        let ids: Vec<_> = new.keys().cloned().collect();
        assert_eq!(ids.len(), 1, "a request is one trace: {ids:?}");
        let (id, trace) = new.pop_first().unwrap();
        Told { request, trace, id }
    }

    /// Uploads, with `more` custom metadata.
    async fn upload(&self, name: &str, content: &[u8], more: Value) -> RequestId {
        let mut metadata = json!({ "trackdrop-settings": r#"{"segment_seconds":1.0}"# });
        metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.deployment.upload_with(name, content, metadata).await
    }

    /// The ids of all traces so far.
    fn known(&self) -> BTreeSet<String> {
        self.receiver.traces().into_keys().collect()
    }

    /// The traces that are new since, when every service has sent what it has.
    async fn new_traces(&self, before: &BTreeSet<String>) -> BTreeMap<String, Trace> {
        self.services_end_and_start_again().await;
        let mut new = self.receiver.traces();
        new.retain(|id, _| !before.contains(id));
        new
    }

    /// A service that is asked to stop sends what it has not sent yet.
    async fn services_end_and_start_again(&self) {
        for function in FUNCTIONS {
            let mut process = self.deployment.gateway.process(function).await;
            process.signal("TERM");
            assert!(process.ended().await, "{function} did not end well");
            process.restart().await;
        }
    }

    /// The lines of every service's log so far.
    async fn log_lines(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for function in FUNCTIONS {
            let text = self.deployment.gateway.process(function).await.log_text();
            for line in text.lines() {
                lines.push(serde_json::from_str(line).unwrap_or_else(|error| panic!("{function}: {error}: {line}")));
            }
        }
        lines
    }
}

impl Told {
    /// One tree; below a delivery everything lies within its parent's time. Gives the outermost span.
    fn is_one_tree(&self, scenario: &str) -> Span {
        let root = self.trace.check_one_tree().unwrap_or_else(|error| panic!("{scenario}: {error}")).clone();
        let by_id: BTreeMap<_, _> = self.trace.spans.iter().map(|span| (&span.span_id, span)).collect();
        for span in &self.trace.spans {
            let Some(parent) = span.parent.as_ref().and_then(|parent| by_id.get(parent)) else { continue };
            let is_within = parent.start_ns <= span.start_ns && span.end_ns <= parent.end_ns;
            assert!(is_within || parent.name == "request", "{scenario}: {span:?} is not within {parent:?}");
        }
        say(&format!("{scenario}: one tree of {} spans", self.trace.spans.len()));
        // For people: TRACKDROP_DRAW=1 scripts/e2e trace
        if std::env::var_os("TRACKDROP_DRAW").is_some() {
            say(&self.trace.drawn());
        }
        root
    }

    /// The one trace that names the request, taken out of these.
    fn take(traces: &mut BTreeMap<String, Trace>, request: &RequestId) -> Self {
        let names_it = |trace: &Trace| trace.spans.iter().any(|span| text(span, "request") == request.as_str());
        let ids: Vec<_> = traces.iter().filter(|(_, trace)| names_it(trace)).map(|(id, _)| id.clone()).collect();
        let [id] = &ids[..] else { panic!("{request} is one trace: {ids:?}") };
        Self { request: request.clone(), trace: traces.remove(id).unwrap(), id: id.clone() }
    }

    /// With the uploader's span, which nobody exported here, above the request.
    fn below_the_uploaders_span(&mut self) {
        let request = self.trace.named("request").next().unwrap().clone();
        assert_eq!(request.parent.as_deref(), Some(OUTSIDE));
        self.trace.spans.push(Span {
            span_id: OUTSIDE.into(),
            parent: None,
            name: "outside".into(),
            start_ns: 0,
            end_ns: u64::MAX,
            attributes: BTreeMap::new(),
            links: vec![],
            ..request
        });
    }

    /// Spans of what the clock has done for the request, each caused by the clock's one delivery.
    fn by_clock(&self, name: &'static str, clock: &Span) -> Vec<&Span> {
        let spans: Vec<_> = self.trace.named(name).collect();
        assert!(spans.iter().all(|span| span.links == [clock.span_id.clone()]), "{spans:?}");
        spans
    }

    /// The spans of deliveries, which are named by their function.
    fn deliveries(&self, function: &str) -> Vec<&Span> {
        let is_delivery = |span: &&Span| span.attributes.get("function").map(String::as_str) == Some(function);
        self.trace.spans.iter().filter(is_delivery).collect()
    }

    /// The delivery that a span belongs to.
    fn delivery_of<'a>(&'a self, span: &'a Span) -> &'a Span {
        let mut at = span;
        while !at.attributes.contains_key("function") {
            let parent = at.parent.as_ref().unwrap();
            at = self.trace.spans.iter().find(|span| span.span_id == *parent).unwrap();
        }
        at
    }

    /// The span that recorded the row of the request. Several deliveries may find it over at the same moment; one of them has its row taken.
    fn the_row(&self) -> &Span {
        let loaded: Vec<_> = self.trace.named("record").filter(|span| text(span, "loaded") == "true").collect();
        let [row] = loaded[..] else { panic!("one row of a request: {loaded:?}\n{}", self.trace.drawn()) };
        row
    }

    /// The sum of an attribute over the spans of a name in a function's deliveries.
    fn sum(&self, function: &str, name: &str, attribute: &str) -> f64 {
        let of_function = |span: &&Span| self.delivery_of(span).attributes["function"] == function;
        let spans: Vec<_> = self.trace.named(name).filter(of_function).collect();
        assert!(!spans.is_empty(), "no delivery of {function} has a span {name}:\n{}", self.trace.drawn());
        spans.iter().filter_map(|span| span.number(attribute)).sum()
    }
}

fn text<'a>(span: &'a Span, attribute: &str) -> &'a str {
    span.attributes.get(attribute).map(String::as_str).unwrap_or_default()
}

/// Every part of the work is there, with what went through it.
fn has_the_work(told: &Told, clip_bytes: usize) {
    for (function, name, attribute, expected) in [
        ("split", "index", "frames", FRAMES),
        ("track", "decode", "frames", FRAMES),
        ("track", "inference", "frames", FRAMES),
        // Once for the classes, once for the rows.
        ("merge", "association", "frames", 2.0 * FRAMES),
        ("annotate", "decode", "frames", FRAMES),
        ("annotate", "drawing", "frames", FRAMES),
        ("annotate", "encoding", "frames", FRAMES),
        ("join", "join", "frames", FRAMES),
    ] {
        assert_eq!(told.sum(function, name, attribute), expected, "{function}: {name}:\n{}", told.trace.drawn());
    }
    for (function, name) in [
        ("split", "download"),
        ("split", "cut"),
        ("split", "upload"),
        ("track", "download"),
        ("track", "upload"),
        ("merge", "download"),
        ("merge", "upload"),
        ("load", "load"),
        ("annotate", "download"),
        ("annotate", "encoding"),
        ("annotate", "upload"),
        ("join", "download"),
        ("join", "join"),
        ("join", "upload"),
    ] {
        assert!(told.sum(function, name, "bytes") > 0.0, "{function}: {name} has no bytes");
    }
    // The upload is read where it lies, in ranges, which are one span: `split` reads all of it but what it knows from the index, `join` the sound.
    for (function, share) in [("split", 0.5..1.5), ("join", 0.001..1.5)] {
        let of_upload = |span: &&Span| {
            text(span, "object").starts_with("uploads/") && told.delivery_of(span).attributes["function"] == function
        };
        let spans: Vec<_> = told.trace.named("download").filter(of_upload).collect();
        let [span] = spans[..] else { panic!("{function} has opened the upload once: {spans:?}") };
        let read = span.number("bytes").unwrap() / clip_bytes as f64;
        assert!(share.contains(&read), "{function} has read {read} of the upload: {span:?}");
        assert!(span.number("busy_s").unwrap() > 0.0 && span.number("reads").unwrap() >= 1.0, "{span:?}");
    }
    let is_file = |span: &&Span| span.number("bytes").is_some_and(|bytes| bytes > 0.0);
    let files = told.trace.named("upload").filter(is_file).count();
    assert!(files >= 3 * SEGMENTS, "chunks, detections and annotated segments: {files}");
    let row = told.the_row();
    assert!(["load", "join"].contains(&&*told.delivery_of(row).attributes["function"]), "{row:?}");
    assert!(told.trace.spans.iter().all(|span| !span.failed), "{}", told.trace.drawn());
    // At work for no longer than it was there, but for activities that threads share.
    for span in told.trace.spans.iter().filter(|span| span.attributes.contains_key("busy_s")) {
        let seconds = (span.end_ns - span.start_ns) as f64 / 1e9;
        assert!(span.number("busy_s").unwrap() <= seconds + 0.001, "{span:?}");
    }
}

/// Every delivery but that of the upload names the span that wrote the object which started it.
fn names_its_causes(told: &Told) {
    for function in FUNCTIONS.into_iter().filter(|&function| function != "split") {
        for delivery in told.deliveries(function) {
            let cause =
                delivery.links.iter().find_map(|link| told.trace.spans.iter().find(|span| span.span_id == *link));
            let cause = cause.unwrap_or_else(|| panic!("{delivery:?} names no cause:\n{}", told.trace.drawn()));
            assert_eq!((&*cause.name, text(cause, "object")), ("upload", text(delivery, "object")));
        }
    }
}

/// Lines in Google's format; those of a delivery name its trace, its request and its segment.
async fn is_logged(scene: &Scene, told: &Told) {
    let lines = scene.log_lines().await;
    let member = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    for line in &lines {
        assert!(["DEBUG", "INFO", "WARNING", "ERROR"].contains(&&*member(line, "severity")), "{line}");
        assert!(member(line, "time").parse::<Timestamp>().is_ok() && line["message"].is_string(), "{line}");
    }
    let done: Vec<_> = lines.iter().filter(|line| line["message"] == "delivery done").collect();
    for line in &done {
        assert_eq!(member(line, "request"), told.request.as_str(), "{line}");
        assert_eq!(member(line, "logging.googleapis.com/trace"), format!("projects/demo/traces/{}", told.id), "{line}");
        let function = member(line, "function");
        let span = member(line, "logging.googleapis.com/spanId");
        assert!(told.deliveries(&function).iter().any(|delivery| delivery.span_id == span), "{line}");
    }
    let of = |function: &str| done.iter().filter(|line| line["function"] == function).copied().collect::<Vec<_>>();
    for function in ["track", "annotate"] {
        let segments: BTreeSet<_> = of(function).iter().map(|line| line["segment"].as_u64().unwrap()).collect();
        assert_eq!(segments, (0..SEGMENTS as u64).collect(), "{function}");
        for line in of(function) {
            for number in ["seconds", "frames", "frames_per_second", "video_seconds", "segments_waiting"] {
                assert!(line[number].is_number(), "{number}: {line}");
            }
        }
    }
    for function in ["split", "merge", "load", "join"] {
        assert_eq!(of(function).len(), 1, "{function}");
    }
}

/// Segments waiting, seconds a segment, frames a second.
fn is_measured(scene: &Scene) {
    let metrics = scene.receiver.metrics();
    let metric = |function: &str, name: &str| {
        let key = (format!("trackdrop-{function}"), format!("trackdrop.{name}"));
        *metrics.get(&key).unwrap_or_else(|| panic!("{key:?} was not measured: {metrics:?}"))
    };
    for function in ["track", "annotate"] {
        assert_eq!(metric(function, "segment_seconds"), SEGMENTS as f64, "{function}");
        assert_eq!(metric(function, "frames"), FRAMES, "{function}");
        assert!((metric(function, "video_seconds") - 4.0).abs() < 1e-6, "{function}");
        assert!(metric(function, "frames_per_second") > 0.0, "{function}");
        assert!((0.0..SEGMENTS as f64).contains(&metric(function, "segments_waiting")), "{function}");
    }
    for function in ["split", "merge", "join"] {
        assert!(metric(function, "frames") == FRAMES && metric(function, "segment_seconds") == 1.0, "{function}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_request_is_one_tree_across_all_functions_and_retries() {
    let Some(scene) = Scene::start().await else { return };

    let mut told = scene.run(Fault::None, &scene.clip, uploader(TRACE), 0).await;
    // Read before the next request counts on.
    is_measured(&scene);
    is_logged(&scene, &told).await;
    assert_eq!(told.id, TRACE, "the uploader's trace goes on");
    told.below_the_uploaders_span();
    let request = told.trace.named("request").next().unwrap().clone();
    assert_eq!(told.is_one_tree("nothing goes wrong").name, "outside");
    assert_eq!(
        (text(&request, "request"), request.number("frames"), request.failed),
        (told.request.as_str(), Some(FRAMES), false)
    );
    for (function, deliveries) in
        [("split", 1), ("track", SEGMENTS), ("merge", 1), ("load", 1), ("annotate", SEGMENTS), ("join", 1), ("fail", 0)]
    {
        let all = told.deliveries(function);
        assert_eq!(all.len(), deliveries, "{function}:\n{}", told.trace.drawn());
        assert!(all.iter().all(|span| span.parent.as_ref() == Some(&request.span_id) && !span.failed), "{function}");
        assert!(all.iter().all(|span| span.service == format!("trackdrop-{function}")), "{function}");
    }
    has_the_work(&told, scene.clip.len());
    names_its_causes(&told);

    let told = scene.run(Fault::FirstDeliveryFails, &scene.clip, json!({}), 0).await;
    assert_eq!(told.is_one_tree("every first delivery fails").name, "request");
    let again = FUNCTIONS.into_iter().filter(|function| told.deliveries(function).len() > objects_of(&told, function));
    assert!(again.count() > 0, "no delivery was made again:\n{}", told.trace.drawn());
    names_its_causes(&told);

    let told = scene.run(Fault::SentTwice, &scene.clip, json!({}), 0).await;
    assert_eq!(told.is_one_tree("every event is sent twice").name, "request");
    names_its_causes(&told);

    let told = scene.run(Fault::Dies { function: "track", event: 3 }, &scene.clip, json!({}), 0).await;
    assert_eq!(told.is_one_tree("track is killed in the middle").name, "request");
    assert_eq!(scene.deployment.gateway.count_of("track").killed, 1, "it was in the middle");

    let told = scene.run(Fault::None, b"this is no video", json!({}), 0).await;
    let root = told.is_one_tree("a file that is no video");
    assert!(root.failed && text(&root, "error").contains("video"), "{root:?}");
    assert_eq!((text(&root, "stage"), told.deliveries("split").len()), ("split", 1));

    let told = scene.run(Fault::AlwaysDies { function: "merge" }, &scene.clip, json!({}), 1).await;
    let root = told.is_one_tree("merge dies at every delivery");
    assert!(root.failed && text(&root, "error").contains("abandoned after"), "{root:?}");
    let merge = scene.deployment.gateway.count_of("merge");
    assert!(merge.killed >= 5 && merge.killed == merge.deliveries, "each died in the middle: {merge:?}");
    // No torso of any of them.
    assert_eq!((told.deliveries("merge").len(), told.deliveries("fail").len()), (0, 1), "{}", told.trace.drawn());

    what_the_sweeper_tells_again_goes_on_in_the_uploaders_trace(&scene).await;
    what_the_sweeper_ends_is_ended_in_the_requests_trace(&scene).await;
    what_a_window_loads_is_in_the_trace_of_each_of_its_requests(&scene).await;
}

/// Custom metadata of an upload whose uploader has this trace.
fn uploader(trace: &str) -> Value {
    json!({ "traceparent": format!("00-{trace}-{OUTSIDE}-01") })
}

/// What is left is the clock's own trace, which holds nothing that was done for a request. Gives the clock's delivery.
fn the_clocks(mut traces: BTreeMap<String, Trace>, function: &str) -> (Span, Trace) {
    let (_, trace) = traces.pop_first().unwrap();
    assert!(traces.is_empty(), "more than the clock's trace is left: {traces:?}");
    let root = trace.check_one_tree().unwrap().clone();
    assert_eq!(root.name, function);
    for name in ["request", "publish"] {
        assert_eq!(trace.named(name).count(), 0, "{name}:\n{}", trace.drawn());
    }
    (root, trace)
}

async fn what_the_sweeper_tells_again_goes_on_in_the_uploaders_trace(scene: &Scene) {
    let (deployment, gateway, before) = (&scene.deployment, &scene.deployment.gateway, scene.known());
    gateway.begin(Fault::Lost { function: "merge" });
    let request = scene.upload("people.mp4", &scene.clip, uploader(SWEPT_TRACE)).await;
    deployment.until_listed(Bucket::Work, &format!("tracked/{request}"), 1).await;
    gateway.seen(1 + SEGMENTS + 1, SETTLES_WITHIN).await;
    gateway.settled(0, SETTLES_WITHIN).await;
    gateway.begin(Fault::None);
    assert_eq!(deployment.clock("fail", "trackdrop.requests.sweep").await, 204);
    assert_eq!(deployment.finished(&request).await.state, "done");
    gateway.settled(0, SETTLES_WITHIN).await;

    let mut traces = scene.new_traces(&before).await;
    let mut told = Told::take(&mut traces, &request);
    assert_eq!(told.id, SWEPT_TRACE, "the uploader's trace goes on");
    let (clock, _) = the_clocks(traces, "fail");
    told.below_the_uploaders_span();
    assert_eq!(told.is_one_tree("the sweeper tells a lost event again").name, "outside");
    let [sweep] = told.by_clock("sweep", &clock)[..] else { panic!("{}", told.trace.drawn()) };
    let publish = told.trace.named("publish").filter(|span| span.parent.as_ref() == Some(&sweep.span_id)).count();
    assert_eq!((publish, told.deliveries("merge").len()), (1, 1), "{}", told.trace.drawn());
    names_its_causes(&told);
}

async fn what_the_sweeper_ends_is_ended_in_the_requests_trace(scene: &Scene) {
    let (deployment, gateway, before) = (&scene.deployment, &scene.deployment.gateway, scene.known());
    gateway.begin(Fault::Lost { function: "track" });
    let request = scene.upload("people.mp4", &scene.clip, json!({})).await;
    let chunks = deployment.until_listed(Bucket::Work, &format!("split_chunks/{request}"), SEGMENTS).await;
    gateway.seen(1 + SEGMENTS, SETTLES_WITHIN).await;
    gateway.settled(0, SETTLES_WITHIN).await;
    deployment.delete(Bucket::Work, &chunks[1].0).await;
    gateway.begin(Fault::None);
    assert_eq!(deployment.clock("fail", "trackdrop.requests.sweep").await, 204);
    let finished = deployment.finished(&request).await;
    assert!(finished.error.is_some_and(|error| error.contains("upload the video again")));

    let mut traces = scene.new_traces(&before).await;
    let told = Told::take(&mut traces, &request);
    let (clock, _) = the_clocks(traces, "fail");
    let root = told.is_one_tree("the sweeper ends a request");
    assert!(root.name == "request" && root.failed, "{root:?}");
    let [sweep] = told.by_clock("sweep", &clock)[..] else { panic!("{}", told.trace.drawn()) };
    for name in ["record", "publish"] {
        let [span] = told.trace.named(name).collect::<Vec<_>>()[..] else { panic!("{}", told.trace.drawn()) };
        assert_eq!(span.parent.as_ref(), Some(&sweep.span_id), "{}", told.trace.drawn());
    }
}

async fn what_a_window_loads_is_in_the_trace_of_each_of_its_requests(scene: &Scene) {
    let (deployment, gateway) = (&scene.deployment, &scene.deployment.gateway);
    for function in FUNCTIONS {
        gateway.process(function).await.set("TRACKDROP_LOAD_WINDOW", "1");
    }
    scene.services_end_and_start_again().await;
    let before = scene.known();
    gateway.begin(Fault::None);
    // Without a video, so that the window ends them.
    let settings = json!({ "trackdrop-settings": r#"{"segment_seconds":1.0,"video":false}"# });
    let mut of_uploader = settings.clone();
    of_uploader.as_object_mut().unwrap().extend(uploader(WINDOW_TRACE).as_object().unwrap().clone());
    let one = scene.upload("people.mp4", &scene.clip, of_uploader).await;
    let other = scene.upload("others.mp4", &scene.clip, settings).await;
    deployment.until_listed(Bucket::Work, "loads/waiting/", 2).await;
    gateway.settled(0, SETTLES_WITHIN).await;
    assert_eq!(deployment.clock("load", "trackdrop.load.window").await, 204);
    for request in [&one, &other] {
        assert_eq!(deployment.finished(request).await.state, "done");
    }

    let mut traces = scene.new_traces(&before).await;
    let (mut one, other) = (Told::take(&mut traces, &one), Told::take(&mut traces, &other));
    assert_eq!(one.id, WINDOW_TRACE, "the uploader's trace goes on");
    let (clock, of_clock) = the_clocks(traces, "load");
    // One job of each table for all of them.
    for name in ["load", "record"] {
        let job = of_clock.named(name).filter(|span| span.parent.as_ref() == Some(&clock.span_id));
        assert_eq!(job.count(), 1, "{name}: {}", of_clock.drawn());
    }
    one.below_the_uploaders_span();
    for (told, outermost) in [(&one, "outside"), (&other, "request")] {
        assert_eq!(told.is_one_tree("a window loads two requests").name, outermost);
        // Its rows exist; its end is published.
        let window = told.by_clock("window", &clock);
        assert_eq!(window.len(), 3, "marked, let go, told: {}", told.trace.drawn());
        let [publish] = told.trace.named("publish").collect::<Vec<_>>()[..] else { panic!("{}", told.trace.drawn()) };
        assert!(window.iter().any(|span| publish.parent.as_ref() == Some(&span.span_id)), "{}", told.trace.drawn());
        assert_eq!(told.trace.named("record").count(), 0, "{}", told.trace.drawn());
        assert!(told.trace.spans.iter().all(|span| !span.failed), "{}", told.trace.drawn());
    }
}

/// Objects that a function's deliveries are about.
fn objects_of(told: &Told, function: &str) -> usize {
    told.deliveries(function).iter().map(|span| text(span, "object")).collect::<BTreeSet<_>>().len()
}
