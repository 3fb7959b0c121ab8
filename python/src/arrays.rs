//! Converts NumPy arrays. Everything is computed in `f64`. `f32` and integers are converted without loss.

use crate::error;
use numpy::{Element, IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::{intern, prelude::*, types::PyDict};
use trackdrop_tracker::Detection;

/// Converts any input to an array of this type. An array that already has the type is not copied.
fn as_type<'py>(given: &Bound<'py, PyAny>, dtype: &str) -> PyResult<Bound<'py, PyAny>> {
    let py = given.py();
    let arguments = PyDict::new(py);
    arguments.set_item(intern!(py, "dtype"), dtype)?;
    py.import(intern!(py, "numpy"))?.call_method(intern!(py, "asarray"), (given,), Some(&arguments))
}

/// Boxes as `[x1, y1, x2, y2]`.
pub(crate) fn boxes(given: &Bound<'_, PyAny>) -> PyResult<Vec<[f64; 4]>> {
    let rows = |shape: &[usize], row: &dyn Fn(usize) -> [f64; 4]| match shape {
        [count, 4] => Ok((0..*count).map(row).collect()),
        // `np.array([])` has no second dimension, but it is accepted as empty.
        _ => Err(error::value(format!("boxes must have the shape [N, 4], got {shape:?}"))),
    };
    if let Ok(array) = given.extract::<PyReadonlyArray2<'_, f32>>() {
        let view = array.as_array();
        return rows(view.shape(), &|i| std::array::from_fn(|j| f64::from(view[[i, j]])));
    }
    let array = match given.extract::<PyReadonlyArray2<'_, f64>>() {
        Ok(array) => array,
        Err(_) => {
            let array = as_type(given, "float64")?;
            let shape: Vec<usize> = array.getattr(intern!(given.py(), "shape"))?.extract()?;
            if shape == [0] {
                return Ok(Vec::new());
            }
            array.extract().map_err(|_| error::value(format!("boxes must have the shape [N, 4], got {shape:?}")))?
        }
    };
    let view = array.as_array();
    rows(view.shape(), &|i| std::array::from_fn(|j| view[[i, j]]))
}

/// One number per row.
pub(crate) fn column<'py, T: Element + Copy>(name: &str, given: &Bound<'py, PyAny>, dtype: &str) -> PyResult<Vec<T>> {
    let read = |array: PyReadonlyArray1<'py, T>| array.as_array().iter().copied().collect();
    if let Ok(array) = given.extract::<PyReadonlyArray1<'py, T>>() {
        return Ok(read(array));
    }
    let array = as_type(given, dtype)?;
    let shape: Vec<usize> = array.getattr(intern!(given.py(), "shape"))?.extract()?;
    array.extract().map(read).map_err(|_| error::value(format!("{name} must have the shape [N], got {shape:?}")))
}

/// Whole numbers. A float is accepted only if it is a whole number.
pub(crate) fn whole_numbers(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Vec<i64>> {
    if let Ok(array) = given.extract::<PyReadonlyArray1<'_, i64>>() {
        return Ok(array.as_array().iter().copied().collect());
    }
    // Converted by way of floats, because every numeric type can become one. Ids and frames are far below 2^53.
    let floats: Vec<f64> = column(name, given, "float64")?;
    let whole = |value: f64| (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64);
    let refused = |value| error::value(format!("{name} must be whole numbers, got {value}"));
    floats.into_iter().map(|value| whole(value).ok_or_else(|| refused(value))).collect()
}

/// Boxes and scores of a frame, or of many.
pub(crate) fn detections(xyxy: &Bound<'_, PyAny>, scores: &Bound<'_, PyAny>) -> PyResult<Vec<Detection>> {
    let boxes = boxes(xyxy)?;
    let scores: Vec<f64> = match scores.extract::<PyReadonlyArray1<'_, f32>>() {
        Ok(array) => array.as_array().iter().map(|&score| f64::from(score)).collect(),
        Err(_) => column::<f64>("scores", scores, "float64")?,
    };
    same_length("scores", scores.len(), boxes.len())?;
    let detection = |([x1, y1, x2, y2], score): ([f64; 4], f64)| Detection { x1, y1, x2, y2, score };
    Ok(boxes.into_iter().zip(scores).map(detection).collect())
}

pub(crate) fn same_length(name: &str, length: usize, rows: usize) -> PyResult<()> {
    if length == rows {
        return Ok(());
    }
    Err(error::value(format!("{name} has {length} values, but there are {rows} rows")))
}

pub(crate) fn to_array<T: Element>(py: Python<'_>, values: Vec<T>) -> Py<PyArray1<T>> {
    values.into_pyarray(py).unbind()
}

/// `[N, 4]`.
pub(crate) fn to_boxes(py: Python<'_>, values: Vec<f64>) -> PyResult<Py<PyArray2<f64>>> {
    let rows = values.len() / 4;
    Ok(values.into_pyarray(py).reshape([rows, 4])?.unbind())
}
