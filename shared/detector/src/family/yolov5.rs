use super::{
    Candidates, Decoder, Defaults, Evidence, Fit, Head, Output, Size, best_class, centred, classes_in, grid, range_of,
    table,
};

/// YOLOv5: [B, N, 5 + C], centre and size in input pixels, objectness, and class scores that count times objectness.
pub(crate) struct YoloV5;

impl Head for YoloV5 {
    fn name(&self) -> &'static str {
        "yolov5"
    }

    fn layout(&self) -> &'static str {
        "[B, N, 5 + C]"
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let table = evidence.only_table()?;
        let extra = evidence.extra(table, table.columns, 5);
        let classes = classes_in(table.columns, 5 + extra.numbers() as i64, evidence.named)?;
        let decoder = Objectness { relative: None, classes };
        let defaults = Defaults { nms_iou: Some(0.45), ..Defaults::ULTRALYTICS };
        let because = format!("{} numbers per candidate: a box, objectness and the classes", table.columns);
        Some(Fit::new(classes, vec![table.output], decoder, defaults, because).leaving(extra))
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Vec<Fit> {
        // A dense head has thousands of rows; a few hundred are an end-to-end head, which one class makes look alike.
        // Without names any table of rows would fit, such as one without objectness, and one class would be lost.
        let Some(table) = evidence.only_table() else { return Vec::new() };
        let is_long = table.rows < 0 || table.rows > table.columns.max(1000);
        let is_wide = evidence.tried(table.output).is_some() && table.columns > 6;
        let fits = (evidence.named.is_some() || is_wide) && is_long && !is_grid(table.rows, evidence.input);
        // Ultralytics' newer heads have no objectness.
        let is_other = evidence.ultralytics().is_some_and(|facts| facts.head.is_some());
        let fit = if fits && !is_other { self.fit(evidence) } else { None };
        // Centre and size: a table of corners is another family's.
        fit.filter(|_| !evidence.tried(table.output).is_some_and(|tried| has_corners(tried.1, tried.2)))
            .into_iter()
            .collect()
    }
}

/// Whether the rows begin with corners in pixels: then the second two numbers lie behind the first two in all of them.
fn has_corners(columns: usize, numbers: &[f32]) -> bool {
    let rows = || numbers.chunks_exact(columns).filter(|row| row[..4].iter().any(|value| *value != 0.0));
    let ordered = rows().filter(|row| row[0] <= row[2] && row[1] <= row[3]).count();
    ordered >= 8 && ordered * 100 >= rows().count() * 98
}

/// One row a cell, as YOLOX has; YOLOv5 has three.
pub(super) fn is_grid(rows: i64, input: Option<Size>) -> bool {
    let rows = usize::try_from(rows).ok();
    rows.zip(input).is_some_and(|(rows, input)| grid::strides_for(rows, input).is_some())
}

/// Rows of centre and size, objectness, class scores.
#[derive(Debug)]
pub(super) struct Objectness {
    /// How boxes are given: none for input pixels; else relative to the row's cell, as YOLOX does.
    pub(super) relative: Option<Relative>,
    /// What lies behind them is not read.
    pub(super) classes: usize,
}

/// What boxes that are relative to a cell mean.
pub(super) type Relative = fn(cell: (f32, f32, f32), row: [f32; 4]) -> [f32; 4];

impl Decoder for Objectness {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let (rows, columns, data) = table(outputs, 5 + self.classes)?;
        // Most rows are background: a class score is at most 1, so they need no look at their classes.
        let mut push = |row: &[f32], place: &dyn Fn([f32; 4]) -> [f32; 4]| {
            let objectness = row[4];
            if objectness >= min_score {
                let (class_id, class_score) = best_class(&row[5..5 + self.classes]);
                let score = objectness * class_score;
                if score >= min_score {
                    candidates.push(centred(place([row[0], row[1], row[2], row[3]]), score, class_id));
                }
            }
        };
        let all = data.chunks_exact(columns);
        match self.relative {
            None => all.for_each(|row| push(row, &|row| row)),
            Some(relative) => {
                let strides = grid::strides_for(rows, input).ok_or_else(|| grid::no_such_grid(rows, input))?;
                for (row, cell) in all.zip(grid::cells(strides, input)) {
                    push(row, &|row| relative(cell, row));
                }
            }
        }
        Ok(())
    }

    fn score_range(&self, outputs: &[Output<'_>]) -> Option<(f32, f32)> {
        let (_, columns, data) = table(outputs, 5 + self.classes).ok()?;
        range_of(data.chunks_exact(columns).flat_map(|row| &row[4..5 + self.classes]))
    }
}
