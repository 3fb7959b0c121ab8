//! The cloud for one attempt of a delivery: slow, with limits and faults, and unavailable after the handler's process died.

use crate::{
    fault::{Budget, Fault},
    flaw::Flaw,
    memory::in_memory,
    world::{TOO_MANY, World},
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};
use trackdrop_cloud::{
    Content, LoadOutcome, LocalFile, ObjectInfo, PublishError, Publisher, PutOptions, Storage, StorageError,
    TracksFile, Warehouse, WarehouseError,
};
use trackdrop_flow::claim;
use trackdrop_pipeline::{
    Event, ObjectFinalized, RequestId, Timestamp,
    names::{self, Bucket, Marker, ObjectName, ResultFile, request_of},
};
use trackdrop_tables::requests::RequestRow;

/// How long a client of the cloud repeats a write if the store answers that writes come too often.
const CLIENT_PATIENCE: Duration = Duration::from_secs(32);
const MANIFEST: &str = "/manifest.json";

/// Whether one attempt is still alive.
#[derive(Debug, Default)]
pub(crate) struct Life {
    dead: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Life {
    pub(crate) fn end(&self) {
        self.dead.store(true, Ordering::Relaxed);
        if let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    pub(crate) fn is_over(&self, waker: &Waker) -> bool {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        self.dead.load(Ordering::Relaxed)
    }
}

/// One attempt of a delivery, and its view of the cloud.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) world: Arc<World>,
    pub(crate) function: String,
    /// Names the attempt: the message, which copy of it, and which attempt.
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) budget: Budget,
    /// The requests for which it works.
    pub(crate) works_for: WorksFor,
    pub(crate) life: Arc<Life>,
    pub(crate) operations: Arc<Operations>,
}

/// Whose objects an attempt may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorksFor {
    /// Those of one request.
    One(RequestId),
    /// Those of every request, because the scheduler started it.
    All,
    /// None.
    Nobody,
}

/// Where requests wait for a window of `load`.
pub(crate) const WAITING: &str = "loads/waiting/";

/// How often an attempt did each of its operations.
#[derive(Debug, Default)]
pub(crate) struct Operations(Mutex<BTreeMap<String, u32>>);

