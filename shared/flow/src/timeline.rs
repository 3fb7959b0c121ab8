//! How long each part of a request took, and what the bottleneck was.
//!
//! The metadata of every object that a function makes say when its work began, how long it took, and what the time was
//! spent on. Every moment of the request is counted once. If several stages worked at that moment, they share it
//! equally. If none worked, it counts as waiting.

use crate::{Cloud, WorkReport, end};
use serde::Serialize;
use std::collections::BTreeMap;
use trackdrop_pipeline::{
    Activity, Bucket, Failure, Manifest, RequestId, Stage, Timestamp,
    names::{self, Marker, ObjectName, PerSegment, ResultFile},
};

/// One piece of work, from its beginning until its object existed.
#[derive(Clone, Debug)]
pub struct Work {
    /// The stage that did it.
    pub stage: Stage,
    /// The segment; none if the work was for the whole video.
    pub segment: Option<u64>,
    /// When it began.
    pub began_at: Timestamp,
    /// When its object existed.
    pub ended_at: Timestamp,
    /// Its frames.
    pub frames: u64,
    /// Seconds by activity.
    pub activities: BTreeMap<&'static str, f64>,
}

impl Work {
    /// From the report in an object's metadata. None if an older version made the object.
    fn of(stage: Stage, info: &trackdrop_cloud::ObjectInfo) -> Option<Self> {
        let report = WorkReport::from_metadata(&info.metadata);
        let began_at = report.started_at?;
        let reported_at = Timestamp::from_micros(began_at.micros() + (report.seconds * 1e6) as i64);
        let ended_at = reported_at.max(info.created);
        let mut activities: BTreeMap<_, _> =
            report.activities.iter().map(|(activity, &seconds)| (activity.name(), seconds)).collect();
        activities.insert(UPLOAD, ended_at.seconds_since(reported_at));
        let segment = names::segment_of(&info.object).map(|segment| u64::from(segment.get()));
        Some(Self { stage, segment, began_at, ended_at, frames: report.frames, activities })
    }

    fn seconds(&self) -> f64 {
        self.ended_at.seconds_since(self.began_at)
    }
}

/// The time after the report: storing the object.
const UPLOAD: &str = "upload";

/// How long each part of a request took.
#[derive(Debug, PartialEq, Serialize)]
pub struct Timeline {
    /// The request.
    pub request_id: RequestId,
    /// When the upload was created, or when the version was requested.
    pub asked_at: Timestamp,
    /// When the first work began.
    pub began_at: Timestamp,
    /// When the last work ended.
    pub ended_at: Timestamp,
    /// Seconds from the beginning of the first work to the end of the last.
    pub seconds: f64,
    /// The share of each stage.
    pub stages: Vec<StageTime>,
    /// Seconds in which no stage worked.
    pub waiting_s: f64,
    /// What it waited for most.
    pub bottleneck: Bottleneck,
}

/// The share of a stage.
#[derive(Debug, PartialEq, Serialize)]
pub struct StageTime {
    /// The stage.
    pub stage: Stage,
    /// Seconds of the request's time, each counted once.
    pub clock_s: f64,
    /// When it began, in seconds since the first work began.
    pub from_s: f64,
    /// When it ended, likewise.
    pub to_s: f64,
    /// Pieces of work.
    pub pieces: usize,
    /// Largest number of pieces that ran at the same time.
    pub at_once: usize,
    /// Seconds of all pieces together.
    pub work_s: f64,
    /// Frames of all pieces.
    pub frames: u64,
    /// Frames per second, from its beginning to its end.
    pub frames_per_second: f64,
    /// Seconds by activity, of all threads together.
    pub activities: BTreeMap<&'static str, f64>,
    /// The piece that took longest, if there are several.
    pub slowest: Option<Slowest>,
}

/// The piece that took longest, if there are several.
#[derive(Debug, PartialEq, Serialize)]
pub struct Slowest {
    /// Its segment.
    pub segment: u64,
    /// Its seconds.
    pub seconds: f64,
    /// Seconds of the median piece.
    pub median_s: f64,
}

/// What the request waited for most.
#[derive(Debug, PartialEq, Serialize)]
pub struct Bottleneck {
    /// The stage. None if the request waited for a function to begin.
    pub stage: Option<Stage>,
    /// What that stage did most.
    pub activity: Option<&'static str>,
    /// Its share of the request's seconds.
    pub share: f64,
    /// What would help.
    pub advice: &'static str,
}

