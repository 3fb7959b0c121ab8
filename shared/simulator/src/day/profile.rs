//! The profile of a day: the uploads, the deployment, times, limits and prices.

mod parse;

pub use parse::ProfileError;

use super::limits::Limits;
use serde::{Deserialize, Serialize};
use trackdrop_pipeline::cost::Prices;

/// A day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Uploads in the day.
    pub videos: u32,
    /// How the uploads are distributed over the day: weights of equal parts of it.
    pub shape: Vec<f64>,
    /// How long they are.
    pub lengths: Vec<Length>,
    /// What they are.
    pub video: Video,
    /// Whether the annotated video is made.
    pub annotated: bool,
    /// Target length of a segment.
    pub segment_seconds: f64,
    /// The deployment that processes them.
    pub deployment: Deployment,
    /// How long things take.
    pub times: Times,
    /// The limits of Google's services.
    pub limits: Limits,
    /// What things cost.
    pub prices: DayPrices,
    /// The goals of the day; none is no goal.
    pub goals: Goals,
}

/// Videos of one length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Length {
    /// Seconds.
    pub seconds: f64,
    /// How many of all, as a weight.
    pub share: f64,
}

/// What a video is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Video {
    /// Frames a second.
    pub frame_rate: f64,
    /// Bytes a second of the upload.
    pub bytes_per_s: f64,
    /// Objects in a frame.
    pub objects: f64,
    /// Milliseconds of one thread to decode a frame.
    pub decode_ms: f64,
    /// Milliseconds of one thread to scale a frame and convert its colours.
    pub scale_ms: f64,
    /// Milliseconds of processor to decode, draw and encode a frame of the annotated video.
    pub annotate_ms: f64,
}

/// How chunks reach the GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackDelivery {
    /// Pub/Sub pushes to a service.
    Push,
    /// Workers pull; an autoscaler sets their number.
    Pull,
}

/// Terraform's variables and shapes, and the trigger files' concurrency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deployment {
    /// Push or pull.
    pub track_delivery: TrackDelivery,
    /// Largest number of GPU instances.
    pub gpus: u32,
    /// GPU instances that always run.
    pub gpus_at_least: u32,
    /// CPUs beside a GPU.
    pub gpu_vcpus: f64,
    /// GiB of memory beside a GPU.
    pub gpu_gib: f64,
    /// Threads that decode a segment of `track`: the instance's CPUs, shared by its deliveries.
    pub decoder_threads: u32,
    /// Seconds in which workers that pull should process the waiting segments.
    pub drain_target_s: f64,
    /// Seconds per segment with which their autoscaler computes.
    pub seconds_per_segment: f64,
    /// Largest number of instances of `split`.
    pub split_max_instances: u32,
    /// Largest number of instances of `merge`.
    pub merge_max_instances: u32,
    /// Largest number of instances of `load`.
    pub load_max_instances: u32,
    /// Largest number of instances of `annotate`.
    pub annotate_max_instances: u32,
    /// Largest number of instances of `join`.
    pub join_max_instances: u32,
    /// Minutes between two load windows; 0 loads each request by itself.
    pub load_window_minutes: f64,
    /// Whether every instance has started before the day begins and never stops.
    pub all_started: bool,
}

/// How long things take. `docs/scale.md` says of each whether it was measured and where, or assumed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Times {
    /// From an object to the delivery of its event.
    pub event_s: f64,
    /// A read of a small object, or a stat.
    pub read_s: f64,
    /// A page of a listing.
    pub list_s: f64,
    /// A write of a small object.
    pub write_s: f64,
    /// Bytes a second between an instance and a bucket.
    pub bytes_per_s: f64,
    /// Start of an instance without a GPU.
    pub start_s: f64,
    /// Start of an instance with a GPU, its model included.
    pub gpu_start_s: f64,
    /// Bytes a second that `split` cuts and `join` joins.
    pub cut_bytes_per_s: f64,
    /// Microseconds of `merge` a frame with 50 objects, both passes, reading and writing.
    pub merge_frame_us: f64,
    /// Frames a second that the network takes on one GPU.
    pub fps_per_gpu: f64,
    /// A load job.
    pub load_job_s: f64,
    /// Bytes of a notification, the object's custom metadata included.
    pub message_bytes: f64,
}

