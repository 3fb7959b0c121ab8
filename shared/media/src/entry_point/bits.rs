//! Bits of a stream's headers, first bit first, and the Exp-Golomb numbers of H.264 and HEVC.

/// Reads bits from bytes; behind the end all bits are 0, and the reader says that it went beyond.
#[derive(Clone, Debug)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Whether more was read than there is.
    pub(crate) fn is_beyond(&self) -> bool {
        self.at > self.bytes.len().saturating_mul(8)
    }

    pub(crate) fn skip(&mut self, bits: usize) -> &mut Self {
        self.at = self.at.saturating_add(bits);
        self
    }

    pub(crate) fn bit(&mut self) -> bool {
        let byte = self.bytes.get(self.at / 8).copied().unwrap_or(0);
        let bit = byte >> (7 - self.at % 8) & 1;
        self.skip(1);
        bit == 1
    }

    /// A number of up to 32 bits.
    pub(crate) fn number(&mut self, bits: u32) -> u32 {
        (0..bits).fold(0, |number, _| number << 1 | u32::from(self.bit()))
    }

    /// ue(v); None for one of more than 32 bits, and where the bytes end.
    pub(crate) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit() {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let number = (1u32 << zeros) - 1 + self.number(zeros);
        (!self.is_beyond()).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_bit_by_bit_and_none_is_made_up() {
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010]);
        assert_eq!(bits.exp_golomb(), Some(0));
        assert_eq!(bits.exp_golomb(), Some(1));
        assert_eq!(bits.number(2), 0b01);
        assert_eq!(bits.exp_golomb(), Some(0));
        assert_eq!(bits.exp_golomb(), Some(3));
        assert_eq!(Bits::new(&[0, 0]).exp_golomb(), None);
        assert_eq!(Bits::new(&[0b0000_0001]).exp_golomb(), None, "the number's second half is missing");
        assert_eq!(Bits::new(&[0; 9]).exp_golomb(), None);
    }
}
