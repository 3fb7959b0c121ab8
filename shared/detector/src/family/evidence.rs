//! What is known of a model whose family is sought.

use super::{BoxFormat, Extra, OutputSpec, RowOrder, Size};
use crate::{
    metadata::{Exporter, Metadata, Ultralytics},
    trial::Trial,
};

/// What is known of a model whose family is sought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    /// With the shapes that they had in the trial, where there was one.
    pub(crate) outputs: &'a [OutputSpec],
    /// How many class names are known.
    pub(crate) named: Option<usize>,
    /// Whether that number is only COCO's, tried as nothing says another.
    pub(crate) is_guess: bool,
    /// The input, if it is known.
    pub(crate) input: Option<Size>,
    pub(crate) metadata: &'a Metadata,
    /// What the card says about the boxes: decoded, or relative to their cells.
    pub(crate) decoded: Option<bool>,
    /// What the card says about the four numbers of a box.
    pub(crate) boxes: Option<BoxFormat>,
    /// What the card says about the order of a row's parts.
    pub(crate) order: Option<RowOrder>,
    /// Names of further inputs.
    pub(crate) size_inputs: &'a [String],
    /// What the model gave for a picture.
    pub(crate) trial: Option<&'a Trial>,
}

/// The output that says all about the objects of a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// Its index among the outputs.
    pub(super) output: usize,
    pub(super) rows: i64,
    pub(super) columns: i64,
    /// Masks of which an object's own is a mixture: the output beside it of four dimensions, as segmentation has.
    pub(super) masks: usize,
}

impl<'a> Evidence<'a> {
    /// The only output of three dimensions, and what it has after the batch; none if there is another one of use. The
    /// feature maps that old exports give beside it, of five dimensions, are of none; masks count.
    pub(super) fn only_table(&self) -> Option<Table> {
        let of_rank = |rank: usize| self.outputs.iter().enumerate().filter(move |(_, o)| o.shape.len() == rank);
        let others = self.outputs.iter().filter(|output| ![3, 4, 5].contains(&output.shape.len())).count();
        let mut masks = of_rank(4);
        let (mask, second) = (masks.next(), masks.next());
        let mut tables = of_rank(3);
        match (tables.next(), tables.next()) {
            (Some((output, OutputSpec { shape, is_integer: false, .. })), None) if others == 0 && second.is_none() => {
                let masks = mask.map_or(Some(0), |(_, mask)| usize::try_from(mask.shape[1]).ok())?;
                Some(Table { output, rows: shape[1], columns: shape[2], masks })
            }
            _ => None,
        }
    }

    pub(super) fn ultralytics(&self) -> Option<&'a Ultralytics> {
        match &self.metadata.exporter {
            Exporter::Ultralytics(facts) => Some(facts),
            _ => None,
        }
    }

    /// What follows the numbers that every detector has for an object, in a row of `total` numbers. `before` is how
    /// many numbers come before the classes.
    pub(super) fn extra(&self, table: Table, total: i64, before: usize) -> Extra {
        let rest = |named: usize| usize::try_from(total).ok()?.checked_sub(before + named).filter(|rest| *rest > 0);
        match self.metadata.task.as_deref() {
            Some("pose") => {
                let known = self.ultralytics().and_then(|facts| facts.keypoint_numbers);
                known.or_else(|| rest(self.named?)).map_or(Extra::None, Extra::Keypoints)
            }
            Some("obb") => Extra::Angle,
            _ if table.masks > 0 => Extra::Masks(table.masks),
            Some("segment") => self.named.and_then(rest).map_or(Extra::None, Extra::Masks),
            _ => Extra::None,
        }
    }

    /// The output for the trial's picture: rows, columns and numbers.
    pub(super) fn tried(&self, output: usize) -> Option<(usize, usize, &'a [f32])> {
        self.trial?.table(output)
    }
}
