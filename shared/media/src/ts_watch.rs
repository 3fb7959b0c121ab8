//! Detects two things that FFmpeg's MPEG-TS demuxer does not report: streams that continue in another PID, and
//! scrambled packets.
//!
//! It examines the bytes that the demuxer reads (ISO/IEC 13818-1, 2.4.3 and 2.4.4).

use std::collections::{BTreeMap, BTreeSet};

/// Packets that must follow each other in step for the bytes to be a transport stream.
const IN_STEP: usize = 5;
/// Sizes of a packet: plain, with a time in front (M2TS), with parity behind.
const SIZES: [usize; 3] = [188, 192, 204];
const SYNC: u8 = 0x47;
/// Types of stream that are video (ISO/IEC 13818-1, table 2-34, and what is registered since).
const VIDEO: [u8; 11] = [0x01, 0x02, 0x10, 0x1b, 0x20, 0x21, 0x24, 0x33, 0x42, 0xd1, 0xea];
/// Fewer scrambled packets than one in this many may be errors of transmission.
const SCRAMBLED_ONE_IN: u64 = 20;

/// Looks at a transport stream from its start. What is read again, or out of order, is not looked at again.
#[derive(Debug, Default)]
pub(crate) struct TsWatch {
    /// Bytes looked at so far.
    seen: u64,
    /// What is left of them, less than a packet.
    rest: Vec<u8>,
    step: Step,
    /// PID of each programme's map.
    maps: BTreeMap<u16, u16>,
    sections: BTreeMap<u16, Vec<u8>>,
    /// Where the packets of tables began after which nothing else has come.
    tables_from: Option<u64>,
    /// What the programmes are made of, and from which byte on.
    layouts: Vec<Layout>,
    pids: BTreeMap<u16, PidFacts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Unknown,
    /// Bytes of a packet.
    Of(usize),
    /// It is no transport stream.
    None,
}

/// The streams of all programmes as PID and type, from a byte on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layout {
    from_byte: u64,
    programs: BTreeMap<u16, Vec<(u16, u8)>>,
}

#[derive(Debug, Default)]
struct PidFacts {
    packets: u64,
    scrambled: u64,
    last_byte: u64,
}

/// Where a stream ends because its programme continues without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The first byte of the new layout.
    pub at_byte: u64,
    /// The PID that takes its place, where there is one.
    pub to_pid: Option<u16>,
}

impl TsWatch {
    /// Looks at bytes that lie at `position` of the file.
    pub(crate) fn take(&mut self, position: u64, bytes: &[u8]) {
        let Some(skip) = self.seen.checked_sub(position).filter(|&skip| skip < bytes.len() as u64) else { return };
        if self.step == Step::None {
            return;
        }
        let new = &bytes[skip as usize..];
        self.seen += new.len() as u64;
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(new);
        let start = self.seen - rest.len() as u64;
        let used = self.inspect(start, &rest);
        rest.drain(..used);
        self.rest = rest;
    }

    /// Looks at all whole packets; gives the bytes that need not be seen again.
    fn inspect(&mut self, start: u64, bytes: &[u8]) -> usize {
        let mut at = 0;
        if self.step == Step::Unknown {
            match find_step(bytes) {
                Some((size, offset)) => (self.step, at) = (Step::Of(size), offset),
                None if bytes.len() < 2 * IN_STEP * SIZES[2] => return 0,
                None => {
                    self.step = Step::None;
                    return bytes.len();
                }
            }
        }
        let Step::Of(size) = self.step else { return bytes.len() };
        while at + size <= bytes.len() {
            if bytes[at] == SYNC {
                self.packet(start + at as u64, &bytes[at..at + SIZES[0]]);
                at += size;
            } else {
                at += 1;
            }
        }
        at
    }

