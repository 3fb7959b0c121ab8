//! H.264 and HEVC: the pictures at which decoding can start, and the parameter sets that they need.

use super::{
    PacketFacts,
    bits::Bits,
    parameter_sets::{Key, ParameterSets},
    units::{Framing, content},
};

/// Bytes of a unit's head that are read. In an HEVC sequence parameter set, up to 90 bytes of levels precede its
/// number.
const HEAD_BYTES: usize = 128;

/// Which of the two codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    H264,
    Hevc,
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A part of a picture at which decoding may start.
    Entry,
    /// A part of an H.264 picture that is not an IDR picture. Whether decoding may start there depends on the units
    /// before it and on the kind of its slice.
    Slice,
    /// A part of any other picture.
    Picture,
    /// A part of a picture that a decoder leaves out after a broken link (HEVC RASL).
    Skipped,
    Set(Key),
    /// Messages (SEI). If they state it: the number of pictures until the picture is complete.
    RecoveryPoint(Option<u32>),
    /// A unit without effect on pictures: delimiter, end, filler.
    Idle,
    Unknown,
}

impl Family {
    /// The kind of a unit whose first bytes are known.
    fn kind(self, unit: &[u8]) -> Kind {
        match self {
            Self::H264 => h264_kind(unit),
            Self::Hevc => hevc_kind(unit),
        }
    }

    /// Parameter sets of a decoder configuration record (ISO/IEC 14496-15) or a run of start codes; and how packets are framed.
    pub(crate) fn configuration(self, extradata: &[u8]) -> (Framing, Vec<&[u8]>) {
        let record = match (self, extradata) {
            (Self::H264, [1, _, _, _, size, rest @ ..]) => Some((size & 3, avc_sets(rest))),
            // Some writers leave version 0; a run of start codes begins with zeros.
            (Self::Hevc, [first, second, third, ..])
                if extradata.len() >= 23 && (*first != 0 || *second != 0 || *third > 1) =>
            {
                Some((extradata[21] & 3, hevc_sets(&extradata[22..])))
            }
            _ => None,
        };
        match record {
            Some((size, sets)) => (Framing::Lengths(usize::from(size) + 1), sets),
            None => (Framing::StartCodes, Framing::StartCodes.units(extradata).collect()),
        }
    }

    /// Keeps a unit that is a parameter set.
    pub(crate) fn keep(self, unit: &[u8], sets: &mut ParameterSets) {
        if let Kind::Set(key) = self.kind(unit) {
            sets.put(key, unit);
        }
    }

    /// Whether a packet's first bytes hold the head of its first picture.
    pub(crate) fn reaches_picture(self, framing: Framing, data: &[u8]) -> bool {
        let mut units = framing.units(data);
        while let Some(head) = units.head() {
            if matches!(
                self.kind(&head[..head.len().min(HEAD_BYTES)]),
                Kind::Entry | Kind::Slice | Kind::Picture | Kind::Skipped
            ) {
                return head.len() > 16;
            }
            units.next();
        }
        false
    }

    /// Reads what comes before a packet's first picture, and that picture's head. Parameter sets go to `own`.
    pub(crate) fn inspect(
        self,
        framing: Framing,
        data: &[u8],
        is_link_broken: &mut bool,
        own: &mut ParameterSets,
    ) -> PacketFacts {
        let (mut recovery, mut units, mut is_known) = (None, framing.units(data), false);
        while let Some(head) = units.head() {
            // Where a picture ends need not be looked for.
            match self.kind(&head[..head.len().min(HEAD_BYTES)]) {
                Kind::Entry => {
                    *is_link_broken = self == Self::Hevc && (16..=18).contains(&(head[0] >> 1 & 0x3f));
                    return PacketFacts { is_entry: true, has_picture: true };
                }
                // A recovery point that needs further pictures (gradual refresh) is no place to cut, and a picture that calls itself
                // one but is not coded on its own is not believed.
                Kind::Slice => {
                    return PacketFacts { is_entry: recovery == Some(0) && is_intra_slice(head), has_picture: true };
                }
                Kind::Skipped => return PacketFacts { is_entry: false, has_picture: !*is_link_broken },
                Kind::Picture => return PacketFacts::PICTURE,
                _ => {}
            }
            let Some(unit) = units.next() else { break };
            match self.kind(unit) {
                Kind::Set(key) => own.put(key, unit),
                Kind::RecoveryPoint(count) => recovery = recovery.or(count),
                Kind::Unknown => return PacketFacts::PICTURE,
                _ => {}
            }
            is_known = !units.is_cut_off();
        }
        // Damage is a picture that is lost; a packet of nothing but parameter sets and messages is none.
        PacketFacts { is_entry: false, has_picture: !is_known }
    }
}

