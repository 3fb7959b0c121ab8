//! Rows as bytes.

use crate::{
    motion::Motion,
    pieces::End,
    row::{Origin, Row},
};
use std::io;

/// A tracked row on its way to the refinements, by its id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracked {
    pub(super) row: Row,
    /// Its place among the rows of its frame.
    pub(super) place: u32,
    /// See [`crowding`](crate::crowding::crowding).
    pub(super) crowding: f64,
}

/// How wide the numbers of rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// 32 bits, as in results: others are refused, and refined edges are rounded to it.
    Single,
    /// 64 bits.
    Double,
}

/// Bytes of what a row has beside its numbers: frame, place, class, crowding.
const TRACKED_BYTES: usize = 20;
/// Frame and id.
const BOX_BYTES: usize = 12;
/// Frame, and place with origin: what orders a refined row; then id and class.
const FINAL_BYTES: usize = 24;
/// The number of a stretch, and 12 numbers.
pub(super) const END_BYTES: usize = 100;

impl Numbers {
    fn bytes(self) -> usize {
        if self == Self::Single { 4 } else { 8 }
    }

    /// Of two boxes and a score.
    pub(super) fn tracked_bytes(self) -> usize {
        TRACKED_BYTES + 9 * self.bytes()
    }

    pub(super) fn box_bytes(self) -> usize {
        BOX_BYTES + 4 * self.bytes()
    }

    /// Of a box and a score.
    pub(super) fn final_bytes(self) -> usize {
        FINAL_BYTES + 5 * self.bytes()
    }

    /// Appends numbers that must not lose a bit.
    fn put<const N: usize>(self, values: [f64; N], into: &mut Vec<u8>) -> io::Result<()> {
        for value in values.iter().filter(|_| self == Self::Single) {
            if f64::from(*value as f32).to_bits() != value.to_bits() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("{value} is no 32-bit float: hold numbers of 64 bits instead"),
                ));
            }
        }
        self.put_rounded(values, into);
        Ok(())
    }

    fn put_rounded<const N: usize>(self, values: [f64; N], into: &mut Vec<u8>) {
        match self {
            Self::Single => values.iter().for_each(|value| into.extend_from_slice(&(*value as f32).to_le_bytes())),
            Self::Double => values.iter().for_each(|value| into.extend_from_slice(&value.to_le_bytes())),
        }
    }
}

/// Fields one after the other.
struct Reader<'a>(Numbers, &'a [u8]);

impl Reader<'_> {
    #[inline]
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (now, rest) = self.1.split_at(N);
        self.1 = rest;
        std::array::from_fn(|at| now[at])
    }

    #[inline]
    fn numbers<const N: usize>(&mut self) -> [f64; N] {
        match self.0 {
            Numbers::Single => std::array::from_fn(|_| f64::from(f32::from_le_bytes(self.take()))),
            Numbers::Double => std::array::from_fn(|_| f64::from_le_bytes(self.take())),
        }
    }
}

impl Tracked {
    pub(super) fn put(self, numbers: Numbers, into: &mut Vec<u8>) -> io::Result<()> {
        into.extend_from_slice(&self.row.frame.to_le_bytes());
        into.extend_from_slice(&self.place.to_le_bytes());
        into.extend_from_slice(&self.row.class.to_le_bytes());
        into.extend_from_slice(&self.crowding.to_le_bytes());
        numbers.put(self.row.bbox, into)?;
        numbers.put(self.row.measured, into)?;
        numbers.put([self.row.score], into)
    }

    /// All of some bytes; they are rows of this id.
    pub(super) fn of_bytes(bytes: &[u8], numbers: Numbers, id: u64) -> impl Iterator<Item = Self> {
        bytes.chunks_exact(numbers.tracked_bytes()).map(move |record| Self::of_record(record, numbers, id))
    }

    /// One of some bytes; they are rows of this id.
    #[inline]
    pub(super) fn at(bytes: &[u8], place: usize, numbers: Numbers, id: u64) -> Self {
        let length = numbers.tracked_bytes();
        Self::of_record(&bytes[place * length..(place + 1) * length], numbers, id)
    }

    #[inline]
    fn of_record(record: &[u8], numbers: Numbers, id: u64) -> Self {
        let mut reader = Reader(numbers, record);
        let (frame, place) = (u32::from_le_bytes(reader.take()), u32::from_le_bytes(reader.take()));
        let (class, crowding) = (i32::from_le_bytes(reader.take()), f64::from_le_bytes(reader.take()));
        let (bbox, measured, [score]) = (reader.numbers(), reader.numbers(), reader.numbers());
        Self { row: Row { measured, score, class, ..Row::new(frame, id, bbox) }, place, crowding }
    }
}

