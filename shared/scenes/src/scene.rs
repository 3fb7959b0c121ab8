//! The scene file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// A point: x and y.
pub type Point = [f64; 2];

/// Lines and zones over the picture of one camera, and how they count tracks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// The name, which rows use: letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// Which videos it is for: patterns of the upload's whole name, where `*` matches any text and `?` matches one character.
    pub videos: Vec<String>,
    /// The upright picture that it was drawn on. A picture of the same shape and another size is scaled; another shape is refused.
    pub picture: Picture,
    /// Areas.
    #[serde(default)]
    pub zones: Vec<Zone>,
    /// Lines with a direction.
    #[serde(default)]
    pub lines: Vec<Line>,
    /// The point of a box that represents its object, from [0, 0], the upper left corner, to [1, 1], the lower right one.
    #[serde(default = "bottom_centre")]
    pub reference: Point,
    /// The same for objects of one class.
    #[serde(default)]
    pub reference_by_class: BTreeMap<String, Point>,
    /// The distance from a line beyond which an object counts as being on one side, in heights of its box.
    #[serde(default = "hysteresis")]
    pub hysteresis: f64,
    /// The longest absence that does not end a visit, in seconds.
    #[serde(default = "absence_s")]
    pub absence_s: f64,
    /// Shortest stay in seconds that counts as a visit.
    #[serde(default)]
    pub settle_s: f64,
    /// Seconds of an interval of `line_counts`.
    #[serde(default = "interval_s")]
    pub interval_s: f64,
    /// Side of a cell of `heatmap`, in pixels of the picture [default: a 32nd of its width].
    #[serde(default)]
    pub cell_px: Option<f64>,
    /// The definition of an encounter; without it there are no encounters.
    #[serde(default)]
    pub encounter: Option<Encounter>,
    /// The class names of the model, where they are not those of COCO.
    #[serde(default)]
    pub classes: Option<Vec<String>>,
    /// Four or more points of the ground, in pixels of the picture and in metres.
    #[serde(default)]
    pub calibration: Option<Vec<CalibrationPair>>,
}

/// The size of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
}

/// A polygon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// The name, which no other zone and no line has.
    pub name: String,
    /// Three corners or more, in pixels of the picture; the last one is joined to the first.
    pub points: Vec<Point>,
}

/// A polyline with a direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The name, which no zone and no other line has.
    pub name: String,
    /// Two points or more, in pixels of the picture.
    pub points: Vec<Point>,
    /// What a crossing from left to right is called, seen from the first point to the last.
    #[serde(default = "inwards", rename = "in")]
    pub in_name: String,
    /// What a crossing from right to left is called.
    #[serde(default = "outwards", rename = "out")]
    pub out_name: String,
}

/// Two objects that are close to each other for some time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encounter {
    /// Nearer than this: in metres with a calibration, in pixels of the video without.
    pub distance: f64,
    /// For at least this many seconds.
    pub seconds: f64,
}

/// A point of the ground.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalibrationPair {
    /// In pixels of the picture.
    pub pixel: Point,
    /// In metres, in any plane coordinates.
    pub metre: Point,
}

fn bottom_centre() -> Point {
    [0.5, 1.0]
}
fn hysteresis() -> f64 {
    0.1
}
fn absence_s() -> f64 {
    1.0
}
fn interval_s() -> f64 {
    60.0
}
fn inwards() -> String {
    "in".to_owned()
}
fn outwards() -> String {
    "out".to_owned()
}

/// What is wrong with a scene, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `zone "yard", point 3`.
    pub place: String,
    /// What is wrong, with the value, and the remedy.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A scene that is refused.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// The text is no YAML or JSON of a scene. The message has line and column.
    #[error("{0}")]
    Malformed(String),
    /// The scene contradicts itself or its picture.
    #[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Fault>),
}

impl Scene {
    /// The JSON Schema of the file.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// Whether it is for an upload of this name.
    pub fn is_for(&self, video: &str) -> bool {
        self.videos.iter().any(|pattern| matches(pattern.as_bytes(), video.as_bytes()))
    }

    /// Whether a picture of this size has the shape of the scene's: within a pixel.
    pub fn fits(&self, width_px: u32, height_px: u32) -> bool {
        let [w, h, width, height] = [self.picture.width_px, self.picture.height_px, width_px, height_px].map(i64::from);
        (w * height - h * width).abs() <= w.max(h)
    }

    /// Side of a heatmap's cell.
    pub fn cell_px(&self) -> f64 {
        self.cell_px.unwrap_or(f64::from(self.picture.width_px) / 32.0)
    }

    /// The regular expression (RE2) of the names of videos.
    pub(crate) fn videos_expression(&self) -> String {
        let one = |pattern: &String| {
            let escape = |letter: char| match letter {
                '*' => ".*".to_owned(),
                '?' => ".".to_owned(),
                letter if letter.is_ascii_alphanumeric() || !letter.is_ascii() || "/ _-".contains(letter) => {
                    letter.to_string()
                }
                letter => format!("\\x{{{:x}}}", u32::from(letter)),
            };
            pattern.chars().map(escape).collect::<String>()
        };
        format!("(?s)^(?:{})$", self.videos.iter().map(one).collect::<Vec<_>>().join("|"))
    }
}

/// Whether a name matches a pattern; in the square of their lengths at most.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                n += 1;
                // The rest of a character of several bytes.
                while name.get(n).is_some_and(|byte| byte & 0xC0 == 0x80) {
                    n += 1;
                }
            }
            Some(byte) if *byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    n = from + 1;
                    star = Some((at, n));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}
