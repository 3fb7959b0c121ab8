use super::{
    BoxFormat, Candidates, Decoder, Defaults, Evidence, Extra, Fit, Head, Output, OutputSpec, Size, any_reaches,
    best_class, layout::around, range_of, table,
};

/// Boxes [B, N, 4] and scores [B, N, C] from 0 to 1, in separate outputs, before suppression: PP-YOLOE, YOLO-NAS, and
/// YOLOv4, whose boxes are [B, N, 1, 4].
pub(crate) struct BoxesAndScores;

impl Head for BoxesAndScores {
    fn name(&self) -> &'static str {
        "boxes_and_scores"
    }

    fn layout(&self) -> &'static str {
        "boxes [B, N, 4] + scores [B, N, C]"
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let (boxes, scores, classes) = two_tables(evidence.outputs)?;
        evidence.named.is_none_or(|named| named == classes).then(|| {
            let format = evidence.boxes.unwrap_or(BoxFormat::Corners);
            pair(boxes, scores, classes, format, Defaults { nms_iou: Some(0.7), ..Defaults::STRETCHED })
        })
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Vec<Fit> {
        let Some((boxes, scores, _)) = two_tables(evidence.outputs) else { return Vec::new() };
        let Some(tried) = evidence.trial.map(|trial| &trial.outputs) else { return Vec::new() };
        let (numbers, of_scores) = (&tried[boxes].numbers, &tried[scores].numbers);
        // Logits reach beyond 0 and 1.
        let are_scores = range_of(of_scores.iter()).is_some_and(|(least, most)| least >= -0.001 && most <= 1.001);
        if !are_scores {
            return Vec::new();
        }
        let are_shares = range_of(numbers.iter()).is_some_and(|(least, most)| least >= -0.6 && most <= 1.6);
        let quads = numbers.as_chunks::<4>().0;
        let ordered = quads.iter().filter(|b| b[0] <= b[2] && b[1] <= b[3]).count();
        let are_corners = ordered * 100 >= quads.len() * 98;
        let with = |format| self.fit(&Evidence { boxes: Some(format), ..*evidence });
        let fit = match (are_shares, are_corners) {
            _ if evidence.boxes.is_some() => self.fit(evidence),
            (true, true) => with(BoxFormat::CornerShares),
            (false, true) => with(BoxFormat::Corners),
            // Untrained weights may turn corners, but then not all.
            (false, false) if ordered * 2 >= quads.len() => with(BoxFormat::Corners),
            // A transformer's boxes with the scores of a sigmoid in the graph.
            (true, false) => with(BoxFormat::CenterShares),
            (false, false) => with(BoxFormat::Center),
        };
        let doubt = "the file does not say mean, std and letterbox: 0 to 1, stretched, is assumed; PP-YOLOE before 2022 wants \
                     ImageNet's, YOLO-NAS a letterbox. Set them in the card";
        fit.map(|fit| fit.doubting(doubt)).into_iter().collect()
    }
}

/// The reading of two outputs.
pub(super) fn pair(boxes: usize, scores: usize, classes: usize, format: BoxFormat, defaults: Defaults) -> Fit {
    let because = format!("boxes, and scores of {classes} classes beside them, not yet suppressed");
    Fit::new(classes, vec![boxes, scores], Pair { format, is_turned: false }, defaults, because).boxes(format)
}

/// The same with five numbers a box, the last of which is its angle in radians.
pub(super) fn turned_pair(boxes: usize, scores: usize, classes: usize, format: BoxFormat, defaults: Defaults) -> Fit {
    let because = format!("rotated boxes, and scores of {classes} classes beside them, not yet suppressed");
    let decoder = Pair { format, is_turned: true };
    Fit::new(classes, vec![boxes, scores], decoder, defaults, because).boxes(format).leaving(Extra::Angle)
}

/// Indices of boxes and scores, and the number of classes. YOLOv4 has its boxes in four dimensions.
fn two_tables(outputs: &[OutputSpec]) -> Option<(usize, usize, usize)> {
    let is_boxes = |spec: &OutputSpec| matches!(spec.shape[..], [_, _, 4] | [_, _, 1, 4]);
    let floats = || outputs.iter().enumerate().filter(|(_, o)| !o.is_integer && (3..=4).contains(&o.shape.len()));
    let named = |part: &'static str| floats().find(move |(_, spec)| spec.name.to_ascii_lowercase().contains(part));
    // Four classes: only the names tell.
    let boxes = match named("box").filter(|(_, spec)| is_boxes(spec)) {
        Some(boxes) => boxes,
        None => {
            let mut all = floats().filter(|(_, spec)| is_boxes(spec));
            all.next().filter(|_| all.next().is_none())?
        }
    };
    let mut others = floats().filter(|(index, spec)| *index != boxes.0 && spec.shape.len() == 3);
    let scores = others.next().filter(|_| others.next().is_none())?;
    let classes = usize::try_from(scores.1.shape[2]).ok().filter(|classes| *classes > 0)?;
    Some((boxes.0, scores.0, classes))
}

#[derive(Debug)]
struct Pair {
    format: BoxFormat,
    /// A fifth number of each box is its angle.
    is_turned: bool,
}

impl Decoder for Pair {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let [boxes, scores] = outputs else { return Err("it lacks boxes or scores".into()) };
        let (rows, classes, scores) = table(&[*scores], 1)?;
        let boxes = boxes.data.chunks_exact(if self.is_turned { 5 } else { 4 });
        if rows != boxes.len() {
            return Err(format!("it has scores for {rows} objects, but boxes for {}", boxes.len()));
        }
        for (row, numbers) in scores.chunks_exact(classes).zip(boxes) {
            if any_reaches(row, min_score) {
                let (class_id, score) = best_class(row);
                let corners = [numbers[0], numbers[1], numbers[2], numbers[3]];
                let upright = self.format.read(corners, input, score, class_id);
                candidates.push(if self.is_turned { around(upright, numbers[4]) } else { upright });
            }
        }
        Ok(())
    }

    fn score_range(&self, outputs: &[Output<'_>]) -> Option<(f32, f32)> {
        range_of(outputs.get(1)?.data.iter())
    }

    fn scores_are_lost(&self, outputs: &[Output<'_>]) -> bool {
        outputs.last().is_some_and(|scores| !scores.data.is_empty() && scores.data.iter().all(|v| !v.is_finite()))
    }
}
