//! Model families: what the outputs of a model mean.
//!
//! A family is one file with one [`Head`], and one line in [`Family`] and in [`Family::head`]. A head says whether a model's
//! outputs can be its own, and gives the [`Decoder`] that reads them.

mod boxes_and_scores;
mod corners;
mod detections;
mod detr;
mod end_to_end;
mod evidence;
mod fit;
mod grid;
mod layout;
mod libreyolo;
mod nanodet;
mod picodet;
mod recognise;
mod yolov5;
mod yolov8;
mod yolox;

use std::fmt;

use serde::Deserialize;

pub(crate) use evidence::Evidence;
use evidence::Table;
pub(crate) use fit::{Defaults, Fit};
pub(crate) use layout::Extra;
pub use layout::{BoxFormat, RowOrder};
pub(crate) use recognise::{Doubt, Recognised, in_words, recognise, without_boxes};

use crate::{ColorOrder, Detection, Letterbox, Resize};

/// What a model's output looks like. B pictures, N candidates, C classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Family {
    /// NanoDet and NanoDet-Plus. Raw, [B, N, C + 4 * bins]: class scores, then the distribution of each side. Decoded,
    /// [B, N, 4 + C]: corners, class scores; only by card, as YOLO exports of that shape exist.
    #[serde(rename = "nanodet")]
    NanoDet,
    /// YOLOv5, [B, N, 5 + C]: centre and size, objectness, class scores.
    #[serde(rename = "yolov5")]
    YoloV5,
    /// YOLOv8, v9, 11 and 12, [B, 4 + C, N]: a box, class scores. The box is centre and size, or corners (`LibreYOLO`).
    #[serde(rename = "yolov8")]
    YoloV8,
    /// YOLOX, [B, N, 5 + C]: centre and size, objectness, class scores. There is one candidate per grid cell. Its box
    /// may be relative to the cell.
    #[serde(rename = "yolox")]
    YoloX,
    /// YOLOv10, 26 and others that suppress duplicates themselves, [B, N, 6]: corners, score, class.
    EndToEnd,
    /// RT-DETR and D-FINE, in one of three layouts: logits [B, N, C] and boxes [B, N, 4]; labels, boxes and scores, for
    /// the size in a second input; or Ultralytics' [B, N, 6] (before 8.4 [B, N, 4 + C]).
    #[serde(alias = "d_fine")]
    RtDetr,
    /// RF-DETR, boxes [B, N, 4] and logits [B, N, C], whose last class may be the background.
    RfDetr,
    /// DETR and YOLOS: logits [B, N, C + 1] and boxes [B, N, 4]. A softmax makes scores of the logits. The last class
    /// means "no object".
    Detr,
    /// Boxes [B, N, 4] and scores [B, N, C] in separate outputs, before suppression: PP-YOLOE, YOLO-NAS, YOLOv4.
    BoxesAndScores,
    /// RTMDet, PicoDet and `RetinaNet`, as `LibreYOLO` exports them, [B, N, 4 + C]: corners, class scores.
    Corners,
    /// PicoDet's head. First for each stride the scores [B, N, C], then for each stride the distributions [B, N, 4 *
    /// bins].
    #[serde(rename = "picodet")]
    PicoDet,
    /// Finished objects, which need no further step: torchvision, mmdeploy, `PaddleDetection`, `EfficientNMS`, and
    /// YOLOv7 and YOLO-NAS with suppression inside.
    Detections,
}

impl Family {
    const ALL: [Self; 12] = [
        Self::NanoDet,
        Self::YoloV5,
        Self::YoloV8,
        Self::YoloX,
        Self::EndToEnd,
        Self::RtDetr,
        Self::RfDetr,
        Self::Detr,
        Self::BoxesAndScores,
        Self::Corners,
        Self::PicoDet,
        Self::Detections,
    ];

