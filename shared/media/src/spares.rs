//! Which pictures can stay undecoded because nobody looks at them.

use ffmpeg::{codec, ffi};
use ffmpeg_next as ffmpeg;

use crate::h264;

/// Which pictures of a stream no other picture needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spares {
    /// Nothing is known of that: every picture is decoded.
    Unknown,
    /// Those that the stream marks as no reference. The decoder leaves them out itself.
    Unreferenced,
    /// All: every picture is a key frame.
    All,
}

impl Spares {
    /// By the codec and its parameter sets.
    ///
    /// H.264 says of each picture whether another may refer to it (`nal_ref_idc`). Where pictures may be single fields, it says so of each half, and
    /// leaving out a half was not tried. HEVC says it only within a temporal layer, so a picture of a higher layer may need it.
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
