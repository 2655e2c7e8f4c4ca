//! A response as a task reads it: what to await for, and what it gives.

use std::sync::{Mutex, MutexGuard, TryLockError};

use pyo3::exceptions::{PyStopAsyncIteration, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBool, PyBytes, PyDict, PyList};

use super::exchange::{Limits, Piece, Shared, Want, lock};
use super::readiness::ReadinessSet;
use crate::failure;
use crate::incoming;
use crate::ndjson::Lines;
use crate::outgoing::{BodyFraming, limit};
use crate::parts;

/// An exchange on an event loop. Iterate over it, asynchronously, for the decoded lines of its body.
#[pyclass(module = "ollama_fast._core", frozen)]
pub struct AsyncReply {
    set: Py<ReadinessSet>,
    shared: Shared,
    /// What of the body was taken from the exchange; one reader at a time.
    lines: Mutex<Lines>,
    framing: Mutex<BodyFraming>,
    timeout: Py<PyDict>,
}

impl AsyncReply {
    pub fn new(set: Py<ReadinessSet>, shared: Shared, framing: BodyFraming, timeout: &Bound<'_, PyDict>) -> Self {
        Self {
            set,
            shared,
            lines: Mutex::default(),
            framing: Mutex::new(framing),
            timeout: timeout.clone().unbind(),
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
        if exchange.paused {
            drop(exchange);
            self.set
                .get()
                .with(py, |table, wakes| table.resume(&mut lock(&self.shared), wakes));
            exchange = lock(&self.shared);
        }
        if !exchange.content.is_empty() {
            lines.feed_all(&mut exchange.content);
            exchange.content_taken();
            if exchange.response.is_complete() {
                lines.close();
            }
            return Ok(false);
        }
        if exchange.response.is_complete() {
            lines.close();
            return Ok(true);
        }
        let failure = exchange.failure();
        drop(exchange);
        match failure {
            Some(failure) => Err(failure.into()),
            None => incoming::check_line(lines).map(|()| false).map_err(PyErr::from),
        }
    }

    /// The next part if it is there; `None` while it is not, or at the end, which the flag tells.
    fn part<'py>(&self, py: Python<'py>) -> PyResult<(Option<Bound<'py, PyAny>>, bool)> {
        let mut lines = self.lines()?;
        loop {
            if let Some(part) = parts::next(py, &mut lines)? {
                return Ok((Some(part), false));
            }
            let before = lines.len();
            if self.refill(py, &mut lines)? {
                // The end may have made a line of what was left.
                let last = parts::next(py, &mut lines)?;
                let ended = last.is_none();
                return Ok((last, ended));
            }
            if lines.len() == before {
                return Ok((None, false));
            }
        }
    }

