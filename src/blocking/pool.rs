//! The blocking connections of one transport, and how a request gets one.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::connection::{Connection, Trouble};
use super::reply::Reply;
use crate::failure::Failure;
use crate::http::Response;
use crate::outgoing::{Outgoing, address, limit};

/// How often a thread that waits for a connection looks whether a signal came.
const LOOK_AT_SIGNALS: Duration = Duration::from_millis(50);

/// Keep-alive connections, and how many there may be.
#[pyclass(module = "ollama_fast._core", frozen)]
pub struct Pool {
    shared: Arc<Shared>,
}

/// What the pool and its connections know of each other.
pub struct Shared {
    max_connections: usize,
    max_idle: usize,
    expiry: Option<Duration>,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    /// Connections in use and idle ones.
    open: usize,
    /// The newest last.
    idle: Vec<Idle>,
}

struct Idle {
    lease: Lease,
    since: Instant,
}

/// A connection that counts as one of its pool's.
pub struct Lease {
    pub connection: Connection,
    place: (String, u16),
    permit: Permit,
}

/// The right to have a connection open; dropped behind the connection, it lets another thread have one.
struct Permit(Arc<Shared>);

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open = state.open.saturating_sub(1);
        drop(state);
        self.0.freed.notify_one();
    }
}

impl Lease {
    /// Give a connection back whose last response is complete.
    pub fn give_back(self) {
        let shared = Arc::clone(&self.permit.0);
        let mut state = shared.lock();
        if state.idle.len() < shared.max_idle {
            state.idle.push(Idle {
                lease: self,
                since: Instant::now(),
            });
            drop(state);
            shared.freed.notify_one();
        } else {
            drop(state); // before the lease, whose end needs the lock
            drop(self);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection to this place that is still good.
    fn reuse(&self, place: (&str, u16)) -> Option<Lease> {
        loop {
            let mut state = self.lock();
            let expired = state
                .idle
                .iter()
                .take_while(|idle| self.expiry.is_some_and(|expiry| idle.since.elapsed() >= expiry))
                .count();
            let old: Vec<Idle> = state.idle.drain(..expired).collect();
            let found = state
                .idle
                .iter()
                .rposition(|idle| (idle.lease.place.0.as_str(), idle.lease.place.1) == place);
            let found = found.map(|index| state.idle.remove(index).lease);
            drop(state);
            drop(old);
            match found {
                Some(lease) if !lease.connection.is_quiet() => {}
                found => return found,
            }
        }
    }

    /// The right to open a connection, at once or never; an idle one elsewhere gives way.
    fn try_permit(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.lock();
        if state.open >= self.max_connections {
            if state.idle.is_empty() {
                return None;
            }
            let oldest = state.idle.remove(0);
            drop(state);
            drop(oldest);
            state = self.lock();
            if state.open >= self.max_connections {
                return None;
            }
        }
        state.open = state.open.saturating_add(1);
        drop(state);
        Some(Permit(Arc::clone(self)))
    }

    /// Wait until a connection may have become free.
    fn wait(&self, py: Python<'_>, deadline: Option<Instant>) -> Result<(), Trouble> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Failure::PoolTimedOut.into());
        }
        let pause = left.map_or(LOOK_AT_SIGNALS, |left| left.min(LOOK_AT_SIGNALS));
        py.detach(|| {
            let state = self.lock();
            if state.open >= self.max_connections && state.idle.is_empty() {
                drop(self.freed.wait_timeout(state, pause));
            }
        });
        py.check_signals()?;
        Ok(())
    }
}

/// Everything about one request that stays the same when it is tried again.
struct Attempt<'a, 'py> {
    outgoing: &'a Outgoing,
    content: &'a Bound<'py, PyAny>,
    timeout: &'a Bound<'py, PyDict>,
}

impl Attempt<'_, '_> {
    /// Send the request and wait for the head of its response.
    ///
    /// `None` says that the connection was dead before the server can have seen the whole request.
    fn run(&self, py: Python<'_>, mut lease: Lease, reused: bool) -> Result<Option<Reply>, Trouble> {
        let replayable = self.content.cast::<PyBytes>().is_ok();
        let written = self.write(py, &mut lease.connection);
        let failure = match written {
            Ok(()) => None,
            // A server that refuses a request says so without reading all of it.
            Err(Trouble::Failed(failure @ Failure::Io(..))) => Some(failure),
            Err(trouble) => return Err(trouble),
        };
        let complete = failure.is_none();
        let reply = Reply::new(
            lease,
            Response::new(self.outgoing.is_head),
            self.timeout,
            complete && self.outgoing.keep_alive,
        );
        let trouble = match reply.wait_for_head(py) {
            Ok(()) => return Ok(Some(reply)),
            Err(Trouble::Failed(found)) => failure.unwrap_or(found),
            Err(raised) => return Err(raised),
        };
        let dead = matches!(
            trouble,
            Failure::Io(..) | Failure::Protocol(crate::http::ProtocolError::NoHead)
        );
        if reused && dead && replayable && !reply.began() && (!complete || self.outgoing.is_safe) {
            return Ok(None);
        }
        Err(trouble.into())
    }

