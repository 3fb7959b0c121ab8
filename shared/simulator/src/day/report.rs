//! The report of a day: latencies, deliveries, operations, cost, and the first limit that is reached.

mod text;

use super::{
    flow::Day,
    histogram::Histogram,
    limits::source_of,
    operations::Operations,
    profile::{Profile, TrackDelivery},
    stages::shape,
};
use serde::Serialize;
use std::collections::BTreeMap;
use trackdrop_pipeline::Stage;

/// A day's report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The seed of uploads and backoffs.
    pub seed: u64,
    /// Uploads.
    pub videos: u64,
    /// Hours of video.
    pub video_hours: f64,
    /// Segments.
    pub segments: u64,
    /// Videos whose rows exist.
    pub with_rows: u64,
    /// Videos that have ended and whose end is published.
    pub done: u64,
    /// Videos that failed: a delivery was abandoned.
    pub failed: u64,
    /// Videos that have their rows, but whose end was not published within the simulated time.
    pub untold: u64,
    /// Seconds from the upload until each step was reached.
    pub latency: BTreeMap<&'static str, Percentiles>,
    /// By function.
    pub functions: BTreeMap<&'static str, OfFunction>,
    /// Operations by function.
    pub operations: BTreeMap<&'static str, Operations>,
    /// Writes of progress, which are among the operations and depend on the clock.
    pub progress_writes: u64,
    /// Where a video waited beside queues, in seconds a video.
    pub waits: BTreeMap<&'static str, f64>,
    /// GPU instances.
    pub gpu: Gpus,
    /// Dollars.
    pub cost: Cost,
    /// Use of each resource at the busiest time, the most used first.
    pub uses: Vec<Use>,
    /// The goals of the day, and the results.
    pub goals: Vec<Goal>,
    /// Seconds until nothing was left to do.
    pub seconds: f64,
    /// Moments that were simulated.
    pub moments: u64,
}

/// Durations in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many there are.
    pub count: u64,
    /// Of half of them.
    pub p50_s: f64,
    /// Of nine in ten.
    pub p90_s: f64,
    /// Of 99 in 100.
    pub p99_s: f64,
    /// The longest.
    pub longest_s: f64,
    /// The average.
    pub mean_s: f64,
}

/// The work of one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct OfFunction {
    /// Events that started it.
    pub events: u64,
    /// Deliveries of these events, with redeliveries.
    pub deliveries: u64,
    /// Deliveries that were refused with 429, because no instance had a free slot in time.
    pub turned_away: u64,
    /// Deliveries that took longer than Pub/Sub waits. They would be delivered again.
    pub past_deadline: u64,
    /// Seconds from an event to an instance, on average.
    pub waited_s: f64,
    /// Seconds that a delivery took an instance's room, on average.
    pub worked_s: f64,
    /// Starts of instances.
    pub starts: u64,
    /// Instances at the same time, at most.
    pub most_instances: u32,
}

/// GPU instances.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gpus {
    /// Hours that they lived and are paid for.
    pub hours: f64,
    /// Hours in which they worked.
    pub busy_hours: f64,
    /// Frames a second that one makes at most: the network, or what its processors decode.
    pub fps_at_most: f64,
    /// What holds it: the network or decoding.
    pub held_by: &'static str,
}

/// Dollars.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// GPU instances, for as long as they lived.
    pub gpu: f64,
    /// The other instances, for as long as they were busy or starting.
    pub other_instances: f64,
    /// Operations on buckets.
    pub operations: f64,
    /// Messages.
    pub messages: f64,
    /// All of it.
    pub total: f64,
    /// All of it for an hour of video.
    pub per_video_hour: f64,
    /// What an hour of video would cost on GPU instances that are never idle.
    pub per_video_hour_gpu_always_busy: f64,
    /// The month of the prices.
    pub prices_of: String,
}

/// A limited resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Use {
    /// What.
    pub what: String,
    /// The demand in the busiest hour, or in the day.
    pub used: f64,
    /// The limit.
    pub limit: f64,
    /// The unit.
    pub unit: &'static str,
    /// `used / limit`.
    pub share: f64,
    /// Videos per day, of this kind and distribution, at which the limit is reached.
    pub videos_at_limit: f64,
    /// How to raise the limit, or who sets it.
    pub bound: String,
}

