//! Reads files of requests and of other programs, as tables.

use crate::{arrays, error, evaluation, table::Table};
use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pyo3::prelude::*;
use serde_json::Value;
use std::{fs::File, path::PathBuf, sync::Arc};
use trackdrop_exchange::read_detections;
use trackdrop_pipeline::{Manifest, Timestamp};
use trackdrop_tables::{
    detections::{read_appearances as tables_read_appearances, read_rows},
    schema::{Column, ColumnType, REQUESTS, TRACKS, duckdb_views},
};

/// Reads a Parquet file, with its own columns.
#[pyfunction]
pub(crate) fn read_parquet(py: Python<'_>, path: PathBuf) -> PyResult<Table> {
    py.detach(|| {
        let file = File::open(&path).map_err(|problem| error::opening(&path, &problem))?;
        let refused = |problem: &dyn std::fmt::Display| error::value(format!("{}: {problem}", path.display()));
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|problem| refused(&problem))?;
        let schema = builder.schema().clone();
        let reader = builder.with_batch_size(1 << 16).build().map_err(|problem| refused(&problem))?;
        let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|problem| refused(&problem))?;
        Ok(Table::new(schema, batches))
    })
}

/// Reads a text file of tracks or ground truth. Frames count from 1.
#[pyfunction]
pub(crate) fn read_tracks(py: Python<'_>, path: PathBuf) -> PyResult<Table> {
    py.detach(|| {
        let sequence = evaluation::read_file(&path)?;
        let rows = sequence.rows();
        let float = |value: fn(&trackdrop_eval::Row) -> f64| {
            Arc::new(Float64Array::from_iter_values(rows.iter().map(value))) as ArrayRef
        };
        Table::from_columns(vec![
            ("frame", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| i64::from(row.frame))))),
            ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id as i64)))),
            ("x", float(|row| row.x)),
            ("y", float(|row| row.y)),
            ("w", float(|row| row.w)),
            ("h", float(|row| row.h)),
            ("score", float(|row| row.score)),
            ("class", Arc::new(Int32Array::from_iter(rows.iter().map(|row| row.class.map(i32::from))))),
            ("observed", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.observed))))),
        ])
    })
}

/// Frame numbers from 1, `[N, 4]` corners, scores, and classes if the file has them.
type DetectionColumns = (Py<PyArray1<i64>>, Py<PyArray2<f64>>, Py<PyArray1<f64>>, Option<Py<PyArray1<i64>>>);

/// Reads detections of any program.
#[pyfunction]
#[pyo3(name = "read_detections")]
pub(crate) fn read_detection_file(py: Python<'_>, path: PathBuf) -> PyResult<DetectionColumns> {
    let (frames, classes) = py.detach(|| {
        let frames = read_detections(&path).map_err(error::exchange)?;
        // Only Trackdrop's own Parquet has classes. Its rows are in the order of `frames`.
        let rows = match path.extension() {
            Some(ending) if ending == "parquet" => read_rows(&path).ok(),
            _ => None,
        };
        let classes = rows.map(|mut rows| {
            rows.sort_by_key(|row| row.frame_index);
            rows.iter().map(|row| i64::from(row.class_id)).collect()
        });
        Ok::<_, PyErr>((frames, classes))
    })?;
    let numbers =
        (1..=frames.last_frame()).flat_map(|number| frames.frame(number).iter().map(move |_| i64::from(number)));
    let all = frames.detections();
    let corners = all.iter().flat_map(|one| [one.x1, one.y1, one.x2, one.y2]).collect();
    Ok((
        arrays::to_array(py, numbers.collect()),
        arrays::to_boxes(py, corners)?,
        arrays::to_array(py, all.iter().map(|one| one.score).collect()),
        classes.map(|classes: Vec<i64>| arrays::to_array(py, classes)),
    ))
}

