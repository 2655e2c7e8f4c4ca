//! The blocking connections of one transport, and how a request gets one.

use std::net::SocketAddr;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use super::connection::{Connection, Trouble, Written};
use super::leash::{self, Leash, Slot, slot_of};
use super::reply::{Reply, Within};
use crate::ending::calling;
use crate::failure::Failure;
use crate::outgoing::{Limit, Outgoing, address, limit, until};
use crate::places::{Bounds, Grant, Place, Places};
use crate::sizes::{self, Sizes};

/// A body up to this size goes out in one piece with its head, and fits into the system's buffer.
const SMALL: usize = 16 * 1024;

/// How often a thread that waits for a connection looks whether a signal came.
const LOOK_AT_SIGNALS: Duration = Duration::from_millis(50);

/// How long the others wait at a time.
const LONG: Duration = Duration::from_secs(3600);

/// Keep-alive connections, and how many there may be.
#[pyclass(module = "ollama_fast._core", frozen)]
pub struct Pool {
    shared: Arc<Shared>,
}

/// What the pool and its connections know of each other.
struct Shared {
    places: Mutex<Places<Connection, Arc<Turn>>>,
    /// In a child of fork a thread that is not there may have the lock for ever.
    process: u32,
}

/// Somebody in line.
#[derive(Default)]
struct Turn {
    is_called: AtomicBool,
    /// Whether nobody waits for it any more.
    is_given_up: AtomicBool,
    called: Condvar,
}

/// A connection that counts as one of its pool's, until it is given back or dropped.
pub struct Lease {
    pub connection: Connection,
    permit: Permit,
}

/// The right to have a connection open; dropped behind the connection, it lets another thread have one.
struct Permit {
    shared: Arc<Shared>,
    place: Place,
    generation: u64,
    given_back: bool,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.given_back && self.shared.is_of_this_process() {
            let mut places = self.shared.lock();
            places.lose();
            Shared::call_next(&mut places);
        }
    }
}

impl Lease {
    /// Give a connection back whose last response is complete.
    pub fn give_back(self) {
        let Self { connection, mut permit } = self;
        if !permit.shared.is_of_this_process() {
            return; // it is the parent's
        }
        permit.given_back = true;
        let mut places = permit.shared.lock();
        let refused = places.give_back(connection, permit.place.clone(), permit.generation);
        Shared::call_next(&mut places);
        drop(places);
        drop(refused); // it closes with no lock held
    }
}

impl Shared {
    fn is_of_this_process(&self) -> bool {
        self.process == process::id()
    }

    fn lock(&self) -> MutexGuard<'_, Places<Connection, Arc<Turn>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tell those in line for whom there is a place.
    fn call_next(places: &mut Places<Connection, Arc<Turn>>) {
        while let Some(turn) = places.call_next() {
            turn.is_called.store(true, Ordering::Relaxed);
            turn.called.notify_one();
        }
    }

    /// Get a place, in line if need be: a connection that was kept, or the right to open one. Only that one if it must be
    /// `fresh`: those that were kept are closed then.
    fn take(
        self: &Arc<Self>,
        py: Python<'_>,
        place: &Place,
        fresh: bool,
        deadline: Option<Instant>,
        leash: Option<&Leash>,
    ) -> Result<(Option<Connection>, Permit), Trouble> {
        let mut called = false;
        loop {
            let mut places = self.lock();
            let taken = places.take(place, called, true, |kept| !fresh && kept.is_quiet());
            let generation = places.generation();
            drop(places);
            drop(taken.dead); // they close with no lock held
            let kept = match taken.grant {
                Some(Grant::Kept(connection)) => Some(connection),
                Some(Grant::New) => None,
                None => {
                    self.wait(py, deadline, leash)?;
                    called = true;
                    continue;
                }
            };
            let permit = Permit {
                shared: Arc::clone(self),
                place: place.clone(),
                generation,
                given_back: false,
            };
            return Ok((kept, permit));
        }
    }

