//! What four numbers of a box mean, and what lies beside boxes in an output.

use serde::Deserialize;

use super::{Size, centred};
use crate::Detection;

/// What the four numbers of a box are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BoxFormat {
    /// Centre, width and height in input pixels.
    Center,
    /// Left, top, right and bottom in input pixels.
    Corners,
    /// Centre, width and height as shares of the input.
    CenterShares,
    /// Left, top, right and bottom as shares of the input.
    CornerShares,
}

impl BoxFormat {
    /// The name in a card.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Center => "center",
            Self::Corners => "corners",
            Self::CenterShares => "center_shares",
            Self::CornerShares => "corner_shares",
        }
    }

    /// For people.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Center => "centre and size in pixels",
            Self::Corners => "corners in pixels",
            Self::CenterShares => "centre and size as shares of the input",
            Self::CornerShares => "corners as shares of the input",
        }
    }

    /// The box in input pixels.
    pub(crate) fn read(self, numbers: [f32; 4], input: Size, score: f32, class_id: u32) -> Detection {
        let (width, height) = (input.width as f32, input.height as f32);
        let [a, b, c, d] = numbers;
        match self {
            Self::Center => centred(numbers, score, class_id),
            Self::CenterShares => centred([a * width, b * height, c * width, d * height], score, class_id),
            Self::Corners => Detection { x1: a, y1: b, x2: c, y2: d, score, class_id },
            Self::CornerShares => {
                Detection { x1: a * width, y1: b * height, x2: c * width, y2: d * height, score, class_id }
            }
        }
    }
}

/// In which order a row about an object has its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RowOrder {
    /// Box, score, class: YOLOv10, YOLO26, YOLO-NAS.
    BoxScoreClass,
    /// Box, class, score: YOLOv7.
    BoxClassScore,
    /// Class, score, box: `PaddleDetection`.
    ClassScoreBox,
}

impl RowOrder {
    pub(crate) const ALL: [Self; 3] = [Self::BoxScoreClass, Self::BoxClassScore, Self::ClassScoreBox];

    /// The name in a card.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BoxScoreClass => "box_score_class",
            Self::BoxClassScore => "box_class_score",
            Self::ClassScoreBox => "class_score_box",
        }
    }

    /// For people.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::BoxScoreClass => "box, score, class",
            Self::BoxClassScore => "box, class, score",
            Self::ClassScoreBox => "class, score, box",
        }
    }

    /// Columns of box, score and class, after `after` others.
    pub(crate) fn columns(self, after: usize) -> (usize, usize, usize) {
        let (boxes, score, class) = match self {
            Self::BoxScoreClass => (0, 4, 5),
            Self::BoxClassScore => (0, 5, 4),
            Self::ClassScoreBox => (2, 1, 0),
        };
        (after + boxes, after + score, after + class)
    }

    /// Whether rows can be in this order by their numbers: classes are whole, scores within 0 to 1.
    pub(crate) fn fits<'a>(self, after: usize, mut rows: impl Iterator<Item = &'a [f32]>) -> bool {
        let (_, score, class) = self.columns(after);
        rows.all(|row| row[class] >= -1.0 && row[class].fract() == 0.0 && (-0.001..=1.001).contains(&row[score]))
    }
}

/// Numbers about each object beyond its box and its classes. They are not used; the angle of a box is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Extra {
    #[default]
    None,
    /// Coefficients of masks.
    Masks(usize),
    /// Places of joints.
    Keypoints(usize),
    /// The angle of the box in radians.
    Angle,
}

impl Extra {
    pub(crate) fn numbers(self) -> usize {
        match self {
            Self::None => 0,
            Self::Masks(count) | Self::Keypoints(count) => count,
            Self::Angle => 1,
        }
    }

    /// What is not in the results.
    pub(crate) fn in_words(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Masks(_) => Some("a segmentation model: its boxes are used, its masks are not used"),
            Self::Keypoints(_) => Some("a pose model: its boxes are used, its keypoints are not used"),
            Self::Angle => Some(
                "an oriented model: the upright box around each rotated one is used, its angle is not used as such",
            ),
        }
    }
}

/// The upright box around one that is turned about its centre.
pub(crate) fn around(turned: Detection, angle: f32) -> Detection {
    let (sin, cos) = (angle.sin().abs(), angle.cos().abs());
    let (width, height) = (turned.x2 - turned.x1, turned.y2 - turned.y1);
    let centre = [(turned.x1 + turned.x2) / 2.0, (turned.y1 + turned.y2) / 2.0];
    let size = [width * cos + height * sin, width * sin + height * cos];
    centred([centre[0], centre[1], size[0], size[1]], turned.score, turned.class_id)
}
