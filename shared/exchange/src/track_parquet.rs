//! Tracks as Parquet.

use crate::retrack::TrackSink;
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch,
    cast::AsArray,
    types::{Float64Type, Int64Type},
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::Compression,
    errors::ParquetError,
    file::properties::WriterProperties,
    schema::types::ColumnPath,
};
use std::{
    io::{self, Write},
    iter, mem,
    sync::Arc,
};
use trackdrop_tracker::Track;

const ROWS_PER_GROUP: usize = 1 << 16;

/// Rows that are given to the library at a time: few enough that the allocator uses their memory again. It must be a multiple of the 1,024 after which
/// the library looks whether a page is full, so that the bytes do not depend on it.
const ROWS_AT_ONCE: usize = 8192;

const INTEGERS: [&str; 2] = ["frame", "id"];
const FLOATS: [&str; 5] = ["x", "y", "w", "h", "score"];
const OBSERVED: &str = "observed";

/// Writes every track it is given as a row: `frame` (from 1) and `id` as 64-bit integers, then `x`, `y`, `w`, `h` and
/// `score` as 64-bit floats. Refined tracks have the column `observed` after these, false in rows that a refinement added.
#[derive(Debug)]
pub struct ParquetSink<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: SchemaRef,
    integers: [Vec<i64>; INTEGERS.len()],
    floats: [Vec<f64>; FLOATS.len()],
    /// None where no row may be added.
    observed: Option<Vec<bool>>,
    /// Rows of the group that the library has.
    given: usize,
}

impl<W: Write + Send> ParquetSink<W> {
    /// Into `out`, which needs no buffer of its own; `is_refined` where rows may be added to what the tracker returned.
    ///
    /// # Errors
    /// `out` refuses the first bytes.
    pub fn new(out: W, is_refined: bool) -> io::Result<Self> {
        let schema = schema(is_refined);
        // Filtered coordinates hardly ever repeat: a dictionary of them would only cost time.
        let properties = FLOATS.into_iter().fold(WriterProperties::builder(), |builder, name| {
            builder.set_column_dictionary_enabled(ColumnPath::from(name), false)
        });
        let properties = properties.set_compression(Compression::SNAPPY).set_created_by("trackdrop".to_owned()).build();
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(to_io)?;
        let observed = is_refined.then(room);
        let (integers, floats) = ([(); INTEGERS.len()].map(|()| room()), [(); FLOATS.len()].map(|()| room()));
        Ok(Self { writer, schema, integers, floats, observed, given: 0 })
    }

    fn give(&mut self) -> io::Result<()> {
        self.given += self.integers[0].len();
        let integers = self.integers.each_mut().map(|column| Arc::new(Int64Array::from(taken(column))) as ArrayRef);
        let floats = self.floats.each_mut().map(|column| Arc::new(Float64Array::from(taken(column))) as ArrayRef);
        let observed = self.observed.as_mut().map(|column| Arc::new(BooleanArray::from(taken(column))) as ArrayRef);
        let columns = integers.into_iter().chain(floats).chain(observed).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(io::Error::other)?;
        self.writer.write(&batch).map_err(to_io)
    }

    fn end_group(&mut self) -> io::Result<()> {
        if !self.integers[0].is_empty() {
            self.give()?;
        }
        self.given = 0;
        self.writer.flush().map_err(to_io)
    }
}

impl<W: Write + Send> TrackSink for ParquetSink<W> {
    fn frame(&mut self, number: u32, tracks: &[Track], added: &[Track]) -> io::Result<()> {
        for (track, is_observed) in tracks.iter().zip(iter::repeat(true)).chain(added.iter().zip(iter::repeat(false))) {
            if let Some(column) = &mut self.observed {
                column.push(is_observed);
            }
            let [frames, ids] = &mut self.integers;
            frames.push(i64::from(number));
            ids.push(track.id as i64); // Ids are counted up from 1.
            let [x, y, w, h] = track.tlwh();
            for (column, value) in self.floats.iter_mut().zip([x, y, w, h, track.score]) {
                column.push(value);
            }
            if self.integers[0].len() == ROWS_AT_ONCE {
                self.give()?;
            }
        }
        if self.given + self.integers[0].len() >= ROWS_PER_GROUP { self.end_group() } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.end_group()?;
        self.writer.finish().map(drop).map_err(to_io)
    }
}

fn room<T>() -> Vec<T> {
    Vec::with_capacity(ROWS_AT_ONCE)
}

/// What a column holds, for which it gets new room.
fn taken<T>(column: &mut Vec<T>) -> Vec<T> {
    mem::replace(column, room())
}

/// A row as [`ParquetSink`] writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WrittenTrack {
    /// From 1.
    pub frame: i64,
    /// The identity.
    pub id: i64,
    /// Left, top, width and height, px.
    pub tlwh: [f64; 4],
    /// Score of the detection matched in this frame.
    pub score: f64,
    /// False where a refinement added the row.
    pub observed: bool,
}

/// Reads what a [`ParquetSink`] wrote, in order; `None` if the file has other columns.
///
/// # Errors
/// It is no Parquet, or damaged.
pub fn read_written_tracks(file: Bytes) -> io::Result<Option<Vec<WrittenTrack>>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(to_io)?;
    // Fields alone: a schema's metadata is the writer's own business.
    let is_refined = reader.schema().fields() == schema(true).fields();
    if !is_refined && reader.schema().fields() != schema(false).fields() {
        return Ok(None);
    }
    let mut rows = Vec::new();
    for batch in reader.build().map_err(to_io)? {
        let batch = batch.map_err(io::Error::other)?;
        let [frames, ids] = [0, 1].map(|column| batch.column(column).as_primitive::<Int64Type>().values());
        let [x, y, w, h, score] =
            [2, 3, 4, 5, 6].map(|column| batch.column(column).as_primitive::<Float64Type>().values());
        let observed = is_refined.then(|| batch.column(7).as_boolean().values());
        rows.extend((0..batch.num_rows()).map(|row| WrittenTrack {
            frame: frames[row],
            id: ids[row],
            tlwh: [x[row], y[row], w[row], h[row]],
            score: score[row],
            observed: observed.is_none_or(|observed| observed.value(row)),
        }));
    }
    Ok(Some(rows))
}

fn schema(is_refined: bool) -> SchemaRef {
    let field = |name, kind: &DataType| Field::new(name, kind.clone(), false);
    let integers = INTEGERS.into_iter().map(|name| field(name, &DataType::Int64));
    let floats = FLOATS.into_iter().map(|name| field(name, &DataType::Float64));
    let observed = is_refined.then(|| field(OBSERVED, &DataType::Boolean));
    Arc::new(Schema::new(integers.chain(floats).chain(observed).collect::<Vec<_>>()))
}

/// A full disk must stay recognisable.
fn to_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(io) => *io,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