/// How long each part of a request took, and the pieces of work; none if no work of it has ended, or if an older version did it,
/// which recorded no times.
///
/// # Errors
/// Those of the store.
pub async fn of(cloud: &Cloud, manifest: &Manifest) -> Result<Option<(Timeline, Vec<Work>)>, Failure> {
    let works = gather(cloud, manifest).await?;
    let asked_at = end::began_at(cloud, manifest).await?;
    Ok(timeline(manifest.request_id.clone(), asked_at, &works).map(|timeline| (timeline, works)))
}

/// The work that was done for this request.
async fn gather(cloud: &Cloud, manifest: &Manifest) -> Result<Vec<Work>, Failure> {
    let request = &manifest.request_id;
    let mut works = Vec::new();
    for (kind, stage) in [
        (PerSegment::Chunk, Stage::Split),
        (PerSegment::Detections, Stage::Track),
        (PerSegment::Annotated, Stage::Annotate),
    ] {
        // A version has none of its own before `annotate`.
        let objects = cloud.storage.list(&ObjectName::new(Bucket::Work, kind.prefix(request))).await?;
        works.extend(objects.iter().filter_map(|info| Work::of(stage, info)));
    }
    for (object, stage) in [
        (ResultFile::Tracks.object(request), Stage::Merge),
        (Marker::Loaded.object(request), Stage::Load),
        (ResultFile::AnnotatedVideo.object(request), Stage::Join),
    ] {
        works.extend(cloud.find(&object).await?.and_then(|info| Work::of(stage, &info)));
    }
    Ok(works)
}

/// Counts every moment once. None if there is no work.
pub fn timeline(request_id: RequestId, asked_at: Timestamp, works: &[Work]) -> Option<Timeline> {
    let began_at = works.iter().map(|work| work.began_at).min()?;
    let ended_at = works.iter().map(|work| work.ended_at).max()?;
    let seconds = ended_at.seconds_since(began_at);
    let mut moments: Vec<_> = works.iter().flat_map(|work| [work.began_at, work.ended_at]).collect();
    moments.sort_unstable();
    moments.dedup();
    let mut clock_s: BTreeMap<Stage, f64> = BTreeMap::new();
    let mut at_once: BTreeMap<Stage, usize> = BTreeMap::new();
    let mut waiting_s = 0.0;
    for pair in moments.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let mut active: BTreeMap<Stage, usize> = BTreeMap::new();
        for work in works.iter().filter(|work| work.began_at <= from && work.ended_at >= to) {
            *active.entry(work.stage).or_default() += 1;
        }
        let seconds = to.seconds_since(from);
        if active.is_empty() {
            waiting_s += seconds;
        }
        let share = seconds / active.len().max(1) as f64;
        for (stage, count) in active {
            *clock_s.entry(stage).or_default() += share;
            let most = at_once.entry(stage).or_default();
            *most = count.max(*most);
        }
    }
    let stages: Vec<_> = Stage::ALL
        .into_iter()
        .filter_map(|stage| {
            let of: Vec<_> = works.iter().filter(|work| work.stage == stage).collect();
            let clock_s = clock_s.get(&stage).copied().unwrap_or_default();
            let at_once = at_once.get(&stage).copied().unwrap_or(1);
            stage_time(stage, began_at, &of, clock_s, at_once)
        })
        .collect();
    let bottleneck = bottleneck(&stages, waiting_s, seconds);
    Some(Timeline { request_id, asked_at, began_at, ended_at, seconds, stages, waiting_s, bottleneck })
}

fn stage_time(stage: Stage, began_at: Timestamp, of: &[&Work], clock_s: f64, at_once: usize) -> Option<StageTime> {
    let from = of.iter().map(|work| work.began_at).min()?;
    let to = of.iter().map(|work| work.ended_at).max()?;
    let mut activities: BTreeMap<&'static str, f64> = BTreeMap::new();
    for work in of {
        for (&activity, seconds) in &work.activities {
            *activities.entry(activity).or_default() += seconds;
        }
    }
    let frames = of.iter().map(|work| work.frames).sum();
    let lasted = to.seconds_since(from);
    Some(StageTime {
        stage,
        clock_s,
        from_s: from.seconds_since(began_at),
        to_s: to.seconds_since(began_at),
        pieces: of.len(),
        at_once,
        work_s: of.iter().map(|work| work.seconds()).sum(),
        frames,
        frames_per_second: if lasted > 0.0 { frames as f64 / lasted } else { 0.0 },
        activities,
        slowest: slowest(of),
    })
}

fn slowest(of: &[&Work]) -> Option<Slowest> {
    let mut by_time = of.to_vec();
    by_time.sort_by(|a, b| a.seconds().total_cmp(&b.seconds()));
    let last = by_time.last().filter(|_| by_time.len() > 1)?;
    Some(Slowest { segment: last.segment?, seconds: last.seconds(), median_s: by_time[by_time.len() / 2].seconds() })
}

