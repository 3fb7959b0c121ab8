//! Joining annotated segments into one video.

use ffmpeg::{codec, ffi};
use ffmpeg_next as ffmpeg;

/// Whether an MP4 can hold the codec.
pub(crate) fn fits_mp4(parameters: &codec::Parameters) -> bool {
    // SAFETY: the format name is a static string; a format that is not built in is null, which is checked.
    unsafe {
        let format = ffi::av_guess_format(c"mp4".as_ptr(), std::ptr::null(), std::ptr::null());
        !format.is_null() && ffi::avformat_query_codec(format, (*parameters.as_ptr()).codec_id, 0) == 1
    }
}
