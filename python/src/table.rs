//! Rows in Arrow format, which other libraries read through the PyCapsule interface without a copy.

use crate::error;
use arrow_array::{
    Array, ArrayRef, RecordBatch, RecordBatchIterator, RecordBatchReader,
    cast::AsArray,
    ffi_stream::FFI_ArrowArrayStream,
    types::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType},
};
use arrow_schema::{ArrowError, DataType, SchemaRef, ffi::FFI_ArrowSchema};
use numpy::IntoPyArray;
use pyo3::{
    exceptions::PyKeyError,
    intern,
    prelude::*,
    types::{PyCapsule, PyDict},
};

/// See `_trackdrop.pyi`.
#[pyclass(module = "trackdrop", frozen)]
pub(crate) struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Table {
    pub(crate) fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches }
    }

    pub(crate) fn from_columns(columns: Vec<(&str, ArrayRef)>) -> PyResult<Self> {
        let batch = RecordBatch::try_from_iter(columns).map_err(error::value)?;
        Ok(Self { schema: batch.schema(), batches: vec![batch] })
    }

    fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

#[pymethods]
impl Table {
    /// The requested schema is ignored. A caller that needs another schema casts the data.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let batches: Vec<Result<RecordBatch, ArrowError>> = self.batches.iter().cloned().map(Ok).collect();
        let reader: Box<dyn RecordBatchReader + Send> =
            Box::new(RecordBatchIterator::new(batches, self.schema.clone()));
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(reader), c"arrow_array_stream")
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.schema.as_ref()).map_err(error::value)?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    fn __len__(&self) -> usize {
        self.rows()
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn __contains__(&self, name: &str) -> bool {
        self.schema.index_of(name).is_ok()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let index = self.schema.index_of(name).map_err(|_| {
            PyKeyError::new_err(format!("there is no column {name:?}; there are {}", self.column_names().join(", ")))
        })?;
        let parts: Vec<&dyn Array> = self.batches.iter().map(|batch| batch.column(index).as_ref()).collect();
        to_numpy(py, self.schema.field(index).data_type(), &parts)
    }

    fn __repr__(&self) -> String {
        format!("<trackdrop.Table of {} rows: {}>", self.rows(), self.column_names().join(", "))
    }
}

/// A column as an array: numbers with their type; text, and columns with nulls, as objects.
fn to_numpy<'py>(py: Python<'py>, kind: &DataType, parts: &[&dyn Array]) -> PyResult<Bound<'py, PyAny>> {
    macro_rules! primitive {
        ($type:ty) => {
            if parts.iter().all(|part| part.null_count() == 0) {
                let values = parts.iter().flat_map(|part| part.as_primitive::<$type>().values().iter().copied());
                Ok(values.collect::<Vec<_>>().into_pyarray(py).into_any())
            } else {
                objects(py, parts.iter().flat_map(|part| part.as_primitive::<$type>().iter()))
            }
        };
    }
    match kind {
        DataType::Int64 => primitive!(Int64Type),
        DataType::Int32 => primitive!(Int32Type),
        DataType::Float64 => primitive!(Float64Type),
        DataType::Float32 => primitive!(Float32Type),
        DataType::Timestamp(..) => {
            let array = primitive!(TimestampMicrosecondType)?;
            array.call_method1(intern!(py, "astype"), ("datetime64[us]",))
        }
        DataType::Boolean if parts.iter().all(|part| part.null_count() == 0) => {
            let values: Vec<bool> =
                parts.iter().flat_map(|part| part.as_boolean().iter().map(|value| value == Some(true))).collect();
            Ok(values.into_pyarray(py).into_any())
        }
        DataType::Boolean => objects(py, parts.iter().flat_map(|part| part.as_boolean().iter())),
        DataType::Utf8 => objects(py, parts.iter().flat_map(|part| part.as_string::<i32>().iter())),
        other => {
            Err(error::value(format!("a column of type {other} is read through Arrow only, as pyarrow.table(...)")))
        }
    }
}

fn objects<'py, T: IntoPyObject<'py>>(
    py: Python<'py>,
    values: impl Iterator<Item = Option<T>>,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = PyDict::new(py);
    arguments.set_item("dtype", "object")?;
    let values: Vec<Option<T>> = values.collect();
    py.import(intern!(py, "numpy"))?.call_method("array", (values,), Some(&arguments))
}
