use std::{f32::consts::PI, slice::ChunksExact};

use super::{
    BoxFormat, Candidates, Decoder, Defaults, Evidence, Extra, Fit, Head, Output, OutputSpec, Resize, RowOrder, Size,
    any_reaches,
    corners::rows,
    detections::{Separate, format_in, listing},
    end_to_end::Listed,
    layout::around,
    table,
};
use crate::{Detection, metadata::Exporter};

/// Transformers that return one box per object. Their exports have these layouts:
///
/// - logits [B, N, C] and boxes [B, N, 4], centre and size as shares of the input (Hugging Face, RF-DETR, `LibreYOLO`);
/// - labels [B, N], boxes [B, N, 4], corners, and scores [B, N], for the size that a second input asks for
///   (RT-DETR, D-FINE): here the input's own;
/// - Ultralytics' RT-DETR: [B, N, 6], centre and size as shares of the input, score, class; before 8.4 [B, N, 4 + C], scores.
pub(crate) struct Detr {
    name: &'static str,
    layout: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A sigmoid for each class.
    Rt,
    /// The same, for RF-DETR. It is recognised by the names of its outputs. It was trained with other colours, and may
    /// have a class for the background.
    Rf,
    /// A softmax over the classes and "no object".
    Softmax,
}

pub(crate) const RT_DETR: Detr = Detr {
    name: "rt_detr",
    layout: "logits [B, N, C] + boxes [B, N, 4], or labels [B, N] + boxes [B, N, 4] + scores [B, N], or [B, N, 6], or [B, N, 4 + C]",
    kind: Kind::Rt,
};
pub(crate) const RF_DETR: Detr =
    Detr { name: "rf_detr", layout: "dets [B, N, 4] + labels [B, N, C] or [B, N, C + 1]", kind: Kind::Rf };
pub(crate) const DETR: Detr =
    Detr { name: "detr", layout: "logits [B, N, C + 1] + boxes [B, N, 4]", kind: Kind::Softmax };

/// Ultralytics' RT-DETR, whose program stretches with OpenCV.
const ULTRALYTICS: Defaults = Defaults { resize: Resize::OpenCv, ..Defaults::STRETCHED };

/// Columns of models that count classes by COCO's categories, 0 to 90.
const COCO_CATEGORIES: usize = 91;

