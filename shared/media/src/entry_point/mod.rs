//! What a packet's first bytes say: Can decoding start here? Does the packet have a picture? Which parameter sets does
//! the decoder need first?
//!
//! Containers mark the packets that are key frames. But some writers mark every packet, and others none. Also, many
//! intra-coded pictures need what comes before them. So the stream itself is examined.

mod bits;
mod first_bits;
mod mpeg;
mod nal;
mod obu;
mod parameter_sets;
mod units;

use ffmpeg_next::{codec, ffi};
use serde::{Deserialize, Serialize};

use crate::demux::codec_name;
use first_bits::FirstBits;
use mpeg::Syntax;
use nal::Family;
use parameter_sets::ParameterSets;
use units::Framing;

/// Codecs that FFmpeg lists as having no references between pictures, although they have some.
const NOT_INTRA_ONLY: [&str; 4] = ["mss2", "jv", "rl2", "fraps"];

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PacketFacts {
    /// Decoding may start at it.
    pub is_entry: bool,
    /// It has a picture. Some packets only update references.
    pub has_picture: bool,
}

impl PacketFacts {
    pub(crate) const PICTURE: Self = Self { is_entry: false, has_picture: true };
    pub(crate) const NOTHING: Self = Self { is_entry: false, has_picture: false };
}

/// Parameter sets that must precede a packet, because the chunk's own description has other ones. They are framed as
/// the packets are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeadIn {
    /// For a packet at any place in a chunk: the container changed its description of the stream here.
    pub changed: Vec<u8>,
    /// Where a chunk starts with it: what is in effect here.
    pub at_start: Vec<u8>,
}

/// How pictures are recognised at which decoding can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nal(Family, Framing),
    Obu,
    Mpeg(Syntax),
    FirstBits(FirstBits),
    /// Every picture is one.
    IntraOnly,
    /// They can't be recognised. Only the first packet counts as one.
    Untold,
}

/// A stream of packets, examined in stored order.
#[derive(Clone, Debug)]
pub(crate) struct Bitstream {
    kind: Kind,
    /// The container's description of the stream, as it is now.
    extradata: Vec<u8>,
    /// The sets of the description that chunks have.
    described: ParameterSets,
    in_effect: ParameterSets,
    /// The parameter sets of a changed description, before its first packet.
    brought: ParameterSets,
    is_link_broken: bool,
    is_first: bool,
    is_framed_anew: bool,
    /// Whether copied packets can be decoded with the one description that a chunk has.
    pub can_be_copied: bool,
}

impl Bitstream {
    pub(crate) fn of(parameters: &codec::Parameters) -> Self {
        let extradata = extradata(parameters);
        let kind = kind(parameters, extradata);
        let mut described = ParameterSets::default();
        keep_configuration(kind, extradata, &mut described);
        Self {
            kind,
            extradata: extradata.to_vec(),
            in_effect: described.clone(),
            described,
            brought: ParameterSets::default(),
            is_link_broken: false,
            is_first: true,
            is_framed_anew: false,
            can_be_copied: true,
        }
    }

    /// Whether packets have to be looked into.
    pub(crate) fn reads_data(&self) -> bool {
        !matches!(self.kind, Kind::IntraOnly | Kind::Untold)
    }

    /// Whether the first bytes of a packet hold its first picture's head and all that precedes it.
    pub(crate) fn reaches_picture(&self, data: &[u8]) -> bool {
        match self.kind {
            Kind::Nal(family, framing) => family.reaches_picture(framing, data),
            Kind::Obu => obu::reaches_picture(data),
            Kind::Mpeg(syntax) => syntax.reaches_picture(data),
            Kind::FirstBits(_) | Kind::IntraOnly | Kind::Untold => true,
        }
    }

    /// The container describes the stream again, from the next packet on. Returns false if a decoder can't follow this
    /// change.
    pub(crate) fn describe_anew(&mut self, extradata: &[u8]) -> bool {
        if self.extradata == extradata {
            return true;
        }
        if matches!(self.kind, Kind::FirstBits(_) | Kind::IntraOnly | Kind::Untold) {
            return false;
        }
        self.extradata = extradata.to_vec();
        let mut sets = ParameterSets::default();
        let kind = match self.kind {
            Kind::Nal(family, _) => Kind::Nal(family, family.configuration(extradata).0),
            kind => kind,
        };
        keep_configuration(kind, extradata, &mut sets);
        // Other decoders than those of H.264 and HEVC go by the first description.
        if !matches!(kind, Kind::Nal(..)) && !sets.unlike(&self.in_effect).is_empty() {
            return false;
        }
        // A chunk's packets are framed in one way.
        self.is_framed_anew |= kind != self.kind;
        self.can_be_copied &= !self.is_framed_anew;
        self.kind = kind;
        // All of them, because a decoder that receives another sequence parameter set discards the picture parameter
        // sets of the old one.
        if !sets.unlike(&self.in_effect).is_empty() {
            self.brought.replace_by(&sets);
        }
        true
    }

