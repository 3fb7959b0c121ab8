use super::{
    Candidates, Decoder, Defaults, Evidence, Fit, Head, Output, OutputSpec, Size, any_reaches, centred, table,
};
use crate::{ColorOrder, Detection, Letterbox};

/// Transformers that give one box per object. In the layouts of their exports:
///
/// - logits [B, N, C] and boxes [B, N, 4], centre and size as shares of the input (Hugging Face, RF-DETR);
/// - labels [B, N] (integers), boxes [B, N, 4], corners, and scores [B, N], for the size that a second input asks for
///   (RT-DETR, D-FINE): here the input's own;
/// - Ultralytics' RT-DETR: [B, N, 4 + C], centre and size as shares of the input, then scores.
pub(crate) struct Detr {
    name: &'static str,
    layout: &'static str,
    /// RF-DETR names its outputs so; it is trained with other colours.
    is_rf: bool,
}

pub(crate) const RT_DETR: Detr = Detr {
    name: "rt_detr",
    layout: "logits [B, N, C] + boxes [B, N, 4], or labels [B, N] + boxes [B, N, 4] + scores [B, N], or [B, N, 4 + C]",
    is_rf: false,
};
pub(crate) const RF_DETR: Detr = Detr { name: "rf_detr", layout: "dets [B, N, 4] + labels [B, N, C]", is_rf: true };

impl Head for Detr {
    fn name(&self) -> &'static str {
        self.name
    }

    fn layout(&self) -> &'static str {
        self.layout
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let defaults = Defaults {
            color_order: ColorOrder::Rgb,
            mean: if self.is_rf { [123.675, 116.28, 103.53] } else { [0.0; 3] },
            std: if self.is_rf { [58.395, 57.12, 57.375] } else { [255.0; 3] },
            letterbox: Letterbox::Stretch,
            pad_color: [0; 3],
            nms_iou: None,
        };
        let fit = |classes: usize, outputs: Vec<usize>, decoder: Box<dyn Decoder>, because: String| {
            Some(Fit { classes, outputs, decoder, defaults: defaults.clone(), because })
        };
        if let Some((logits, boxes, classes)) = logits_and_boxes(evidence.outputs) {
            let agrees = evidence.named.is_none_or(|named| named == classes);
            let because = format!("logits of {classes} classes beside boxes of 4 numbers");
            return agrees.then(|| fit(classes, vec![logits, boxes], Box::new(Logits), because))?;
        }
        if self.is_rf {
            return None;
        }
        if let Some(outputs) = labels_boxes_scores(evidence.outputs) {
            let because = "labels, boxes and scores are outputs of their own".to_owned();
            return fit(evidence.named.unwrap_or(80), outputs, Box::new(Finished), because);
        }
        let (output, rows, columns) = evidence.only_table()?;
        let classes = super::classes_in(columns, 4, evidence.named)?;
        let because = format!("{rows} objects of a box and the classes; the metadata or the card names RT-DETR");
        fit(classes, vec![output], Box::new(Shares), because)
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let is_named_rf = evidence.outputs.iter().any(|output| output.name == "dets");
        let is_table = evidence.only_table().is_some();
        let fits = is_named_rf == self.is_rf && (!is_table || evidence.is_ultralytics_rtdetr());
        fits.then(|| self.fit(evidence))?
    }
}

/// Indices of logits and boxes, and the number of classes.
fn logits_and_boxes(outputs: &[OutputSpec]) -> Option<(usize, usize, usize)> {
    let tables: Vec<(usize, i64, &str)> = outputs
        .iter()
        .enumerate()
        .filter(|(_, output)| output.shape.len() == 3 && !output.is_integer)
        .map(|(index, output)| (index, output.shape[2], output.name.as_str()))
        .collect();
    let (logits, boxes) = match tables[..] {
        // Four classes: only the names tell.
        [first, second] if (first.1, second.1) == (4, 4) => {
            if first.2.contains("box") || first.2 == "dets" {
                (second, first)
            } else {
                (first, second)
            }
        }
        [first, second] if first.1 == 4 => (second, first),
        [first, second] if second.1 == 4 => (first, second),
        _ => return None,
    };
    Some((logits.0, boxes.0, usize::try_from(logits.1).ok().filter(|classes| *classes > 0)?))
}

