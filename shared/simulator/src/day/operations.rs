//! The numbers of operations of each delivery: a model of the handlers, because a whole day is too long to run them.
//!
//! The tests below run the real handlers in this crate's simulation, and the counts by function, bucket and verb are the same.

use serde::Serialize;
use std::ops::{Add, AddAssign, Mul};
use trackdrop_pipeline::counter::{GROUP_SIZE, group_count};

/// Operations on one bucket, as the handlers name them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verbs {
    /// Looks at what is known of an object.
    pub stat: u64,
    /// Reads of a whole object into memory.
    pub get: u64,
    /// Reads of a whole object into a file, or of an upload in ranges.
    pub fetch: u64,
    /// Listings; one of up to 1,000 names is one page.
    pub list: u64,
    /// Writes.
    pub put: u64,
    /// Deletions.
    pub delete: u64,
}

/// Operations on the whole cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Operations {
    /// On the bucket of uploads.
    pub uploads: Verbs,
    /// On the bucket of chunks, detections and markers.
    pub work: Verbs,
    /// On the bucket of results.
    pub results: Verbs,
    /// Messages published.
    pub publish: u64,
    /// Load jobs of the table `tracks`.
    pub load: u64,
    /// Load jobs of the table `requests`.
    pub record: u64,
}

impl Verbs {
    /// Requests that count as reads: a whole object is a stat and a download.
    pub fn reads(&self) -> u64 {
        self.stat + 2 * (self.get + self.fetch) + self.list + self.delete
    }

    /// Requests that count as writes.
    pub fn writes(&self) -> u64 {
        self.put + self.delete
    }

    /// Requests of class A, which cost more: writes and listings. Deletions are free.
    pub fn class_a(&self) -> u64 {
        self.put + self.list
    }

    /// Requests of class B.
    pub fn class_b(&self) -> u64 {
        self.reads() - self.list
    }
}

impl Operations {
    /// The same of all three buckets together.
    pub fn objects(&self) -> Verbs {
        self.uploads + self.work + self.results
    }
}

macro_rules! counts {
    ($type:ident { $($member:ident),* }) => {
        impl Add for $type {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self { $($member: self.$member + other.$member),* }
            }
        }
        impl AddAssign for $type {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl Mul<u64> for $type {
            type Output = Self;
            fn mul(self, times: u64) -> Self {
                Self { $($member: self.$member * times),* }
            }
        }
    };
}
counts!(Verbs { stat, get, fetch, list, put, delete });
counts!(Operations { uploads, work, results, publish, load, record });

const NONE: Verbs = Verbs { stat: 0, get: 0, fetch: 0, list: 0, put: 0, delete: 0 };
const NOTHING: Operations = Operations { uploads: NONE, work: NONE, results: NONE, publish: 0, load: 0, record: 0 };
/// One read and one conditional write of the manifest.
const CHANGE: Operations = Operations { results: Verbs { get: 1, put: 1, ..NONE }, ..NOTHING };
/// One new object in `work`.
const MARKER: Operations = Operations { work: Verbs { put: 1, ..NONE }, ..NOTHING };

/// The wrapper around every handler: whether the request is over already.
const READS_STATE: Operations = Operations { results: Verbs { stat: 1, ..NONE }, ..NOTHING };

/// The age of the progress that people read is checked after each segment; where it is due ([`fold`]) it is written too.
const PROGRESS: Operations = Operations { results: Verbs { stat: 1, ..NONE }, ..NOTHING };

/// The manifest's progress is due.
pub const fn fold() -> Operations {
    CHANGE
}

/// `split`, until the first chunk can be cut: the upload, the plan, what exists.
pub fn split_begins() -> Operations {
    READS_STATE
        + Operations {
            uploads: Verbs { fetch: 1, ..NONE },
            // Whether it was deleted; the claim of its content, looked at, taken and checked; which chunks exist.
            work: Verbs { stat: 3, list: 1, put: 1, ..NONE },
            // Whether it was planned before; the plan.
            results: Verbs { stat: 1, get: 1, put: 1, ..NONE },
            ..NOTHING
        }
}

