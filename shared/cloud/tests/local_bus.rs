//! The bus delivers at least once, retries with backoff, reports what it abandons, and shares the machine fairly.
#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{mpsc, watch};
use trackdrop_cloud::{
    Content, PutOptions, Storage,
    local::{Bus, BusEvent, LocalCloud},
};
use trackdrop_pipeline::{
    Delivery, Event, Failure, Handler, RequestId, SegmentNumber, Timestamp,
    names::{Bucket, ObjectName, PerSegment},
    trigger::Trigger,
};

/// A trigger whose deadline no test reaches, however slow the machine is.
fn trigger(function: &str, on: &str, attempts: u32) -> Trigger {
    Trigger::parse(&format!(
        "function: {function}\non: {on}\nconcurrency: 4\ndeadline_s: 300\n\
         retry: {{attempts: {attempts}, min_backoff_s: 0, max_backoff_s: 0.01}}\ndead_letter: dead-letters\n"
    ))
    .unwrap()
}

const UPLOADS: &str = "{event: object.finalized, bucket: uploads}";
const CHUNKS: &str = "{event: object.finalized, bucket: work, prefix: split_chunks/}";
const DEAD: &str = "{event: message.published, topic: dead-letters}";

/// Answers the nth delivery with what `answer` returns, and reports what it saw.
struct Scripted<F> {
    answer: F,
    seen: mpsc::UnboundedSender<Event>,
    count: Mutex<u32>,
}

#[async_trait]
impl<F: Fn(u32) -> Result<(), Failure> + Send + Sync> Handler for Scripted<F> {
    async fn handle(&self, event: &Event, _: &Delivery) -> Result<(), Failure> {
        let nth = {
            let mut count = self.count.lock().unwrap();
            *count += 1;
            *count
        };
        self.seen.send(event.clone()).unwrap();
        (self.answer)(nth)
    }
}

fn scripted<F>(answer: F) -> (Arc<dyn Handler>, mpsc::UnboundedReceiver<Event>)
where
    F: Fn(u32) -> Result<(), Failure> + Send + Sync + 'static,
{
    let (seen, receiver) = mpsc::unbounded_channel();
    (Arc::new(Scripted { answer, seen, count: Mutex::new(0) }), receiver)
}

async fn put(cloud: &LocalCloud, bucket: Bucket, name: &str) {
    let content = Content::Bytes(Bytes::from_static(b"x"));
    cloud.put(&ObjectName::new(bucket, name), content, PutOptions::default()).await.unwrap();
}

fn object_of(event: &Event) -> String {
    match event {
        Event::ObjectFinalized(finalized) => finalized.object.name.clone(),
        other => panic!("{other:?}"),
    }
}

async fn receive(receiver: &mut mpsc::UnboundedReceiver<Event>) -> Event {
    tokio::time::timeout(Duration::from_secs(30), receiver.recv()).await.unwrap().unwrap()
}

