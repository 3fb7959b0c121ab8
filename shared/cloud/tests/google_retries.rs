//! Calls are made again after 408, 429 and 5xx, and only where a second one has no further effect.
#![cfg(feature = "google")]
#![allow(clippy::unwrap_used)]

#[path = "support/stub.rs"]
#[allow(dead_code, unreachable_pub, missing_docs)]
mod stub;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use stub::Stub;
use trackdrop_cloud::{
    Content, Precondition, Publisher, PutOptions, Storage, StorageError, TOPIC_REQUESTS,
    google::{Buckets, CloudStorage, PubSub, Topics},
};
use trackdrop_pipeline::{Bucket, Event, RequestFinished, RequestState, names::ObjectName};

/// Another attempt may get a better answer.
const MAY_PASS: [u16; 6] = [408, 429, 500, 502, 503, 504];
/// Another attempt gets the same answer.
const STAYS: [u16; 5] = [400, 401, 403, 409, 501];
/// Of the default policy.
const ATTEMPTS: usize = 6;

fn buckets() -> Buckets {
    Buckets { uploads: "u".into(), work: "w".into(), results: "r".into() }
}

fn storage(stub: &Stub) -> CloudStorage {
    CloudStorage::new(stub.api(), buckets()).unwrap()
}

fn object() -> ObjectName {
    ObjectName::new(Bucket::Work, "tracked/x")
}

/// An object as the API describes it.
fn resource(content: &[u8], generation: i64) -> Value {
    json!({ "name": "tracked/x", "generation": generation.to_string(), "timeCreated": "2026-11-23T18:25:01Z",
        "size": content.len().to_string(), "crc32c": STANDARD.encode(crc32c::crc32c(content).to_be_bytes()) })
}

async fn put(storage: &CloudStorage, precondition: Precondition) -> Result<i64, StorageError> {
    let options = PutOptions { precondition, ..PutOptions::default() };
    storage.put(&object(), Content::Bytes("four".into()), options).await.map(|info| info.generation)
}

fn finished() -> Event {
    Event::RequestFinished(RequestFinished {
        request_id: "req_0aZ9bY8c_20261123T182501".parse().unwrap(),
        state: RequestState::Done,
        error: None,
    })
}

#[tokio::test]
async fn calls_without_another_effect_are_made_again_when_the_answer_may_pass() {
    let stub = Stub::start().await;
    let storage = storage(&stub);
    for status in MAY_PASS {
        stub.will(status, "").will(status, "").will(200, resource(b"four", 7));
        assert_eq!(storage.stat(&object()).await.unwrap().generation, 7, "{status}");

        stub.will(status, "").will(200, resource(b"four", 7)).will(status, "").will(200, "four");
        assert_eq!(storage.get(&object()).await.unwrap().1, "four", "{status}");

        stub.will(status, "").will(200, json!({ "items": [resource(b"four", 7)] }));
        assert_eq!(storage.list(&object()).await.unwrap().len(), 1, "{status}");

        for precondition in [Precondition::NotExists, Precondition::Generation(6)] {
            stub.will(status, "").will(200, resource(b"four", 7));
            assert_eq!(put(&storage, precondition).await.unwrap(), 7, "{status}");
        }
        stub.asked();

        // A deletion says which generation it means, so that a second one can't meet what was written after the first.
        stub.will(200, resource(b"four", 7)).will(status, "").will(204, "");
        storage.delete(&object()).await.unwrap();
        let queries: Vec<_> = stub.asked()[1..].iter().map(|asked| asked.uri.query().unwrap().to_owned()).collect();
        assert_eq!(queries, ["ifGenerationMatch=7", "ifGenerationMatch=7"], "{status}");
    }
}

