//! Model families: what the outputs of a model mean.
//!
//! A family is one file with one [`Head`], and one line in [`Family`] and in [`Family::head`].

mod end_to_end;
mod nanodet;
mod yolov5;
mod yolov8;

use serde::Deserialize;

use crate::{ColorOrder, Detection, Letterbox};

/// What a model's output looks like. B pictures, N candidates, C classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Family {
    /// NanoDet with decoded boxes, [B, N, 4 + C]: corners, class scores. Only by card, as YOLO exports of that shape exist.
    #[serde(rename = "nanodet")]
    NanoDet,
    /// YOLOv5, [B, N, 5 + C]: centre and size, objectness, class scores.
    #[serde(rename = "yolov5")]
    YoloV5,
    /// YOLOv8, v9, 11 and 12, [B, 4 + C, N]: centre and size, class scores.
    #[serde(rename = "yolov8")]
    YoloV8,
    /// YOLOv10, 26 and others that suppress duplicates themselves, [B, N, 6]: corners, score, class.
    EndToEnd,
}

impl Family {
    const ALL: [Self; 4] = [Self::NanoDet, Self::YoloV5, Self::YoloV8, Self::EndToEnd];

    pub(crate) fn head(self) -> &'static dyn Head {
        match self {
            Self::NanoDet => &nanodet::NanoDet,
            Self::YoloV5 => &yolov5::YoloV5,
            Self::YoloV8 => &yolov8::YoloV8,
            Self::EndToEnd => &end_to_end::EndToEnd,
        }
    }

    /// The one family that fits the outputs, with the number of classes, or all that do if that is not one.
    ///
    /// `named` is how many class names are known. Without any, the 80 of COCO are tried before any other number.
    pub(crate) fn recognise(outputs: &[OutputSpec], named: Option<usize>) -> Result<(Self, usize), Vec<Self>> {
        let fitting = |named: Option<usize>| -> Vec<(Self, usize)> {
            let fit = |family: Self| Some((family, family.head().recognise(outputs, named)?));
            Self::ALL.into_iter().filter_map(fit).collect()
        };
        let guesses = if named.is_some() { vec![named] } else { vec![Some(80), None] };
        for guess in guesses {
            match fitting(guess)[..] {
                [] => {}
                [one] => return Ok(one),
                ref several => return Err(several.iter().map(|(family, _)| *family).collect()),
            }
        }
        Err(Vec::new())
    }

    /// All families with their shapes, for messages.
    pub(crate) fn known() -> String {
        Self::ALL.map(|family| format!("{} {}", family.head().name(), family.head().layout())).join(", ")
    }
}

/// An f32 output as the model declares it; -1 is a dimension that is known only when it runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutputSpec {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
}

impl OutputSpec {
    /// Whether an output of this shape keeps what was declared, with one entry per picture. ONNX Runtime only warns.
    pub(crate) fn allows(&self, shape: &[i64], batch: usize) -> bool {
        let sides = self.shape.iter().zip(shape);
        shape.len() == self.shape.len()
            && shape.first().is_some_and(|&first| usize::try_from(first) == Ok(batch))
            && sides.skip(1).all(|(&declared, &side)| declared < 0 || declared == side)
    }
}

/// What one output says about one picture: the batch dimension is gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) data: &'a [f32],
}

/// How models of a family are usually trained and run; the card overrides each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Defaults {
    pub(crate) color_order: ColorOrder,
    pub(crate) mean: [f32; 3],
    pub(crate) std: [f32; 3],
    pub(crate) letterbox: Letterbox,
    pub(crate) pad_color: [u8; 3],
    /// None for families without duplicates.
    pub(crate) nms_iou: Option<f32>,
}

impl Defaults {
    /// All of Ultralytics' models: RGB within 0 to 1, grey bars on both sides.
    const ULTRALYTICS: Self = Self {
        color_order: ColorOrder::Rgb,
        mean: [0.0; 3],
        std: [255.0; 3],
        letterbox: Letterbox::Center,
        pad_color: [114; 3],
        nms_iou: Some(0.7),
    };
}

/// One family's reading of the outputs.
pub(crate) trait Head: Sync {
    /// Its name in a card.
    fn name(&self) -> &'static str;

    /// The shapes of its outputs, for messages.
    fn layout(&self) -> &'static str;

    fn defaults(&self) -> Defaults;

    /// The number of classes if the outputs can be of this family, and agree with the number of names if that is known.
    fn classes(&self, outputs: &[OutputSpec], named: Option<usize>) -> Option<usize>;

    /// Like `classes`, but for a model whose card does not name the family: stricter where shapes are alike.
    fn recognise(&self, outputs: &[OutputSpec], named: Option<usize>) -> Option<usize> {
        self.classes(outputs, named)
    }

