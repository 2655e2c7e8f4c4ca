//! One blocking connection: connect, write and read, each within a limit and open to signals.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use memchr::memmem;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use pyo3::prelude::*;

use super::leash::{self, Leash};
use crate::failure::{During, Failure};
use crate::outgoing::{Limit, audit_connect};

/// How long it takes until an answer that has begun before its request was whole is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long a system call waits at a time: a signal that comes in the moment before it begins does not interrupt it.
const AT_A_TIME: Duration = Duration::from_secs(1);

/// What ends an attempt: a failure of the exchange, or an exception of Python's, such as `KeyboardInterrupt`.
pub enum Trouble {
    Failed(Failure),
    Raised(PyErr),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<PyErr> for Trouble {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl From<Trouble> for PyErr {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Failed(failure) => failure.into(),
            Trouble::Raised(error) => error,
        }
    }
}

/// A socket with the limits that were last set on it.
pub struct Connection {
    stream: Arc<TcpStream>,
    read_limit: Option<Duration>,
    write_limit: Option<Duration>,
}

impl Connection {
    /// Connect to the first address that answers. Each has its share of the time that is left.
    pub fn open(
        py: Python<'_>,
        addresses: &[SocketAddr],
        limit: Option<Duration>,
        leash: Option<&Leash>,
    ) -> Result<Self, Trouble> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut failure = Failure::Io(During::Connect, "the name has no address".into());
        for (tried, address) in addresses.iter().enumerate() {
            let share = deadline.map(|deadline| {
                let left = u32::try_from(addresses.len().saturating_sub(tried)).unwrap_or(1);
                deadline.saturating_duration_since(Instant::now()) / left
            });
            audit_connect(py, address)?;
            match connect(py, *address, share, leash) {
                Ok(stream) => {
                    return Ok(Self {
                        stream: Arc::new(stream),
                        read_limit: None,
                        write_limit: None,
                    });
                }
                Err(Trouble::Failed(Failure::Closed)) => return Err(Failure::Closed.into()),
                Err(Trouble::Failed(found)) => failure = found,
                Err(raised) => return Err(raised),
            }
        }
        Err(failure.into())
    }

    /// A handle by which another thread can end every wait on this connection.
    pub fn handle(&self) -> Handle {
        Handle {
            stream: Arc::downgrade(&self.stream),
            process: std::process::id(),
        }
    }

    /// Whether the connection, unused, is still open and nothing unasked came on it.
    pub fn is_quiet(&self) -> bool {
        if self.stream.set_nonblocking(true).is_err() {
            return false;
        }
        let quiet = matches!(self.stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        quiet && self.stream.set_nonblocking(false).is_ok()
    }

    /// Write a whole request that the system takes at once, since nothing else is on its way.
    pub fn write(&mut self, py: Python<'_>, bytes: &[u8], limit: Limit) -> Result<(), Trouble> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = waiting(py, During::Write, limit.left(), |left| {
                if self.write_limit != Some(left) {
                    self.stream.set_write_timeout(Some(left))?;
                    self.write_limit = Some(left);
                }
                (&*self.stream).write(rest)
            })?;
            rest = rest.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Write all of these, in as few calls as possible, unless the server refuses them by its answer.
    ///
    /// The limit counts from when the server took something last.
    pub fn write_much(&mut self, py: Python<'_>, pieces: [&[u8]; 3], limit: Limit) -> Result<Written, Trouble> {
        let failed = |error: io::Error| Failure::io(During::Write, &error);
        self.stream.set_nonblocking(true).map_err(failed)?;
        let written = self.write_unless_refused(py, pieces, limit);
        self.stream.set_nonblocking(false).map_err(failed)?;
        written
    }

    fn write_unless_refused(&self, py: Python<'_>, mut pieces: [&[u8]; 3], limit: Limit) -> Result<Written, Trouble> {
        let failed = |error: io::Error| Failure::io(During::Write, &error);
        let mut ends = limit.ends();
        while pieces.iter().any(|piece| !piece.is_empty()) {
            py.check_signals()?;
            let left = ends.map(|ends| ends.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Failure::TimedOut(During::Write).into());
            }
            match py.detach(|| (&*self.stream).write_vectored(&pieces.map(IoSlice::new))) {
                Ok(mut count) => {
                    ends = limit.ends();
                    for piece in &mut pieces {
                        let taken = count.min(piece.len());
                        *piece = piece.get(taken..).unwrap_or_default();
                        count = count.saturating_sub(taken);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let descriptor = self.stream.as_raw_fd();
                    let mut source = SourceFd(&descriptor);
                    let mut poll = Poll::new().map_err(failed)?;
                    let (interest, pause) = match self.early_answer() {
                        Early::Refusal => return Ok(Written::Refused),
                        Early::Nothing => (Interest::READABLE | Interest::WRITABLE, None),
                        // What is there stays readable, so more of it would not be noticed.
                        Early::Unclear => (Interest::WRITABLE, Some(LOOK_AGAIN)),
                        Early::TakesMore => (Interest::WRITABLE, None),
                    };
                    let registered = poll.registry().register(&mut source, Token(0), interest);
                    registered.map_err(failed)?;
                    ready(py, &mut poll, During::Write, left.into_iter().chain(pause).min())?;
                }
                Err(error) => return Err(failed(error).into()),
            }
        }
        Ok(Written::All)
    }

    /// What has come of an answer before the request was whole.
    fn early_answer(&self) -> Early {
        let mut bytes = [0; 4096];
        match self.stream.peek(&mut bytes) {
            Ok(0) => Early::TakesMore, // its side has ended: no answer will come, but it may still read
            Ok(count) => Early::of(bytes.get(..count).unwrap_or_default()),
            Err(_) => Early::Nothing,
        }
    }

    /// Wait for bytes and give them to `take`; none are the end of the stream.
    pub fn read(&mut self, py: Python<'_>, limit: Limit, mut take: impl FnMut(&[u8]) + Send) -> Result<(), Trouble> {
        waiting(py, During::Read, limit.left(), |left| {
            if self.read_limit != Some(left) {
                self.stream.set_read_timeout(Some(left))?;
                self.read_limit = Some(left);
            }
            SCRATCH.with_borrow_mut(|scratch| {
                let count = (&*self.stream).read(scratch)?;
                take(scratch.get(..count).unwrap_or_default());
                Ok(())
            })
        })
    }
}

