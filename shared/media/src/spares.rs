//! Which pictures need not be decoded, because no detector looks at them.

use ffmpeg::{codec, ffi};
use ffmpeg_next as ffmpeg;

use crate::h264;

/// Which pictures of a stream are not needed by other pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spares {
    /// Unknown: every picture is decoded.
    Unknown,
    /// Those that the stream marks as not used for reference. The decoder itself skips them.
    Unreferenced,
    /// All: every picture is a key frame.
    All,
}

impl Spares {
    /// By the codec and its parameter sets.
    ///
    /// H.264 states for each picture whether another one can refer to it (`nal_ref_idc`). If pictures can be single
    /// fields, it states this for each field, and we have not tried to skip single fields. HEVC states it only within a
    /// temporal layer, so a picture of a higher layer can still need it.
    pub(crate) fn of(parameters: &codec::Parameters) -> Self {
        // SAFETY: a plain field of live parameters, and a lookup in a constant table.
        let (id, is_intra_only) = unsafe {
            let id = (*parameters.as_ptr()).codec_id;
            let descriptor = ffi::avcodec_descriptor_get(id);
            (id, !descriptor.is_null() && (*descriptor).props & ffi::AV_CODEC_PROP_INTRA_ONLY != 0)
        };
        if is_intra_only {
            Self::All
        } else if id == ffi::AVCodecID::AV_CODEC_ID_H264 && !h264::may_hold_fields(h264::extradata(parameters)) {
            Self::Unreferenced
        } else {
            Self::Unknown
        }
    }
}
