//! Parquet files whose bytes depend on their rows only.

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
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
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
};

/// Rows a group holds. A constant: it shapes the bytes (promise 1).
pub(crate) const ROWS_PER_GROUP: usize = 65_536;

/// The columns of a group with fewer rows are not worth a thread.
const LEAST_ROWS: usize = 4096;
/// More threads than this have nothing to do: few columns take most of the time.
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
        // A writer's I/O errors arrive wrapped; a full disk must stay recognisable.
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

/// Writes whole row groups; each batch given is one group.
pub(crate) struct GroupWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: ArrowRowGroupWriterFactory,
}

impl<W: Write + Send> GroupWriter<W> {
    pub(crate) fn new(sink: W, schema: SchemaRef) -> Result<Self, TableError> {
        let properties = properties(&schema);
        let (file, columns) = ArrowWriter::try_new(sink, schema, Some(properties))?.into_serialized_writer()?;
        Ok(Self { file, columns })
    }

    pub(crate) fn write_group(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        let writers = self.columns.create_column_writers(self.file.flushed_row_groups().len())?;
        let chunks = encoded(writers, batch)?;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }

    /// Text in the file's footer.
    pub(crate) fn annotate(&mut self, key: &str, value: String) {
        self.file.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }

    pub(crate) fn finish(self) -> Result<W, TableError> {
        Ok(self.file.into_inner()?)
    }
}

fn properties(schema: &Schema) -> WriterProperties {
    // Edges, scores and appearances hardly ever repeat: a dictionary of them takes time and space.
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

/// The columns of a group as bytes: those of one do not depend on the others, so several cores work at them.
fn encoded(writers: Vec<ArrowColumnWriter>, batch: &RecordBatch) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let schema = batch.schema_ref();
    let columns = writers.into_iter().zip(schema.fields().iter().zip(batch.columns()));
    let waiting = Mutex::new(columns.enumerate());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut done = Vec::new();
        while let Some((at, (writer, (field, column)))) = next() {
            done.push((at, column_chunk(writer, field, column)?));
        }
        Ok::<_, ParquetError>(done)
    };
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS));
    let threads = if batch.num_rows() < LEAST_ROWS { 1 } else { cores };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work()?;
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok::<_, ParquetError>(done)
    })?;
    done.sort_unstable_by_key(|&(at, _)| at);
    Ok(done.into_iter().map(|(_, chunk)| chunk).collect())
}

fn column_chunk(
    mut writer: ArrowColumnWriter,
    field: &Field,
    column: &ArrayRef,
) -> Result<ArrowColumnChunk, ParquetError> {
    for leaf in compute_leaves(field, column)? {
        writer.write(&leaf)?;
    }
    writer.close()
}

/// Opens a file; the footer's text by key, and the batches.
pub(crate) struct GroupReader {
    columns: Fields,
    footer: Vec<KeyValue>,
    batches: ParquetRecordBatchReader,
}

impl GroupReader {
    pub(crate) fn open_bytes(bytes: Bytes, schema: &SchemaRef) -> Result<Self, TableError> {
        Self::open_bytes_of(bytes, |columns| columns == schema.fields())
    }

    /// The same of a file that may have several versions.
    pub(crate) fn open_bytes_of(bytes: Bytes, is_ours: impl Fn(&Fields) -> bool) -> Result<Self, TableError> {
        Self::build(ParquetRecordBatchReaderBuilder::try_new(bytes)?, is_ours)
    }

    pub(crate) fn open_path(path: &Path, schema: &SchemaRef) -> Result<Self, TableError> {
        Self::open_path_of(path, |columns| columns == schema.fields())
    }

    /// The same of a file that may have several versions.
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
        Ok(Self { columns, footer, batches: builder.with_batch_size(ROWS_PER_GROUP).build()? })
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

    fn batch(rows: i64) -> RecordBatch {
        let float = |step: f32| Arc::new((0..rows).map(|i| i as f32 * step).collect::<Float32Array>()) as ArrayRef;
        let columns = vec![
            Arc::new((0..rows).map(|i| i / 7).collect::<Int64Array>()) as ArrayRef,
            Arc::new((0..rows).map(|i| i / 7 * 512).collect::<Int64Array>()),
            float(0.3),
            float(0.7),
            float(1.1),
            float(1.3),
            float(0.0),
            Arc::new((0..rows).map(|i| i as i32 % 3).collect::<Int32Array>()),
        ];
        RecordBatch::try_new(DETECTIONS.arrow(), columns).unwrap()
    }

    #[test]
    fn columns_that_several_threads_write_are_those_of_one() {
        let batches = [batch(2 * LEAST_ROWS as i64), batch(LEAST_ROWS as i64 / 2)];
        let mut groups = GroupWriter::new(Vec::new(), DETECTIONS.arrow()).unwrap();
        let mut alone =
            ArrowWriter::try_new(Vec::new(), DETECTIONS.arrow(), Some(properties(&DETECTIONS.arrow()))).unwrap();
        for batch in &batches {
            groups.write_group(batch).unwrap();
            alone.write(batch).unwrap();
            alone.flush().unwrap();
        }
        assert_eq!(groups.finish().unwrap(), alone.into_inner().unwrap());
    }
}