impl Operations {
    fn count(&self, what: &str) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(what) {
            *count += 1;
            return *count;
        }
        counts.insert(what.to_owned(), 1);
        1
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Attempt {
    /// One operation, with everything that can happen to it. `effect` can happen twice. `fail` makes the error of a
    /// fault.
    async fn operation<T, E: fmt::Display>(
        &self,
        what: String,
        mut effect: impl FnMut() -> Result<T, E>,
        fail: impl Fn(&str) -> E,
    ) -> Result<T, E> {
        // It counts operations of the same kind only: a recorded fault finds its place though a handler does something else before.
        let place = match self.operations.count(&what) {
            1 => format!("{}/{what}", self.name),
            nth => format!("{}/{what} ({nth})", self.name),
        };
        let world = &self.world;
        if world.flaw == Some(Flaw::PanicsTheSecondTime) && self.is_second() {
            // A panic without the hook, which would print it.
            std::panic::resume_unwind(Box::new("planted"));
        }
        {
            let mut record = world.record();
            *record.operations.entry(self.function.clone()).or_default() += 1;
            if let Some(places) = &mut record.places {
                places.push(place.clone());
            }
        }
        let mut random = world.fate.random(&place);
        world.executor.sleep(Duration::from_micros(random.u64(300..6_000))).await;
        let fault = world.fate.at_operation(&place, &self.budget);
        let outcome = match fault {
            Some(Fault::ErrorBefore) => Err(fail("503")),
            Some(Fault::CrashBefore) => return self.die(&place).await,
            Some(Fault::CrashAfter) => {
                effect().ok();
                return self.die(&place).await;
            }
            Some(Fault::ErrorAfter) => effect().and(Err(fail("503 after the effect"))),
            Some(Fault::DoneTwice) => {
                effect().ok();
                world.executor.sleep(Duration::from_millis(random.u64(100..3_000))).await;
                effect()
            }
            // Half of the late answers are those of late operations.
            Some(Fault::Delay(ms)) if ms % 2 == 0 => {
                world.executor.sleep(Duration::from_millis(ms)).await;
                effect()
            }
            Some(Fault::Delay(ms)) => {
                let outcome = effect();
                world.executor.sleep(Duration::from_millis(ms)).await;
                outcome
            }
            _ => effect(),
        };
        world.executor.sleep(Duration::from_micros(random.u64(300..6_000))).await;
        let outcome_text = outcome.as_ref().map_or_else(ToString::to_string, |_| "ok".to_owned());
        match fault {
            None => world.log(format_args!("{place}: {outcome_text}")),
            Some(fault) => world.log(format_args!("{place}: {outcome_text} [{fault}]")),
        }
        outcome
    }

    /// The process dies here: nothing after this happens.
    async fn die<T>(&self, place: &str) -> T {
        self.world.log(format_args!("{place}: the process dies"));
        self.life.end();
        std::future::pending().await
    }

    /// Notes and checks a write before it is tried.
    fn about_to_write(&self, object: &ObjectName) {
        let owner = request_of(object);
        // A claim is of an upload, whichever request it makes; and who takes one over ends the request that had it.
        let of_a_claim = object.name.starts_with(claim::PREFIX)
            || [MANIFEST, "/summary.json"].iter().any(|ending| object.name.ends_with(ending))
            || [Marker::Ended.prefix(), names::waiting_ends().name].iter().any(|of| object.name.starts_with(of));
        let is_its_own = match &self.works_for {
            WorksFor::One(_) if of_a_claim && self.name.starts_with("split ") => true,
            WorksFor::One(request) => owner.as_ref() == Some(request),
            WorksFor::All => true,
            WorksFor::Nobody => false,
        };
        if !is_its_own || object.bucket == Bucket::Uploads {
            self.world.broken(format!("{} writes {object}, which is not its request's", self.name));
        }
        // A claim is tried by each delivery: that is to ask, and no work.
        if !object.name.ends_with(MANIFEST) && !object.name.starts_with(claim::PREFIX) {
            self.makes(object.to_string());
        }
    }

    /// One write, without the client's repetitions after the answer that writes come too often.
    pub(crate) async fn put_once(
        &self,
        object: &ObjectName,
        content: &Bytes,
        options: &PutOptions,
    ) -> Result<ObjectInfo, StorageError> {
        let doing = format!("writing {object}");
        self.operation(format!("put {object}"), || self.write(object, content, options), storage_error(doing)).await
    }

    /// Notes that it makes something. A delivery without a fault does this once.
    fn makes(&self, what: impl Into<String>) {
        let key = (self.message.clone(), what.into());
        self.world.record().tries.entry(key).or_default().insert(self.name.clone());
    }

    fn is_second(&self) -> bool {
        self.name.ends_with("/2")
    }

    fn write(&self, object: &ObjectName, content: &Bytes, options: &PutOptions) -> Result<ObjectInfo, StorageError> {
        if let Some(error) = self.world.too_many_writes(object) {
            return Err(error);
        }
        let memory = &self.world.memory;
        let info = match self.world.flaw {
            None => memory.write(object, content.clone(), options.clone())?,
            Some(flaw) => flaw.write(memory, object, content, options, self.is_second())?,
        };
        self.world.wrote(object);
        Ok(info)
    }
}

fn storage_error(doing: String) -> impl Fn(&str) -> StorageError {
    move |reason| StorageError::Unavailable { doing: doing.clone(), reason: reason.to_owned() }
}

#[async_trait]
impl Storage for Attempt {
    /// If the store answers that an object is written too often, a client of the cloud waits and tries again.
    async fn put(
        &self,
        object: &ObjectName,
        content: Content,
        options: PutOptions,
    ) -> Result<ObjectInfo, StorageError> {
        let content = in_memory(object, content)?;
        let object = &self.world.flaw.map_or_else(|| object.clone(), |flaw| flaw.target(object));
        self.about_to_write(object);
        let mut waited = Duration::ZERO;
        loop {
            let outcome = self.put_once(object, &content, &options).await;
            let too_often = matches!(&outcome, Err(StorageError::Unavailable { reason, .. }) if reason == TOO_MANY);
            if !too_often || waited >= CLIENT_PATIENCE {
                return outcome;
            }
            let place = format!("{}/wait {:.6} s for {object}", self.name, waited.as_secs_f64());
            let jitter = self.world.fate.random(&place).f64();
            let wait = (waited + Duration::from_secs(1)).mul_f64(0.5 + 0.5 * jitter);
            waited += wait;
            self.world.executor.sleep(wait).await;
        }
    }

    async fn stat(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        let doing = format!("looking at {object}");
        let is_blind = self.world.flaw == Some(Flaw::DoesNotCheck) && object.name.starts_with("detections/");
        let effect =
            || if is_blind { Err(StorageError::NotFound(object.clone())) } else { self.world.memory.look_at(object) };
        self.operation(format!("stat {object}"), effect, storage_error(doing)).await
    }

