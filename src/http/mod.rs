//! HTTP/1.1 without sockets: bytes in, bytes out, and no Python.

mod body;
mod head;
pub mod request;
mod response;

use std::fmt;

pub use head::Head;
pub use response::Response;

use crate::sizes::TooLarge;

/// What a peer sent that is no HTTP, or more of it than anyone means to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolError {
    /// The head is not what the standard says, for this reason.
    Head(&'static str),
    /// The framing of a chunked body is broken, in this way.
    Chunk(&'static str),
    /// The connection ended before the head did, or before it began.
    NoHead,
    /// The connection ended before the body did.
    Truncated,
    /// There is more of it than may be.
    TooLarge(TooLarge),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(what) => write!(out, "the head of the response is malformed: {what}"),
            Self::Chunk(what) => write!(out, "the chunked body of the response is malformed: {what}"),
            Self::NoHead => out.write_str("the server disconnected without sending a response"),
            Self::Truncated => out.write_str("the server closed the connection before the end of the response"),
            Self::TooLarge(found) => found.fmt(out),
        }
    }
}
