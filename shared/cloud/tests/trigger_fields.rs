//! Every field of a trigger file has an effect on the local bus. `terraform/tests/triggers.tftest.hcl` and `functions.tftest.hcl` show
//! the same fields' effects on Google Cloud; the first test here holds the two lists of fields together.
#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Barrier, mpsc};
use trackdrop_cloud::{
    Content, PutOptions, Storage,
    local::{Bus, BusEvent, LocalCloud},
};
use trackdrop_pipeline::{
    Delivery, Event, Failure, Handler,
    names::{Bucket, ObjectName},
    trigger::Trigger,
};

const BASE: &str = "function: split\non: {event: object.finalized, bucket: uploads}\nconcurrency: 4\ndeadline_s: 300\n\
    retry: {attempts: 3, min_backoff_s: 0, max_backoff_s: 0}\ndead_letter: dead-letters\n";

/// The base with other values.
fn trigger(changes: &[(&str, &str)]) -> Trigger {
    let yaml = changes.iter().fold(BASE.to_owned(), |yaml, (from, to)| {
        assert!(yaml.contains(from), "{from}");
        yaml.replace(from, to)
    });
    Trigger::parse(&yaml).unwrap()
}

/// Sends what it is asked, and answers always the same.
struct Told {
    name: &'static str,
    seen: mpsc::UnboundedSender<(&'static str, Event)>,
    answer: Result<(), &'static str>,
}

#[async_trait]
impl Handler for Told {
    async fn handle(&self, event: &Event, _: &Delivery) -> Result<(), Failure> {
        self.seen.send((self.name, event.clone())).unwrap();
        self.answer.map_err(Failure::transient)
    }
}

async fn put(cloud: &LocalCloud, bucket: Bucket, name: &str) {
    let content = Content::Bytes(Bytes::from_static(b"x"));
    cloud.put(&ObjectName::new(bucket, name), content, PutOptions::default()).await.unwrap();
}

/// The events that the handlers of these names received, until there were `count` of them, after these objects were written.
async fn told(
    triggers: Vec<Trigger>,
    answers: &[(&'static str, Result<(), &'static str>)],
    objects: &[(Bucket, &str)],
    count: usize,
) -> Vec<(&'static str, Event)> {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Arc::new(LocalCloud::open(folder.path(), triggers).unwrap());
    for (bucket, name) in objects {
        put(&cloud, *bucket, name).await;
    }
    let (seen, mut receiver) = mpsc::unbounded_channel();
    let handlers = answers.iter().map(|&(name, answer)| {
        (name.to_owned(), Arc::new(Told { name, seen: seen.clone(), answer }) as Arc<dyn Handler>)
    });
    let bus = Bus::new(cloud, handlers.collect(), 8);
    let mut events = vec![];
    let stop = async {
        while events.len() < count {
            let next = tokio::time::timeout(Duration::from_secs(30), receiver.recv()).await;
            events.push(next.unwrap_or_else(|_| panic!("{} of {count} events came", events.len())).unwrap());
        }
    };
    bus.run(stop, |_| {}).await.unwrap();
    events
}

fn names(events: &[(&'static str, Event)]) -> BTreeSet<(&'static str, String)> {
    let name = |event: &Event| match event {
        Event::ObjectFinalized(finalized) => finalized.object.to_string(),
        other => other.type_name().to_owned(),
    };
    events.iter().map(|(function, event)| (*function, name(event))).collect()
}

/// The fields that there are, by the parser's answer to one that there is not.
fn fields_beside_unknown(json: serde_json::Value) -> BTreeSet<String> {
    let error = serde_json::from_value::<Trigger>(json).unwrap_err().to_string();
    let listed = error.split_once("unknown field `nosuch`, expected ").unwrap_or_else(|| panic!("{error}")).1;
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_local_bus_and_terraform_read_the_same_fields() {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../terraform/modules/triggers/main.tf");
    let module = std::fs::read_to_string(module).unwrap();
    let of_terraform = |group: &str| -> BTreeSet<String> {
        let fields = module.split_once("fields = {").unwrap().1;
        let line = fields.lines().find(|line| line.trim_start().starts_with(group)).unwrap();
        line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let with = |on: serde_json::Value, retry: serde_json::Value| json!({ "function": "f", "on": on, "retry": retry });
    let object = json!({ "event": "object.finalized", "bucket": "work", "nosuch": 1 });
    let message = json!({ "event": "message.published", "topic": "t", "nosuch": 1 });
    assert_eq!(fields_beside_unknown(json!({ "nosuch": 1 })), of_terraform("trigger "));
    let retry =
        fields_beside_unknown(with(json!({ "event": "message.published", "topic": "t" }), json!({ "nosuch": 1 })));
    assert_eq!(retry, of_terraform("retry "));
    let mut on = fields_beside_unknown(with(object, json!({})));
    on.extend(fields_beside_unknown(with(message, json!({}))));
    on.insert("event".to_owned());
    assert_eq!(on, of_terraform("on "));
}

#[tokio::test(flavor = "multi_thread")]
async fn function_chooses_who_is_called() {
    let other = trigger(&[("function: split", "function: merge"), ("bucket: uploads", "bucket: results")]);
    let answers = [("split", Ok(())), ("merge", Ok(()))];
    let events = told(vec![trigger(&[]), other], &answers, &[(Bucket::Uploads, "a"), (Bucket::Results, "b")], 2).await;
    assert_eq!(names(&events), BTreeSet::from([("split", "uploads/a".to_owned()), ("merge", "results/b".to_owned())]));
}

#[tokio::test(flavor = "multi_thread")]
async fn event_bucket_and_prefix_choose_the_objects() {
    let chunks = trigger(&[("function: split", "function: track"), ("bucket: uploads", "bucket: work, prefix: in/")]);
    let objects =
        [(Bucket::Uploads, "in/a"), (Bucket::Work, "in/b"), (Bucket::Work, "out/c"), (Bucket::Results, "in/d")];
    let answers = [("split", Ok(())), ("track", Ok(()))];
    let events = told(vec![trigger(&[]), chunks.clone()], &answers, &objects, 2).await;
    assert_eq!(
        names(&events),
        BTreeSet::from([("split", "uploads/in/a".to_owned()), ("track", "work/in/b".to_owned())])
    );
    // Nor is a message of the others waiting.
    let folder = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::open(folder.path(), vec![trigger(&[]), chunks]).unwrap();
    for (bucket, name) in objects {
        put(&cloud, bucket, name).await;
    }
    let catalog = rusqlite::Connection::open(folder.path().join(".store/catalog.db")).unwrap();
    let queued: i64 = catalog.query_row("SELECT COUNT(*) FROM messages", [], |row| row.get(0)).unwrap();
    assert_eq!(queued, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn ignore_says_which_objects_start_nothing() {
    let ignoring = trigger(&[("bucket: uploads", "bucket: uploads, ignore: [\"*.srt\", \"parts/*\"]")]);
    let objects = [(Bucket::Uploads, "a.srt"), (Bucket::Uploads, "parts/1"), (Bucket::Uploads, "a.mp4")];
    let events = told(vec![ignoring], &[("split", Ok(()))], &objects, 1).await;
    assert_eq!(names(&events), BTreeSet::from([("split", "uploads/a.mp4".to_owned())]));
    assert!(Trigger::parse(&BASE.replace("bucket: uploads", "bucket: uploads, ignore: [\"*\"]")).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_and_dead_letter_name_where_a_delivery_goes_that_no_attempt_took() {
    let listens = |function: &str, topic: &str| {
        let on = format!("message.published, topic: {topic}}}");
        trigger(&[("function: split", &format!("function: {function}")), ("object.finalized, bucket: uploads}", &on)])
    };
    let buried = trigger(&[("dead_letter: dead-letters", "dead_letter: graveyard")]);
    let triggers = vec![buried, listens("fail", "graveyard"), listens("other", "dead-letters")];
    let answers = [("split", Err("busy")), ("fail", Ok(())), ("other", Ok(()))];
    let events = told(triggers, &answers, &[(Bucket::Uploads, "a")], 4).await;
    let told: Vec<_> = events.iter().map(|(function, _)| *function).collect();
    assert_eq!(told, ["split", "split", "split", "fail"]);
    let Event::DeadLetter(letter) = &events[3].1 else { panic!("{events:?}") };
    assert_eq!((letter.function.as_str(), letter.reason.as_str()), ("split", "busy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_is_the_number_of_deliveries() {
    for attempts in [1, 4] {
        let patient = trigger(&[("attempts: 3", &format!("attempts: {attempts}"))]);
        let fail = trigger(&[
            ("function: split", "function: fail"),
            ("object.finalized, bucket: uploads}", "message.published, topic: dead-letters}"),
        ]);
        let answers = [("split", Err("busy")), ("fail", Ok(()))];
        let events = told(vec![patient, fail], &answers, &[(Bucket::Uploads, "a")], attempts + 1).await;
        assert_eq!(events.iter().filter(|(function, _)| *function == "split").count(), attempts);
        assert_eq!(events.last().unwrap().0, "fail");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn min_and_max_backoff_bound_the_wait() {
    // What the bus is about to wait; nobody waits for it here.
    async fn wait(min: &str, max: &str) -> Duration {
        let folder = tempfile::tempdir().unwrap();
        let slow = trigger(&[("min_backoff_s: 0", min), ("max_backoff_s: 0", max)]);
        let cloud = Arc::new(LocalCloud::open(folder.path(), vec![slow]).unwrap());
        put(&cloud, Bucket::Uploads, "a").await;
        let (seen, _kept) = mpsc::unbounded_channel();
        let handler: Arc<dyn Handler> = Arc::new(Told { name: "split", seen, answer: Err("busy") });
        let bus = Bus::new(cloud, BTreeMap::from([("split".to_owned(), handler)]), 8);
        let (said, mut waits) = mpsc::unbounded_channel();
        let mut wait = Duration::ZERO;
        let watch = |event| match event {
            BusEvent::Retrying { wait, .. } => said.send(wait).unwrap(),
            other => panic!("{other:?}"),
        };
        bus.run(async { wait = waits.recv().await.unwrap() }, watch).await.unwrap();
        wait
    }
    // Jitter takes up to half of it away.
    let shortest = wait("min_backoff_s: 1000", "max_backoff_s: 2000").await;
    assert!((500..=1000).contains(&shortest.as_secs()), "{shortest:?}");
    // Twice as long after the second failure, but never longer than the longest.
    let later = |max: &str| {
        trigger(&[("min_backoff_s: 0", "min_backoff_s: 10"), ("max_backoff_s: 0", max)]).retry.backoff(2, 1.0)
    };
    assert_eq!((later("max_backoff_s: 600").as_secs(), later("max_backoff_s: 12").as_secs()), (20, 12));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_is_how_many_are_in_work_at_the_same_time() {
    /// Counts the handlers that run; with a barrier, waits until as many do.
    struct Counted {
        in_work: AtomicUsize,
        most: AtomicUsize,
        together: Option<Barrier>,
        ended: mpsc::UnboundedSender<()>,
    }
    #[async_trait]
    impl Handler for Counted {
        async fn handle(&self, _: &Event, _: &Delivery) -> Result<(), Failure> {
            let now = self.in_work.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            if let Some(together) = &self.together {
                together.wait().await;
            }
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            self.in_work.fetch_sub(1, Ordering::SeqCst);
            self.ended.send(()).unwrap();
            Ok(())
        }
    }
    for concurrency in [1, 3] {
        let folder = tempfile::tempdir().unwrap();
        let some = trigger(&[("concurrency: 4", &format!("concurrency: {concurrency}"))]);
        let cloud = Arc::new(LocalCloud::open(folder.path(), vec![some]).unwrap());
        for name in ["a", "b", "c", "d", "e", "f"] {
            put(&cloud, Bucket::Uploads, name).await;
        }
        let (ended, mut receiver) = mpsc::unbounded_channel();
        // Three at a time, twice: with fewer places it would never get past the barrier.
        let together = (concurrency > 1).then(|| Barrier::new(concurrency));
        let counted = Arc::new(Counted { in_work: AtomicUsize::new(0), most: AtomicUsize::new(0), together, ended });
        let handler: Arc<dyn Handler> = counted.clone();
        let bus = Bus::new(cloud, BTreeMap::from([("split".to_owned(), handler)]), 8);
        let stop = async {
            for _ in 0..6 {
                tokio::time::timeout(Duration::from_secs(30), receiver.recv())
                    .await
                    .expect("they wait for each other")
                    .unwrap();
            }
        };
        let watch = |event| match event {
            BusEvent::Acknowledged { .. } => {}
            trouble => panic!("{trouble:?}"),
        };
        bus.run(stop, watch).await.unwrap();
        assert_eq!(counted.most.load(Ordering::SeqCst), concurrency);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deadline_is_how_long_a_delivery_may_stand_still() {
    struct Still(mpsc::UnboundedSender<()>);
    #[async_trait]
    impl Handler for Still {
        async fn handle(&self, _: &Event, _: &Delivery) -> Result<(), Failure> {
            self.0.send(()).unwrap();
            std::future::pending().await
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let strict = trigger(&[("deadline_s: 300", "deadline_s: 1")]);
    let cloud = Arc::new(LocalCloud::open(folder.path(), vec![strict]).unwrap());
    put(&cloud, Bucket::Uploads, "a").await;
    let (started, mut receiver) = mpsc::unbounded_channel();
    let handler: Arc<dyn Handler> = Arc::new(Still(started));
    let bus = Bus::new(cloud, BTreeMap::from([("split".to_owned(), handler)]), 8);
    let mut reasons = vec![];
    // Started again, because the first attempt was abandoned.
    let stop = async {
        receiver.recv().await.unwrap();
        receiver.recv().await.unwrap();
    };
    bus.run(stop, |event| match event {
        BusEvent::Retrying { reason, .. } => reasons.push(reason),
        other => panic!("{other:?}"),
    })
    .await
    .unwrap();
    assert_eq!(reasons.first().map(String::as_str), Some("no progress for 1 s"));
}
