//! How large a response may be, and what it means that one is larger.

use std::fmt;

/// The most bytes that a line of a body may have, unless it is said.
pub const MAX_LINE: usize = 64 * 1024 * 1024;
/// The most bytes that a head may have, interim ones before it included, or the trailer of a chunked body.
pub const MAX_HEAD: usize = 256 * 1024;
/// The most bytes that a body may have which is taken as a whole.
pub const MAX_BODY: usize = 1024 * 1024 * 1024;

/// The most bytes of each; the largest number is no limit.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "their names say it")]
pub struct Sizes {
    pub line: usize,
    pub head: usize,
    pub body: usize,
}

/// The most bytes of a line, a head and a body, as Python gives them, where None is no limit.
pub type Given = (Option<usize>, Option<usize>, Option<usize>);

impl Sizes {
    /// Take what Python gives; where it gives nothing, those that are usual.
    #[must_use]
    pub fn new(given: Option<Given>) -> Self {
        let (line, head, body) = given.unwrap_or((Some(MAX_LINE), Some(MAX_HEAD), Some(MAX_BODY)));
        Self {
            line: line.unwrap_or(usize::MAX),
            head: head.unwrap_or(usize::MAX),
            body: body.unwrap_or(usize::MAX),
        }
    }
}

/// Something is larger than this many bytes, which is the most that it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum TooLarge {
    Line(usize),
    Head(usize),
    Body(usize),
}

impl TooLarge {
    /// The name of the limit, as Python knows it, and its bytes.
    #[must_use]
    pub const fn limit(self) -> (&'static str, usize) {
        match self {
            Self::Line(most) => ("max_line_bytes", most),
            Self::Head(most) => ("max_head_bytes", most),
            Self::Body(most) => ("max_body_bytes", most),
        }
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(most) => write!(out, "a line of the response is longer than {most} bytes"),
            Self::Head(most) => write!(out, "the head or trailer of the response is longer than {most} bytes"),
            Self::Body(most) => write!(out, "the body of the response is longer than {most} bytes"),
        }
    }
}

/// The exception, which is of httpx as all others of a response, and has the limit as its attribute `too_large`.
#[cfg(feature = "python")]
pub fn exception(py: pyo3::Python<'_>, found: TooLarge) -> pyo3::PyErr {
    use pyo3::prelude::*;

    let made = || {
        let kind = py.import("httpx")?.getattr("RemoteProtocolError")?;
        let error = kind.call1((found.to_string(),))?;
        error.setattr("too_large", found.limit())?;
        Ok(error)
    };
    made().map_or_else(|error| error, PyErr::from_value)
}
