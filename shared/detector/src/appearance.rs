//! A network that computes a vector from the crop of a box. The vector describes what the object looks like.

use crate::{
    AppearanceCard, DetectorError, DetectorOptions, Device, ImageBatch, Resize,
    appearance_card::SIDES,
    convert::Normalizer,
    detector::file_facts,
    engine::{Engine, EngineSpec, Numbers},
    family::{OutputSpec, Size},
    lanes::Lanes,
    model::{Declared, dimensions},
    session::{self, Opener},
    trial,
};
use half::f16;
use std::{fmt, path::Path};

/// Largest number of numbers in a vector: 4,096 bytes per detection.
pub const MOST_DIMENSIONS: usize = 2_048;
/// One number has no direction.
const FEWEST_DIMENSIONS: usize = 2;

/// A loaded network, ready for crops. It runs as many inferences at the same time as it has lanes. Threads that share
/// it take turns.
///
/// A crop's vector depends only on the crop. The batch always has the same shape. At the start a trial checks whether the vector
/// of a crop has the same bits in each slot, with and without other crops. If not, each crop is inferred alone.
pub struct AppearanceModel {
    name: String,
    sha256: String,
    card_sha256: String,
    size: Size,
    resize: Resize,
    dimensions: usize,
    batch: usize,
    at_once: usize,
    device: Device,
    lanes: Lanes<Engine>,
}

impl fmt::Debug for AppearanceModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AppearanceModel");
        shown.field("name", &self.name).field("sha256", &self.sha256).field("dimensions", &self.dimensions);
        shown.finish_non_exhaustive()
    }
}

