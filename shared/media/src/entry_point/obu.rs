//! AV1: temporal units of open bitstream units (OBU), section 5 of its specification.

use super::{
    PacketFacts,
    bits::Bits,
    parameter_sets::{Key, ParameterSets},
};

const SEQUENCE_HEADER: u8 = 1;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

/// The units of a packet: type, and content. Ends at the first one that is broken.
fn units(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&head, tail) = rest.split_first()?;
        let (has_extension, has_size) = (head & 4 != 0, head & 2 != 0);
        let mut tail = tail.get(usize::from(has_extension)..)?;
        let size = if has_size { leb128(&mut tail)? } else { tail.len() };
        // What is looked at may be a packet's first bytes only.
        let content;
        (content, rest) = tail.split_at(size.min(tail.len()));
        Some((head >> 3 & 15, content))
    })
}

fn leb128(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0u64;
    for nth in 0..8 {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << (7 * nth);
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

/// A sequence header as a unit that states its size.
pub(crate) fn write(sequence_header: &[u8], out: &mut Vec<u8>) {
    out.push(SEQUENCE_HEADER << 3 | 2);
    let mut size = sequence_header.len();
    while size > 0x7f {
        out.push(size as u8 | 0x80);
        size >>= 7;
    }
    out.push(size as u8);
    out.extend(sequence_header);
}

/// Keeps the sequence header of an av1C record, or of units as they are.
pub(crate) fn keep_configuration(extradata: &[u8], sets: &mut ParameterSets) {
    let units_of = match extradata {
        [0x81, _, _, _, rest @ ..] => rest,
        _ => extradata,
    };
    keep(units_of, sets);
}

fn keep(data: &[u8], sets: &mut ParameterSets) {
    units(data).filter(|(kind, _)| *kind == SEQUENCE_HEADER).for_each(|(_, content)| sets.put(Key::ONLY, content));
}

/// Whether all frames are still pictures with short headers: `reduced_still_picture_header`.
fn is_reduced(sets: &ParameterSets) -> bool {
    sets.iter().next().is_some_and(|header| header.first().is_some_and(|byte| byte & 0x08 != 0))
}

/// Decoding may start at a shown key frame. A frame can also be decoded first and shown by a later unit, which has only
/// the frame's number.
pub(crate) fn inspect(data: &[u8], known: &ParameterSets, own: &mut ParameterSets) -> PacketFacts {
    keep(data, own);
    let is_reduced = is_reduced(if own.is_empty() { known } else { own });
    let mut facts = PacketFacts { is_entry: false, has_picture: false };
    let (mut is_first, mut is_broken) = (true, true);
    for (kind, content) in units(data) {
        is_broken = false;
        if !matches!(kind, FRAME_HEADER | FRAME) {
            continue;
        }
        let (is_key, is_shown) = frame(content, is_reduced);
        facts.is_entry |= is_first && is_key && is_shown;
        facts.has_picture |= is_shown;
        is_first = false;
    }
    // Damage is a picture that is lost.
    facts.has_picture |= is_broken;
    facts
}

/// Whether the frame of a header (5.9.2) is a key frame, and whether it is shown.
fn frame(header: &[u8], is_reduced: bool) -> (bool, bool) {
    if is_reduced {
        return (true, true);
    }
    let mut bits = Bits::new(header);
    let shows_existing = bits.bit();
    if shows_existing {
        return (false, true);
    }
    let is_key = bits.number(2) == 0;
    let is_shown = bits.bit();
    (is_key && !bits.is_beyond(), is_shown)
}

/// Whether a packet's first bytes hold the head of its first frame.
pub(crate) fn reaches_picture(data: &[u8]) -> bool {
    units(data).any(|(kind, content)| matches!(kind, FRAME_HEADER | FRAME) && !content.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 4] = [0x00, 0, 0, 1];

    fn inspected(units: &[&[u8]]) -> PacketFacts {
        inspect(&units.concat(), &ParameterSets::default(), &mut ParameterSets::default())
    }

    #[test]
    fn a_shown_key_frame_is_an_entry_and_what_shows_nothing_has_no_picture() {
        let mut sequence = Vec::new();
        write(&HEADER, &mut sequence);
        // show_existing_frame(1) frame_type(2) show_frame(1)
        let frame = |bits: u8| [FRAME << 3 | 2, 1, bits];
        let entry = PacketFacts { is_entry: true, has_picture: true };
        assert_eq!(inspected(&[&[0x12, 0], &sequence, &frame(0b0001_0000)]), entry);
        assert_eq!(inspected(&[&frame(0b0011_0000)]), PacketFacts::PICTURE, "an inter frame");
        assert_eq!(inspected(&[&frame(0b0101_0000)]), PacketFacts::PICTURE, "an intra-only frame");
        assert_eq!(inspected(&[&frame(0b1000_0000)]), PacketFacts::PICTURE, "shows a frame that was decoded before");
        assert!(!inspected(&[&frame(0b0010_0000)]).has_picture);
        assert_eq!(
            inspected(&[&frame(0b0010_0000), &frame(0b0001_0000)]),
            PacketFacts::PICTURE,
            "a key frame behind another frame"
        );
        assert_eq!(
            inspected(&[&frame(0b0000_0000), &frame(0b0011_0000)]),
            PacketFacts::PICTURE,
            "a key frame that is shown later"
        );
    }

    #[test]
    fn a_sequence_header_is_the_same_in_the_record_and_in_the_stream() {
        let (mut unit, mut of_record, mut of_stream) =
            (vec![0x81, 0, 0, 0], ParameterSets::default(), ParameterSets::default());
        write(&[7; 200], &mut unit);
        keep_configuration(&unit, &mut of_record);
        inspect(&unit[4..], &of_record, &mut of_stream);
        assert_eq!(of_record, of_stream);
        assert!(!of_record.is_empty());
    }
}
