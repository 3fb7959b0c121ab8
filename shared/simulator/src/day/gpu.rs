//! Segments that share one instance's GPU and processors.

use super::profile::Profile;

/// The speed of an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speeds {
    /// Of one segment alone: the threads that decode it.
    of_segment: f64,
    /// Of all segments of an instance together: the network, or all its processors.
    of_instance: f64,
}

impl Speeds {
    pub(crate) fn new(profile: &Profile) -> Self {
        let frame_ms = profile.video.decode_ms + profile.video.scale_ms;
        let of_threads = |threads: f64| if frame_ms > 0.0 { threads * 1e3 / frame_ms } else { f64::INFINITY };
        let of_segment = of_threads(f64::from(profile.deployment.decoder_threads));
        let of_instance = profile.times.fps_per_gpu.min(of_threads(profile.deployment.gpu_vcpus));
        Self { of_segment, of_instance }
    }

    /// Frames a second of each segment, if this many run.
    fn of_each(self, segments: usize) -> f64 {
        self.of_segment.min(self.of_instance / segments.max(1) as f64)
    }

    /// The most that an instance with this many segments at a time makes.
    pub(crate) fn at_most(self, concurrency: u32) -> f64 {
        self.of_each(concurrency as usize) * f64::from(concurrency)
    }
}

/// When a GPU has to be looked at again, and which version of its work that is for.
type Alarm = (u64, u32);

/// The segments in progress on one GPU.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gpu {
    /// Each with the frames that are left.
    segments: Vec<(u32, f64)>,
    at_us: u64,
    version: u32,
}

/// Frames that a rounded microsecond may leave.
const NONE_LEFT: f64 = 1e-2;

impl Gpu {
    fn pass(&mut self, now_us: u64, speeds: Speeds) {
        let frames = (now_us - self.at_us) as f64 / 1e6 * speeds.of_each(self.segments.len());
        self.segments.iter_mut().for_each(|(_, left)| *left -= frames);
        self.at_us = now_us;
    }

    /// When the next segment is done, and the version to ask with.
    fn next(&mut self, speeds: Speeds) -> Option<Alarm> {
        self.version = self.version.wrapping_add(1);
        let least = self.segments.iter().map(|(_, left)| *left).fold(f64::INFINITY, f64::min);
        let wait_s = least.max(0.0) / speeds.of_each(self.segments.len());
        (!self.segments.is_empty()).then(|| (self.at_us + (wait_s * 1e6).ceil() as u64, self.version))
    }

    /// One more segment.
    pub(crate) fn begin(&mut self, job: u32, frames: f64, now_us: u64, speeds: Speeds) -> Option<Alarm> {
        self.pass(now_us, speeds);
        self.segments.push((job, frames));
        self.next(speeds)
    }

    /// What is done by now, and when the next will be; nothing where the version is an old one.
    pub(crate) fn done(&mut self, version: u32, now_us: u64, speeds: Speeds) -> Option<(Vec<u32>, Option<Alarm>)> {
        if version != self.version {
            return None;
        }
        self.pass(now_us, speeds);
        let done = self.segments.iter().filter(|(_, left)| *left <= NONE_LEFT).map(|(job, _)| *job).collect();
        self.segments.retain(|(_, left)| *left > NONE_LEFT);
        Some((done, self.next(speeds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_segments_share_a_gpu_and_one_alone_is_held_by_its_decoder() {
        let speeds = Speeds { of_segment: 80.0, of_instance: 100.0 };
        let mut gpu = Gpu::default();
        let (alone_us, _) = gpu.begin(1, 80.0, 0, speeds).unwrap();
        assert_eq!(alone_us, 1_000_000);
        // Half a second on: 40 frames are left of the first, and both get 50 a second.
        let (first_us, version) = gpu.begin(2, 80.0, 500_000, speeds).unwrap();
        assert_eq!(first_us, 1_300_000);
        let (done, next) = gpu.done(version, first_us, speeds).unwrap();
        assert_eq!((done, next.unwrap().0), (vec![1], 1_800_000));
        assert_eq!(gpu.done(version, 2_000_000, speeds), None, "an old alarm");
        assert_eq!(speeds.at_most(2), 100.0);
    }
}
