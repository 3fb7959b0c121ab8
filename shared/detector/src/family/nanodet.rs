use super::{Defaults, Head, Output, OutputSpec, any_reaches, best_class, classes_in, only_output};
use crate::{ColorOrder, Detection, Letterbox};

/// NanoDet (Lyu, 2020) with its distribution head decoded inside the model: [B, N, 4 + C], the corners of the box in
/// input pixels and a score per class.
pub(crate) struct NanoDet;

impl Head for NanoDet {
    fn name(&self) -> &'static str {
        "nanodet"
    }

    fn layout(&self) -> &'static str {
        "[B, N, 4 + C] (only if the card says so)"
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            color_order: ColorOrder::Bgr,
            mean: [103.53, 116.28, 123.675],
            std: [57.375, 57.12, 58.395],
            letterbox: Letterbox::Center,
            pad_color: [0; 3],
            nms_iou: Some(0.6),
        }
    }

    fn classes(&self, outputs: &[OutputSpec], named: Option<usize>) -> Option<usize> {
        only_output(outputs).and_then(|(_, columns)| classes_in(columns, 4, named))
    }

    fn recognise(&self, _: &[OutputSpec], _: Option<usize>) -> Option<usize> {
        None
    }

    fn decode(&self, outputs: &[Output<'_>], min_score: f32, candidates: &mut Vec<Detection>) {
        let [Output { shape: &[_, columns], data }] = *outputs else { return };
        for row in data.chunks_exact(columns) {
            if any_reaches(&row[4..], min_score) {
                let (class_id, score) = best_class(&row[4..]);
                candidates.push(Detection { x1: row[0], y1: row[1], x2: row[2], y2: row[3], score, class_id });
            }
        }
    }
}
