//! One session with its buffers: pictures in, numbers out.

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::{DynValue, Tensor, TensorElementType};

use crate::convert::Normalizer;
use crate::family::{OutputSpec, Size};
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
    pictures: Pictures,
    input_name: String,
    /// Outputs that are not f32, as f32; kept from run to run.
    converted: Vec<Vec<f32>>,
}

/// The input tensor [batch, 3, height, width] and the table that fills it.
enum Pictures {
    F32(Tensor<f32>, Box<Normalizer<f32>>),
    F16(Tensor<f16>, Box<Normalizer<f16>>),
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

/// The numbers of one output for the whole batch, and its shape, [batch, ...].
pub(crate) type Numbers<'a> = (Vec<usize>, &'a [f32]);

impl Engine {
    /// `normalizer` gives the mean and so on.
    pub(crate) fn new(session: Session, spec: EngineSpec, normalizer: &Normalizer<f32>) -> Result<Self, ort::Error> {
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
        let pictures = if spec.is_half {
            Pictures::F16(Tensor::new(&input_allocator, shape)?, Box::new(normalizer.halved()))
        } else {
            Pictures::F32(Tensor::new(&input_allocator, shape)?, Box::new(normalizer.clone()))
        };
        let mut binding = session.create_binding()?;
        if let Some(name) = &spec.size_name {
            // RT-DETR and D-FINE scale their boxes to it: with the input's own size they stay in input pixels.
            let size = [width as i64, height as i64].repeat(spec.batch);
            binding.bind_input(name, &Tensor::from_array(([spec.batch, 2], size))?)?;
        }
        Ok(Self {
            session,
            binding,
            output_memory,
            converted: vec![Vec::new(); spec.outputs.len()],
            outputs: spec.outputs,
            batch: spec.batch,
            pictures,
            input_name: spec.input_name,
        })
    }

    /// Runs the first `used` pictures of a batch, zeros in the other slots, and gives the outputs to `read`.
    pub(crate) fn run<T>(
        &mut self,
        images: &ImageBatch,
        used: usize,
        read: impl FnOnce(&[Numbers<'_>]) -> Result<T, DetectorError>,
    ) -> Result<T, DetectorError> {
        match &mut self.pictures {
            Pictures::F32(tensor, normalizer) => {
                fill(normalizer, images, used, self.batch, tensor.extract_tensor_mut().1);
                self.binding.bind_input(&self.input_name, tensor)
            }
            Pictures::F16(tensor, normalizer) => {
                fill(normalizer, images, used, self.batch, tensor.extract_tensor_mut().1);
                self.binding.bind_input(&self.input_name, tensor)
            }
        }
        .map_err(|error| DetectorError::inference(&error))?;
        // Anew for every run: an output whose shape depends on the picture must not keep the last one's.
        for output in &self.outputs {
            self.binding
                .bind_output_to_device(&output.name, &self.output_memory)
                .map_err(|error| DetectorError::inference(&error))?;
        }
        let results = self.session.run_binding(&self.binding).map_err(|error| DetectorError::inference(&error))?;
        self.binding.synchronize_outputs().map_err(|error| DetectorError::inference(&error))?;

        let mut numbers = Vec::with_capacity(self.outputs.len());
        for (output, converted) in self.outputs.iter().zip(&mut self.converted) {
            let (shape, data) =
                as_f32(&results[output.name.as_str()], converted).map_err(|error| DetectorError::inference(&error))?;
            if !output.allows(&shape, self.batch) {
                return Err(DetectorError::Outputs {
                    reason: format!("output {} is {shape:?}, declared as {:?}", output.name, output.shape),
                });
            }
            numbers.push((shape.iter().map(|&side| usize::try_from(side).unwrap_or(0)).collect(), data));
        }
        read(&numbers)
    }
}

fn fill<T: Copy + Default>(
    normalizer: &Normalizer<T>,
    images: &ImageBatch,
    used: usize,
    batch: usize,
    input: &mut [T],
) {
    let picture = input.len() / batch;
    let (filled, padding) = input.split_at_mut(picture * used);
    for (slot, planes) in filled.chunks_exact_mut(picture).enumerate() {
        normalizer.convert(images.picture(slot), planes);
    }
    padding.fill(T::default());
}

/// The shape and the numbers of a value, in `converted` if they are not f32 already.
fn as_f32<'a>(value: &'a DynValue, converted: &'a mut Vec<f32>) -> Result<(Vec<i64>, &'a [f32]), ort::Error> {
    let element = value.dtype().tensor_type();
    let shape = match element {
        Some(TensorElementType::Float16) => {
            let (shape, data) = value.try_extract_tensor::<f16>()?;
            converted.resize(data.len(), 0.0);
            data.convert_to_f32_slice(converted);
            shape
        }
        Some(TensorElementType::Int64) => {
            let (shape, data) = value.try_extract_tensor::<i64>()?;
            converted.clear();
            // Labels are small numbers, which f32 holds exactly.
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
            return Ok((shape.to_vec(), data));
        }
    };
    Ok((shape.to_vec(), converted))
}
