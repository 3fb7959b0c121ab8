//! `trackdrop dead-letters`: the events whose attempts all failed, in the subscription that stores them.
//!
//! On one machine there are none: a delivery whose attempts all failed ends its request at once, and the same `trackdrop run`
//! resumes it.

use crate::{
    args::{ChosenDeadLettersArguments, DeadLettersCommand, ListDeadLettersArguments},
    google,
    output::line,
};
use anyhow::{Context, bail};
use std::{
    cell::RefCell,
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use trackdrop_cloud::google::{Buckets, PubSubMessage, Subscription, pubsub_from_environment};
use trackdrop_flow::{
    Cloud, end, manifest,
    sweep::{self, Treatment},
};
use trackdrop_pipeline::{ObjectFinalized, RequestId, RequestState, Timestamp, names::ObjectName};

/// Messages of one call.
const AT_ONCE: usize = 100;
/// Pub/Sub may overlook some letters: after this many calls in a row that return nothing new, the search ends.
const EMPTY_CALLS: u32 = 3;
/// How long letters stay leased while they are looked through; they are released afterwards.
const LEASE_S: u32 = 600;
/// How long after a lease it is renewed, before the next letter: one letter may take minutes, because a job of the warehouse takes long.
const RENEW_AFTER: Duration = Duration::from_secs(60);

pub(crate) async fn dead_letters(command: &DeadLettersCommand) -> anyhow::Result<()> {
    match command {
        DeadLettersCommand::List(arguments) => list(arguments).await,
        DeadLettersCommand::Replay(arguments) => {
            let (cloud, buckets) = google::deployment()?;
            let tried = RefCell::default();
            chosen(arguments, async |letter| replay(&cloud, &buckets, letter, &tried).await).await
        }
        DeadLettersCommand::Discard(arguments) => chosen(arguments, async |_| Ok("discarded".to_owned())).await,
    }
}

/// Messages that are leased to this process; released at the end, except those that were acknowledged.
struct Taken {
    subscription: Subscription,
    /// By message id.
    letters: BTreeMap<String, PubSubMessage>,
    ack_ids: BTreeMap<String, String>,
    /// When the first of them was leased for the last time.
    leased_at: Instant,
}

impl Taken {
    /// Leases all dead letters, passes them to `work`, and releases those that are left, also after an error: the next call can't
    /// find leased ones.
    async fn with_all(name: &str, work: impl AsyncFnOnce(&mut Self) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let subscription = Subscription::new("TRACKDROP_DEAD_LETTERS_SUBSCRIPTION", name, pubsub_from_environment()?)?;
        let mut taken =
            Self { subscription, letters: BTreeMap::new(), ack_ids: BTreeMap::new(), leased_at: Instant::now() };
        let outcome = match taken.all().await {
            Ok(()) => work(&mut taken).await,
            Err(error) => Err(error),
        };
        let handed_back = taken.hand_back().await;
        outcome.and(handed_back)
    }

    async fn all(&mut self) -> anyhow::Result<()> {
        let mut empty = 0;
        while empty < EMPTY_CALLS {
            empty += 1;
            let pulled = self.subscription.pull(AT_ONCE).await?;
            let ids: Vec<_> = pulled.iter().map(|leased| leased.ack_id.clone()).collect();
            for leased in pulled {
                let id = leased.message.message_id.clone();
                self.ack_ids.insert(id.clone(), leased.ack_id);
                if self.letters.insert(id, leased.message).is_none() {
                    empty = 0;
                }
            }
            if !ids.is_empty() {
                self.subscription.lease(&ids, LEASE_S).await?;
            }
        }
        Ok(())
    }

    /// Extends the leases of the remaining dead letters, if that is due at `now`.
    async fn renew(&mut self, now: Instant) -> anyhow::Result<()> {
        if now.duration_since(self.leased_at) < RENEW_AFTER {
            return Ok(());
        }
        let ids: Vec<_> = self.ack_ids.values().cloned().collect();
        for ids in ids.chunks(AT_ONCE) {
            self.subscription.lease(ids, LEASE_S).await?;
        }
        self.leased_at = now;
        Ok(())
    }

    async fn forget(&mut self, id: &str) -> anyhow::Result<()> {
        if let Some(ack_id) = self.ack_ids.get(id) {
            self.subscription.acknowledge(std::slice::from_ref(ack_id)).await?;
            self.ack_ids.remove(id);
        }
        Ok(())
    }

    async fn hand_back(self) -> anyhow::Result<()> {
        let ids: Vec<_> = self.ack_ids.into_values().collect();
        let mut outcome = Ok(());
        for ids in ids.chunks(AT_ONCE) {
            outcome = outcome.and(self.subscription.lease(ids, 0).await);
        }
        Ok(outcome?)
    }
}

async fn list(arguments: &ListDeadLettersArguments) -> anyhow::Result<()> {
    Taken::with_all(&arguments.from.subscription, async |taken| {
        for (id, message) in &taken.letters {
            let attribute = |name: &str| message.attributes.get(name).map_or("?", String::as_str);
            let stage = attribute("CloudPubSubDeadLetterSourceSubscription").rsplit('/').next().unwrap_or("?");
            let attempts = attribute("CloudPubSubDeadLetterSourceDeliveryCount");
            let (bucket, object) = (attribute("bucketId"), attribute("objectId"));
            if arguments.json {
                line!(
                    "{}",
                    serde_json::json!({
                        "id": id, "published": message.publish_time, "subscription": stage, "attempts": attempts,
                        "bucket": bucket, "object": object,
                    })
                );
            } else {
                let (published, object) = (&message.publish_time, object.escape_debug());
                line!("{id}  {published}  {stage} failed after {attempts} attempts: gs://{bucket}/{object}");
            }
        }
        if taken.letters.is_empty() && !arguments.json {
            line!("no dead letters");
        }
        Ok(())
    })
    .await
}

/// Handles each chosen dead letter and removes it. If that fails, the dead letter remains.
async fn chosen(
    arguments: &ChosenDeadLettersArguments,
    act: impl AsyncFn(&PubSubMessage) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    Taken::with_all(&arguments.from.subscription, async |taken| {
        let wanted: BTreeSet<String> = match arguments.all {
            true => taken.letters.keys().cloned().collect(),
            false => arguments.ids.iter().cloned().collect(),
        };
        let mut wanted: Vec<_> = wanted.into_iter().collect();
        // The last letters first: a request that is reopened after its last letter is reopened after all of them.
        wanted.sort_by_key(|id| Reverse(taken.letters.get(id).and_then(published)));
        let mut failed = Vec::new();
        for id in &wanted {
            taken.renew(Instant::now()).await?;
            let outcome = match taken.letters.get(id) {
                Some(letter) => act(letter).await,
                None => Err(anyhow::anyhow!("there is no such dead letter (or another process looks at it)")),
            };
            match outcome {
                Ok(done) => match taken.forget(id).await {
                    Ok(()) => line!("{id}  {done}"),
                    Err(error) => failed.push(format!("{id}: {done}, but the dead letter is still there: {error:#}")),
                },
                Err(error) => failed.push(format!("{id}: {error:#}")),
            }
        }
        if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("\ntrackdrop: ")) }
    })
    .await
}

