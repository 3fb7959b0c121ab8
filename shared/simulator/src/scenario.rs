//! What happens in a run apart from faults: uploads, overwrites, deletions, and how often faults occur.

use crate::stand_ins::UNJOINABLE;
use trackdrop_pipeline::{Appearance, Bucket, DetectEvery, Refinements, RequestSettings, names::ObjectName};

/// How often things go wrong, as probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// At an operation.
    pub operation: f64,
    /// That a message is delivered twice.
    pub duplicate: f64,
    /// That a message is late, so that it arrives after others.
    pub late: f64,
    /// That an acknowledgement is lost.
    pub ack_lost: f64,
    /// That the event of a new object is lost altogether; only the sweeper repairs that.
    pub lost: f64,
}

/// A file that is dropped into `uploads`.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// When, in whole seconds of the virtual clock; no two at the same.
    pub at_s: i64,
    /// The object's name.
    pub name: String,
    /// The stand-in video.
    pub text: String,
    /// How it is to be processed.
    pub settings: RequestSettings,
}

impl Upload {
    /// The object.
    pub fn object(&self) -> ObjectName {
        ObjectName::new(Bucket::Uploads, self.name.clone())
    }
}

/// Everything that happens in a run apart from faults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// What is uploaded. A name that comes again is overwritten.
    pub uploads: Vec<Upload>,
    /// What is deleted, and when in milliseconds.
    pub deletions: Vec<(i64, String)>,
    /// Moments, in milliseconds, when a fault may kill all running handlers.
    pub deaths_ms: Vec<i64>,
    /// When a fault may set the clock back: the moment in milliseconds and the seconds.
    pub clock_set_back: Option<(i64, u64)>,
    /// Seconds between two windows of `load`. None if each request is loaded separately.
    pub load_window_s: Option<u64>,
    /// Seconds between two runs of the sweeper. None if there is no sweeper.
    pub sweep_every_s: Option<u64>,
    /// How often things go wrong.
    pub rates: Rates,
    /// Whether faults may use up every attempt of a delivery, so that requests fail. A gentle run leaves the last attempt alone, and every
    /// request must then be done.
    pub rough: bool,
}

/// Segments that a random upload has at most.
pub const MOST_SEGMENTS: u32 = 2_000;
/// One in this many uploads has more than 60 segments.
const LONG_ONE_IN: u16 = 300;

const NAMES: [&str; 3] = ["clip.mp4", "a b/день.mkv", "req_00000000_20260101T000000"];

/// Settings that random uploads have.
fn settings(random: &mut fastrand::Rng) -> RequestSettings {
    let segment_seconds = [1.0, 2.0, 4.0][random.usize(..3)];
    RequestSettings { segment_seconds, video: random.u8(..3) > 0, ..RequestSettings::default() }
}

/// A random upload's video and its settings. Most have few segments, so that many seeds can be run; one in three hundred has up to
/// [`MOST_SEGMENTS`]. There are few different short ones, so that the undisturbed results of each are made once and used often.
fn video(random: &mut fastrand::Rng) -> (String, RequestSettings) {
    let mut settings = settings(random);
    let text = match random.u8(..40) {
        0 => "holiday.txt: no video at all".to_owned(),
        1 => "frames=600 gop=10 seed=12".to_owned(),
        2..8 => "frames=7 gop=10 seed=4".to_owned(),
        _ => {
            let frames = [10, 24, 35, 60][random.usize(..4)];
            let seed = [3, 13, 20, 32][random.usize(..4)];
            let video = format!("frames={frames} gop=5 seed={seed}");
            if (frames, seed) == (24, 20) {
                settings.detect_every = 3.try_into().unwrap_or(DetectEvery::ALL);
            }
            if (frames, seed) == (60, 3) {
                (settings.refine, settings.appearance) = (Refinements::best(), Some(Appearance::COLOR));
            }
            if (frames, seed) == (60, 13) {
                settings.detect_every = "auto:50".parse().unwrap_or(DetectEvery::AUTO);
            }
            if (frames, seed) == (35, 32) { format!("{video} {UNJOINABLE}") } else { video }
        }
    };
    if random.u16(..LONG_ONE_IN) > 0 {
        return (text, settings);
    }
    settings.segment_seconds = 0.1;
    (format!("frames={} gop=1 seed=3", many_segments(random)), settings)
}

