//! How a family reads the outputs of a model, and how such models are usually run.

use super::{BoxFormat, Decoder, Extra, Family, RowOrder};
use crate::{ColorOrder, Letterbox, Resize};

/// How a family reads the outputs of a model.
#[derive(Debug)]
pub(crate) struct Fit {
    pub(crate) classes: usize,
    /// Indices of the outputs that the decoder reads, in its order.
    pub(crate) outputs: Vec<usize>,
    pub(crate) decoder: Box<dyn Decoder>,
    pub(crate) defaults: Defaults,
    /// What was seen, for people.
    pub(crate) because: String,
    /// What the four numbers of a box are taken for, where others are possible.
    pub(crate) boxes: Option<BoxFormat>,
    /// In which order a row is read, where others are possible.
    pub(crate) order: Option<RowOrder>,
    /// Whether each output has an entry per picture; else there is one picture.
    pub(crate) has_batch: bool,
    /// Whether every place of the picture has a candidate, so that there is always something; else a row may be empty.
    pub(crate) is_dense: bool,
    /// Whether the outputs have the names that an exporter of this family gives them.
    pub(crate) is_named: bool,
    /// Whether boxes are cut at the edges of the frame before they are compared for suppression.
    pub(crate) cuts_first: bool,
    /// What the model knows and the results lack.
    pub(crate) leaves: Option<&'static str>,
    /// What nothing settles, and what to do about it.
    pub(crate) doubts: Vec<String>,
}

impl Fit {
    pub(super) fn new(
        classes: usize,
        outputs: Vec<usize>,
        decoder: impl Decoder + 'static,
        defaults: Defaults,
        because: String,
    ) -> Self {
        Self {
            classes,
            outputs,
            decoder: Box::new(decoder),
            defaults,
            because,
            boxes: None,
            order: None,
            has_batch: true,
            is_dense: true,
            is_named: false,
            cuts_first: false,
            leaves: None,
            doubts: Vec::new(),
        }
    }

    pub(super) fn boxes(self, boxes: BoxFormat) -> Self {
        Self { boxes: Some(boxes), ..self }
    }

    /// A list of objects, in this order.
    pub(super) fn order(self, order: RowOrder) -> Self {
        Self { order: Some(order), is_dense: false, ..self }
    }

    pub(super) fn leaving(self, extra: Extra) -> Self {
        Self { leaves: extra.in_words(), ..self }
    }

    pub(super) fn doubting(mut self, doubt: impl Into<String>) -> Self {
        self.doubts.push(doubt.into());
        self
    }

    /// In a few words, for a choice between readings.
    pub(crate) fn reading(&self) -> String {
        match self.boxes {
            Some(boxes) => format!("{}, boxes by {}", self.because, boxes.in_words()),
            None => self.because.clone(),
        }
    }

    /// The card that makes this reading the only one.
    pub(crate) fn card(&self, family: Family) -> String {
        let boxes = self.boxes.map(|boxes| format!(r#", "boxes": "{}""#, boxes.name())).unwrap_or_default();
        let order = self.order.map(|order| format!(r#", "order": "{}""#, order.name())).unwrap_or_default();
        format!(r#"{{"family": "{}"{boxes}{order}}}"#, family.name())
    }
}

/// How models of a family are usually trained and run; the card overrides each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Defaults {
    pub(crate) color_order: ColorOrder,
    pub(crate) mean: [f32; 3],
    pub(crate) std: [f32; 3],
    pub(crate) letterbox: Letterbox,
    pub(crate) pad_color: [u8; 3],
    pub(crate) longest_side: Option<u32>,
    pub(crate) resize: Resize,
    /// None for families without duplicates.
    pub(crate) nms_iou: Option<f32>,
}

impl Defaults {
    /// Ultralytics' convolutional models: RGB within 0 to 1, grey bars on both sides.
    pub(super) const ULTRALYTICS: Self = Self {
        color_order: ColorOrder::Rgb,
        mean: [0.0; 3],
        std: [255.0; 3],
        letterbox: Letterbox::Center,
        pad_color: [114; 3],
        longest_side: None,
        resize: Resize::OpenCv,
        nms_iou: Some(0.7),
    };

    /// As torchvision and Hugging Face train: RGB with the mean and deviation of ImageNet, stretched.
    pub(super) const IMAGENET: Self = Self {
        color_order: ColorOrder::Rgb,
        mean: [123.675, 116.28, 103.53],
        std: [58.395, 57.12, 57.375],
        letterbox: Letterbox::Stretch,
        pad_color: [124, 116, 104],
        longest_side: None,
        resize: Resize::Swscale,
        nms_iou: None,
    };

    /// RGB within 0 to 1, stretched.
    pub(super) const STRETCHED: Self = Self {
        letterbox: Letterbox::Stretch,
        pad_color: [0; 3],
        resize: Resize::Swscale,
        nms_iou: None,
        ..Self::ULTRALYTICS
    };
}
