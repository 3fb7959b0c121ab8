//! The rules, on streams of a few bytes.

use super::*;

const RECOVERS_AT_ONCE: [u8; 4] = [6, 6, 1, 0b1000_0000];
/// `recovery_frame_cnt` 30: 000011111.
const RECOVERS_LATER: [u8; 6] = [6, 6, 2, 0b0000_1111, 0b1100_0000, 0x80];
/// `first_mb_in_slice` 0 and `slice_type` 7, which is I, and 5, which is P.
const INTRA: [u8; 3] = [0x41, 0b1000_1000, 0x80];
const PREDICTED: [u8; 3] = [0x41, 0b1001_1000, 0x80];
const IDR: [u8; 3] = [0x65, 0b1000_1000, 0x80];
/// Parameter sets 0 of H.264, and another sequence parameter set 0.
const SPS: [u8; 6] = [0x67, 77, 0, 40, 0b1100_0000, 1];
const OTHER_SPS: [u8; 6] = [0x67, 77, 0, 40, 0b1100_0000, 2];
const PPS: [u8; 3] = [0x68, 0b1100_0000, 1];

fn bitstream(kind: Kind, extradata: &[u8]) -> Bitstream {
    let mut described = ParameterSets::default();
    keep_configuration(kind, extradata, &mut described);
    Bitstream {
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

fn packet(framing: Framing, units: &[&[u8]]) -> Vec<u8> {
    let mut packet = Vec::new();
    assert!(units.iter().all(|unit| framing.write(unit, &mut packet)));
    packet
}

fn avcc(sets: [&[u8]; 2]) -> Vec<u8> {
    let mut record = vec![1, 77, 0, 40, 0xff];
    for (nth, set) in sets.into_iter().enumerate() {
        record.push(if nth == 0 { 0xe1 } else { 1 });
        record.extend((set.len() as u16).to_be_bytes());
        record.extend(set);
    }
    record
}

fn h264(framing: Framing, units: &[&[u8]]) -> PacketFacts {
    bitstream(Kind::Nal(Family::H264, framing), &[]).inspect(&packet(framing, units)).0
}

fn hevc(types: &[u8]) -> Vec<PacketFacts> {
    let mut stream = bitstream(Kind::Nal(Family::Hevc, Framing::StartCodes), &[]);
    types.iter().map(|&kind| stream.inspect(&packet(Framing::StartCodes, &[&[kind << 1, 1, 0x80, 1]])).0).collect()
}

#[test]
fn h264_begins_at_an_idr_picture_and_at_one_that_recovers_at_once() {
    for framing in [Framing::StartCodes, Framing::Lengths(4), Framing::Lengths(1)] {
        assert!(h264(framing, &[&SPS, &IDR]).is_entry);
        assert!(h264(framing, &[&RECOVERS_AT_ONCE, &INTRA]).is_entry);
        assert!(!h264(framing, &[&RECOVERS_LATER, &INTRA]).is_entry, "gradual refresh");
        assert!(!h264(framing, &[&RECOVERS_AT_ONCE, &PREDICTED]).is_entry, "a promise that the picture does not keep");
        assert!(!h264(framing, &[&INTRA]).is_entry, "no message, no promise");
    }
}

#[test]
fn a_packet_without_slices_shows_nothing_and_a_damaged_packet_is_a_lost_picture() {
    assert_eq!(h264(Framing::StartCodes, &[&SPS, &PPS, &RECOVERS_LATER]), PacketFacts::NOTHING);
    assert_eq!(h264(Framing::Lengths(4), &[&[9, 0x10], &SPS]), PacketFacts::NOTHING);
    assert_eq!(h264(Framing::Lengths(4), &[&[0; 9]]), PacketFacts::PICTURE);
    let mut stream = bitstream(Kind::Nal(Family::H264, Framing::Lengths(4)), &[]);
    assert_eq!(stream.inspect(&[0, 0, 0, 99, 0x67, 77]).0, PacketFacts::PICTURE);
}

#[test]
fn hevc_begins_at_idr_bla_and_cra_and_skips_rasl_pictures_after_a_broken_link() {
    let (trail, rasl, bla, idr, cra) = (1, 9, 16, 19, 21);
    let packets = hevc(&[idr, trail, cra, rasl, bla, rasl, trail, cra, rasl]);
    let entries: Vec<bool> = packets.iter().map(|packet| packet.is_entry).collect();
    assert_eq!(entries, [true, false, true, false, true, false, false, true, false]);
    let pictures: Vec<bool> = packets.iter().map(|packet| packet.has_picture).collect();
    assert_eq!(pictures, [true, true, true, true, true, false, true, true, true]);
}

#[test]
fn hevc_sets_are_told_apart_by_their_numbers() {
    // Two sub-layers, the first with profile and level: 4 + 3 + 1 + 96 bits, 2 flags, 14 reserved bits, 96 bits, then the number 3: 00100.
    let mut sps = vec![33 << 1, 1, 0b0000_0010];
    sps.extend([0xff; 12]);
    sps.extend([0b1100_0000, 0]);
    sps.extend([0xee; 12]);
    sps.push(0b0010_0100);
    let mut sets = ParameterSets::default();
    Family::Hevc.keep(&sps, &mut sets);
    Family::Hevc.keep(&[32 << 1, 1, 0x50], &mut sets);
    Family::Hevc.keep(&[34 << 1, 1, 0b0110_0000], &mut sets);
    let keys: Vec<(u8, u16)> = sets.keys().map(|key| (key.class, key.number)).collect();
    assert_eq!(keys, [(0, 5), (1, 3), (2, 2)]);
}

#[test]
fn parameter_sets_that_stand_in_the_first_packet_only_lead_in_every_later_chunk() {
    let framing = Framing::Lengths(4);
    let mut stream = bitstream(Kind::Nal(Family::H264, framing), &[1, 77, 0, 40, 0xff, 0xe0, 0]);
    assert_eq!(stream.inspect(&packet(framing, &[&SPS, &PPS, &IDR])).1, None, "it has them itself");
    assert_eq!(stream.inspect(&packet(framing, &[&PREDICTED])).1, None, "no chunk starts here");
    let lead_in = stream.inspect(&packet(framing, &[&IDR])).1.unwrap();
    assert_eq!(*lead_in, LeadIn { changed: Vec::new(), at_start: packet(framing, &[&SPS, &PPS]) });
    let lead_in = stream.inspect(&packet(framing, &[&OTHER_SPS, &IDR])).1.unwrap();
    assert_eq!(
        lead_in.at_start,
        packet(framing, &[&OTHER_SPS, &PPS]),
        "the old picture parameter set does not survive a new sequence's"
    );
    assert_eq!(stream.inspect(&packet(framing, &[&OTHER_SPS, &PPS, &IDR])).1, None);
}

#[test]
fn sets_that_are_described_lead_in_nothing() {
    let framing = Framing::Lengths(4);
    let mut stream = bitstream(Kind::Nal(Family::H264, framing), &avcc([&SPS, &PPS]));
    for units in [&[&SPS[..], &PPS, &IDR][..], &[&PREDICTED], &[&IDR], &[&SPS, &IDR]] {
        assert_eq!(stream.inspect(&packet(framing, units)).1, None);
    }
}

#[test]
fn a_repeated_description_changes_nothing_and_another_one_is_added_to_the_stream() {
    let framing = Framing::Lengths(4);
    let mut stream = bitstream(Kind::Nal(Family::H264, framing), &avcc([&SPS, &PPS]));
    stream.inspect(&packet(framing, &[&IDR]));
    let mut longer = avcc([&SPS, &PPS]);
    longer.extend([0xfd, 0xf8, 0xf8, 0]);
    for same in [avcc([&SPS, &PPS]), longer] {
        assert!(stream.describe_anew(&same));
        assert_eq!(stream.inspect(&packet(framing, &[&IDR])).1, None);
    }
    assert!(stream.describe_anew(&avcc([&OTHER_SPS, &PPS])));
    let other = packet(framing, &[&OTHER_SPS, &PPS]);
    assert_eq!(
        *stream.inspect(&packet(framing, &[&IDR])).1.unwrap(),
        LeadIn { changed: other.clone(), at_start: other.clone() }
    );
    assert_eq!(*stream.inspect(&packet(framing, &[&IDR])).1.unwrap(), LeadIn { changed: Vec::new(), at_start: other });
    assert!(stream.can_be_copied);
    let mut framed_otherwise = avcc([&SPS, &PPS]);
    framed_otherwise[4] = 0xfc;
    assert!(stream.describe_anew(&framed_otherwise) && !stream.can_be_copied);
}

#[test]
fn another_description_that_no_decoder_follows_is_refused() {
    let (volume, other) = ([0, 0, 1, 0x20, 1], [0, 0, 1, 0x20, 2]);
    let mut stream = bitstream(Kind::Mpeg(Syntax::Mpeg4), &volume);
    assert!(stream.describe_anew(&volume) && !stream.describe_anew(&other));
    let mut stream = bitstream(Kind::IntraOnly, &[1]);
    assert!(stream.describe_anew(&[1]) && !stream.describe_anew(&[2]));
}

#[test]
fn a_stream_that_does_not_tell_is_entered_at_its_first_packet_only() {
    let mut stream = bitstream(Kind::Untold, &[]);
    assert_eq!([0, 1, 2].map(|_| stream.inspect(&[1]).0.is_entry), [true, false, false]);
}

#[test]
fn broken_packets_and_descriptions_do_not_panic() {
    let mut kinds = vec![Kind::Obu, Kind::IntraOnly, Kind::Untold];
    for family in [Family::H264, Family::Hevc] {
        kinds.extend((1..=4).map(|bytes| Kind::Nal(family, Framing::Lengths(bytes))));
        kinds.push(Kind::Nal(family, Framing::StartCodes));
    }
    kinds.extend([Syntax::Mpeg12, Syntax::Mpeg4, Syntax::Vc1].map(Kind::Mpeg));
    let codecs = [
        "vp8",
        "vp9",
        "vp6",
        "vp3",
        "theora",
        "ffv1",
        "h263",
        "flv1",
        "svq1",
        "msmpeg4v1",
        "msmpeg4v2",
        "wmv2",
        "wmv3",
    ];
    kinds.extend(codecs.map(|codec| Kind::FirstBits(FirstBits::of(codec, &[0x40, 0, 0, 0xff]).unwrap())));
    let mut seed = 1u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    for round in 0..3000 {
        // Mostly what headers are made of.
        let mut bytes = || -> Vec<u8> {
            let length = random() % 60;
            (0..length)
                .map(|_| match random() % 3 {
                    0 => [0, 0, 0, 1, 3, 6, 0x67, 0x68, 0x65, 0xb3, 0xb6, 0x20, 0x0f, 0x0d, 0xff, 0x81, 0x42, 0x44]
                        [random() % 18],
                    1 => 0,
                    _ => random() as u8,
                })
                .collect()
        };
        let kind = kinds[round % kinds.len()];
        let mut stream = bitstream(kind, &bytes());
        for _ in 0..3 {
            let data = bytes();
            stream.reaches_picture(&data);
            stream.inspect(&data);
            stream.describe_anew(&bytes());
        }
    }
}