/// What an answer says, by the bytes that came before its request was whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Early {
    Nothing,
    /// It has begun, and its status is not there yet.
    Unclear,
    /// The server answers and takes more.
    TakesMore,
    /// It is an error, a redirect, or no answer at all.
    Refusal,
}

impl Early {
    fn of(mut bytes: &[u8]) -> Self {
        const STATUS: usize = "HTTP/1.1 ".len();
        const END: &[u8] = b"\r\n\r\n";
        loop {
            match bytes.get(STATUS) {
                None => return Self::Unclear,
                Some(b'1') => match memmem::find(bytes, END).and_then(|at| bytes.get(at.saturating_add(END.len())..)) {
                    Some(behind) => bytes = behind,
                    None => return Self::Unclear,
                },
                Some(b'2') => return Self::TakesMore,
                Some(_) => return Self::Refusal,
            }
        }
    }
}

/// What became of a request that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    All,
    /// The server answered with an error or a redirect, and takes no more.
    Refused,
}

thread_local! {
    static SCRATCH: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; 64 * 1024]);
}

/// Ends waits on a connection from another thread. It does not keep the connection open: who forgets it harms nobody.
pub struct Handle {
    stream: Weak<TcpStream>,
    process: u32,
}

impl Handle {
    /// Shut the connection down: whoever reads from it or writes to it sees its end at once.
    ///
    /// Not in a child of fork, where it would be the parent's connection that ends.
    pub fn shut_down(&self) {
        if self.process == std::process::id()
            && let Some(stream) = self.stream.upgrade()
        {
            let _ = stream.shutdown(Shutdown::Both); // it fails where the peer was faster
        }
    }
}

