use super::{
    BoxFormat, Candidates, Decoder, Defaults, Evidence, Extra, Fit, Head, Output, Size, classes_in, layout::around,
    range_of, table,
};

/// YOLOv8 and its successors with the same head (v9, 11, 12): [B, 4 + C, N], one column per candidate. A column has a
/// box in input pixels, and a score per class. Models of masks, poses and rotated boxes have more rows after these.
///
/// Ultralytics returns centre and size, and `LibreYOLO` corners, in the same shape.
pub(crate) struct YoloV8;

impl Head for YoloV8 {
    fn name(&self) -> &'static str {
        "yolov8"
    }

    fn layout(&self) -> &'static str {
        "[B, 4 + C, N]"
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let table = evidence.only_table()?;
        let extra = evidence.extra(table, table.rows, 4);
        let classes = classes_in(table.rows, 4 + extra.numbers() as i64, evidence.named)?;
        Some(columns(table.output, classes, extra, evidence.boxes.unwrap_or(BoxFormat::Center), Defaults::ULTRALYTICS))
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Vec<Fit> {
        // More candidates than numbers about each: else it is a table of rows. Ultralytics says so itself.
        let Some(table) = evidence.only_table() else { return Vec::new() };
        let is_said = evidence.ultralytics().is_some_and(|facts| facts.head.is_some());
        if !(table.columns < 0 || table.columns > table.rows || is_said) {
            return Vec::new();
        }
        let Some(fit) = self.fit(evidence) else { return Vec::new() };
        if evidence.ultralytics().is_some() || evidence.boxes.is_some() {
            return vec![fit];
        }
        let corners = || self.fit(&Evidence { boxes: Some(BoxFormat::Corners), ..*evidence });
        match evidence.tried(table.output).and_then(|(_, count, numbers)| ordered(count, numbers)) {
            None | Some(..=0.8) => vec![fit],
            Some(0.98..) => corners().into_iter().collect(),
            Some(_) => [Some(fit), corners()].into_iter().flatten().collect(),
        }
    }
}

/// The reading of one column per candidate.
pub(super) fn columns(output: usize, classes: usize, extra: Extra, boxes: BoxFormat, defaults: Defaults) -> Fit {
    let because = format!("{classes} classes and a box, with a column per candidate");
    Fit::new(classes, vec![output], Columns { classes, boxes, extra }, defaults, because).boxes(boxes).leaving(extra)
}

/// The share of candidates whose third and fourth number are at least as large as the first and second. That is always
/// so for corners, and rarely for centre and size. None if there are too few candidates, or no numbers.
fn ordered(count: usize, numbers: &[f32]) -> Option<f32> {
    let row = |row: usize| numbers.get(row * count..(row + 1) * count);
    let (x, y, right, bottom) = (row(0)?, row(1)?, row(2)?, row(3)?);
    let all = || (0..count).filter(|&i| [x[i], y[i], right[i], bottom[i]].iter().any(|value| *value != 0.0));
    let of = all().count();
    let behind = all().filter(|&i| right[i] >= x[i] && bottom[i] >= y[i]).count();
    (of >= 8).then(|| behind as f32 / of as f32)
}

#[derive(Debug)]
struct Columns {
    classes: usize,
    boxes: BoxFormat,
    extra: Extra,
}

/// The rows of an output: this many numbers each, one for a candidate.
struct Parts<'a> {
    boxes: &'a [f32],
    scores: &'a [f32],
    extra: &'a [f32],
    count: usize,
}

impl Columns {
    fn parts<'a>(&self, outputs: &[Output<'a>]) -> Result<Parts<'a>, String> {
        let (rows, count, data) = table(outputs, 0)?;
        let wanted = 4 + self.classes + self.extra.numbers();
        if rows != wanted {
            return Err(format!("it has {rows} rows, not {wanted}"));
        }
        let (boxes, rest) = data.split_at(4 * count);
        let (scores, extra) = rest.split_at(self.classes * count);
        Ok(Parts { boxes, scores, extra, count })
    }
}

impl Decoder for Columns {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let Parts { boxes, scores, extra, count } = self.parts(outputs)?;
        if count == 0 {
            return Ok(());
        }
        // The best score of each candidate, class by class in the order of memory; which class it was is asked only of
        // the few that matter.
        let Candidates { boxes: candidates, numbers: best } = candidates;
        best.clear();
        best.resize(count, f32::NEG_INFINITY);
        for class_scores in scores.chunks_exact(count) {
            for (best, &score) in best.iter_mut().zip(class_scores) {
                *best = if score > *best { score } else { *best };
            }
        }
        for (i, score) in best.iter().copied().enumerate().filter(|(_, score)| *score >= min_score) {
            let class = scores.chunks_exact(count).position(|class_scores| class_scores[i] == score).unwrap_or(0);
            let upright = self.boxes.read([0, 1, 2, 3].map(|row| boxes[row * count + i]), input, score, class as u32);
            candidates.push(if self.extra == Extra::Angle { around(upright, extra[i]) } else { upright });
        }
        Ok(())
    }

    fn score_range(&self, outputs: &[Output<'_>]) -> Option<(f32, f32)> {
        range_of(self.parts(outputs).ok()?.scores.iter())
    }

    fn scores_are_lost(&self, outputs: &[Output<'_>]) -> bool {
        self.parts(outputs)
            .is_ok_and(|Parts { scores, .. }| !scores.is_empty() && scores.iter().all(|score| !score.is_finite()))
    }
}
