//! What a difference of two pieces' looks says of whether they are one object: calibrated on the video itself, without labels.

use super::{Appearances, mean::Mean};
use crate::{parallel, row::Row};
use std::{cell::OnceCell, ops::Range};

/// Pieces of at least this many rows: their first and last third are one object.
const ROWS_OF_SAME: usize = 12;
/// Pieces of at least this many rows: two that are seen in one frame are two objects.
const ROWS_OF_DIFFERENT: usize = 6;
/// Each is compared with at most this many others that begin after it, and at most this many pieces are.
const MOST_OTHERS: usize = 20;
const MOST_PIECES: usize = 5_000;
/// With fewer comparisons of either kind the video says nothing.
const FEWEST: usize = 20;

/// Two pieces of one object are further apart in time than two thirds of one piece, so looks differ more: at least by this share of how much they
/// differ between objects.
const LEAST_SPREAD: f64 = 0.6;

/// Objects that all differ alike would make any other difference impossible.
const LEAST_DEVIATION: f64 = 0.02;

/// No looks say more than this for or against a link, in natural logarithms.
const LEAST: f64 = -6.0;
const MOST: f64 = 4.0;

/// The looks of all pieces, and what differences between them mean.
#[derive(Debug)]
pub(crate) struct Likeness {
    means: Vec<Option<Mean>>,
    calibration: Calibration,
}

/// Mean and standard deviation of the differences within an object and between two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Calibration {
    same: [f64; 2],
    different: [f64; 2],
}

/// Rows by id, and what each looks like.
#[derive(Clone, Copy)]
pub(crate) struct Looked<'a> {
    pub(crate) rows: &'a [Row],
    pub(crate) order: &'a [u32],
    /// See [`crowding`](crate::crowding::crowding).
    pub(crate) crowding: &'a [f64],
    pub(crate) appearances: &'a Appearances,
}

impl Looked<'_> {
    /// A box that another covers shows the other one, too.
    fn mean(&self, places: Range<usize>) -> Option<Mean> {
        let weighted = places.filter_map(|place| {
            let row = self.order[place] as usize;
            // 1 + (6 mx)², where the crowding is 1 + (12 mx)².
            Some((self.rows[row].appearance?, 1.0 / (1.0 + 0.25 * (self.crowding[row] - 1.0))))
        });
        Mean::of(self.appearances, weighted)
    }

    fn means(&self, pieces: &[Range<usize>]) -> Vec<Option<Mean>> {
        parallel::over(pieces.len(), |part| {
            pieces[part].iter().map(|piece| self.mean(piece.clone())).collect::<Vec<_>>()
        })
        .concat()
    }

    fn row(&self, place: usize) -> &Row {
        &self.rows[self.order[place] as usize]
    }
}

impl Calibration {
    /// By pieces of tracks; none where the video has too few to say, or objects of which each looks less like itself than like the others.
    pub(crate) fn of(looked: &Looked<'_>, pieces: &[Range<usize>]) -> Option<Self> {
        let every = pieces.len().div_ceil(MOST_PIECES).max(1);
        let same = pieces.iter().filter(|piece| piece.len() >= ROWS_OF_SAME).step_by(every).filter_map(|piece| {
            let third = piece.len() / 3;
            let (first, last) = (piece.start..piece.start + third, piece.end - third..piece.end);
            looked.mean(first)?.distance(&looked.mean(last)?)
        });
        let same = spread(&same.collect::<Vec<_>>())?;
        let [mean, deviation] = spread(&differences(looked, pieces))?;
        let different = [mean, deviation.max(LEAST_DEVIATION)];
        (same[0] < mean).then_some(Self { same, different })
    }

    /// The logarithm of how much likelier such a difference is within one object than between two.
    fn ratio(&self, difference: f64) -> f64 {
        let ([same, within], [different, between]) = (self.same, self.different);
        let within = within.max(LEAST_SPREAD * between);
        let of = |mean: f64, deviation: f64| -0.5 * ((difference - mean) / deviation).powi(2) - deviation.ln();
        (of(same, within) - of(different, between)).clamp(LEAST, MOST)
    }
}

/// Differences between pieces that are seen in one frame.
fn differences(looked: &Looked<'_>, pieces: &[Range<usize>]) -> Vec<f64> {
    let mut long: Vec<&Range<usize>> = pieces.iter().filter(|piece| piece.len() >= ROWS_OF_DIFFERENT).collect();
    let first = |piece: &Range<usize>| looked.row(piece.start);
    long.sort_by_key(|piece| (first(piece).frame, first(piece).id));
    let every = long.len().div_ceil(MOST_PIECES).max(1);
    let means: Vec<OnceCell<Option<Mean>>> = vec![OnceCell::new(); long.len()];
    let mean_of = |at: usize| means[at].get_or_init(|| looked.mean(long[at].clone())).as_ref();
    let mut differences = Vec::new();
    for at in (0..long.len()).step_by(every) {
        let Some(mean) = mean_of(at) else { continue };
        let (piece, last_frame) = (first(long[at]), looked.row(long[at].end - 1).frame);
        let others = (at + 1..long.len()).take_while(|&other| first(long[other]).frame <= last_frame);
        let others = others.filter(|&other| first(long[other]).class == piece.class).take(MOST_OTHERS);
        differences.extend(others.filter_map(|other| mean.distance(mean_of(other)?)));
    }
    differences
}

/// Mean and standard deviation; none of too few.
fn spread(values: &[f64]) -> Option<[f64; 2]> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    (values.len() >= FEWEST).then_some([mean, deviation])
}

impl Likeness {
    pub(crate) fn of(looked: &Looked<'_>, pieces: &[Range<usize>], calibration: Calibration) -> Self {
        Self { means: looked.means(pieces), calibration }
    }

    /// The logarithm of how much likelier two pieces are one object by their looks; 0 where they say nothing.
    pub(crate) fn ratio(&self, a: usize, b: usize) -> f64 {
        let difference = self.means[a].as_ref().zip(self.means[b].as_ref()).and_then(|(a, b)| a.distance(b));
        difference.map_or(0.0, |difference| self.calibration.ratio(difference))
    }
}