    fn write(&self, py: Python<'_>, connection: &mut Connection) -> Result<(), Trouble> {
        let name = intern!(py, "write");
        let mut framing = self.outgoing.body;
        if let Ok(content) = self.content.cast::<PyBytes>() {
            let content = content.as_bytes();
            let (before, after) = framing.around(content.len())?;
            let end = framing.end()?;
            let bare = before.is_empty() || content.is_empty();
            if bare {
                return connection.write(
                    py,
                    &self.outgoing.head,
                    if content.is_empty() { end } else { content },
                    limit(self.timeout, name)?,
                );
            }
            let head = [self.outgoing.head.as_slice(), &before].concat();
            connection.write(py, &head, content, limit(self.timeout, name)?)?;
            return connection.write(py, after, end, limit(self.timeout, name)?);
        }
        connection.write(py, &self.outgoing.head, b"", limit(self.timeout, name)?)?;
        for piece in self.content.try_iter()? {
            let piece = piece?;
            let piece = piece.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes();
            if !piece.is_empty() {
                let (before, after) = framing.around(piece.len())?;
                connection.write(py, &before, piece, limit(self.timeout, name)?)?;
                connection.write(py, after, b"", limit(self.timeout, name)?)?;
            }
        }
        connection.write(py, framing.end()?, b"", limit(self.timeout, name)?)
    }
}

#[pymethods]
impl Pool {
    #[new]
    #[pyo3(signature = (max_connections, max_keepalive_connections, keepalive_expiry))]
    fn new(
        max_connections: Option<usize>,
        max_keepalive_connections: Option<usize>,
        keepalive_expiry: Option<f64>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                max_connections: max_connections.unwrap_or(usize::MAX),
                max_idle: max_keepalive_connections.unwrap_or(usize::MAX),
                expiry: keepalive_expiry.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()),
                state: Mutex::default(),
                freed: Condvar::new(),
            }),
        }
    }

    /// Send a request and wait for the head of its response.
    ///
    /// Raises one of httpx's exceptions.
    #[pyo3(signature = (host, port, resolve, method, target, headers, content, timeout, /))]
    #[allow(clippy::too_many_arguments, reason = "they are what an httpx.Request holds")]
    fn send(
        &self,
        py: Python<'_>,
        host: &str,
        port: u16,
        resolve: &Bound<'_, PyAny>,
        method: &[u8],
        target: &[u8],
        headers: &Bound<'_, PyList>,
        content: &Bound<'_, PyAny>,
        timeout: &Bound<'_, PyDict>,
    ) -> PyResult<Reply> {
        let outgoing = Outgoing::new(method, target, headers)?;
        let attempt = Attempt {
            outgoing: &outgoing,
            content,
            timeout,
        };
        let deadline = limit(timeout, intern!(py, "pool"))?.map(|limit| Instant::now() + limit);
        loop {
            if let Some(lease) = self.shared.reuse((host, port)) {
                if let Some(reply) = attempt.run(py, lease, true)? {
                    return Ok(reply);
                }
            } else if let Some(permit) = self.shared.try_permit() {
                let found = resolve.call1((host, port))?;
                let addresses = found
                    .try_iter()?
                    .map(|one| address(&one?))
                    .collect::<PyResult<Vec<SocketAddr>>>()?;
                let connection = Connection::open(py, &addresses, limit(timeout, intern!(py, "connect"))?)?;
                let lease = Lease {
                    connection,
                    place: (host.to_owned(), port),
                    permit,
                };
                if let Some(reply) = attempt.run(py, lease, false)? {
                    return Ok(reply);
                }
            } else {
                self.shared.wait(py, deadline)?;
            }
        }
    }

    /// Close the connections that are not in use.
    fn close(&self) {
        let idle = std::mem::take(&mut self.shared.lock().idle);
        drop(idle);
    }

    /// How many connections are open, and how many of them are idle.
    fn counts(&self) -> (usize, usize) {
        let state = self.shared.lock();
        (state.open, state.idle.len())
    }
}