    /// Wait in line until called.
    fn wait(self: &Arc<Self>, py: Python<'_>, deadline: Option<Instant>, leash: Option<&Leash>) -> Result<(), Trouble> {
        let turn = Arc::new(Turn::default());
        let mut places = self.lock();
        places.join(Arc::clone(&turn));
        Self::call_next(&mut places);
        drop(places);
        let (shared, other) = (Arc::clone(self), Arc::clone(&turn));
        let give_up = move || {
            let _places = shared.lock(); // so that it does not come between a look and a wait
            other.is_given_up.store(true, Ordering::Relaxed);
            other.called.notify_one();
        };
        let waited = leash::waiting(leash, give_up, || self.wait_for(py, &turn, deadline));
        if waited.is_err() {
            let mut places = self.lock();
            places.leave(|other| Arc::ptr_eq(other, &turn));
            Self::call_next(&mut places);
        }
        waited
    }

    fn wait_for(&self, py: Python<'_>, turn: &Turn, deadline: Option<Instant>) -> Result<(), Trouble> {
        // Only there do handlers of signals run; the others need not look.
        let most = if is_main_thread(py)? { LOOK_AT_SIGNALS } else { LONG };
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let pause = left.map_or(most, |left| left.min(most));
            let called = py.detach(|| {
                let over = || turn.is_called.load(Ordering::Relaxed) || turn.is_given_up.load(Ordering::Relaxed);
                drop(turn.called.wait_timeout_while(self.lock(), pause, |_| !over()));
                over()
            });
            py.check_signals()?;
            if called {
                return Ok(());
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Failure::PoolTimedOut.into());
            }
        }
    }
}

fn look_up(resolve: &Bound<'_, PyAny>, host: &str, port: u16) -> PyResult<Vec<SocketAddr>> {
    let _calling = calling(resolve.py());
    let found = resolve.call1((host, port))?;
    found.try_iter()?.map(|one| address(&one?)).collect()
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let _calling = calling(py);
    let threading = py.import(intern!(py, "threading"))?;
    let current = threading.call_method0(intern!(py, "current_thread"))?;
    Ok(current.is(&threading.call_method0(intern!(py, "main_thread"))?))
}

/// Everything about one request that stays the same when it is tried again.
struct Attempt<'a, 'py> {
    outgoing: &'a Outgoing,
    content: &'a Bound<'py, PyAny>,
    timeout: &'a Bound<'py, PyDict>,
    within: Within,
}

impl Attempt<'_, '_> {
    /// Send the request and wait for the head of its response.
    ///
    /// `None` says that the connection was dead before the server can have seen the whole request.
    fn run(&self, py: Python<'_>, mut lease: Lease, slot: Slot, reused: bool) -> Result<Option<Reply>, Trouble> {
        let replayable = self.content.cast::<PyBytes>().is_ok();
        let written = self.write(py, &mut lease.connection);
        let (complete, failure) = match written {
            Ok(written) => (written == Written::All, None),
            // A server that refuses a request says so without reading all of it.
            Err(Trouble::Failed(failure @ Failure::Io(..))) => (false, Some(failure)),
            Err(trouble) => return Err(trouble),
        };
        let reply = Reply::new(
            lease,
            slot,
            self.outgoing.is_head,
            self.timeout,
            complete && self.outgoing.keep_alive,
            self.within,
        );
        let trouble = match reply.wait_for_head(py) {
            Ok(()) => return Ok(Some(reply)),
            Err(Trouble::Failed(found)) => found.behind(failure),
            Err(raised) => return Err(raised),
        };
        if reply.began() {
            return Err(trouble.into());
        }
        let trouble = trouble.unanswered();
        let dead = matches!(trouble, Failure::Unanswered(_));
        if reused && dead && replayable && (!complete || self.outgoing.is_safe) {
            return Ok(None);
        }
        Err(trouble.into())
    }

