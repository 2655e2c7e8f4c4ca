//! A response as a task reads it: what to await for, and what it gives.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use pyo3::exceptions::{PyBaseException, PyStopAsyncIteration, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyList, PyTuple};

use super::exchange::{Limits, Piece, Shared, Waiter, Want, lock};
use super::readiness::ReadinessSet;
use crate::ending::calling;
use crate::failure::{self, Failure};
use crate::http::request::Framing;
use crate::incoming;
use crate::ndjson::Lines;
use crate::outgoing::{limit, until};
use crate::parts;
use crate::sizes::Sizes;

/// An exchange on an event loop. Iterate over it, asynchronously, for the decoded lines of its body.
#[pyclass(module = "ollama_fast._core", frozen)]
pub struct AsyncReply {
    set: Py<ReadinessSet>,
    shared: Shared,
    /// What of the body was taken from the exchange; one reader at a time.
    lines: Mutex<Lines>,
    /// Whether the body is taken as bytes.
    as_bytes: AtomicBool,
    framing: Mutex<Framing>,
    timeout: Py<PyDict>,
    sizes: Sizes,
}

impl AsyncReply {
    pub fn new(
        set: Py<ReadinessSet>,
        shared: Shared,
        framing: Framing,
        timeout: &Bound<'_, PyDict>,
        sizes: Sizes,
    ) -> Self {
        Self {
            set,
            shared,
            lines: Mutex::new(Lines::within(sizes.line)),
            as_bytes: AtomicBool::new(false),
            framing: Mutex::new(framing),
            timeout: timeout.clone().unbind(),
            sizes,
        }
    }

    fn lines(&self) -> PyResult<MutexGuard<'_, Lines>> {
        match self.lines.try_lock() {
            Ok(lines) => Ok(lines),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(failure::busy()),
        }
    }

    /// Take over what came; whether the body is complete with it. A failure counts once all before it is taken.
    fn refill(&self, py: Python<'_>, lines: &mut Lines) -> PyResult<bool> {
        let mut exchange = lock(&self.shared);
        if !exchange.content.is_empty() {
            exchange.give_content(lines);
            if exchange.response.is_complete() {
                lines.close();
            }
            let paused = exchange.paused;
            drop(exchange);
            if paused {
                ReadinessSet::with(self.set.bind(py), |table, _| table.resume(&mut lock(&self.shared)));
            }
            return Ok(false);
        }
        if exchange.response.is_complete() {
            lines.close();
            return Ok(true);
        }
        match exchange.failure() {
            Some(failure) => {
                drop(exchange);
                Err(failure.into())
            }
            None => Ok(false),
        }
    }

    /// The next part if it is there; `None` while it is not. The end is `StopAsyncIteration`.
    fn part<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut lines = self.lines()?;
        loop {
            if let Some(part) = parts::next(py, &mut lines)? {
                return Ok(Some(part));
            }
            let before = lines.len();
            if self.refill(py, &mut lines)? {
                // The end may have made a line of what was left.
                let last = parts::next(py, &mut lines)?;
                return last.map_or_else(|| Err(PyStopAsyncIteration::new_err(())), |part| Ok(Some(part)));
            }
            if lines.len() == before {
                return Ok(None);
            }
        }
    }

    /// Whether a line is there; `None` while it is not, false at the end of the body.
    fn line(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        let mut lines = self.lines()?;
        loop {
            if lines.has_line() {
                return Ok(Some(true));
            }
            incoming::check_line(&lines)?;
            let before = lines.len();
            if self.refill(py, &mut lines)? {
                return Ok(Some(lines.has_line())); // what is left by then is a line without newline
            }
            if lines.len() == before {
                return Ok(None);
            }
        }
    }

    /// Some bytes, or all of them; `None` while they are not there.
    fn bytes<'py>(&self, py: Python<'py>, whole: bool) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut lines = self.lines()?;
        loop {
            if !whole && !lines.is_empty() {
                return Ok(Some(incoming::bytes(py, &mut lines)));
            }
            if whole {
                let (here, announced) = {
                    let exchange = lock(&self.shared);
                    (
                        lines.len().saturating_add(exchange.content.len()),
                        exchange.response.announced(),
                    )
                };
                incoming::check_body(here, announced, self.sizes.body)?;
            }
            let before = lines.len();
            if self.refill(py, &mut lines)? {
                return Ok(Some(incoming::bytes(py, &mut lines)));
            }
            if lines.len() == before {
                return Ok(None);
            }
        }
    }

    /// Whether the request or the head is as far as a task wants it; then whether no more need be sent.
    fn progress(&self, want: Want) -> PyResult<Option<bool>> {
        let exchange = lock(&self.shared);
        let (ready, enough) = (exchange.has(want), exchange.needs_no_more());
        let failure = exchange.failure().filter(|_| exchange.response.head().is_none());
        drop(exchange);
        match failure {
            Some(failure) => Err(failure.into()),
            None => Ok(ready.then_some(enough)),
        }
    }

    /// What a task wants, if it is there.
    fn get<'py>(&self, py: Python<'py>, want: Want) -> PyResult<Option<Bound<'py, PyAny>>> {
        match want {
            Want::Part | Want::Line if self.as_bytes.load(Ordering::Relaxed) => return Err(Failure::Consumed.into()),
            Want::Bytes | Want::Whole => self.as_bytes.store(true, Ordering::Relaxed),
            _ => {}
        }
        let flag = |found: bool| PyBool::new(py, found).to_owned().into_any();
        match want {
            Want::Part => self.part(py),
            Want::Line => Ok(self.line(py)?.map(flag)),
            Want::Sent | Want::Head => Ok(self.progress(want)?.map(flag)),
            Want::Bytes => Ok(self.bytes(py, false)?.map(Bound::into_any)),
            Want::Whole => Ok(self.bytes(py, true)?.map(Bound::into_any)),
        }
    }

    /// Give the future that a task has to wait for, and the number of the wait.
    fn wait(&self, py: Python<'_>, want: Want) -> PyResult<(Py<PyAny>, u64)> {
        let timeout = self.timeout.bind(py);
        let read = limit(timeout, intern!(py, "read"))?;
        let limits = match want {
            Want::Sent | Want::Head => Limits {
                write: limit(timeout, intern!(py, "write"))?,
                read,
            },
            _ => Limits {
                read,
                ..Limits::default()
            },
        };
        let other = lock(&self.shared)
            .waiter
            .as_ref()
            .map(|waiter| waiter.future.clone_ref(py));
        if let Some(other) = other
            && !other.call_method0(py, intern!(py, "done"))?.is_truthy(py)?
        {
            return Err(failure::busy());
        }
        let set = self.set.bind(py);
        let future = set.get().future(py)?;
        // The protocol by which a task knows that what it was given is a future to wait for.
        future.setattr(py, intern!(py, "_asyncio_future_blocking"), true)?;
        let mut exchange = lock(&self.shared);
        exchange.limits = limits;
        exchange.waits = exchange.waits.wrapping_add(1);
        let number = exchange.waits;
        let old = exchange.waiter.replace(Waiter {
            future: future.clone_ref(py),
            want,
            number,
        });
        exchange.rearm();
        let (deadline, paused, has) = (exchange.deadline, exchange.paused, exchange.has(want));
        drop(exchange);
        drop(old); // with no lock held: it may be the last reference
        if has {
            // It came, or the reply was closed, while Python ran in between.
            ReadinessSet::with(set, |table, wakes| table.settle(&mut lock(&self.shared), wakes));
        }
        if paused {
            ReadinessSet::with(set, |table, _| table.resume(&mut lock(&self.shared)));
        }
        if let Some(deadline) = deadline {
            ReadinessSet::ring_at(set, deadline)?;
        }
        Ok((future, number))
    }

    fn waiting(slf: Py<Self>, want: Want) -> Wait {
        Wait {
            reply: slf,
            want,
            number: AtomicU64::new(0),
        }
    }
}

