//! The layers around every event, one file per layer, outermost first.

pub(crate) mod detached;

pub(crate) mod trace_context;

pub(crate) mod access_log;

pub(crate) mod deadline;

pub(crate) mod panic;

pub(crate) mod authorisation;

pub(crate) mod body;

pub(crate) mod concurrency;
