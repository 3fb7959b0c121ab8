use super::{Candidates, Decoder, Defaults, Evidence, Fit, Head, Output, Size, table};
use crate::Detection;

/// Models that give one box per object by themselves (YOLOv10, YOLO26, exports with suppression inside): [B, N, 6], the
/// corners in input pixels, score, class; N of a few hundred.
pub(crate) struct EndToEnd;

impl Head for EndToEnd {
    fn name(&self) -> &'static str {
        "end_to_end"
    }

    fn layout(&self) -> &'static str {
        "[B, N, 6] (N up to 1000)"
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let (output, rows, columns) = evidence.only_table()?;
        // The shape does not tell how many classes there are.
        (columns == 6).then(|| Fit {
            classes: evidence.named.unwrap_or(80),
            outputs: vec![output],
            decoder: Box::new(Rows),
            defaults: Defaults { nms_iou: None, ..Defaults::ULTRALYTICS },
            because: format!("6 numbers (corners, score, class) for {rows} objects"),
        })
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let (_, rows, _) = evidence.only_table()?;
        (rows <= 1000 && !evidence.is_ultralytics_rtdetr()).then(|| self.fit(evidence))?
    }
}

#[derive(Debug)]
struct Rows;

impl Decoder for Rows {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        _: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let (_, _, data) = table(outputs, 6)?;
        for &[x1, y1, x2, y2, score, class] in data.as_chunks::<6>().0 {
            if score >= min_score && class >= 0.0 {
                candidates.push(Detection { x1, y1, x2, y2, score, class_id: class as u32 });
            }
        }
        Ok(())
    }
}
