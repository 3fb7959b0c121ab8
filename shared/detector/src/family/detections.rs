use super::{
    BoxFormat, Candidates, Decoder, Defaults, Evidence, Extra, Fit, Head, Letterbox, Output, OutputSpec, Resize,
    RowOrder, Size, end_to_end::Listed, range_of,
};

/// Finished objects, in the layouts of exports with suppression inside:
///
/// - boxes [N, 4], labels [N], scores [N] of one picture (torchvision);
/// - dets [B, N, 5], corners and score, and labels [B, N] (mmdeploy);
/// - `num_dets` [B, 1], boxes [B, N, 4], scores [B, N], classes [B, N] (`EfficientNMS`);
/// - a table of one picture: [N, 6], class, score, corners (`PaddleDetection`); [N, 7], picture, corners, class, score (YOLOv7) or
///   picture, corners, score, class (YOLO-NAS).
pub(crate) struct Detections;

impl Head for Detections {
    fn name(&self) -> &'static str {
        "detections"
    }

    fn layout(&self) -> &'static str {
        "boxes + labels + scores, dets [B, N, 5] + labels, or rows [N, 6] or [N, 7]"
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        self.recognise(evidence).into_iter().next()
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Vec<Fit> {
        let mut fits = rows(evidence);
        fits.extend(listing(evidence).and_then(|found| found.fit(evidence)));
        fits
    }
}

/// Which outputs are what.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) labels: usize,
    pub(super) boxes: usize,
    /// None where the score is the fifth number of a box.
    pub(super) scores: Option<usize>,
    pub(super) count: Option<usize>,
    pub(super) has_batch: bool,
}

/// Labels, boxes and scores, which shape, type, name and numbers tell apart.
pub(super) fn listing(evidence: &Evidence<'_>) -> Option<Listing> {
    let outputs = evidence.outputs;
    let rank = |index: usize| outputs[index].shape.len();
    let last = |spec: &OutputSpec| spec.shape.last().copied();
    let is_boxes = |index: &usize| {
        let spec = &outputs[*index];
        let is_table = [2, 3].contains(&spec.shape.len()) && matches!(last(spec), Some(4 | 5));
        // Two pictures' counts or four objects' labels are no boxes.
        is_table && !spec.is_integer && (spec.shape.len() == 3 || outputs.iter().any(|other| other.shape.len() == 1))
    };
    let mut tables = (0..outputs.len()).filter(is_boxes);
    let boxes = tables.next().filter(|_| tables.next().is_none())?;
    let has_batch = rank(boxes) == 3;
    let flat = rank(boxes) - 1;
    let is_count = |index: usize| {
        let spec = &outputs[index];
        let name = spec.name.to_ascii_lowercase();
        spec.is_integer
            && (name.contains("num") || name.contains("count") || (rank(index) == 2 && last(spec) == Some(1)))
    };
    let lists: Vec<usize> =
        (0..outputs.len()).filter(|&index| index != boxes && rank(index) == flat && !is_count(index)).collect();
    let count = (0..outputs.len()).find(|&index| index != boxes && is_count(index));
    if last(&outputs[boxes]) == Some(5) {
        return match lists[..] {
            [labels] => Some(Listing { labels, boxes, scores: None, count, has_batch }),
            _ => None,
        };
    }
    let [first, second] = lists[..] else { return None };
    let is_label = |index: usize| {
        let name = outputs[index].name.to_ascii_lowercase();
        let by_name = name.contains("label") || name.contains("class");
        outputs[index].is_integer || by_name
    };
    let (labels, scores) = match (is_label(first), is_label(second)) {
        (true, false) => (first, second),
        (false, true) => (second, first),
        // Floats without names: the whole ones are classes.
        _ => {
            let tried = &evidence.trial?.outputs;
            let whole = |index: usize| {
                let numbers = &tried[index].numbers;
                !numbers.is_empty() && numbers.iter().all(|number| number.fract() == 0.0)
            };
            match (whole(first), whole(second)) {
                (true, false) => (first, second),
                (false, true) => (second, first),
                _ => return None,
            }
        }
    };
    Some(Listing { labels, boxes, scores: Some(scores), count, has_batch })
}

