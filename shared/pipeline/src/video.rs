//! The properties of the stored picture, and how to make it upright. The media library reads them from files. `track` decodes
//! with them, and the annotated video has the same ones. All other crates only pass them on.

use crate::time::Rational;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The properties of a source that its annotated video keeps. The same value is used for all segments of a video.
///
/// The fields are in the order in which manifests have always written them: by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoParams {
    /// What the numbers in a picture mean as colours.
    pub color: ColorTags,
    /// When the source was recorded, as its container says (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_time: Option<String>,
    /// Which field comes first, if the stored pictures are interlaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_order: Option<FieldOrder>,
    /// Average pictures per second; sets the distance of key frames, never a time.
    #[serde(with = "num_and_den")]
    pub frame_rate: Rational,
    /// Whether PTS are the presented ones, after an MP4's edit list. They are in all plans but those of older versions.
    #[serde(default)]
    pub has_presented_times: bool,
    /// Height of the decoded picture in pixels, as it is stored.
    pub height: u32,
    /// What makes the stored picture upright. Boxes and the annotated video are upright; older versions wrote none and used pictures as stored.
    #[serde(default)]
    pub orientation: Orientation,
    /// PTS of the presentation's time 0.
    pub origin_pts: i64,
    /// FFmpeg's name of the pixel format, such as `yuv420p`. It is empty where an older version wrote this.
    #[serde(default)]
    pub pixel_format: String,
    /// Width of a pixel divided by its height, as it is stored.
    #[serde(with = "num_and_den")]
    pub sample_aspect_ratio: Rational,
    /// Seconds per tick of the source's timestamps.
    #[serde(with = "num_and_den")]
    pub time_base: Rational,
    /// Width of the decoded picture in pixels, as it is stored.
    pub width: u32,
}

impl VideoParams {
    /// An upright video of square pixels whose container says nothing more. Time 0 is PTS 0.
    pub fn plain(width: u32, height: u32, time_base: Rational, frame_rate: Rational) -> Self {
        Self {
            color: ColorTags::default(),
            creation_time: None,
            field_order: None,
            frame_rate,
            has_presented_times: true,
            height,
            orientation: Orientation::UPRIGHT,
            origin_pts: 0,
            pixel_format: "yuv420p".into(),
            sample_aspect_ratio: Rational::ONE,
            time_base,
            width,
        }
    }

    /// Size of the upright picture in pixels: boxes are in it.
    pub fn upright_size(&self) -> (u32, u32) {
        self.orientation.size((self.width, self.height))
    }

    /// Width of a pixel of the upright picture divided by its height.
    pub fn upright_aspect(&self) -> Rational {
        let stored = self.sample_aspect_ratio;
        if self.orientation.swaps_sides() && stored.num() > 0 {
            Rational::of(stored.den(), stored.num())
        } else {
            stored
        }
    }

    /// Size of the annotated video in pixels: H.264 with 4:2:0 chroma needs even sides, so an odd side of the upright picture grows by one
    /// column or row, a copy of its neighbour.
    pub fn even_size(&self) -> (u32, u32) {
        let (width, height) = self.upright_size();
        (width.next_multiple_of(2), height.next_multiple_of(2))
    }

    /// The size that a player gives the upright picture: the pixels' shape makes one side longer and leaves the other as it is, as HTML
    /// requires of `videoWidth` and `videoHeight`.
    pub fn shown_size(&self) -> (u32, u32) {
        let ((width, height), shape) = (self.upright_size(), self.upright_aspect().to_f64());
        let longer = |side: u32, by: f64| (f64::from(side) * by).round() as u32;
        if shape >= 1.0 { (longer(width, shape), height) } else { (width, longer(height, 1.0 / shape)) }
    }
}

/// From these sides on a picture is of high definition.
const HD_WIDTH: u32 = 1280;
const HD_HEIGHT: u32 = 720;

