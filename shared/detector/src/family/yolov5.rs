use super::{Defaults, Head, Output, OutputSpec, best_class, centred, classes_in, only_output};
use crate::Detection;

/// YOLOv5: [B, N, 5 + C], centre and size in input pixels, objectness, and class scores that count times objectness.
pub(crate) struct YoloV5;

impl Head for YoloV5 {
    fn name(&self) -> &'static str {
        "yolov5"
    }

    fn layout(&self) -> &'static str {
        "[B, N, 5 + C]"
    }

    fn defaults(&self) -> Defaults {
        Defaults { nms_iou: Some(0.45), ..Defaults::ULTRALYTICS }
    }

    fn classes(&self, outputs: &[OutputSpec], named: Option<usize>) -> Option<usize> {
        only_output(outputs).and_then(|(_, columns)| classes_in(columns, 5, named))
    }

    fn recognise(&self, outputs: &[OutputSpec], named: Option<usize>) -> Option<usize> {
        // A dense head has thousands of rows; a few hundred are an end-to-end head, which one class makes look alike.
        // Without names any table of rows would fit, such as one without objectness, and one class would be lost.
        let (rows, columns) = only_output(outputs)?;
        let fits = named.is_some() && (rows < 0 || rows > columns.max(1000));
        fits.then(|| self.classes(outputs, named))?
    }

    fn decode(&self, outputs: &[Output<'_>], min_score: f32, candidates: &mut Vec<Detection>) {
        let [Output { shape: &[_, columns], data }] = *outputs else { return };
        for row in data.chunks_exact(columns) {
            // Most rows are background: a class score is at most 1, so they need no look at their classes.
            let objectness = row[4];
            if objectness >= min_score {
                let (class_id, class_score) = best_class(&row[5..]);
                let score = objectness * class_score;
                if score >= min_score {
                    candidates.push(centred([row[0], row[1], row[2], row[3]], score, class_id));
                }
            }
        }
    }
}
