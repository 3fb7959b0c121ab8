//! What it took to make an object, in that object's custom metadata: the summary adds these up, nothing else counts.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use trackdrop_pipeline::{Activity, Delivery, Stopwatch, Timestamp, activity::Done};

/// The work that made an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkReport {
    /// Seconds that the work took.
    pub seconds: f64,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Seconds by activity. Activities of one attempt may overlap: decoding runs ahead of the network.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub activities: BTreeMap<Activity, f64>,
    /// Frames that were worked on.
    pub frames: u64,
    /// Rows that were written.
    #[serde(default)]
    pub rows: u64,
    /// Identities by class name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tracks: BTreeMap<String, u64>,
}

const METADATA_KEY: &str = "trackdrop-work";

impl WorkReport {
    /// The work of an attempt since `started`, on so many frames that are shown for so many seconds; the attempt counts it as done.
    pub fn of(delivery: &Delivery, started: Stopwatch, frames: u64, video_seconds: f64) -> Self {
        let seconds = started.seconds();
        delivery.report(Done { seconds, frames, video_seconds });
        let started_at = Timestamp::from_micros(Timestamp::now().micros() - (seconds * 1e6) as i64);
        let activities = delivery.take_spent();
        Self { seconds, started_at: Some(started_at), activities, frames, ..Self::default() }
    }

    /// As custom metadata.
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        // A struct of numbers and text keys always serialises; without the report only a sum is missing.
        serde_json::to_string(self).map(|json| BTreeMap::from([(METADATA_KEY.to_owned(), json)])).unwrap_or_default()
    }

    /// From custom metadata; nothing where it carries no report.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Self {
        metadata.get(METADATA_KEY).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }
}
