//! The events that functions receive: an event in, an outcome out.

use crate::{
    manifest::RequestState,
    names::{self, Bucket, ObjectName},
    request::RequestId,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// One event. `type` is the CloudEvents type; the adapters of a cloud translate their own types into these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// An object exists in a bucket, whole.
    #[serde(rename = "trackdrop.object.finalized")]
    ObjectFinalized(ObjectFinalized),
    /// A request has ended.
    #[serde(rename = "trackdrop.request.finished")]
    RequestFinished(RequestFinished),
    /// The attempts of a delivery all failed.
    #[serde(rename = "trackdrop.delivery.dead")]
    DeadLetter(DeadLetter),
    /// The scheduler closes a window: the rows that wait for it are loaded.
    #[serde(rename = "trackdrop.load.window")]
    LoadWindow {},
    /// The scheduler asks for a sweep of stalled requests.
    #[serde(rename = "trackdrop.requests.sweep")]
    RequestsSweep {},
}

impl Event {
    /// The CloudEvents type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::ObjectFinalized(_) => "trackdrop.object.finalized",
            Self::RequestFinished(_) => "trackdrop.request.finished",
            Self::DeadLetter(_) => "trackdrop.delivery.dead",
            Self::LoadWindow {} => "trackdrop.load.window",
            Self::RequestsSweep {} => "trackdrop.requests.sweep",
        }
    }

    /// The function that the scheduler starts with this event; none if the scheduler does not send it.
    pub fn started_by_clock(&self) -> Option<&'static str> {
        match self {
            Self::LoadWindow {} => Some("load"),
            Self::RequestsSweep {} => Some("fail"),
            Self::ObjectFinalized(_) | Self::RequestFinished(_) | Self::DeadLetter(_) => None,
        }
    }
}

/// An object exists in a bucket, whole: this generation of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectFinalized {
    /// Bucket and name.
    #[serde(flatten)]
    pub object: ObjectName,
    /// The generation of that name; later ones are greater.
    pub generation: i64,
    /// When this generation was written.
    pub created: Timestamp,
}

impl ObjectFinalized {
    /// The request of the object. An upload makes one; names in `work` and `results` contain it.
    pub fn request(&self) -> Option<RequestId> {
        let ObjectName { bucket, name } = &self.object;
        match bucket {
            Bucket::Uploads => Some(RequestId::of_upload(bucket.as_str(), name, self.generation, self.created)),
            Bucket::Work | Bucket::Results => names::request_of(&self.object),
        }
    }
}

/// A request has ended, with success or not. Users' own systems can subscribe to this event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestFinished {
    /// The request.
    pub request_id: RequestId,
    /// `done`, `done_without_video` or `failed`.
    pub state: RequestState,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The attempts of a delivery all failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The function whose attempts failed.
    pub function: String,
    /// The event of the delivery.
    pub event: Box<Event>,
    /// The number of attempts.
    pub attempts: u32,
    /// The reason that the last attempt gave.
    pub reason: String,
    /// When the letter was published, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_back_as_it_was_written_whatever_the_object_is_called() {
        for name in ["a b.mp4", "../x", "line\nbreak", "\"quoted'", "%41#?", "日本語.mkv"] {
            let event = Event::ObjectFinalized(ObjectFinalized {
                object: ObjectName::new(Bucket::Uploads, name),
                generation: 1_700_000_000_000_001,
                created: Timestamp::from_micros(1_700_000_000_000_001),
            });
            let json = serde_json::to_string(&event).unwrap();
            assert!(json.contains(event.type_name()));
            assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
        }
    }
}
