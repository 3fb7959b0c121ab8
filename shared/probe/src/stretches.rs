//! Chooses the stretches of a video.

use std::ops::Range;

/// How much of a video may be examined to choose its stride.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// The largest share of its frames.
    pub most_share: f64,
    /// The smallest number of frames of a stretch. Shorter ones would not show errors between two looks.
    pub shortest: u64,
    /// The largest number of frames of a stretch.
    pub longest: u64,
    /// The smallest number of stretches. The differences between them give the standard error.
    pub fewest: u64,
    /// The largest number of stretches.
    pub most: u64,
}

impl Default for Budget {
    /// At most a twentieth of the video, in 2 to 8 stretches of 60 to 240 frames.
    fn default() -> Self {
        Self { most_share: 0.05, shortest: 60, longest: 240, fewest: 2, most: 8 }
    }
}

impl Budget {
    /// The stretches of a video with this many frames, ascending and without overlap. Empty if they would be too few or
    /// too short.
    ///
    /// They are spread evenly over the video. Each begins at a key frame, where decoding can begin. `key_frames` are
    /// the indices of key frames, ascending.
    #[must_use]
    pub fn stretches(&self, key_frames: &[u64], frame_count: u64) -> Vec<Range<u64>> {
        let all = (frame_count as f64 * self.most_share) as u64;
        if all < self.shortest.max(1) * self.fewest {
            return Vec::new();
        }
        // A longer video first has longer stretches, up to twice the shortest length. Then it has more stretches, and
        // then again longer ones. Long stretches show losses better, because objects are tracked for longer.
        let number = (all / (2 * self.shortest.max(1))).clamp(self.fewest, self.most.max(self.fewest));
        let length = (all / number).min(self.longest);
        let mut stretches: Vec<Range<u64>> = Vec::new();
        for nth in 0..number {
            let end = stretches.last().map_or(0, |last| last.end);
            let is_free = |start: &u64| *start >= end && start + length <= frame_count;
            let middle = frame_count.saturating_mul(2 * nth + 1) / (2 * number);
            let after = key_frames.iter().skip(key_frames.partition_point(|&at| at < middle)).copied().find(is_free);
            let before = || key_frames.iter().rev().copied().find(|start| *start < middle && is_free(start));
            stretches.extend(after.or_else(before).map(|start| start..start + length));
        }
        if (stretches.len() as u64) < self.fewest {
            return Vec::new();
        }
        stretches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_a_small_part_of_the_video_and_apart() {
        let budget = Budget::default();
        for (frames, gop) in (0..60_u64).flat_map(|nth| [1, 12, 250, 3_000].map(|gop| (nth * nth * 97, gop))) {
            let key_frames: Vec<u64> = (0..frames).step_by(gop).collect();
            let stretches = budget.stretches(&key_frames, frames);
            let all: u64 = stretches.iter().map(|stretch| stretch.end - stretch.start).sum();
            assert!(all * 20 <= frames, "{all} of {frames}");
            assert!(stretches.windows(2).all(|two| two[0].end <= two[1].start), "{stretches:?}");
            assert!(stretches.iter().all(|stretch| key_frames.contains(&stretch.start) && stretch.end <= frames));
            assert!(stretches.is_empty() || stretches.len() >= 2);
            assert!(stretches.iter().all(|stretch| (60..=240).contains(&(stretch.end - stretch.start))));
            assert!(frames < 2_400 || gop > 250 || stretches.len() >= 2, "{frames} {gop}");
        }
    }

    #[test]
    fn an_hour_has_eight_long_stretches_all_over_it() {
        let key_frames: Vec<u64> = (0..108_000).step_by(60).collect();
        let stretches = Budget::default().stretches(&key_frames, 108_000);
        let starts: Vec<u64> = stretches.iter().map(|stretch| stretch.start).collect();
        assert_eq!(starts, [6_780, 20_280, 33_780, 47_280, 60_780, 74_280, 87_780, 101_280]);
        assert!(stretches.iter().all(|stretch| stretch.end - stretch.start == 240));
    }

    #[test]
    fn too_short_a_video_or_one_key_frame_has_none() {
        let budget = Budget::default();
        let every: Vec<u64> = (0..3_000).collect();
        assert!(budget.stretches(&every[..2_399], 2_399).is_empty());
        assert_eq!(budget.stretches(&every[..2_400], 2_400), [600..660, 1_800..1_860]);
        assert!(budget.stretches(&[0], 100_000).is_empty());
        assert!(budget.stretches(&[], 100_000).is_empty());
        // The key frames need not be where a stretch is wanted.
        assert_eq!(budget.stretches(&[0, 700, 1_000], 2_400), [700..760, 1_000..1_060]);
        assert!(budget.stretches(&[0, 700], 2_400).is_empty(), "one place is too few");
    }
}