impl Head for Detr {
    fn name(&self) -> &'static str {
        self.name
    }

    fn layout(&self) -> &'static str {
        self.layout
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        if let Some((logits, boxes, columns)) = logits_and_boxes(evidence.outputs) {
            let classes = self.classes(columns, evidence.named)?;
            let defaults = match self.kind {
                // Roboflow's program scales without antialiasing.
                Kind::Rf => Defaults { resize: Resize::OpenCv, ..Defaults::IMAGENET },
                // The trial searches for a class "no object", with the colours of the models that have one.
                Kind::Rt if columns != 80 && evidence.named.is_none() && evidence.trial.is_none() => Defaults::IMAGENET,
                // Models with COCO's categories (Deformable DETR, LW-DETR) use ImageNet's colours. RT-DETR and D-FINE
                // have 80 classes.
                Kind::Rt if columns != COCO_CATEGORIES => Defaults::STRETCHED,
                _ => Defaults::IMAGENET,
            };
            if evidence.outputs[boxes].shape[2] != 5 {
                return Some(logits_of(logits, boxes, classes, columns, self.kind == Kind::Softmax, defaults));
            }
            // What the fifth number is only the exporter can say.
            if self.kind != Kind::Rt || !matches!(evidence.metadata.exporter, Exporter::LibreYolo(_)) {
                return None;
            }
            let because = format!("logits of {classes} classes beside rotated boxes of 5 numbers");
            let decoder = Logits { classes, is_turned: true };
            return Some(Fit::new(classes, vec![logits, boxes], decoder, defaults, because).leaving(Extra::Angle));
        }
        if self.kind != Kind::Rt {
            return None;
        }
        if let Some(found) = listing(evidence).filter(|found| found.has_batch)
            && let Some(scores) = found.scores
        {
            let format = format_in(evidence, found.boxes, 4);
            let because = "labels, boxes and scores are outputs of their own".to_owned();
            let outputs = vec![found.labels, found.boxes, scores];
            let decoder = Separate { format, has_scores: true };
            let classes = evidence.named.unwrap_or(80);
            let fit = Fit::new(classes, outputs, decoder, Defaults::STRETCHED, because).boxes(format);
            return Some(Fit { is_dense: false, ..fit });
        }
        let table = evidence.only_table()?;
        let boxes = evidence.boxes.unwrap_or(BoxFormat::CenterShares);
        if table.columns == 6 && (evidence.named != Some(2) || evidence.tried(table.output).is_none_or(lists_classes)) {
            let decoder = Listed { order: RowOrder::BoxScoreClass, after: 0, boxes, extra: Extra::None };
            let because = format!("a row for each of {} objects: box, score, class", table.rows);
            let classes = evidence.named.unwrap_or(80);
            let fit = Fit::new(classes, vec![table.output], decoder, ULTRALYTICS, because).boxes(boxes);
            return Some(Fit { is_dense: false, ..fit });
        }
        let classes = super::classes_in(table.columns, 4, evidence.named)?;
        Some(rows(table.output, classes, 0, boxes, ULTRALYTICS))
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Vec<Fit> {
        let is_named_rf = evidence.outputs.iter().any(|output| output.name == "dets" && output.shape.len() == 3);
        let Some((logits, _, columns)) = logits_and_boxes(evidence.outputs) else {
            let is_table = evidence.only_table().is_some();
            let is_counted = listing(evidence).is_some_and(|found| found.count.is_some());
            let fits = self.kind == Kind::Rt && (!is_table || evidence.metadata.is_ultralytics_rtdetr()) && !is_counted;
            return if fits { self.fit(evidence).into_iter().collect() } else { Vec::new() };
        };
        let fits = if is_named_rf || self.kind == Kind::Rf {
            is_named_rf && self.kind == Kind::Rf
        } else {
            readings(evidence, logits, columns).contains(&self.kind)
        };
        let fit = if fits { self.fit(evidence) } else { None };
        // Of COCO's models the number of columns tells the colours.
        let is_open = self.kind == Kind::Rt && ![80, COCO_CATEGORIES].contains(&columns);
        let doubt = "the file does not say mean and std: 0 to 1 is assumed, as RT-DETR and D-FINE see it; Deformable DETR, Conditional \
                     DETR, LW-DETR and RF-DETR see ImageNet's. Set them in the card";
        let is_named = evidence.outputs.iter().any(|output| ["dets", "pred_boxes"].contains(&output.name.as_str()));
        let named = |fit: Fit| Fit { is_named, ..fit };
        fit.map(named).map(|fit| if is_open { fit.doubting(doubt) } else { fit }).into_iter().collect()
    }
}

