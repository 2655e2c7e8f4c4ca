//! One request and its response, as far as the sockets are concerned.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memchr::memchr;
use mio::net::TcpStream;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::failure::{During, Failure};
use crate::http::{ProtocolError, Response};

/// How many bytes of a body wait for their reader before no more are read from its socket.
pub const HIGH_WATER: usize = 256 * 1024;

/// What a task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// That all of the request that was given is sent.
    Sent,
    /// The head of the response.
    Head,
    /// A line of the body, or its end.
    Line,
    /// Some bytes of the body, or its end.
    Bytes,
    /// The whole body.
    Whole,
}

/// How long each kind of wait may last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    pub connect: Option<Duration>,
    pub write: Option<Duration>,
    pub read: Option<Duration>,
}

/// Bytes to send.
pub enum Piece {
    Own(Vec<u8>),
    Python(PyBackedBytes),
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Python(bytes) => bytes,
        }
    }
}

/// An exchange, shared by its reader and the table of sockets.
pub type Shared = Arc<Mutex<Exchange>>;

/// The state of one exchange.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and all combinations occur"
)]
pub struct Exchange {
    /// Where to connect to if the address that is tried now fails.
    pub addresses: VecDeque<SocketAddr>,
    /// What is to be sent, and how much of the first piece was.
    outbox: VecDeque<Piece>,
    sent: usize,
    /// Whether the whole request was put into the outbox.
    pub request_ended: bool,
    /// Whether the request allows to keep the connection, and may be sent again without harm.
    pub keep_alive: bool,
    pub is_safe: bool,
    pub response: Response,
    /// Bytes of the body that the reader did not take, and whether a newline is among them.
    pub content: Vec<u8>,
    has_newline: bool,
    /// The place of its socket in the table, until the exchange is over.
    pub slot: Option<usize>,
    pub reused: bool,
    pub connecting: bool,
    /// Whether reading was stopped because the reader is slow.
    pub paused: bool,
    pub waiter: Option<(Py<PyAny>, Want)>,
    pub limits: Limits,
    pub deadline: Option<Instant>,
    failure: Option<Failure>,
    write_failure: Option<Failure>,
}