    async fn get(&self, object: &ObjectName) -> Result<(ObjectInfo, Bytes), StorageError> {
        let doing = format!("reading {object}");
        let effect = || {
            let (info, content) = self.world.memory.read(object)?;
            let is_window = ["loads/window.json", "loads/ends.json"].contains(&&*object.name);
            let is_forgotten = self.world.flaw == Some(Flaw::ForgetsWindows) && is_window;
            Ok((info, if is_forgotten { Bytes::from_static(br#"{"items":[]}"#) } else { content }))
        };
        self.operation(format!("get {object}"), effect, storage_error(doing)).await
    }

    async fn fetch(
        &self,
        object: &ObjectName,
        generation: Option<i64>,
    ) -> Result<(ObjectInfo, LocalFile), StorageError> {
        let doing = format!("fetching {object}");
        let effect = || match self.world.flaw {
            None => self.world.memory.copy(object, generation),
            Some(flaw) => flaw.fetch(&self.world.memory, object, generation),
        };
        let fetched = self.operation(format!("fetch {object}"), effect, storage_error(doing)).await?;
        if self.world.flaw == Some(Flaw::DeletesChunks) && object.bucket == Bucket::Work {
            self.delete(object).await?;
        }
        Ok(fetched)
    }

    async fn list(&self, prefix: &ObjectName) -> Result<Vec<ObjectInfo>, StorageError> {
        let effect = || match self.world.flaw {
            None => Ok(self.world.memory.all(prefix)),
            Some(flaw) => Ok(flaw.list(&self.world.memory, prefix)),
        };
        self.operation(format!("list {prefix}"), effect, storage_error(format!("listing {prefix}"))).await
    }

    async fn delete(&self, object: &ObjectName) -> Result<(), StorageError> {
        let waits = [WAITING, &names::waiting_ends().name].iter().any(|waiting| object.name.starts_with(waiting));
        if self.works_for != WorksFor::All || !waits {
            self.world.broken(format!("{} deletes {object}", self.name));
        }
        let effect = || {
            self.world.memory.remove(object);
            Ok(())
        };
        self.operation(format!("delete {object}"), effect, storage_error(format!("deleting {object}"))).await
    }

    fn scratch(&self) -> &Path {
        self.world.memory.scratch()
    }
}

#[async_trait]
impl Publisher for Attempt {
    async fn publish(&self, topic: &str, event: &Event) -> Result<(), PublishError> {
        self.makes(format!("a message on {topic}"));
        let told = self.world.flaw.map_or_else(|| Some(event.clone()), |flaw| flaw.message(event));
        let effect = || {
            if let Some(event) = &told {
                self.world.memory.send(topic, event);
            }
            Ok(())
        };
        let fail = |reason: &str| PublishError { topic: topic.to_owned(), reason: reason.to_owned() };
        self.operation(format!("publish on {topic}"), effect, fail).await
    }

    async fn tell_again(&self, object: &ObjectFinalized) -> Result<(), PublishError> {
        let name = object.object.to_string();
        let fail = |reason: &str| PublishError { topic: name.clone(), reason: reason.to_owned() };
        let effect = || {
            self.world.record().told_again.push(object.object.clone());
            if self.world.flaw != Some(Flaw::SweepsInVain) {
                self.world.memory.send_again(object);
            }
            Ok(())
        };
        self.operation(format!("tell again of {name}"), effect, fail).await
    }
}

#[async_trait]
impl Warehouse for Attempt {
    async fn load_tracks(&self, files: &[TracksFile]) -> Result<LoadOutcome, WarehouseError> {
        self.makes("rows");
        let effect = || {
            let mut files = files.to_vec();
            match self.world.flaw {
                // Another job each time.
                Some(Flaw::LoadsAdd) => {
                    files.iter_mut().for_each(|file| file.generation = self.world.executor.now_us())
                }
                Some(Flaw::LoadsNothing) => return Ok(LoadOutcome::Loaded),
                Some(Flaw::LoadsOtherRows) => {
                    files.iter_mut().for_each(|file| file.object = ResultFile::Summary.object(&file.request_id));
                }
                _ => {}
            }
            self.world.memory.load(&files)
        };
        let names: Vec<_> = files.iter().map(|file| file.object.to_string()).collect();
        self.operation(format!("load {}", names.join(", ")), effect, warehouse_error).await
    }

    async fn record_requests(&self, rows: &[RequestRow]) -> Result<LoadOutcome, WarehouseError> {
        let is_second = self.is_second();
        let recorded =
            |row| self.world.flaw.map_or_else(|| Some(RequestRow::clone(row)), |flaw| flaw.row(row, is_second));
        let recorded: Vec<_> = rows.iter().filter_map(recorded).collect();
        let effect = || match recorded[..] {
            [] => Ok(LoadOutcome::Loaded),
            _ => Ok(self.world.memory.record(&recorded)),
        };
        let requests: Vec<_> = rows.iter().map(|row| row.request_id.to_string()).collect();
        self.operation(format!("record {}", requests.join(", ")), effect, warehouse_error).await
    }

    async fn forget_failure(&self, request: &RequestId, _: Timestamp) -> Result<(), WarehouseError> {
        self.world.broken(format!("{} takes back how {request} ended", self.name));
        Ok(())
    }

    async fn forget_request(&self, request: &RequestId) -> Result<(), WarehouseError> {
        self.world.broken(format!("{} deletes the rows of {request}", self.name));
        Ok(())
    }
}

fn warehouse_error(reason: &str) -> WarehouseError {
    WarehouseError::Unavailable { doing: "loading rows".to_owned(), reason: reason.to_owned() }
}
