//! Triggers: which event starts which function, how many attempts a delivery has, and where a delivery goes after its last failed
//! attempt.
//!
//! One YAML file a trigger in `triggers/`. Terraform, the local bus and the tests read the same files.

pub mod files;

use crate::{
    event::Event,
    names::{Bucket, ObjectName},
    patterns::NamePatterns,
};
use serde::Deserialize;
use std::time::Duration;

/// The trigger of one function.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The function that is started.
    pub function: String,
    /// What starts it.
    pub on: EventSource,
    /// Deliveries that one instance works on at the same time.
    pub concurrency: u32,
    /// On a laptop and for workers that pull: seconds without progress after which an attempt counts as failed, and the event is
    /// redelivered. For push: the acknowledgement deadline.
    pub deadline_s: u64,
    /// What happens after an attempt failed.
    pub retry: Retry,
    /// The topic for deliveries whose attempts all failed. Without one a laptop discards such a delivery; on Google Cloud it goes
    /// to the topic `undeliverable`.
    #[serde(default)]
    pub dead_letter: Option<String>,
}

/// What starts a function.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", deny_unknown_fields)]
pub enum EventSource {
    /// A new object whose name begins with a prefix.
    #[serde(rename = "object.finalized")]
    ObjectFinalized {
        /// The bucket, by role.
        bucket: Bucket,
        /// What the name begins with; empty for every object.
        #[serde(default)]
        prefix: String,
        /// What the name must not match: names that are not a video's. Such an object starts nothing, and the log says so.
        #[serde(default)]
        ignore: NamePatterns,
    },
    /// A message on a topic.
    #[serde(rename = "message.published")]
    MessagePublished {
        /// The topic.
        topic: String,
    },
}

/// What happens after an attempt failed: exponential backoff between two bounds. On Google Cloud Pub/Sub waits, by its own policy of these bounds; on
/// a laptop the bus does, with equal jitter, so half of the wait or more.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How often a delivery is tried, the first time included.
    pub attempts: u32,
    /// Shortest wait in seconds.
    pub min_backoff_s: f64,
    /// Longest wait in seconds.
    pub max_backoff_s: f64,
}

/// A trigger file that cannot be honoured.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// It does not parse.
    #[error("the trigger can't be read: {0}")]
    Malformed(String),
    /// A value is not valid.
    #[error("trigger of `{function}`: {what}")]
    Value {
        /// The function.
        function: String,
        /// The value and what is wrong with it.
        what: String,
    },
}

/// The variable that replaces the list of what is ignored in `uploads`: patterns separated by commas, or `none`.
pub const IGNORE_VARIABLE: &str = "TRACKDROP_IGNORE";

/// The trigger of uploads, with another list of what is ignored where `ignore` holds one ([`IGNORE_VARIABLE`]).
///
/// # Errors
/// Where a pattern can't be honoured.
pub fn of_uploads(ignore: Option<&str>) -> Result<Trigger, TriggerError> {
    Trigger::parse(files::SPLIT)?.ignoring(ignore)
}

impl Trigger {
    /// Parses one trigger file.
    ///
    /// # Errors
    /// Text that is not a trigger, or a value that makes no sense.
    pub fn parse(yaml: &str) -> Result<Self, TriggerError> {
        let trigger: Self = serde_saphyr::from_str(yaml).map_err(|error| TriggerError::Malformed(error.to_string()))?;
        let bad = |what: &str| Err(TriggerError::Value { function: trigger.function.clone(), what: what.to_owned() });
        let Retry { attempts, min_backoff_s, max_backoff_s } = trigger.retry;
        if trigger.function.is_empty() {
            return bad("the function has no name");
        }
        if trigger.concurrency == 0 || trigger.deadline_s == 0 || attempts == 0 {
            return bad("concurrency, deadline_s and attempts must be at least 1");
        }
        if !(min_backoff_s >= 0.0 && max_backoff_s >= min_backoff_s && max_backoff_s.is_finite()) {
            return bad("backoff must satisfy 0 <= min_backoff_s <= max_backoff_s");
        }
        Ok(trigger)
    }

    /// With another list of what is ignored, as [`NamePatterns::of_text`] reads it, where it is started by uploads and there is one.
    ///
    /// # Errors
    /// Where a pattern can't be honoured.
    pub fn ignoring(mut self, text: Option<&str>) -> Result<Self, TriggerError> {
        if let (EventSource::ObjectFinalized { bucket: Bucket::Uploads, ignore, .. }, Some(text)) = (&mut self.on, text)
        {
            *ignore = NamePatterns::of_text(text).map_err(|error| TriggerError::Value {
                function: self.function.clone(),
                what: format!("{error}; {IGNORE_VARIABLE} takes patterns such as *.srt,drafts/* or the word none"),
            })?;
        }
        Ok(self)
    }