/// List prices in US dollars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DayPrices {
    /// The month that they are of.
    pub as_of: String,
    /// A second of an L4.
    pub gpu_second: f64,
    /// A second of a vCPU.
    pub vcpu_second: f64,
    /// A second of a GiB of memory.
    pub gib_second: f64,
    /// Ten thousand operations of class A.
    pub class_a_10k: f64,
    /// Ten thousand operations of class B.
    pub class_b_10k: f64,
    /// A TiB of messages.
    pub message_tib: f64,
}

/// The goals of a day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Goals {
    /// Seconds from upload to rows for half of the videos.
    pub rows_within_s: Option<f64>,
    /// Dollars per hour of video.
    pub usd_per_video_hour: Option<f64>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            videos: 1_000,
            // People upload by day: a quarter of the average at night, twice the average at the busiest hour.
            shape: vec![
                0.4, 0.3, 0.25, 0.25, 0.3, 0.4, 0.6, 0.8, 1.0, 1.1, 1.2, 1.2, 1.2, 1.2, 1.2, 1.3, 1.4, 1.6, 1.9, 2.0,
                1.7, 1.3, 0.8, 0.6,
            ],
            lengths: vec![
                Length { seconds: 15.0, share: 40.0 },
                Length { seconds: 60.0, share: 40.0 },
                Length { seconds: 300.0, share: 17.0 },
                Length { seconds: 1_800.0, share: 3.0 },
            ],
            video: Video::default(),
            annotated: false,
            segment_seconds: 10.0,
            deployment: Deployment::default(),
            times: Times::default(),
            limits: Limits::default(),
            prices: DayPrices::default(),
            goals: Goals::default(),
        }
    }
}

impl Default for Video {
    fn default() -> Self {
        Self {
            frame_rate: 30.0,
            bytes_per_s: 625_000.0,
            objects: 10.0,
            decode_ms: 6.4,
            scale_ms: 1.29,
            annotate_ms: 44.3,
        }
    }
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            track_delivery: TrackDelivery::Push,
            gpus: 3,
            gpus_at_least: 0,
            gpu_vcpus: 4.0,
            gpu_gib: 16.0,
            decoder_threads: 2,
            drain_target_s: 600.0,
            seconds_per_segment: 3.0,
            split_max_instances: 20,
            merge_max_instances: 10,
            load_max_instances: 4,
            annotate_max_instances: 20,
            join_max_instances: 10,
            load_window_minutes: 0.0,
            all_started: false,
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            event_s: 0.1,
            read_s: 0.02,
            list_s: 0.04,
            write_s: 0.06,
            bytes_per_s: 100e6,
            start_s: 2.0,
            gpu_start_s: 30.0,
            cut_bytes_per_s: 0.84e9,
            merge_frame_us: 25.6,
            fps_per_gpu: 667.0,
            load_job_s: 5.0,
            message_bytes: 4_000.0,
        }
    }
}

impl Default for DayPrices {
    fn default() -> Self {
        let of_estimates = Prices::built_in();
        Self {
            as_of: of_estimates.as_of,
            gpu_second: of_estimates.gpu_second,
            vcpu_second: of_estimates.vcpu_second,
            gib_second: of_estimates.gib_second,
            class_a_10k: 0.05,
            class_b_10k: 0.004,
            message_tib: 40.0,
        }
    }
}

/// The profiles that are built in: name, what it is, and what differs from the defaults.
pub const BUILT_IN: [(&str, &str); 7] = [
    ("small", include_str!("../../profiles/small.yaml")),
    ("hundred", include_str!("../../profiles/hundred.yaml")),
    ("thousand", include_str!("../../profiles/thousand.yaml")),
    ("ten-thousand", include_str!("../../profiles/ten-thousand.yaml")),
    ("hundred-thousand", include_str!("../../profiles/hundred-thousand.yaml")),
    ("million", include_str!("../../profiles/million.yaml")),
    ("hour-on-20", include_str!("../../profiles/hour-on-20.yaml")),
];