    fn write(&self, py: Python<'_>, connection: &mut Connection) -> Result<Written, Trouble> {
        let limit = || self.limit(intern!(py, "write"));
        let mut framing = self.outgoing.body;
        let head = self.outgoing.head.as_slice();
        if let Ok(content) = self.content.cast::<PyBytes>() {
            let content = content.as_bytes();
            let (before, after) = framing.around(content.len()).map_err(Failure::from)?;
            let end = framing.end().map_err(Failure::from)?;
            if content.len() <= SMALL {
                let framed: &[&[u8]] = if content.is_empty() {
                    &[head, end]
                } else {
                    &[head, &before, content, after, end]
                };
                connection.write(py, &framed.concat(), limit()?)?;
                return Ok(Written::All);
            }
            let (head, end) = ([head, &before].concat(), [after, end].concat());
            return connection.write_much(py, [&head, content, &end], limit()?);
        }
        connection.write_much(py, [head, b"", b""], limit()?)?;
        for piece in self.content.try_iter()? {
            let piece = piece?;
            let piece = piece.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes();
            if !piece.is_empty() {
                let (before, after) = framing.around(piece.len()).map_err(Failure::from)?;
                let written = connection.write_much(py, [&before, piece, after], limit()?)?;
                if written == Written::Refused {
                    return Ok(written);
                }
            }
        }
        connection.write_much(py, [framing.end().map_err(Failure::from)?, b"", b""], limit()?)
    }

    fn limit(&self, name: &Bound<'_, PyString>) -> PyResult<Limit> {
        Ok(Limit {
            each: limit(self.timeout, name)?,
            until: self.within.until,
        })
    }
}

#[pymethods]
impl Pool {
    #[new]
    fn new(
        max_connections: Option<usize>,
        max_keepalive_connections: Option<usize>,
        keepalive_expiry: Option<f64>,
    ) -> Self {
        let bounds = Bounds::new(max_connections, max_keepalive_connections, keepalive_expiry);
        Self {
            shared: Arc::new(Shared {
                places: Mutex::new(Places::new(bounds)),
                process: process::id(),
            }),
        }
    }

    /// Send a request and wait for the head of its response.
    ///
    /// Every wait ends after *left* seconds, too. *sizes* are the most bytes of a line, of the head and of a whole body.
    /// Raises one of httpx's exceptions.
    #[pyo3(signature = (
        host, port, resolve, method, target, headers, content, timeout, leash=None, left=None, sizes=None, /
    ))]
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
        leash: Option<&Bound<'_, Leash>>,
        left: Option<f64>,
        sizes: Option<sizes::Given>,
    ) -> PyResult<Reply> {
        let outgoing = Outgoing::new(method, target, headers)?;
        let attempt = Attempt {
            outgoing: &outgoing,
            content,
            timeout,
            within: Within {
                sizes: Sizes::new(sizes),
                until: until(left),
            },
        };
        let deadline = attempt
            .limit(intern!(py, "pool"))?
            .left()
            .map(|left| Instant::now() + left);
        let place = (host.to_owned(), port);
        let leash = leash.map(Bound::get);
        let mut fresh = false;
        loop {
            let (kept, permit) = self.shared.take(py, &place, fresh, deadline, leash)?;
            let reused = kept.is_some();
            let connection = if let Some(connection) = kept {
                connection
            } else {
                let addresses = look_up(resolve, host, port)?;
                let limit = attempt.limit(intern!(py, "connect"))?.left();
                Connection::open(py, &addresses, limit, leash)?
            };
            let slot = slot_of(&connection);
            leash::hold(leash, &slot).map_err(PyErr::from)?;
            if let Some(reply) = attempt.run(py, Lease { connection, permit }, slot, reused)? {
                return Ok(reply);
            }
            fresh = true; // a dead one is likely not the only one, and the server may have read the request each time
        }
    }

    /// Close the connections: those that are not in use now, the others when their responses are complete.
    fn close(&self) {
        let mut places = self.shared.lock();
        let idle = places.close();
        Shared::call_next(&mut places);
        drop(places);
        drop(idle); // they close with no lock held
    }

    /// How many connections are open, and how many of them are idle.
    fn counts(&self) -> (usize, usize) {
        self.shared.lock().counts()
    }
}