fn h264_kind(unit: &[u8]) -> Kind {
    let Some((&first, payload)) = unit.split_first() else { return Kind::Unknown };
    match first & 0x1f {
        5 => Kind::Entry,
        1 | 2 => Kind::Slice,
        6 => Kind::RecoveryPoint(recovery_frame_count(payload)),
        // 7.3.2.1.1: three bytes of profile and level, then the number.
        7 => set(0, payload.get(3..).and_then(number)),
        8 => set(1, number(payload)),
        9..=12 => Kind::Idle,
        _ => Kind::Unknown,
    }
}

fn hevc_kind(unit: &[u8]) -> Kind {
    let [first, second, payload @ ..] = unit else { return Kind::Unknown };
    let layer = (first & 1) << 5 | second >> 3;
    if layer > 0 {
        return Kind::Idle;
    }
    match first >> 1 & 0x3f {
        // Table 7-1: BLA, IDR and CRA pictures.
        16..=21 => Kind::Entry,
        8 | 9 => Kind::Skipped,
        0..=31 => Kind::Picture,
        32 => set(0, payload.first().map(|byte| u32::from(byte >> 4))),
        33 => set(1, hevc_sequence_number(payload)),
        34 => set(2, number(payload)),
        35..=40 => Kind::Idle,
        _ => Kind::Unknown,
    }
}

/// A set without a readable number is no set: a decoder can't use it either.
fn set(class: u8, number: Option<u32>) -> Kind {
    match number.and_then(|number| u16::try_from(number).ok()).filter(|&number| number < 256) {
        Some(number) => Kind::Set(Key { class, number }),
        None => Kind::Unknown,
    }
}

fn number(payload: &[u8]) -> Option<u32> {
    Bits::new(&content(payload, HEAD_BYTES)).exp_golomb()
}

/// `sps_seq_parameter_set_id`, which comes after profile, tier and levels of each sub-layer (HEVC 7.3.2.2, 7.3.3).
fn hevc_sequence_number(payload: &[u8]) -> Option<u32> {
    let content = content(payload, HEAD_BYTES);
    let mut bits = Bits::new(&content);
    bits.skip(4);
    let sub_layers = bits.number(3);
    bits.skip(1 + 96);
    let present: Vec<(bool, bool)> = (0..sub_layers).map(|_| (bits.bit(), bits.bit())).collect();
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers as usize));
    }
    for (has_profile, has_level) in present {
        bits.skip(if has_profile { 88 } else { 0 } + if has_level { 8 } else { 0 });
    }
    bits.exp_golomb()
}

/// Whether an H.264 slice is coded without reference to other pictures (7.3.3: `slice_type` 2, 4, 7 and 9).
fn is_intra_slice(unit: &[u8]) -> bool {
    let content = content(unit.get(1..).unwrap_or_default(), 16);
    let mut bits = Bits::new(&content);
    let kind = bits.exp_golomb().and_then(|_first_macroblock| bits.exp_golomb());
    matches!(kind, Some(2 | 4 | 7 | 9))
}

/// `recovery_frame_cnt` (H.264 D.1.8) of the first recovery point message among the SEI messages in `sei`.
fn recovery_frame_count(sei: &[u8]) -> Option<u32> {
    let mut rest = sei;
    while rest.len() > 2 {
        let kind = take_sei_number(&mut rest)?;
        let size = take_sei_number(&mut rest)?;
        if kind == 6 {
            return Bits::new(&content(rest, 8)).exp_golomb();
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

/// The sets of an avcC record behind its length size: a number of sequence parameter sets, then of picture parameter sets.
fn avc_sets(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut sets = Vec::new();
    for mask in [0x1f, 0xff] {
        let Some((&count, tail)) = rest.split_first() else { return sets };
        rest = tail;
        take_sets(&mut rest, usize::from(count & mask), &mut sets);
    }
    sets
}

/// The sets of an hvcC record behind its length size: arrays, each with a type and a number of units.
fn hevc_sets(rest: &[u8]) -> Vec<&[u8]> {
    let mut sets = Vec::new();
    let Some((&arrays, mut rest)) = rest.split_first() else { return sets };
    for _ in 0..arrays {
        let [_, high, low, tail @ ..] = rest else { break };
        rest = tail;
        take_sets(&mut rest, usize::from(*high) << 8 | usize::from(*low), &mut sets);
    }
    sets
}

fn take_sets<'a>(rest: &mut &'a [u8], count: usize, sets: &mut Vec<&'a [u8]>) {
    for _ in 0..count {
        let [high, low, tail @ ..] = *rest else { return };
        let length = usize::from(*high) << 8 | usize::from(*low);
        let Some((unit, tail)) = tail.split_at_checked(length) else { return };
        sets.push(unit);
        *rest = tail;
    }
}
