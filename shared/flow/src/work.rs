//! The work that it took to make an object, stored in that object's custom metadata. The summary of a request is the sum of
//! these.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};
use trackdrop_pipeline::{Activity, Delivery, Stopwatch, Timestamp, activity::WorkDone};

/// The work that made an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkReport {
    /// Seconds that the work took.
    pub seconds: f64,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The process that did it: a random number that it chooses at its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u64>,
    /// Seconds by activity. Activities of one attempt can overlap, because decoding is ahead of the network.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub activities: BTreeMap<Activity, f64>,
    /// Processed frames.
    pub frames: u64,
    /// Written rows.
    #[serde(default)]
    pub rows: u64,
    /// Identities by class name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tracks: BTreeMap<String, u64>,
}

const METADATA_KEY: &str = "trackdrop-work";

/// A number that identifies this process. It is random, because the standard library seeds its hashers from the
/// system's randomness.
static INSTANCE: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));

impl WorkReport {
    /// The work of an attempt since `started`, on this many frames, which are shown for this many seconds. It is also
    /// reported to the attempt.
    pub fn of(delivery: &Delivery, started: Stopwatch, frames: u64, video_seconds: f64) -> Self {
        let seconds = started.seconds();
        delivery.report(WorkDone { seconds, frames, video_seconds });
        let started_at = Timestamp::from_micros(Timestamp::now().micros() - (seconds * 1e6) as i64);
        let activities = delivery.take_spent();
        Self { seconds, started_at: Some(started_at), instance: Some(*INSTANCE), activities, frames, ..Self::default() }
    }

    /// Writes it as custom metadata.
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        // A struct of numbers and text keys can always be serialised. Without the report only a sum would be missing.
        serde_json::to_string(self).map(|json| BTreeMap::from([(METADATA_KEY.to_owned(), json)])).unwrap_or_default()
    }

    /// Reads it from custom metadata. None if they have no report.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Self {
        metadata.get(METADATA_KEY).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }
}

/// Seconds in which instances were busy with this work, all instances together. If an instance works on several pieces
/// at the same time, it is busy, and paid for, once. A report of an older version names no instance, so all its seconds
/// count.
pub fn busy_seconds(reports: &[WorkReport]) -> f64 {
    let began_at = reports.iter().filter_map(|report| report.started_at).min();
    let mut by_instance: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    let mut busy_s = 0.0;
    for report in reports {
        match (report.instance, report.started_at.zip(began_at)) {
            (Some(instance), Some((started_at, began_at))) => {
                let from_s = started_at.seconds_since(began_at);
                by_instance.entry(instance).or_default().push((from_s, from_s + report.seconds));
            }
            _ => busy_s += report.seconds,
        }
    }
    for mut pieces in by_instance.into_values() {
        pieces.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut until_s = f64::NEG_INFINITY;
        for (from_s, to_s) in pieces {
            busy_s += (to_s - from_s.max(until_s)).max(0.0);
            until_s = until_s.max(to_s);
        }
    }
    busy_s
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(instance: Option<u64>, from_s: f64, seconds: f64) -> WorkReport {
        let started_at = Some(Timestamp::from_micros((from_s * 1e6) as i64));
        WorkReport { seconds, started_at, instance, ..WorkReport::default() }
    }

    #[test]
    fn an_instance_that_works_on_two_segments_at_a_time_is_busy_once() {
        // Out of order, one inside another, two that meet, and a pause.
        let pieces = [(4.0, 2.0), (0.0, 3.0), (1.0, 1.0), (2.0, 2.0), (10.0, 1.5)];
        let reports = pieces.map(|(from_s, seconds)| report(Some(7), from_s, seconds));
        assert_eq!(busy_seconds(&reports), 7.5);
    }

    #[test]
    fn two_instances_are_paid_for_both() {
        assert_eq!(busy_seconds(&[report(Some(1), 0.0, 3.0), report(Some(2), 0.0, 3.0)]), 6.0);
    }

    #[test]
    fn reports_that_name_no_instance_or_no_time_count_whole() {
        let without_time = WorkReport { started_at: None, ..report(Some(1), 0.0, 2.0) };
        assert_eq!(busy_seconds(&[report(None, 0.0, 3.0), report(None, 1.0, 3.0), without_time]), 8.0);
        assert_eq!(busy_seconds(&[]), 0.0);
    }
}
