//! Windows: all rows that wait in a folder of `work` are loaded into the warehouse together, by one job instead of many.
//!
//! The list of an open window is frozen by one write that only one can win: create-only at first, and then on the condition that nobody has
//! written since the last window was seen closed. The warehouse makes the job's id from the list. So the scheduler may call twice,
//! also two processes at once. A process that finds a window open, because the one that froze it died, resumes that
//! list. A window is closed after each of its items has a marker of its own, and no later window includes an item that has its marker. So no rows are
//! in two jobs.

use crate::{Cloud, NewObject, blocking::AtOnce};
use async_trait::async_trait;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::task::JoinSet;
use tracing::Instrument;
use trackdrop_cloud::Precondition;
use trackdrop_pipeline::{Delivery, Failure, FailureKind, names::ObjectName};

/// Items that are handled at the same time. Each waits for the store nearly all the time.
pub const AT_ONCE: usize = 64;

/// What is loaded together; empty while no window is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window<T> {
    /// The frozen list; `files` is what an earlier release called it.
    #[serde(alias = "files")]
    pub items: Vec<T>,
    /// Whether the items were refused together, so that each is loaded alone. This is stored because some may already be loaded when another process
    /// resumes.
    #[serde(default)]
    pub is_one_by_one: bool,
}

/// What a window loads, and how.
#[async_trait]
pub trait Gathering: Sync {
    /// What is in the list.
    type Item: Clone + Serialize + DeserializeOwned + Send + Sync;

    /// Holds the list of the open window.
    fn object(&self) -> ObjectName;

    /// What waits and has no marker yet, in a fixed order, at most what one job accepts. The failure says why others can't be handled just now; they
    /// must not delay these.
    async fn gather(&self, cloud: &Cloud, delivery: &Delivery) -> Result<(Vec<Self::Item>, Option<Failure>), Failure>;

    /// Loads a window, and marks the items that are then loaded. Returns false if nothing was loaded because the items were refused together.
    async fn load(&self, cloud: &Cloud, window: &Window<Self::Item>, delivery: &Delivery) -> Result<bool, Failure>;
}

/// Resumes the window that is open, if there is one, or loads what waits, at most one window. Returns whether there was anything; more may be
/// waiting.
///
/// # Errors
/// Those of the store and the warehouse, and when `delivery` is asked to stop. The next call resumes.
pub async fn load_next<G: Gathering>(cloud: &Cloud, gathering: &G, delivery: &Delivery) -> Result<bool, Failure> {
    delivery.step()?;
    let (open, precondition) = read(cloud, gathering).await?;
    let (window, generation) = match (open, precondition) {
        (Some(window), Precondition::Generation(generation)) => (window, generation),
        _ => {
            // Gathered after the last window was seen closed: what that one loaded is not gathered again.
            let (items, failure) = gathering.gather(cloud, delivery).await?;
            if items.is_empty() {
                return failure.map_or(Ok(false), Err);
            }
            let window = Window { items, is_one_by_one: false };
            match write(cloud, gathering, &window, precondition).await? {
                Some(generation) => (window, generation),
                // Another process froze a list: the next call resumes that one.
                None => return Ok(true),
            }
        }
    };
    let next = match gathering.load(cloud, &window, delivery).await? {
        true => Window { items: vec![], is_one_by_one: false },
        false => Window { is_one_by_one: true, ..window },
    };
    // A process that loses this write did the same work, or finds the list as it is by now.
    write(cloud, gathering, &next, Precondition::Generation(generation)).await?;
    Ok(true)
}

/// The open window, if there is one, and what the next writing must find.
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

/// Does all of these, some at the same time, in no order. All are done although some fail. Returns what succeeded, with the first failure that is
/// transient. A permanent failure is logged only: it must not delay the others forever.
///
/// # Errors
/// Where the delivery was asked to stop before all had begun. What had begun has ended.
pub async fn all_of<T: Send + 'static>(
    all: Vec<impl Future<Output = Result<T, Failure>> + Send + 'static>,
    delivery: &Delivery,
) -> Result<(Vec<T>, Option<Failure>), Failure> {
    let (mut running, mut done, mut failure) = (JoinSet::new(), Vec::new(), None);
    let mut all = all.into_iter();
    while AtOnce::is_begun()
        && let Some(next) = all.next()
    {
        // In a simulation one after the other, so that it can be replayed.
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
