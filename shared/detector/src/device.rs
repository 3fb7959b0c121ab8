//! The device on which a model runs.

use std::{fmt, str::FromStr};

/// The requested device: `auto`, `cpu`, `cuda` or `tensorrt`. The last two can have a GPU number, as in `cuda:1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first of TensorRT, CUDA and the processor that works.
    #[default]
    Auto,
    /// This one, or an error.
    Only(Device),
}

/// The device on which a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// The processor.
    Cpu,
    /// The GPU of that number, with CUDA's kernels.
    Cuda(u16),
    /// The GPU of that number, with an engine that TensorRT builds for it, in fp16.
    TensorRt(u16),
}

/// A device that `auto` tried before the chosen one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Which.
    pub device: Device,
    /// Why it is not available.
    pub reason: String,
}

impl Device {
    /// The number of its GPU.
    #[must_use]
    pub fn gpu(self) -> Option<u16> {
        match self {
            Self::Cpu => None,
            Self::Cuda(id) | Self::TensorRt(id) => Some(id),
        }
    }

    /// The devices that `auto` tries, in order.
    pub(crate) const PREFERRED: [Self; 3] = [Self::TensorRt(0), Self::Cuda(0), Self::Cpu];
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(id) => write!(f, "cuda:{id}"),
            Self::TensorRt(id) => write!(f, "tensorrt:{id}"),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Only(device) => device.fmt(f),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, id) = match text.split_once(':') {
            None => (text, 0),
            Some((name @ ("cuda" | "tensorrt"), id)) => {
                let id = id.parse().map_err(|_| format!("{id:?} is not the number of a GPU, as in {name}:0"))?;
                (name, id)
            }
            Some(_) => return Err(format!("{text:?}: only cuda and tensorrt take the number of a GPU")),
        };
        match name {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Only(Device::Cpu)),
            "cuda" => Ok(Self::Only(Device::Cuda(id))),
            "tensorrt" => Ok(Self::Only(Device::TensorRt(id))),
            _ => Err(format!("there is no device {text:?}: auto, cpu, cuda[:id] or tensorrt[:id]")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3", "tensorrt:1"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Only(Device::Cuda(0))));
        for (text, part) in [("gpu", "no device"), ("cpu:1", "only cuda"), ("cuda:x", "number"), ("cuda:-1", "number")]
        {
            assert!(text.parse::<DeviceChoice>().unwrap_err().contains(part), "{text}");
        }
    }
}
