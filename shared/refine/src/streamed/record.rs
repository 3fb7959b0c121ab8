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

pub(super) const TRACKED_BYTES: usize = 56;
pub(super) const BOX_BYTES: usize = 28;
pub(super) const FINAL_BYTES: usize = 44;
/// Of these, what orders it: frame, and place with origin.
const FINAL_KEY_BYTES: usize = 12;
pub(super) const END_BYTES: usize = 100;

/// Fields one after the other.
struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        let (now, rest) = std::mem::take(&mut self.0).split_at_mut(N);
        now.copy_from_slice(&bytes);
        self.0 = rest;
    }

    /// Numbers that are 32-bit floats, as detections have them.
    fn put_floats<const N: usize>(&mut self, values: [f64; N]) -> io::Result<()> {
        for value in values {
            let short = value as f32;
            if f64::from(short).to_bits() != value.to_bits() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("{value} is no 32-bit float: hold the rows in memory instead"),
                ));
            }
            self.put(short.to_le_bytes());
        }
        Ok(())
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (now, rest) = self.0.split_at(N);
        self.0 = rest;
        std::array::from_fn(|at| now[at])
    }

    fn floats<const N: usize>(&mut self) -> [f64; N] {
        std::array::from_fn(|_| f64::from(f32::from_le_bytes(self.take())))
    }
}

impl Tracked {
    pub(super) fn to_bytes(self) -> io::Result<[u8; TRACKED_BYTES]> {
        let mut bytes = [0; TRACKED_BYTES];
        let mut writer = Writer(&mut bytes);
        writer.put(self.row.frame.to_le_bytes());
        writer.put(self.place.to_le_bytes());
        writer.put_floats(self.row.bbox)?;
        writer.put_floats(self.row.measured)?;
        writer.put_floats([self.row.score])?;
        writer.put(self.row.class.to_le_bytes());
        writer.put(self.crowding.to_le_bytes());
        Ok(bytes)
    }

    /// All of some bytes; they are rows of this id.
    pub(super) fn of_bytes(bytes: &[u8], id: u64) -> impl Iterator<Item = Self> {
        bytes.as_chunks::<TRACKED_BYTES>().0.iter().map(move |bytes| Self::of_record(bytes, id))
    }

    /// One of some bytes; they are rows of this id.
    pub(super) fn at(bytes: &[u8], place: usize, id: u64) -> Self {
        Self::of_record(&bytes.as_chunks::<TRACKED_BYTES>().0[place], id)
    }

    fn of_record(bytes: &[u8; TRACKED_BYTES], id: u64) -> Self {
        let mut reader = Reader(bytes);
        let (frame, place) = (u32::from_le_bytes(reader.take()), u32::from_le_bytes(reader.take()));
        let (bbox, measured, [score]) = (reader.floats(), reader.floats(), reader.floats());
        let class = i32::from_le_bytes(reader.take());
        let row = Row { measured, score, class, ..Row::new(frame, id, bbox) };
        Self { row, place, crowding: f64::from_le_bytes(reader.take()) }
    }
}

/// A box of a frame.
pub(super) fn box_to_bytes(frame: u32, id: u64, bbox: [f64; 4]) -> io::Result<[u8; BOX_BYTES]> {
    let mut bytes = [0; BOX_BYTES];
    let mut writer = Writer(&mut bytes);
    writer.put(frame.to_le_bytes());
    writer.put(id.to_le_bytes());
    writer.put_floats(bbox)?;
    Ok(bytes)
}

pub(super) fn boxes_of_bytes(bytes: &[u8]) -> impl Iterator<Item = (u32, u64, [f64; 4])> {
    bytes.as_chunks::<BOX_BYTES>().0.iter().map(|bytes| {
        let mut reader = Reader(bytes);
        (u32::from_le_bytes(reader.take()), u64::from_le_bytes(reader.take()), reader.floats())
    })
}

/// What an end of a stretch says, with the number of the stretch.
pub(super) fn end_to_bytes(stretch: u32, end: &End) -> [u8; END_BYTES] {
    let mut bytes = [0; END_BYTES];
    let mut writer = Writer(&mut bytes);
    writer.put(stretch.to_le_bytes());
    for Motion { x, v, xx, xv, vv } in end.motion {
        [x, v, xx, xv, vv].iter().for_each(|value| writer.put(value.to_le_bytes()));
    }
    writer.put(end.ln_height.to_le_bytes());
    writer.put(end.ln_height_variance.to_le_bytes());
    bytes
}

pub(super) fn ends_of_bytes(bytes: &[u8]) -> impl Iterator<Item = (u32, End)> {
    bytes.as_chunks::<END_BYTES>().0.iter().map(|bytes| {
        let mut reader = Reader(bytes);
        let stretch = u32::from_le_bytes(reader.take());
        let mut value = || f64::from_le_bytes(reader.take());
        let mut motion = || Motion { x: value(), v: value(), xx: value(), xv: value(), vv: value() };
        let motion = [motion(), motion()];
        (stretch, End { motion, ln_height: value(), ln_height_variance: value() })
    })
}

/// A refined row, with edges of 32 bits: `place` orders those of a frame and an origin.
pub(super) fn final_to_bytes(row: &Row, place: u64) -> [u8; FINAL_BYTES] {
    let mut bytes = [0; FINAL_BYTES];
    let mut writer = Writer(&mut bytes);
    let origin: u32 = match row.origin {
        Origin::Tracked => 0,
        Origin::Detected => 1,
        Origin::Filled => 2,
    };
    writer.put(row.frame.to_le_bytes());
    writer.put(((u64::from(origin) << 56) | place).to_le_bytes());
    writer.put(row.id.to_le_bytes());
    row.bbox.iter().for_each(|edge| writer.put((*edge as f32).to_le_bytes()));
    writer.put((row.score as f32).to_le_bytes());
    writer.put(row.class.to_le_bytes());
    bytes
}

/// The rows of some bytes, in order.
pub(super) fn finals_of_bytes(bytes: &[u8]) -> impl Iterator<Item = Row> {
    let records = bytes.as_chunks::<FINAL_BYTES>().0;
    // Keys are sorted, not rows: these are large.
    let mut order: Vec<(u32, u64, u32)> = records
        .iter()
        .zip(0..)
        .map(|(record, at)| {
            let mut reader = Reader(record);
            (u32::from_le_bytes(reader.take()), u64::from_le_bytes(reader.take()), at)
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(frame, key, at)| {
        let mut reader = Reader(&records[at as usize][FINAL_KEY_BYTES..]);
        let (id, bbox, [score]) = (u64::from_le_bytes(reader.take()), reader.floats(), reader.floats());
        let origin = match key >> 56 {
            0 => Origin::Tracked,
            1 => Origin::Detected,
            _ => Origin::Filled,
        };
        let class = i32::from_le_bytes(reader.take());
        Row { score, class, origin, ..Row::new(frame, id, bbox) }
    })
}
