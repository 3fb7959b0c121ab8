//! Mutations from a seed, the same on every machine.

/// A sequence of numbers (splitmix64).
pub struct Mutator(pub u64);

impl Mutator {
    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    /// The bytes with one to eight changes: bits, numbers at the edges of their range, stretches lost, doubled and swapped for others, an end
    /// cut off. Half of them fall into the first and last kilobyte, where containers describe themselves.
    pub fn mutated(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(8) {
            if bytes.is_empty() {
                break;
            }
            let length = bytes.len();
            let at = match self.below(4) {
                0 => self.below(length.min(1024)),
                1 => length - 1 - self.below(length.min(1024)),
                _ => self.below(length),
            };
            let end = (at + 1 + self.below(64)).min(length);
            match self.below(7) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'9', b'-', b'*'][self.below(8)],
                2 => {
                    let number = [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX, 0x0001_0000][self.below(6)];
                    let end = (at + 4).min(length);
                    bytes[at..end].copy_from_slice(&u32::to_be_bytes(number)[..end - at]);
                }
                3 => drop(bytes.drain(at..end)),
                4 => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                5 => {
                    let from = self.below(length - (end - at) + 1);
                    bytes.copy_within(from..from + (end - at), at);
                }
                _ if self.below(4) == 0 => bytes.truncate(at),
                _ => bytes[at] = self.below(256) as u8,
            }
        }
        bytes
    }
}