/// A goal and its result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// The goal.
    pub what: &'static str,
    /// At most this.
    pub wanted: f64,
    /// The result.
    pub reached: f64,
    /// Whether it is reached.
    pub is_met: bool,
    /// The parts of the result, the largest first.
    pub made_of: Vec<(String, f64)>,
}

fn percentiles(histogram: &Histogram) -> Percentiles {
    Percentiles {
        count: histogram.count(),
        p50_s: histogram.percentile(0.5),
        p90_s: histogram.percentile(0.9),
        p99_s: histogram.percentile(0.99),
        longest_s: histogram.longest_s(),
        mean_s: histogram.mean_s(),
    }
}

/// Computes the report of a day.
pub(crate) fn of(day: &Day<'_>, profile: &Profile, seed: u64, now_us: u64) -> Report {
    let sums = &day.sums;
    let per_video = |us: u128| us as f64 / 1e6 / sums.uploaded.max(1) as f64;
    let mut functions = BTreeMap::new();
    let mut operations = BTreeMap::new();
    for function in Stage::ALL {
        let at = function as usize;
        let pool = &day.pools[at];
        let deliveries = sums.deliveries[at];
        let worked = (deliveries - sums.turned_away[at]).max(1) as f64;
        functions.insert(
            function.name(),
            OfFunction {
                events: sums.events[at],
                deliveries,
                turned_away: sums.turned_away[at],
                past_deadline: sums.past_deadline[at],
                waited_s: sums.waited_us[at] as f64 / 1e6 / worked,
                worked_s: sums.worked_us[at] as f64 / 1e6 / worked,
                starts: pool.starts,
                most_instances: pool.most_up,
            },
        );
        operations.insert(function.name(), sums.operations[at]);
    }
    let (gpu_s, gpu_busy_s) = day.pools[Stage::Track as usize].seconds(now_us);
    let concurrency = day.pools[Stage::Track as usize].options.concurrency;
    let fps_at_most = day.speeds.at_most(concurrency);
    let held_by = if fps_at_most < profile.times.fps_per_gpu { "decoding on its processors" } else { "the network" };
    let gpu = Gpus { hours: gpu_s / 3_600.0, busy_hours: gpu_busy_s / 3_600.0, fps_at_most, held_by };
    let cost = cost(day, profile, now_us, gpu_s, fps_at_most);
    let latency = BTreeMap::from([
        ("1 split begins", percentiles(&sums.to_split)),
        ("2 all tracked", percentiles(&sums.to_tracked)),
        ("3 merged", percentiles(&sums.to_merged)),
        ("4 rows", percentiles(&sums.rows)),
        ("5 over", percentiles(&sums.to_end)),
    ]);
    let waits = BTreeMap::from([
        ("a write a second of the manifest", per_video(sums.manifest_us)),
        ("room in a bucket", per_video(sums.throttled_us)),
        ("the load window", per_video(sums.window_us)),
    ]);
    let mut report = Report {
        seed,
        videos: sums.uploaded,
        video_hours: sums.video_s / 3_600.0,
        segments: sums.segments,
        with_rows: sums.with_rows,
        done: sums.done,
        failed: sums.failed,
        untold: sums.uploaded - sums.done - sums.failed,
        latency,
        functions,
        operations,
        progress_writes: sums.folds,
        waits,
        gpu,
        cost,
        uses: uses(day, profile, fps_at_most),
        goals: vec![],
        seconds: now_us as f64 / 1e6,
        moments: sums.moments,
    };
    report.goals = goals(&report, profile);
    report
}