    fn packet(&mut self, place: u64, packet: &[u8]) {
        let pid = u16::from_be_bytes([packet[1], packet[2]]) & 0x1fff;
        let begins_unit = packet[1] & 0x40 != 0;
        let (has_payload, has_adaptation) = (packet[3] & 0x10 != 0, packet[3] & 0x20 != 0);
        if packet[1] & 0x80 != 0 || !has_payload {
            return;
        }
        let is_scrambled = packet[3] & 0xc0 != 0;
        let facts = self.pids.entry(pid).or_default();
        facts.packets += 1;
        facts.scrambled += u64::from(is_scrambled);
        facts.last_byte = place;
        let is_table = pid < 0x20 || self.maps.values().any(|&map| map == pid);
        self.tables_from = is_table.then(|| self.tables_from.unwrap_or(place));
        let from = if has_adaptation { 5 + usize::from(packet[4]) } else { 4 };
        let Some(payload) = packet.get(from..).filter(|payload| is_table && !is_scrambled && !payload.is_empty())
        else {
            return;
        };
        if begins_unit {
            let pointer = usize::from(payload[0]);
            let (before, after) = payload[1..].split_at(pointer.min(payload.len() - 1));
            if let Some(section) = self.sections.remove(&pid) {
                self.section(place, pid, &[&section, before].concat());
            }
            self.gather(place, pid, after.to_vec());
        } else if let Some(mut section) = self.sections.remove(&pid) {
            section.extend_from_slice(payload);
            self.gather(place, pid, section);
        }
    }

    /// Keeps a section until it is whole.
    fn gather(&mut self, place: u64, pid: u16, section: Vec<u8>) {
        if section.len() >= 3 && section.len() >= section_bytes(&section) {
            self.section(place, pid, &section);
        } else {
            self.sections.insert(pid, section);
        }
    }

    fn section(&mut self, place: u64, pid: u16, section: &[u8]) {
        let Some(section) = section.get(..section_bytes(section)).filter(|section| section.len() >= 12) else { return };
        let is_current = section[5] & 1 != 0;
        if !is_current || crc32(section) != 0 {
            return;
        }
        let id = u16::from_be_bytes([section[3], section[4]]);
        let body = &section[8..section.len() - 4];
        match (section[0], pid) {
            (0, 0) => self.association(body),
            (2, _) if self.maps.get(&id) == Some(&pid) => self.map(place, id, body),
            _ => {}
        }
    }

    fn association(&mut self, body: &[u8]) {
        let all = body
            .chunks_exact(4)
            .map(|entry| (u16::from_be_bytes([entry[0], entry[1]]), u16::from_be_bytes([entry[2], entry[3]]) & 0x1fff));
        // Programme 0 is the network's table.
        self.maps = all.filter(|&(program, _)| program != 0).collect();
    }

    fn map(&mut self, place: u64, program: u16, body: &[u8]) {
        let length =
            |at: usize| body.get(at..at + 2).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]]) & 0xfff));
        let Some(mut at) = length(2).map(|descriptors| 4 + descriptors) else { return };
        let mut streams = Vec::new();
        while let (Some(entry), Some(descriptors)) = (body.get(at..at + 3), length(at + 3)) {
            streams.push((u16::from_be_bytes([entry[1], entry[2]]) & 0x1fff, entry[0]));
            at += 5 + descriptors;
        }
        let mut programs = self.layouts.last().map(|layout| layout.programs.clone()).unwrap_or_default();
        programs.retain(|known, _| self.maps.contains_key(known));
        programs.insert(program, streams);
        if self.layouts.last().is_none_or(|layout| layout.programs != programs) {
            self.layouts.push(Layout { from_byte: self.tables_from.unwrap_or(place), programs });
        }
    }

    /// Whether the packets of a PID are scrambled, all or a good part of them.
    pub(crate) fn is_scrambled(&self, pid: u16) -> bool {
        self.pids.get(&pid).is_some_and(|facts| facts.scrambled * SCRAMBLED_ONE_IN > facts.packets)
    }

    /// Where the programme of a PID continues without that PID, or with another stream in it.
    pub(crate) fn moved(&self, pid: u16) -> Option<Moved> {
        let has = |layout: &Layout| {
            layout.programs.iter().find_map(|(&program, streams)| {
                let &(_, kind) = streams.iter().find(|&&(known, _)| known == pid)?;
                Some((program, kind))
            })
        };
        let first = self.layouts.iter().position(|layout| has(layout).is_some())?;
        let (program, kind) = has(&self.layouts[first])?;
        let before: BTreeSet<u16> = pids_of(&self.layouts[first]).collect();
        self.layouts[first + 1..].iter().find_map(|layout| {
            // A new number for the programme, where there is but one, is the same programme.
            let streams = match (layout.programs.get(&program), layout.programs.len()) {
                (Some(streams), _) => streams,
                (None, 1) => layout.programs.values().next()?,
                (None, _) => return None,
            };
            if streams.contains(&(pid, kind)) {
                return None;
            }
            let is_taken = streams.iter().any(|&(known, _)| known == pid);
            let is_alike = |other: u8| VIDEO.contains(&other) == VIDEO.contains(&kind);
            let comes = |other: u16| self.pids.get(&other).is_some_and(|facts| facts.last_byte > layout.from_byte);
            let successor =
                streams.iter().find(|&&(other, its)| is_alike(its) && !before.contains(&other) && comes(other));
            let to_pid = successor.map(|&(other, _)| other);
            (is_taken || to_pid.is_some()).then_some(Moved { at_byte: layout.from_byte, to_pid })
        })
    }
}

