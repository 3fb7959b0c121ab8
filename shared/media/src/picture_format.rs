//! Names of pixel formats and colours.

use std::ffi::{CStr, CString, c_char, c_int};

use ffmpeg::{ffi, frame};
use ffmpeg_next as ffmpeg;

use crate::{ColorTags, FieldOrder};

/// Which field of a decoded picture comes first; none if it was taken at one time.
pub(crate) fn field_order(picture: &frame::Video) -> Option<FieldOrder> {
    let order = if picture.is_top_first() { FieldOrder::TopFirst } else { FieldOrder::BottomFirst };
    picture.is_interlaced().then_some(order)
}

/// Colours from FFmpeg's pictures, and to its encoders.
pub(crate) trait FfmpegColors {
    /// What a decoded picture says.
    fn of(picture: &frame::Video) -> Self;
    /// Sets the tags on a codec context that is not open yet.
    fn apply(&self, context: &mut ffmpeg::codec::Context);
}

impl FfmpegColors for ColorTags {
    fn of(picture: &frame::Video) -> Self {
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

    fn apply(&self, context: &mut ffmpeg::codec::Context) {
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
