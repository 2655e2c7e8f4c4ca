//! What can go wrong with an exchange, as the exceptions of httpx that its own transport raises.

use std::io;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::ending::calling;
use crate::http::ProtocolError;
use crate::http::request::Illegal;
use crate::sizes;

/// What was waited for, or done, when it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum During {
    Connect,
    Write,
    Read,
}

/// A failure; it can be raised more than once.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The operating system refused.
    Io(During, String),
    /// It took longer than it may.
    TimedOut(During),
    /// No connection became free in time.
    PoolTimedOut,
    /// The connection broke, in this way, before the first byte of an answer.
    Unanswered(Box<Self>),
    /// What came is no HTTP.
    Protocol(ProtocolError),
    /// What should be sent is no HTTP, for this reason.
    Request(Illegal),
    /// Somebody closed the stream that is read.
    Closed,
    /// The body was taken as bytes, so that there are no lines.
    Consumed,
}

impl Failure {
    /// Say what the operating system said, in Python's words.
    pub fn io(during: During, error: &io::Error) -> Self {
        let text = error.to_string();
        Self::Io(
            during,
            match error.raw_os_error() {
                Some(number) => {
                    let words = text.split(" (os error").next().unwrap_or_default();
                    format!("[Errno {number}] {words}")
                }
                None => text,
            },
        )
    }

    /// Say that no byte of an answer came, if the connection broke.
    pub fn unanswered(self) -> Self {
        match self {
            Self::Io(During::Write | During::Read, _) | Self::Protocol(ProtocolError::NoHead) => {
                Self::Unanswered(Box::new(self))
            }
            other => other,
        }
    }

    /// What went wrong with a request that the peer took no more of, if `written` says so, and of whose answer this is
    /// `found`: of a peer that then says nothing, the first.
    pub fn behind(self, written: Option<Self>) -> Self {
        let silent = matches!(self, Self::Io(..) | Self::Protocol(ProtocolError::NoHead));
        written.filter(|_| silent).unwrap_or(self)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Unanswered(how) => how.name(),
            Self::Io(During::Connect, _) => "ConnectError",
            Self::Io(During::Write, _) => "WriteError",
            Self::Io(During::Read, _) | Self::Closed => "ReadError",
            Self::TimedOut(During::Connect) => "ConnectTimeout",
            Self::TimedOut(During::Write) => "WriteTimeout",
            Self::TimedOut(During::Read) => "ReadTimeout",
            Self::PoolTimedOut => "PoolTimeout",
            Self::Protocol(_) => "RemoteProtocolError",
            Self::Request(_) => "LocalProtocolError",
            Self::Consumed => "StreamConsumed",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Unanswered(how) => how.text(),
            Self::Io(_, text) => text.clone(),
            Self::TimedOut(During::Connect) => "timed out while connecting".into(),
            Self::TimedOut(During::Write) => "timed out while sending the request".into(),
            Self::TimedOut(During::Read) => "timed out while waiting for the response".into(),
            Self::PoolTimedOut => "timed out while waiting for a free connection".into(),
            Self::Protocol(error) => error.to_string(),
            Self::Request(illegal) => illegal.words().into(),
            Self::Closed => "the stream was closed while it was read".into(),
            Self::Consumed => String::new(), // httpx has words of its own
        }
    }

    /// The exception, of one of httpx's classes; its attribute `unanswered` says that no byte of an answer came.
    pub fn to_exception(&self, py: Python<'_>) -> PyErr {
        if let Self::Protocol(ProtocolError::TooLarge(found)) = self {
            return sizes::exception(py, *found);
        }
        let made = || {
            let _calling = calling(py);
            let kind = py.import("httpx")?.getattr(self.name())?;
            match self {
                Self::Consumed => kind.call0(),
                Self::Unanswered(_) => {
                    let error = kind.call1((self.text(),))?;
                    error.setattr("unanswered", true)?;
                    Ok(error)
                }
                _ => kind.call1((self.text(),)),
            }
        };
        made().map_or_else(|error| error, PyErr::from_value)
    }
}

impl From<Illegal> for Failure {
    fn from(illegal: Illegal) -> Self {
        Self::Request(illegal)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| failure.to_exception(py))
    }
}

/// The error of a reader that finds another one at work.
pub fn busy() -> PyErr {
    PyRuntimeError::new_err("another thread or task is already reading this response")
}
