//! Reads what the parameter sets of H.264 say, before any packet.

use ffmpeg::{codec, ffi};
use ffmpeg_next as ffmpeg;

/// What the container holds in front of the packets.
pub(crate) fn extradata(parameters: &codec::Parameters) -> &[u8] {
    // SAFETY: extradata points to extradata_size readable bytes that live as long as the parameters, or the size is 0.
    unsafe {
        let raw: *const ffi::AVCodecParameters = parameters.as_ptr();
        match usize::try_from((*raw).extradata_size) {
            Ok(size) if size > 0 && !(*raw).extradata.is_null() => std::slice::from_raw_parts((*raw).extradata, size),
            _ => &[],
        }
    }
}

/// The bytes after each start code, to the end of the data.
pub(crate) fn start_code_units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = data.windows(3).enumerate().filter(|(_, bytes)| *bytes == [0, 0, 1]).map(|(at, _)| at + 3);
    starts.map(move |at| &data[at..])
}

/// Bytes of the length before each NAL unit of a packet; 0 for start codes, and for codecs without such units (ISO/IEC 14496-15).
pub(crate) fn length_bytes(codec: &str, extradata: &[u8]) -> usize {
    match (codec, extradata) {
        ("h264", [1, _, _, _, size, ..]) => usize::from(size & 3) + 1,
        // Start codes begin with two zeros; the record's first bytes are a version of 0 or 1 and a profile.
        ("hevc", [first, second, third, ..]) if (*first, *second) != (0, 0) || *third > 1 => {
            extradata.get(21).map_or(0, |size| usize::from(size & 3) + 1)
        }
        _ => 0,
    }
}

/// Whether some pictures can be single fields: a parameter set allows it, or there is no parameter set.
pub(crate) fn may_hold_fields(extradata: &[u8]) -> bool {
    let sets = parameter_sets(extradata);
    sets.is_empty() || sets.iter().any(|set| has_frames_only(set) != Some(true))
}

/// The sequence parameter sets in extradata of either form.
fn parameter_sets(extradata: &[u8]) -> Vec<&[u8]> {
    if extradata.first() != Some(&1) {
        return start_code_units(extradata).filter(|unit| unit.first().is_some_and(|head| head & 0x1f == 7)).collect();
    }
    let (mut sets, mut rest) = (Vec::new(), extradata.get(6..).unwrap_or_default());
    for _ in 0..extradata.get(5).map_or(0, |count| count & 0x1f) {
        let Some((length, tail)) = rest.split_at_checked(2) else { break };
        let Some((set, tail)) = tail.split_at_checked(usize::from(length[0]) << 8 | usize::from(length[1])) else {
            break;
        };
        sets.push(set);
        rest = tail;
    }
    sets
}

/// `frame_mbs_only_flag` of a sequence parameter set (H.264, 7.3.2.1.1).
fn has_frames_only(unit: &[u8]) -> Option<bool> {
    let mut bits = Bits::of(unit.get(1..)?);
    let profile = bits.number(8)?;
    bits.number(16)?;
    bits.exp_golomb()?;
    if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(&profile) {
        let chroma_format = bits.exp_golomb()?;
        if chroma_format == 3 {
            bits.number(1)?;
        }
        bits.exp_golomb()?;
        bits.exp_golomb()?;
        bits.number(1)?;
        if bits.number(1)? == 1 {
            for list in 0..if chroma_format == 3 { 12 } else { 8 } {
                if bits.number(1)? == 1 {
                    skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.exp_golomb()?;
    match bits.exp_golomb()? {
        0 => drop(bits.exp_golomb()?),
        1 => {
            bits.number(1)?;
            bits.exp_golomb()?;
            bits.exp_golomb()?;
            for _ in 0..bits.exp_golomb()?.min(255) {
                bits.exp_golomb()?;
            }
        }
        _ => {}
    }
    bits.exp_golomb()?;
    bits.number(1)?;
    bits.exp_golomb()?;
    bits.exp_golomb()?;
    Some(bits.number(1)? == 1)
}

fn skip_scaling_list(bits: &mut Bits, size: usize) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            let code = i64::from(bits.exp_golomb()?);
            let delta = if code % 2 == 1 { code / 2 + 1 } else { -(code / 2) };
            next = (last + delta).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// The bits of a NAL unit, without the bytes that keep start codes out of it.
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    fn of(unit: &[u8]) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(unit.len());
        let mut zeros = 0;
        for &byte in unit {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        Self { bytes, at: 0 }
    }

    fn number(&mut self, bits: u32) -> Option<u32> {
        let mut number = 0;
        for _ in 0..bits {
            let byte = self.bytes.get(self.at / 8)?;
            number = number << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(number)
    }

    /// ue(v)
    fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.number(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        (1u32.checked_shl(zeros)? - 1).checked_add(self.number(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Main profile, 64x64, by hand: profile, flags, level, then ue(v)s; the last bit is `frame_mbs_only_flag`.
    fn parameter_set(frames_only: bool) -> Vec<u8> {
        let bits = format!("{}{}{}{}{}{}{}", "1", "1", "1", "00101", "011", "0", "00100")
            + "010"
            + if frames_only { "1" } else { "0" }
            + "1";
        let bits = format!("{bits:0<24}");
        let tail = (0..3).map(|i| u8::from_str_radix(&bits[8 * i..8 * i + 8], 2).unwrap());
        [0x67, 77, 0, 40].into_iter().chain(tail).collect()
    }

    #[test]
    fn a_parameter_set_says_whether_pictures_may_be_fields() {
        for frames_only in [true, false] {
            let set = parameter_set(frames_only);
            assert_eq!(has_frames_only(&set), Some(frames_only));
            let record = [&[1, 77, 0, 40, 0xff, 0xe1, 0, set.len() as u8][..], &set].concat();
            assert_eq!(may_hold_fields(&record), !frames_only);
            assert_eq!(may_hold_fields(&[&[0, 0, 0, 1][..], &set].concat()), !frames_only);
        }
        assert!(may_hold_fields(&[]), "the parameter sets are in the packets");
    }

    #[test]
    fn broken_parameter_sets_do_not_panic() {
        let whole = parameter_set(false);
        for end in 0..whole.len() {
            has_frames_only(&whole[..end]);
            may_hold_fields(&[&[1, 77, 0, 40, 0xff, 0xe1, 0, 7][..], &whole[..end]].concat());
        }
        assert_eq!(has_frames_only(&[0x67, 100, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
