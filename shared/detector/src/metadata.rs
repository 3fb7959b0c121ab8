//! The metadata that an exporter wrote into a model, which are the best evidence.

use crate::class_names::{parse_lines, parse_names};

/// The metadata of a model, as its exporter wrote it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metadata {
    /// One name per class.
    pub(crate) names: Option<Vec<String>>,
    /// Height and width of the input.
    pub(crate) imgsz: Option<(u32, u32)>,
    pub(crate) task: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) exporter: Exporter,
}

/// Who wrote the model, and what it says only there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Exporter {
    /// It does not say.
    #[default]
    Unknown,
    Ultralytics(Ultralytics),
    LibreYolo(LibreYolo),
}

/// Metadata of Ultralytics. Version 8.4 writes all fields. Earlier versions do not write `head` and `end2end`. YOLOv5
/// writes only names and stride.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ultralytics {
    /// The class of the last layer: `Detect`, `RTDETRDecoder`, `Segment`, `OBB`.
    pub(crate) head: Option<String>,
    /// Whether that head suppresses duplicates by itself.
    pub(crate) end2end: Option<bool>,
    /// Whether suppression was put into the graph.
    pub(crate) nms: Option<bool>,
    /// Numbers about a person's joints, for a model of poses: joints times numbers about each.
    pub(crate) keypoint_numbers: Option<usize>,
}

/// `LibreYOLO` 1.6.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LibreYolo {
    /// `model_family`: `yolo9`, `rtmdet`, `detr`.
    pub(crate) family: String,
    /// `size`: `s`, `atto`.
    pub(crate) size: String,
    /// `letterbox_pad` is `center`; anything else is `topleft`.
    pub(crate) is_centred: bool,
    /// `deepstream`: corners, score and class of each candidate in one output.
    pub(crate) is_deepstream: bool,
}

impl Metadata {
    /// Reads it by key.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let names_text = get("names");
        let description = get("description");
        let is_ultralytics = get("author").is_some_and(|author| author == "Ultralytics")
            || description.as_deref().is_some_and(|text| text.starts_with("Ultralytics"))
            || (names_text.is_some() && (get("stride").is_some() || get("task").is_some()));
        let flag = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        };
        let names = names_text.as_deref().and_then(parse_names);
        let exporter = if let Some(family) = get("model_family").filter(|_| get("libreyolo_version").is_some()) {
            Exporter::LibreYolo(LibreYolo {
                family: family.to_ascii_lowercase(),
                size: get("size").or_else(|| get("model_size")).unwrap_or_default(),
                is_centred: get("letterbox_pad").is_some_and(|pad| pad.to_ascii_lowercase().starts_with("cent")),
                is_deepstream: get("deepstream").as_deref().and_then(flag) == Some(true),
            })
        } else if is_ultralytics {
            Exporter::Ultralytics(Ultralytics {
                head: get("head"),
                end2end: get("end2end").as_deref().and_then(flag),
                nms: get("args").as_deref().and_then(|args| flag(argument(args, "nms")?)),
                keypoint_numbers: get("kpt_shape").as_deref().and_then(product),
            })
        } else {
            Exporter::Unknown
        };
        let side = |key: &str| get(key)?.trim().parse().ok();
        let sides = side("imgsz_h").zip(side("imgsz_w"));
        Self {
            names: names.or_else(|| parse_lines(&get("character")?)),
            imgsz: get("imgsz").as_deref().and_then(parse_imgsz).or(sides),
            task: get("task"),
            version: get("version").or_else(|| get("libreyolo_version")),
            description,
            license: get("license"),
            exporter,
        }
    }

    /// What to call who wrote the model.
    pub(crate) fn exporter_name(&self) -> &'static str {
        match self.exporter {
            Exporter::Unknown => "an exporter that does not name itself",
            Exporter::Ultralytics(_) => "Ultralytics",
            Exporter::LibreYolo(_) => "LibreYOLO",
        }
    }

    /// Whether Ultralytics says that it is an RT-DETR: by its head, or before it named one, in its description.
    pub(crate) fn is_ultralytics_rtdetr(&self) -> bool {
        let Exporter::Ultralytics(facts) = &self.exporter else { return false };
        match (&facts.head, &self.description) {
            (Some(head), _) => head.to_ascii_lowercase().contains("rtdetr"),
            (None, Some(text)) => {
                let text = text.to_ascii_lowercase();
                text.contains("rtdetr") || text.contains("rt-detr")
            }
            (None, None) => false,
        }
    }
}