/// Indices of labels, boxes and scores, which type and shape tell apart.
fn labels_boxes_scores(outputs: &[OutputSpec]) -> Option<Vec<usize>> {
    let find = |sides: usize, is_integer: bool| {
        let mut fitting = (0..outputs.len())
            .filter(|&index| outputs[index].shape.len() == sides && outputs[index].is_integer == is_integer);
        fitting.next().filter(|_| fitting.next().is_none())
    };
    let boxes = find(3, false).filter(|&index| outputs[index].shape[2] == 4)?;
    (outputs.len() == 3).then_some(vec![find(2, true)?, boxes, find(2, false)?])
}

/// Centre and size as shares of the input.
fn from_shares(shares: &[f32], input: Size, score: f32, class_id: u32) -> Detection {
    let (width, height) = (input.width as f32, input.height as f32);
    centred([shares[0] * width, shares[1] * height, shares[2] * width, shares[3] * height], score, class_id)
}

/// Logits and boxes. As in the references, each pair of object and class counts on its own.
#[derive(Debug)]
struct Logits;

impl Decoder for Logits {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let [logits, boxes] = outputs else { return Err("it lacks logits or boxes".into()) };
        let (rows, classes, logits) = table(&[*logits], 1)?;
        let (box_rows, _, boxes) = table(&[*boxes], 4)?;
        if rows != box_rows {
            return Err(format!("it has logits for {rows} objects, but boxes for {box_rows}"));
        }
        // Sigmoid rises with its argument, so most objects are dismissed without an exponential. The margin is for
        // rounding; the score itself decides.
        let floor = if min_score > 0.0 { (min_score / (1.0 - min_score)).ln() - 1e-3 } else { f32::NEG_INFINITY };
        for (row, shares) in logits.chunks_exact(classes).zip(boxes.chunks_exact(4)) {
            if !any_reaches(row, floor) {
                continue;
            }
            for (class, &logit) in row.iter().enumerate().filter(|(_, logit)| **logit >= floor) {
                let score = 1.0 / (1.0 + (-logit).exp());
                if score >= min_score {
                    candidates.push(from_shares(shares, input, score, class as u32));
                }
            }
        }
        Ok(())
    }

    fn scores_are_lost(&self, outputs: &[Output<'_>]) -> bool {
        outputs.first().is_some_and(|logits| !logits.data.is_empty() && logits.data.iter().all(|v| !v.is_finite()))
    }
}

/// Labels, boxes and scores of the size of the input.
#[derive(Debug)]
struct Finished;

impl Decoder for Finished {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        _: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let [labels, boxes, scores] = outputs else { return Err("it lacks labels, boxes or scores".into()) };
        let (rows, _, corners) = table(&[*boxes], 4)?;
        if (labels.data.len(), scores.data.len()) != (rows, rows) {
            let (labels, scores) = (labels.data.len(), scores.data.len());
            return Err(format!("it has {labels} labels, {rows} boxes and {scores} scores"));
        }
        for ((&label, corner), &score) in labels.data.iter().zip(corners.as_chunks::<4>().0).zip(scores.data) {
            if score >= min_score && label >= 0.0 {
                let [x1, y1, x2, y2] = *corner;
                candidates.push(Detection { x1, y1, x2, y2, score, class_id: label as u32 });
            }
        }
        Ok(())
    }

    fn scores_are_lost(&self, outputs: &[Output<'_>]) -> bool {
        outputs.last().is_some_and(|scores| !scores.data.is_empty() && scores.data.iter().all(|v| !v.is_finite()))
    }
}

/// One table of shares and scores.
#[derive(Debug)]
struct Shares;

impl Decoder for Shares {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let (_, columns, data) = table(outputs, 5)?;
        for row in data.chunks_exact(columns) {
            if any_reaches(&row[4..], min_score) {
                let (class, score) = super::best_class(&row[4..]);
                candidates.push(from_shares(row, input, score, class));
            }
        }
        Ok(())
    }
}
