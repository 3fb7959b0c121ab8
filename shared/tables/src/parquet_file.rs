//! Parquet files whose bytes depend only on their rows.

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Fields, Schema, SchemaRef};
use bytes::Bytes;
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
        arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves},
    },
    basic::Compression,
    errors::ParquetError,
    file::{metadata::KeyValue, properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::ColumnPath,
};
use std::{
    io::Write,
    ops::Range,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
};

/// Rows of a row group. It is a constant, because the bytes depend on it (promise 1).
pub(crate) const ROWS_PER_GROUP: usize = 65_536;

/// Rows of a column that are processed at a time. The number is small enough that the allocator reuses the memory. It
/// must be a multiple of 1,024: after each 1,024 rows the library checks whether a page is full. Then the bytes do not
/// depend on this number.
const ROWS_AT_ONCE: usize = 8192;

/// If a row group has fewer rows, its columns are encoded on one thread.
const LEAST_ROWS: usize = 4096;
/// Largest number of threads. Few columns take most of the time, so more threads are of no use.
const MOST_THREADS: usize = 4;

/// A table that can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Reading or writing the file itself failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The file is not the Parquet that Trackdrop writes.
    #[error("not one of Trackdrop's Parquet files: {0}")]
    Format(String),
}

impl From<ParquetError> for TableError {
    fn from(error: ParquetError) -> Self {
        // I/O errors of a writer are wrapped in another error. A full disk must still be recognised.
        match error {
            ParquetError::External(source) => match source.downcast::<std::io::Error>() {
                Ok(io) => Self::Io(*io),
                Err(other) => Self::Format(other.to_string()),
            },
            other => Self::Format(other.to_string()),
        }
    }
}

impl From<arrow_schema::ArrowError> for TableError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::Format(error.to_string())
    }
}

/// Writes whole row groups. Each batch is one row group.
pub(crate) struct GroupWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
}

impl<W: Write + Send> GroupWriter<W> {
    pub(crate) fn new(sink: W, schema: SchemaRef) -> Result<Self, TableError> {
        let properties = properties(&schema);
        let (file, columns) = ArrowWriter::try_new(sink, schema.clone(), Some(properties))?.into_serialized_writer()?;
        Ok(Self { file, columns, schema })
    }

    /// Writes a row group with this many rows. `column` returns a range of rows of the column with a number.
    pub(crate) fn write_group(
        &mut self,
        rows: usize,
        column: impl Fn(usize, Range<usize>) -> Result<ArrayRef, TableError> + Sync,
    ) -> Result<(), TableError> {
        let writers = self.columns.create_column_writers(self.file.flushed_row_groups().len())?;
        let chunks = encoded(writers, &self.schema, rows, column)?;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }

    /// Writes a text into the file's footer.
    pub(crate) fn annotate(&mut self, key: &str, value: String) {
        self.file.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }

    pub(crate) fn finish(self) -> Result<W, TableError> {
        Ok(self.file.into_inner()?)
    }
}

fn properties(schema: &Schema) -> WriterProperties {
    // Edges, scores and appearances hardly ever repeat, so a dictionary of them would only need time and space.
    let plain = schema
        .fields()
        .iter()
        .filter(|field| matches!(field.data_type(), DataType::Float32 | DataType::FixedSizeBinary(_)));
    let builder = plain.fold(WriterProperties::builder(), |builder, field| {
        builder.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false)
    });
    builder
        .set_compression(Compression::SNAPPY)
        .set_created_by("trackdrop".to_owned())
        .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
        .build()
}

/// Encodes the columns of a row group. Columns do not depend on each other, so several cores encode them.
fn encoded(
    writers: Vec<ArrowColumnWriter>,
    schema: &Schema,
    rows: usize,
    column: impl Fn(usize, Range<usize>) -> Result<ArrayRef, TableError> + Sync,
) -> Result<Vec<ArrowColumnChunk>, TableError> {
    let waiting = Mutex::new(writers.into_iter().zip(schema.fields()).enumerate());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut done = Vec::new();
        while let Some((at, (mut writer, field))) = next() {
            for start in (0..rows).step_by(ROWS_AT_ONCE) {
                let values = column(at, start..rows.min(start + ROWS_AT_ONCE))?;
                for leaf in compute_leaves(field, &values)? {
                    writer.write(&leaf)?;
                }
            }
            done.push((at, writer.close()?));
        }
        Ok::<_, TableError>(done)
    };
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS));
    let threads = if rows < LEAST_ROWS { 1 } else { cores };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work()?;
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok::<_, TableError>(done)
    })?;
    done.sort_unstable_by_key(|&(at, _)| at);
    Ok(done.into_iter().map(|(_, chunk)| chunk).collect())
}

