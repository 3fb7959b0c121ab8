//! What a packet's first bytes say: may decoding start here, and does a picture come out?

use ffmpeg_next::{codec, ffi};

/// Decides whether a packet that the container calls a key frame gives a whole picture at once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EntryPoints {
    /// The container's word is good.
    AsFlagged,
    /// H.264: a recovery point that needs further pictures (gradual refresh) is no place to cut.
    H264 {
        /// Bytes of the length before each NAL unit; 0 for start codes.
        length_bytes: usize,
    },
}

impl EntryPoints {
    pub(crate) fn of(codec: &str, parameters: &codec::Parameters) -> Self {
        if codec != "h264" {
            return Self::AsFlagged;
        }
        // SAFETY: extradata points to extradata_size readable bytes, or the size is 0.
        let extradata: &[u8] = unsafe {
            let raw: *const ffi::AVCodecParameters = parameters.as_ptr();
            match usize::try_from((*raw).extradata_size) {
                Ok(size) if size > 0 && !(*raw).extradata.is_null() => {
                    std::slice::from_raw_parts((*raw).extradata, size)
                }
                _ => &[],
            }
        };
        // An avcC record starts with version 1 and holds the length size in its fifth byte (ISO/IEC 14496-15).
        match extradata {
            [1, _, _, _, size, ..] => Self::H264 { length_bytes: usize::from(size & 3) + 1 },
            _ => Self::H264 { length_bytes: 0 },
        }
    }

    /// Whether the packets have to be looked into.
    pub(crate) fn look_at_data(self) -> bool {
        !matches!(self, Self::AsFlagged)
    }

    /// Whether the first bytes of a packet hold all that precedes its picture.
    pub(crate) fn reaches_picture(self, data: &[u8]) -> bool {
        let is_picture = |unit: &[u8]| matches!(unit.first().map(|b| b & 0x1f), Some(1..=5));
        match self {
            Self::AsFlagged => true,
            Self::H264 { length_bytes: 0 } => start_code_units(data).any(is_picture),
            Self::H264 { length_bytes } => length_prefixed_units(data, length_bytes).any(is_picture),
        }
    }

    pub(crate) fn accept(self, data: &[u8]) -> bool {
        match self {
            Self::AsFlagged => true,
            Self::H264 { length_bytes: 0 } => recovers_at_once(start_code_units(data)),
            Self::H264 { length_bytes } => recovers_at_once(length_prefixed_units(data, length_bytes)),
        }
    }
}

/// True for an IDR picture, and for one with a recovery point message (H.264 annex D.1.8) that promises whole pictures
/// from here on. A picture with neither gets nothing out of FFmpeg's decoder until one of them comes.
fn recovers_at_once<'a>(units: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut recovery = None;
    for unit in units {
        match unit.first().map(|b| b & 0x1f) {
            Some(5) => return true,
            Some(6) => recovery = recovery.or(recovery_frame_count(&unit[1..])),
            Some(1) => break,
            _ => {}
        }
    }
    recovery == Some(0)
}

/// `recovery_frame_cnt` of the first recovery point message among the SEI messages in `sei`.
fn recovery_frame_count(sei: &[u8]) -> Option<u32> {
    let mut rest = sei;
    while rest.len() > 2 {
        let kind = take_sei_number(&mut rest)?;
        let size = take_sei_number(&mut rest)?;
        if kind == 6 {
            return exp_golomb(rest);
        }
        rest = rest.get(size..)?;
    }
    None
}

fn take_sei_number(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    loop {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value += usize::from(byte);
        if byte != 255 {
            return Some(value);
        }
    }
}

/// The unsigned Exp-Golomb number at the first bit, ue(v).
fn exp_golomb(bytes: &[u8]) -> Option<u32> {
    let word = bytes.iter().chain([0u8; 8].iter()).take(8).fold(0u64, |word, &b| word << 8 | u64::from(b));
    let zeros = word.leading_zeros();
    if zeros > 20 {
        return None;
    }
    Some((word >> (63 - 2 * zeros)) as u32 - 1)
}

fn length_prefixed_units(data: &[u8], length_bytes: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (head, tail) = rest.split_at_checked(length_bytes)?;
        let length = head.iter().fold(0usize, |n, &b| n << 8 | usize::from(b));
        let unit = &tail[..length.min(tail.len())];
        rest = &tail[unit.len()..];
        Some(unit)
    })
}

pub(crate) fn start_code_units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = data.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(at, _)| at + 3);
    starts.map(move |at| &data[at..])
}

/// Whether decoding the packet puts out a picture. VP8 and VP9 state it in their first bytes; elsewhere every packet does.
pub(crate) fn has_picture(codec: &str, data: &[u8]) -> bool {
    let Some(&first) = data.first() else { return false };
    match codec {
        "vp8" => first & 0x10 != 0, // RFC 6386, 9.1: show_frame
        "vp9" => {
            let is_superframe = data.last().is_some_and(|last| last & 0xe0 == 0xc0);
            // VP9 6.2: frame_marker(2) profile(2) [reserved] show_existing_frame frame_type show_frame
            let shift = if first & 0x30 == 0x30 { 1 } else { 0 };
            let shows_existing = first << shift & 0x08 != 0;
            let shows = first << shift & 0x02 != 0;
            is_superframe || shows_existing || shows
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradual_refresh_is_no_entry_point() {
        // NAL type 6, payload 6 of 2 bytes: ue(v) of 0 is bit 1, of 30 is 000011111.
        let whole = [0, 0, 1, 6, 6, 1, 0b1000_0000, 0x80, 0, 0, 1, 0x41, 0];
        let gradual = [0, 0, 1, 6, 6, 2, 0b0000_1111, 0b1100_0000, 0x80, 0, 0, 1, 0x41, 0];
        let annex_b = EntryPoints::H264 { length_bytes: 0 };
        assert!(annex_b.accept(&whole));
        assert!(!annex_b.accept(&gradual));
        assert!(!annex_b.accept(&[0, 0, 1, 0x41, 0]), "no message, no promise");
        assert!(annex_b.accept(&[0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 0]), "IDR");
        let prefixed = [0, 0, 0, 5, 6, 6, 2, 0b0000_1111, 0b1100_0000, 0, 0, 0, 1, 0x41];
        assert!(!EntryPoints::H264 { length_bytes: 4 }.accept(&prefixed));
    }

    #[test]
    fn broken_units_do_not_panic() {
        for length_bytes in 0..=4 {
            for data in [&[][..], &[0], &[0, 0, 1], &[255; 7], &[0, 0, 0, 9, 6, 6, 255, 255], &[0, 0, 1, 6, 6]] {
                EntryPoints::H264 { length_bytes }.accept(data);
            }
        }
    }

    #[test]
    fn a_vp8_alternate_reference_shows_nothing() {
        assert!(!has_picture("vp8", &[0b0000_0001]));
        assert!(has_picture("vp8", &[0b0001_0001]));
        assert!(!has_picture("vp9", &[]));
    }
}