/// `split`, a chunk.
pub fn split_chunk() -> Operations {
    MARKER + PROGRESS
}

/// `split`, the manifest completed.
pub fn split_ends() -> Operations {
    CHANGE
}

/// `track`, until it can decode.
pub fn track_begins() -> Operations {
    READS_STATE + Operations { work: Verbs { stat: 2, fetch: 1, ..NONE }, ..NOTHING }
}

/// `track` and `annotate`, from the result on: written and counted.
pub fn segment_ends() -> Operations {
    Operations { work: Verbs { put: 1, list: 1, ..NONE }, ..NOTHING } + PROGRESS
}

/// Finds that a group of the counter is complete.
pub fn group_complete(segments: u32) -> Operations {
    match group_count(segments) {
        0 | 1 => NOTHING,
        _ => Operations { work: Verbs { put: 1, list: 1, ..NONE }, ..NOTHING },
    }
}

/// Finds that all groups are complete.
pub fn stage_complete() -> Operations {
    MARKER
}

/// Segments of the counter's group that a segment is in.
pub fn group_of(segment: u32) -> u32 {
    segment / GROUP_SIZE
}

/// `merge`, until its first pass.
pub fn merge_begins() -> Operations {
    READS_STATE + Operations { work: Verbs { stat: 1, ..NONE }, ..NOTHING } + CHANGE
}

/// `merge`, a segment in the first pass.
pub fn merge_votes() -> Operations {
    Operations { work: Verbs { get: 1, ..NONE }, ..NOTHING }
}

/// `merge`, a segment in the second pass.
pub fn merge_folds(annotated: bool) -> Operations {
    Operations { work: Verbs { get: 1, put: annotated.into(), ..NONE }, ..NOTHING }
}

/// `merge`, results, ledger and marker.
pub fn merge_ends() -> Operations {
    Operations { results: Verbs { put: 2, ..NONE }, ..NOTHING } + CHANGE + MARKER
}

/// `load` of one request, until its job.
pub fn load_begins() -> Operations {
    READS_STATE + Operations { work: Verbs { stat: 2, ..NONE }, results: Verbs { stat: 1, ..NONE }, ..NOTHING }
}

/// The job of the rows.
pub fn load_job() -> Operations {
    Operations { load: 1, ..NOTHING }
}

/// Marking one request as loaded.
pub fn mark_loaded() -> Operations {
    Operations { work: Verbs { stat: 1, put: 1, ..NONE }, results: Verbs { stat: 1, ..NONE }, ..NOTHING }
}

/// `load` where windows gather: the request waits.
pub fn load_waits() -> Operations {
    READS_STATE + Operations { work: Verbs { stat: 1, put: 1, ..NONE }, ..NOTHING }
}

/// A window: whether one is open, and what waits.
pub fn window_gathers() -> Operations {
    Operations { work: Verbs { get: 1, list: 1, ..NONE }, ..NOTHING }
}

/// A window: whether a request that waits is to be loaded.
pub fn window_reads() -> Operations {
    Operations { work: Verbs { stat: 1, ..NONE }, results: Verbs { stat: 2, ..NONE }, ..NOTHING }
}

/// A window: its list frozen, or closed.
pub fn window_writes() -> Operations {
    MARKER
}

/// A window: a request that is loaded waits no more. It is over where nothing else is left to do.
pub fn window_lets_go(annotated: bool) -> Operations {
    Operations { work: Verbs { stat: 1, delete: 1, ..NONE }, ..NOTHING } + is_over(annotated)
}

/// Whether the request is over, checked by a handler that made one of its last results and finds the rows loaded.
pub fn is_over(annotated: bool) -> Operations {
    let results = Verbs { get: 1, stat: annotated.into(), ..NONE };
    Operations { work: Verbs { stat: 1, ..NONE }, results, ..NOTHING }
}

/// The same, by one that finds the rows missing.
pub fn is_not_loaded() -> Operations {
    is_over(false)
}

