//! Bytes to base64, the form in which images travel inside JSON.

use base64_simd::STANDARD;
use pyo3::prelude::*;

/// Encode *data* in standard base64 with padding.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn encode_base64(py: Python<'_>, data: &[u8]) -> String {
    py.detach(|| STANDARD.encode_to_string(data))
}
