//! One session with its buffers: pictures in, numbers out.

use half::{f16, slice::HalfFloatSliceExt};
use ort::{
    memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType},
    session::{IoBinding, Session},
    value::{DynValue, Tensor, TensorElementType},
};

use crate::{
    DetectorError, Device, ImageBatch,
    batch::Surroundings,
    convert::{Normalizer, Number},
    family::{Output, OutputSpec, Size},
    inputs::{Inputs, MaskInput, NumberType, PictureInput, PictureLayout, SizeInput},
};

/// Runs the model on batches of one shape. Inputs and outputs are in memory that the device can copy: pinned memory for
/// a GPU.
pub(crate) struct Engine {
    session: Session,
    binding: IoBinding,
    /// The memory for outputs.
    output_memory: MemoryInfo<'static>,
    /// The outputs that the decoder reads, in its order.
    outputs: Vec<OutputSpec>,
    batch: usize,
    device: Device,
    pictures: Pictures,
    /// For each slot of the input, the padding around its picture. None if there is no picture.
    surroundings: Vec<Option<Surroundings>>,
    normalizer: Normalizer,
    input_name: String,
    has_batch: bool,
    /// Whether the model's input has pixels instead of planes.
    is_packed: bool,
    /// Outputs that are not f32, converted to f32. Reused for each run.
    converted: [Vec<f32>; MOST_OUTPUTS],
    /// The shapes of the outputs. Reused for each run.
    shapes: [Vec<usize>; MOST_OUTPUTS],
}

/// Largest number of outputs that are read. No family reads more than 8.
pub(crate) const MOST_OUTPUTS: usize = 16;

/// The input tensor, in the model's layout.
enum Pictures {
    F32(Tensor<f32>),
    F16(Tensor<f16>),
    U8(Tensor<u8>),
}

impl Pictures {
    fn bind(&self, binding: &mut IoBinding, name: &str) -> Result<(), ort::Error> {
        match self {
            Self::F32(tensor) => binding.bind_input(name, tensor),
            Self::F16(tensor) => binding.bind_input(name, tensor),
            Self::U8(tensor) => binding.bind_input(name, tensor),
        }
    }
}

/// The properties for which an engine is made.
#[derive(Clone, Debug)]
pub(crate) struct EngineSpec {
    pub(crate) device: Device,
    pub(crate) inputs: Inputs,
    pub(crate) batch: usize,
    pub(crate) size: Size,
    pub(crate) outputs: Vec<OutputSpec>,
    /// Whether each output has an entry per picture. Otherwise the numbers belong to one picture, or it is unknown.
    pub(crate) has_batch: bool,
}

/// The numbers of the outputs for the whole batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers<'a> {
    /// Shapes [batch, ...] and numbers; those beyond `count` are empty.
    outputs: [Output<'a>; MOST_OUTPUTS],
    count: usize,
    /// None if the outputs have no entry per picture.
    batch: Option<usize>,
}

impl<'a> Numbers<'a> {
    /// The outputs, unchanged.
    pub(crate) fn whole(&self) -> &[Output<'a>] {
        &self.outputs[..self.count]
    }

