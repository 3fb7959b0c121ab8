//! What the definitions count, of the crossings and visits that `slow` finds: one track at a time, without SQL.

use super::{
    At,
    slow::{Crossing, crossings, visits},
};
use std::collections::{BTreeMap, BTreeSet};

/// A line `gate` and a zone `it`, and what is asked about them.
pub(crate) struct Asked {
    pub(crate) line: Vec<[f64; 2]>,
    pub(crate) zone: Vec<[f64; 2]>,
    pub(crate) hysteresis: f64,
    pub(crate) absence_s: f64,
    pub(crate) settle_s: f64,
    pub(crate) interval_s: f64,
}

/// The class that most rows of a track have; of two, the first by name.
fn class_of(track: &[At]) -> &'static str {
    let mut votes: BTreeMap<&'static str, usize> = BTreeMap::new();
    track.iter().for_each(|at| *votes.entry(at.class).or_default() += 1);
    let most = votes.values().copied().max().unwrap_or_default();
    votes.into_iter().find(|(_, count)| *count == most).map_or("", |(class, _)| class)
}

/// Whether a span of time begins within a second of the track's first position, or ends within a second of its last one.
fn is_near(track: &[At], from_s: f64, to_s: f64) -> bool {
    let times = || track.iter().map(|at| at.time_s);
    let (first, last) = (times().fold(f64::INFINITY, f64::min), times().fold(f64::NEG_INFINITY, f64::max));
    from_s <= first + 1.0 || to_s >= last - 1.0
}

fn direction(crossing: &Crossing) -> &'static str {
    if crossing.inwards { "in" } else { "out" }
}

/// Objects, their seconds, and those of them near birth or end.
type Occupied = (BTreeSet<i64>, f64, BTreeSet<i64>);

impl Asked {
    fn crossings(&self, track: &[At]) -> Vec<Crossing> {
        crossings(&self.line, self.hysteresis, track)
    }

    fn visits(&self, track: &[At]) -> Vec<(At, At)> {
        visits(&self.zone, self.absence_s, self.settle_s, track)
    }

    /// Direction, class, beginning of the interval, crossings, those near birth or end.
    pub(crate) fn line_counts(&self, tracks: &[Vec<At>]) -> BTreeSet<String> {
        let mut counts: BTreeMap<(String, &str, &str), [usize; 2]> = BTreeMap::new();
        for track in tracks {
            for crossing in self.crossings(track) {
                let begin = (crossing.time_s / self.interval_s).floor() * self.interval_s;
                let count = counts.entry((format!("{begin:?}"), direction(&crossing), class_of(track))).or_default();
                count[0] += 1;
                count[1] += usize::from(is_near(track, crossing.time_s, crossing.time_s));
            }
        }
        let row = |((begin, direction, class), [all, near]): ((String, &str, &str), [usize; 2])| {
            format!("{direction},{class},{begin},{all},{near}")
        };
        counts.into_iter().map(row).collect()
    }

    /// Second, class, objects, their seconds, and those near birth or end.
    pub(crate) fn zone_occupancy(&self, tracks: &[Vec<At>]) -> BTreeSet<String> {
        let mut seen: BTreeMap<(i64, &str), Occupied> = BTreeMap::new();
        for track in tracks {
            for (enter, exit) in self.visits(track) {
                for second in enter.time_s.floor() as i64..=exit.time_s.floor() as i64 {
                    let (from_s, to_s) = (enter.time_s.max(second as f64), exit.time_s.min(second as f64 + 1.0));
                    let (objects, seconds, near) = seen.entry((second, class_of(track))).or_default();
                    objects.insert(enter.track);
                    *seconds += to_s - from_s;
                    if is_near(track, from_s, to_s) {
                        near.insert(enter.track);
                    }
                }
            }
        }
        let row = |((second, class), (objects, seconds, near)): ((i64, &str), Occupied)| {
            format!("{second},{class},{},{seconds:?},{}", objects.len(), near.len())
        };
        seen.into_iter().map(row).collect()
    }

    /// Class, origin, destination, moves, identities, and those of them near birth or end.
    pub(crate) fn flows(&self, tracks: &[Vec<At>]) -> BTreeSet<String> {
        let mut counts: BTreeMap<(&str, String, String), [usize; 4]> = BTreeMap::new();
        for track in tracks {
            let over = self
                .crossings(track)
                .into_iter()
                .map(|one| (one.time_s, format!("gate {}", direction(&one)), is_near(track, one.time_s, one.time_s)));
            let into = self
                .visits(track)
                .into_iter()
                .map(|(enter, exit)| (enter.time_s, "it".to_owned(), is_near(track, enter.time_s, exit.time_s)));
            let mut events: Vec<_> = over.chain(into).collect();
            events.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(&other.1)));
            let mut add = |from: &(f64, String, bool), to: &(f64, String, bool), what: usize| {
                let count = counts.entry((class_of(track), from.1.clone(), to.1.clone())).or_default();
                count[what] += 1;
                count[what + 2] += usize::from(from.2 || to.2);
            };
            events.windows(2).for_each(|pair| add(&pair[0], &pair[1], 0));
            if let [first, .., last] = &events[..] {
                add(first, last, 1);
            }
        }
        let row = |((class, from, to), [moves, identities, near_moves, near_identities]): (
            (&str, String, String),
            [usize; 4],
        )| { format!("{class},{from},{to},{moves},{identities},{near_moves},{near_identities}") };
        counts.into_iter().map(row).collect()
    }
}
