//! What must hold of the Rust core for any bytes.
//!
//! Each module has one `check`, which panics for an input that it does not hold for. `fuzz_targets` hands them to libFuzzer,
//! and `tests/regressions.rs` gives them once more what was found with them.
#![forbid(unsafe_code)]

pub mod base64;
pub mod cuts;
#[cfg(feature = "python")]
pub mod decoder;
pub mod float32;
#[cfg(feature = "python")]
pub mod images;
pub mod response;
#[cfg(feature = "python")]
mod rooms;
pub mod splitter;
pub mod vectors;

/// The names by which those files call their neighbours.
#[cfg(feature = "python")]
use ollama_fast::{base64_text, scan, template};
