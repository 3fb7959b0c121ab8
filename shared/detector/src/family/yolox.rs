use super::{
    Candidates, Decoder, Defaults, Evidence, Fit, Head, Output, Size, classes_in, grid, table,
    yolov5::{Objectness, Relative, is_grid},
};
use crate::{ColorOrder, Letterbox, Resize};

/// YOLOX (Ge et al., 2021): [B, N, 5 + C], one row per cell of the strides 8, 16 and 32 (and 64). The box is relative
/// to the cell (the default of its exports) or in input pixels (`--decode_in_inference`). Both have the same shape.
pub(crate) struct YoloX;

/// The values of its own program.
pub(super) const YOLOX: Defaults = Defaults {
    color_order: ColorOrder::Bgr,
    mean: [0.0; 3],
    std: [1.0; 3],
    letterbox: Letterbox::TopLeft,
    pad_color: [114; 3],
    longest_side: None,
    resize: Resize::OpenCv,
    nms_iou: Some(0.45),
};

impl Head for YoloX {
    fn name(&self) -> &'static str {
        "yolox"
    }

    fn layout(&self) -> &'static str {
        "[B, N, 5 + C] (N cells of strides 8, 16, 32)"
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let table = evidence.only_table()?;
        if table.rows >= 0 && evidence.input.is_some() && !is_grid(table.rows, evidence.input) {
            return None;
        }
        let reading = evidence.decoded.map(|decoded| if decoded { DECODED } else { RAW });
        let classes = classes_in(table.columns, 5, evidence.named)?;
        let (columns, rows) = (table.columns, table.rows);
        let because = format!("{columns} numbers per candidate, and one candidate ({rows}) per cell of the strides");
        Some(Fit::new(classes, vec![table.output], Cells { reading, classes }, YOLOX, because))
    }

    fn recognise(&self, evidence: &Evidence<'_>) -> Vec<Fit> {
        let Some(table) = evidence.only_table() else { return Vec::new() };
        // Where the number of rows is open, only Ultralytics' metadata can tell that it is not this family.
        let is_ultralytics = evidence.ultralytics().is_some();
        let fits = if table.rows < 0 { !is_ultralytics } else { is_grid(table.rows, evidence.input) };
        if fits && table.masks == 0 { self.fit(evidence).into_iter().collect() } else { Vec::new() }
    }
}

/// `(offset + cell) * stride` and `exp(size) * stride`.
const RAW: Option<Relative> = Some(|(column, row, stride), [x, y, width, height]| {
    [(x + column) * stride, (y + row) * stride, width.exp() * stride, height.exp() * stride]
});
const DECODED: Option<Relative> = None;

/// One row per cell; which of the two readings is known from the card or seen in a grey picture.
#[derive(Debug)]
struct Cells {
    reading: Option<Option<Relative>>,
    classes: usize,
}

impl Decoder for Cells {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        match self.reading {
            Some(relative) => {
                Objectness { relative, classes: self.classes }.decode(outputs, input, min_score, candidates)
            }
            None => Err("whether its boxes are decoded was not found out".into()),
        }
    }

    fn score_range(&self, outputs: &[Output<'_>]) -> Option<(f32, f32)> {
        Objectness { relative: DECODED, classes: self.classes }.score_range(outputs)
    }

    fn is_undecided(&self) -> bool {
        self.reading.is_none()
    }

    /// An untouched candidate stays near its cell. So the median distance of the centres from their cells is about a
    /// stride if they are decoded; if they are not, it is the size of the picture, and they lie near 0 instead.
    fn decide(&mut self, grey: &[Output<'_>], input: Size) -> Result<String, String> {
        let (rows, columns, data) = table(grey, 6)?;
        let strides = grid::strides_for(rows, input).ok_or_else(|| grid::no_such_grid(rows, input))?;
        let mut distances: [Vec<f32>; 2] = Default::default();
        for (row, (column, line, stride)) in data.chunks_exact(columns).zip(grid::cells(strides, input)) {
            let (x, y) = (row[0], row[1]);
            distances[0].push((x - 0.5).abs() + (y - 0.5).abs());
            distances[1].push((x / stride - column - 0.5).abs() + (y / stride - line - 0.5).abs());
        }
        let [from_zero, from_cell] = distances.map(|mut all| {
            all.sort_by(f32::total_cmp);
            all[all.len() / 2]
        });
        let decoded = from_cell < from_zero;
        self.reading = Some(if decoded { DECODED } else { RAW });
        let (what, how) = if decoded { ("decoded", "around") } else { ("raw", "relative to") };
        Ok(format!("{what}: in a trial the boxes lie {how} their cells (\"decoded\" in the card overrides)"))
    }
}
