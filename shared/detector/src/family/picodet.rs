use super::{
    Candidates, Decoder, Defaults, Evidence, Fit, Head, Output, OutputSpec, Resize, Size, any_reaches, grid,
    nanodet::of_sides, range_of, table,
};

/// PicoDet (Yu et al., 2021), as `PaddleDetection` exports it without its last step. The strides are 8, 16, 32 and 64.
/// First come the scores [B, N, C] for each stride. Then come the distributions of the sides [B, N, 4 * bins] for each
/// stride ("generalized focal loss").
pub(crate) struct PicoDet;

impl Head for PicoDet {
    fn name(&self) -> &'static str {
        "picodet"
    }

    fn layout(&self) -> &'static str {
        "for each stride [B, N, C], then for each [B, N, 4 * bins]"
    }

    fn fit(&self, evidence: &Evidence<'_>) -> Option<Fit> {
        let outputs = evidence.outputs;
        let levels = outputs.len() / 2;
        let is_even = outputs.len() == 2 * levels && (2..=4).contains(&levels);
        if !is_even || outputs.iter().any(|output| output.shape.len() != 3 || output.is_integer) {
            return None;
        }
        let (scores, sides) = outputs.split_at(levels);
        let same = |specs: &[OutputSpec]| {
            let columns = specs[0].shape[2];
            specs.iter().all(|spec| spec.shape[2] == columns).then_some(columns)
        };
        let classes = super::classes_in(same(scores)?, 0, evidence.named)?;
        let numbers = usize::try_from(same(sides)?).ok()?;
        let agrees = scores.iter().zip(sides).all(|(scores, sides)| scores.shape[1] == sides.shape[1]);
        if !agrees || numbers % 4 != 0 || !(8..=256).contains(&numbers) {
            return None;
        }
        let because =
            format!("scores of {classes} classes and distributions of the sides for each of {levels} strides");
        let outputs = (0..outputs.len()).collect();
        let defaults = Defaults { nms_iou: Some(0.5), resize: Resize::OpenCv, ..Defaults::IMAGENET };
        Some(Fit::new(classes, outputs, Levels { classes, bins: numbers / 4 }, defaults, because))
    }
}

#[derive(Debug)]
struct Levels {
    classes: usize,
    bins: usize,
}

/// The stride of each level.
const STRIDES: [u32; 4] = [8, 16, 32, 64];

impl Decoder for Levels {
    fn decode(
        &self,
        outputs: &[Output<'_>],
        input: Size,
        min_score: f32,
        candidates: &mut Candidates,
    ) -> Result<(), String> {
        let (scores, sides) = outputs.split_at(outputs.len() / 2);
        for ((scores, sides), stride) in scores.iter().zip(sides).zip(STRIDES) {
            let (rows, _, scores) = table(&[*scores], self.classes)?;
            let (_, _, sides) = table(&[*sides], 4 * self.bins)?;
            let cells = grid::cells(std::slice::from_ref(&stride), input).collect::<Vec<_>>();
            if cells.len() != rows {
                return Err(format!(
                    "it has {rows} rows for the stride {stride}, but the input has {} cells",
                    cells.len()
                ));
            }
            let rows = scores.chunks_exact(self.classes).zip(sides.chunks_exact(4 * self.bins));
            for ((scores, sides), (column, line, stride)) in rows.zip(cells) {
                if any_reaches(scores, min_score) {
                    let from = ((column + 0.5) * stride, (line + 0.5) * stride);
                    candidates.push(of_sides(from, scores, sides.chunks_exact(self.bins), stride, input));
                }
            }
        }
        Ok(())
    }

    fn score_range(&self, outputs: &[Output<'_>]) -> Option<(f32, f32)> {
        range_of(outputs[..outputs.len() / 2].iter().flat_map(|output| output.data))
    }
}