/// Resumes the request of a letter, once for all its letters. If that fails, each of its letters gets the reason.
async fn replay(
    cloud: &Cloud,
    buckets: &Buckets,
    letter: &PubSubMessage,
    tried: &RefCell<BTreeMap<RequestId, Result<(), String>>>,
) -> anyhow::Result<String> {
    let event = event_of(cloud, buckets, letter).await?;
    let request = event.request().with_context(|| format!("{} belongs to no request", event.object))?;
    match tried.borrow().get(&request) {
        Some(Ok(())) => return Ok(format!("{request} is resumed already")),
        Some(Err(reason)) => bail!("{reason}"),
        None => {}
    }
    let outcome = replay_request(cloud, &request, published(letter)).await;
    let kept = outcome.as_ref().map(drop).map_err(|error| format!("{error:#}"));
    tried.borrow_mut().insert(request, kept);
    outcome
}

/// When a letter was published.
fn published(letter: &PubSubMessage) -> Option<Timestamp> {
    letter.publish_time.parse().ok()
}

async fn replay_request(cloud: &Cloud, request: &RequestId, published: Option<Timestamp>) -> anyhow::Result<String> {
    let found = manifest::state_and_round(cloud, request).await?;
    let round = found.and_then(|(_, round)| round);
    match found {
        Some((RequestState::Done, _)) => return Ok(format!("{request} is done: there is nothing to do")),
        Some((RequestState::Failed | RequestState::DoneWithoutVideo, _)) => {}
        // Its rows wait to be loaded, and its annotated video has failed.
        Some(_) if manifest::read(cloud, request).await?.is_some_and(|manifest| manifest.error.is_some()) => {}
        // It was reopened after this letter: for another letter, or by a replay that was interrupted and is repeated.
        Some(_) if round > published => {}
        // The function `fail` gets the same letter. It would end the request after all, and this letter would be gone.
        _ => bail!(
            "{request} has not failed: the function fail, which gets the same dead letter, has not handled it yet, or has completed the missing \
             steps. The dead letter stays: replay it when the request has ended"
        ),
    }
    end::reopen(cloud, request, published).await?;
    // Not only this letter's event: others of the request were answered while its state was failed.
    match sweep::go_on(cloud, request).await? {
        Treatment::ToldAgain(events) => Ok(format!("{request} resumes: {events} events were published again")),
        Treatment::Healed | Treatment::Nothing => Ok(format!("{request} resumes: it waited for no event")),
        Treatment::Failed(reason) => bail!("{request} can't resume and remains failed: {reason}"),
    }
}

