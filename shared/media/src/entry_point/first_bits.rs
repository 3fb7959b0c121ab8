//! Codecs whose first bits of a picture say whether it is intra-coded.

use super::{PacketFacts, bits::Bits};

/// How the first bits are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstBits {
    Vp8,
    Vp9,
    Vp6,
    Vp3,
    Theora,
    Ffv1,
    /// H.263, and the baseline of its later versions.
    H263,
    /// Sorenson's H.263 in FLV.
    Flv1,
    Svq1,
    MsMpeg4V1,
    /// MS MPEG-4 v2 and v3, and WMV 7.
    MsMpeg4,
    /// WMV 8.
    Wmv2,
    /// WMV 9, the simple and main profile of VC-1: the bits that come before a picture's type.
    Wmv3 {
        has_interpolation: bool,
        has_range: bool,
        has_b_pictures: bool,
    },
}

impl FirstBits {
    /// By FFmpeg's name of the codec; WMV 9 states in its description what pictures begin with.
    pub(crate) fn of(codec: &str, extradata: &[u8]) -> Option<Self> {
        Some(match codec {
            "vp8" => Self::Vp8,
            "vp9" => Self::Vp9,
            "vp6" | "vp6f" => Self::Vp6,
            "vp3" => Self::Vp3,
            "theora" => Self::Theora,
            "ffv1" => Self::Ffv1,
            "h263" | "h263p" => Self::H263,
            "flv1" => Self::Flv1,
            "svq1" => Self::Svq1,
            "msmpeg4v1" => Self::MsMpeg4V1,
            "msmpeg4v2" | "msmpeg4v3" | "wmv1" => Self::MsMpeg4,
            "wmv2" => Self::Wmv2,
            "wmv3" => wmv3(extradata)?,
            _ => return None,
        })
    }

    pub(crate) fn inspect(self, data: &[u8]) -> PacketFacts {
        let Some(&first) = data.first() else { return PacketFacts::NOTHING };
        let mut bits = Bits::new(data);
        let is_entry = match self {
            // RFC 6386, 9.1: key_frame, version, show_frame, from the lowest bit on.
            Self::Vp8 => return PacketFacts { is_entry: first & 1 == 0, has_picture: first & 0x10 != 0 },
            Self::Vp9 => return vp9(data),
            Self::Vp6 => !bits.bit(),
            Self::Vp3 => !bits.bit(),
            // Theora I, 6.1 and 7.1: a packet of data, then FTYPE.
            Self::Theora => !bits.bit() && !bits.bit(),
            // RFC 9043, 3.8.1: the keyframe flag is the range coder's first bit, with even odds of 0xff00.
            Self::Ffv1 => bits.number(16) >= 0x7f80,
            Self::H263 => h263(&mut bits),
            Self::Flv1 => flv1(&mut bits),
            Self::Svq1 => bits.skip(30).number(2) == 0,
            Self::MsMpeg4V1 => bits.skip(32 + 5).number(2) == 0,
            Self::MsMpeg4 => bits.number(2) == 0,
            Self::Wmv2 => !bits.bit(),
            Self::Wmv3 { has_interpolation, has_range, has_b_pictures } => {
                // 7.1.1: INTERPFRM, FRMCNT, RANGEREDFRM, PTYPE: 1 is P, 0 is I, or else 01 is I and 00 is B.
                bits.skip(usize::from(has_interpolation) + 2 + usize::from(has_range));
                !bits.bit() && (!has_b_pictures || bits.bit())
            }
        };
        PacketFacts { is_entry: is_entry && !bits.is_beyond(), has_picture: true }
    }
}

/// VP9 6.2: `frame_marker`(2) profile(2) [reserved] `show_existing_frame` `frame_type` `show_frame`. In a superframe the last frame is shown.
fn vp9(data: &[u8]) -> PacketFacts {
    let is_superframe = data.last().is_some_and(|last| last & 0xe0 == 0xc0);
    let mut bits = Bits::new(data);
    if bits.skip(2).number(2) == 3 {
        bits.skip(1);
    }
    let shows_existing = bits.bit();
    let (is_key, shows) = (!bits.bit(), bits.bit());
    PacketFacts {
        is_entry: is_key && !shows_existing && !bits.is_beyond(),
        has_picture: is_superframe || shows_existing || shows,
    }
}

/// H.263 5.1: start code(22), time(8), PTYPE: 1 0, three flags, source format(3), then the type, or PLUSPTYPE with it.
fn h263(bits: &mut Bits<'_>) -> bool {
    if bits.number(22) != 0x20 || bits.skip(8).number(2) != 0b10 {
        return false;
    }
    if bits.skip(3).number(3) != 7 {
        return !bits.bit();
    }
    // UFEP(3) says whether OPPTYPE(18) follows; MPPTYPE begins with the type: 000 is intra.
    let says_more = bits.number(3);
    bits.skip(if says_more == 1 { 18 } else { 0 }).number(3) == 0
}

