//! The gateway between Pub/Sub and the services, with the faults that a test requests.
//!
//! - A subscription's filter: the emulator takes filters and ignores them, so what no filter would let through is acknowledged here.
//! - Cloud Run's queue: no more requests in a service at the same time than its trigger says, and the others wait; while a service starts, all of
//!   them do. A broken connection is answered with 503.

use crate::{service::ServiceProcess, storage_gate::StorageGate};
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use bytes::Bytes;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    sync::{RwLock, Semaphore},
};
use trackdrop_pipeline::trigger::{EventSource, Trigger};

/// The fault between Pub/Sub and the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The first delivery of every event fails: of every other event before the service sees it, of the rest after it did the work (its answer
    /// is lost).
    FirstDeliveryFails,
    /// Every delivery reaches the service twice, at the same time where it takes two.
    SentTwice,
    /// The function's process is killed when it has done the work of the nth event of the scenario and is about to write what it came to, and
    /// started again.
    Dies {
        /// The function.
        function: &'static str,
        /// Which event, from 1.
        event: usize,
    },
    /// Events of the function are lost: acknowledged, and never seen by the service.
    Lost {
        /// The function.
        function: &'static str,
    },
    /// The function's process is killed so by every delivery.
    AlwaysDies {
        /// The function.
        function: &'static str,
    },
}

/// What came of one event.
#[derive(Clone, Debug, Default)]
struct Seen {
    deliveries: u32,
    /// Deliveries whose handler was killed in the middle of it.
    killed: u32,
    is_taken: bool,
}

/// A service behind its gateway.
#[derive(Debug)]
struct Front {
    trigger: Trigger,
    places: Semaphore,
    process: RwLock<ServiceProcess>,
    storage: StorageGate,
    /// By message id, in the order of arrival.
    seen: Mutex<Vec<(String, Seen)>>,
}

/// All gateways, on one port.
#[derive(Clone, Debug)]
pub struct Gateway {
    fronts: Arc<BTreeMap<String, Front>>,
    /// Roles by the buckets' own names.
    roles: Arc<BTreeMap<String, String>>,
    fault: Arc<Mutex<Fault>>,
    http: reqwest::Client,
    port: u16,
}

#[derive(Deserialize)]
struct Push {
    message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_id: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// Events of a scenario and how often they were delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Events that a trigger takes.
    pub events: usize,
    /// Deliveries of them.
    pub deliveries: u32,
    /// Deliveries whose handler was killed in the middle of it.
    pub killed: u32,
    /// Events that were acknowledged in the end.
    pub taken: usize,
}