    /// Its name, as in a card.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.head().name()
    }

    pub(crate) fn head(self) -> &'static dyn Head {
        match self {
            Self::NanoDet => &nanodet::NanoDet,
            Self::YoloV5 => &yolov5::YoloV5,
            Self::YoloV8 => &yolov8::YoloV8,
            Self::YoloX => &yolox::YoloX,
            Self::EndToEnd => &end_to_end::EndToEnd,
            Self::RtDetr => &detr::RT_DETR,
            Self::RfDetr => &detr::RF_DETR,
            Self::Detr => &detr::DETR,
            Self::BoxesAndScores => &boxes_and_scores::BoxesAndScores,
            Self::Corners => &corners::Corners,
            Self::PicoDet => &picodet::PicoDet,
            Self::Detections => &detections::Detections,
        }
    }
}

/// Pixels of a model's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// An output as the model declares it; -1 is a dimension that is known only when it runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OutputSpec {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
    pub(crate) is_integer: bool,
}

impl OutputSpec {
    /// Whether an output of this shape is as declared, with one entry per picture. For a batch of 0, any declared shape
    /// is accepted. ONNX Runtime only warns about differences.
    pub(crate) fn allows(&self, shape: &[usize], batch: Option<usize>) -> bool {
        let sides = self.shape.iter().zip(shape);
        shape.len() == self.shape.len()
            && batch.is_none_or(|batch| shape.first() == Some(&batch))
            && sides
                .skip(usize::from(batch.is_some()))
                .all(|(&declared, &side)| usize::try_from(declared).is_ok_and(|d| d == side) || declared < 0)
    }

    /// Whether all dimensions but the batch are known before it runs. The batch is always the same.
    pub(crate) fn has_fixed_shape(&self, has_batch: bool) -> bool {
        self.shape.iter().skip(usize::from(has_batch)).all(|&side| side >= 0)
    }
}

/// One output for one picture, without the batch dimension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) data: &'a [f32],
}

/// The candidates that a decoder finds in one picture. It is reused for each picture, so that there are no allocations.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// The candidates, in the order of the output.
    pub(crate) boxes: Vec<Detection>,
    /// A buffer with a number for each row of an output.
    numbers: Vec<f32>,
}

impl Candidates {
    fn push(&mut self, detection: Detection) {
        self.boxes.push(detection);
    }
}

/// The rules by which a family recognises its outputs.
pub(crate) trait Head: Sync {
    /// Its name in a card.
    fn name(&self) -> &'static str;

    /// The shapes of its outputs, for messages.
    fn layout(&self) -> &'static str;

    /// How to read the outputs, if they can belong to this family, and agree with the number of names, if that is
    /// known.
    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit>;

    /// Like `fit`, but for a model whose card does not name the family. It is stricter if shapes of families are
    /// similar, and returns every possible reading.
    fn recognise(&self, evidence: &Evidence<'_>) -> Vec<Fit> {
        self.fit(evidence).into_iter().collect()
    }
}

/// Reads the outputs of a model.
pub(crate) trait Decoder: fmt::Debug + Send + Sync {
    /// Appends the candidates of one picture with a score of at least `min_score`, in the order of the output. Boxes
    /// are in input pixels. The caller removes values that are not finite.
    ///
    /// # Errors
    ///
    /// What is wrong with the outputs, if their shapes are not as declared, or do not fit the input size.
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String>;

