//! MPEG-1, MPEG-2, MPEG-4 part 2 and VC-1: headers behind start codes, then a picture.

use super::{
    PacketFacts,
    bits::Bits,
    parameter_sets::{Key, ParameterSets},
    units::start_code,
};

/// Which codec, by what its start codes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// MPEG-1 and MPEG-2 (ISO/IEC 13818-2, 6.2).
    Mpeg12,
    /// MPEG-4 part 2 (ISO/IEC 14496-2, 6.2).
    Mpeg4,
    /// VC-1, advanced profile (SMPTE 421, annex E).
    Vc1,
}

/// What begins at a start code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The headers that a decoder must have seen.
    Headers,
    /// Other headers: they end these.
    Between,
    Picture,
    Else,
}

impl Syntax {
    fn part(self, code: u8) -> Part {
        match (self, code) {
            (Self::Mpeg12, 0xb3) | (Self::Mpeg4, 0x00..=0x2f | 0xb0 | 0xb5) | (Self::Vc1, 0x0f | 0x0e) => Part::Headers,
            (Self::Mpeg12, 0xb8) | (Self::Mpeg4, 0xb3) => Part::Between,
            (Self::Mpeg12, 0x00) | (Self::Mpeg4, 0xb6) | (Self::Vc1, 0x0d) => Part::Picture,
            _ => Part::Else,
        }
    }

    /// Whether a picture is coded on its own, by the bytes behind its start code, and its packet says all that it needs.
    fn is_entry(self, headers: Option<&[u8]>, picture: &[u8]) -> bool {
        let mut bits = Bits::new(picture);
        let is_intra = match self {
            // temporal_reference(10) picture_coding_type(3)
            Self::Mpeg12 => headers.is_some() && bits.skip(10).number(3) == 1,
            Self::Mpeg4 => bits.number(2) == 0,
            Self::Vc1 => headers.and_then(vc1_is_interlaced).is_some_and(|is| vc1_is_intra(picture, is)),
        };
        is_intra && !bits.is_beyond()
    }

    /// The bytes of the headers in front of a packet's first picture, and those of that picture.
    fn parts(self, data: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
        let (mut headers, mut end, mut at) = (None, None, 0);
        while let Some(step) = start_code(&data[at..]) {
            let begin = at + step;
            let Some(&code) = data.get(begin + 3) else { break };
            at = begin + 3;
            match self.part(code) {
                Part::Headers if headers.is_none() => headers = Some(begin),
                // Extensions and user data belong to the headers that they follow.
                Part::Headers | Part::Else => {}
                Part::Between => end = end.or(Some(begin)),
                Part::Picture => {
                    let headers = headers.map(|from| &data[from..end.filter(|&end| end > from).unwrap_or(begin)]);
                    return (headers, Some(&data[at + 1..]));
                }
            }
        }
        (headers.map(|from| &data[from..end.filter(|&end| end > from).unwrap_or(data.len())]), None)
    }

    /// Keeps the headers of the container's description of the stream.
    pub(crate) fn keep_configuration(self, extradata: &[u8], sets: &mut ParameterSets) {
        if let (Some(headers), _) = self.parts(extradata) {
            sets.put(Key::ONLY, trimmed(headers));
        }
    }

    /// Decoding may start at an intra-coded picture. In MPEG-1, MPEG-2 and VC-1 its packet must begin a new sequence: between two such places a
    /// stream may change other state, such as quantisation matrices.
    pub(crate) fn inspect(self, data: &[u8], own: &mut ParameterSets) -> PacketFacts {
        let (headers, picture) = self.parts(data);
        if let Some(headers) = headers {
            own.put(Key::ONLY, trimmed(headers));
        }
        let Some(picture) = picture else { return PacketFacts { is_entry: false, has_picture: headers.is_none() } };
        PacketFacts { is_entry: self.is_entry(headers, picture), has_picture: true }
    }

    /// Whether a packet's first bytes hold the head of its first picture.
    pub(crate) fn reaches_picture(self, data: &[u8]) -> bool {
        self.parts(data).1.is_some_and(|picture| picture.len() > 4)
    }
}

/// The headers without the zeros at their end, which are only padding.
fn trimmed(headers: &[u8]) -> &[u8] {
    &headers[..headers.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)]
}

