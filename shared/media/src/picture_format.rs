//! Names for how pixels are stored and which colours they mean.

use std::ffi::{CStr, CString, c_char, c_int};

use ffmpeg::{ffi, frame};
use ffmpeg_next as ffmpeg;
use serde::{Deserialize, Serialize};

/// Which field of an interlaced picture was taken first: the even rows or the odd ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldOrder {
    /// The even rows, from 0.
    TopFirst,
    /// The odd rows.
    BottomFirst,
}

impl FieldOrder {
    /// Of a decoded picture; none if it was taken at one time.
    pub(crate) fn of(picture: &frame::Video) -> Option<Self> {
        let order = if picture.is_top_first() { Self::TopFirst } else { Self::BottomFirst };
        picture.is_interlaced().then_some(order)
    }

    /// Of the same picture with its last row on top.
    pub(crate) fn reversed(self) -> Self {
        match self {
            Self::TopFirst => Self::BottomFirst,
            Self::BottomFirst => Self::TopFirst,
        }
    }
}

/// From these sides on a picture is of high definition.
const HD_WIDTH: u32 = 1280;
const HD_HEIGHT: u32 = 720;

/// How numbers become colours, under FFmpeg's names; `None` where the source does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColorTags {
    /// `tv` (16-235) or `pc` (0-255).
    pub range: Option<String>,
    /// Such as `bt709`.
    pub primaries: Option<String>,
    /// The transfer function, such as `bt709` or `smpte2084`.
    pub transfer: Option<String>,
    /// The YUV matrix, such as `bt709` or `smpte170m`.
    pub matrix: Option<String>,
}

impl ColorTags {
    pub(crate) fn of(picture: &frame::Video) -> Self {
        // SAFETY: the frame is live; the name functions take any value and return static strings or null.
        unsafe {
            let raw = picture.as_ptr();
            let mut tags = Self {
                range: name(ffi::av_color_range_name((*raw).color_range)),
                primaries: name(ffi::av_color_primaries_name((*raw).color_primaries)),
                transfer: name(ffi::av_color_transfer_name((*raw).color_trc)),
                matrix: name(ffi::av_color_space_name((*raw).colorspace)),
            };
            if pixel_format_name(picture).starts_with("yuvj") {
                tags.range = Some("pc".into());
            }
            tags
        }
    }

    /// The tags after conversion to YUV: RGB becomes limited-range BT.601, everything else stays as it is.
    pub(crate) fn as_yuv(&self, pixel_format: &str) -> Self {
        let is_rgb =
            ["rgb", "bgr", "gbr", "pal8", "0rgb", "0bgr", "argb", "abgr"].iter().any(|p| pixel_format.starts_with(p));
        if !is_rgb {
            return self.clone();
        }
        Self { range: Some("tv".into()), matrix: Some("smpte170m".into()), ..self.clone() }
    }

    /// The YUV matrix of a picture of this size, as it is stored. Where the source does not say, players take BT.709 for high definition and
    /// BT.601 for less.
    pub(crate) fn matrix_for(&self, width: u32, height: u32) -> Option<&str> {
        let is_hd = width >= HD_WIDTH || height >= HD_HEIGHT;
        self.matrix.as_deref().or(is_hd.then_some("bt709"))
    }

    pub(crate) fn is_full_range(&self) -> bool {
        self.range.as_deref() == Some("pc")
    }

    /// Sets the tags on a codec context that is not open yet.
    pub(crate) fn apply(&self, context: &mut ffmpeg::codec::Context) {
        type Lookup = unsafe extern "C" fn(*const c_char) -> c_int;
        let tags: [(&CStr, &Option<String>, Lookup); 4] = [
            (c"color_range", &self.range, ffi::av_color_range_from_name),
            (c"color_primaries", &self.primaries, ffi::av_color_primaries_from_name),
            (c"color_trc", &self.transfer, ffi::av_color_transfer_from_name),
            (c"colorspace", &self.matrix, ffi::av_color_space_from_name),
        ];
        for (option, value, lookup) in tags {
            let Some(value) = value.as_ref().and_then(|v| CString::new(v.as_str()).ok()) else { continue };
            // SAFETY: the context is live and an AVOptions object; both strings are NUL-terminated. A value that
            // FFmpeg does not know is left unset.
            unsafe {
                let number = lookup(value.as_ptr());
                if number >= 0 {
                    ffi::av_opt_set_int(context.as_mut_ptr().cast(), option.as_ptr(), number.into(), 0);
                }
            }
        }
    }
}

fn name(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not null, and FFmpeg's names are static NUL-terminated strings.
    let name = unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned();
    (!matches!(name.as_str(), "unknown" | "reserved" | "unspecified")).then_some(name)
}

/// FFmpeg's name of the picture's pixel format, such as `yuv420p`.
pub(crate) fn pixel_format_name(picture: &frame::Video) -> String {
    picture.format().descriptor().map_or_else(|| "unknown".into(), |d| d.name().to_owned())
}