    /// Appends the candidates of one picture, in the order of the output, whose score is at least `min_score`. Boxes
    /// are in input pixels. Values that are not finite are the caller's to drop.
    fn decode(&self, outputs: &[Output<'_>], min_score: f32, candidates: &mut Vec<Detection>);
}

/// The dimensions after the batch of the only output, if there is one output and it has three.
fn only_output(outputs: &[OutputSpec]) -> Option<(i64, i64)> {
    match outputs {
        [OutputSpec { shape, .. }] => match shape[..] {
            [_, rows, columns] => Some((rows, columns)),
            _ => None,
        },
        _ => None,
    }
}

/// The number of classes in a dimension of `extra` + C, if that agrees with the number of names.
fn classes_in(dimension: i64, extra: i64, named: Option<usize>) -> Option<usize> {
    let classes = usize::try_from(dimension - extra).ok().filter(|classes| *classes > 0)?;
    named.is_none_or(|named| named == classes).then_some(classes)
}

/// Whether any score is at least `min_score`. Nearly all rows are background, and counting, unlike looking for the best,
/// is done several scores at a time.
fn any_reaches(scores: &[f32], min_score: f32) -> bool {
    scores.iter().map(|&score| u32::from(score >= min_score)).sum::<u32>() > 0
}

/// The best class of a row of class scores; of equal ones the first.
fn best_class(scores: &[f32]) -> (u32, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, &score) in scores.iter().enumerate() {
        if score > best.1 {
            best = (class as u32, score);
        }
    }
    best
}

/// A box given by its centre and size.
fn centred([x, y, width, height]: [f32; 4], score: f32, class_id: u32) -> Detection {
    let (half_width, half_height) = (width / 2.0, height / 2.0);
    Detection { x1: x - half_width, y1: y - half_height, x2: x + half_width, y2: y + half_height, score, class_id }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(shape: &[i64], named: Option<usize>) -> Result<(Family, usize), Vec<Family>> {
        Family::recognise(&[OutputSpec { name: "output0".into(), shape: shape.to_vec() }], named)
    }

    #[test]
    fn each_family_is_known_by_its_shape() {
        for (shape, named, expected) in [
            (&[1, 84, 8400][..], None, (Family::YoloV8, 80)),
            (&[-1, 84, -1], Some(80), (Family::YoloV8, 80)),
            (&[1, 5, 8400], Some(1), (Family::YoloV8, 1)),
            (&[1, 9, 8400], None, (Family::YoloV8, 5)),
            (&[1, 25200, 85], None, (Family::YoloV5, 80)),
            (&[1, 25200, 6], Some(1), (Family::YoloV5, 1)),
            (&[1, 300, 6], None, (Family::EndToEnd, 80)),
            (&[1, 300, 6], Some(3), (Family::EndToEnd, 3)),
            (&[1, 300, 6], Some(1), (Family::EndToEnd, 1)),
        ] {
            assert_eq!(recognised(shape, named), Ok(expected), "{shape:?} {named:?}");
        }
    }

    #[test]
    fn what_fits_nothing_or_two_families_is_refused() {
        for shape in [&[1, 1000][..], &[1, 3, 80, 80], &[1, 8400, 84], &[1, 25200, 6], &[-1, -1, -1], &[1, 84, 13]] {
            assert_eq!(recognised(shape, None), Err(vec![]), "{shape:?}");
        }
        assert_eq!(recognised(&[1, 84, 8400], Some(3)), Err(vec![]), "81 classes short");
        assert_eq!(recognised(&[1, -1, 6], Some(1)), Err(vec![Family::YoloV5, Family::EndToEnd]));
    }

    #[test]
    fn an_output_must_keep_its_declared_shape() {
        let declared = OutputSpec { name: "output0".into(), shape: vec![-1, -1, 6] };
        assert!(declared.allows(&[2, 0, 6], 2) && declared.allows(&[2, 300, 6], 2));
        for shape in [&[1, 300, 6][..], &[2, 300, 7], &[2, 300], &[]] {
            assert!(!declared.allows(shape, 2), "{shape:?}");
        }
    }

    #[test]
    fn a_score_reaches_its_own_value_and_nan_reaches_nothing() {
        assert!(any_reaches(&[f32::NAN, 0.1, 0.3], 0.3));
        assert!(!any_reaches(&[f32::NAN, 0.1, 0.3], 0.31));
    }

    #[test]
    fn the_first_of_equal_classes_wins_and_nan_never_does() {
        assert_eq!(best_class(&[0.1, 0.7, 0.7]), (1, 0.7));
        assert_eq!(best_class(&[f32::NAN, 0.2]), (1, 0.2));
    }
}