fn cost(day: &Day<'_>, profile: &Profile, now_us: u64, gpu_s: f64, fps_at_most: f64) -> Cost {
    let (prices, sums, deployment) = (&profile.prices, &day.sums, &profile.deployment);
    let second = |vcpus: f64, gib: f64| vcpus * prices.vcpu_second + gib * prices.gib_second;
    let gpu_second = prices.gpu_second + second(deployment.gpu_vcpus, deployment.gpu_gib);
    let mut other_instances = 0.0;
    for function in Stage::ALL.into_iter().filter(|function| *function != Stage::Track) {
        let pool = &day.pools[function as usize];
        let (_, busy_s) = pool.seconds(now_us);
        let started_s = pool.starts as f64 * pool.options.start_us as f64 / 1e6;
        let (vcpus, gib) = shape(function);
        other_instances += (busy_s + started_s) * second(vcpus, gib);
    }
    let all = sums.operations.iter().fold(Operations::default(), |all, operations| all + *operations);
    let objects = all.objects();
    let operations =
        objects.class_a() as f64 / 1e4 * prices.class_a_10k + objects.class_b() as f64 / 1e4 * prices.class_b_10k;
    let messages = message_bytes(day, profile, &all) / 1_099_511_627_776.0 * prices.message_tib;
    let gpu = gpu_s * gpu_second;
    let total = gpu + other_instances + operations + messages;
    let video_hours = (sums.video_s / 3_600.0).max(f64::MIN_POSITIVE);
    Cost {
        gpu,
        other_instances,
        operations,
        messages,
        total,
        per_video_hour: total / video_hours,
        per_video_hour_gpu_always_busy: 3_600.0 * profile.video.frame_rate / fps_at_most * gpu_second
            + (total - gpu) / video_hours,
        prices_of: prices.as_of.clone(),
    }
}

/// Bytes that are published and delivered: each new object of `work` is filtered by the subscriptions of five functions, and each of them is paid.
fn message_bytes(day: &Day<'_>, profile: &Profile, all: &Operations) -> f64 {
    let published = (all.work.put + day.sums.uploaded + all.publish) as f64;
    published * 6.0 * profile.times.message_bytes
}

fn uses(day: &Day<'_>, profile: &Profile, fps_at_most: f64) -> Vec<Use> {
    let (sums, limits, deployment) = (&day.sums, &profile.limits, &profile.deployment);
    let weights: f64 = profile.shape.iter().sum();
    let busiest = profile.shape.iter().copied().fold(0.0, f64::max) / weights;
    // What comes in a second of the busiest part of the day, of what comes in the day.
    let a_second = busiest * profile.shape.len() as f64 / 86_400.0;
    let mut uses = vec![];
    let mut add = |what: String, used: f64, limit: f64, unit: &'static str, bound: String| {
        let share = if limit > 0.0 { used / limit } else { f64::INFINITY };
        let videos_at_limit = if share > 0.0 { f64::from(profile.videos) / share } else { f64::INFINITY };
        uses.push(Use { what, used, limit, unit, share, videos_at_limit, bound });
    };
    let setting = match deployment.track_delivery {
        TrackDelivery::Push => "gpu_max_instances, and the quota of L4 GPUs",
        TrackDelivery::Pull => "max of the workers, and the quota of L4 GPUs",
    };
    let gpus_wanted = sums.frames * a_second / fps_at_most;
    add("GPUs".into(), gpus_wanted, f64::from(deployment.gpus), "instances", setting.into());
    for function in Stage::ALL.into_iter().filter(|function| *function != Stage::Track) {
        let at = function as usize;
        let options = day.pools[at].options;
        let wanted = sums.worked_us[at] as f64 / 1e6 * a_second / f64::from(options.concurrency);
        let bound = match function {
            Stage::Annotate => "annotate_max_instances".to_owned(),
            function => format!("max of {} in terraform/modules/functions/main.tf", function.name()),
        };
        add(format!("instances of {}", function.name()), wanted, f64::from(options.max), "instances", bound);
    }
    let all = sums.operations.iter().fold(Operations::default(), |all, operations| all + *operations);
    for (bucket, verbs) in [("uploads", all.uploads), ("work", all.work), ("results", all.results)] {
        let mut of_bucket = |what: &str, requests: u64, limit: f64, name: &str| {
            let bound = format!("{}; it grows with use", source_of(name));
            add(format!("{what} of bucket {bucket}"), requests as f64 * a_second, limit, "a second", bound);
        };
        of_bucket("writes", verbs.writes(), limits.bucket_writes_per_s, "bucket_writes_per_s");
        of_bucket("reads", verbs.reads(), limits.bucket_reads_per_s, "bucket_reads_per_s");
    }
    // Windows are as many whatever the volume; without them each video is a job.
    let windows = if deployment.load_window_minutes > 0.0 { 1_440.0 / deployment.load_window_minutes } else { 0.0 };
    let videos = f64::from(profile.videos);
    let loads = if windows > 0.0 { windows } else { videos };
    let per_day = source_of("table_loads_per_day");
    if windows == 0.0 {
        add("load jobs of table tracks".into(), loads, limits.table_loads_per_day, "a day", per_day.into());
    } else {
        let files = videos * a_second * deployment.load_window_minutes * 60.0;
        let bound = source_of("load_files");
        add("files in a load window".into(), files, f64::from(limits.load_files), "files", bound.into());
    }
    let per_project = source_of("project_loads_per_day");
    add("load jobs of the project".into(), 2.0 * loads, limits.project_loads_per_day, "a day", per_project.into());
    if windows == 0.0 {
        add("load jobs of table requests".into(), videos, limits.table_loads_per_day, "a day", per_day.into());
        let per_10_s = source_of("table_loads_per_10_s");
        let in_10_s = videos * a_second * 10.0;
        let what = "load jobs of table requests at once";
        add(what.into(), in_10_s, limits.table_loads_per_10_s, "in 10 s", per_10_s.into());
    }
    let published = (all.work.put + sums.uploaded + all.publish) as f64 * a_second * profile.times.message_bytes;
    let bound = source_of("publish_bytes_per_s");
    add("messages published".into(), published, limits.publish_bytes_per_s, "bytes a second", bound.into());
    let pushed: u64 = Stage::ALL
        .into_iter()
        .filter(|function| *function != Stage::Track || deployment.track_delivery == TrackDelivery::Push)
        .map(|function| sums.deliveries[function as usize])
        .sum();
    let pushed = pushed as f64 * a_second * profile.times.message_bytes;
    let bound = source_of("push_bytes_per_s");
    add("messages pushed".into(), pushed, limits.push_bytes_per_s, "bytes a second", bound.into());
    uses.sort_by(|a, b| b.share.total_cmp(&a.share));
    uses
}

