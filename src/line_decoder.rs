//! Chunks of bytes to decoded parts: the splitter and the JSON decoder together, as Python sees them.

use pyo3::exceptions::{PyEOFError, PyValueError};
use pyo3::prelude::*;

use crate::json;
use crate::ndjson::Lines;

/// Turn the chunks of an NDJSON body into one Python object per line.
#[pyclass(module = "ollama_fast._core")]
#[derive(Default)]
pub struct LineDecoder {
    lines: Lines,
}

#[pymethods]
impl LineDecoder {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Take *chunk* and give the decoder itself, an iterator over the lines that are complete by now.
    ///
    /// A line that is not JSON raises a `ValueError` when its turn comes, after the parts before it.
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
        let Some(line) = self.lines.next_line() else {
            return Ok(None);
        };
        match json::to_python(py, line) {
            Ok(part) => Ok(Some(part)),
            Err(error) => {
                let what = json::describe(line, &error);
                let text = format!("line {}: {what}", self.lines.line_number());
                if self.lines.is_unfinished() && json::is_cut_off(&error) {
                    return Err(PyEOFError::new_err(text));
                }
                Err(PyValueError::new_err(text))
            }
        }
    }
}
