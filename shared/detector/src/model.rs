//! Everything that is known about a model: from its metadata, its shapes, its family and its card.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::class_names::{default_names, parse_names};
use crate::family::{Family, OutputSpec};
use crate::{Card, ColorOrder, DetectorError, Letterbox, Placement, runtime};

/// Where `scripts/setup` puts the default model: `${TRACKDROP_CACHE:-~/.cache/trackdrop}/models/nanodet-g-416.onnx`.
#[must_use]
pub fn default_model_path() -> PathBuf {
    runtime::cache_dir().unwrap_or_default().join("models/nanodet-g-416.onnx")
}

/// What a model is and how it wants its pictures.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// From the card, else the file's name without extension.
    pub name: String,
    /// From the card, else from the model's metadata.
    pub version: Option<String>,
    /// From the card, else from the model's metadata.
    pub description: Option<String>,
    /// From the card: where the weights come from.
    pub source: Option<String>,
    /// From the card, else from the model's metadata: the licence of the weights.
    pub license: Option<String>,
    /// The sha256 of the model file, in hexadecimal.
    pub sha256: String,
    /// The sha256 of the card, if there is one: it changes results as much as the model does.
    pub card_sha256: Option<String>,
    /// What the model's output means.
    pub family: Family,
    /// Width of the input in pixels.
    pub input_width: u32,
    /// Height of the input in pixels.
    pub input_height: u32,
    /// The order of the planes of the input.
    pub color_order: ColorOrder,
    /// Subtracted from each byte, per plane.
    pub mean: [f32; 3],
    /// What the difference is divided by, per plane.
    pub std: [f32; 3],
    /// How a frame of another shape is put into the input.
    pub letterbox: Letterbox,
    /// Red, green and blue of the padding.
    pub pad_color: [u8; 3],
    /// Intersection over union above which a box gives way to a better one of its class; none if the model sees to it.
    pub nms_iou: Option<f32>,
    /// The most detections of one picture.
    pub max_detections: usize,
    /// The `track_thresh` of ByteTrack that suits the scale of this model's scores; none if nobody measured it.
    pub track_thresh: Option<f64>,
    /// One name per class.
    pub class_names: Vec<String>,
}

impl ModelInfo {
    /// Where a frame of that many pixels lies in the model's input.
    #[must_use]
    pub fn placement(&self, frame_width: u32, frame_height: u32) -> Placement {
        Placement::new(self.letterbox, (self.input_width, self.input_height), (frame_width, frame_height))
    }

    /// The name of a class; `class_<id>` for one that the model has no name for.
    #[must_use]
    pub fn class_name(&self, class_id: u32) -> Cow<'_, str> {
        match self.class_names.get(class_id as usize) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("class_{class_id}")),
        }
    }
}

/// What a model file says about itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declared {
    /// `[batch, 3, height, width]`; -1 is decided when it runs.
    pub(crate) input: [i64; 4],
    pub(crate) outputs: Vec<OutputSpec>,
    /// Metadata as Ultralytics writes it.
    pub(crate) names: Option<String>,
    pub(crate) imgsz: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
}

/// A model file with its hash, and its card.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) path: PathBuf,
    pub(crate) sha256: String,
    pub(crate) card: Card,
    pub(crate) card_sha256: Option<String>,
}

/// Puts together what the model, its family and its card say; the card wins, then the model.
pub(crate) fn resolve(sources: Sources, declared: Declared) -> Result<ModelInfo, DetectorError> {
    let Sources { path, sha256, card, card_sha256 } = sources;
    let card_path = Card::path_for(&path);
    let contradiction = |reason: String| DetectorError::Card { path: card_path.clone(), reason };

    let names = card.class_names.clone().or_else(|| declared.names.as_deref().and_then(parse_names));
    let (family, classes) = family(&path, &card, names.as_ref().map(Vec::len), &declared)?;
    let defaults = family.head().defaults();

    let imgsz = declared.imgsz.as_deref().and_then(parse_imgsz);
    let side = |name: &str, declared: i64, card: Option<u32>, metadata: Option<u32>| {
        let declared = u32::try_from(declared).ok().filter(|side| *side > 0);
        match (declared, card.or(metadata)) {
            (Some(declared), Some(said)) if card.is_some() && said != declared => {
                Err(contradiction(format!("{name} is {said}, but the model's input has {declared}")))
            }
            (Some(side), _) | (None, Some(side)) if (1..=MAX_SIDE).contains(&side) => Ok(side),
            (Some(side), _) | (None, Some(side)) => {
                Err(contradiction(format!("{name} {side} is not within 1 to {MAX_SIDE}")))
            }
            (None, None) => Err(contradiction(format!("the model takes any size; set {name} in the card"))),
        }
    };

    Ok(ModelInfo {
        name: card.name.unwrap_or_else(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned()),
        version: card.version.or(declared.version),
        description: card.description.or(declared.description),
        source: card.source,
        license: card.license.or(declared.license),
        sha256,
        card_sha256,
        family,
        input_width: side("input_width", declared.input[3], card.input_width, imgsz.map(|size| size.1))?,
        input_height: side("input_height", declared.input[2], card.input_height, imgsz.map(|size| size.0))?,
        color_order: card.color_order.unwrap_or(defaults.color_order),
        mean: card.mean.unwrap_or(defaults.mean),
        std: card.std.unwrap_or(defaults.std),
        letterbox: card.letterbox.unwrap_or(defaults.letterbox),
        pad_color: card.pad_color.unwrap_or(defaults.pad_color),
        nms_iou: card.nms_iou.or(defaults.nms_iou),
        max_detections: card.max_detections.unwrap_or(300),
        track_thresh: card.track_thresh,
        class_names: names.unwrap_or_else(|| default_names(classes)),
    })
}

