//! Whether pictures that nobody looks at can stay undecoded.

use ffmpeg::{codec, ffi};
use ffmpeg_next as ffmpeg;

/// Whether every picture of a codec is a key frame, so that leaving one out changes no other.
///
/// Pictures of other codecs are decoded even where they say that none refers to them: it is not proven yet that a damaged stream would be reported as
/// by a full decode.
pub(crate) fn is_intra_only(parameters: &codec::Parameters) -> bool {
    // SAFETY: a plain field of live parameters, and a lookup in a constant table.
    unsafe {
        let descriptor = ffi::avcodec_descriptor_get((*parameters.as_ptr()).codec_id);
        !descriptor.is_null() && (*descriptor).props & ffi::AV_CODEC_PROP_INTRA_ONLY != 0
    }
}
