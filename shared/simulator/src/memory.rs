//! A cloud in memory: objects with generations, preconditions and notifications, messages, and a warehouse.

use async_trait::async_trait;
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tempfile::TempDir;
use trackdrop_cloud::{
    Content, LoadOutcome, LocalFile, ObjectInfo, Precondition, PublishError, Publisher, PutOptions, Storage,
    StorageError, TracksFile, Warehouse, WarehouseError,
};
use trackdrop_pipeline::{Event, ObjectFinalized, RequestId, RequestState, Timestamp, names::ObjectName};
use trackdrop_tables::requests::RequestRow;

const LONGEST_NAME_BYTES: usize = 1_024;

/// Receives every event, and the topic of a message. It is called in the same step that stores what caused the event, as the notifications of a
/// bucket are.
pub type Notify = Arc<dyn Fn(Event, Option<&str>) + Send + Sync>;

/// All three traits in memory, without any fault.
pub struct MemoryCloud {
    state: Mutex<State>,
    notify: Notify,
    scratch: TempDir,
}

/// The content of a memory cloud.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The live objects and their contents.
    pub objects: BTreeMap<ObjectName, (ObjectInfo, Bytes)>,
    /// How often each name was written.
    pub writes: BTreeMap<ObjectName, u32>,
    /// Load jobs of the table `tracks`. A job with another list of files, or with other generations of them, is another
    /// job, and adds its rows again.
    pub jobs: BTreeSet<Vec<TracksFile>>,
    /// The table `tracks`: what each job added, as the content of `tracks.parquet` that it found.
    pub tracks: Vec<(RequestId, Bytes)>,
    /// The table `requests`. As in a real one, a row with another time is another row.
    pub request_rows: Vec<RequestRow>,
    /// Every message that was published, by topic.
    pub messages: Vec<(String, Event)>,
    /// All ends that were ever recorded. A job is done once, even if its row is removed later.
    recorded: BTreeSet<Vec<(RequestId, Timestamp)>>,
    last_generation: i64,
}

impl fmt::Debug for MemoryCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCloud").finish_non_exhaustive()
    }
}

impl MemoryCloud {
    /// An empty cloud. Only its scratch folder for temporary files is real. It is in memory, too, if the system has
    /// such a place, because a disk would spend most of its time creating and deleting small files.
    ///
    /// # Errors
    /// The scratch folder cannot be made.
    pub fn new(notify: Notify) -> io::Result<Self> {
        let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        Ok(Self { state: Mutex::default(), notify, scratch })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of everything.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// Files that were left in the scratch folder.
    ///
    /// # Errors
    /// The scratch folder cannot be read.
    pub fn files_left(&self) -> io::Result<usize> {
        Ok(std::fs::read_dir(self.scratch.path())?.count())
    }

    /// Writes, if the precondition is met.
    pub(crate) fn write(
        &self,
        object: &ObjectName,
        content: Bytes,
        options: PutOptions,
    ) -> Result<ObjectInfo, StorageError> {
        let bytes = object.name.len();
        if !(1..=LONGEST_NAME_BYTES).contains(&bytes) {
            return Err(StorageError::Name(bytes));
        }
        let mut state = self.lock();
        let live = state.objects.get(object).map(|(info, _)| info.generation);
        let holds = match options.precondition {
            Precondition::None => true,
            Precondition::NotExists => live.is_none(),
            Precondition::Generation(generation) => live == Some(generation),
        };
        if !holds {
            return Err(StorageError::Precondition { object: object.clone(), precondition: options.precondition });
        }
        let created = Timestamp::now();
        let generation = created.micros().max(state.last_generation + 1);
        state.last_generation = generation;
        let info = ObjectInfo {
            object: object.clone(),
            generation,
            created,
            bytes: content.len() as u64,
            crc32c: Some(crc32c::crc32c(&content)),
            metadata: options.metadata,
            obstacle: None,
        };
        state.objects.insert(object.clone(), (info.clone(), content));
        *state.writes.entry(object.clone()).or_default() += 1;
        drop(state);
        let event = ObjectFinalized { object: object.clone(), generation, created };
        (self.notify)(Event::ObjectFinalized(event), None);
        Ok(info)
    }

    pub(crate) fn look_at(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        let state = self.lock();
        let (info, _) = state.objects.get(object).ok_or_else(|| StorageError::NotFound(object.clone()))?;
        Ok(info.clone())
    }

    pub(crate) fn read(&self, object: &ObjectName) -> Result<(ObjectInfo, Bytes), StorageError> {
        self.lock().objects.get(object).cloned().ok_or_else(|| StorageError::NotFound(object.clone()))
    }

    pub(crate) fn copy(
        &self,
        object: &ObjectName,
        generation: Option<i64>,
    ) -> Result<(ObjectInfo, LocalFile), StorageError> {
        let (info, content) = self.read(object)?;
        if generation.is_some_and(|wanted| wanted != info.generation) {
            return Err(StorageError::NotFound(object.clone()));
        }
        let copy = || -> io::Result<_> {
            let mut file = tempfile::NamedTempFile::new_in(self.scratch.path())?;
            file.write_all(&content)?;
            Ok(file.into_temp_path())
        };
        Ok((info, LocalFile::Copied(copy().map_err(|error| unavailable(object, error))?)))
    }

    pub(crate) fn all(&self, prefix: &ObjectName) -> Vec<ObjectInfo> {
        let state = self.lock();
        let from = state.objects.range(prefix.clone()..);
        let inside = from
            .take_while(|(object, _)| object.bucket == prefix.bucket && object.name.starts_with(prefix.name.as_str()));
        inside.map(|(_, (info, _))| info.clone()).collect()
    }

    pub(crate) fn remove(&self, object: &ObjectName) {
        self.lock().objects.remove(object);
    }

    pub(crate) fn send(&self, topic: &str, event: &Event) {
        self.lock().messages.push((topic.to_owned(), event.clone()));
        (self.notify)(event.clone(), Some(topic));
    }

    pub(crate) fn send_again(&self, object: &ObjectFinalized) {
        (self.notify)(Event::ObjectFinalized(object.clone()), None);
    }

    /// Adds the rows of the files as they are now, once for each list of files.
    pub(crate) fn load(&self, files: &[TracksFile]) -> Result<LoadOutcome, WarehouseError> {
        let mut state = self.lock();
        if state.jobs.contains(files) {
            return Ok(LoadOutcome::AlreadyLoaded);
        }
        let mut added = vec![];
        for file in files {
            let Some((_, content)) = state.objects.get(&file.object) else {
                let doing = format!("loading {}", file.object);
                return Err(WarehouseError::Refused { doing, reason: "there is no such object".to_owned() });
            };
            added.push((file.request_id.clone(), content.clone()));
        }
        state.jobs.insert(files.to_vec());
        state.tracks.extend(added);
        Ok(LoadOutcome::Loaded)
    }

    /// As BigQuery does: the same list of ends is the same job, and the rows of another are added.
    pub(crate) fn record(&self, rows: &[RequestRow]) -> LoadOutcome {
        let mut state = self.lock();
        if !state.recorded.insert(rows.iter().map(|row| (row.request_id.clone(), row.finished_at)).collect()) {
            return LoadOutcome::AlreadyLoaded;
        }
        state.request_rows.extend_from_slice(rows);
        LoadOutcome::Loaded
    }
}

fn unavailable(object: &ObjectName, error: io::Error) -> StorageError {
    StorageError::Unavailable { doing: format!("copying {object}"), reason: error.to_string() }
}

/// What is to be written, in memory; a temporary file is consumed.
pub(crate) fn in_memory(object: &ObjectName, content: Content) -> Result<Bytes, StorageError> {
    match content {
        Content::Bytes(bytes) => Ok(bytes),
        Content::File(path) => Ok(std::fs::read(&path).map_err(|error| unavailable(object, error))?.into()),
    }
}

#[async_trait]
impl Storage for MemoryCloud {
    async fn put(
        &self,
        object: &ObjectName,
        content: Content,
        options: PutOptions,
    ) -> Result<ObjectInfo, StorageError> {
        self.write(object, in_memory(object, content)?, options)
    }