/// Do one system call without the interpreter's lock, and give it the time that is left; then let signals have their
/// way. It is done again after one whose handler raises nothing.
fn waiting<T: Send>(
    py: Python<'_>,
    during: During,
    limit: Option<Duration>,
    mut call: impl FnMut(Duration) -> io::Result<T> + Send,
) -> Result<T, Trouble> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    let mut left = limit;
    loop {
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Failure::TimedOut(during).into());
        }
        match py.detach(|| call(at_a_time(left))) {
            Ok(done) => {
                // While bytes flow, no call is ever interrupted.
                py.check_signals()?;
                return Ok(done);
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    py.check_signals()?;
                    left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                }
                _ => return Err(Failure::io(during, &error).into()),
            },
        }
    }
}

fn at_a_time(left: Option<Duration>) -> Duration {
    left.map_or(AT_A_TIME, |left| left.min(AT_A_TIME))
}

/// Wait until something is ready, open to signals; false if it is not in time.
fn ready(py: Python<'_>, poll: &mut Poll, during: During, limit: Option<Duration>) -> Result<bool, Trouble> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    let mut events = Events::with_capacity(1);
    while events.is_empty() {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match py.detach(|| poll.poll(&mut events, Some(at_a_time(left)))) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(Failure::io(during, &error).into()),
            Ok(()) if events.is_empty() && left.is_some_and(|left| left.is_zero()) => return Ok(false),
            _ => py.check_signals()?,
        }
    }
    Ok(true)
}

/// Connect by a socket that does not block, because a blocking connect does not return on a signal.
fn connect(
    py: Python<'_>,
    address: SocketAddr,
    limit: Option<Duration>,
    leash: Option<&Leash>,
) -> Result<TcpStream, Trouble> {
    let failed = |error: io::Error| Failure::io(During::Connect, &error);
    let mut stream = mio::net::TcpStream::connect(address).map_err(failed)?;
    let mut poll = Poll::new().map_err(failed)?;
    let registered = poll.registry().register(&mut stream, Token(0), Interest::WRITABLE);
    registered.map_err(failed)?;
    let waker = Arc::new(Waker::new(poll.registry(), Token(1)).map_err(failed)?);
    let held = Arc::clone(&waker); // kept here, too: one that is dropped behind its call may wake nobody
    let wake = move || drop(held.wake()); // whoever waited is gone if it fails
    let in_time = leash::waiting(leash, wake, || ready(py, &mut poll, During::Connect, limit));
    drop(waker);
    if !in_time? {
        return Err(Failure::TimedOut(During::Connect).into());
    }
    poll.registry().deregister(&mut stream).map_err(failed)?;
    if let Some(error) = stream.take_error().map_err(failed)? {
        return Err(failed(error).into());
    }
    let stream = TcpStream::from(stream);
    stream.set_nonblocking(false).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::Early;

    #[test]
    fn an_early_answer_is_known_by_its_status_behind_interim_heads() {
        let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
        for (status, meaning) in [
            (&b"HTTP/1.1 413 Too Large\r\n"[..], Early::Refusal),
            (b"HTTP/1.1 307", Early::Refusal),
            (b"no HTTP at all", Early::Refusal),
            (b"HTTP/1.1 200", Early::TakesMore),
            (b"HTTP/1.1 ", Early::Unclear),
            (b"HTTP/1.1 100 Continue\r\n", Early::Unclear),
            (b"", Early::Unclear),
        ] {
            assert_eq!(Early::of(status), meaning);
            assert_eq!(Early::of(&[interim, status].concat()), meaning);
        }
    }
}
