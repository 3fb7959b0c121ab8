//! The completion counter: which objects to count, and when a stage is complete.
//!
//! A single counter object can be rewritten only about once per second. So the count is divided into shards, as in Firestore's
//! distributed counters. Every segment's result object *is* a shard. It is created only once, so a duplicate delivery can't count
//! twice, and result and count are one atomic write. After a worker has written its result, it lists the shards of its group. The
//! names' first three digits are the group, so a group is at most 1,000 names: one page of a listing. With more than one group, a
//! worker that finds a group complete creates the group's marker and counts the markers the same way. So a completion costs at
//! most two listings and two creations, for 1 segment and for 1,000,000.

use crate::{
    names::{Bucket, Marker, ObjectName, PerSegment, counted_prefix},
    request::RequestId,
    segment::SegmentNumber,
    stage::Stage,
};

/// Segments in a full group: what one page of a listing holds.
pub const GROUP_SIZE: u32 = 1_000;

/// A fan-out stage whose completions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Detection of all segments.
    Track,
    /// Annotation of all segments.
    Annotate,
}

impl Counted {
    /// The stage that is counted.
    pub fn stage(self) -> Stage {
        match self {
            Self::Track => Stage::Track,
            Self::Annotate => Stage::Annotate,
        }
    }

    /// The result object of a segment. The existing ones are the count.
    pub fn shard(self) -> PerSegment {
        match self {
            Self::Track => PerSegment::Detections,
            Self::Annotate => PerSegment::Annotated,
        }
    }

    /// The marker that is created once, when the count is complete.
    pub fn marker(self) -> Marker {
        match self {
            Self::Track => Marker::Tracked,
            Self::Annotate => Marker::Annotated,
        }
    }

    /// The names' prefix that all shards of a segment's group share.
    pub fn group_prefix(self, request: &RequestId, segment: SegmentNumber) -> String {
        format!("{}{:03}", self.shard().prefix(request), group_of(segment))
    }

    /// The marker of a complete group.
    pub fn group_marker(self, request: &RequestId, segment: SegmentNumber) -> ObjectName {
        ObjectName::new(Bucket::Work, format!("{}{:03}", self.group_marker_prefix(request), group_of(segment)))
    }

    /// The names' prefix of all group markers.
    pub fn group_marker_prefix(self, request: &RequestId) -> String {
        counted_prefix(self.stage(), request)
    }
}

/// The group of a segment.
pub fn group_of(segment: SegmentNumber) -> u32 {
    segment.get() / GROUP_SIZE
}

/// How many groups `segment_count` segments make.
pub fn group_count(segment_count: u32) -> u32 {
    segment_count.div_ceil(GROUP_SIZE)
}

/// How many segments the group of `segment` has when complete.
pub fn group_size(segment: SegmentNumber, segment_count: u32) -> u32 {
    segment_count.saturating_sub(group_of(segment) * GROUP_SIZE).min(GROUP_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_tile_the_segments_and_never_pass_a_page() {
        for segment_count in [1, 999, 1_000, 1_001, 2_000, 123_456] {
            let mut sizes = vec![0; group_count(segment_count) as usize];
            for n in 0..segment_count {
                let segment = SegmentNumber::new(u64::from(n)).unwrap();
                sizes[group_of(segment) as usize] += 1;
            }
            for (group, size) in sizes.iter().enumerate() {
                let first = SegmentNumber::new(group as u64 * u64::from(GROUP_SIZE)).unwrap();
                assert_eq!(*size, group_size(first, segment_count), "{segment_count} segments, group {group}");
            }
        }
    }

    #[test]
    fn a_group_prefix_matches_its_own_shards_only() {
        let request: RequestId = "req_0aZ9bY8c_20261123T182501".parse().unwrap();
        let segment = |n| SegmentNumber::new(n).unwrap();
        let prefix = Counted::Track.group_prefix(&request, segment(1_234));
        for (n, inside) in [(999, false), (1_000, true), (1_999, true), (2_000, false), (10_000, false)] {
            let name = Counted::Track.shard().object(&request, segment(n)).name;
            assert_eq!(name.starts_with(&prefix), inside, "{name}");
        }
    }
}