/// So that about as many have 60 to 120 segments as 1,000 to 2,000, and a few are just where a group of the counter ends.
fn many_segments(random: &mut fastrand::Rng) -> u32 {
    if random.u8(..3) == 0 {
        return [999, 1_000, 1_001, MOST_SEGMENTS][random.usize(..4)];
    }
    let (few, many) = (60_f64.ln(), f64::from(MOST_SEGMENTS).ln());
    (few + random.f64() * (many - few)).exp().round() as u32
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x7472_6163_6b64_726f);
        let mut at_s = 0;
        let mut uploads = vec![];
        for _ in 0..random.usize(1..=3) {
            at_s += random.i64(1..=3);
            let name = NAMES[random.usize(..NAMES.len())].to_owned();
            // Now and then the very same file comes again.
            let again = uploads.last().filter(|_| random.u8(..4) == 0).cloned();
            let (text, settings) = match again {
                Some(Upload { text, settings, .. }) => (text, settings),
                None => video(&mut random),
            };
            uploads.push(Upload { at_s, name, text, settings });
        }
        let mut deletions = vec![];
        if random.u8(..5) == 0 {
            let upload = &uploads[random.usize(..uploads.len())];
            deletions.push((upload.at_s * 1_000 + random.i64(1..4_000), upload.name.clone()));
        }
        let deaths_ms = (0..random.usize(..3)).map(|_| random.i64(1_000..20_000)).collect();
        let clock_set_back =
            (random.u8(..8) == 0).then(|| (at_s * 1_000 + random.i64(500..60_000), random.u64(1..100_000)));
        let often = [0.0, 0.003, 0.01, 0.03, 0.1];
        let mut rate = || often[random.usize(..often.len())];
        let mut rates =
            Rates { operation: rate(), duplicate: rate() * 2.0, late: rate() * 2.0, ack_lost: rate(), lost: 0.0 };
        let rough = random.u8(..4) == 0;
        let load_window_s = (random.u8(..4) == 0).then(|| [5, 60, 180][random.usize(..3)]);
        let sweep_every_s = (random.u8(..4) == 0).then_some(900);
        if sweep_every_s.is_some() {
            rates.lost = often[random.usize(..often.len())];
        }
        Self { uploads, deletions, deaths_ms, clock_set_back, load_window_s, sweep_every_s, rates, rough }
    }

    /// One upload and nothing else.
    pub fn undisturbed(upload: &Upload) -> Self {
        Self { uploads: vec![upload.clone()], ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of the videos of the first seeds that have a segment a frame.
    fn long_videos(seeds: u64) -> Vec<u32> {
        let uploads = (0..seeds).flat_map(|seed| Scenario::of(seed).uploads);
        let frames = uploads.filter_map(|upload| upload.text.strip_suffix(" gop=1 seed=3").map(str::to_owned));
        frames.map(|text| text.trim_start_matches("frames=").parse().unwrap()).collect()
    }

    #[test]
    fn the_seeds_of_the_tests_reach_every_size_of_request() {
        let long = long_videos(2_000);
        let within = |range: std::ops::RangeInclusive<u32>| long.iter().filter(|frames| range.contains(frames)).count();
        for range in [60..=200, 201..=998, 999..=1_001, MOST_SEGMENTS..=MOST_SEGMENTS] {
            assert!(within(range.clone()) > 0, "none of {range:?} in {long:?}");
        }
        assert_eq!(within(60..=MOST_SEGMENTS), long.len());
        eprintln!("{long:?}");
    }
}
