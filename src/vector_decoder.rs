//! Chunks of bytes to vectors of float32, in one buffer.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::vectors::{Vectors, Wrong};

/// Turn the chunks of a JSON object into the float32 of the vectors that it has under one key, and the rest of it.
#[pyclass(module = "ollama_fast._core")]
pub struct VectorDecoder {
    vectors: Vectors,
}

#[pymethods]
impl VectorDecoder {
    #[new]
    #[pyo3(signature = (key, /))]
    fn new(key: &str) -> Self {
        Self {
            vectors: Vectors::new(key),
        }
    }

    /// Take *chunk*. Raises a `ValueError` that says which vector and number is wrong, by their indices.
    #[pyo3(signature = (chunk, /))]
    fn feed(&mut self, py: Python<'_>, chunk: &[u8]) -> PyResult<()> {
        self.vectors.feed(chunk).map_err(|wrong| into_python(py, &wrong))
    }

    /// Say that no more bytes come.
    ///
    /// Gives the rest, which is JSON if all of it was and has `[]` for the vectors; the numbers in the machine's order of
    /// bytes; how many vectors there are, and of what length. Keeps no numbers: a second call is a `ValueError`. So is
    /// an end among the vectors, and its attribute `is_cut_off` is true.
    fn close<'py>(&mut self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>, usize, usize)> {
        let found = self.vectors.close().map_err(|wrong| into_python(py, &wrong))?;
        let (rest, numbers) = (PyBytes::new(py, found.rest), PyBytes::new(py, &found.numbers));
        Ok((rest, numbers, found.vectors, found.length))
    }
}

fn into_python(py: Python<'_>, wrong: &Wrong) -> PyErr {
    let error = PyValueError::new_err(wrong.to_string());
    let told = error.value(py).setattr("is_cut_off", wrong.is_cut_off());
    told.err().unwrap_or(error)
}
