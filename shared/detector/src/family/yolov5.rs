use super::{
    Candidates, Decoder, Defaults, Evidence, Fit, Head, Output, Size, best_class, centred, classes_in, grid, table,
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
        let (output, _, columns) = evidence.only_table()?;
        Some(Fit {
            classes: classes_in(columns, 5, evidence.named)?,
            outputs: vec![output],
            decoder: Box::new(Objectness { relative: None }),
            defaults: Defaults { nms_iou: Some(0.45), ..Defaults::ULTRALYTICS },
            because: format!("{columns} numbers a candidate: a box, objectness and the classes"),
        })
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        // A dense head has thousands of rows; a few hundred are an end-to-end head, which one class makes look alike.
        // Without names any table of rows would fit, such as one without objectness, and one class would be lost.
        let (_, rows, columns) = evidence.only_table()?;
        let fits = evidence.named.is_some() && (rows < 0 || rows > columns.max(1000));
        (fits && !is_grid(rows, evidence.input)).then(|| self.fit(evidence))?
    }
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
        let (rows, columns, data) = table(outputs, 6)?;
        // Most rows are background: a class score is at most 1, so they need no look at their classes.
        let mut push = |row: &[f32], place: &dyn Fn([f32; 4]) -> [f32; 4]| {
            let objectness = row[4];
            if objectness >= min_score {
                let (class_id, class_score) = best_class(&row[5..]);
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
}
