//! Ground truth and tracks of one video, in the form from which all metrics are computed.

use std::{cmp::Ordering, collections::HashMap, ops::Range};

use crate::{iou::Sweep, row::Row, sequence::Sequence};

/// Two sequences with ids numbered from 0 in order of appearance, and everything that overlaps.
#[derive(Debug)]
pub(crate) struct Scene {
    /// Rows of each object in ground truth.
    pub(crate) truth_rows: Vec<u32>,
    /// Rows of each track.
    pub(crate) track_rows: Vec<u32>,
    /// Objects and tracks that overlap in some frame.
    pub(crate) pairs: Vec<Pair>,
    /// The frames with rows on both sides, ascending.
    pub(crate) frames: Vec<SharedFrame>,
    overlaps: Vec<Overlap>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) truth: u32,
    pub(crate) track: u32,
}

#[derive(Debug)]
pub(crate) struct SharedFrame {
    pub(crate) truths: usize,
    pub(crate) tracks: usize,
    overlaps: Range<usize>,
}

/// An object and a track that overlap in a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overlap {
    /// Which row of ground truth in this frame.
    pub(crate) truth_row: u32,
    /// Which row of the tracks in this frame.
    pub(crate) track_row: u32,
    /// Index into [`Scene::pairs`].
    pub(crate) pair: u32,
    /// Above 0.
    pub(crate) iou: f64,
}

impl Scene {
    pub(crate) fn new(truth: &Sequence, tracks: &Sequence) -> Self {
        let (truth_numbers, truth_rows) = number_ids(truth);
        let (track_numbers, track_rows) = number_ids(tracks);
        let mut scene = Self { truth_rows, track_rows, pairs: Vec::new(), frames: Vec::new(), overlaps: Vec::new() };
        let mut pairs_of_truth = vec![Vec::new(); scene.truth_rows.len()];
        let mut sweep = Sweep::default();
        for (truth_span, track_span) in shared_frames(truth, tracks, 0) {
            let start = scene.overlaps.len();
            let (truth_numbers, track_numbers) =
                (&truth_numbers[truth_span.clone()], &track_numbers[track_span.clone()]);
            let (truth_rows, track_rows) = (&truth.rows()[truth_span], &tracks.rows()[track_span]);
            sweep.overlaps(truth_rows, track_rows, |truth_row, track_row, iou| {
                let (truth, track) = (truth_numbers[truth_row as usize], track_numbers[track_row as usize]);
                let met: &mut Vec<(u32, u32)> = &mut pairs_of_truth[truth as usize];
                // The last one first, because an object is near few tracks at the same time.
                let known = met.iter().rev().find(|&&(known, _)| known == track).map(|&(_, pair)| pair);
                let pair = known.unwrap_or_else(|| {
                    let pair = scene.pairs.len() as u32;
                    scene.pairs.push(Pair { truth, track });
                    met.push((track, pair));
                    pair
                });
                scene.overlaps.push(Overlap { truth_row, track_row, pair, iou });
            });
            let overlaps = start..scene.overlaps.len();
            scene.frames.push(SharedFrame { truths: truth_rows.len(), tracks: track_rows.len(), overlaps });
        }
        scene
    }

    /// Ascending by row of ground truth.
    pub(crate) fn overlaps(&self, frame: &SharedFrame) -> &[Overlap] {
        &self.overlaps[frame.overlaps.clone()]
    }

    /// All rows of ground truth.
    pub(crate) fn truths(&self) -> u64 {
        self.truth_rows.iter().map(|&rows| u64::from(rows)).sum()
    }

    /// All rows of the tracks.
    pub(crate) fn tracks(&self) -> u64 {
        self.track_rows.iter().map(|&rows| u64::from(rows)).sum()
    }
}

/// Numbers ids in order of appearance: the number of each row, and how many rows have it.
fn number_ids(sequence: &Sequence) -> (Vec<u32>, Vec<u32>) {
    /// No number yet.
    const NONE: u32 = u32::MAX;
    let rows = sequence.rows();
    // Trackers count, so their ids are indices of a list. Other ids are in a map.
    let greatest = rows.iter().map(|row| row.id).max().unwrap_or(0);
    let dense = usize::try_from(greatest).ok().filter(|&greatest| greatest <= 2 * rows.len());
    let mut listed = vec![NONE; dense.map_or(0, |greatest| greatest + 1)];
    let (mut known, mut counts) = (HashMap::new(), Vec::new());
    let number = |row: &Row| {
        let number = match dense {
            Some(_) => &mut listed[row.id as usize],
            None => known.entry(row.id).or_insert(NONE),
        };
        if *number == NONE {
            *number = counts.len() as u32;
            counts.push(0);
        }
        counts[*number as usize] += 1;
        *number
    };
    let numbers = rows.iter().map(number).collect();
    (numbers, counts)
}

/// The frames with rows on both sides, after `shift` is added to the frames of the tracks.
pub(crate) fn shared_frames(
    truth: &Sequence,
    tracks: &Sequence,
    shift: i64,
) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    let (mut truth, mut tracks) = (truth.spans().iter().peekable(), tracks.spans().iter().peekable());
    std::iter::from_fn(move || {
        loop {
            let (ours, theirs) = (*truth.peek()?, *tracks.peek()?);
            match i64::from(ours.frame).cmp(&(i64::from(theirs.frame) + shift)) {
                Ordering::Less => drop(truth.next()),
                Ordering::Greater => drop(tracks.next()),
                Ordering::Equal => {
                    truth.next();
                    tracks.next();
                    return Some((ours.rows.clone(), theirs.rows.clone()));
                }
            }
        }
    })
}
