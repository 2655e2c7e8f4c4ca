//! Lines to decoded parts: the splitter and the JSON decoder together.

use pyo3::exceptions::{PyEOFError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::json;
use crate::ndjson::Lines;
use crate::sizes::{self, TooLarge};

/// Decode the next line, or give `None` until there is one.
///
/// A line that is not JSON is a `ValueError`, whose attribute `line` has the bytes, and the next call goes on behind it. A
/// last one that is only the beginning of JSON is an `EOFError`. One that is too long is httpx's `RemoteProtocolError`.
pub fn next<'py>(py: Python<'py>, lines: &mut Lines) -> PyResult<Option<Bound<'py, PyAny>>> {
    let most = lines.most();
    let Some(line) = lines.next_line() else {
        return lines
            .without_end()
            .map_or(Ok(None), |found| Err(sizes::exception(py, found)));
    };
    if line.len() > most {
        return Err(sizes::exception(py, TooLarge::Line(most)));
    }
    match json::to_python(py, line) {
        Ok(part) => Ok(Some(part)),
        Err(error) => {
            let what = json::describe(line, &error);
            let bytes = PyBytes::new(py, line);
            let text = format!("line {}: {what}", lines.line_number());
            if lines.is_unfinished() && json::is_cut_off(&error) {
                return Err(PyEOFError::new_err(text));
            }
            let wrong = PyValueError::new_err(text);
            wrong.value(py).setattr("line", bytes)?;
            Err(wrong)
        }
    }
}