    /// The facts of the next packet if its bytes do not state them.
    pub(crate) fn inspect_nothing(&mut self) -> PacketFacts {
        let is_first = std::mem::replace(&mut self.is_first, false);
        PacketFacts { is_entry: is_first || self.kind == Kind::IntraOnly, has_picture: true }
    }

    /// Looks at the next packet, or at its first bytes.
    pub(crate) fn inspect(&mut self, data: &[u8]) -> (PacketFacts, Option<Box<LeadIn>>) {
        let mut own = ParameterSets::default();
        let brought = std::mem::take(&mut self.brought);
        self.in_effect.replace_by(&brought);
        let facts = match self.kind {
            _ if data.is_empty() => PacketFacts::NOTHING,
            Kind::Nal(family, framing) => family.inspect(framing, data, &mut self.is_link_broken, &mut own),
            Kind::Obu => obu::inspect(data, &self.in_effect, &mut own),
            Kind::Mpeg(syntax) => syntax.inspect(data, &mut own),
            Kind::FirstBits(kind) => kind.inspect(data),
            Kind::IntraOnly | Kind::Untold => self.inspect_nothing(),
        };
        // A decoder that starts after a change of the framing does not know the new framing.
        let facts = PacketFacts { is_entry: facts.is_entry && !self.is_framed_anew, ..facts };
        self.in_effect.replace_by(&own);
        // A chunk's decoder knows the description. If other parameter sets are in effect here, it gets all of them,
        // unless the packet already has all of them.
        let is_told =
            !facts.is_entry || self.in_effect.unlike(&self.described).is_empty() || own.holds_all_of(&self.in_effect);
        let at_start = if is_told { ParameterSets::default() } else { self.in_effect.clone() };
        let lead_in = LeadIn { changed: self.framed(&brought), at_start: self.framed(&at_start) };
        (facts, Some(lead_in).filter(|lead_in| *lead_in != LeadIn::default()).map(Box::new))
    }

    /// Parameter sets as the packets would hold them.
    fn framed(&mut self, sets: &ParameterSets) -> Vec<u8> {
        let mut out = Vec::new();
        for set in sets.iter() {
            match self.kind {
                Kind::Nal(_, framing) => self.can_be_copied &= framing.write(set, &mut out),
                Kind::Obu => obu::write(set, &mut out),
                _ => out.extend(set),
            }
        }
        out
    }
}

fn kind(parameters: &codec::Parameters, extradata: &[u8]) -> Kind {
    let codec = codec_name(parameters);
    match codec.as_str() {
        "h264" => Kind::Nal(Family::H264, Family::H264.configuration(extradata).0),
        "hevc" => Kind::Nal(Family::Hevc, Family::Hevc.configuration(extradata).0),
        "av1" => Kind::Obu,
        "mpeg1video" | "mpeg2video" => Kind::Mpeg(Syntax::Mpeg12),
        "mpeg4" => Kind::Mpeg(Syntax::Mpeg4),
        "vc1" => Kind::Mpeg(Syntax::Vc1),
        name => match FirstBits::of(name, extradata) {
            Some(kind) => Kind::FirstBits(kind),
            None if is_intra_only(parameters) && !NOT_INTRA_ONLY.contains(&name) => Kind::IntraOnly,
            None => Kind::Untold,
        },
    }
}

fn keep_configuration(kind: Kind, extradata: &[u8], sets: &mut ParameterSets) {
    match kind {
        Kind::Nal(family, _) => family.configuration(extradata).1.into_iter().for_each(|unit| family.keep(unit, sets)),
        Kind::Obu => obu::keep_configuration(extradata, sets),
        Kind::Mpeg(syntax) => syntax.keep_configuration(extradata, sets),
        Kind::FirstBits(_) | Kind::IntraOnly | Kind::Untold => {}
    }
}

fn is_intra_only(parameters: &codec::Parameters) -> bool {
    // SAFETY: a plain field of live parameters; the descriptor is null or static.
    unsafe {
        let descriptor = ffi::avcodec_descriptor_get((*parameters.as_ptr()).codec_id);
        !descriptor.is_null() && (*descriptor).props & ffi::AV_CODEC_PROP_INTRA_ONLY != 0
    }
}

fn extradata(parameters: &codec::Parameters) -> &[u8] {
    // SAFETY: extradata points to extradata_size readable bytes that live as long as the parameters, or the size is 0.
    unsafe {
        let raw: *const ffi::AVCodecParameters = parameters.as_ptr();
        match usize::try_from((*raw).extradata_size) {
            Ok(size) if size > 0 && !(*raw).extradata.is_null() => std::slice::from_raw_parts((*raw).extradata, size),
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests;
