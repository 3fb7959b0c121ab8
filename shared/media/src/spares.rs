//! Which pictures need not be decoded when nobody looks at them.

use ffmpeg::{codec, ffi};
use ffmpeg_next as ffmpeg;

use crate::h264;

/// Byte of HEVC's configuration record with the number of temporal layers, and where in it.
const HEVC_LAYERS_BYTE: usize = 21;
const HEVC_LAYERS_SHIFT: u8 = 3;

/// What a decoder can leave out without any effect on other pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spares {
    /// Nothing that could be told from outside.
    Nothing,
    /// Pictures that say of themselves that none refers to them.
    NonReferences,
    /// Every picture: all are key frames.
    All,
}

impl Spares {
    pub(crate) fn of(parameters: &codec::Parameters, codec: &str) -> Self {
        let extradata = h264::extradata(parameters);
        match codec {
            // Two fields of a picture can be two packets, of which one may refer to the other.
            "h264" if !h264::may_hold_fields(extradata) => Self::NonReferences,
            // Where there are layers, a picture without references in its own may have some in a higher one.
            "hevc" if layers(extradata) == Some(1) => Self::NonReferences,
            _ if is_intra_only(parameters) => Self::All,
            _ => Self::Nothing,
        }
    }
}

fn layers(record: &[u8]) -> Option<u8> {
    let byte = record.first().filter(|version| **version == 1).and(record.get(HEVC_LAYERS_BYTE))?;
    Some(byte >> HEVC_LAYERS_SHIFT & 0b111)
}

fn is_intra_only(parameters: &codec::Parameters) -> bool {
    // SAFETY: a plain field of live parameters, and a lookup in a constant table.
    unsafe {
        let descriptor = ffi::avcodec_descriptor_get((*parameters.as_ptr()).codec_id);
        !descriptor.is_null() && (*descriptor).props & ffi::AV_CODEC_PROP_INTRA_ONLY as i32 != 0
    }
}