/// Lock an exchange; its state is sound even if a thread broke off.
pub fn lock(shared: &Shared) -> MutexGuard<'_, Exchange> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Exchange {
    pub fn new(head: Vec<u8>, response: Response, limits: Limits) -> Self {
        Self {
            addresses: VecDeque::new(),
            outbox: VecDeque::from([Piece::Own(head)]),
            sent: 0,
            request_ended: false,
            keep_alive: true,
            is_safe: false,
            response,
            content: Vec::new(),
            has_newline: false,
            slot: None,
            reused: false,
            connecting: false,
            paused: false,
            waiter: None,
            limits,
            deadline: None,
            failure: None,
            write_failure: None,
        }
    }

    /// What ended the exchange before its response was complete.
    pub fn failure(&self) -> Option<Failure> {
        let protocol = || self.response.error().map(Failure::Protocol);
        let found = self.failure.clone().or_else(protocol)?;
        // A peer that takes no more of a request and then says nothing: the first is what went wrong.
        let silent = matches!(found, Failure::Io(..) | Failure::Protocol(ProtocolError::NoHead));
        Some(self.write_failure.clone().filter(|_| silent).unwrap_or(found))
    }

    /// End the exchange with a failure, unless it is over.
    pub fn fail(&mut self, failure: Failure) {
        if !self.is_over() {
            self.failure = Some(failure);
        }
    }

    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        self.failure.is_some() || self.response.is_over()
    }

    /// Whether the connection can serve another request.
    pub fn leaves_connection(&self) -> bool {
        self.keep_alive && self.request_ended && self.is_sent() && self.response.leaves_connection()
    }

    /// Whether the connection was dead before the server can have acted on the request.
    pub fn is_stale(&self) -> bool {
        let dead = matches!(
            self.failure(),
            Some(Failure::Io(..) | Failure::Protocol(ProtocolError::NoHead))
        );
        self.reused && dead && !self.response.began() && (self.write_failure.is_some() || self.is_safe)
    }

    /// Whether there is what a task wants, or a reason to wait for it no longer.
    pub fn has(&self, want: Want) -> bool {
        self.is_over()
            || match want {
                Want::Sent => self.is_sent() || self.needs_no_more(),
                Want::Head => self.response.head().is_some(),
                Want::Line => self.has_newline,
                Want::Bytes => !self.content.is_empty(),
                Want::Whole => false,
            }
    }

    /// Whether the rest of the request need not be sent: the server answers, or takes no more.
    pub fn needs_no_more(&self) -> bool {
        self.write_failure.is_some() || self.response.head().is_some()
    }

    /// The body's bytes are taken.
    pub fn content_taken(&mut self) {
        self.content.clear();
        self.has_newline = false;
    }

    fn is_sent(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Add something to send.
    pub fn put(&mut self, piece: Piece) {
        if !piece.as_ref().is_empty() && self.write_failure.is_none() {
            self.outbox.push_back(piece);
        }
    }

    /// Send as much as the socket takes.
    pub fn send(&mut self, stream: &mut TcpStream) {
        while let Some(first) = self.outbox.front() {
            let first = first.as_ref().get(self.sent..).unwrap_or_default();
            let second = self.outbox.get(1).map_or(&[][..], AsRef::as_ref);
            match stream.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]) {
                Ok(count) => self.was_sent(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return,
                Err(error) => {
                    self.write_failure = Some(Failure::io(During::Write, &error));
                    self.outbox.clear();
                    self.sent = 0;
                    return;
                }
            }
        }
    }

    fn was_sent(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count);
        while let Some(length) = self.outbox.front().map(|piece| piece.as_ref().len())
            && self.sent >= length
        {
            self.sent = self.sent.saturating_sub(length);
            self.outbox.pop_front();
        }
        self.rearm();
    }

    /// Read until the socket is empty, or more is there than a reader takes at once.
    ///
    /// `ending` says that the peer will send no more, so that a short read need not be the last.
    pub fn receive(&mut self, stream: &mut TcpStream, scratch: &mut [u8], ending: bool) {
        self.paused = false;
        loop {
            let unmet = self.waiter.as_ref().is_some_and(|(_, want)| !self.has(*want));
            if self.content.len() >= HIGH_WATER && !unmet {
                self.paused = true;
                return;
            }
            match stream.read(scratch) {
                Ok(0) => {
                    self.response.close();
                    return;
                }
                Ok(count) => {
                    self.take(scratch.get(..count).unwrap_or_default());
                    if self.is_over() || (count < scratch.len() && !ending) {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    self.fail(Failure::io(During::Read, &error));
                    return;
                }
            }
        }
    }

    fn take(&mut self, data: &[u8]) {
        let before = self.content.len();
        self.response.feed(data, &mut self.content);
        if !self.has_newline {
            self.has_newline = memchr(b'\n', self.content.get(before..).unwrap_or_default()).is_some();
        }
        if self.deadline.is_some() {
            self.rearm();
        }
    }

    /// Begin to count the time of a wait anew.
    pub fn rearm(&mut self) {
        let limit = if self.connecting {
            // Each address has its share of the time.
            let left = u32::try_from(self.addresses.len().saturating_add(1)).unwrap_or(1);
            self.limits.connect.map(|limit| limit / left)
        } else if self.is_sent() {
            self.limits.read
        } else {
            self.limits.write
        };
        self.deadline = limit.map(|limit| Instant::now() + limit);
    }

    /// What it means that the deadline passed.
    pub fn timed_out(&self) -> Failure {
        Failure::TimedOut(if self.connecting {
            During::Connect
        } else if self.is_sent() {
            During::Read
        } else {
            During::Write
        })
    }

    /// Note that no connection could be made to the address that was tried last.
    pub fn not_connected(&mut self, error: &io::Error) {
        self.fail(Failure::io(During::Connect, error));
    }
}
