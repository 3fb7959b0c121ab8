use std::slice::ChunksExact;

use super::{
    BoxFormat, Candidates, Decoder, Defaults, Evidence, Fit, Head, Output, Size, Table, any_reaches, best_class,
    classes_in, corners::rows as rows_of, grid, range_of, table, yolov5::is_grid,
};
use crate::{ColorOrder, Detection, Letterbox, Resize};

/// NanoDet (Lyu, 2020) and NanoDet-Plus. The output is [B, N, C + 4 * bins], one row per cell. A row has a score per
/// class, then for each side of the box a distribution over the distances 0, 1, ... in strides ("generalized focal
/// loss", Li et al., 2020). If the model decodes this itself, the output is [B, N, 4 + C]: the corners in input pixels,
/// and a score per class.
pub(crate) struct NanoDet;

/// The most distances that a side's distribution may have; published models have 8 or 11.
const MOST_BINS: usize = 64;

impl Head for NanoDet {
    fn name(&self) -> &'static str {
        "nanodet"
    }

    fn layout(&self) -> &'static str {
        "[B, N, C + 4 * bins] or, only if the card says so, [B, N, 4 + C]"
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let Table { output, rows, columns, .. } = evidence.only_table()?;
        if evidence.decoded != Some(true)
            && let Some((classes, bins)) = distribution(columns, evidence)
        {
            // NanoDet-Plus, which alone has a fourth stride, stretches its pictures.
            let defaults = if has_four_strides(rows, evidence.input) { STRETCHED } else { LETTERBOXED };
            let because = format!("{classes} class scores and 4 distributions over {bins} distances per cell");
            return Some(Fit::new(classes, vec![output], Distribution { classes, bins }, defaults, because));
        }
        let classes = classes_in(columns, 4, evidence.named).filter(|_| evidence.decoded != Some(false))?;
        let boxes = evidence.boxes.unwrap_or(BoxFormat::Corners);
        Some(rows_of(output, classes, 0, boxes, LETTERBOXED))
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Vec<Fit> {
        let Some(Table { output, rows, columns, masks: 0 }) = evidence.only_table() else { return Vec::new() };
        let fits = distribution(columns, evidence).is_some() && (rows < 0 || is_grid(rows, evidence.input));
        let Some(fit) = self.fit(evidence).filter(|_| fits) else { return Vec::new() };
        // Scores come first, here alone; numbers beyond 0 and 1 are none.
        let begins_with_scores = evidence.tried(output).is_none_or(|(_, columns, numbers)| {
            let classes = fit.classes.min(columns);
            let range = range_of(numbers.chunks_exact(columns).flat_map(|row| &row[..classes]));
            range.is_none_or(|(least, most)| least >= -0.001 && most <= 1.001)
        });
        if begins_with_scores { vec![fit] } else { Vec::new() }
    }
}

const LETTERBOXED: Defaults = Defaults {
    color_order: ColorOrder::Bgr,
    mean: [103.53, 116.28, 123.675],
    std: [57.375, 57.12, 58.395],
    letterbox: Letterbox::Center,
    pad_color: [0; 3],
    longest_side: None,
    // Its own program warps by pixel index, which is none of the filters.
    resize: Resize::Swscale,
    nms_iou: Some(0.6),
};
const STRETCHED: Defaults = Defaults { letterbox: Letterbox::Stretch, ..LETTERBOXED };

/// Classes and bins of rows with distributions. Without names: 8 bins, which all but one published model have.
fn distribution(columns: i64, evidence: &Evidence<'_>) -> Option<(usize, usize)> {
    let columns = usize::try_from(columns).ok()?;
    let classes = match evidence.named {
        Some(named) => named,
        None => columns.checked_sub(32).filter(|classes| *classes > 0)?,
    };
    let rest = columns.checked_sub(classes)?;
    let bins = rest / 4;
    (rest % 4 == 0 && (2..=MOST_BINS).contains(&bins)).then_some((classes, bins))
}

fn has_four_strides(rows: i64, input: Option<Size>) -> bool {
    let known = usize::try_from(rows).ok().zip(input);
    known.is_some_and(|(rows, input)| grid::strides_for(rows, input).is_some_and(|strides| strides.len() == 4))
}

/// The object at a point. The distributions state how far the four sides of its box are from the point, in strides:
/// left, top, right, bottom.
#[inline]
pub(super) fn of_sides(
    (x, y): (f32, f32),
    scores: &[f32],
    sides: ChunksExact<'_, f32>,
    stride: f32,
    input: Size,
) -> Detection {
    let (class_id, score) = best_class(scores);
    let mut sides = sides.map(|side| expectation(side) * stride);
    let mut side = || sides.next().unwrap_or(f32::NAN);
    let (x1, y1, x2, y2) = (x - side(), y - side(), x + side(), y + side());
    // What lies outside of the input is cut by the reference before it compares boxes.
    let (width, height) = (input.width as f32, input.height as f32);
    Detection {
        x1: x1.clamp(0.0, width),
        y1: y1.clamp(0.0, height),
        x2: x2.clamp(0.0, width),
        y2: y2.clamp(0.0, height),
        score,
        class_id,
    }
}

#[derive(Debug)]
pub(super) struct Distribution {
    pub(super) classes: usize,
    pub(super) bins: usize,
}

impl Decoder for Distribution {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let (rows, columns, data) = table(outputs, self.classes + 4 * self.bins)?;
        let strides = grid::strides_for(rows, input).ok_or_else(|| grid::no_such_grid(rows, input))?;
        // NanoDet measures from the middle of the cell, NanoDet-Plus from its corner.
        let middle = if strides.len() == 4 { 0.0 } else { 0.5 };
        for (row, (column, line, stride)) in data.chunks_exact(columns).zip(grid::cells(strides, input)) {
            let (scores, sides) = row.split_at(self.classes);
            if any_reaches(scores, min_score) {
                let from = ((column + middle) * stride, (line + middle) * stride);
                candidates.push(of_sides(from, scores, sides.chunks_exact(self.bins), stride, input));
            }
        }
        Ok(())
    }

    fn score_range(&self, outputs: &[Output<'_>]) -> Option<(f32, f32)> {
        let (_, columns, data) = table(outputs, self.classes + 4 * self.bins).ok()?;
        range_of(data.chunks_exact(columns).flat_map(|row| &row[..self.classes]))
    }
}

/// The expected index of a softmax.
fn expectation(logits: &[f32]) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (index, logit) in logits.iter().enumerate() {
        let weight = (logit - most).exp();
        sum += weight;
        weighted += weight * index as f32;
    }
    weighted / sum
}