    /// Passes the outputs of one picture to `read`.
    pub(crate) fn of_slot<T>(&self, slot: usize, read: impl FnOnce(&[Output<'a>]) -> T) -> T {
        let Some(batch) = self.batch else { return read(self.whole()) };
        let share = self.outputs.map(|Output { shape, data }| {
            let length = data.len() / batch;
            Output { shape: shape.get(1..).unwrap_or_default(), data: &data[slot * length..][..length] }
        });
        read(&share[..self.count])
    }
}

impl Engine {
    /// `normalizer` gives the input's floats.
    pub(crate) fn new(session: Session, spec: EngineSpec, normalizer: Normalizer) -> Result<Self, ort::Error> {
        let (width, height) = (spec.size.width as usize, spec.size.height as usize);
        let PictureInput { name: input_name, number, layout } = spec.inputs.pictures;
        let shape = match layout {
            PictureLayout::Planes => vec![spec.batch, 3, height, width],
            PictureLayout::Packed => vec![spec.batch, height, width, 3],
            PictureLayout::OnePicture => vec![3, height, width],
        };
        let memory = |memory_type| match spec.device.gpu() {
            None => MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, memory_type),
            Some(id) => {
                MemoryInfo::new(AllocationDevice::CUDA_PINNED, i32::from(id), AllocatorType::Device, memory_type)
            }
        };
        let (input_allocator, output_memory) = match spec.device {
            Device::Cpu => (Allocator::default(), memory(MemoryType::Default)?),
            _ => (Allocator::new(&session, memory(MemoryType::CPUInput)?)?, memory(MemoryType::CPUOutput)?),
        };
        let mut binding = session.create_binding()?;
        let pictures = match number {
            NumberType::F32 => Pictures::F32(Tensor::new(&input_allocator, shape)?),
            NumberType::F16 => Pictures::F16(Tensor::new(&input_allocator, shape)?),
            NumberType::U8 => Pictures::U8(Tensor::new(&input_allocator, shape)?),
        };
        if spec.device == Device::Cpu {
            // Binds the memory itself, which every run overwrites. A GPU gets a copy, so with a GPU each run binds it.
            pictures.bind(&mut binding, &input_name)?;
        }
        for output in spec.outputs.iter().filter(|output| output.has_fixed_shape(spec.has_batch)) {
            binding.bind_output_to_device(&output.name, &output_memory)?;
        }
        for SizeInput { name, number } in &spec.inputs.sizes {
            let numbers = size_for(name, spec.size).repeat(spec.batch);
            bind_numbers(&mut binding, name, *number, vec![spec.batch, 2], numbers)?;
        }
        for MaskInput { name, number, shape } in &spec.inputs.masks {
            let side = |declared: i64, own: usize| usize::try_from(declared).unwrap_or(own);
            let shape = vec![side(shape[0], spec.batch), side(shape[1], height), side(shape[2], width)];
            // Padding counts as a part of the picture, as in training with pictures of one size.
            let ones = vec![1.0; shape.iter().product()];
            bind_numbers(&mut binding, name, *number, shape, ones)?;
        }
        Ok(Self {
            session,
            binding,
            output_memory,
            converted: Default::default(),
            shapes: Default::default(),
            device: spec.device,
            outputs: spec.outputs,
            batch: spec.batch,
            pictures,
            surroundings: vec![None; spec.batch],
            normalizer,
            input_name,
            has_batch: spec.has_batch,
            is_packed: layout == PictureLayout::Packed,
        })
    }

    /// The session, for another engine.
    pub(crate) fn into_session(self) -> Session {
        self.session
    }

    /// Runs the first `used` pictures of a batch, with zeros in the other slots, and passes the outputs to `read`.
    pub(crate) fn run<T>(
        &mut self,
        images: &ImageBatch,
        used: usize,
        read: impl FnOnce(&Numbers<'_>) -> Result<T, DetectorError>,
    ) -> Result<T, DetectorError> {
        let failed = |error: ort::Error| DetectorError::inference(&error);
        let (normalizer, surroundings) = (&self.normalizer, &mut self.surroundings);
        match (&mut self.pictures, self.is_packed) {
            (Pictures::F32(tensor), false) => {
                fill(normalizer, images, used, surroundings, tensor.extract_tensor_mut().1)
            }
            (Pictures::F16(tensor), false) => {
                fill(normalizer, images, used, surroundings, tensor.extract_tensor_mut().1)
            }
            (Pictures::U8(tensor), false) => {
                fill(normalizer, images, used, surroundings, tensor.extract_tensor_mut().1)
            }
            (Pictures::F32(tensor), true) => pack(normalizer, images, used, tensor.extract_tensor_mut().1),
            (Pictures::F16(tensor), true) => pack(normalizer, images, used, tensor.extract_tensor_mut().1),
            (Pictures::U8(tensor), true) => pack(normalizer, images, used, tensor.extract_tensor_mut().1),
        }
        if self.device != Device::Cpu {
            self.pictures.bind(&mut self.binding, &self.input_name).map_err(failed)?;
        }
        // This is done for every run, because the shape of an output can depend on the picture.
        for output in self.outputs.iter().filter(|output| !output.has_fixed_shape(self.has_batch)) {
            self.binding.bind_output_to_device(&output.name, &self.output_memory).map_err(failed)?;
        }
        let results = self.session.run_binding(&self.binding).map_err(failed)?;
        self.binding.synchronize_outputs().map_err(failed)?;

        let batch = self.has_batch.then_some(self.batch);
        let mut numbers =
            Numbers { outputs: [Output { shape: &[], data: &[] }; MOST_OUTPUTS], count: self.outputs.len(), batch };
        let buffers = self.converted.iter_mut().zip(&mut self.shapes);
        for ((output, (converted, shape)), place) in self.outputs.iter().zip(buffers).zip(&mut numbers.outputs) {
            let data = as_f32(&results[output.name.as_str()], converted, shape).map_err(failed)?;
            if !output.allows(shape, batch) {
                return Err(DetectorError::Outputs {
                    reason: format!("output {} is {shape:?}, declared as {:?}", output.name, output.shape),
                });
            }
            *place = Output { shape, data };
        }
        read(&numbers)
    }
}

/// Writes the first `used` pictures, and zeros into the other slots. If the padding around a picture is the same as
/// before, it is not written again.
fn fill<T: Number>(
    normalizer: &Normalizer,
    images: &ImageBatch,
    used: usize,
    surroundings: &mut [Option<Surroundings>],
    input: &mut [T],
) {
    let picture = input.len() / surroundings.len();
    let slots = input.chunks_exact_mut(picture).zip(surroundings).enumerate();
    for (slot, (planes, around)) in slots {
        if slot >= used {
            planes.fill(T::default());
            *around = None;
        } else if *around == Some(images.surroundings(slot)) {
            normalizer.convert(images.picture(slot), planes, images.inner_rows(slot));
        } else {
            normalizer.convert(images.picture(slot), planes, std::iter::once(0..picture / 3));
            *around = Some(images.surroundings(slot));
        }
    }
}

/// The same as `fill`, for pixels instead of planes.
fn pack<T: Number>(normalizer: &Normalizer, images: &ImageBatch, used: usize, input: &mut [T]) {
    let picture = input.len() / images.slots();
    let mut planes = vec![T::default(); picture];
    for (slot, pixels) in input.chunks_exact_mut(picture).enumerate() {
        if slot >= used {
            pixels.fill(T::default());
            continue;
        }
        normalizer.convert(images.picture(slot), &mut planes, std::iter::once(0..picture / 3));
        for (place, pixel) in pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = [0, 1, 2].map(|plane| planes[plane * (picture / 3) + place]);
        }
    }
}

/// Binds numbers that are the same for every run, in the model's type.
fn bind_numbers(
    binding: &mut IoBinding,
    name: &str,
    number: TensorElementType,
    shape: Vec<usize>,
    numbers: Vec<f32>,
) -> Result<(), ort::Error> {
    match number {
        TensorElementType::Float32 => binding.bind_input(name, &Tensor::from_array((shape, numbers))?),
        TensorElementType::Int32 => {
            let whole: Vec<_> = numbers.into_iter().map(|number| number as i32).collect();
            binding.bind_input(name, &Tensor::from_array((shape, whole))?)
        }
        TensorElementType::Bool => {
            let flags: Vec<_> = numbers.into_iter().map(|number| number != 0.0).collect();
            binding.bind_input(name, &Tensor::from_array((shape, flags))?)
        }
        _ => {
            let whole: Vec<_> = numbers.into_iter().map(|number| number as i64).collect();
            binding.bind_input(name, &Tensor::from_array((shape, whole))?)
        }
    }
}

/// The numbers for an input of sizes, so that boxes are in input pixels. `PaddleDetection` needs the applied scale, and
/// height and width. RT-DETR and D-FINE need width and height of the picture to which boxes refer.
fn size_for(name: &str, size: Size) -> [f32; 2] {
    match name {
        "scale_factor" => [1.0; 2],
        "im_shape" => [size.height as f32, size.width as f32],
        _ => [size.width as f32, size.height as f32],
    }
}

/// The numbers of a value, and its shape in `sides`. If they are not f32, they are converted into `converted`.
fn as_f32<'a>(
    value: &'a DynValue,
    converted: &'a mut Vec<f32>,
    sides: &mut Vec<usize>,
) -> Result<&'a [f32], ort::Error> {
    // Labels are small numbers, which f32 holds exactly.
    let shape = match value.dtype().tensor_type() {
        Some(TensorElementType::Float16) => {
            let (shape, data) = value.try_extract_tensor::<f16>()?;
            converted.resize(data.len(), 0.0);
            data.convert_to_f32_slice(converted);
            shape
        }
        Some(TensorElementType::Int64) => {
            let (shape, data) = value.try_extract_tensor::<i64>()?;
            converted.clear();
            converted.extend(data.iter().map(|&label| label as f32));
            shape
        }
        Some(TensorElementType::Int32) => {
            let (shape, data) = value.try_extract_tensor::<i32>()?;
            converted.clear();
            converted.extend(data.iter().map(|&label| label as f32));
            shape
        }
        _ => {
            let (shape, data) = value.try_extract_tensor::<f32>()?;
            set(sides, shape);
            return Ok(data);
        }
    };
    set(sides, shape);
    Ok(converted)
}

fn set(sides: &mut Vec<usize>, shape: &[i64]) {
    sides.clear();
    sides.extend(shape.iter().map(|&side| usize::try_from(side).unwrap_or(0)));
}