    /// What a task wants, if it is there.
    fn get<'py>(&self, py: Python<'py>, want: Want) -> PyResult<Option<Bound<'py, PyAny>>> {
        match want {
            Want::Sent | Want::Head => {
                let exchange = lock(&self.shared);
                let (ready, enough) = (exchange.has(want), exchange.needs_no_more());
                let failure = exchange.failure().filter(|_| exchange.response.head().is_none());
                drop(exchange);
                match failure {
                    Some(failure) => Err(failure.into()),
                    None => Ok(ready.then(|| PyBool::new(py, enough).to_owned().into_any())),
                }
            }
            Want::Line => {
                let mut lines = self.lines()?;
                // Whether a line is there, or else the end: what is left by then is a line without newline.
                loop {
                    if lines.has_line() {
                        return Ok(Some(PyBool::new(py, true).to_owned().into_any()));
                    }
                    let before = lines.len();
                    if self.refill(py, &mut lines)? {
                        return Ok(Some(PyBool::new(py, lines.has_line()).to_owned().into_any()));
                    }
                    if lines.len() == before {
                        return Ok(None);
                    }
                }
            }
            Want::Bytes => {
                let mut lines = self.lines()?;
                let complete = lines.is_empty() && self.refill(py, &mut lines)?;
                let found = complete || !lines.is_empty();
                Ok(found.then(|| PyBytes::new(py, lines.take_bytes()).into_any()))
            }
            Want::Whole => {
                let mut lines = self.lines()?;
                loop {
                    let before = lines.len();
                    if self.refill(py, &mut lines)? {
                        return Ok(Some(PyBytes::new(py, lines.take_bytes()).into_any()));
                    }
                    if lines.len() == before {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Give the future that a task has to wait for.
    fn wait(&self, py: Python<'_>, want: Want) -> PyResult<Py<PyAny>> {
        let timeout = self.timeout.bind(py);
        let read = limit(timeout, intern!(py, "read"))?;
        let limits = match want {
            Want::Sent | Want::Head => Limits {
                connect: limit(timeout, intern!(py, "connect"))?,
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
            .map(|(future, _)| future.clone_ref(py));
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
        exchange.rearm();
        let old = exchange.waiter.replace((future.clone_ref(py), want));
        let deadline = exchange.deadline;
        drop(exchange);
        drop(old); // with no lock held: it may be the last reference
        if let Some(deadline) = deadline {
            ReadinessSet::ring_at(set, deadline)?;
        }
        Ok(future)
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
    fn write(&self, py: Python<'_>, piece: PyBackedBytes) -> PyResult<()> {
        let (before, after) = match self.framing.try_lock() {
            Ok(mut framing) => framing.around(piece.len())?,
            Err(_) => return Err(failure::busy()),
        };
        if piece.is_empty() {
            return Ok(());
        }
        self.set.get().with(py, |table, wakes| {
            let mut exchange = lock(&self.shared);
            exchange.put(Piece::Own(before));
            exchange.put(Piece::Python(piece));
            exchange.put(Piece::Own(after.to_vec()));
            table.send(&mut exchange, wakes);
        });
        Ok(())
    }

    /// Say that the request's body is whole.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        let end = match self.framing.try_lock() {
            Ok(framing) => framing.end()?,
            Err(_) => return Err(failure::busy()),
        };
        self.set.get().with(py, |table, wakes| {
            let mut exchange = lock(&self.shared);
            exchange.put(Piece::Own(end.to_vec()));
            exchange.request_ended = true;
            table.send(&mut exchange, wakes);
        });
        Ok(())
    }

    /// Wait until all that was written is sent; True if the server answers or takes no more.
    fn sent(slf: Py<Self>) -> Wait {
        Wait {
            reply: slf,
            want: Want::Sent,
        }
    }

    /// Wait for the head of the response.
    fn head(slf: Py<Self>) -> Wait {
        Wait {
            reply: slf,
            want: Want::Head,
        }
    }

    /// Wait for a part; False at the end of the body.
    fn ready(slf: Py<Self>) -> Wait {
        Wait {
            reply: slf,
            want: Want::Line,
        }
    }

    /// The parts that are here, to be taken without waiting.
    fn arrived(slf: Py<Self>) -> Arrived {
        Arrived { reply: slf }
    }

    /// Wait for some bytes of the body; none are its end.
    fn chunk(slf: Py<Self>) -> Wait {
        Wait {
            reply: slf,
            want: Want::Bytes,
        }
    }

    /// Wait for the whole body.
    fn read(slf: Py<Self>) -> Wait {
        Wait {
            reply: slf,
            want: Want::Whole,
        }
    }

    /// Close the connection, unless the response is complete. A task that waits for more is woken with an error.
    fn close(&self, py: Python<'_>) {
        self.set
            .get()
            .with(py, |table, wakes| table.abandon(&mut lock(&self.shared), wakes));
    }

    fn __aiter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __anext__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __await__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// The next step of a task that awaits `__anext__`.
    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.part(py)? {
            (Some(part), _) => Err(PyStopIteration::new_err(part.unbind())),
            (None, true) => Err(PyStopAsyncIteration::new_err(())),
            (None, false) => self.wait(py, Want::Line),
        }
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
        match self.reply.get().get(py, self.want)? {
            Some(value) => Err(PyStopIteration::new_err(value.unbind())),
            None => self.reply.get().wait(py, self.want),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.reply)
    }
}

/// The parts of a response that are here already.
#[pyclass(module = "ollama_fast._core", frozen)]
pub struct Arrived {
    reply: Py<AsyncReply>,
}

#[pymethods]
impl Arrived {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut lines = self.reply.get().lines()?;
        parts::next(py, &mut lines)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.reply)
    }
}
