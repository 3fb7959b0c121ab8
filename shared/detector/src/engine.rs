//! One session with its buffers: pictures in, numbers out.

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::{DynValue, Tensor, TensorElementType};

use crate::batch::Surroundings;
use crate::convert::{Normalizer, Number};
use crate::family::{Output, OutputSpec, Size};
use crate::{DetectorError, Device, ImageBatch};

/// Runs the model on batches of one shape. Inputs and outputs lie in memory that the device copies from and to by itself:
/// pinned for a GPU.
pub(crate) struct Engine {
    session: Session,
    binding: IoBinding,
    /// The memory that outputs are wanted in.
    output_memory: MemoryInfo<'static>,
    /// The outputs that are read, in the decoder's order.
    outputs: Vec<OutputSpec>,
    batch: usize,
    device: Device,
    pictures: Pictures,
    /// For each slot of the input, what surrounds the picture in it; none where there is no picture.
    surroundings: Vec<Option<Surroundings>>,
    normalizer: Normalizer,
    input_name: String,
    /// Outputs that are not f32, as f32; kept from run to run.
    converted: [Vec<f32>; MOST_OUTPUTS],
    /// The shapes of the outputs; kept from run to run.
    shapes: [Vec<usize>; MOST_OUTPUTS],
}

/// No family has more: labels, boxes, scores.
pub(crate) const MOST_OUTPUTS: usize = 3;

/// The input tensor [batch, 3, height, width].
enum Pictures {
    F32(Tensor<f32>),
    F16(Tensor<f16>),
}

impl Pictures {
    fn bind(&self, binding: &mut IoBinding, name: &str) -> Result<(), ort::Error> {
        match self {
            Self::F32(tensor) => binding.bind_input(name, tensor),
            Self::F16(tensor) => binding.bind_input(name, tensor),
        }
    }
}

/// What an engine is made for.
#[derive(Debug, Clone)]
pub(crate) struct EngineSpec {
    pub(crate) device: Device,
    pub(crate) input_name: String,
    /// The input that asks for the size of the boxes' picture, i64 [batch, 2].
    pub(crate) size_name: Option<String>,
    pub(crate) is_half: bool,
    pub(crate) batch: usize,
    pub(crate) size: Size,
    pub(crate) outputs: Vec<OutputSpec>,
}

/// The numbers of the outputs for the whole batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers<'a> {
    /// Shapes [batch, ...] and numbers; those beyond `count` are empty.
    outputs: [Output<'a>; MOST_OUTPUTS],
    count: usize,
    batch: usize,
}

impl<'a> Numbers<'a> {
    /// One picture's share of the outputs, given to `read`.
    pub(crate) fn of_slot<T>(&self, slot: usize, read: impl FnOnce(&[Output<'a>]) -> T) -> T {
        let share = self.outputs.map(|Output { shape, data }| {
            let length = data.len() / self.batch;
            Output { shape: shape.get(1..).unwrap_or_default(), data: &data[slot * length..][..length] }
        });
        read(&share[..self.count])
    }
}

impl Engine {
    /// `normalizer` gives the input's floats.
    pub(crate) fn new(session: Session, spec: EngineSpec, normalizer: Normalizer) -> Result<Self, ort::Error> {
        let (width, height) = (spec.size.width as usize, spec.size.height as usize);
        let shape = [spec.batch, 3, height, width];
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
        let pictures = if spec.is_half {
            Pictures::F16(Tensor::new(&input_allocator, shape)?)
        } else {
            Pictures::F32(Tensor::new(&input_allocator, shape)?)
        };
        if spec.device == Device::Cpu {
            // The memory itself, which every run fills anew. A GPU is given a copy, so there each run binds it.
            pictures.bind(&mut binding, &spec.input_name)?;
        }
        for output in spec.outputs.iter().filter(|output| output.has_fixed_shape()) {
            binding.bind_output_to_device(&output.name, &output_memory)?;
        }
        if let Some(name) = &spec.size_name {
            // RT-DETR and D-FINE scale their boxes to it: with the input's own size they stay in input pixels.
            let size = [width as i64, height as i64].repeat(spec.batch);
            binding.bind_input(name, &Tensor::from_array(([spec.batch, 2], size))?)?;
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
            input_name: spec.input_name,
        })
    }

    /// Runs the first `used` pictures of a batch, zeros in the other slots, and gives the outputs to `read`.
    pub(crate) fn run<T>(
        &mut self,
        images: &ImageBatch,
        used: usize,
        read: impl FnOnce(&Numbers<'_>) -> Result<T, DetectorError>,
    ) -> Result<T, DetectorError> {
        let failed = |error: ort::Error| DetectorError::inference(&error);
        match &mut self.pictures {
            Pictures::F32(tensor) => {
                fill(&self.normalizer, images, used, &mut self.surroundings, tensor.extract_tensor_mut().1);
            }
            Pictures::F16(tensor) => {
                fill(&self.normalizer, images, used, &mut self.surroundings, tensor.extract_tensor_mut().1);
            }
        }
        if self.device != Device::Cpu {
            self.pictures.bind(&mut self.binding, &self.input_name).map_err(failed)?;
        }
        // Anew for every run: an output whose shape depends on the picture must not keep the last one's.
        for output in self.outputs.iter().filter(|output| !output.has_fixed_shape()) {
            self.binding.bind_output_to_device(&output.name, &self.output_memory).map_err(failed)?;
        }
        let results = self.session.run_binding(&self.binding).map_err(failed)?;
        self.binding.synchronize_outputs().map_err(failed)?;

        let mut numbers = Numbers {
            outputs: [Output { shape: &[], data: &[] }; MOST_OUTPUTS],
            count: self.outputs.len(),
            batch: self.batch,
        };
        let buffers = self.converted.iter_mut().zip(&mut self.shapes);
        for ((output, (converted, shape)), place) in self.outputs.iter().zip(buffers).zip(&mut numbers.outputs) {
            let data = as_f32(&results[output.name.as_str()], converted, shape).map_err(failed)?;
            if !output.allows(shape, self.batch) {
                return Err(DetectorError::Outputs {
                    reason: format!("output {} is {shape:?}, declared as {:?}", output.name, output.shape),
                });
            }
            *place = Output { shape, data };
        }
        read(&numbers)
    }
}

/// Writes the first `used` pictures, zeros into the other slots. The padding around a picture is left as it is where it is the same as
/// that of the picture before.
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

/// The numbers of a value, in `converted` if they are not f32 already, and its shape in `sides`.
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
