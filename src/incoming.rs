//! What Python sees of a response's head, and what is too much of its body.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::failure::Failure;
use crate::http::{Head, ProtocolError};
use crate::ndjson::Lines;
use crate::sizes::TooLarge;

/// Names and values of the headers.
pub fn headers<'py>(py: Python<'py>, head: Option<&Arc<Head>>) -> PyResult<Bound<'py, PyList>> {
    let found = PyList::empty(py);
    for (name, value) in head.iter().flat_map(|head| head.headers()) {
        found.append((PyBytes::new(py, name), PyBytes::new(py, &value)))?;
    }
    Ok(found)
}

/// Put into `extensions` what httpx keeps of a head beside status and headers; and the reply itself, as what iterates
/// over the decoded lines of the body, if they are not compressed.
pub fn describe<'py>(
    py: Python<'py>,
    head: Option<&Arc<Head>>,
    reply: &Bound<'py, PyAny>,
    extensions: &Bound<'py, PyDict>,
) -> PyResult<()> {
    if let Some(head) = head {
        let version = if head.minor_version == 0 {
            b"HTTP/1.0"
        } else {
            b"HTTP/1.1"
        };
        extensions.set_item(intern!(py, "http_version"), PyBytes::new(py, version))?;
        extensions.set_item(intern!(py, "reason_phrase"), PyBytes::new(py, head.reason()))?;
        if !head
            .headers()
            .any(|(name, _)| name.eq_ignore_ascii_case(b"content-encoding"))
        {
            extensions.set_item(intern!(py, "ndjson"), reply)?;
        }
    }
    Ok(())
}

/// Take all bytes that are here, and keep no second copy of them.
pub fn bytes<'py>(py: Python<'py>, lines: &mut Lines) -> Bound<'py, PyBytes> {
    let bytes = PyBytes::new(py, lines.take_bytes());
    lines.let_go();
    bytes
}

/// Refuse a line that does not end.
pub fn check_line(lines: &Lines) -> Result<(), Failure> {
    lines.without_end().map_or(Ok(()), |found| Err(too_large(found)))
}

/// Refuse a whole body of which so many bytes are here, and so many announced.
pub fn check_body(here: usize, announced: u64, most: usize) -> Result<(), Failure> {
    if is_more(here, announced, most) {
        Err(too_large(TooLarge::Body(most)))
    } else {
        Ok(())
    }
}

/// Whether a body of which so many bytes are here, and so many announced, has too many.
pub fn is_more(here: usize, announced: u64, most: usize) -> bool {
    announced.saturating_add(here as u64) > most as u64
}

const fn too_large(found: TooLarge) -> Failure {
    Failure::Protocol(ProtocolError::TooLarge(found))
}