impl Gateway {
    /// Listens in front of these services, each with its way to Cloud Storage; `roles` by the buckets' own names.
    pub async fn start(services: Vec<(Trigger, ServiceProcess, StorageGate)>, roles: BTreeMap<String, String>) -> Self {
        let front = |(trigger, process, storage): (Trigger, ServiceProcess, StorageGate)| {
            let places = Semaphore::new(trigger.concurrency as usize);
            let front = Front { places, process: RwLock::new(process), storage, seen: Mutex::default(), trigger };
            (front.trigger.function.clone(), front)
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let gateway = Self {
            fronts: Arc::new(services.into_iter().map(front).collect()),
            roles: Arc::new(roles),
            fault: Arc::new(Mutex::new(Fault::None)),
            http: crate::http_client(),
            port: listener.local_addr().unwrap().port(),
        };
        let router = Router::new().route("/{function}", post(deliver)).with_state(gateway.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        gateway
    }

    /// Where the subscription of a function pushes to.
    pub fn endpoint(&self, function: &str) -> String {
        format!("http://127.0.0.1:{}/{function}", self.port)
    }

    /// Begins a scenario: forgets what was counted.
    pub fn begin(&self, fault: Fault) {
        for front in self.fronts.values() {
            front.seen.lock().unwrap().clear();
        }
        *self.fault.lock().unwrap() = fault;
    }

    /// What was counted since the scenario began.
    pub fn count(&self) -> Count {
        self.fronts.values().fold(Count::default(), |count, front| front.count_on(count))
    }

    /// The count of one function.
    pub fn count_of(&self, function: &str) -> Count {
        self.fronts[function].count_on(Count::default())
    }

    /// Waits until this many events of the scenario have arrived.
    pub async fn seen(&self, events: usize, within: Duration) {
        let until = Instant::now() + within;
        while self.count().events < events {
            assert!(Instant::now() < until, "{events} events: {:?}\n{}", self.count(), self.logs().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until all events of the scenario but `untaken` are acknowledged.
    pub async fn settled(&self, untaken: usize, within: Duration) {
        let until = Instant::now() + within;
        loop {
            let count = self.count();
            if count.events == count.taken + untaken {
                return;
            }
            assert!(Instant::now() < until, "events stay open: {count:?}\n{}", self.logs().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The process of a function, to do something to it while all its deliveries wait.
    pub async fn process(&self, function: &str) -> tokio::sync::RwLockWriteGuard<'_, ServiceProcess> {
        self.fronts[function].process.write().await
    }

    /// What the services logged as warnings and errors.
    pub async fn logs(&self) -> String {
        let mut all = String::new();
        for front in self.fronts.values() {
            let process = front.process.read().await;
            for line in
                process.log_text().lines().filter(|line| line.contains("\"WARNING\"") || line.contains("\"ERROR\""))
            {
                all += &format!("{}: {line}\n", process.function);
            }
        }
        all
    }
}

async fn deliver(State(gateway): State<Gateway>, Path(function): Path<String>, body: Bytes) -> StatusCode {
    let front = &gateway.fronts[&function];
    let push: Push = serde_json::from_slice(&body).unwrap();
    if !gateway.filter(&front.trigger, &push.message) {
        return StatusCode::NO_CONTENT;
    }
    let (event, delivery) = front.note(&push.message.message_id);
    let fault = gateway.fault.lock().unwrap().clone();
    let status = match fault {
        Fault::FirstDeliveryFails if delivery == 1 && event % 2 == 0 => StatusCode::SERVICE_UNAVAILABLE,
        Fault::FirstDeliveryFails if delivery == 1 => {
            gateway.forward(front, &body).await;
            StatusCode::SERVICE_UNAVAILABLE
        }
        Fault::SentTwice => {
            front.note(&push.message.message_id);
            let (one, other) = tokio::join!(gateway.forward(front, &body), gateway.forward(front, &body));
            one.max(other)
        }
        Fault::Dies { function: dies, event: which } if dies == function && which == event && delivery == 1 => {
            gateway.forward_and_kill(front, &push.message, &body).await
        }
        Fault::Lost { function: lost } if lost == function => StatusCode::NO_CONTENT,
        Fault::AlwaysDies { function: dies } if dies == function => {
            gateway.forward_and_kill(front, &push.message, &body).await
        }
        _ => gateway.forward(front, &body).await,
    };
    if status.is_success() {
        front.change(&push.message.message_id, |seen| seen.is_taken = true);
    }
    status
}

impl Front {
    /// Counts a delivery; gives which event of the scenario it is and which delivery of it, both from 1.
    fn note(&self, id: &str) -> (usize, u32) {
        let mut seen = self.seen.lock().unwrap();
        let index = seen.iter().position(|(known, _)| known == id).unwrap_or_else(|| {
            seen.push((id.to_owned(), Seen::default()));
            seen.len() - 1
        });
        seen[index].1.deliveries += 1;
        (index + 1, seen[index].1.deliveries)
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen.lock().unwrap();
        if let Some((_, seen)) = seen.iter_mut().find(|(known, _)| known == id) {
            change(seen);
        }
    }

    fn count_on(&self, mut count: Count) -> Count {
        for (_, seen) in &*self.seen.lock().unwrap() {
            count.events += 1;
            count.deliveries += seen.deliveries;
            count.killed += seen.killed;
            count.taken += usize::from(seen.is_taken);
        }
        count
    }
}

impl Gateway {
    /// The events that the subscription's filter and its topic pass.
    fn filter(&self, trigger: &Trigger, message: &Message) -> bool {
        let EventSource::ObjectFinalized { bucket, prefix, ignore } = &trigger.on else { return true };
        let attribute = |name: &str| message.attributes.get(name).map(String::as_str).unwrap_or_default();
        let name = attribute("objectId");
        // Of what is ignored a filter can say how a name begins, and only so (`terraform/modules/events`).
        let begins = |pattern: &String| {
            let beginning = pattern.strip_suffix('*').filter(|text| text.ends_with('/') && !text.contains('*'));
            beginning.is_some_and(|beginning| name.starts_with(beginning))
        };
        self.roles.get(attribute("bucketId")).map(String::as_str) == Some(bucket.as_str())
            && name.starts_with(prefix)
            && !ignore.patterns().iter().any(begins)
    }

    /// A function's way to Cloud Storage.
    pub fn storage(&self, function: &str) -> &StorageGate {
        &self.fronts[function].storage
    }

    async fn forward(&self, front: &Front, body: &Bytes) -> StatusCode {
        let _place = front.places.acquire().await.unwrap();
        let port = front.process.read().await.port;
        self.send(port, body.clone()).await
    }

    /// The process dies when it is about to write the result of the work on this event, with all its other work in progress. If the handler has
    /// nothing to write, nothing is killed, and the count says so.
    async fn forward_and_kill(&self, front: &Front, message: &Message, body: &Bytes) -> StatusCode {
        let _place = front.places.acquire().await.unwrap();
        let port = front.process.read().await.port;
        let object = message.attributes.get("objectId").map(String::as_str).unwrap_or_default();
        let is_held = front.storage.hold(what_is_made_of(object));
        let (gateway, body) = (self.clone(), body.clone());
        let mut sent = tokio::spawn(async move { gateway.send(port, body).await });
        let is_in_the_middle = tokio::select! {
            status = &mut sent => {
                front.storage.release();
                return status.unwrap();
            }
            held = is_held => held.is_ok(),
        };
        // Otherwise it has died with another event already.
        if is_in_the_middle {
            front.process.write().await.restart().await;
            front.storage.release();
            front.change(&message.message_id, |seen| seen.killed += 1);
        }
        sent.await.unwrap()
    }

    async fn send(&self, port: u16, body: Bytes) -> StatusCode {
        let url = format!("http://127.0.0.1:{port}/");
        let request = self.http.post(url).header("content-type", "application/json").body(body);
        match request.send().await {
            Ok(answer) => answer.status(),
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// What the names of the objects hold that come of one: request and segment, or the request, of `FOLDER/REQUEST/SEGMENT.mkv` and `FOLDER/REQUEST`.
fn what_is_made_of(object: &str) -> &str {
    let within = object.split_once('/').map_or(object, |(_, within)| within);
    within.split_once('.').map_or(within, |(stem, _)| stem)
}