    /// Whether the scores of one picture are all NaN or infinite, so that none can be used.
    fn scores_are_lost(&self, outputs: &[Output<'_>]) -> bool {
        let mut values = outputs.iter().flat_map(|output| output.data).peekable();
        values.peek().is_some() && values.all(|value| !value.is_finite())
    }

    /// The smallest and the largest number that it takes for scores between 0 and 1. None if any number is allowed, or
    /// if there is none.
    fn score_range(&self, _outputs: &[Output<'_>]) -> Option<(f32, f32)> {
        None
    }

    /// Whether it needs the outputs for a grey picture to decide how to read them.
    fn is_undecided(&self) -> bool {
        false
    }

    /// Decides by the outputs for a grey picture. Returns the decision, as text for people.
    fn decide(&mut self, _grey: &[Output<'_>], _input: Size) -> Result<String, String> {
        Ok(String::new())
    }
}

/// Rows, columns and values of an output that is one matrix of at least `least` columns.
fn table<'a>(outputs: &[Output<'a>], least: usize) -> Result<(usize, usize, &'a [f32]), String> {
    match *outputs {
        [Output { shape: &[rows, columns], data }] if columns >= least && data.len() == rows * columns => {
            Ok((rows, columns, data))
        }
        _ => {
            let seen: Vec<_> = outputs.iter().map(|output| output.shape).collect();
            Err(format!("for one picture it is {seen:?}, not one matrix of at least {least} columns"))
        }
    }
}

/// Describes the outputs that a reading does not use, by their names. For the list of one picture, by their shapes,
/// too.
pub(crate) fn left_out(outputs: &[OutputSpec], fit: &Fit) -> Extra {
    let rest =
        || outputs.iter().enumerate().filter(|(index, _)| !fit.outputs.contains(index)).map(|(_, output)| output);
    let is = |part: &str, rank: usize| {
        rest().any(|output| {
            let is_named = output.name.to_ascii_lowercase().contains(part);
            is_named || (!fit.has_batch && output.shape.len() == rank && !output.is_integer)
        })
    };
    match (is("mask", 4), is("keypoint", 3)) {
        (true, _) => Extra::Masks(0),
        (_, true) => Extra::Keypoints(0),
        _ => Extra::None,
    }
}

/// The number of classes in a dimension of `extra` + C, if that agrees with the number of names.
fn classes_in(dimension: i64, extra: i64, named: Option<usize>) -> Option<usize> {
    let classes = usize::try_from(dimension - extra).ok().filter(|classes| *classes > 0)?;
    named.is_none_or(|named| named == classes).then_some(classes)
}

/// The least and the most of the numbers that are finite.
fn range_of<'a>(numbers: impl Iterator<Item = &'a f32>) -> Option<(f32, f32)> {
    let finite = numbers.copied().filter(|number| number.is_finite());
    finite.fold(None, |range, number| {
        let (least, most) = range.unwrap_or((number, number));
        Some((number.min(least), number.max(most)))
    })
}