fn pending(folder: &std::path::Path) -> i64 {
    let catalog = rusqlite::Connection::open(folder.join(".store/catalog.db")).unwrap();
    catalog.query_row("SELECT COUNT(*) FROM messages", [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_fails_comes_back_until_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Arc::new(LocalCloud::open(folder.path(), vec![trigger("split", UPLOADS, 5)]).unwrap());
    put(&cloud, Bucket::Uploads, "a").await;
    let (handler, mut seen) = scripted(|nth| match nth {
        1 => Err(Failure::transient("busy")),
        2 => panic!("a bug"),
        _ => Ok(()),
    });
    let bus = Bus::new(cloud.clone(), BTreeMap::from([("split".to_owned(), handler)]), 8);
    let mut retries = vec![];
    let (told, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let stop = async {
        for _ in 0..3 {
            assert_eq!(object_of(&receive(&mut seen).await), "a");
        }
        // Taken at the third attempt, which is published once the message is gone.
        assert_eq!(taken.recv().await.as_deref(), Some("split"));
        assert_eq!(pending(folder.path()), 0);
    };
    bus.run(stop, |event| match event {
        BusEvent::Retrying { reason, .. } => retries.push(reason),
        BusEvent::Acknowledged { function, .. } => told.send(function).unwrap(),
        other => panic!("{other:?}"),
    })
    .await
    .unwrap();
    assert_eq!(retries, ["busy", "the handler panicked: a bug"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_no_attempt_took_becomes_a_dead_letter_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let triggers = vec![trigger("split", UPLOADS, 3), trigger("fail", DEAD, 3)];
    let cloud = Arc::new(LocalCloud::open(folder.path(), triggers).unwrap());
    put(&cloud, Bucket::Uploads, "a").await;
    let (split, mut attempts) = scripted(|nth| Err(Failure::transient(format!("try {nth}"))));
    let (fail, mut letters) = scripted(|_| Ok(()));
    let handlers = BTreeMap::from([("split".to_owned(), split), ("fail".to_owned(), fail)]);
    let bus = Bus::new(cloud, handlers, 8);
    let stop = async {
        let letter = receive(&mut letters).await;
        let Event::DeadLetter(letter) = letter else { panic!("{letter:?}") };
        assert_eq!((letter.function.as_str(), letter.attempts, letter.reason.as_str()), ("split", 3, "try 3"));
        assert_eq!(object_of(&letter.event), "a");
    };
    bus.run(stop, |_| {}).await.unwrap();
    assert_eq!(std::iter::from_fn(|| attempts.try_recv().ok()).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_stalls_loses_its_delivery_and_one_that_advances_keeps_it() {
    /// Works until the other delivery is abandoned. It reports progress or not, as `advances` says.
    struct Slow {
        advances: bool,
        until: watch::Receiver<bool>,
        taken: mpsc::UnboundedSender<bool>,
    }
    #[async_trait]
    impl Handler for Slow {
        async fn handle(&self, _: &Event, delivery: &Delivery) -> Result<(), Failure> {
            while !*self.until.borrow() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if self.advances {
                    delivery.step()?;
                }
            }
            self.taken.send(self.advances).unwrap();
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let soon = |function| Trigger { deadline_s: 1, ..trigger(function, UPLOADS, 1) };
    let triggers = vec![soon("still"), soon("advancing")];
    let cloud = Arc::new(LocalCloud::open(folder.path(), triggers).unwrap());
    put(&cloud, Bucket::Uploads, "a").await;
    let (taken, mut receiver) = mpsc::unbounded_channel();
    let (is_given_up, until) = watch::channel(false);
    let handler =
        |advances| Arc::new(Slow { advances, until: until.clone(), taken: taken.clone() }) as Arc<dyn Handler>;
    let handlers = BTreeMap::from([("still".to_owned(), handler(false)), ("advancing".to_owned(), handler(true))]);
    let bus = Bus::new(cloud.clone(), handlers, 8);
    let mut given_up = vec![];
    let stop = async {
        assert!(receiver.recv().await.unwrap(), "only the one that advances is heard to the end");
        while pending(folder.path()) > 0 {
            tokio::task::yield_now().await;
        }
    };
    bus.run(stop, |event| {
        if let BusEvent::GivenUp { function, reason, .. } = event {
            given_up.push((function, reason));
            is_given_up.send(true).unwrap();
        }
    })
    .await
    .unwrap();
    assert_eq!(given_up, [("still".to_owned(), "no progress for 1 s".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_dead_process_are_handed_out_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let triggers = || vec![trigger("split", UPLOADS, 2)];
    let cloud = Arc::new(LocalCloud::open(folder.path(), triggers()).unwrap());
    put(&cloud, Bucket::Uploads, "a").await;
    // A process leased the message and died: its lock file is there, and nobody holds the lock.
    let catalog = rusqlite::Connection::open(folder.path().join(".store/catalog.db")).unwrap();
    catalog.execute("UPDATE messages SET owner = '99-dead'", []).unwrap();
    std::fs::write(folder.path().join(".store/hosts/99-dead"), "").unwrap();
    let (handler, mut seen) = scripted(|_| Ok(()));
    let bus = Bus::new(cloud, BTreeMap::from([("split".to_owned(), handler)]), 8);
    let stop = async { assert_eq!(object_of(&receive(&mut seen).await), "a") };
    bus.run(stop, |_| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_bus_hands_back_what_it_had() {
    struct UntilCancelled(mpsc::UnboundedSender<()>);
    #[async_trait]
    impl Handler for UntilCancelled {
        async fn handle(&self, _: &Event, delivery: &Delivery) -> Result<(), Failure> {
            self.0.send(()).unwrap();
            loop {
                delivery.step()?;
                tokio::task::yield_now().await;
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let cloud = Arc::new(LocalCloud::open(folder.path(), vec![trigger("split", UPLOADS, 1)]).unwrap());
    put(&cloud, Bucket::Uploads, "a").await;
    for _ in 0..3 {
        let (started, mut receiver) = mpsc::unbounded_channel();
        let handlers = BTreeMap::from([("split".to_owned(), Arc::new(UntilCancelled(started)) as Arc<dyn Handler>)]);
        let bus = Bus::new(cloud.clone(), handlers, 8);
        bus.run(async { receiver.recv().await.unwrap() }, |event| panic!("{event:?}")).await.unwrap();
    }
    let catalog = rusqlite::Connection::open(folder.path().join(".store/catalog.db")).unwrap();
    let waiting: (i64, i64) = catalog
        .query_row("SELECT COUNT(*), SUM(failures) FROM messages WHERE owner IS NULL", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(waiting, (1, 0), "the message waits, and being stopped was no failed attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_take_turns_whatever_their_lengths() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Arc::new(LocalCloud::open(folder.path(), vec![trigger("track", CHUNKS, 1)]).unwrap());
    let request = |n| RequestId::of_upload("uploads", "v", n, Timestamp::from_micros(0));
    let chunk = |id: &RequestId, n| PerSegment::Chunk.object(id, SegmentNumber::new(n).unwrap()).name;
    let (long, short) = (request(1), request(2));
    for n in 0..10 {
        put(&cloud, Bucket::Work, &chunk(&long, n)).await;
    }
    for n in 0..3 {
        put(&cloud, Bucket::Work, &chunk(&short, n)).await;
    }
    let (handler, mut seen) = scripted(|_| Ok(()));
    let bus = Bus::new(cloud, BTreeMap::from([("track".to_owned(), handler)]), 1);
    let mut order = vec![];
    let stop = async {
        for _ in 0..13 {
            order.push(object_of(&receive(&mut seen).await));
        }
    };
    bus.run(stop, |_| {}).await.unwrap();
    let last_of_short = order.iter().rposition(|name| name.contains(short.as_str())).unwrap();
    assert!(last_of_short <= 5, "the short one is not kept waiting for the long one: {order:?}");
    let of_long: Vec<_> = order.iter().filter(|name| name.contains(long.as_str())).cloned().collect();
    assert_eq!(of_long, (0..10).map(|n| chunk(&long, n)).collect::<Vec<_>>(), "oldest first within a request");
}