fn goals(report: &Report, profile: &Profile) -> Vec<Goal> {
    let mut goals = vec![];
    let largest_first = |mut parts: Vec<(String, f64)>| {
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        parts
    };
    if let Some(wanted) = profile.goals.rows_within_s {
        let p50 = |name: &str| report.latency.get(name).map_or(0.0, |latency| latency.p50_s);
        let [begins, tracked, merged, rows] = ["1 split begins", "2 all tracked", "3 merged", "4 rows"].map(p50);
        let made_of = largest_first(vec![
            ("until split begins".into(), begins),
            ("splitting and detecting, side by side".into(), tracked - begins),
            ("merging".into(), merged - tracked),
            ("loading".into(), rows - merged),
        ]);
        let is_met = rows <= wanted && report.with_rows == report.videos;
        goals.push(Goal { what: "seconds from upload to rows, p50", wanted, reached: rows, is_met, made_of });
    }
    if let Some(wanted) = profile.goals.usd_per_video_hour {
        let (cost, hours) = (&report.cost, report.video_hours.max(f64::MIN_POSITIVE));
        let busy_share = if report.gpu.hours > 0.0 { report.gpu.busy_hours / report.gpu.hours } else { 0.0 };
        let made_of = largest_first(vec![
            ("GPU instances that work".into(), cost.gpu / hours * busy_share),
            ("GPU instances that start or are idle".into(), cost.gpu / hours * (1.0 - busy_share)),
            ("other instances".into(), cost.other_instances / hours),
            ("operations on buckets".into(), cost.operations / hours),
            ("messages".into(), cost.messages / hours),
        ]);
        let (reached, is_met) = (cost.per_video_hour, cost.per_video_hour <= wanted);
        goals.push(Goal { what: "dollars a video-hour", wanted, reached, is_met, made_of });
    }
    goals
}
