//! `trackdrop dead-letters`: what Pub/Sub gave up after the last attempt, in the subscription that keeps it.
//!
//! On one machine there are none to look through: a delivery that is given up ends its request there and then, and the same `trackdrop run`
//! goes on with it.

use crate::{
    args::{ChosenDeadLettersArguments, DeadLettersCommand, ListDeadLettersArguments},
    google,
    output::line,
};
use anyhow::{Context, bail};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};
use trackdrop_cloud::google::{Buckets, PubSubMessage, Subscription};
use trackdrop_flow::{Cloud, end, manifest, sweep};
use trackdrop_pipeline::{ObjectFinalized, RequestId, RequestState, names::ObjectName};

/// Messages of one call.
const AT_ONCE: usize = 100;
/// Pub/Sub may overlook some: so many calls in a row that bring nothing new are the end.
const EMPTY_CALLS: u32 = 3;
/// How long they stay taken while they are looked through; handed back afterwards.
const LEASE_S: u32 = 600;

pub(crate) async fn dead_letters(command: &DeadLettersCommand) -> anyhow::Result<()> {
    match command {
        DeadLettersCommand::List(arguments) => list(arguments).await,
        DeadLettersCommand::Replay(arguments) => {
            let (cloud, buckets) = google::deployment()?;
            let told = RefCell::default();
            chosen(arguments, async |letter| replay(&cloud, &buckets, letter, &told).await).await
        }
        DeadLettersCommand::Drop(arguments) => chosen(arguments, async |_| Ok("dropped".to_owned())).await,
    }
}

/// Messages that are leased to this process; handed back at the end, but for those that were taken.
struct Taken {
    subscription: Subscription,
    /// By message id.
    letters: BTreeMap<String, PubSubMessage>,
    ack_ids: BTreeMap<String, String>,
}

impl Taken {
    /// Leases all letters, gives them to `look`, and hands back what is left, whatever came of it: what stays leased can't be found by the
    /// next call.
    async fn look_through(name: &str, look: impl AsyncFnOnce(&mut Self) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let emulator = std::env::var("PUBSUB_EMULATOR_HOST").ok().filter(|host| !host.is_empty());
        let subscription = Subscription::new("TRACKDROP_DEAD_LETTERS_SUBSCRIPTION", name, emulator.as_deref())?;
        let mut taken = Self { subscription, letters: BTreeMap::new(), ack_ids: BTreeMap::new() };
        let outcome = match taken.all().await {
            Ok(()) => look(&mut taken).await,
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
    Taken::look_through(&arguments.from.subscription, async |taken| {
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
                line!("{id}  {published}  {stage} gave up after {attempts} attempts: gs://{bucket}/{object}");
            }
        }
        if taken.letters.is_empty() && !arguments.json {
            line!("no dead letters");
        }
        Ok(())
    })
    .await
}

/// Does it with each chosen letter, which is gone then; what fails stays where it was.
async fn chosen(
    arguments: &ChosenDeadLettersArguments,
    act: impl AsyncFn(&PubSubMessage) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    Taken::look_through(&arguments.from.subscription, async |taken| {
        let wanted: BTreeSet<String> = match arguments.all {
            true => taken.letters.keys().cloned().collect(),
            false => arguments.ids.iter().cloned().collect(),
        };
        let mut failed = Vec::new();
        for id in &wanted {
            let outcome = match taken.letters.get(id) {
                Some(letter) => act(letter).await,
                None => Err(anyhow::anyhow!("there is no such dead letter (or another process looks at it)")),
            };
            match outcome {
                Ok(done) => match taken.forget(id).await {
                    Ok(()) => line!("{id}  {done}"),
                    Err(error) => failed.push(format!("{id}: {done}, but the letter is still there: {error:#}")),
                },
                Err(error) => failed.push(format!("{id}: {error:#}")),
            }
        }
        if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("\ntrackdrop: ")) }
    })
    .await
}

/// Lets the request of a letter go on, once for all its letters.
async fn replay(
    cloud: &Cloud,
    buckets: &Buckets,
    letter: &PubSubMessage,
    told: &RefCell<BTreeSet<RequestId>>,
) -> anyhow::Result<String> {
    let event = event_of(cloud, buckets, letter).await?;
    let request = event.request().with_context(|| format!("{} belongs to no request", event.object))?;
    if told.borrow().contains(&request) {
        return Ok(format!("{request} goes on already"));
    }
    let done = replay_request(cloud, &request, &event).await?;
    told.borrow_mut().insert(request);
    Ok(done)
}

async fn replay_request(cloud: &Cloud, request: &RequestId, event: &ObjectFinalized) -> anyhow::Result<String> {
    match manifest::state(cloud, request).await? {
        Some(RequestState::Done) => Ok(format!("{request} is done: there is nothing to do")),
        Some(RequestState::Failed) => {
            end::reopen(cloud, request).await?;
            go_on(cloud, request, event).await
        }
        // A replaying was broken off after it was opened again.
        _ => go_on(cloud, request, event).await,
    }
}

async fn go_on(cloud: &Cloud, request: &RequestId, event: &ObjectFinalized) -> anyhow::Result<String> {
    cloud.warehouse.forget_failure(request).await?;
    let told = match manifest::state(cloud, request).await? {
        // It failed before it was planned: its plan is made anew from the upload.
        None => {
            cloud.publisher.tell_again(event).await?;
            1
        }
        // Not only this letter's event: others of the request were answered while it stood as failed.
        Some(_) => sweep::go_on(cloud, request).await?,
    };
    Ok(format!("{request} goes on: {told} events were told again"))
}

/// What the letter was about.
async fn event_of(cloud: &Cloud, buckets: &Buckets, letter: &PubSubMessage) -> anyhow::Result<ObjectFinalized> {
    let attribute = |name: &'static str| {
        letter.attributes.get(name).with_context(|| format!("it is about no object: it has no attribute {name}"))
    };
    let (bucket, name) = (attribute("bucketId")?, attribute("objectId")?);
    let role = buckets.role_of(bucket).with_context(|| format!("the bucket {bucket:?} is none of ours ({buckets})"))?;
    let object = ObjectName::new(role, name.clone());
    let generation: i64 = attribute("objectGeneration")?.parse().context("objectGeneration is no number")?;
    let info = cloud.find(&object).await?.filter(|info| info.generation == generation);
    let info = info.with_context(|| format!("{object} was deleted or overwritten: there is nothing to go on with"))?;
    Ok(ObjectFinalized { object, generation, created: info.created })
}