impl AppearanceModel {
    /// Loads a network and its card, and tries it.
    ///
    /// # Errors
    /// [`DetectorError::Card`], [`DetectorError::Appearance`] with what to do, and the errors of opening and running a
    /// model. Permanent, except for a failing disk or device.
    pub fn open(options: &DetectorOptions) -> Result<Self, DetectorError> {
        let path = &options.model;
        let refused = |reason: String| DetectorError::Appearance { path: path.clone(), reason };
        if !path.is_file() {
            return Err(refused("there is no such file: give the path of an ONNX file".into()));
        }
        let (card, card_sha256) = AppearanceCard::read(path)?;
        let facts = file_facts(path).map_err(|source| DetectorError::Read { path: path.clone(), source })?;
        let opener = Opener::new(options, &facts.sha256)?;
        let opened = opener.open()?;
        let device = opened.device;
        let (inputs, declared) = session::declared(path, &opened.session).map_err(|error| match error {
            DetectorError::UnsupportedInput { seen, .. } => refused(inputs_refused(&seen)),
            other => other,
        })?;
        if !inputs.sizes.is_empty() || !inputs.masks.is_empty() {
            return Err(refused(inputs_refused(&format!("{}, and others", inputs.pictures.name))));
        }
        let size = size_of(path, &card, &declared)?;
        let output = output_of(&card, &declared).map_err(refused)?.clone();
        let fixed = usize::try_from(declared.input[0]).ok().filter(|batch| *batch > 0);
        let batch = fixed.unwrap_or_else(|| options.batch_on(device));
        let spec = EngineSpec { device, inputs, batch, size, outputs: vec![output.clone()], has_batch: true };
        let normalizer = Normalizer::new(card.color_order, card.mean, card.std);
        let engine = |session, spec: &EngineSpec| {
            Engine::new(session, spec.clone(), normalizer).map_err(|error| DetectorError::inference(&error))
        };
        // The declared shapes of a file can be wrong, so the first run only requires numbers.
        let mut first = engine(opened.session, &EngineSpec { has_batch: false, ..spec.clone() })?;
        let dimensions = tried_dimensions(&mut first, &output.name, batch, size).map_err(|error| match error {
            DetectorError::Outputs { reason } => refused(reason),
            other => other,
        })?;
        let mut first = engine(first.into_session(), &spec)?;
        let at_once = if is_independent(&mut first, batch, size)? { batch } else { 1 };
        if at_once < batch {
            tracing::warn!(batch, "a crop's vector depends on the others in its batch: crops go through one at a time");
        }
        // A GPU is filled by its batch.
        let count = if device == Device::Cpu { options.lanes.max(1) } else { 1 };
        let mut lanes = vec![first];
        for _ in 1..count {
            lanes.push(engine(opener.open_on_processor()?, &spec)?);
        }
        let file_name = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = card.name.clone().unwrap_or_else(file_name);
        drop(opened.engine_lock);
        tracing::info!(name, dimensions, batch, at_once, %device, lanes = count, sha256 = facts.sha256, "opened an appearance network");
        Ok(Self {
            name,
            sha256: facts.sha256,
            card_sha256,
            size,
            resize: card.resize.unwrap_or(Resize::OpenCv),
            dimensions,
            batch,
            at_once,
            device,
            lanes: Lanes::new(lanes),
        })
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sha256 of the file, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The sha256 of the card, in hexadecimal.
    #[must_use]
    pub fn card_sha256(&self) -> &str {
        &self.card_sha256
    }

    /// Width and height of the input, px. A crop is stretched to this size.
    #[must_use]
    pub fn size_px(&self) -> (u32, u32) {
        (self.size.width, self.size.height)
    }

    /// The filter that scales a crop.
    #[must_use]
    pub fn resize(&self) -> Resize {
        self.resize
    }

    /// Numbers of a vector.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Bytes of a vector of [`describe_into`](Self::describe_into).
    #[must_use]
    pub fn bytes_each(&self) -> usize {
        2 * self.dimensions
    }

    /// The device on which it runs.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// The largest number of crops per inference.
    #[must_use]
    pub fn at_once(&self) -> usize {
        self.at_once
    }

    /// Memory for the crops of one inference. Fill up to [`at_once`](Self::at_once) slots, from the first on.
    #[must_use]
    pub fn images(&self) -> ImageBatch {
        ImageBatch::of_input(self.batch, self.size.width, self.size.height)
    }

    /// Appends the vectors of the first `used` crops. They have length 1, and are 16-bit floats with the lower byte
    /// first. All bytes are 0 if the network returns a vector without a direction.
    ///
    /// # Errors
    /// [`DetectorError::Batch`] for crops that were not made for this network; [`DetectorError::Outputs`], [`DetectorError::Inference`].
    pub fn describe_into(&self, images: &ImageBatch, used: usize, vectors: &mut Vec<u8>) -> Result<(), DetectorError> {
        if images.slots() != self.batch || used > self.at_once || !images.is_of(self.size.width, self.size.height) {
            let (width, height) = self.size_px();
            let reason = format!(
                "{} takes {} crops of {width} x {height} px at a time, and got {used}",
                self.name, self.at_once
            );
            return Err(DetectorError::Batch { reason });
        }
        let mut lane = self.lanes.wait();
        let Some(engine) = lane.lane() else { return Ok(()) };
        engine.run(images, used, |numbers| {
            (0..used).for_each(|slot| {
                numbers.of_slot(slot, |outputs| outputs.iter().for_each(|output| put(output.data, vectors)))
            });
            Ok(())
        })
    }
}

/// The direction of a vector, as 16-bit floats.
fn put(vector: &[f32], bytes: &mut Vec<u8>) {
    let length = vector.iter().map(|&number| f64::from(number).powi(2)).sum::<f64>().sqrt();
    let has_direction = length > 0.0 && length.is_finite();
    let number = |&number: &f32| if has_direction { f16::from_f64(f64::from(number) / length) } else { f16::ZERO };
    bytes.extend(vector.iter().flat_map(|one| number(one).to_le_bytes()));
}

fn inputs_refused(seen: &str) -> String {
    format!(
        "it has the inputs {seen}; it must take crops alone, one tensor of f32, f16 or u8 [batch, 3, height, width] or [batch, height, width, 3]: \
         export it so"
    )
}

fn size_of(path: &Path, card: &AppearanceCard, declared: &Declared) -> Result<Size, DetectorError> {
    let wrong = |reason: String| DetectorError::Card { path: AppearanceCard::path_for(path), reason };
    let side = |name: &str, declared: i64, said: Option<u32>| match (u32::try_from(declared).ok(), said) {
        (Some(of_file), Some(said)) if of_file != said => {
            Err(wrong(format!("{name} is {said}, and the network takes {of_file}")))
        }
        (Some(side), _) | (None, Some(side)) if SIDES.contains(&side) => Ok(side),
        (Some(side), _) => Err(wrong(format!("the network's {name} is {side}; it must be within 1 to 2048"))),
        (None, _) => {
            Err(wrong(format!("the network takes crops of any size: set {name} in its card, such as 128 by 256 px")))
        }
    };
    let width = side("input_width", declared.input[3], card.input_width)?;
    Ok(Size { width, height: side("input_height", declared.input[2], card.input_height)? })
}

/// The output with the vectors.
fn output_of<'a>(card: &AppearanceCard, declared: &'a Declared) -> Result<&'a OutputSpec, String> {
    let shown = |output: &OutputSpec| format!("{} {}", output.name, dimensions(&output.shape));
    let all = || declared.outputs.iter().map(shown).collect::<Vec<_>>().join(", ");
    let mut vectors = declared.outputs.iter().filter(|output| !output.is_integer);
    match (&card.output, vectors.next(), vectors.next()) {
        (Some(name), ..) => {
            let named = declared.outputs.iter().find(|output| output.name == *name && !output.is_integer);
            named.ok_or_else(|| format!("its card names the output {name:?}, and it has {}: name one of them", all()))
        }
        (None, Some(only), None) => Ok(only),
        (None, None, _) => Err(format!("it has no output of numbers, but {}", all())),
        (None, Some(_), Some(_)) => {
            Err(format!("it has the outputs {}: say in its card which has the vectors, as \"output\"", all()))
        }
    }
}

