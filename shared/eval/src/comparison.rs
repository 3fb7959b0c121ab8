//! Compares the output of two trackers.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{clear::Clear, identity::Identity, row::Row, scene::Scene, sequence::Sequence};

/// How to compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompareOptions {
    /// The overlap that a match needs: above 0, at most 1.
    pub iou: f64,
    /// The tolerance for left, top, width and height, px. The default, 1e-6, allows only for rounding in text files.
    pub tolerance_px: f64,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { iou: 0.5, tolerance_px: 1e-6 }
    }
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// IDF1: rows with the same identity, in percent. It is the same in both directions, and 100 if only the numbers of
    /// ids differ.
    #[serde(rename = "IDF1")]
    pub idf1: f64,
    /// Identity switches of the second output, with the first as ground truth.
    #[serde(rename = "IDSW")]
    pub switches: u64,
    /// Rows of the first.
    pub rows_a: u64,
    /// Rows of the second.
    pub rows_b: u64,
    /// The first frame in which an id or a box differs. None if there is no difference. Scores and the order of rows
    /// are not compared.
    pub first_difference: Option<Difference>,
}

/// The first frame in which two outputs differ, and how.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The frame, from 1.
    pub frame: u32,
    /// Ids that only the first has in this frame, ascending.
    pub only_in_a: Vec<u64>,
    /// Ids that only the second has in this frame, ascending.
    pub only_in_b: Vec<u64>,
    /// Ids that both have, with boxes that differ by more than the tolerance, ascending.
    pub moved: Vec<Moved>,
}

/// An id with two different boxes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// The id.
    pub id: u64,
    /// Left, top, width and height in the first, px.
    pub a: [f64; 4],
    /// The same in the second.
    pub b: [f64; 4],
}

/// Compares the output of two trackers. All rows count, with any score and class.
#[must_use]
pub fn compare(a: &Sequence, b: &Sequence, options: &CompareOptions) -> Comparison {
    let scene = Scene::new(a, b);
    Comparison {
        idf1: if a.is_empty() && b.is_empty() { 100.0 } else { Identity::new(&scene, options.iou).idf1 },
        switches: Clear::new(&scene, options.iou).switches,
        rows_a: scene.truths(),
        rows_b: scene.tracks(),
        first_difference: first_difference(a, b, options.tolerance_px),
    }
}

fn first_difference(a: &Sequence, b: &Sequence, tolerance_px: f64) -> Option<Difference> {
    let (mut frames_a, mut frames_b) = (a.frames().peekable(), b.frames().peekable());
    loop {
        let frame = match (frames_a.peek(), frames_b.peek()) {
            (Some(a), Some(b)) => a.0.min(b.0),
            (Some(only), None) | (None, Some(only)) => only.0,
            (None, None) => return None,
        };
        let rows_a = frames_a.next_if(|next| next.0 == frame).map_or(&[][..], |next| next.1);
        let rows_b = frames_b.next_if(|next| next.0 == frame).map_or(&[][..], |next| next.1);
        if let Some(difference) = difference(frame, rows_a, rows_b, tolerance_px) {
            return Some(difference);
        }
    }
}

fn difference(frame: u32, a: &[Row], b: &[Row], tolerance_px: f64) -> Option<Difference> {
    let mut found = Difference { frame, only_in_a: Vec::new(), only_in_b: Vec::new(), moved: Vec::new() };
    let mut boxes: BTreeMap<u64, [Option<[f64; 4]>; 2]> = BTreeMap::new();
    for (rows, side) in [(a, 0), (b, 1)] {
        for row in rows {
            boxes.entry(row.id).or_default()[side] = Some(row.tlwh());
        }
    }
    for (id, sides) in boxes {
        match sides {
            [Some(a), Some(b)] if a.iter().zip(b).any(|(a, b)| (a - b).abs() > tolerance_px) => {
                found.moved.push(Moved { id, a, b });
            }
            [Some(_), None] => found.only_in_a.push(id),
            [None, Some(_)] => found.only_in_b.push(id),
            _ => {}
        }
    }
    let same = found.only_in_a.is_empty() && found.only_in_b.is_empty() && found.moved.is_empty();
    (!same).then_some(found)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { idf1, switches, rows_a, rows_b, first_difference } = self;
        writeln!(f, "IDF1 {idf1:.3} %, {switches} identity switches; {rows_a} rows in A, {rows_b} in B")?;
        match first_difference {
            Some(difference) => writeln!(f, "first difference: {difference}"),
            None => writeln!(f, "every id and box is the same"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {}", self.frame)?;
        for (name, ids) in [("only in A", &self.only_in_a), ("only in B", &self.only_in_b)] {
            if !ids.is_empty() {
                write!(f, "; {name}: id {}", list(ids.iter()))?;
            }
        }
        if let Some(Moved { id, a, b }) = self.moved.first() {
            write!(f, "; id {id} at {a:?} in A and {b:?} in B")?;
        }
        if self.moved.len() > 1 {
            write!(f, "; other boxes that differ: {}", list(self.moved[1..].iter().map(|moved| &moved.id)))?;
        }
        Ok(())
    }
}

/// The first few, so that the line is short.
fn list<'a>(ids: impl ExactSizeIterator<Item = &'a u64>) -> String {
    const SHOWN: usize = 8;
    let more = ids.len().saturating_sub(SHOWN);
    let shown: Vec<String> = ids.take(SHOWN).map(u64::to_string).collect();
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    shown.join(", ") + &rest
}
