//! A response whose head is in, and its body: as decoded parts, or as bytes.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::connection::{Handle, Trouble};
use super::leash::Slot;
use super::pool::Lease;
use crate::ending::calling;
use crate::failure::{self, Failure};
use crate::http::{Head, Response};
use crate::incoming;
use crate::ndjson::Lines;
use crate::outgoing::{Limit, limit, span};
use crate::parts;
use crate::sizes::Sizes;

/// A response whose head is in. Iterate over it for the decoded lines of its body.
///
/// It is read by one thread at a time; any thread may close it.
#[pyclass(module = "ollama_fast._core", frozen)]
pub struct Reply {
    reading: Mutex<Reading>,
    /// Beside the lock, so that it can be looked at while another thread reads.
    head: OnceLock<Arc<Head>>,
    /// What `close` needs while another thread reads; `None` once the connection is given back or closed.
    handle: Slot,
    timeout: Py<PyDict>,
    within: Within,
    /// Whose attribute `complete` says that no more is needed, and the silence after which it is looked at.
    memory: OnceLock<(Py<PyAny>, Duration)>,
}

/// What a response must keep within.
#[derive(Clone, Copy)]
pub struct Within {
    pub sizes: Sizes,
    /// When all of it shall be over.
    pub until: Option<Instant>,
}

struct Reading {
    lease: Option<Lease>,
    response: Response,
    lines: Lines,
    failure: Option<Failure>,
    reusable: bool,
    /// Whether the body is taken as bytes.
    as_bytes: bool,
}

impl Reply {
    pub fn new(
        lease: Lease,
        handle: Slot,
        no_body: bool,
        timeout: &Bound<'_, PyDict>,
        reusable: bool,
        within: Within,
    ) -> Self {
        Self {
            handle,
            reading: Mutex::new(Reading {
                lease: Some(lease),
                response: Response::new(no_body).with_max_head(within.sizes.head),
                lines: Lines::within(within.sizes.line),
                failure: None,
                reusable,
                as_bytes: false,
            }),
            head: OnceLock::new(),
            timeout: timeout.clone().unbind(),
            within,
            memory: OnceLock::new(),
        }
    }

    /// Wait for the head, and all of it no longer than for one piece of the body.
    pub fn wait_for_head(&self, py: Python<'_>) -> Result<(), Trouble> {
        let mut reading = self.reading()?;
        let mut most = self.most(py)?;
        let until = most.ends();
        while reading.response.head().is_none() {
            if let Some(error) = reading.response.error() {
                return Err(Failure::Protocol(error).into());
            }
            self.receive(py, &mut reading, most)?;
            most.until = until;
        }
        if let Some(head) = reading.response.head() {
            self.head.get_or_init(|| Arc::clone(head));
        }
        Ok(())
    }

    /// Whether any byte of the response came.
    pub fn began(&self) -> bool {
        self.reading().is_ok_and(|reading| reading.response.began())
    }

    fn reading(&self) -> PyResult<MutexGuard<'_, Reading>> {
        match self.reading.try_lock() {
            Ok(reading) => Ok(reading),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(failure::busy()),
        }
    }

    fn handle(&self) -> MutexGuard<'_, Option<Handle>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a wait for bytes may last.
    fn most(&self, py: Python<'_>) -> PyResult<Limit> {
        Ok(Limit {
            each: limit(self.timeout.bind(py), intern!(py, "read"))?,
            until: self.within.until,
        })
    }

    /// When the body shall end if the last part came before `began`, since when bytes have come, but no part.
    fn ends(&self, py: Python<'_>, began: Instant) -> PyResult<Option<Instant>> {
        let Some((memory, soon)) = self.memory.get() else {
            return Ok(None);
        };
        Ok(is_complete(py, memory)?.then(|| began + *soon))
    }

    /// Wait for bytes of the body once.
    fn receive_more(&self, py: Python<'_>, reading: &mut Reading) -> Result<(), Trouble> {
        self.receive(py, reading, self.most(py)?)
    }

    /// Wait for bytes once, and let go of the connection if they were the last.
    fn receive(&self, py: Python<'_>, reading: &mut Reading, most: Limit) -> Result<(), Trouble> {
        if let Some(failure) = &reading.failure {
            return Err(failure.clone().into());
        }
        let Some(lease) = &mut reading.lease else {
            return Err(Failure::Closed.into());
        };
        let Limit { each, until } = most;
        let looks = self
            .memory
            .get()
            .filter(|(_, soon)| each.is_none_or(|each| *soon < each));
        let first = looks.map_or(each, |(_, soon)| Some(*soon));
        let (response, lines) = (&mut reading.response, &mut reading.lines);
        let handle = &self.handle;
        let mut take = |data: &[u8]| {
            if !data.is_empty() {
                response.feed(data, lines.room());
            } else if handle.lock().is_ok_and(|handle| handle.is_some()) {
                response.close(); // else the end is ours, and not that of the body
            }
        };
        let mut received = lease.connection.read(py, Limit { each: first, until }, &mut take);
        if let (Err(Trouble::Failed(Failure::TimedOut(_))), Some((memory, soon))) = (&received, looks)
            && !is_complete(py, memory)?
        {
            let each = each.map(|each| each.saturating_sub(*soon));
            received = lease.connection.read(py, Limit { each, until }, &mut take);
        }
        let closed = self.handle().is_none() && !reading.response.is_complete();
        let mut raised = None;
        match received {
            // A signal's handler raised it; what was received with it counts all the same.
            Err(Trouble::Raised(error)) => raised = Some(error),
            _ if closed => reading.failure = Some(Failure::Closed),
            Err(Trouble::Failed(found)) => reading.failure = Some(found),
            Ok(()) => {}
        }
        if reading.response.is_complete() {
            reading.lines.close();
        }
        if reading.response.is_over() || reading.failure.is_some() {
            self.let_go(reading);
        }
        if let Some(error) = raised {
            return Err(error.into());
        }
        reading.failure.clone().map_or(Ok(()), |failure| Err(failure.into()))
    }

    fn let_go(&self, reading: &mut Reading) {
        let open = self.handle().take().is_some();
        if let Some(lease) = reading.lease.take()
            && open
            && reading.reusable
            && reading.response.leaves_connection()
        {
            lease.give_back();
        }
    }
}