#[tokio::test]
async fn a_write_that_a_second_one_would_double_is_made_once_whatever_the_answer() {
    let stub = Stub::start().await;
    let storage = storage(&stub);
    for status in MAY_PASS {
        stub.will(status, "busy");
        let error = put(&storage, Precondition::None).await.unwrap_err();
        assert!(matches!(&error, StorageError::Unavailable { reason, .. } if reason.contains("busy")), "{error}");
        assert_eq!(stub.asked().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_stays_is_taken_at_once_and_a_busy_service_is_given_up_in_the_end() {
    let stub = Stub::start().await;
    let storage = storage(&stub);
    for status in STAYS {
        stub.will(status, "").will(status, "");
        assert!(storage.stat(&object()).await.is_err());
        assert!(put(&storage, Precondition::NotExists).await.is_err());
        assert_eq!(stub.asked().len(), 2, "{status}");
    }
    for _ in 0..ATTEMPTS {
        stub.will(503, r#"{"error":{"message":"come back later"}}"#);
    }
    let error = storage.stat(&object()).await.unwrap_err();
    assert!(error.to_string().contains("HTTP 503: come back later"), "{error}");
    assert_eq!(stub.asked().len(), ATTEMPTS);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_recognised_and_another_writers_write_is_not() {
    let stub = Stub::start().await;
    let storage = storage(&stub);
    stub.will(503, "").will(412, "").will(200, resource(b"four", 7));
    assert_eq!(put(&storage, Precondition::NotExists).await.unwrap(), 7);
    stub.will(503, "").will(412, "").will(200, resource(b"five!", 7));
    assert!(put(&storage, Precondition::NotExists).await.unwrap_err().is_precondition());
    // The first attempt was answered: somebody was before, even with the same content.
    stub.will(412, "").will(200, resource(b"four", 7));
    assert!(put(&storage, Precondition::NotExists).await.unwrap_err().is_precondition());
    stub.asked();
}

#[tokio::test]
async fn an_object_that_is_overwritten_while_it_is_deleted_is_deleted_as_it_is_then() {
    let stub = Stub::start().await;
    stub.will(200, resource(b"four", 7)).will(412, "").will(200, resource(b"five!", 8)).will(204, "");
    storage(&stub).delete(&object()).await.unwrap();
    assert_eq!(stub.asked()[3].uri.query(), Some("ifGenerationMatch=8"));
    stub.will(404, "");
    storage(&stub).delete(&object()).await.unwrap();
    stub.asked();
}

/// Uploads 8 MiB and 5 bytes in a session, on this condition.
async fn upload(stub: &Stub, precondition: Precondition) -> Result<i64, StorageError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), large()).unwrap();
    let options = PutOptions { precondition, ..PutOptions::default() };
    let storage = storage(stub).with_resumable_from(1);
    storage.put(&object(), Content::File(file.into_temp_path()), options).await.map(|info| info.generation)
}

fn large() -> Vec<u8> {
    vec![7; (8 << 20) + 5]
}

impl Stub {
    fn will_begin(&self) -> &Self {
        self.will_with(200, &[("location", &format!("http://{}/session", self.api_host()))], "")
    }

    fn has(&self, bytes: usize) -> &Self {
        self.will_with(308, &[("range", &format!("bytes=0-{}", bytes - 1))], "")
    }
}

/// Bytes and `Content-Range` of what was sent into the session.
fn sent(stub: &Stub) -> Vec<(usize, String)> {
    let asked = stub.asked().into_iter().filter(|asked| asked.uri.path() == "/session");
    asked.map(|asked| (asked.body.len(), asked.headers["content-range"].to_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn a_resumable_upload_resumes_where_the_service_says_it_is() {
    let stub = Stub::start().await;
    let first = (8 << 20, "bytes 0-8388607/8388613".to_owned());
    let last = (5, "bytes 8388608-8388612/8388613".to_owned());
    let question = (0, "bytes */8388613".to_owned());
    stub.will(503, "").will_begin();
    // The first piece arrives, the answer to the second is lost; the service is asked, and has it all.
    stub.has(8 << 20).will(503, "").will(200, resource(&large(), 9));
    assert_eq!(upload(&stub, Precondition::NotExists).await.unwrap(), 9);
    assert_eq!(sent(&stub), [first.clone(), last.clone(), question.clone()]);
    // Nothing of the first piece arrives, and the answer has no range then; the question fails, too.
    stub.will_begin().will(503, "").will(503, "").will(308, "").has(8 << 20).will(200, resource(&large(), 9));
    assert_eq!(upload(&stub, Precondition::NotExists).await.unwrap(), 9);
    assert_eq!(sent(&stub), [first.clone(), question.clone(), question.clone(), first.clone(), last.clone()]);
    // It has all and has not said what became of it: nothing is left to send.
    stub.will_begin().has(8 << 20).has((8 << 20) + 5).will(200, resource(&large(), 9));
    assert_eq!(upload(&stub, Precondition::NotExists).await.unwrap(), 9);
    assert_eq!(sent(&stub), [first, last, question]);
}

#[tokio::test]
async fn a_resumable_upload_asks_for_its_precondition_and_heeds_it() {
    let stub = Stub::start().await;
    for (precondition, query) in [
        (Precondition::NotExists, Some("ifGenerationMatch=0")),
        (Precondition::Generation(6), Some("ifGenerationMatch=6")),
        (Precondition::None, None),
    ] {
        stub.will_begin().has(8 << 20).will(200, resource(&large(), 9));
        assert_eq!(upload(&stub, precondition).await.unwrap(), 9);
        let begun = stub.asked().remove(0).uri;
        let begun: Vec<_> = begun.query().unwrap().split('&').collect();
        assert!(begun.contains(&"uploadType=resumable"), "{begun:?}");
        assert_eq!(begun.iter().copied().find(|pair| pair.starts_with("ifGeneration")), query);
    }
    // At the beginning, and only at the end: somebody was before, even with the same content.
    stub.will(412, "").will(200, resource(&large(), 7));
    assert!(upload(&stub, Precondition::NotExists).await.unwrap_err().is_precondition());
    stub.will_begin().has(8 << 20).will(412, "").will(200, resource(&large(), 7));
    assert!(upload(&stub, Precondition::NotExists).await.unwrap_err().is_precondition());
    stub.asked();
}

#[tokio::test]
async fn an_upload_whose_session_is_lost_restarts_once_if_that_can_double_nothing() {
    let stub = Stub::start().await;
    for status in [404, 410] {
        stub.will_begin().has(8 << 20).will(status, "").will_begin().has(8 << 20).will(200, resource(&large(), 9));
        assert_eq!(upload(&stub, Precondition::NotExists).await.unwrap(), 9);
        stub.asked();
        // It had been complete: the stored object is what was sent.
        stub.will_begin().has(8 << 20).will(status, "").will_begin().has(8 << 20).will(412, "");
        stub.will(200, resource(&large(), 7));
        assert_eq!(upload(&stub, Precondition::NotExists).await.unwrap(), 7);
        stub.asked();
        stub.will_begin().will(status, "").will_begin().will(status, "");
        assert!(upload(&stub, Precondition::NotExists).await.is_err());
        stub.will_begin().will(status, "");
        assert!(upload(&stub, Precondition::None).await.is_err());
        stub.asked();
    }
}

#[tokio::test]
async fn a_message_is_published_again_with_the_same_id_and_only_where_the_answer_may_pass() {
    let stub = Stub::start().await;
    let topics = Topics { requests: "projects/p/topics/requests".into(), objects: [].into() };
    let publisher = PubSub::new(stub.api(), topics, buckets());
    for status in MAY_PASS {
        stub.will(status, "").will(200, r#"{"messageIds":["1"]}"#);
        publisher.publish(TOPIC_REQUESTS, &finished()).await.unwrap();
        let asked = stub.asked();
        assert_eq!(asked.len(), 2, "{status}");
        assert_eq!(asked[0].body, asked[1].body, "receivers know a repetition by its id");
    }
    for status in STAYS {
        stub.will(status, "");
        assert!(publisher.publish(TOPIC_REQUESTS, &finished()).await.is_err());
        assert_eq!(stub.asked().len(), 1, "{status}");
    }
}