impl Listing {
    /// The reading, if it is not that of a transformer, which gives a fixed number of objects.
    fn fit(self, evidence: &Evidence<'_>) -> Option<Fit> {
        let Self { labels, boxes, scores, count, has_batch } = self;
        let format = format_in(evidence, boxes, if scores.is_some() { 4 } else { 5 });
        let decoder = Separate { format, has_scores: scores.is_some() };
        let outputs = [Some(labels), Some(boxes), scores, count].into_iter().flatten().collect();
        let (classes, defaults, because, doubt) = match (has_batch, scores, count) {
            (false, _, _) => (
                91,
                Defaults { letterbox: Letterbox::TopLeft, pad_color: [124, 116, 104], ..Defaults::STRETCHED },
                "boxes, labels and scores of one picture, as torchvision gives them",
                None,
            ),
            (true, None, _) => (
                80,
                Defaults { letterbox: Letterbox::TopLeft, resize: Resize::OpenCv, ..Defaults::IMAGENET },
                "dets of corners and score, and labels, as mmdeploy gives them",
                Some(
                    "mean, std and colours are those of most configurations of mmdetection; set those of the model's \
                     pipeline.json in the card",
                ),
            ),
            (true, _, Some(_)) => (
                80,
                Defaults { nms_iou: None, ..Defaults::ULTRALYTICS },
                "a count, boxes, scores and classes, suppressed",
                None,
            ),
            (true, Some(_), None) => return None,
        };
        // No shape tells how many classes there are.
        let classes = evidence.named.filter(|_| !evidence.is_guess).unwrap_or(classes);
        let fit = Fit::new(classes, outputs, decoder, defaults, because.to_owned());
        let fit = Fit { has_batch, is_dense: false, ..fit.boxes(format) };
        Some(match doubt {
            Some(doubt) => fit.doubting(doubt),
            None => fit,
        })
    }
}

/// The format of boxes of this many numbers, by those of the trial: corners unless they are shares.
pub(super) fn format_in(evidence: &Evidence<'_>, boxes: usize, numbers: usize) -> BoxFormat {
    if let Some(format) = evidence.boxes {
        return format;
    }
    let Some(tried) = evidence.trial.and_then(|trial| trial.outputs.get(boxes)) else { return BoxFormat::Corners };
    let rows: Vec<&[f32]> =
        tried.numbers.chunks_exact(numbers).map(|row| &row[..4]).filter(|row| row.iter().any(|v| *v != 0.0)).collect();
    let are_shares = rows.iter().all(|row| row.iter().all(|value| (-0.5..=1.5).contains(value)));
    match rows.len() {
        0 => BoxFormat::Corners,
        _ if !are_shares => BoxFormat::Corners,
        _ if rows.iter().all(|row| row[0] <= row[2] && row[1] <= row[3]) => BoxFormat::CornerShares,
        _ => BoxFormat::CenterShares,
    }
}

