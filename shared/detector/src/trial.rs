//! One run of a model on a made-up picture: the evidence of last resort.

use ort::session::Session;

use crate::{
    DetectorError, Device, ImageBatch,
    convert::Normalizer,
    engine::{Engine, EngineSpec},
    family::{Candidates, Decoder, Fit, Output, OutputSpec, Size},
    inputs::Inputs,
};

/// What a model gave for the trial's picture.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    /// In the order of the model's outputs; an output that is neither float nor integer is empty.
    pub(crate) outputs: Vec<Tried>,
}

/// An output of the trial.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tried {
    /// With the batch.
    pub(crate) shape: Vec<usize>,
    pub(crate) numbers: Vec<f32>,
}

impl Trial {
    /// Runs the model once, and gives the session back.
    pub(crate) fn run(
        session: Session,
        device: Device,
        inputs: &Inputs,
        outputs: &[OutputSpec],
        (batch, size): (usize, Size),
        normalizer: Normalizer,
    ) -> Result<(Self, Session), DetectorError> {
        let (inputs, outputs) = (inputs.clone(), outputs.to_vec());
        let spec = EngineSpec { device, inputs, batch, size, outputs, has_batch: false };
        let mut engine = Engine::new(session, spec, normalizer).map_err(|error| DetectorError::inference(&error))?;
        let mut images = ImageBatch::of_input(batch, size.width, size.height);
        images.copy_from(0, &picture(size.width as usize, size.height as usize));
        let outputs = engine.run(&images, 1, |numbers| {
            let kept = |output: &Output<'_>| Tried { shape: output.shape.to_vec(), numbers: output.data.to_vec() };
            Ok(numbers.whole().iter().map(kept).collect())
        })?;
        Ok((Self { outputs }, engine.into_session()))
    }

    /// The first picture's rows, columns and numbers, of an output with three dimensions, or with two if it has no
    /// batch.
    pub(crate) fn table(&self, output: usize) -> Option<(usize, usize, &[f32])> {
        let Tried { shape, numbers } = self.outputs.get(output)?;
        let (rows, columns) = match shape[..] {
            [_, rows, columns] | [rows, columns] => (rows, columns),
            _ => return None,
        };
        Some((rows, columns, numbers.get(..rows * columns)?))
    }

    /// The outputs that a reading wants, as its decoder is given them.
    fn outputs_of(&self, fit: &Fit) -> Option<Vec<Output<'_>>> {
        let output = |&index: &usize| {
            let Tried { shape, numbers } = self.outputs.get(index)?;
            if !fit.has_batch {
                return Some(Output { shape, data: numbers });
            }
            let of_one = shape.get(1..)?;
            Some(Output { shape: of_one, data: numbers.get(..of_one.iter().product())? })
        };
        fit.outputs.iter().map(output).collect()
    }

    /// What speaks against a reading so strongly that it can't be right; none if nothing does.
    pub(crate) fn refutes(&self, fit: &Fit, input: Size) -> Option<String> {
        let outputs = self.outputs_of(fit)?;
        if fit.is_dense && outputs.iter().all(|output| output.data.iter().all(|number| *number == 0.0)) {
            return Some("every number would be 0".into());
        }
        if let Some((least, most)) = fit.decoder.score_range(&outputs)
            && (least < -0.01 || most > 1.01)
        {
            return Some(format!("scores would lie between {least:.3} and {most:.3}, not within 0 and 1"));
        }
        if fit.decoder.is_undecided() {
            return None;
        }
        let boxes = match decoded(&*fit.decoder, &outputs, input) {
            Ok(boxes) => boxes,
            Err(reason) => return Some(format!("does not fit: {reason}")),
        };
        let share = |of: &dyn Fn(&crate::Detection) -> bool| {
            boxes.iter().filter(|one| of(one)).count() as f32 / boxes.len() as f32
        };
        if boxes.len() < FEW {
            return None;
        }
        let (width, height) = (input.width as f32, input.height as f32);
        // Weights that were never trained may give points, but under these names no embedding.
        if !fit.is_named
            && width > 8.0
            && height > 8.0
            && share(&|b| (b.x2 - b.x1).abs() < 1.0 && (b.y2 - b.y1).abs() < 1.0) > 0.95
        {
            return Some("nearly all boxes would be smaller than a pixel".into());
        }
        if share(&|b| b.x1 <= b.x2 && b.y1 <= b.y2) < 0.05 {
            return Some("nearly all boxes would have their right edge left of their left one".into());
        }
        let centre_is_inside = |b: &crate::Detection| {
            let (x, y) = ((b.x1 + b.x2) / 2.0, (b.y1 + b.y2) / 2.0);
            (-0.1 * width..=1.1 * width).contains(&x) && (-0.1 * height..=1.1 * height).contains(&y)
        };
        if share(&centre_is_inside) < 0.05 {
            return Some("nearly all boxes would lie outside of the picture".into());
        }
        None
    }

    /// Lets a decoder that is undecided decide; what it decided, for people, or why it can't.
    pub(crate) fn decide(&self, fit: &mut Fit, input: Size) -> Option<Result<String, String>> {
        if !fit.decoder.is_undecided() {
            return None;
        }
        let outputs = self.outputs_of(fit)?;
        Some(fit.decoder.decide(&outputs, input))
    }

    /// What should make people look twice at a reading, or the reason why the model can't find anything.
    pub(crate) fn doubts(&self, fit: &Fit, input: Size) -> Option<Suspicion> {
        let outputs = self.outputs_of(fit)?;
        let boxes = decoded(&*fit.decoder, &outputs, input).ok()?;
        if boxes.len() < FEW {
            return None;
        }
        let first = boxes.first()?.score;
        let at_one_score = boxes.iter().filter(|one| one.score == first).count();
        if at_one_score == boxes.len() && first == 0.0 {
            if let Some(step) = outputs.first().and_then(|output| step(output.data)).filter(|step| *step > 0.01) {
                return Some(Suspicion::NoScores { step });
            }
            return Some(Suspicion::Odd("it scores nothing above 0 on the trial picture".into()));
        }
        let strong: Vec<_> = boxes.iter().filter(|one| one.score > 0.4).collect();
        let same = strong.iter().filter(|one| one.score == strong[0].score).count();
        (strong.len() >= 100 && same * 10 > strong.len() * 9).then(|| {
            let (of, score) = (strong.len(), strong[0].score);
            Suspicion::Odd(format!("{same} of {of} boxes of the trial picture have one score, {score:.3}"))
        })
    }
}

