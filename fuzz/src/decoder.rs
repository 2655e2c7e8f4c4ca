//! The quick way to decode a line: what it gives, jiter gives, and Python's own `json`.

use std::thread;

use jiter::{FloatMode, PartialMode, PythonParse, StringCacheMode};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::rooms::quick;

const JITER: PythonParse = PythonParse {
    allow_inf_nan: false,
    cache_mode: StringCacheMode::None,
    partial_mode: PartialMode::Off,
    catch_duplicate_keys: false,
    float_mode: FloatMode::Float,
};

/// Some lines, each of which comes twice: the second time its keys are remembered.
///
/// # Panics
///
/// The quick way gives something else, or something where the others give nothing.
pub fn check(input: &[u8]) {
    // What is remembered is a thread's own, so that with a new one an input that fails does so again.
    let done = thread::scope(|scope| scope.spawn(|| Python::attach(|py| lines(py, input))).join());
    assert!(matches!(done, Ok(Ok(()))), "{done:?}");
}

fn lines(py: Python<'_>, input: &[u8]) -> PyResult<()> {
    let loads = py.import("json")?.getattr("loads")?;
    for line in input.split(|byte| *byte == b'\n') {
        for _ in 0..2 {
            // It may always leave a line to jiter; so nothing is known where it does.
            let Some(found) = quick::object(py, line) else {
                continue;
            };
            let found = found.repr()?.to_string(); // tells 1, 1.0 and True apart, the zeros and the order of keys
            let by_jiter = JITER.python_parse(py, line).map_err(|error| {
                let wrong = format!("jiter refuses what is decoded as {found}: {error}");
                pyo3::exceptions::PyAssertionError::new_err(wrong)
            })?;
            assert_eq!(found, by_jiter.repr()?.to_string());
            let by_json = loads.call1((PyString::from_bytes(py, line)?,))?;
            assert_eq!(found, by_json.repr()?.to_string());
        }
    }
    Ok(())
}