/// Reads the appearance of each detection of a request, in the order of [`read_detection_file`]: bytes of shape `[N, B]`, where
/// `B` is 0 if the file has none.
#[pyfunction]
pub(crate) fn read_appearances(py: Python<'_>, path: PathBuf) -> PyResult<Py<PyArray2<u8>>> {
    let column = py.detach(|| {
        // The file of a request has its rows in the order of frames.
        tables_read_appearances(&path).map_err(|problem| error::value(format!("{}: {problem}", path.display())))
    })?;
    let shape = [column.len(), column.bytes_each()];
    let bytes: Vec<u8> = column.iter().flatten().copied().collect();
    Ok(bytes.into_pyarray(py).reshape(shape)?.unbind())
}

/// Reads from a manifest: the PTS of every planned frame, numerator and denominator of the time base, and the PTS of
/// time 0.
#[pyfunction]
pub(crate) fn planned_frames(py: Python<'_>, manifest: PathBuf) -> PyResult<(Py<PyArray1<i64>>, i64, i64, i64)> {
    let bytes = std::fs::read(&manifest).map_err(|problem| error::opening(&manifest, &problem))?;
    let refused = |problem: &dyn std::fmt::Display| error::value(format!("{}: {problem}", manifest.display()));
    let read: Manifest = serde_json::from_slice(&bytes).map_err(|problem| refused(&problem))?;
    let video = read.source.video.as_ref().ok_or_else(|| refused(&"the request's upload is no video"))?;
    let pts = read.segments.iter().flat_map(|segment| segment.frame_pts.as_slice().iter().copied()).collect();
    let ticks = video.time_base;
    Ok((arrays::to_array(py, pts), ticks.num().into(), ticks.den().into(), video.origin_pts))
}

/// Rows of the table `requests`, from JSON.
#[pyfunction]
pub(crate) fn requests_table(rows: Vec<String>) -> PyResult<Table> {
    let rows: Vec<Value> =
        rows.iter().map(|row| serde_json::from_str(row)).collect::<Result<_, _>>().map_err(error::value)?;
    let columns = REQUESTS.columns.iter().map(|column| to_column(column, &rows)).collect::<PyResult<_>>()?;
    let batch = RecordBatch::try_new(REQUESTS.arrow(), columns).map_err(error::value)?;
    Ok(Table::new(REQUESTS.arrow(), vec![batch]))
}

fn to_column(column: &Column, rows: &[Value]) -> PyResult<ArrayRef> {
    let values = || rows.iter().map(|row| &row[column.name]);
    let integers = || values().map(Value::as_i64);
    let floats = || values().map(Value::as_f64);
    Ok(match column.column_type {
        ColumnType::Text => Arc::new(StringArray::from_iter(values().map(|value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }))),
        ColumnType::Int64 => Arc::new(Int64Array::from_iter(integers())),
        ColumnType::Int32 => {
            Arc::new(Int32Array::from_iter(integers().map(|value| value.and_then(|value| i32::try_from(value).ok()))))
        }
        ColumnType::Float64 => Arc::new(Float64Array::from_iter(floats())),
        ColumnType::Float32 => Arc::new(Float32Array::from_iter(floats().map(|value| value.map(|value| value as f32)))),
        ColumnType::Bool => Arc::new(BooleanArray::from_iter(values().map(Value::as_bool))),
        ColumnType::Timestamp => {
            let micros = |value: &Value| match value.as_str() {
                Some(_) => serde_json::from_value::<Timestamp>(value.clone())
                    .map(|time| Some(time.micros()))
                    .map_err(error::value),
                None => Ok(None),
            };
            let times = values().map(micros).collect::<PyResult<Vec<Option<i64>>>>()?;
            Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
        }
    })
}

/// What a DuckDB connection needs: the column lists of `tracks` and `requests`, and name and SQL of every view.
#[pyfunction]
pub(crate) fn duckdb_schema() -> (String, String, Vec<(&'static str, String)>) {
    (TRACKS.duckdb(), REQUESTS.duckdb(), duckdb_views().collect())
}