/// How numbers become colours, under FFmpeg's names; `None` where the source does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColorTags {
    /// The YUV matrix, such as `bt709` or `smpte170m`.
    pub matrix: Option<String>,
    /// Such as `bt709`.
    pub primaries: Option<String>,
    /// `tv` (16-235) or `pc` (0-255).
    pub range: Option<String>,
    /// The transfer function, such as `bt709` or `smpte2084`.
    pub transfer: Option<String>,
}

impl ColorTags {
    /// The tags after conversion to YUV: RGB becomes limited-range BT.601, everything else stays as it is.
    #[must_use]
    pub fn as_yuv(&self, pixel_format: &str) -> Self {
        let is_rgb =
            ["rgb", "bgr", "gbr", "pal8", "0rgb", "0bgr", "argb", "abgr"].iter().any(|p| pixel_format.starts_with(p));
        if !is_rgb {
            return self.clone();
        }
        Self { range: Some("tv".into()), matrix: Some("smpte170m".into()), ..self.clone() }
    }

    /// The YUV matrix of a picture of this size, as it is stored. Where the source does not say, players take BT.709 for high definition and
    /// BT.601 for less.
    pub fn matrix_for(&self, width: u32, height: u32) -> Option<&str> {
        let is_hd = width >= HD_WIDTH || height >= HD_HEIGHT;
        self.matrix.as_deref().or(is_hd.then_some("bt709"))
    }

    /// Whether numbers go from 0 to 255.
    pub fn is_full_range(&self) -> bool {
        self.range.as_deref() == Some("pc")
    }
}

/// Which field of an interlaced picture was taken first: the even rows or the odd ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldOrder {
    /// The even rows, from 0.
    TopFirst,
    /// The odd rows.
    BottomFirst,
}

impl FieldOrder {
    /// Of the same picture with its last row on top.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::TopFirst => Self::BottomFirst,
            Self::BottomFirst => Self::TopFirst,
        }
    }
}

/// What makes a stored picture upright: first mirrored left to right or not, then turned clockwise, as EXIF and H.264 (D.2.29) have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Orientation {
    /// Whether the stored picture has to be mirrored left to right.
    pub mirrored: bool,
    /// How far it has to be turned after that.
    pub turn: Turn,
}

/// Quarter turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Not at all.
    #[default]
    None,
    /// By 90 degrees clockwise.
    Clockwise,
    /// By 180 degrees.
    Half,
    /// By 270 degrees clockwise.
    CounterClockwise,
}

impl Turn {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Clockwise, Self::Half, Self::CounterClockwise];

    /// Degrees clockwise: 0, 90, 180 or 270.
    pub fn degrees(self) -> i32 {
        90 * self as i32
    }
}

impl Orientation {
    /// Stored as it is seen.
    pub const UPRIGHT: Self = Self { mirrored: false, turn: Turn::None };

    /// Whether nothing has to be done.
    pub fn is_upright(self) -> bool {
        self == Self::UPRIGHT
    }

    /// Whether rows become columns.
    pub fn swaps_sides(self) -> bool {
        matches!(self.turn, Turn::Clockwise | Turn::CounterClockwise)
    }

    /// The upright size of a stored one, and the stored size of an upright one.
    pub fn size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.swaps_sides() { (height, width) } else { (width, height) }
    }
}

/// As a sentence continues: `turned by 90 degrees clockwise`.
impl fmt::Display for Orientation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.mirrored, self.turn) {
            (false, Turn::None) => f.write_str("upright"),
            (true, Turn::None) => f.write_str("mirrored"),
            (false, turn) => write!(f, "turned by {} degrees clockwise", turn.degrees()),
            (true, turn) => write!(f, "mirrored, then turned by {} degrees clockwise", turn.degrees()),
        }
    }
}

/// A fraction as `{"den": 30, "num": 1}`, which is how manifests have always written those of the presentation.
mod num_and_den {
    use crate::time::Rational;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    #[derive(Serialize, Deserialize)]
    struct NumAndDen {
        den: i32,
        num: i32,
    }