/// Every reading of a table of one picture that its numbers allow.
fn rows(evidence: &Evidence<'_>) -> Vec<Fit> {
    let outputs = evidence.outputs;
    let mut tables = (0..outputs.len())
        .filter(|&index| !outputs[index].is_integer && matches!(outputs[index].shape[..], [_, 6 | 7]));
    let Some(output) = tables.next().filter(|_| tables.next().is_none()) else { return Vec::new() };
    // Beside it at most how many there are.
    if outputs.iter().enumerate().any(|(index, spec)| index != output && !spec.is_integer) {
        return Vec::new();
    }
    let columns = outputs[output].shape[1] as usize;
    let tried = evidence.trial.and_then(|trial| trial.outputs.get(output));
    let numbers = tried.map_or(&[][..], |tried| &tried.numbers);
    let rows = || numbers.chunks_exact(columns).filter(|row| row.iter().all(|value| value.is_finite()));
    let is_paddle = evidence.size_inputs.iter().any(|name| name == "scale_factor" || name == "im_shape");
    let is_flat_nas = outputs[output].name.contains("flat_predictions");
    // What the card, the inputs or a name says; else what the numbers allow.
    let said = evidence.order.or(match columns {
        6 if is_paddle => Some(RowOrder::ClassScoreBox),
        7 if is_flat_nas => Some(RowOrder::BoxScoreClass),
        _ => None,
    });
    let after = columns - 6;
    let usual =
        |order: RowOrder| if after == 0 { order != RowOrder::BoxClassScore } else { order != RowOrder::ClassScoreBox };
    let is_left = |order: &RowOrder| match said {
        Some(said) => said == *order,
        None => usual(*order) && order.fits(after, rows()),
    };
    let fit = |order: RowOrder| {
        let is_stretched = order == RowOrder::ClassScoreBox;
        let yolo = Defaults { nms_iou: None, ..Defaults::ULTRALYTICS };
        let defaults = if is_stretched { Defaults::STRETCHED } else { yolo };
        let boxes = evidence.boxes.unwrap_or(BoxFormat::Corners);
        let picture = if after == 0 { "" } else { "picture, " };
        let because = format!("a row for each object of one picture: {picture}{}", order.in_words());
        let decoder = Listed { order, after, boxes, extra: Extra::None };
        let fit = Fit::new(evidence.named.unwrap_or(80), vec![output], decoder, defaults, because).order(order);
        let doubt = "the file does not say mean and std: 0 to 1 is assumed; where infer_cfg.yml names others, set them in the card";
        Fit { has_batch: false, ..if is_paddle { fit.doubting(doubt) } else { fit } }
    };
    RowOrder::ALL.into_iter().filter(is_left).map(fit).collect()
}

/// Labels, boxes, scores and a count of their own.
#[derive(Debug)]
pub(super) struct Separate {
    pub(super) format: BoxFormat,
    pub(super) has_scores: bool,
}

impl Decoder for Separate {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let (labels, boxes, rest) = match outputs {
            [labels, boxes, rest @ ..] => (labels, boxes, rest),
            _ => return Err("it lacks labels, boxes or scores".into()),
        };
        let columns = if self.has_scores { 4 } else { 5 };
        let rows = boxes.data.len() / columns;
        let scores = if self.has_scores { rest.first().map(|scores| scores.data) } else { None };
        let of_scores = scores.map_or(rows, <[f32]>::len);
        if (labels.data.len(), of_scores) != (rows, rows) {
            return Err(format!("it has {} labels, {rows} boxes and {of_scores} scores", labels.data.len()));
        }
        let count = rest.get(usize::from(self.has_scores)).and_then(|count| count.data.first());
        let limit = count.map_or(rows, |count| count.max(0.0) as usize);
        for (place, row) in boxes.data.chunks_exact(columns).enumerate().take(limit) {
            let score = scores.map_or(row[columns - 1], |scores| scores[place]);
            let label = labels.data[place];
            if score >= min_score && label >= 0.0 {
                candidates.push(self.format.read([row[0], row[1], row[2], row[3]], input, score, label as u32));
            }
        }
        Ok(())
    }

    fn score_range(&self, outputs: &[Output<'_>]) -> Option<(f32, f32)> {
        if self.has_scores {
            range_of(outputs.get(2)?.data.iter())
        } else {
            range_of(outputs.get(1)?.data.iter().skip(4).step_by(5))
        }
    }

    fn scores_are_lost(&self, outputs: &[Output<'_>]) -> bool {
        let lost = |data: &[f32]| !data.is_empty() && data.iter().all(|value| !value.is_finite());
        outputs.get(if self.has_scores { 2 } else { 1 }).is_some_and(|scores| lost(scores.data))
    }
}