/// How many numbers the network returns per crop, from its answer for one crop.
fn tried_dimensions(engine: &mut Engine, output: &str, batch: usize, size: Size) -> Result<usize, DetectorError> {
    let wrong = |reason: String| DetectorError::Outputs { reason };
    engine.run(&pictures(batch, batch, size), batch, |numbers: &Numbers<'_>| {
        let Some(given) = numbers.whole().first() else { return Err(wrong("it gives nothing".into())) };
        // A vector can be in any one dimension after the batch, because pooling leaves dimensions of 1.
        let (first, rest) = given.shape.split_first().unwrap_or((&0, &[]));
        let dimensions: usize = rest.iter().product();
        if *first != batch || rest.iter().filter(|&&side| side != 1).count() > 1 {
            return Err(wrong(format!(
                "output {output} is {:?} for {batch} crops, which is not one vector per crop: export the layer that gives [batch, numbers]",
                given.shape
            )));
        }
        if !(FEWEST_DIMENSIONS..=MOST_DIMENSIONS).contains(&dimensions) {
            return Err(wrong(format!(
                "output {output} has {dimensions} numbers a crop; there may be {FEWEST_DIMENSIONS} to {MOST_DIMENSIONS}, since each detection has \
                 them beside it, in 16 bits"
            )));
        }
        let length = given.data.iter().map(|&number| f64::from(number).powi(2)).sum::<f64>();
        if !(length > 0.0 && length.is_finite()) {
            return Err(wrong(format!(
                "output {output} is 0, or no number, for a photograph: mean and std of the card are not those of its training, or its numbers \
                 overflow (use an export in f32, or --device cpu)"
            )));
        }
        Ok(dimensions)
    })
}

/// Whether the same crop has the same bits in each slot, with and without other crops.
fn is_independent(engine: &mut Engine, batch: usize, size: Size) -> Result<bool, DetectorError> {
    let mut of = |used: usize| {
        engine.run(&pictures(batch, used, size), used, |numbers| {
            let bits = |slot| {
                numbers.of_slot(slot, |outputs| {
                    outputs.iter().flat_map(|o| o.data).map(|n| n.to_bits()).collect::<Vec<u32>>()
                })
            };
            Ok((0..used).map(bits).collect::<Vec<_>>())
        })
    };
    let (alone, beside) = (of(1)?, of(batch)?);
    Ok(beside.iter().all(|one| *one == alone[0]))
}

/// The trial's picture in the first slots.
fn pictures(batch: usize, used: usize, size: Size) -> ImageBatch {
    let mut images = ImageBatch::of_input(batch, size.width, size.height);
    let picture = trial::picture(size.width as usize, size.height as usize);
    (0..used).for_each(|slot| images.copy_from(slot, &picture));
    images
}
