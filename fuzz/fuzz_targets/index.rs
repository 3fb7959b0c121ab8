//! The indexer and the planner on any bytes.
#![no_main]

#[path = "../bodies/index.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::index_and_plan(data));
