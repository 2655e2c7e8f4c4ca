//! Chunks of bytes to decoded parts, for bytes that another transport received.

use pyo3::prelude::*;

use crate::ndjson::Lines;
use crate::parts;
use crate::sizes::MAX_LINE;

/// Turn the chunks of an NDJSON body into one Python object per line.
#[pyclass(module = "ollama_fast._core")]
pub struct LineDecoder {
    lines: Lines,
}

#[pymethods]
impl LineDecoder {
    #[new]
    #[pyo3(signature = (max_line_bytes = Some(MAX_LINE), /))]
    fn new(max_line_bytes: Option<usize>) -> Self {
        Self {
            lines: Lines::within(max_line_bytes.unwrap_or(usize::MAX)),
        }
    }

    /// Take *chunk* and give the decoder itself, an iterator over the lines that are complete by now.
    ///
    /// A line that is not JSON raises a `ValueError` when its turn comes, after the parts before it; the attribute `line` of
    /// that has its bytes. One that is too long raises an `httpx.RemoteProtocolError`.
    #[pyo3(signature = (chunk, /))]
    fn feed<'py>(mut slf: PyRefMut<'py, Self>, chunk: &[u8]) -> PyRefMut<'py, Self> {
        slf.lines.feed(chunk);
        slf
    }

    /// Say that no more bytes come, and give the decoder itself for a last line without newline.
    ///
    /// A last line that is only the beginning of JSON raises an `EOFError`.
    fn close(mut slf: PyRefMut<'_, Self>) -> PyRefMut<'_, Self> {
        slf.lines.close();
        slf
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        parts::next(py, &mut self.lines)
    }
}