#[pymethods]
impl AsyncReply {
    /// The status code, once the head is in.
    #[getter]
    fn status(&self) -> u16 {
        lock(&self.shared).response.head().map_or(0, |head| head.status)
    }

    /// Names and values of the headers, as bytes.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let head = lock(&self.shared).response.head().cloned();
        incoming::headers(py, head.as_ref())
    }

    /// Put into *extensions* what httpx keeps of a head beside status and headers, and as `ndjson` the reply itself.
    fn describe<'py>(slf: &Bound<'py, Self>, extensions: &Bound<'py, PyDict>) -> PyResult<()> {
        let head = lock(&slf.get().shared).response.head().cloned();
        incoming::describe(slf.py(), head.as_ref(), slf.as_any(), extensions)
    }

    /// Whether the connection was dead before the server can have acted on the request, which may be sent again.
    #[getter]
    fn is_stale(&self) -> bool {
        lock(&self.shared).is_stale()
    }

    /// Put a piece of the request's body into the line to be sent.
    fn write(&self, piece: &Bound<'_, PyBytes>) -> PyResult<()> {
        let py = piece.py();
        let length = piece.as_bytes().len();
        let (before, after, whole) = match self.framing.try_lock() {
            Ok(mut framing) => {
                let (before, after) = framing.around(length).map_err(Failure::from)?;
                (before, after, *framing == Framing::Length(0))
            }
            Err(_) => return Err(failure::busy()),
        };
        if length == 0 {
            return Ok(());
        }
        let piece = Piece::of(piece);
        ReadinessSet::with(self.set.bind(py), |table, wakes| {
            let mut exchange = lock(&self.shared);
            exchange.put(Piece::Own(before));
            exchange.put(piece);
            exchange.put(Piece::Own(after.to_vec()));
            exchange.request_ended = whole; // the server knows it, too, and may answer before `end` is called
            table.send(&mut exchange, wakes);
        });
        Ok(())
    }

    /// Say that the request's body is whole.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        let end = match self.framing.try_lock() {
            Ok(framing) => framing.end().map_err(Failure::from)?,
            Err(_) => return Err(failure::busy()),
        };
        ReadinessSet::with(self.set.bind(py), |table, wakes| {
            let mut exchange = lock(&self.shared);
            exchange.put(Piece::Own(end.to_vec()));
            exchange.request_ended = true;
            table.send(&mut exchange, wakes);
        });
        Ok(())
    }

    /// Wait until all that was written is sent; True if the server answers or takes no more.
    fn sent(slf: Py<Self>) -> Wait {
        Self::waiting(slf, Want::Sent)
    }

    /// Wait for the head of the response.
    fn head(slf: Py<Self>) -> Wait {
        Self::waiting(slf, Want::Head)
    }

    /// Wait for a line, perhaps a blank one; False at the end of the body.
    fn ready(slf: Py<Self>) -> Wait {
        Self::waiting(slf, Want::Line)
    }

    /// The parts that are here, to be taken without waiting.
    fn arrived(slf: Py<Self>) -> Arrived {
        Arrived { reply: slf }
    }

    /// Wait no longer than *seconds* from now on for the end of the body, whatever comes.
    #[pyo3(signature = (seconds, /))]
    fn ends_within(&self, seconds: f64) {
        lock(&self.shared).ends_by(until(Some(seconds)));
    }

    /// Wait for some bytes of the body; none are its end.
    fn chunk(slf: Py<Self>) -> Wait {
        Self::waiting(slf, Want::Bytes)
    }

    /// Wait for the whole body.
    fn read(slf: Py<Self>) -> Wait {
        Self::waiting(slf, Want::Whole)
    }

    /// Close the connection, unless the response is complete. A task that waits for more is woken with an error.
    fn close(&self, py: Python<'_>) {
        ReadinessSet::with(self.set.bind(py), |table, wakes| {
            table.abandon(&mut lock(&self.shared), wakes);
        });
    }

    fn __aiter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __anext__(slf: Py<Self>) -> Wait {
        Self::waiting(slf, Want::Part)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.set)?;
        visit.call(&self.timeout)
    }
}