/// The event of the dead letter.
async fn event_of(cloud: &Cloud, buckets: &Buckets, letter: &PubSubMessage) -> anyhow::Result<ObjectFinalized> {
    let attribute = |name: &'static str| {
        letter.attributes.get(name).with_context(|| format!("it names no object: it has no attribute {name}"))
    };
    let (bucket, name) = (attribute("bucketId")?, attribute("objectId")?);
    let role = buckets
        .role_of(bucket)
        .with_context(|| format!("the bucket {bucket:?} is not one of this deployment ({buckets})"))?;
    let object = ObjectName::new(role, name.clone());
    let generation: i64 = attribute("objectGeneration")?.parse().context("objectGeneration is no number")?;
    let info = cloud.find(&object).await?.filter(|info| info.generation == generation);
    let info = info.with_context(|| format!("{object} was deleted or overwritten: there is nothing to resume with"))?;
    Ok(ObjectFinalized { object, generation, created: info.created })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, extract::State, routing::post};
    use std::sync::{Arc, Mutex};
    use trackdrop_cloud::google::Api;

    #[tokio::test(flavor = "multi_thread")]
    async fn letters_that_wait_their_turn_are_leased_again_while_others_take_long() {
        let asked: Arc<Mutex<Vec<serde_json::Value>>> = Arc::default();
        let note = async |State(asked): State<Arc<Mutex<Vec<serde_json::Value>>>>, body: String| {
            asked.lock().unwrap().push(serde_json::from_str(&body).unwrap());
            "{}"
        };
        let router = Router::new().route("/v1/{*path}", post(note)).with_state(asked.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });

        let name = "projects/acme/subscriptions/dead-letters";
        let began = Instant::now();
        let ack_ids = (0..=AT_ONCE).map(|letter| (format!("{letter:03}"), format!("ack-{letter:03}"))).collect();
        let subscription = Subscription::new("NAME", name, Api::new("", Some(&host)).unwrap()).unwrap();
        let mut taken = Taken { subscription, letters: BTreeMap::new(), ack_ids, leased_at: began };
        taken.renew(began + RENEW_AFTER / 2).await.unwrap();
        assert!(asked.lock().unwrap().is_empty(), "not due yet");
        taken.ack_ids.remove("000");
        for _ in 0..2 {
            taken.renew(began + RENEW_AFTER).await.unwrap();
        }
        let asked = asked.lock().unwrap();
        let [again] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!(again["ackDeadlineSeconds"], LEASE_S);
        assert_eq!(again["ackIds"].as_array().unwrap().len(), AT_ONCE, "those that are left: {again}");
    }
}
