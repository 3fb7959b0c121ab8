//! Converts errors of the crates to Python exceptions, with the same messages.

use pyo3::{
    PyErr,
    exceptions::{PyFileNotFoundError, PyValueError},
};
use std::{error::Error, io};
use trackdrop_eval::{ReadError, ReadErrorKind};
use trackdrop_exchange::ExchangeError;

/// A refused value: `ValueError`.
pub(crate) fn value(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// An error of the operating system becomes its own exception: `FileNotFoundError`, `PermissionError` and so on.
fn os(kind: io::ErrorKind, message: String) -> PyErr {
    io::Error::new(kind, message).into()
}

pub(crate) fn read(error: ReadError) -> PyErr {
    match error.kind() {
        ReadErrorKind::Io(source) => os(source.kind(), error.to_string()),
        _ => value(error),
    }
}

pub(crate) fn exchange(error: ExchangeError) -> PyErr {
    if let ExchangeError::Tracks(problem) = error {
        return read(problem);
    }
    // A table's error wraps that of its file.
    let mut source: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return os(io.kind(), error.to_string());
        }
        source = cause.source();
    }
    match &error {
        ExchangeError::Read { source, .. } | ExchangeError::Write(source) => os(source.kind(), error.to_string()),
        _ => value(error),
    }
}

/// Something that does not exist: `FileNotFoundError`.
pub(crate) fn absent(error: impl ToString) -> PyErr {
    PyFileNotFoundError::new_err(error.to_string())
}

/// A file that `path` names could not be opened.
pub(crate) fn opening(path: &std::path::Path, error: &io::Error) -> PyErr {
    os(error.kind(), format!("{}: can't be read: {error}", path.display()))
}