    pub(super) fn serialize<S: Serializer>(value: &Rational, serializer: S) -> Result<S::Ok, S::Error> {
        NumAndDen { den: value.den(), num: value.num() }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rational, D::Error> {
        let NumAndDen { den, num } = NumAndDen::deserialize(deserializer)?;
        Rational::new(num, den).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video() -> VideoParams {
        VideoParams {
            sample_aspect_ratio: Rational::of(64, 45),
            ..VideoParams::plain(720, 576, Rational::of(1, 12_800), Rational::of(25, 1))
        }
    }

    #[test]
    fn the_shape_of_pixels_turns_with_the_picture_and_makes_one_side_longer() {
        let mut params = video();
        assert_eq!((params.upright_size(), params.shown_size()), ((720, 576), (1024, 576)));
        params.orientation.turn = Turn::Clockwise;
        assert_eq!((params.upright_size(), params.shown_size()), ((576, 720), (576, 1024)));
        assert_eq!(params.upright_aspect(), Rational::of(45, 64));
    }

    /// Chunks and manifests of every version have these bytes.
    #[test]
    fn the_json_is_the_one_that_manifests_have_always_had() {
        let least = concat!(
            r#"{"color":{"matrix":null,"primaries":null,"range":null,"transfer":null},"frame_rate":{"den":1,"num":25},"#,
            r#""has_presented_times":true,"height":576,"orientation":{"mirrored":false,"turn":"none"},"origin_pts":0,"#,
            r#""pixel_format":"yuv420p","sample_aspect_ratio":{"den":45,"num":64},"time_base":{"den":12800,"num":1},"width":720}"#
        );
        assert_eq!(serde_json::to_string(&video()).unwrap(), least);
        assert_eq!(serde_json::from_str::<VideoParams>(least).unwrap(), video());
        // A value sorts its keys, and was what manifests held.
        let all = VideoParams {
            creation_time: Some("2024-01-01T00:00:00Z".into()),
            field_order: Some(FieldOrder::TopFirst),
            orientation: Orientation { mirrored: true, turn: Turn::CounterClockwise },
            color: ColorTags { matrix: Some("bt709".into()), range: Some("tv".into()), ..ColorTags::default() },
            ..video()
        };
        let sorted = serde_json::to_value(&all).unwrap().to_string();
        assert_eq!(serde_json::to_string(&all).unwrap(), sorted);
        assert_eq!(serde_json::from_str::<VideoParams>(&sorted).unwrap(), all);
    }

    #[test]
    fn what_the_first_version_wrote_is_read() {
        let first = concat!(
            r#"{"width":720,"height":576,"time_base":{"num":1,"den":12800},"frame_rate":{"num":25,"den":1},"#,
            r#""sample_aspect_ratio":{"num":64,"den":45},"color":{"range":null,"primaries":null,"transfer":null,"matrix":null},"#,
            r#""origin_pts":0}"#
        );
        let read: VideoParams = serde_json::from_str(first).unwrap();
        assert_eq!(read, VideoParams { pixel_format: String::new(), has_presented_times: false, ..video() });
        let refused = serde_json::from_str::<VideoParams>(&first.replace("12800", "0")).unwrap_err().to_string();
        assert!(refused.contains("1/0"), "{refused}");
    }

    #[test]
    fn an_orientation_of_a_later_or_earlier_description_is_read() {
        assert_eq!(serde_json::from_str::<Orientation>("{}").unwrap(), Orientation::UPRIGHT);
        for turn in Turn::ALL {
            for mirrored in [false, true] {
                let orientation = Orientation { mirrored, turn };
                let text = serde_json::to_string(&orientation).unwrap();
                assert_eq!(serde_json::from_str::<Orientation>(&text).unwrap(), orientation);
            }
        }
    }
}
