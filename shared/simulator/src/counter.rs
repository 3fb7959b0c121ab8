//! The completion counter, measured.