/// The end: the state, the summary from the reports of all objects, the row, the message, the marker.
pub fn end(segments: u32) -> Operations {
    end_waits(segments) + record() + Operations { publish: 1, ..NOTHING }
}

/// The end where windows gather: the state, the summary, and the marker that it waits.
pub fn end_waits(segments: u32) -> Operations {
    let pages = u64::from(segments.div_ceil(1_000).max(1));
    let summed_up = Operations {
        work: Verbs { stat: 1, list: 3 * pages, ..NONE },
        results: Verbs { stat: 2, put: 1, ..NONE },
        ..NOTHING
    };
    CHANGE + summed_up + MARKER
}

/// The job of the rows in `requests`.
pub fn record() -> Operations {
    Operations { record: 1, ..NOTHING }
}

/// A window: whether an end that waits is to be published, and what its row is.
pub fn window_reads_ends() -> Operations {
    Operations { work: Verbs { stat: 1, ..NONE }, results: Verbs { get: 2, ..NONE }, ..NOTHING }
}

/// A window: an end whose row exists is published, and waits no more.
pub fn window_tells_end() -> Operations {
    let work = Verbs { stat: 1, delete: 1, ..NONE };
    MARKER + Operations { work, results: Verbs { get: 1, ..NONE }, publish: 1, ..NOTHING }
}

/// `annotate`, until it can decode.
pub fn annotate_begins() -> Operations {
    READS_STATE + Operations { work: Verbs { stat: 2, fetch: 1, get: 1, ..NONE }, ..NOTHING }
}

/// `join` of a video with sound, until parts and upload are there.
pub fn join_begins(segments: u32) -> Operations {
    let parts = Verbs { fetch: u64::from(segments), ..NONE };
    READS_STATE
        + Operations {
            uploads: Verbs { fetch: 1, ..NONE },
            work: parts,
            // The manifest again, for what is noted of the sound.
            results: Verbs { stat: 1, get: 2, ..NONE },
            ..NOTHING
        }
}

/// `join`, the whole video.
pub fn join_ends() -> Operations {
    Operations { results: Verbs { put: 1, ..NONE }, ..NOTHING }
}

/// Who makes the last result of a request, and so ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// `load`: its rows are its last result, or it has no annotated video.
    Load,
    /// `join`: its annotated video is its last result.
    Join,
    /// The window of `load`, in which it waits alone, until it is drawn.
    Window,
}