fn bottleneck(stages: &[StageTime], waiting_s: f64, seconds: f64) -> Bottleneck {
    let share = |part: f64| if seconds > 0.0 { part / seconds } else { 0.0 };
    let longest =
        stages.iter().max_by(|a, b| a.clock_s.total_cmp(&b.clock_s)).filter(|stage| stage.clock_s >= waiting_s);
    match longest {
        Some(longest) => {
            let most =
                longest.activities.iter().max_by(|a, b| a.1.total_cmp(b.1)).filter(|(_, seconds)| **seconds > 0.0);
            let activity = most.map(|(&activity, _)| activity);
            Bottleneck {
                stage: Some(longest.stage),
                activity,
                share: share(longest.clock_s),
                advice: activity.map_or("", advice),
            }
        }
        None => Bottleneck {
            stage: None,
            activity: None,
            share: share(waiting_s),
            advice: "functions that begin late: instances that start, deliveries that are made again, an interruption",
        },
    }
}

/// What makes an activity shorter.
fn advice(activity: &str) -> &'static str {
    let is = |other: Activity| activity == other.name();
    if is(Activity::Inference) {
        "a GPU, a smaller or int8 model, or more workers"
    } else if is(Activity::Model) {
        "workers that stay up have the model loaded"
    } else if is(Activity::Encoding) || is(Activity::Drawing) {
        "more workers; without the annotated video (--no-video) it falls away"
    } else if is(Activity::Decode) {
        "more workers, or a source of less resolution"
    } else if is(Activity::Download) || activity == UPLOAD {
        "workers nearer to the bucket"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(stage: Stage, segment: u64, from_s: f64, to_s: f64, activities: &[(&'static str, f64)]) -> Work {
        let at = |seconds: f64| Timestamp::from_micros((seconds * 1e6) as i64);
        let activities = activities.iter().copied().collect();
        Work { stage, segment: Some(segment), began_at: at(from_s), ended_at: at(to_s), frames: 100, activities }
    }

    fn of(works: &[Work]) -> Timeline {
        let request = "req_0aZ9bY8c_20261123T182501".parse().unwrap();
        timeline(request, Timestamp::from_micros(0), works).unwrap()
    }

    fn clock(timeline: &Timeline) -> Vec<(Stage, f64)> {
        timeline.stages.iter().map(|stage| (stage.stage, stage.clock_s)).collect()
    }

    #[test]
    fn every_moment_is_counted_once_and_the_stage_with_most_of_them_is_the_bottleneck() {
        let works = [
            work(Stage::Split, 0, 1.0, 2.0, &[("cut", 1.0)]),
            // The second chunk is cut while the first one is tracked.
            work(Stage::Split, 1, 2.0, 3.0, &[("cut", 1.0)]),
            work(Stage::Track, 0, 2.0, 6.0, &[("inference", 3.5), ("decode", 3.6)]),
            work(Stage::Track, 1, 3.0, 9.0, &[("inference", 5.5), ("decode", 1.0)]),
            work(Stage::Merge, 0, 9.5, 10.0, &[]),
        ];
        let timeline = of(&works);
        assert_eq!(clock(&timeline), [(Stage::Split, 1.5), (Stage::Track, 6.5), (Stage::Merge, 0.5)]);
        assert_eq!((timeline.seconds, timeline.waiting_s), (9.0, 0.5));
        let track = &timeline.stages[1];
        assert_eq!((track.pieces, track.at_once, track.work_s, track.from_s, track.to_s), (2, 2, 10.0, 1.0, 8.0));
        assert_eq!((track.frames, track.frames_per_second), (200, 200.0 / 7.0));
        assert_eq!(track.slowest, Some(Slowest { segment: 1, seconds: 6.0, median_s: 6.0 }));
        let Bottleneck { stage, activity, share, advice } = timeline.bottleneck;
        assert_eq!((stage, activity, share), (Some(Stage::Track), Some("inference"), 6.5 / 9.0));
        assert!(advice.contains("GPU"));
    }

    #[test]
    fn where_nothing_is_at_work_for_longest_the_bottleneck_is_waiting() {
        let works = [work(Stage::Split, 0, 0.0, 1.0, &[]), work(Stage::Track, 0, 6.0, 8.0, &[])];
        let timeline = of(&works);
        assert_eq!((timeline.waiting_s, timeline.bottleneck.stage, timeline.bottleneck.share), (5.0, None, 5.0 / 8.0));
    }

    #[test]
    fn without_work_there_is_no_timeline() {
        let request: RequestId = "req_0aZ9bY8c_20261123T182501".parse().unwrap();
        assert_eq!(timeline(request, Timestamp::from_micros(0), &[]), None);
    }
}