/// An open file: the texts of its footer by key, and its batches.
pub(crate) struct GroupReader {
    columns: Fields,
    footer: Vec<KeyValue>,
    batches: ParquetRecordBatchReader,
}

impl GroupReader {
    pub(crate) fn open_bytes(bytes: Bytes, schema: &SchemaRef) -> Result<Self, TableError> {
        Self::open_bytes_of(bytes, |columns| columns == schema.fields())
    }

    /// The same, for a file with several versions.
    pub(crate) fn open_bytes_of(bytes: Bytes, is_ours: impl Fn(&Fields) -> bool) -> Result<Self, TableError> {
        Self::build(ParquetRecordBatchReaderBuilder::try_new(bytes)?, is_ours)
    }

    pub(crate) fn open_path(path: &Path, schema: &SchemaRef) -> Result<Self, TableError> {
        Self::open_path_of(path, |columns| columns == schema.fields())
    }

    /// The same, for a file with several versions.
    pub(crate) fn open_path_of(path: &Path, is_ours: impl Fn(&Fields) -> bool) -> Result<Self, TableError> {
        Self::build(ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path)?)?, is_ours)
    }

    fn build<T: parquet::file::reader::ChunkReader + 'static>(
        builder: ParquetRecordBatchReaderBuilder<T>,
        is_ours: impl Fn(&Fields) -> bool,
    ) -> Result<Self, TableError> {
        if !is_ours(builder.schema().fields()) {
            let names: Vec<_> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
            return Err(TableError::Format(format!("it has the columns {}", names.join(", "))));
        }
        let footer = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
        let columns = builder.schema().fields().clone();
        Ok(Self { columns, footer, batches: builder.with_batch_size(ROWS_AT_ONCE).build()? })
    }

    pub(crate) fn columns(&self) -> &Fields {
        &self.columns
    }

    pub(crate) fn footer(&self, key: &str) -> Option<&str> {
        self.footer.iter().find(|entry| entry.key == key)?.value.as_deref()
    }

    pub(crate) fn batches(self) -> impl Iterator<Item = Result<RecordBatch, TableError>> {
        self.batches.map(|batch| Ok(batch?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::DETECTIONS;
    use arrow_array::{Float32Array, Int32Array, Int64Array};
    use std::sync::Arc;

    fn column(at: usize, rows: Range<usize>) -> Result<ArrayRef, TableError> {
        let rows = rows.start as i32..rows.end as i32;
        let float = |step: f32| Arc::new(rows.clone().map(|i| i as f32 * step).collect::<Float32Array>()) as ArrayRef;
        Ok(match at {
            0 | 1 => Arc::new(rows.map(|i| i64::from(i / 7)).collect::<Int64Array>()) as ArrayRef,
            7 => Arc::new(rows.map(|i| i % 3).collect::<Int32Array>()),
            _ => float(at as f32 / 3.0),
        })
    }

    #[test]
    fn columns_that_several_threads_write_bit_by_bit_are_those_that_one_writes_at_once() {
        let schema = DETECTIONS.arrow();
        let mut groups = GroupWriter::new(Vec::new(), schema.clone()).unwrap();
        let mut alone = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties(&schema))).unwrap();
        for rows in [ROWS_PER_GROUP, 2 * ROWS_AT_ONCE + 77, LEAST_ROWS / 2] {
            groups.write_group(rows, column).unwrap();
            let columns = (0..schema.fields().len()).map(|at| column(at, 0..rows).unwrap()).collect();
            alone.write(&RecordBatch::try_new(schema.clone(), columns).unwrap()).unwrap();
            alone.flush().unwrap();
        }
        assert_eq!(groups.finish().unwrap(), alone.into_inner().unwrap());
    }
}