/// A box of a frame.
pub(super) fn put_box(frame: u32, id: u64, bbox: [f64; 4], numbers: Numbers, into: &mut Vec<u8>) -> io::Result<()> {
    into.extend_from_slice(&frame.to_le_bytes());
    into.extend_from_slice(&id.to_le_bytes());
    numbers.put(bbox, into)
}

pub(super) fn boxes_of_bytes(bytes: &[u8], numbers: Numbers) -> impl Iterator<Item = (u32, u64, [f64; 4])> {
    bytes.chunks_exact(numbers.box_bytes()).map(move |record| {
        let mut reader = Reader(numbers, record);
        (u32::from_le_bytes(reader.take()), u64::from_le_bytes(reader.take()), reader.numbers())
    })
}

/// What an end of a stretch says, with the number of the stretch.
pub(super) fn end_to_bytes(stretch: u32, end: &End) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(END_BYTES);
    bytes.extend_from_slice(&stretch.to_le_bytes());
    for Motion { x, v, xx, xv, vv } in end.motion {
        Numbers::Double.put_rounded([x, v, xx, xv, vv], &mut bytes);
    }
    Numbers::Double.put_rounded([end.ln_height, end.ln_height_variance], &mut bytes);
    bytes
}

pub(super) fn ends_of_bytes(bytes: &[u8]) -> impl Iterator<Item = (u32, End)> {
    bytes.chunks_exact(END_BYTES).map(|record| {
        let mut reader = Reader(Numbers::Double, record);
        let stretch = u32::from_le_bytes(reader.take());
        let mut motion = || {
            let [x, v, xx, xv, vv] = reader.numbers();
            Motion { x, v, xx, xv, vv }
        };
        let motion = [motion(), motion()];
        let [ln_height, ln_height_variance] = reader.numbers();
        (stretch, End { motion, ln_height, ln_height_variance })
    })
}

/// A refined row: `place` orders those of a frame and an origin.
pub(super) fn put_final(row: &Row, place: u64, numbers: Numbers, into: &mut Vec<u8>) {
    let origin: u64 = match row.origin {
        Origin::Tracked => 0,
        Origin::Detected => 1,
        Origin::Filled => 2,
    };
    into.extend_from_slice(&row.frame.to_le_bytes());
    into.extend_from_slice(&((origin << 56) | place).to_le_bytes());
    into.extend_from_slice(&row.id.to_le_bytes());
    into.extend_from_slice(&row.class.to_le_bytes());
    numbers.put_rounded(row.bbox, into);
    numbers.put_rounded([row.score], into);
}

/// The rows of some bytes, in order; they are of neighbouring frames.
pub(super) fn finals_of_bytes(bytes: &[u8], numbers: Numbers) -> impl Iterator<Item = Row> {
    let length = numbers.final_bytes();
    in_order(bytes, numbers).into_iter().map(move |(key, at)| {
        let start = at as usize * length;
        let mut reader = Reader(numbers, &bytes[start..start + length]);
        let frame = u32::from_le_bytes(reader.take());
        reader.take::<8>();
        let (id, class) = (u64::from_le_bytes(reader.take()), i32::from_le_bytes(reader.take()));
        let (bbox, [score]) = (reader.numbers(), reader.numbers());
        let origin = match key >> 56 {
            0 => Origin::Tracked,
            1 => Origin::Detected,
            _ => Origin::Filled,
        };
        Row { score, class, origin, ..Row::new(frame, id, bbox) }
    })
}

/// Which refined row comes after which: what orders it in its frame, and its number. Keys are sorted, not rows, which are large; and counted by frame
/// before, which takes less time than to sort all.
fn in_order(bytes: &[u8], numbers: Numbers) -> Vec<(u64, u32)> {
    let keys = || {
        bytes.chunks_exact(numbers.final_bytes()).map(|record| {
            let mut reader = Reader(numbers, record);
            (u32::from_le_bytes(reader.take()), u64::from_le_bytes(reader.take()))
        })
    };
    let first = keys().map(|(frame, _)| frame).min().unwrap_or(0);
    let mut ends = Vec::new();
    for (frame, _) in keys() {
        let at = (frame - first) as usize;
        if ends.len() <= at {
            ends.resize(at + 1, 0_usize);
        }
        ends[at] += 1;
    }
    let mut next = 0;
    for count in &mut ends {
        next += std::mem::replace(count, next);
    }
    let mut order = vec![(0, 0); next];
    for ((frame, key), number) in keys().zip(0..) {
        let end = &mut ends[(frame - first) as usize];
        order[*end] = (key, number);
        *end += 1;
    }
    let mut start = 0;
    for end in ends {
        order[start..end].sort_unstable();
        start = end;
    }
    order
}
