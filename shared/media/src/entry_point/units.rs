//! The units that H.264 and HEVC packets are made of (NAL units), and those of MPEG behind start codes.

/// How the units of a stream are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// 00 00 01 before each.
    StartCodes,
    /// A length of 1 to 4 bytes before each.
    Lengths(usize),
}

impl Framing {
    /// The units of a packet, without what frames them. The last one may be cut off.
    pub(crate) fn units(self, data: &[u8]) -> Units<'_> {
        let rest = match self {
            Self::StartCodes => after_start_code(data).unwrap_or_default(),
            Self::Lengths(_) => data,
        };
        Units { framing: self, rest, is_cut_off: false }
    }

    /// Appends a unit; false if its length can't be written.
    pub(crate) fn write(self, unit: &[u8], out: &mut Vec<u8>) -> bool {
        match self {
            Self::StartCodes => out.extend([0, 0, 0, 1]),
            Self::Lengths(bytes) => {
                let length = (unit.len() as u64).to_be_bytes();
                let (unused, used) = length.split_at(8 - bytes);
                if unused.iter().any(|&byte| byte != 0) {
                    return false;
                }
                out.extend(used);
            }
        }
        out.extend(unit);
        true
    }
}

/// What [`Framing::units`] gives, one at a time, without looking further into the packet than it has to.
pub(crate) struct Units<'a> {
    framing: Framing,
    rest: &'a [u8],
    is_cut_off: bool,
}

impl<'a> Units<'a> {
    /// Whether a unit was shorter than its length said.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// The bytes from the next unit to the end of the packet. The caller needs only the head of the unit, so its end is
    /// not searched.
    pub(crate) fn head(&self) -> Option<&'a [u8]> {
        match self.framing {
            Framing::StartCodes => Some(self.rest).filter(|rest| !rest.is_empty()),
            Framing::Lengths(bytes) => self.rest.get(bytes..).filter(|rest| !rest.is_empty()),
        }
    }
}

impl<'a> Iterator for Units<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self.framing {
            Framing::Lengths(bytes) => {
                let (head, tail) = self.rest.split_at_checked(bytes)?;
                let length = head.iter().fold(0usize, |n, &b| n << 8 | usize::from(b));
                let unit = &tail[..length.min(tail.len())];
                self.is_cut_off |= length > tail.len();
                self.rest = &tail[unit.len()..];
                Some(unit)
            }
            Framing::StartCodes => {
                let unit = Some(self.rest).filter(|rest| !rest.is_empty())?;
                let end = start_code(unit).unwrap_or(unit.len());
                self.rest = unit.get(end + 3..).unwrap_or_default();
                // The zeros before a start code belong to no unit.
                let unit = &unit[..end];
                Some(&unit[..unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)])
            }
        }
    }
}

/// Where the next 00 00 01 lies.
pub(crate) fn start_code(data: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        // Checking every third byte is enough to find a 1 after two zeros, and most bytes are larger than 1.
        match data.get(at + 2)? {
            0 => at += 1,
            1 if data[at] == 0 && data[at + 1] == 0 => return Some(at),
            _ => at += 3,
        }
    }
}

/// What follows the first 00 00 01.
pub(crate) fn after_start_code(data: &[u8]) -> Option<&[u8]> {
    start_code(data).map(|at| &data[at + 3..])
}

/// The first `most` bytes of a unit's content, without the bytes that keep start codes out of it (03 after two zeros).
pub(crate) fn content(unit: &[u8], most: usize) -> Vec<u8> {
    let mut content = Vec::with_capacity(most.min(unit.len()));
    let mut zeros = 0;
    for &byte in unit {
        if content.len() == most {
            break;
        }
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        content.push(byte);
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_in_both_framings_and_written_as_they_were() {
        let units: [&[u8]; 3] = [&[0x67, 1, 0, 0, 3, 1], &[0x68], &[0x65, 9, 9]];
        for framing in [Framing::StartCodes, Framing::Lengths(4), Framing::Lengths(2), Framing::Lengths(1)] {
            let mut packet = Vec::new();
            assert!(units.iter().all(|unit| framing.write(unit, &mut packet)));
            assert_eq!(framing.units(&packet).collect::<Vec<_>>(), units);
        }
        assert!(!Framing::Lengths(1).write(&[1; 256], &mut Vec::new()), "256 is more than a byte says");
        assert_eq!(Framing::StartCodes.units(&[0, 0, 1, 7, 0, 0, 0, 0, 1, 8]).collect::<Vec<_>>(), [[7], [8]]);
        assert_eq!(content(&[1, 0, 0, 3, 1, 0, 0, 3], 9), [1, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_start_code_is_found_wherever_it_lies() {
        for zeros in 0..8 {
            for before in 0..7 {
                let data = [vec![9; before], vec![0; zeros], vec![1, 2]].concat();
                let expected = (zeros >= 2).then(|| before + zeros - 2);
                assert_eq!(start_code(&data), expected, "{data:?}");
            }
        }
    }
}