/// Whether any score is at least `min_score`. Nearly all rows are background, so this check comes first. The processor
/// counts several scores at a time, which is faster than a search for the best one.
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
    use crate::metadata::{Exporter, Metadata, Ultralytics};

    fn metadata(description: Option<&str>) -> Metadata {
        let exporter = match description {
            Some(_) => Exporter::Ultralytics(Ultralytics::default()),
            None => Exporter::Unknown,
        };
        Metadata { description: description.map(ToOwned::to_owned), exporter, ..Metadata::default() }
    }

    /// By shapes alone; the cards that settle it where there is more than one reading.
    fn known(outputs: &[OutputSpec], named: Option<usize>, metadata: &Metadata) -> Result<(Family, Fit), Vec<String>> {
        let input = Some(Size { width: 640, height: 640 });
        let evidence = Evidence {
            outputs,
            named,
            is_guess: false,
            input,
            metadata,
            decoded: None,
            boxes: None,
            order: None,
            size_inputs: &[],
            trial: None,
        };
        match recognise(&evidence) {
            Ok(Recognised { family, fit, .. }) => Ok((family, fit)),
            Err(doubt) => Err(doubt.readings.into_iter().map(|(_, card)| card).collect()),
        }
    }

    fn card_of(family: &str) -> String {
        match family {
            "end_to_end" => r#"{"family": "end_to_end", "boxes": "corners", "order": "box_score_class"}"#.into(),
            _ => format!(r#"{{"family": "{family}"}}"#),
        }
    }

    fn recognised(shape: &[i64], named: Option<usize>) -> Result<(Family, usize), Vec<String>> {
        let output = OutputSpec { name: "output0".into(), shape: shape.to_vec(), is_integer: false };
        known(&[output], named, &metadata(None)).map(|(family, fit)| (family, fit.classes))
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
            (&[1, 8400, 85], None, (Family::YoloX, 80)),
            (&[1, 8500, 85], None, (Family::YoloX, 80)),
            (&[1, 8400, 8], None, (Family::YoloX, 3)),
            (&[1, 8500, 112], None, (Family::NanoDet, 80)),
            (&[1, 8400, 124], Some(80), (Family::NanoDet, 80)),
            (&[1, 300, 6], None, (Family::EndToEnd, 80)),
            (&[1, 300, 6], Some(3), (Family::EndToEnd, 3)),
            (&[1, 300, 6], Some(1), (Family::EndToEnd, 1)),
        ] {
            assert_eq!(recognised(shape, named), Ok(expected), "{shape:?} {named:?}");
        }
    }

    #[test]
    fn transformers_are_known_by_their_outputs() {
        let output =
            |name: &str, shape: &[i64], is_integer| OutputSpec { name: name.into(), shape: shape.to_vec(), is_integer };
        let recognised = |outputs: &[OutputSpec], named, description| {
            let (family, fit) = known(outputs, named, &metadata(description)).unwrap();
            (family, fit.classes, fit.outputs)
        };
        let hugging_face = [output("logits", &[-1, 300, 80], false), output("pred_boxes", &[-1, 300, 4], false)];
        assert_eq!(recognised(&hugging_face, None, None), (Family::RtDetr, 80, vec![0, 1]));
        let roboflow = [output("dets", &[1, 300, 4], false), output("labels", &[1, 300, 91], false)];
        assert_eq!(recognised(&roboflow, None, None), (Family::RfDetr, 91, vec![1, 0]));
        let four = [output("dets", &[1, 300, 4], false), output("labels", &[1, 300, 4], false)];
        assert_eq!(recognised(&four, None, None), (Family::RfDetr, 3, vec![1, 0]), "the last is the background");
        assert_eq!(recognised(&four, Some(4), None), (Family::RfDetr, 4, vec![1, 0]));
        assert_eq!(recognised(&four, Some(3), None), (Family::RfDetr, 3, vec![1, 0]));
        let original = [
            output("labels", &[-1, 300], true),
            output("boxes", &[-1, 300, 4], false),
            output("scores", &[-1, 300], false),
        ];
        assert_eq!(recognised(&original, None, None), (Family::RtDetr, 80, vec![0, 1, 2]));
        let ultralytics = [output("output0", &[1, 300, 6], false)];
        let description = Some("Ultralytics rtdetr-l model trained on my.yaml");
        assert_eq!(recognised(&ultralytics, Some(2), description), (Family::RtDetr, 2, vec![0]));
    }

    #[test]
    fn feature_maps_beside_the_table_are_not_read() {
        let output = |shape: &[i64]| OutputSpec { name: String::new(), shape: shape.to_vec(), is_integer: false };
        let outputs = [output(&[1, 3, 80, 80, 85]), output(&[1, 25200, 85]), output(&[1, 3, 40, 40, 85])];
        let (family, fit) = known(&outputs, Some(80), &metadata(None)).unwrap();
        assert_eq!((family, fit.outputs), (Family::YoloV5, vec![1]));
        let segmentation = [output(&[1, 116, 8400]), output(&[1, 32, 160, 160])];
        let (family, fit) = known(&segmentation, None, &metadata(None)).unwrap();
        assert_eq!((family, fit.classes), (Family::YoloV8, 80), "32 of the rows are of masks");
        assert!(fit.leaves.unwrap().contains("masks"));
    }

    #[test]
    fn what_fits_nothing_or_two_families_is_refused() {
        for shape in [&[1, 1000][..], &[1, 3, 80, 80], &[1, 8401, 84], &[1, 25200, 6], &[-1, -1, -1], &[1, 84, 13]] {
            assert_eq!(recognised(shape, None), Err(vec![]), "{shape:?}");
        }
        assert_eq!(recognised(&[1, 84, 8400], Some(3)), Err(vec![]), "81 classes short");
        assert_eq!(recognised(&[1, -1, 6], Some(1)), Err(["yolov5", "yolox", "end_to_end"].map(card_of).to_vec()));
        assert_eq!(
            recognised(&[1, 8400, 50], None),
            Err(["nanodet", "yolox"].map(card_of).to_vec()),
            "18 or 45 classes"
        );
    }

    #[test]
    fn an_output_must_keep_its_declared_shape() {
        let declared = OutputSpec { name: "output0".into(), shape: vec![-1, -1, 6], is_integer: false };
        assert!(declared.allows(&[2, 0, 6], Some(2)) && declared.allows(&[2, 300, 6], Some(2)));
        for shape in [&[1, 300, 6][..], &[2, 300, 7], &[2, 300], &[]] {
            assert!(!declared.allows(shape, Some(2)), "{shape:?}");
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