/// Whether `memory` has the last part.
fn is_complete(py: Python<'_>, memory: &Py<PyAny>) -> PyResult<bool> {
    let _calling = calling(py);
    memory.bind(py).getattr(intern!(py, "complete"))?.is_truthy()
}

#[pymethods]
impl Reply {
    /// The status code.
    #[getter]
    fn status(&self) -> u16 {
        self.head.get().map_or(0, |head| head.status)
    }

    /// Names and values of the headers, as bytes.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        incoming::headers(py, self.head.get())
    }

    /// Put into *extensions* what httpx keeps of a head beside status and headers, and as `ndjson` the reply itself.
    fn describe<'py>(slf: &Bound<'py, Self>, extensions: &Bound<'py, PyDict>) -> PyResult<()> {
        incoming::describe(slf.py(), slf.get().head.get(), slf.as_any(), extensions)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut reading = self.reading()?;
        if reading.as_bytes {
            return Err(Failure::Consumed.into());
        }
        let mut began = None;
        loop {
            if let Some(part) = parts::next(py, &mut reading.lines)? {
                return Ok(Some(part));
            }
            if reading.response.is_complete() {
                return Ok(None);
            }
            if let Some(error) = reading.response.error() {
                return Err(Failure::Protocol(error).into());
            }
            let mut most = self.most(py)?;
            if let Some(began) = began {
                most.until = self.ends(py, began)?.into_iter().chain(most.until).min();
            }
            began = began.or_else(|| Some(Instant::now()));
            self.receive(py, &mut reading, most)?;
        }
    }

    /// Wait no longer than *seconds* for the end of a body whose last part *memory* has, as it says by `complete`.
    #[pyo3(signature = (memory, seconds, /))]
    fn ends_with(&self, memory: Py<PyAny>, seconds: f64) {
        if let Some(soon) = span(seconds) {
            drop(self.memory.set((memory, soon)));
        }
    }

    /// Wait for some bytes of the body; none are its end.
    fn chunk<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut reading = self.reading()?;
        reading.as_bytes = true;
        loop {
            if !reading.lines.is_empty() || reading.response.is_complete() {
                return Ok(incoming::bytes(py, &mut reading.lines));
            }
            if let Some(error) = reading.response.error() {
                return Err(Failure::Protocol(error).into());
            }
            self.receive_more(py, &mut reading)?;
        }
    }

    /// Wait for the whole body.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut reading = self.reading()?;
        reading.as_bytes = true;
        loop {
            let (here, announced) = (reading.lines.len(), reading.response.announced());
            incoming::check_body(here, announced, self.within.sizes.body)?;
            if reading.response.is_complete() {
                return Ok(incoming::bytes(py, &mut reading.lines));
            }
            if let Some(error) = reading.response.error() {
                return Err(Failure::Protocol(error).into());
            }
            self.receive_more(py, &mut reading)?;
        }
    }

    /// Close the connection, unless the response is complete. A thread that waits for more is freed.
    fn close(&self) {
        let handle = self.handle().take();
        if let Some(handle) = handle {
            handle.shut_down();
        }
        // Also if a leash has shut it down before: the socket and its place are free now, not once the reply is dropped.
        if let Ok(mut reading) = self.reading() {
            reading.lease = None;
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some((memory, _)) = self.memory.get() {
            visit.call(memory)?;
        }
        visit.call(&self.timeout)
    }
}
