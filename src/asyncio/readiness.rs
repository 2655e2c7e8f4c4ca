//! The readiness set of one event loop, as that loop sees it: a descriptor and what to call when it is readable.

use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use super::table::{Table, Wakes};

const EVENTS: usize = 1024;

/// All sockets of an event loop behind one descriptor.
#[pyclass(module = "ollama_fast._core", frozen)]
pub struct ReadinessSet {
    poll: Mutex<(Poll, Events)>,
    table: Mutex<Table>,
    /// When the timer rings next, if it is set.
    next_ring: Mutex<Option<Instant>>,
    descriptor: i32,
    event_loop: Py<PyAny>,
    create_future: Py<PyAny>,
}

fn free<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReadinessSet {
    /// Do something with the table, then wake whoever has to know of it.
    pub fn with<T>(&self, py: Python<'_>, work: impl FnOnce(&mut Table, &mut Wakes) -> T) -> T {
        let mut wakes = Wakes::new();
        let done = work(&mut free(&self.table), &mut wakes);
        wake(py, wakes);
        done
    }

    /// A future for a task to wait for.
    pub fn future(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.create_future.call0(py)
    }

    /// See to it that `deadline` is looked at when it comes. One timer serves all: it is only set if it would ring late.
    pub fn ring_at(slf: &Bound<'_, Self>, deadline: Instant) -> PyResult<()> {
        let mut next = free(&slf.get().next_ring);
        if next.is_some_and(|next| next <= deadline) {
            return Ok(());
        }
        *next = Some(deadline);
        drop(next);
        let py = slf.py();
        // A little late rather than too early, or it would have to be set again at once.
        let wait = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        let ring = slf.getattr(intern!(py, "expire"))?;
        slf.get()
            .event_loop
            .call_method1(py, intern!(py, "call_later"), (wait.as_secs_f64(), ring))?;
        Ok(())
    }
}

fn wake(py: Python<'_>, wakes: Wakes) {
    for future in wakes {
        // A future that was cancelled refuses: then nobody waits for it, and what came waits for the next reader.
        let _ = future.call_method1(py, intern!(py, "set_result"), (py.None(),));
    }
}

#[pymethods]
impl ReadinessSet {
    #[new]
    #[pyo3(signature = (event_loop, /))]
    fn new(event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        let poll = Poll::new()?;
        Ok(Self {
            descriptor: poll.as_raw_fd(),
            table: Mutex::new(Table::new(poll.registry().try_clone()?)),
            poll: Mutex::new((poll, Events::with_capacity(EVENTS))),
            next_ring: Mutex::default(),
            create_future: event_loop.getattr("create_future")?.unbind(),
            event_loop: event_loop.clone().unbind(),
        })
    }

    /// The descriptor that is readable when a socket is ready.
    fn fileno(&self) -> i32 {
        self.descriptor
    }

    /// Read and write whatever is ready, and wake the tasks that wait for it.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        let mut wakes = Wakes::new();
        {
            let mut poll = free(&self.poll);
            let (poll, events) = &mut *poll;
            poll.poll(events, Some(Duration::ZERO))?;
            let mut table = free(&self.table);
            for event in events.iter() {
                table.on_event(event, &mut wakes);
            }
        }
        wake(py, wakes);
        Ok(())
    }

    /// Fail the waits that last too long.
    fn expire(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        *free(&this.next_ring) = None;
        match this.with(slf.py(), Table::expire) {
            Some(deadline) => Self::ring_at(slf, deadline),
            None => Ok(()),
        }
    }

    /// Close all connections.
    fn close(&self, py: Python<'_>) {
        let wakes = free(&self.table).clear();
        wake(py, wakes);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.create_future)?;
        let mut result = Ok(());
        if let Ok(table) = self.table.try_lock() {
            table.visit(|future| {
                if result.is_ok() {
                    result = visit.call(future);
                }
            });
        }
        result
    }
}
