//! The inputs of a model.

use ort::value::TensorElementType;

/// The inputs of a model.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) pictures: PictureInput,
    /// Further inputs, for sizes.
    pub(crate) sizes: Vec<SizeInput>,
    /// Further inputs, for the place of the picture.
    pub(crate) masks: Vec<MaskInput>,
}

/// The input for the pictures.
#[derive(Clone, Debug)]
pub(crate) struct PictureInput {
    pub(crate) name: String,
    pub(crate) number: NumberType,
    pub(crate) layout: PictureLayout,
}

/// The type of an input's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NumberType {
    #[default]
    F32,
    F16,
    U8,
}

/// The layout of pictures in an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PictureLayout {
    /// [batch, 3, height, width]
    Planes,
    /// [batch, height, width, 3]
    Packed,
    /// [3, height, width]
    OnePicture,
}

/// An input [batch, 2] for sizes of each picture.
#[derive(Clone, Debug)]
pub(crate) struct SizeInput {
    pub(crate) name: String,
    pub(crate) number: TensorElementType,
}

/// An input [batch, height, width] that is 1 in the picture and 0 in the padding. Hugging Face's DETR has such an
/// input.
#[derive(Clone, Debug)]
pub(crate) struct MaskInput {
    pub(crate) name: String,
    pub(crate) number: TensorElementType,
    /// As declared; -1 is a side of the batch or of the pictures.
    pub(crate) shape: [i64; 3],
}