/// How logits of this many columns may be read.
fn readings(evidence: &Evidence<'_>, logits: usize, columns: usize) -> &'static [Kind] {
    const BOTH: &[Kind] = &[Kind::Rt, Kind::Softmax];
    let last = last_column(evidence, logits, columns);
    if last.is_some_and(|last| !last.are_logits) {
        return &[];
    }
    match (evidence.named, columns, last) {
        (Some(named), _, _) if named == columns => &BOTH[..1],
        (Some(named), _, _) if named + 1 == columns => &BOTH[1..],
        (Some(_), _, _) => &[],
        // COCO's categories with "no object"; its classes; its categories.
        (None, 92, _) => &BOTH[1..],
        (None, 80 | COCO_CATEGORIES, _) => &BOTH[..1],
        (None, _, Some(LastColumn { surely: true, .. })) => &BOTH[1..],
        (None, _, Some(LastColumn { wins: true, .. })) => BOTH,
        (None, _, _) => &BOTH[..1],
    }
}

impl Detr {
    /// The classes in this many columns, if that agrees with the names.
    fn classes(&self, columns: usize, named: Option<usize>) -> Option<usize> {
        let without_last = columns.checked_sub(1).filter(|classes| *classes > 0);
        match (self.kind, named) {
            (Kind::Rt, None) => Some(columns),
            (Kind::Softmax, None) => without_last,
            (Kind::Softmax, Some(named)) => without_last.filter(|classes| *classes == named),
            // A model that counts by COCO's categories has no class for the background.
            (Kind::Rf, None) => {
                if columns == COCO_CATEGORIES {
                    Some(columns)
                } else {
                    without_last.or(Some(columns))
                }
            }
            (Kind::Rf, Some(named)) if without_last == Some(named) => without_last,
            (_, Some(named)) => (named == columns).then_some(columns),
        }
    }
}

/// What the last column of logits looks like in the trial.
#[derive(Clone, Copy, Debug)]
struct LastColumn {
    /// It is the best of most objects, by far: "no object".
    wins: bool,
    /// It is so for nearly all, and above 0, as no sigmoid of a class would be.
    surely: bool,
    /// Numbers lie outside of 0 to 1, as scores would not.
    are_logits: bool,
}

fn last_column(evidence: &Evidence<'_>, logits: usize, columns: usize) -> Option<LastColumn> {
    let (rows, _, numbers) = evidence.tried(logits).filter(|tried| tried.0 > 0 && tried.1 == columns)?;
    let margin = |row: &[f32]| {
        let (last, others) = row.split_last()?;
        Some((*last - others.iter().copied().fold(f32::NEG_INFINITY, f32::max), *last))
    };
    let all = || numbers.chunks_exact(columns).filter_map(margin);
    let share = |count: usize| count as f32 / rows as f32;
    let far = share(all().filter(|(margin, _)| *margin > 1.0).count());
    let positive = share(all().filter(|(margin, last)| *margin > 1.0 && *last > 0.0).count());
    let are_logits = super::range_of(numbers.iter()).is_none_or(|(least, most)| least < -0.001 || most > 1.001);
    Some(LastColumn { wins: far > 0.6 && columns > 1, surely: positive > 0.6 && columns > 1, are_logits })
}

/// The reading of logits beside boxes: of `columns` logits, the first `classes` are classes.
fn logits_of(logits: usize, boxes: usize, classes: usize, columns: usize, is_softmax: bool, defaults: Defaults) -> Fit {
    let background = match (is_softmax, columns - classes) {
        (true, _) => " and \"no object\"",
        (false, 0) => "",
        (false, _) => " and the background",
    };
    let because = format!("logits of {classes} classes{background} beside boxes of 4 numbers");
    if is_softmax {
        Fit::new(classes, vec![logits, boxes], Softmax, defaults, because)
    } else {
        Fit::new(classes, vec![logits, boxes], Logits { classes, is_turned: false }, defaults, because)
    }
}

/// Whether the last of six columns holds classes rather than scores.
fn lists_classes((_, _, numbers): (usize, usize, &[f32])) -> bool {
    numbers.chunks_exact(6).all(|row| row[5].fract() == 0.0)
}

/// Indices of logits and boxes, and the number of columns. Other outputs, such as masks, joints or hidden states, are
/// ignored.
fn logits_and_boxes(outputs: &[OutputSpec]) -> Option<(usize, usize, usize)> {
    let tables: Vec<(usize, i64, &str)> = outputs
        .iter()
        .enumerate()
        .filter(|(_, output)| output.shape.len() == 3 && !output.is_integer)
        .map(|(index, output)| (index, output.shape[2], output.name.as_str()))
        .collect();
    let named = |names: [&str; 3]| tables.iter().find(|table| names.contains(&table.2)).copied();
    let by_name = named(["logits", "pred_logits", "labels"]).zip(
        named(["pred_boxes", "dets", "boxes"]).filter(|boxes| boxes.1 == 4 || (boxes.1, boxes.2) == (5, "pred_boxes")),
    );
    let (logits, boxes) =
        match (by_name, &tables[..]) {
            (Some(found), _) => found,
            // Four classes: only the names tell.
            (None, &[first, second]) if (first.1, second.1) == (4, 4) => {
                if first.2.contains("box") || first.2 == "dets" { (second, first) } else { (first, second) }
            }
            (None, &[first, second]) if first.1 == 4 => (second, first),
            (None, &[first, second]) if second.1 == 4 => (first, second),
            _ => return None,
        };
    Some((logits.0, boxes.0, usize::try_from(logits.1).ok().filter(|classes| *classes > 0)?))
}

/// Rows of logits, and a box for each.
struct Parts<'a> {
    logits: &'a [f32],
    columns: usize,
    boxes: ChunksExact<'a, f32>,
}

