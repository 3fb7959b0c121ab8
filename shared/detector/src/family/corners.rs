use super::{
    BoxFormat, Candidates, ColorOrder, Decoder, Defaults, Evidence, Fit, Head, Letterbox, Output, Resize, Size,
    any_reaches, best_class, classes_in, range_of, table,
};

/// [B, N, 4 + C], one row per candidate: a box and a score per class, before suppression. `LibreYOLO` exports RTMDet,
/// PicoDet and `RetinaNet` in this layout, with corners in input pixels.
pub(crate) struct Corners;

/// As mmdetection's RTMDet is trained.
pub(super) const RTMDET: Defaults = Defaults {
    color_order: ColorOrder::Bgr,
    mean: [103.53, 116.28, 123.675],
    std: [57.375, 57.12, 58.395],
    letterbox: Letterbox::TopLeft,
    pad_color: [114; 3],
    longest_side: None,
    resize: Resize::OpenCv,
    nms_iou: Some(0.65),
};

impl Head for Corners {
    fn name(&self) -> &'static str {
        "corners"
    }

    fn layout(&self) -> &'static str {
        "[B, N, 4 + C]"
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let table = evidence.only_table()?;
        let classes = classes_in(table.columns, 4, evidence.named)?;
        Some(rows(table.output, classes, 0, evidence.boxes.unwrap_or(BoxFormat::Corners), RTMDET))
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Vec<Fit> {
        let Some(table) = evidence.only_table() else { return Vec::new() };
        // Other families have the same shape, so the numbers must decide. An output with few rows is that of a
        // transformer, whose boxes are shares of the input.
        let is_dense = table.rows > table.columns && table.columns > 6;
        let Some((_, columns, numbers)) = evidence.tried(table.output).filter(|_| is_dense) else { return Vec::new() };
        let Some(fit) = self.fit(evidence) else { return Vec::new() };
        let rows = || numbers.chunks_exact(columns).filter(|row| row[..4].iter().any(|value| *value != 0.0));
        let ordered = rows().filter(|row| row[0] <= row[2] && row[1] <= row[3]).count();
        let is_ordered = ordered > 0 && ordered * 100 >= rows().count() * 98;
        let is_pixels = rows().any(|row| row[..4].iter().any(|value| *value > 2.0));
        if is_ordered && is_pixels {
            let doubt = "colours and shape of the picture are those of RTMDet; if the model is another one, set \
                         color_order, mean, std and letterbox in the card";
            vec![fit.doubting(doubt)]
        } else {
            Vec::new()
        }
    }
}

/// The reading of a row per candidate with `skip` numbers between the box and the scores.
pub(super) fn rows(output: usize, classes: usize, skip: usize, boxes: BoxFormat, defaults: Defaults) -> Fit {
    let because = format!("a row per candidate, with a box and {classes} classes");
    Fit::new(classes, vec![output], Rows { classes, skip, boxes }, defaults, because).boxes(boxes)
}

#[derive(Debug)]
pub(super) struct Rows {
    pub(super) classes: usize,
    /// Numbers between the box and the scores.
    pub(super) skip: usize,
    pub(super) boxes: BoxFormat,
}

impl Rows {
    fn scores<'a>(&self, row: &'a [f32]) -> &'a [f32] {
        &row[4 + self.skip..][..self.classes]
    }
}

impl Decoder for Rows {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let (_, columns, data) = table(outputs, 4 + self.skip + self.classes)?;
        for row in data.chunks_exact(columns) {
            let scores = self.scores(row);
            if any_reaches(scores, min_score) {
                let (class_id, score) = best_class(scores);
                candidates.push(self.boxes.read([row[0], row[1], row[2], row[3]], input, score, class_id));
            }
        }
        Ok(())
    }

    fn score_range(&self, outputs: &[Output<'_>]) -> Option<(f32, f32)> {
        let (_, columns, data) = table(outputs, 4 + self.skip + self.classes).ok()?;
        range_of(data.chunks_exact(columns).flat_map(|row| self.scores(row)))
    }
}
