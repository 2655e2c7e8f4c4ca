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
use pyo3::types::PyBytes;

use crate::failure::{During, Failure};
use crate::http::Response;
use crate::incoming::is_more;
use crate::ndjson::Lines;
use crate::sizes::Sizes;

/// Up to this size a piece of a request is copied, so that it goes out together with what is around it.
const SMALL: usize = 16 * 1024;

/// How many bytes of a body wait for their reader before no more are read from its socket.
pub const HIGH_WATER: usize = 256 * 1024;

/// How many bytes are read from one socket before others have their turn, and the tasks of the loop.
const AT_ONCE: usize = 256 * 1024;

/// What a task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// A decoded line of the body.
    Part,
    /// That all of the request that was given is sent.
    Sent,
    /// The head of the response.
    Head,
    /// A line of the body, or its end; it is not taken.
    Line,
    /// Some bytes of the body, or its end.
    Bytes,
    /// The whole body.
    Whole,
}

/// How long each kind of wait may last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    pub write: Option<Duration>,
    pub read: Option<Duration>,
}

/// Bytes to send. Those of Python must be exact bytes: they are let go of while locks are held.
pub enum Piece {
    Own(Vec<u8>),
    Python(PyBackedBytes),
}

impl Piece {
    /// Take a piece of a body as Python gives it; a small one is copied.
    pub fn of(bytes: &Bound<'_, PyBytes>) -> Self {
        if bytes.as_bytes().len() > SMALL && bytes.is_exact_instance_of::<PyBytes>() {
            Self::Python(bytes.clone().into())
        } else {
            Self::Own(bytes.as_bytes().to_vec())
        }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Python(bytes) => bytes,
        }
    }
}

/// A task that waits.
pub struct Waiter {
    pub future: Py<PyAny>,
    pub want: Want,
    /// Tells this wait from all others of the exchange.
    pub number: u64,
}

/// Whether a socket was read until it was empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It was, or nothing is to be read from it now.
    Nothing,
    /// It was not, because others have their turn first.
    Something,
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
    /// Whether it must go out on a new connection.
    pub fresh: bool,
    pub response: Response,
    /// Bytes of the body that the reader did not take, and whether a newline is among them.
    pub content: Vec<u8>,
    has_newline: bool,
    /// How many bytes of an unfinished line the reader holds.
    held: usize,
    /// The place of its socket in the table, until the exchange is over.
    pub slot: Option<usize>,
    pub reused: bool,
    pub connecting: bool,
    /// Whether reading was stopped because the reader is slow.
    pub paused: bool,
    pub waiter: Option<Waiter>,
    /// How many waits there were.
    pub waits: u64,
    pub limits: Limits,
    pub deadline: Option<Instant>,
    /// When a connection shall be made, by whichever address.
    pub connect_until: Option<Instant>,
    /// When all of it shall be over, also if nobody waits then.
    pub until: Option<Instant>,
    pub sizes: Sizes,
    failure: Option<Failure>,
    write_failure: Option<Failure>,
}

