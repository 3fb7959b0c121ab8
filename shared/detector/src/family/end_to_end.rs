use super::{Defaults, Head, Output, OutputSpec, only_output};
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

    fn defaults(&self) -> Defaults {
        Defaults { nms_iou: None, ..Defaults::ULTRALYTICS }
    }

    fn classes(&self, outputs: &[OutputSpec], named: Option<usize>) -> Option<usize> {
        // The shape does not tell how many classes there are.
        only_output(outputs).filter(|(_, columns)| *columns == 6).map(|_| named.unwrap_or(80))
    }

    fn recognise(&self, outputs: &[OutputSpec], named: Option<usize>) -> Option<usize> {
        only_output(outputs).filter(|(rows, _)| *rows <= 1000).and_then(|_| self.classes(outputs, named))
    }

    fn decode(&self, outputs: &[Output<'_>], min_score: f32, candidates: &mut Vec<Detection>) {
        let [Output { shape: &[_, 6], data }] = *outputs else { return };
        for &[x1, y1, x2, y2, score, class] in data.as_chunks::<6>().0 {
            if score >= min_score && class >= 0.0 {
                candidates.push(Detection { x1, y1, x2, y2, score, class_id: class as u32 });
            }
        }
    }
}