/// Whether a sequence header of VC-1, with its start code, says that pictures may be interlaced; None if it is no sequence header.
fn vc1_is_interlaced(headers: &[u8]) -> Option<bool> {
    let sequence = headers.strip_prefix(&[0, 0, 1, 0x0f])?;
    // 6.1: profile(2) level(3) chroma format(2) rates(8) postprocessing(1) width(12) height(12) pulldown(1) interlace(1)
    Some(Bits::new(sequence).skip(41).bit())
}

/// Whether the picture is intra-coded, by 7.1.1. If pictures may be interlaced, the first bits say how the frame is
/// coded (FCM: 0 progressive, 10 interlaced, 11 in fields). Then comes its type: 110 is I. Of a frame in fields, 000
/// and 001 begin with an I field.
fn vc1_is_intra(picture: &[u8], is_interlaced: bool) -> bool {
    let mut bits = Bits::new(picture);
    let is_in_fields = is_interlaced && bits.bit() && bits.bit();
    let kind = bits.number(3);
    !bits.is_beyond() && if is_in_fields { kind <= 1 } else { kind == 0b110 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: PacketFacts = PacketFacts { is_entry: true, has_picture: true };

    fn inspect(syntax: Syntax, data: &[u8]) -> PacketFacts {
        syntax.inspect(data, &mut ParameterSets::default())
    }

    #[test]
    fn mpeg_2_begins_at_an_intra_picture_behind_a_sequence_header() {
        let sequence = [0, 0, 1, 0xb3, 1, 2, 3, 0, 0, 1, 0xb5, 1, 0, 0, 1, 0xb8, 0, 0];
        let (intra, predicted) = ([0, 0, 1, 0, 0, 0b00_001_000, 1], [0, 0, 1, 0, 0, 0b00_010_000, 1]);
        assert_eq!(inspect(Syntax::Mpeg12, &[&sequence[..], &intra].concat()), ENTRY);
        assert_eq!(
            inspect(Syntax::Mpeg12, &intra),
            PacketFacts::PICTURE,
            "the sequence's description may have changed"
        );
        assert_eq!(inspect(Syntax::Mpeg12, &[&sequence[..], &predicted].concat()), PacketFacts::PICTURE);
        assert!(!inspect(Syntax::Mpeg12, &sequence).has_picture);
        let mut kept = ParameterSets::default();
        Syntax::Mpeg12.inspect(&[&sequence[..], &intra].concat(), &mut kept);
        assert_eq!(kept.iter().collect::<Vec<_>>(), [&sequence[..12]], "the group's header is none of the sequence's");
    }

    #[test]
    fn mpeg_4_begins_at_an_intra_picture() {
        assert_eq!(inspect(Syntax::Mpeg4, &[0, 0, 1, 0xb6, 0x10]), ENTRY);
        assert_eq!(inspect(Syntax::Mpeg4, &[0, 0, 1, 0xb3, 1, 2, 3, 0, 0, 1, 0xb6, 0x10]), ENTRY);
        assert_eq!(inspect(Syntax::Mpeg4, &[0, 0, 1, 0xb6, 0x50]), PacketFacts::PICTURE);
    }

    #[test]
    fn vc_1_begins_at_an_intra_picture_behind_a_sequence_header() {
        let headers = |is_interlaced: bool| {
            // Bit 41 is the second one of the sixth byte.
            [0, 0, 1, 0x0f, 0xc0, 0, 0, 0, 0, u8::from(is_interlaced) << 6, 0, 0, 1, 0x0e, 9]
        };
        let with = |is_interlaced, first: u8| {
            inspect(Syntax::Vc1, &[&headers(is_interlaced)[..], &[0, 0, 1, 0x0d, first, 0]].concat()).is_entry
        };
        assert!(with(false, 0b1100_0000) && !with(false, 0) && !with(false, 0b1000_0000));
        assert!(with(true, 0b0110_0000) && with(true, 0b1011_0000) && with(true, 0b1100_1000));
        assert!(!with(true, 0b1101_0000) && !with(true, 0b1000_0000) && !with(true, 0b0100_0000));
        assert!(!inspect(Syntax::Vc1, &[0, 0, 1, 0x0d, 0b1100_0000]).is_entry);
    }
}