    async fn stat(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        self.look_at(object)
    }

    async fn get(&self, object: &ObjectName) -> Result<(ObjectInfo, Bytes), StorageError> {
        self.read(object)
    }

    async fn fetch(
        &self,
        object: &ObjectName,
        generation: Option<i64>,
    ) -> Result<(ObjectInfo, LocalFile), StorageError> {
        self.copy(object, generation)
    }

    async fn list(&self, prefix: &ObjectName) -> Result<Vec<ObjectInfo>, StorageError> {
        Ok(self.all(prefix))
    }

    async fn delete(&self, object: &ObjectName) -> Result<(), StorageError> {
        self.remove(object);
        Ok(())
    }

    fn scratch(&self) -> &Path {
        self.scratch.path()
    }
}

#[async_trait]
impl Publisher for MemoryCloud {
    async fn publish(&self, topic: &str, event: &Event) -> Result<(), PublishError> {
        self.send(topic, event);
        Ok(())
    }

    async fn tell_again(&self, object: &ObjectFinalized) -> Result<(), PublishError> {
        self.send_again(object);
        Ok(())
    }
}

#[async_trait]
impl Warehouse for MemoryCloud {
    async fn load_tracks(&self, files: &[TracksFile]) -> Result<LoadOutcome, WarehouseError> {
        self.load(files)
    }

    async fn record_requests(&self, rows: &[RequestRow]) -> Result<LoadOutcome, WarehouseError> {
        Ok(self.record(rows))
    }

    async fn forget_failure(&self, request: &RequestId, before: Timestamp) -> Result<(), WarehouseError> {
        let stays = |row: &RequestRow| {
            row.request_id != *request || row.finished_at >= before || row.state == RequestState::Done
        };
        self.lock().request_rows.retain(stays);
        Ok(())
    }

    async fn forget_request(&self, request: &RequestId) -> Result<(), WarehouseError> {
        let mut state = self.lock();
        state.request_rows.retain(|row| row.request_id != *request);
        state.tracks.retain(|(of, _)| of != request);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_cloud_in_memory_does_what_every_storage_must() {
        let cloud = MemoryCloud::new(Arc::new(|_, _| {})).unwrap();
        trackdrop_cloud::conformance::check_all(Arc::new(cloud)).await;
    }
}
