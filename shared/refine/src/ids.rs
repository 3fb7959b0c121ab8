//! Maps by id that cost little, since every row of a video is looked up in them.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// By numbers that are counted up, such as ids of a tracker: nobody picks them so that they collide. Their order means nothing.
pub(crate) type ById<T> = HashMap<u64, T, BuildHasherDefault<IdHasher>>;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdHasher(u64);

/// 2^64 over the golden ratio: neighbours are spread over all bits (Knuth, *The Art of Computer Programming* 3, 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(GOLDEN).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