    /// The names that are ignored.
    pub fn ignored(&self) -> NamePatterns {
        match &self.on {
            EventSource::ObjectFinalized { ignore, .. } => ignore.clone(),
            EventSource::MessagePublished { .. } => NamePatterns::default(),
        }
    }

    /// Why an object that would otherwise start this function is ignored. Either its name is not a video's, or it is known to be an empty upload,
    /// which some clients create before they write the content. None if it is not ignored.
    pub fn ignores(&self, object: &ObjectName, bytes: Option<u64>) -> Option<String> {
        let EventSource::ObjectFinalized { bucket, prefix, ignore } = &self.on else { return None };
        if object.bucket != *bucket || !object.name.starts_with(prefix.as_str()) {
            return None;
        }
        match ignore.matching(&object.name) {
            Some(pattern) => Some(format!("the name of {object} matches the ignored pattern {pattern}")),
            None if *bucket == Bucket::Uploads && bytes == Some(0) => Some(format!("{object} is empty")),
            None => None,
        }
    }

    /// Whether this event, published on `topic` if it is a message, starts the function.
    pub fn takes(&self, event: &Event, topic: Option<&str>) -> bool {
        if let Some(function) = event.started_by_clock() {
            return topic.is_none() && function == self.function;
        }
        match (&self.on, event) {
            (EventSource::ObjectFinalized { bucket, prefix, .. }, Event::ObjectFinalized(finalized)) => {
                topic.is_none()
                    && finalized.object.bucket == *bucket
                    && finalized.object.name.starts_with(prefix.as_str())
                    && self.ignores(&finalized.object, None).is_none()
            }
            (EventSource::MessagePublished { topic: wanted }, _) => topic == Some(wanted),
            _ => false,
        }
    }
}