impl Drop for AsyncReply {
    fn drop(&mut self) {
        if lock(&self.shared).slot.is_some() {
            Python::try_attach(|py| self.close(py));
        }
    }
}

/// An awaitable: it is done at once if what it waits for is there, and else gives its task a future.
#[pyclass(module = "ollama_fast._core", frozen)]
pub struct Wait {
    reply: Py<AsyncReply>,
    want: Want,
    /// The wait of the exchange that this is, if it came to that.
    number: AtomicU64,
}

#[pymethods]
impl Wait {
    fn __await__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let _calling = calling(py);
        let reply = self.reply.get();
        if let Some(value) = reply.get(py, self.want)? {
            return Err(PyStopIteration::new_err(value.unbind()));
        }
        let (future, number) = reply.wait(py, self.want)?;
        self.number.store(number, Ordering::Relaxed);
        Ok(future)
    }

    /// Go on, as `__next__` does.
    #[pyo3(signature = (value, /))]
    #[allow(unused_variables, reason = "a coroutine sends None")]
    fn send(&self, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.__next__(value.py())
    }

    /// Give up waiting, as for a cancellation, and raise the exception.
    #[pyo3(signature = (kind, value = None, traceback = None, /))]
    #[allow(unused_variables, reason = "they are how generators are thrown into")]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        self.close();
        let thrown = match value {
            Some(value) if value.is_instance_of::<PyBaseException>() => value.clone(),
            Some(value) => kind.call1((value,))?,
            None if kind.is_instance_of::<PyBaseException>() => kind.clone(),
            None => kind.call0()?,
        };
        Err(PyErr::from_value(thrown))
    }

    /// Give up waiting.
    fn close(&self) {
        let given_up = lock(&self.reply.get().shared).give_up(self.number.load(Ordering::Relaxed));
        drop(given_up); // with no lock held
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.reply)
    }
}

/// The parts of a response that are here already. It is also a context in which nothing happens.
#[pyclass(module = "ollama_fast._core", frozen)]
pub struct Arrived {
    reply: Py<AsyncReply>,
}

#[pymethods]
impl Arrived {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[allow(clippy::unused_self, reason = "a context has this method")]
    const fn __enter__(&self) {}

    #[pyo3(signature = (*_exception))]
    #[allow(clippy::unused_self, reason = "a context has this method")]
    const fn __exit__(&self, _exception: &Bound<'_, PyTuple>) {}

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut lines = self.reply.get().lines()?;
        parts::next(py, &mut lines)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.reply)
    }
}
