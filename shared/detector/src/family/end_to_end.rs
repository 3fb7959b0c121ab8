use super::{
    BoxFormat, Candidates, Decoder, Defaults, Evidence, Extra, Fit, Head, Output, RowOrder, Size, layout::around,
    range_of, table,
};
use crate::metadata::Exporter;

/// Models that return one box per object without suppression outside (YOLOv10, YOLO26, exports with suppression
/// inside): [B, N, 6], a box, score, class. N is a few hundred. Models of masks, poses and rotated boxes have more
/// columns after these.
pub(crate) struct EndToEnd;

/// If there are more rows than this, they are candidates and not objects.
const MOST_OBJECTS: i64 = 1000;

impl Head for EndToEnd {
    fn name(&self) -> &'static str {
        "end_to_end"
    }

    fn layout(&self) -> &'static str {
        "[B, N, 6] (box, score, class)"
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let table = evidence.only_table()?;
        let is_deepstream = matches!(&evidence.metadata.exporter, Exporter::LibreYolo(facts) if facts.is_deepstream);
        let extra = match (evidence.metadata.task.as_deref(), table.columns - 6) {
            (_, 0) => Extra::None,
            (Some("pose"), more) => Extra::Keypoints(usize::try_from(more).ok()?),
            (Some("obb"), 1) => Extra::Angle,
            (_, more) if table.masks > 0 && more == table.masks as i64 => Extra::Masks(table.masks),
            // Each object has its own mask.
            (Some("segment"), more) if table.masks == 0 && is_deepstream => Extra::Masks(usize::try_from(more).ok()?),
            _ => return None,
        };
        // A rotated box is given by its centre.
        let usual = if extra == Extra::Angle { BoxFormat::Center } else { BoxFormat::Corners };
        let boxes = evidence.boxes.unwrap_or(usual);
        let rows = table.rows;
        let order = evidence.order.unwrap_or(RowOrder::BoxScoreClass);
        let because = format!("a row for each of {rows} objects: {}", order.in_words());
        // The shape does not tell how many classes there are.
        let classes = evidence.named.unwrap_or(80);
        let says_suppressed = evidence.ultralytics().is_some_and(|facts| facts.end2end.is_some());
        let nms_iou = (rows > MOST_OBJECTS && !says_suppressed).then_some(0.7);
        let defaults = Defaults { nms_iou, ..Defaults::ULTRALYTICS };
        let decoder = Listed { order, after: 0, boxes, extra };
        let fit = Fit::new(classes, vec![table.output], decoder, defaults, because).boxes(boxes).order(order);
        Some(fit.leaving(extra))
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Vec<Fit> {
        let Some(table) = evidence.only_table() else { return Vec::new() };
        if evidence.metadata.is_ultralytics_rtdetr() {
            return Vec::new();
        }
        let Some(fit) = self.fit(evidence) else { return Vec::new() };
        // What the exporter says of its own head needs no look at the numbers.
        if evidence.ultralytics().is_some_and(|facts| facts.end2end == Some(true) || facts.nms == Some(true)) {
            return vec![fit];
        }
        let Some((_, columns, numbers)) = evidence.tried(table.output).filter(|_| table.columns == 6) else {
            return if table.rows <= MOST_OBJECTS { vec![fit] } else { Vec::new() };
        };
        let rows: Vec<&[f32]> = numbers
            .chunks_exact(columns)
            .filter(|row| row.iter().all(|value| value.is_finite()) && row[..4].iter().any(|value| *value != 0.0))
            .collect();
        if rows.is_empty() {
            let nothing = numbers.iter().any(|value| !value.is_finite()) || evidence.ultralytics().is_some();
            // Nothing was found, so no number tells whether the class comes first or last.
            let is_settled = nothing || evidence.boxes.is_some() || evidence.order.is_some();
            return if is_settled {
                vec![fit]
            } else {
                [Some(fit), class_first(self, evidence)].into_iter().flatten().collect()
            };
        }
        let fits_order =
            |order: RowOrder| evidence.order.is_none_or(|said| said == order) && order.fits(0, rows.iter().copied());
        let mut fits = Vec::new();
        if fits_order(RowOrder::BoxScoreClass) {
            let boxes = evidence.boxes.or_else(|| format_of(&rows));
            let choices = boxes.map_or(vec![BoxFormat::Corners, BoxFormat::Center], |boxes| vec![boxes]);
            fits.extend(
                choices.into_iter().filter_map(|boxes| self.fit(&Evidence { boxes: Some(boxes), ..*evidence })),
            );
        }
        // Shares of a box's first corner are no class.
        if fits_order(RowOrder::ClassScoreBox) && !rows.iter().all(|row| row[..2] == [0.0; 2]) {
            fits.extend(class_first(self, evidence));
        }
        fits
    }
}

/// What the boxes are by their numbers, if that is plain.
fn format_of(rows: &[&[f32]]) -> Option<BoxFormat> {
    let ordered = rows.iter().filter(|row| row[0] <= row[2] && row[1] <= row[3]).count() as f32 / rows.len() as f32;
    let are_shares = rows.iter().all(|row| row[..4].iter().all(|value| (-0.5..=1.5).contains(value)));
    match (are_shares, ordered) {
        (true, 0.98..) => Some(BoxFormat::CornerShares),
        (true, _) => Some(BoxFormat::CenterShares),
        // Weights that were never trained put corners in any order.
        (false, 0.3..) => Some(BoxFormat::Corners),
        (false, _) if rows.len() < 8 => Some(BoxFormat::Corners),
        (false, _) => None,
    }
}

/// As `PaddleDetection` orders it.
fn class_first(head: &EndToEnd, evidence: &Evidence<'_>) -> Option<Fit> {
    let fit = head.fit(&Evidence { order: Some(RowOrder::ClassScoreBox), ..*evidence })?;
    Some(Fit { defaults: Defaults::STRETCHED, ..fit })
}

/// A row for each object.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) order: RowOrder,
    /// Columns before these, such as the number of the picture.
    pub(super) after: usize,
    pub(super) boxes: BoxFormat,
    pub(super) extra: Extra,
}

impl Decoder for Listed {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let (boxes_at, score_at, class_at) = self.order.columns(self.after);
        let (_, columns, data) = table(outputs, self.after + 6 + self.extra.numbers())?;
        for row in data.chunks_exact(columns) {
            let (score, class) = (row[score_at], row[class_at]);
            if score >= min_score && class >= 0.0 {
                let numbers = [0, 1, 2, 3].map(|number| row[boxes_at + number]);
                let upright = self.boxes.read(numbers, input, score, class as u32);
                let is_turned = self.extra == Extra::Angle;
                candidates.push(if is_turned { around(upright, row[self.after + 6]) } else { upright });
            }
        }
        Ok(())
    }

    fn score_range(&self, outputs: &[Output<'_>]) -> Option<(f32, f32)> {
        let (_, columns, data) = table(outputs, self.after + 6).ok()?;
        let (_, score_at, _) = self.order.columns(self.after);
        range_of(data.chunks_exact(columns).map(|row| &row[score_at]))
    }
}
