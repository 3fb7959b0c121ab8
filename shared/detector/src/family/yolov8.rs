use super::{Candidates, Decoder, Defaults, Evidence, Fit, Head, Output, Size, centred, classes_in, table};

/// YOLOv8 and its successors with the same head (v9, 11, 12): [B, 4 + C, N], centre and size in input pixels, and a score
/// per class; one column per candidate.
pub(crate) struct YoloV8;

impl Head for YoloV8 {
    fn name(&self) -> &'static str {
        "yolov8"
    }

    fn layout(&self) -> &'static str {
        "[B, 4 + C, N]"
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let (output, rows, _) = evidence.only_table()?;
        Some(Fit {
            classes: classes_in(rows, 4, evidence.named)?,
            outputs: vec![output],
            decoder: Box::new(Columns),
            defaults: Defaults::ULTRALYTICS,
            because: format!("{rows} rows, a box and the classes, with a column per candidate"),
        })
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        // More candidates than numbers about each: else it is a table of rows.
        let (_, rows, columns) = evidence.only_table()?;
        (columns < 0 || columns > rows).then(|| self.fit(evidence))?
    }
}

#[derive(Debug)]
struct Columns;

impl Decoder for Columns {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        _: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let (rows, count, data) = table(outputs, 0)?;
        if count == 0 || rows <= 4 {
            return Ok(());
        }
        let (boxes, scores) = data.split_at(4 * count);
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
            candidates.push(centred([0, 1, 2, 3].map(|row| boxes[row * count + i]), score, class as u32));
        }
        Ok(())
    }
}
