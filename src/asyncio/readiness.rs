//! The readiness set of one event loop, as that loop sees it: a descriptor and what to call when it is readable.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::table::{Table, Wakes};
use crate::ending::calling;

const EVENTS: usize = 1024;

/// All sockets of an event loop behind one descriptor.
#[pyclass(module = "ollama_fast._core", frozen)]
pub struct ReadinessSet {
    /// None once it is closed.
    poll: Mutex<Option<(Poll, Events)>>,
    table: Mutex<Table>,
    /// When the timer rings next, and its handle, if it is set.
    timer: Mutex<Option<(Instant, Py<PyAny>)>>,
    /// Whether the loop was asked to call `drain` again though no event came.
    asked_for_turn: AtomicBool,
    /// The thread that the loop ran in when it was seen last.
    home: Mutex<ThreadId>,
    descriptor: i32,
    event_loop: Py<PyAny>,
    create_future: Py<PyAny>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReadinessSet {
    /// Do something with the table, then wake whoever has to know of it.
    pub fn with<T>(slf: &Bound<'_, Self>, work: impl FnOnce(&mut Table, &mut Wakes) -> T) -> T {
        let _calling = calling(slf.py());
        let mut wakes = Wakes::new();
        let (done, unread, deadline) = {
            let mut table = lock(&slf.get().table);
            let done = work(&mut table, &mut wakes);
            (done, table.has_unread(), table.take_deadline())
        };
        let away = *lock(&slf.get().home) != thread::current().id();
        let told = if wakes.is_empty() {
            Ok(())
        } else if away {
            Self::call(slf, intern!(slf.py(), "call_soon_threadsafe"), "wake", Some(wakes))
        } else {
            slf.get().wake(slf.py(), wakes);
            Ok(())
        };
        let asked = if unread && !slf.get().asked_for_turn.swap(true, Ordering::Relaxed) {
            let how = if away { "call_soon_threadsafe" } else { "call_soon" };
            Self::call(slf, &PyString::intern(slf.py(), how), "drain", None)
        } else {
            Ok(())
        };
        let set = deadline
            .filter(|_| !away)
            .map_or(Ok(()), |deadline| Self::ring_at(slf, deadline));
        // They fail where the loop is closed: then nobody waits for anything.
        let _ = told.and(asked).and(set);
        done
    }

    fn call(slf: &Bound<'_, Self>, how: &Bound<'_, PyString>, method: &str, wakes: Option<Wakes>) -> PyResult<()> {
        let py = slf.py();
        let method = slf.getattr(method)?;
        let event_loop = slf.get().event_loop.bind(py);
        match wakes {
            Some(wakes) => event_loop.call_method1(how, (method, wakes))?,
            None => event_loop.call_method1(how, (method,))?,
        };
        Ok(())
    }

    /// A future for a task to wait for.
    pub fn future(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let _calling = calling(py);
        self.create_future.call0(py)
    }

    /// See to it that `deadline` is looked at when it comes. One timer serves all: it is only set if it would ring late.
    pub fn ring_at(slf: &Bound<'_, Self>, deadline: Instant) -> PyResult<()> {
        if lock(&slf.get().timer)
            .as_ref()
            .is_some_and(|(next, _)| *next <= deadline)
        {
            return Ok(());
        }
        let py = slf.py();
        let _calling = calling(py);
        // A little late rather than too early, or it would have to be set again at once.
        let wait = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        let ring = slf.getattr(intern!(py, "expire"))?;
        let handle = slf
            .get()
            .event_loop
            .call_method1(py, intern!(py, "call_later"), (wait.as_secs_f64(), ring))?;
        let later = lock(&slf.get().timer).replace((deadline, handle));
        if let Some((_, handle)) = later {
            handle.call_method0(py, intern!(py, "cancel"))?;
        }
        Ok(())
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
            poll: Mutex::new(Some((poll, Events::with_capacity(EVENTS)))),
            timer: Mutex::default(),
            asked_for_turn: AtomicBool::new(false),
            home: Mutex::new(thread::current().id()),
            create_future: event_loop.getattr("create_future")?.unbind(),
            event_loop: event_loop.clone().unbind(),
        })
    }

    /// The descriptor that is readable when a socket is ready.
    fn fileno(&self) -> i32 {
        self.descriptor
    }

    /// Read and write whatever is ready, and wake the tasks that wait for it.
    fn drain(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        *lock(&this.home) = thread::current().id();
        this.asked_for_turn.store(false, Ordering::Relaxed);
        Self::with(slf, |table, wakes| {
            table.read_on(wakes);
            if let Some((poll, events)) = &mut *lock(&this.poll) {
                poll.poll(events, Some(Duration::ZERO))?;
                for event in events.iter() {
                    table.on_event(event, wakes);
                }
            }
            Ok(())
        })
    }

    /// Fail the waits that last too long.
    fn expire(slf: &Bound<'_, Self>) -> PyResult<()> {
        let rung = lock(&slf.get().timer).take();
        drop(rung); // with no lock held
        match Self::with(slf, Table::expire) {
            Some(deadline) => Self::ring_at(slf, deadline),
            None => Ok(()),
        }
    }

    /// Tell tasks that what they wait for is there.
    #[allow(
        clippy::unused_self,
        reason = "it is called as a method, from another thread than the loop's"
    )]
    fn wake(&self, py: Python<'_>, futures: Wakes) {
        let _calling = calling(py);
        for future in futures {
            // A future that was cancelled refuses: then nobody waits for it, and what came waits for the next reader.
            let _ = future.call_method1(py, intern!(py, "set_result"), (py.None(),));
        }
    }

    /// Close all connections, and the set itself: from now on there are none.
    fn close(slf: &Bound<'_, Self>) {
        Self::with(slf, Table::close);
        drop(lock(&slf.get().poll).take());
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        if let Ok(timer) = self.timer.try_lock()
            && let Some((_, handle)) = &*timer
        {
            visit.call(handle)?;
        }
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