fn parts<'a>(outputs: &[Output<'a>]) -> Result<Parts<'a>, String> {
    let [logits, boxes] = outputs else { return Err("it lacks logits or boxes".into()) };
    let (rows, columns, logits) = table(&[*logits], 1)?;
    let (box_rows, numbers, boxes) = table(&[*boxes], 4)?;
    if rows != box_rows {
        return Err(format!("it has logits for {rows} objects, but boxes for {box_rows}"));
    }
    Ok(Parts { logits, columns, boxes: boxes.chunks_exact(numbers) })
}

/// A box of at least four shares.
fn shared(shares: &[f32], input: Size, score: f32, class_id: u32) -> Detection {
    BoxFormat::CenterShares.read([shares[0], shares[1], shares[2], shares[3]], input, score, class_id)
}

/// Logits and boxes. As in the references, each pair of object and class counts on its own.
#[derive(Debug)]
struct Logits {
    /// What lies behind them is the background.
    classes: usize,
    /// A fifth number of each box is its angle, as a share of half a turn.
    is_turned: bool,
}

impl Decoder for Logits {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let Parts { logits, columns, boxes } = parts(outputs)?;
        // Sigmoid rises with its argument, so most objects are dismissed without an exponential. The margin is for
        // rounding; the score itself decides.
        let floor = if min_score > 0.0 { (min_score / (1.0 - min_score)).ln() - 1e-3 } else { f32::NEG_INFINITY };
        for (row, shares) in logits.chunks_exact(columns).zip(boxes) {
            let row = &row[..self.classes.min(columns)];
            if !any_reaches(row, floor) {
                continue;
            }
            for (class, &logit) in row.iter().enumerate().filter(|(_, logit)| **logit >= floor) {
                let score = 1.0 / (1.0 + (-logit).exp());
                if score >= min_score {
                    let upright = shared(shares, input, score, class as u32);
                    candidates.push(if self.is_turned { around(upright, shares[4] * PI) } else { upright });
                }
            }
        }
        Ok(())
    }

    fn scores_are_lost(&self, outputs: &[Output<'_>]) -> bool {
        outputs.first().is_some_and(|logits| !logits.data.is_empty() && logits.data.iter().all(|v| !v.is_finite()))
    }
}

/// Logits and boxes. A softmax makes scores of the logits, and the last class means "no object". Each object gets its
/// best class, as in the reference.
#[derive(Debug)]
struct Softmax;

impl Decoder for Softmax {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let Parts { logits, columns, boxes } = parts(outputs)?;
        for (row, shares) in logits.chunks_exact(columns).zip(boxes) {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = row.iter().map(|logit| (logit - most).exp()).sum();
            let (class, logit) = super::best_class(&row[..columns - 1]);
            let score = (logit - most).exp() / sum;
            if score >= min_score {
                candidates.push(shared(shares, input, score, class));
            }
        }
        Ok(())
    }

    fn scores_are_lost(&self, outputs: &[Output<'_>]) -> bool {
        outputs.first().is_some_and(|logits| !logits.data.is_empty() && logits.data.iter().all(|v| !v.is_finite()))
    }
}