/// All of one undisturbed request, by function in the order of the flow, without what depends on the clock: progress that is due, and checks by
/// the clock at windows in which nothing waits.
pub fn of_request(segments: u32, annotated: bool, ended_by: EndedBy) -> Vec<(&'static str, Operations)> {
    let by_window = ended_by == EndedBy::Window;
    let each = u64::from(segments);
    let counted = group_complete(segments) * u64::from(group_count(segments)) + stage_complete();
    let split = split_begins() + split_chunk() * each + split_ends();
    let track = (track_begins() + segment_ends()) * each + counted;
    let merge = merge_begins() + (merge_votes() + merge_folds(annotated)) * each + merge_ends();
    let over = is_over(annotated) + if ended_by == EndedBy::Load { end(segments) } else { NOTHING };
    let load = if by_window { load_waits() } else { load_begins() + load_job() + mark_loaded() + over };
    let mut all = vec![("split", split), ("track", track), ("merge", merge), ("load", load)];
    if by_window {
        let first = window_gathers() + window_reads() + window_writes() + load_job() + mark_loaded() + window_writes();
        let lets_go = window_gathers() + window_lets_go(annotated) + end_waits(segments);
        let recorded = window_reads_ends() + window_writes() + record() + window_tells_end() + window_writes();
        all.push(("window", first + lets_go + window_gathers() * 4 + recorded));
    }
    if annotated {
        let over = if ended_by == EndedBy::Join { is_over(true) + end(segments) } else { is_not_loaded() };
        all.push(("annotate", (annotate_begins() + segment_ends()) * each + counted));
        all.push(("join", join_begins(segments) + join_ends() + over));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scenario, Upload, run::Options, stand_ins::WITH_SOUND, world::TOO_MANY};
    use std::collections::BTreeMap;
    use trackdrop_pipeline::RequestSettings;

    /// What the real handlers do of one request that nothing befalls.
    fn observed(segments: u32, annotated: bool, by_window: bool) -> BTreeMap<String, Operations> {
        let settings = RequestSettings { segment_seconds: 0.1, video: annotated, ..RequestSettings::default() };
        let text = format!("frames={segments} gop=1 seed=3 {WITH_SOUND}");
        let upload = Upload { at_s: 1, name: "clip.mp4".into(), text, settings };
        let load_window_s = by_window.then_some(60);
        let scenario = Scenario { load_window_s, ..Scenario::undisturbed(&upload) };
        let options = Options { faults: Some(&[]), with_log: true, ..Options::default() };
        let outcome = crate::run::run(&scenario, options).unwrap();
        assert_eq!((outcome.done, outcome.broken.as_slice()), (1, &[][..]));
        count(&outcome.log)
    }

    /// Counts the operations of a log. An operation that was rejected because of its rate is repeated, and counts once.
    fn count(log: &[String]) -> BTreeMap<String, Operations> {
        let mut all: BTreeMap<String, Operations> = BTreeMap::new();
        for line in log {
            let Some((place, what)) = line.split_once("#1/1/") else { continue };
            let function = place.split_whitespace().nth(1).unwrap();
            let function = if function == "trackdrop.load.window" { "window" } else { function };
            // Looks of the clock before anything waits, and after: not the request's own.
            let Some((operation, outcome)) = what.split_once(": ") else { continue };
            if outcome == TOO_MANY || outcome.ends_with(TOO_MANY) {
                continue;
            }
            let (verb, object) = operation.split_once(' ').unwrap();
            let counts = all.entry(function.to_owned()).or_default();
            // Who loses a race for the manifest reads and writes it once more; who loses one for a marker finds it there.
            if verb == "put" && !outcome.starts_with("ok") {
                if object.contains("/manifest.json") {
                    counts.results.get -= 1;
                }
                continue;
            }
            match verb {
                "publish" => counts.publish += 1,
                "load" => counts.load += 1,
                "record" => counts.record += 1,
                _ => {
                    let bucket = match object.split('/').next().unwrap() {
                        "uploads" => &mut counts.uploads,
                        "work" => &mut counts.work,
                        "results" => &mut counts.results,
                        other => panic!("no bucket: {other} in {line}"),
                    };
                    match verb {
                        "stat" => bucket.stat += 1,
                        "get" => bucket.get += 1,
                        "fetch" => bucket.fetch += 1,
                        "list" => bucket.list += 1,
                        "put" => bucket.put += 1,
                        "delete" => bucket.delete += 1,
                        other => panic!("no verb: {other} in {line}"),
                    }
                }
            }
        }
        all
    }

    #[test]
    fn a_request_has_the_operations_of_the_real_handlers() {
        for (segments, annotated, by_window) in [
            (1, true, false),
            (1, false, false),
            (4, true, false),
            (10, false, false),
            (60, true, false),
            (3, true, true),
            (5, false, true),
        ] {
            let observed = observed(segments, annotated, by_window);
            // Nobody says who is to be the last: who tells the end was it.
            let tells = |function: &str| observed.get(function).is_some_and(|operations| operations.publish > 0);
            let ended_by = match (tells("join"), tells("window")) {
                (true, _) => EndedBy::Join,
                (_, true) => EndedBy::Window,
                _ => EndedBy::Load,
            };
            assert_eq!(by_window, ended_by == EndedBy::Window);
            let expected: BTreeMap<_, _> = of_request(segments, annotated, ended_by)
                .into_iter()
                .map(|(function, operations)| (function.to_owned(), operations))
                .collect();
            for (function, expected) in &expected {
                let case = format!("{function} of {segments} segments, annotated {annotated}, by window {by_window}");
                let observed = observed.get(function).unwrap_or_else(|| panic!("{case}: nothing"));
                assert_eq!(observed, expected, "{case}");
            }
            assert_eq!(observed.len(), expected.len());
        }
    }
}