/// Lock an exchange; its state is sound even if a thread broke off.
pub fn lock(shared: &Shared) -> MutexGuard<'_, Exchange> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Exchange {
    pub fn new(head: Vec<u8>, no_body: bool, limits: Limits, sizes: Sizes) -> Self {
        Self {
            addresses: VecDeque::new(),
            outbox: VecDeque::from([Piece::Own(head)]),
            sent: 0,
            request_ended: false,
            keep_alive: true,
            is_safe: false,
            fresh: false,
            response: Response::new(no_body).with_max_head(sizes.head),
            content: Vec::new(),
            has_newline: false,
            held: 0,
            slot: None,
            reused: false,
            connecting: false,
            paused: false,
            waiter: None,
            waits: 0,
            limits,
            deadline: None,
            connect_until: None,
            until: None,
            sizes,
            failure: None,
            write_failure: None,
        }
    }

    /// What ended the exchange before its response was complete.
    pub fn failure(&self) -> Option<Failure> {
        let protocol = || self.response.error().map(Failure::Protocol);
        let found = self.failure.clone().or_else(protocol)?;
        let found = found.behind(self.write_failure.clone());
        Some(if self.response.began() {
            found
        } else {
            found.unanswered()
        })
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
        let sent = self.request_ended && self.is_sent() && self.write_failure.is_none();
        self.keep_alive && sent && self.response.leaves_connection()
    }

    /// Whether the connection was dead before the server can have acted on the request.
    pub fn is_stale(&self) -> bool {
        let dead = matches!(self.failure(), Some(Failure::Unanswered(_)));
        self.reused && dead && (self.write_failure.is_some() || self.is_safe)
    }

    /// Whether there is what a task wants, or a reason to wait for it no longer.
    pub fn has(&self, want: Want) -> bool {
        self.is_over()
            || match want {
                Want::Sent => self.is_sent() || self.needs_no_more(),
                Want::Head => self.response.head().is_some(),
                Want::Part | Want::Line => {
                    self.has_newline || self.content.len().saturating_add(self.held) > self.sizes.line
                }
                Want::Bytes => !self.content.is_empty(),
                Want::Whole => self.is_too_large(self.held),
            }
    }

    /// Whether the rest of the request need not be sent: the server refuses it, takes no more, or has said all it will.
    pub fn needs_no_more(&self) -> bool {
        let refused = self.response.head().is_some_and(|head| head.status >= 300);
        self.write_failure.is_some() || refused || self.is_over()
    }

    /// Whether the whole body is too large, of which a reader holds so many bytes.
    pub fn is_too_large(&self, held: usize) -> bool {
        let here = self.content.len().saturating_add(held);
        is_more(here, self.response.announced(), self.sizes.body)
    }

    /// Let a reader take the bytes of the body, and hear how many it holds then.
    pub fn give_content(&mut self, lines: &mut Lines) {
        lines.feed_all(&mut self.content);
        self.has_newline = false;
        self.held = lines.len();
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
        if self.outbox.is_empty() {
            self.outbox = VecDeque::new(); // it is not used again, and there may be a thousand
        }
        self.rearm();
    }

    /// Read until the socket is empty, or more is there than a reader takes at once, or others have their turn.
    ///
    /// `ending` says that a short read need not be the last: the peer will send no more, or the readiness is an old one.
    pub fn receive(&mut self, stream: &mut TcpStream, scratch: &mut [u8], ending: bool) -> Left {
        self.paused = false;
        let mut total: usize = 0;
        loop {
            if self.content.len() >= HIGH_WATER && !self.needs_more() {
                self.paused = true;
                return Left::Nothing;
            }
            if total >= AT_ONCE {
                return Left::Something;
            }
            match stream.read(scratch) {
                Ok(0) => {
                    self.response.close();
                    return Left::Nothing;
                }
                Ok(count) => {
                    total = total.saturating_add(count);
                    self.take(scratch.get(..count).unwrap_or_default());
                    if self.is_over() || (count < scratch.len() && !ending) {
                        return Left::Nothing;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Left::Nothing,
                Err(error) => {
                    self.fail(Failure::io(During::Read, &error));
                    return Left::Nothing;
                }
            }
        }
    }

    /// Whether what a task waits for may be in what is still to be read. While it sends, that is a head and no body: of
    /// one that comes all the same only so much is kept, and who takes no more of the request is not read on for it.
    fn needs_more(&self) -> bool {
        self.waiter.as_ref().is_some_and(|waiter| {
            let sends = waiter.want == Want::Sent && self.response.head().is_some();
            !sends && !self.has(waiter.want)
        })
    }

    fn take(&mut self, data: &[u8]) {
        let before = self.content.len();
        self.response.feed(data, &mut self.content);
        if !self.has_newline {
            self.has_newline = memchr(b'\n', self.content.get(before..).unwrap_or_default()).is_some();
        }
        if self.deadline.is_some() && self.response.head().is_some() && self.waits_for() == During::Read {
            self.rearm(); // the time for a head is for all of it, and for what may come before it; and to send is no reading
        }
    }

    /// Begin to count the time of a wait anew.
    pub fn rearm(&mut self) {
        let now = Instant::now();
        let limit = match self.waits_for() {
            During::Connect => self.share_of_connecting(now),
            During::Write => self.limits.write,
            During::Read => self.limits.read,
        };
        let deadline = limit.map(|limit| now + limit);
        self.deadline = deadline.into_iter().chain(self.until).min();
    }

    /// How long the address that is tried now has: its share of the time that is left for all.
    fn share_of_connecting(&mut self, now: Instant) -> Option<Duration> {
        let until = self.connect_until?;
        let left = u32::try_from(self.addresses.len().saturating_add(1)).unwrap_or(1);
        Some(until.saturating_duration_since(now) / left)
    }

    /// End it at this moment, unless it ends sooner.
    pub fn ends_by(&mut self, moment: Option<Instant>) {
        self.until = self.until.into_iter().chain(moment).min();
    }

    /// What has to happen next for the waiter to have what it wants.
    fn waits_for(&self) -> During {
        let sends = matches!(
            self.waiter.as_ref().map(|waiter| waiter.want),
            None | Some(Want::Sent | Want::Head)
        );
        if self.connecting {
            During::Connect
        } else if sends && !self.is_sent() {
            During::Write
        } else {
            During::Read
        }
    }

    /// What it means that the deadline passed.
    pub fn timed_out(&self) -> Failure {
        Failure::TimedOut(self.waits_for())
    }

    /// Forget a wait that was given up; what it waited for is there for the next.
    pub fn give_up(&mut self, number: u64) -> Option<Py<PyAny>> {
        let waiter = self.waiter.take_if(|waiter| waiter.number == number)?;
        self.deadline = None;
        Some(waiter.future)
    }

    /// Note that no connection could be made to the address that was tried last.
    pub fn not_connected(&mut self, error: &io::Error) {
        self.fail(Failure::io(During::Connect, error));
    }
}
