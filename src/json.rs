//! One JSON text to Python objects.

use jiter::{FloatMode, JsonError, JsonErrorType, LinePosition, PartialMode, PythonParse, StringCacheMode};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::quick;

/// How much of a text that is not JSON an error shows, in bytes.
const EXCERPT: usize = 120;

const PARSER: PythonParse = PythonParse {
    allow_inf_nan: false,
    cache_mode: StringCacheMode::Keys,
    partial_mode: PartialMode::Off,
    catch_duplicate_keys: false,
    float_mode: FloatMode::Float,
};

/// Decode one JSON text into dicts, lists, strings, numbers, bools and None.
///
/// What is not JSON is a `ValueError`, whose attribute `is_cut_off` says whether it is the beginning of JSON.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn decode<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    to_python(py, data).or_else(|error| {
        let wrong = PyValueError::new_err(describe(data, &error));
        wrong.value(py).setattr("is_cut_off", is_cut_off(&error))?;
        Err(wrong)
    })
}

/// Decode the beginning of a JSON text as far as it has come: strings may be cut off, and what is open counts as closed.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn decode_beginning<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let parser = PythonParse {
        partial_mode: PartialMode::TrailingStrings,
        ..PARSER
    };
    parser
        .python_parse(py, data)
        .map_err(|error| PyValueError::new_err(describe(data, &error)))
}

/// [`decode`] without the error's words, for those who have more to say.
pub fn to_python<'py>(py: Python<'py>, data: &[u8]) -> Result<Bound<'py, PyAny>, JsonError> {
    match quick::object(py, data) {
        Some(object) => Ok(object),
        None => PARSER.python_parse(py, data),
    }
}

/// Say what is wrong with `data`, where, and what it looks like.
pub fn describe(data: &[u8], error: &JsonError) -> String {
    let LinePosition { line, column } = error.get_position(data);
    let what = &error.error_type;
    let place = if line > 1 {
        format!("line {line} column {column}")
    } else {
        format!("column {column}")
    };
    format!("{what} at {place}: {}", excerpt(data))
}

/// Whether the text is only the beginning of one that could be JSON.
pub fn is_cut_off(error: &JsonError) -> bool {
    matches!(
        error.error_type,
        JsonErrorType::EofWhileParsingList
            | JsonErrorType::EofWhileParsingObject
            | JsonErrorType::EofWhileParsingString
            | JsonErrorType::EofWhileParsingValue
    )
}

fn excerpt(data: &[u8]) -> String {
    let shown = data.get(..EXCERPT).unwrap_or(data);
    let more = if shown.len() < data.len() { "..." } else { "" };
    format!("{:?}{more}", String::from_utf8_lossy(shown))
}