/// What is odd about a model that can be read.
#[derive(Debug, PartialEq)]
pub(crate) enum Suspicion {
    /// Every score is 0 as the output's steps are too coarse for one.
    NoScores {
        step: f32,
    },
    Odd(String),
}

/// Fewer boxes prove nothing.
const FEW: usize = 8;

/// All candidates of the trial's picture whose numbers are finite, or why the decoder can't read it.
fn decoded(decoder: &dyn Decoder, outputs: &[Output<'_>], input: Size) -> Result<Vec<crate::Detection>, String> {
    let mut candidates = Candidates::default();
    decoder.decode(outputs, input, f32::NEG_INFINITY, &mut candidates)?;
    // Rows of zeros fill up a table.
    let is_box = |d: &crate::Detection| [d.x1, d.y1, d.x2, d.y2] != [0.0; 4];
    let is_finite = |d: &crate::Detection| [d.x1, d.y1, d.x2, d.y2, d.score].iter().all(|value| value.is_finite());
    candidates.boxes.retain(|d| is_box(d) && is_finite(d));
    Ok(candidates.boxes)
}

/// The step between the values of numbers that were whole numbers of 8 bits; none if they were not.
fn step(numbers: &[f32]) -> Option<f32> {
    let mut values: Vec<f32> = numbers.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f32::total_cmp);
    values.dedup();
    if !(2..=256).contains(&values.len()) || numbers.len() < 256 {
        return None;
    }
    let least = values.windows(2).map(|pair| pair[1] - pair[0]).fold(f32::INFINITY, f32::min);
    let is_multiple = |value: &f32| ((value / least).round() * least - value).abs() <= 1e-3 * value.abs().max(least);
    values.iter().all(is_multiple).then_some(least)
}

/// The picture of the trial, u8 RGB, packed. It is grey, so that there are cells without an object. Its lower half has
/// a photograph of a person, so that a detector finds a real object.
pub(crate) fn picture(width: usize, height: usize) -> Vec<u8> {
    let mut rgb = vec![GREY; width * height * 3];
    // The ratio of the photograph is preserved.
    let scale = (0.6 * height as f32 / PHOTO_SIZE.1 as f32).min(width as f32 / PHOTO_SIZE.0 as f32);
    let [across, down] = [PHOTO_SIZE.0, PHOTO_SIZE.1].map(|side| (side as f32 * scale) as usize);
    let (left, top) = ((width - across) / 2, height - down);
    for y in 0..down {
        for x in 0..across {
            let at = ((top + y) * width + left + x) * 3;
            rgb[at..at + 3].copy_from_slice(&photo_at(x as f32 / scale, y as f32 / scale));
        }
    }
    rgb
}

/// The photograph's colour at a place between its pixels, by linear interpolation.
fn photo_at(x: f32, y: f32) -> [u8; 3] {
    let (column, row) = ((x as usize).min(PHOTO_SIZE.0 - 2), (y as usize).min(PHOTO_SIZE.1 - 2));
    let (dx, dy) = ((x - column as f32).min(1.0), (y - row as f32).min(1.0));
    let at = |column: usize, row: usize, color: usize| f32::from(PHOTO[(row * PHOTO_SIZE.0 + column) * 3 + color]);
    std::array::from_fn(|color| {
        let of_row = |row| at(column, row, color) * (1.0 - dx) + at(column + 1, row, color) * dx;
        (of_row(row) * (1.0 - dy) + of_row(row + 1) * dy).round() as u8
    })
}

/// Rear Admiral Grace M. Hopper, official photograph of the United States Navy, in the public domain; scaled down. u8 RGB, packed.
const PHOTO: &[u8; PHOTO_SIZE.0 * PHOTO_SIZE.1 * 3] = include_bytes!("trial_picture.rgb");
const PHOTO_SIZE: (usize, usize) = (96, 112);

/// That of usual padding.
const GREY: u8 = 114;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_eight_bits_are_seen() {
        let coarse: Vec<f32> = (0..2000).map(|i| (i % 200) as f32 * 2.5).collect();
        assert_eq!(step(&coarse), Some(2.5));
        let fine: Vec<f32> = (0..2000).map(|i| (i as f32).sin() * 100.0).collect();
        assert_eq!(step(&fine), None);
        assert_eq!(step(&[0.0; 2000]), None, "one value has no step");
    }

    #[test]
    fn half_of_the_picture_is_grey_and_a_tenth_is_of_the_world_whatever_its_size() {
        for (width, height) in [(64, 48), (640, 640), (640, 384), (320, 1280), (7, 5), (1, 1)] {
            let picture = picture(width, height);
            assert_eq!(picture.len(), width * height * 3);
            let grey = picture.as_chunks::<3>().0.iter().filter(|pixel| **pixel == [GREY; 3]).count();
            assert!(grey * 2 > width * height, "{width} x {height}");
            assert!(width < 64 || grey * 10 < width * height * 9, "{width} x {height}");
        }
    }
}
