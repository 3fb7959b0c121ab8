//! Loads all rows that wait in a folder of `work` into the warehouse together, by one job instead of many: a window.
//!
//! One conditional write fixes the list of an open window, and only one process can win it. The first list is created
//! only if there is none. A later list is written only if nobody has written since the last window was closed. The
//! warehouse computes the job's id from the list. So the scheduler can call twice, also two processes at the same time.
//! If the process that fixed the list dies, another process finds the open window, and resumes with its list. A window
//! is closed after each of its items has its own marker. No later window includes an item with that marker. So no rows
//! are in two jobs.

use crate::{Cloud, NewObject, blocking::AtOnce};
use async_trait::async_trait;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::task::JoinSet;
use tracing::Instrument;
use trackdrop_cloud::Precondition;
use trackdrop_pipeline::{Delivery, Failure, FailureKind, names::ObjectName};

/// How many items are handled at the same time. Each waits for the store nearly all the time.
pub const AT_ONCE: usize = 64;

/// The items that are loaded together. Empty if no window is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window<T> {
    /// The fixed list. An earlier release called it `files`.
    #[serde(alias = "files")]
    pub items: Vec<T>,
    /// Whether the job with all items was refused, so that each item is loaded separately. This is stored, because some
    /// items can already be loaded when another process resumes.
    #[serde(default)]
    pub is_one_by_one: bool,
}

/// What a window loads, and how.
#[async_trait]
pub trait Gathering: Sync {
    /// The type of the items.
    type Item: Clone + Serialize + DeserializeOwned + Send + Sync;

    /// The object that has the list of the open window.
    fn object(&self) -> ObjectName;

    /// The waiting items that have no marker yet, in a fixed order, and at most as many as one job accepts. The failure
    /// says why other items can't be handled now. They must not delay these.
    async fn gather(&self, cloud: &Cloud, delivery: &Delivery) -> Result<(Vec<Self::Item>, Option<Failure>), Failure>;

    /// Loads a window, and creates the markers of the loaded items. Returns false if the whole job was refused, so that
    /// nothing was loaded.
    async fn load(&self, cloud: &Cloud, window: &Window<Self::Item>, delivery: &Delivery) -> Result<bool, Failure>;
}

/// Resumes the open window, if there is one. Otherwise it loads waiting items, at most one window of them. Returns
/// whether there were any. More can be waiting.
///
/// # Errors
/// Those of the store and the warehouse, and when `delivery` is asked to stop. The next call resumes.
pub async fn load_next<G: Gathering>(cloud: &Cloud, gathering: &G, delivery: &Delivery) -> Result<bool, Failure> {
    delivery.step()?;
    let (open, precondition) = read(cloud, gathering).await?;
    let (window, generation) = match (open, precondition) {
        (Some(window), Precondition::Generation(generation)) => (window, generation),
        _ => {
            // Items are collected after the last window was closed. So what that window loaded is not collected again.
            let (items, failure) = gathering.gather(cloud, delivery).await?;
            if items.is_empty() {
                return failure.map_or(Ok(false), Err);
            }
            let window = Window { items, is_one_by_one: false };
            match write(cloud, gathering, &window, precondition).await? {
                Some(generation) => (window, generation),
                // Another process fixed a list. The next call resumes with it.
                None => return Ok(true),
            }
        }
    };
    let next = match gathering.load(cloud, &window, delivery).await? {
        true => Window { items: vec![], is_one_by_one: false },
        false => Window { is_one_by_one: true, ..window },
    };
    // If a process loses this write, another one did the same work, or wrote a newer list.
    write(cloud, gathering, &next, Precondition::Generation(generation)).await?;
    Ok(true)
}

/// The open window, if there is one, and the condition for the next write.
async fn read<G: Gathering>(cloud: &Cloud, gathering: &G) -> Result<(Option<Window<G::Item>>, Precondition), Failure> {
    let Some((info, window)) = cloud.get_json::<Window<G::Item>>(&gathering.object()).await? else {
        return Ok((None, Precondition::NotExists));
    };
    let open = Some(window).filter(|window| !window.items.is_empty());
    Ok((open, Precondition::Generation(info.generation)))
}

/// Returns the generation; none if another process has written the window.
async fn write<G: Gathering>(
    cloud: &Cloud,
    gathering: &G,
    window: &Window<G::Item>,
    precondition: Precondition,
) -> Result<Option<i64>, Failure> {
    let json = serde_json::to_vec(window)
        .map_err(|error| Failure::permanent(format!("the window can't be written: {error}")))?;
    let new = NewObject::of_bytes(gathering.object(), json, "application/json");
    Ok(cloud.put_if(precondition, new).await?.map(|info| info.generation))
}

/// Processes all items, several at the same time, in any order. All are processed, even if some fail. Returns those
/// that succeeded, and the first transient failure. A permanent failure is only logged, because it must not delay the
/// others forever.
///
/// # Errors
/// The delivery must stop before all items have begun. The items that had begun have ended.
pub async fn all_of<T: Send + 'static>(
    all: Vec<impl Future<Output = Result<T, Failure>> + Send + 'static>,
    delivery: &Delivery,
) -> Result<(Vec<T>, Option<Failure>), Failure> {
    let (mut running, mut done, mut failure) = (JoinSet::new(), Vec::new(), None);
    let mut all = all.into_iter();
    while AtOnce::is_begun()
        && let Some(next) = all.next()
    {
        // In a simulation items are processed one after the other, so that it can be replayed.
        delivery.step()?;
        match next.await {
            Ok(made) => done.push(made),
            Err(error) if error.kind() == FailureKind::Permanent => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let mut asked_to_stop = None;
    loop {
        while running.len() < AT_ONCE
            && asked_to_stop.is_none()
            && let Some(next) = all.next()
        {
            match delivery.step() {
                Ok(()) => drop(running.spawn(next.in_current_span())),
                Err(stop) => asked_to_stop = Some(stop),
            }
        }
        match running.join_next().await {
            None => break,
            Some(Ok(Ok(made))) => done.push(made),
            Some(Ok(Err(error))) if error.kind() == FailureKind::Permanent => {
                tracing::error!(%error, "a request of the window is left out");
            }
            Some(Ok(Err(error))) => failure = failure.or(Some(error)),
            Some(Err(error)) => {
                failure = failure.or(Some(Failure::transient(format!("ended without an answer: {error}"))));
            }
        }
    }
    asked_to_stop.map_or(Ok((done, failure)), Err)
}