fn pids_of(layout: &Layout) -> impl Iterator<Item = u16> + '_ {
    layout.programs.values().flatten().map(|&(pid, _)| pid)
}

/// The packet size with which packets begin in step, and where the first one begins.
fn find_step(bytes: &[u8]) -> Option<(usize, usize)> {
    SIZES.into_iter().find_map(|size| {
        let in_step = |offset: usize| (0..IN_STEP).all(|nth| bytes.get(offset + nth * size) == Some(&SYNC));
        (0..size).find(|&offset| in_step(offset)).map(|offset| (size, offset))
    })
}

/// Bytes of a whole section, by its head; the most there can be where the head is not whole.
fn section_bytes(section: &[u8]) -> usize {
    match section {
        [_, high, low, ..] => 3 + usize::from(u16::from_be_bytes([*high, *low]) & 0xfff),
        _ => usize::MAX,
    }
}

/// CRC-32 of MPEG-2 (ISO/IEC 13818-1, annex A); 0 over a section with its own sum.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ (u32::from(byte) << 24), |sum, _| {
            if sum & 0x8000_0000 != 0 { (sum << 1) ^ 0x04c1_1db7 } else { sum << 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pid: u16, begins: bool, control: u8, payload: &[u8]) -> Vec<u8> {
        let [high, low] = pid.to_be_bytes();
        let mut packet = vec![SYNC, high | if begins { 0x40 } else { 0 }, low, control | 0x10];
        packet.extend_from_slice(payload);
        packet.resize(SIZES[0], 0xff);
        packet
    }

    fn table(id: u8, number: u16, body: &[u8]) -> Vec<u8> {
        let [high, low] = (0xb000 | (body.len() as u16 + 9)).to_be_bytes();
        let [number_high, number_low] = number.to_be_bytes();
        let mut section = [&[id, high, low, number_high, number_low, 0xc1, 0, 0][..], body].concat();
        section.extend(crc32(&section).to_be_bytes());
        [vec![0], section].concat()
    }

    /// Association, map with these streams, and a packet of each.
    fn mux(program: u16, map_pid: u16, streams: &[(u16, u8)], control: u8) -> Vec<u8> {
        let [high, low] = program.to_be_bytes();
        let [pid_high, pid_low] = map_pid.to_be_bytes();
        let mut all = packet(0, true, 0, &table(0, 1, &[high, low, 0xe0 | pid_high, pid_low]));
        let entries = streams.iter().flat_map(|&(pid, kind)| [kind, 0xe0 | (pid >> 8) as u8, pid as u8, 0xf0, 0]);
        let body: Vec<u8> = [0xe1, 0, 0xf0, 0].into_iter().chain(entries).collect();
        all.extend(packet(map_pid, true, 0, &table(2, program, &body)));
        for _ in 0..3 {
            streams.iter().for_each(|&(pid, _)| all.extend(packet(pid, true, control, &[0, 0, 1, 0xe0])));
        }
        all
    }

    fn watch(bytes: &[u8], at_once: usize) -> TsWatch {
        let mut watch = TsWatch::default();
        let mut position = 0;
        for some in bytes.chunks(at_once) {
            watch.take(position, some);
            // What is read twice is seen once.
            watch.take(position, some);
            position += some.len() as u64;
        }
        watch
    }

    const BOTH: [(u16, u8); 2] = [(0x100, 0x1b), (0x101, 0x0f)];

    #[test]
    fn a_stream_that_stays_has_not_moved() {
        let bytes = [mux(1, 0x1000, &BOTH, 0), mux(1, 0x1000, &BOTH, 0)].concat();
        for at_once in [1, 100, 188, 5000] {
            let watch = watch(&bytes, at_once);
            assert_eq!((watch.moved(0x100), watch.is_scrambled(0x100), watch.layouts.len()), (None, false, 1));
        }
    }

    #[test]
    fn a_stream_that_goes_on_in_another_pid_is_found_in_every_way_to_say_so() {
        let first = mux(1, 0x1000, &BOTH, 0);
        let moved = [(0x200, 0x1b), (0x201, 0x0f)];
        let swapped = [(0x200, 0x0f), (0x201, 0x1b)];
        for (second, to) in [
            (mux(1, 0x1000, &moved, 0), Some(0x200)),
            (mux(1, 0x1100, &moved, 0), Some(0x200)),
            (mux(7, 0x1000, &moved, 0), Some(0x200)),
            (mux(1, 0x1000, &swapped, 0), Some(0x201)),
            (mux(1, 0x1000, &[(0x100, 0x24), (0x101, 0x0f)], 0), None),
            (mux(1, 0x1000, &[(0x101, 0x1b), (0x100, 0x0f)], 0), None),
        ] {
            let found = watch(&[&first[..], &second].concat(), 777).moved(0x100).unwrap();
            assert_eq!(found.to_pid, to);
            assert_eq!(found.at_byte, first.len() as u64, "the tables of the second half");
        }
    }

    #[test]
    fn two_programmes_are_no_move() {
        let two = [mux(1, 0x1000, &BOTH, 0), mux(1, 0x1000, &BOTH, 0)].concat();
        let other = [(0x300, 0x1b)];
        let entries = [0, 1, 0xf0, 0, 0, 2, 0xf1, 0];
        let mut bytes = packet(0, true, 0, &table(0, 1, &entries));
        bytes.extend(&two[188..376]);
        bytes.extend(&mux(2, 0x1100, &other, 0)[188..]);
        bytes.extend(&two[188..564]);
        assert_eq!(watch(&bytes, 1000).moved(0x100), None);
    }

    #[test]
    fn scrambled_packets_are_counted_and_a_few_are_errors() {
        let clear = mux(1, 0x1000, &BOTH, 0);
        let scrambled = mux(1, 0x1000, &BOTH, 0x80);
        assert!(watch(&scrambled, 188).is_scrambled(0x100));
        assert!(watch(&[clear.repeat(5), scrambled.clone()].concat(), 188).is_scrambled(0x100));
        assert!(!watch(&[clear.repeat(30), scrambled].concat(), 188).is_scrambled(0x100));
    }

    #[test]
    fn nothing_that_is_no_transport_stream_is_looked_at_or_panics() {
        for byte in [0, SYNC, 0xff] {
            let watch = watch(&vec![byte; 10_000], 333);
            assert_eq!((watch.moved(0x100), watch.is_scrambled(0x100)), (None, false));
        }
        let mut broken = mux(1, 0x1000, &BOTH, 0);
        for at in 0..broken.len() {
            broken[at] ^= 0x55;
            watch(&broken, 188).moved(0x100);
        }
    }
}