/// Start code(17), version(5), time(8), size(3), for two of which width and height follow, then the type.
fn flv1(bits: &mut Bits<'_>) -> bool {
    if bits.number(17) != 1 {
        return false;
    }
    let size = bits.skip(5 + 8).number(3);
    bits.skip(match size {
        0 => 16,
        1 => 32,
        _ => 0,
    });
    bits.number(2) == 0
}

/// STRUCT_C (SMPTE 421, annex J): profile(4) rates(8) loop filter(1) reserved(1) multiple sizes(1) reserved(1) fast chroma(1) extended
/// vectors(1) quantiser(2) transform(1) reserved(1) overlap(1) sync marker(1) range(1) B-pictures(3) quantiser(2) interpolation(1).
fn wmv3(extradata: &[u8]) -> Option<FirstBits> {
    let mut bits = Bits::new(extradata);
    let has_range = bits.skip(4 + 8 + 6 + 2 + 4).bit();
    let has_b_pictures = bits.number(3) != 0;
    let has_interpolation = bits.skip(2).bit();
    (!bits.is_beyond()).then_some(FirstBits::Wmv3 { has_interpolation, has_range, has_b_pictures })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_entry(kind: FirstBits, data: &[u8]) -> bool {
        kind.inspect(data).is_entry
    }

    #[test]
    fn a_vp8_alternate_reference_shows_nothing() {
        assert!(!FirstBits::Vp8.inspect(&[0b0000_0001]).has_picture);
        assert!(FirstBits::Vp8.inspect(&[0b0001_0001]).has_picture);
        assert_eq!(FirstBits::Vp9.inspect(&[]), PacketFacts::NOTHING);
    }

    #[test]
    fn an_intra_only_frame_and_a_shown_old_one_are_no_vp9_entries() {
        assert!(is_entry(FirstBits::Vp9, &[0b1000_0010]));
        assert!(is_entry(FirstBits::Vp9, &[0b1011_0001, 0]), "profile 3 has a reserved bit more");
        assert!(!is_entry(FirstBits::Vp9, &[0b1000_0110]), "not a key frame, as an intra-only one");
        assert!(!is_entry(FirstBits::Vp9, &[0b1000_1000]), "shows a frame that was decoded before");
    }

    #[test]
    fn the_first_bits_tell_what_is_coded_on_its_own() {
        for (kind, intra, other) in [
            (FirstBits::Vp6, &[0x00][..], &[0x80][..]),
            (FirstBits::Vp3, &[0x00], &[0x80]),
            (FirstBits::Theora, &[0x00], &[0x40]),
            (FirstBits::Ffv1, &[0x80, 0], &[0x7f, 0]),
            (FirstBits::H263, &[0, 0, 0x80, 0b10, 0b0000_1000, 0], &[0, 0, 0x80, 0b10, 0b0000_1010, 0]),
            (FirstBits::Flv1, &[0, 0, 0x84, 0b0000_0001, 0b0000_0000, 0], &[0, 0, 0x84, 0b0000_0001, 0b0010_0000, 0]),
            (FirstBits::Svq1, &[0, 0, 0x80, 0], &[0, 0, 0x80, 1]),
            (FirstBits::MsMpeg4, &[0x00], &[0x40]),
            (FirstBits::Wmv2, &[0x00], &[0x80]),
        ] {
            assert!(is_entry(kind, intra), "{kind:?}");
            assert!(!is_entry(kind, other), "{kind:?}");
            assert!(!is_entry(kind, &[]), "{kind:?}");
        }
    }

    #[test]
    fn a_wmv_9_picture_is_read_by_what_the_description_says() {
        let description = |range: u8, b: u8, interpolation: u8| {
            // Bits 24, 25 to 27 and 30.
            [0x40, 0, 0, range << 7 | b << 4 | interpolation << 1]
        };
        let kind = |range, b, interpolation| FirstBits::of("wmv3", &description(range, b, interpolation)).unwrap();
        assert!(is_entry(kind(0, 0, 0), &[0b0000_0000]) && !is_entry(kind(0, 0, 0), &[0b0010_0000]));
        assert!(is_entry(kind(0, 1, 0), &[0b0001_0000]) && !is_entry(kind(0, 1, 0), &[0b0000_0000]));
        assert!(is_entry(kind(1, 1, 1), &[0b0000_0100]) && !is_entry(kind(1, 1, 1), &[0b0000_1000]));
        assert_eq!(FirstBits::of("wmv3", &[0x40]), None);
    }
}
