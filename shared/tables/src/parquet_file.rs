//! Parquet files whose bytes depend on their rows only.

use arrow_array::RecordBatch;
use arrow_schema::{Fields, SchemaRef};
use bytes::Bytes;
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    },
    basic::Compression,
    errors::ParquetError,
    file::{metadata::KeyValue, properties::WriterProperties},
};
use std::{io::Write, path::Path};

/// Rows a group holds. A constant: it shapes the bytes (promise 1).
pub(crate) const ROWS_PER_GROUP: usize = 65_536;

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
    inner: ArrowWriter<W>,
}

impl<W: Write + Send> GroupWriter<W> {
    pub(crate) fn new(sink: W, schema: SchemaRef) -> Result<Self, TableError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("trackdrop".to_owned())
            .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
            .build();
        Ok(Self { inner: ArrowWriter::try_new(sink, schema, Some(properties))? })
    }

    pub(crate) fn write_group(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        self.inner.write(batch)?;
        Ok(self.inner.flush()?)
    }

    /// Text in the file's footer.
    pub(crate) fn annotate(&mut self, key: &str, value: String) {
        self.inner.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }

    pub(crate) fn finish(self) -> Result<W, TableError> {
        Ok(self.inner.into_inner()?)
    }
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