/// No detector takes pictures of more than this; a damaged card must not ask for terabytes.
const MAX_SIDE: u32 = 8192;

/// The family and the number of classes.
fn family(
    path: &Path,
    card: &Card,
    named: Option<usize>,
    declared: &Declared,
) -> Result<(Family, usize), DetectorError> {
    if let Some(family) = card.family {
        return match family.head().classes(&declared.outputs, named) {
            Some(classes) => Ok((family, classes)),
            None => Err(DetectorError::Card {
                path: Card::path_for(path),
                reason: format!(
                    "family {} has {}, but the model has {}{}",
                    family.head().name(),
                    family.head().layout(),
                    describe(declared),
                    named.map(|named| format!(" and {named} class names")).unwrap_or_default()
                ),
            }),
        };
    }
    let recognised = match &declared.task {
        Some(task) if task != "detect" => Err(Vec::new()),
        _ => Family::recognise(&declared.outputs, named),
    };
    recognised.map_err(|candidates| DetectorError::UnknownFamily {
        path: path.to_owned(),
        card: Card::path_for(path),
        seen: describe(declared),
        candidates: candidates.into_iter().map(|family| family.head().name()).collect(),
        known: Family::known(),
    })
}

fn describe(declared: &Declared) -> String {
    let outputs = declared.outputs.iter().map(|output| format!("{} {:?}", output.name, output.shape));
    let task = declared.task.iter().map(|task| format!("task {task}"));
    outputs.chain(task).collect::<Vec<_>>().join(", ")
}

/// Height and width from Ultralytics' metadata, `[480, 640]`.
fn parse_imgsz(text: &str) -> Option<(u32, u32)> {
    let (height, width) = text.trim().strip_prefix('[')?.strip_suffix(']')?.split_once(',')?;
    Some((height.trim().parse().ok()?, width.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(input: [i64; 4], shape: &[i64]) -> Declared {
        let outputs = vec![OutputSpec { name: "output0".into(), shape: shape.to_vec() }];
        Declared { input, outputs, ..Declared::default() }
    }

    fn resolved(card: Card, declared: Declared) -> Result<ModelInfo, DetectorError> {
        let path = PathBuf::from("models/some-net.onnx");
        resolve(Sources { path, sha256: "00".into(), card, card_sha256: None }, declared)
    }

    #[test]
    fn a_model_without_a_card_is_what_its_family_usually_is() {
        let info = resolved(Card::default(), declared([1, 3, 480, 640], &[1, 84, 6300])).unwrap();
        assert_eq!((info.name.as_str(), info.family), ("some-net", Family::YoloV8));
        assert_eq!((info.input_width, info.input_height), (640, 480));
        assert_eq!(info.class_name(0), "person");
        assert_eq!(info.class_name(80), "class_80");
    }

    #[test]
    fn the_card_wins_over_family_and_metadata() {
        let card = Card {
            family: Some(Family::NanoDet),
            mean: Some([1.0; 3]),
            class_names: Some(vec!["cat".into(), "dog".into()]),
            ..Card::default()
        };
        let model = Declared { names: Some("{0: 'a', 1: 'b'}".into()), ..declared([1, 3, 64, 64], &[1, 100, 6]) };
        let info = resolved(card, model).unwrap();
        assert_eq!((info.family, info.mean, info.class_name(1).as_ref()), (Family::NanoDet, [1.0; 3], "dog"));
    }

    #[test]
    fn the_input_size_comes_from_the_model_the_card_or_the_metadata() {
        let open = declared([-1, 3, -1, -1], &[-1, 84, -1]);
        let error = resolved(Card::default(), open.clone()).unwrap_err().to_string();
        assert!(error.contains("set input_width") && error.contains("some-net.json"), "{error}");
        let info = resolved(Card::default(), Declared { imgsz: Some("[480, 640]".into()), ..open.clone() }).unwrap();
        assert_eq!((info.input_width, info.input_height), (640, 480));
        let card = Card { input_width: Some(320), input_height: Some(256), ..Card::default() };
        let info = resolved(card.clone(), open).unwrap();
        assert_eq!((info.input_width, info.input_height), (320, 256));
        let error = resolved(card, declared([1, 3, 640, 640], &[1, 84, 8400])).unwrap_err();
        assert!(error.to_string().contains("input_width is 320"), "{error}");
    }

    #[test]
    fn a_card_that_contradicts_the_outputs_is_refused() {
        let card = Card { family: Some(Family::YoloV5), class_names: Some(vec!["a".into()]), ..Card::default() };
        let error = resolved(card, declared([1, 3, 64, 64], &[1, 84, 8400])).unwrap_err().to_string();
        assert!(error.contains("1 class names") && error.contains("[1, 84, 8400]"), "{error}");
    }

    #[test]
    fn models_of_another_task_are_refused() {
        let model = Declared { task: Some("segment".into()), ..declared([1, 3, 640, 640], &[1, 84, 8400]) };
        let error = resolved(Card::default(), model).unwrap_err();
        assert!(matches!(&error, DetectorError::UnknownFamily { seen, .. } if seen.contains("segment")), "{error}");
        assert!(!error.is_transient());
    }
}