/// The value of a key in a Python dictionary of plain values.
fn argument<'a>(dictionary: &'a str, key: &str) -> Option<&'a str> {
    let start = ['\'', '"'].iter().find_map(|quote| {
        let quoted = format!("{quote}{key}{quote}");
        Some(dictionary.find(&quoted)? + quoted.len())
    })?;
    let value = dictionary[start..].trim_start().strip_prefix(':')?;
    Some(value[..value.find([',', '}']).unwrap_or(value.len())].trim())
}

/// The product of a list of numbers, `[17, 3]`.
fn product(list: &str) -> Option<usize> {
    let inside = list.trim().trim_start_matches(['[', '(']).trim_end_matches([']', ')']);
    inside.split(',').map(|number| number.trim().parse::<usize>().ok()).try_fold(1, |all, n| Some(all * n?))
}

/// Height and width: `[480, 640]`, `(480, 640)` or `640`.
fn parse_imgsz(text: &str) -> Option<(u32, u32)> {
    let inside = text.trim().trim_start_matches(['[', '(']).trim_end_matches([']', ')']).trim_end_matches(',');
    match inside.split_once(',') {
        Some((height, width)) => Some((height.trim().parse().ok()?, width.trim().parse().ok()?)),
        None => inside.trim().parse().ok().map(|side| (side, side)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Metadata {
        Metadata::read(|key| pairs.iter().find(|pair| pair.0 == key).map(|pair| pair.1.to_owned()))
    }

    #[test]
    fn reads_what_ultralytics_writes() {
        let metadata = read(&[
            ("description", "Ultralytics mydetector-nc2 model"),
            ("head", "RTDETRDecoder"),
            ("end2end", "False"),
            ("args", "{'batch': 1, 'nms': True, 'half': False}"),
            ("names", "{0: 'a', 1: 'b'}"),
            ("imgsz", "[384, 640]"),
            ("kpt_shape", "[17, 3]"),
        ]);
        let facts = Ultralytics {
            head: Some("RTDETRDecoder".into()),
            end2end: Some(false),
            nms: Some(true),
            keypoint_numbers: Some(51),
        };
        assert_eq!(metadata.exporter, Exporter::Ultralytics(facts));
        assert_eq!(metadata.imgsz, Some((384, 640)));
        assert!(metadata.is_ultralytics_rtdetr());
    }

    #[test]
    fn reads_what_libreyolo_writes() {
        let metadata = read(&[
            ("libreyolo_version", "1.6.0"),
            ("model_family", "yolo9"),
            ("size", "t"),
            ("names", r#"{"0": "person"}"#),
            ("imgsz", "640"),
            ("letterbox_pad", "topleft"),
        ]);
        let facts = LibreYolo { family: "yolo9".into(), size: "t".into(), is_centred: false, is_deepstream: false };
        assert_eq!((metadata.exporter, metadata.imgsz), (Exporter::LibreYolo(facts), Some((640, 640))));
        assert_eq!(read(&[("imgsz_h", "480"), ("imgsz_w", "640")]).imgsz, Some((480, 640)));
    }

    #[test]
    fn a_size_that_is_none_is_none() {
        for text in ["", "[]", "[640", "a", "[640, x]", "[-1, 640]"] {
            let size = parse_imgsz(text);
            assert!(size.is_none() || text == "[640", "{text}: {size:?}");
        }
    }
}