impl Retry {
    /// The wait after the `attempt`th failure (from 1): `jitter` in [0, 1) picks a point of the exponential window, so
    /// that deliveries that failed together do not come back together.
    pub fn backoff(&self, attempt: u32, jitter: f64) -> Duration {
        let window = self.min_backoff_s * 2f64.powi(attempt.clamp(1, 30) as i32 - 1);
        let window = window.min(self.max_backoff_s);
        // At least half the window: backoff must grow, jitter must spread.
        Duration::from_secs_f64(window * (0.5 + 0.5 * jitter.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::ObjectFinalized, names::ObjectName, time::Timestamp};

    const YAML: &str = "function: track\non: {event: object.finalized, bucket: work, prefix: split_chunks/}\n\
        concurrency: 2\ndeadline_s: 600\nretry: {attempts: 5, min_backoff_s: 10, max_backoff_s: 600}\ndead_letter: dead-letters\n";

    #[test]
    fn a_trigger_takes_the_objects_of_its_prefix_only() {
        let trigger = Trigger::parse(YAML).unwrap();
        let finalized = |bucket, name: &str| {
            let object = ObjectName::new(bucket, name);
            Event::ObjectFinalized(ObjectFinalized { object, generation: 1, created: Timestamp::from_micros(0) })
        };
        assert!(trigger.takes(&finalized(Bucket::Work, "split_chunks/x/000000.mkv"), None));
        assert!(!trigger.takes(&finalized(Bucket::Work, "detections/x/000000.parquet"), None));
        assert!(!trigger.takes(&finalized(Bucket::Uploads, "split_chunks/x"), None));
        assert!(!trigger.takes(&finalized(Bucket::Work, "split_chunks/x"), Some("dead-letters")));
    }

    #[test]
    fn what_is_no_video_by_its_name_starts_nothing() {
        let trigger = of_uploads(None).unwrap();
        let ignored = [
            "gcloud/tmp/parallel_composite_uploads/see_gcloud_storage_cp_help_for_details/6f1e_da39a3ee_0",
            "day 1/gcloud/tmp/parallel_composite_uploads/see_gcloud_storage_cp_help_for_details/6f1e_da39a3ee_31",
            "/gsutil/tmp/parallel_composite_uploads/for_details_see/gsutil_help_cp/d41d8cd98f00b204e9800998ecf8427e_7",
            "116049342853/gsutil/tmp/parallel_composite_uploads/for_details_see/gsutil_help_cp/d41d8cd98f00b204e9800998ecf8427e_7",
            "gsutil/tmp/parallel_composite_uploads/for_details_see/gsutil_help_cp/d41d8cd98f00b204e9800998ecf8427e_7",
            "folder/",
            "a/b_$folder$",
            "__MACOSX/._clip.mp4",
            "x/.DS_Store",
            "x/Thumbs.db",
            "x/desktop.ini",
            "x/._clip.mp4",
            "x/.clip.mp4.Ab3xYz",
            "clip.mp4.part",
            "clip.mp4.crdownload",
            "clip.mp4.tmp",
            "clip.f137.mp4.part-Frag3",
            "clip.mp4.1a2b3c.partial",
            "GX010001.THM",
            "GL010001.LRV",
            "clip.srt",
            "clip.xml",
            "clip.txt",
            "clip.JSON",
            "clip.jpg",
            "clip.png",
            "clip.mp3",
            "clip.wav",
        ];
        let bucket = Bucket::Uploads;
        for name in ignored {
            let object = ObjectName::new(bucket, name);
            assert!(trigger.ignores(&object, None).is_some(), "{name}");
            let finalized = ObjectFinalized { object, generation: 1, created: Timestamp::from_micros(0) };
            assert!(!trigger.takes(&Event::ObjectFinalized(finalized), None), "{name}");
        }
        let videos = [
            "clip.mp4",
            "a/GX010001.MP4",
            "x.mov",
            "x.mkv",
            "x.webm",
            "x.avi",
            "x.ts",
            "x.m2ts",
            "x.MTS",
            "x.mpg",
            "x.mxf",
            "x.wmv",
            "x.flv",
            "x.3gp",
            "x.ogv",
            "x.ogg",
            "x.h264",
            "x.hevc",
            "x.y4m",
            "x.vob",
            "x.dat",
            "x.gif",
            "x",
            "part",
            "tmp/clip.mp4",
            "gcloud/tmp/clip.mp4",
            "json.mp4",
            "my.srt.mp4",
        ];
        for name in videos {
            assert_eq!(trigger.ignores(&ObjectName::new(bucket, name), Some(1)), None, "{name}");
        }
        assert_eq!(trigger.ignores(&ObjectName::new(Bucket::Work, "x.srt"), Some(0)), None, "only uploads");
    }

    #[test]
    fn an_empty_upload_is_ignored_where_it_is_known_to_be_empty() {
        let (trigger, clip) = (of_uploads(None).unwrap(), ObjectName::new(Bucket::Uploads, "clip.mp4"));
        assert!(trigger.ignores(&clip, Some(0)).unwrap().contains("empty"));
        assert_eq!(trigger.ignores(&clip, None), None);
    }

    #[test]
    fn users_may_give_a_list_of_their_own_and_one_that_makes_no_sense_is_refused() {
        let ignores = |list, name: &str| {
            let trigger = of_uploads(Some(list)).unwrap();
            trigger.ignores(&ObjectName::new(Bucket::Uploads, name), None).is_some()
        };
        assert!(ignores("processed/*", "processed/clip.mp4") && !ignores("processed/*", "clip.srt"));
        assert!(!ignores("none", "clip.srt"));
        let error = of_uploads(Some("*.srt,*")).unwrap_err().to_string();
        assert!(error.contains("\"*\"") && error.contains(IGNORE_VARIABLE), "{error}");
    }

    #[test]
    fn the_clock_starts_the_function_that_it_is_meant_for() {
        for (function, takes) in [("load", [true, false]), ("fail", [false, true]), ("track", [false, false])] {
            let trigger = Trigger::parse(&YAML.replace("function: track", &format!("function: {function}"))).unwrap();
            let events = [Event::LoadWindow {}, Event::RequestsSweep {}];
            assert_eq!(events.map(|event| trigger.takes(&event, None)), takes, "{function}");
        }
    }

    #[test]
    fn a_trigger_that_makes_no_sense_is_refused_with_the_reason() {
        for (from, to) in [
            ("concurrency: 2", "concurrency: 0"),
            ("attempts: 5", "attempts: 0"),
            ("max_backoff_s: 600", "max_backoff_s: 1"),
            ("bucket: work", "bucket: wrok"),
            ("deadline_s", "dead_line"),
        ] {
            assert!(Trigger::parse(&YAML.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn backoff_grows_to_its_bound_and_jitter_spreads_it() {
        let retry = Retry { attempts: 5, min_backoff_s: 10.0, max_backoff_s: 60.0 };
        let longest: Vec<_> = (1..=5).map(|attempt| retry.backoff(attempt, 1.0).as_secs()).collect();
        assert_eq!(longest, [10, 20, 40, 60, 60]);
        assert!(retry.backoff(1, 0.0) < retry.backoff(1, 0.5));
        assert_eq!(retry.backoff(u32::MAX, 1.0).as_secs(), 60);
    }
}
