//! The end of the interpreter, at which no other thread may be in Python called from here.
//!
//! Up to Python 3.13, a daemon thread that asks for the interpreter's lock once that ends is ended by an unwinding that
//! no frame of Rust survives: the process aborts. So from shortly before the end on other threads wait where they would
//! call Python, and those that are in it are waited for. They wait with the lock released: when they ask for it, pyo3
//! holds them until the process is gone.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How long threads that are in Python are waited for.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long others wait, if the interpreter does not end before: perhaps what is still to be called at its end joins them.
const AT_MOST: Duration = Duration::from_secs(2);

static CALLING: AtomicUsize = AtomicUsize::new(0);
static END: OnceLock<End> = OnceLock::new();

struct End {
    /// The thread in which the interpreter ends.
    home: ThreadId,
    until: Instant,
}

/// A thread is in Python, called from here, until this is dropped.
pub struct Calling(());

impl Drop for Calling {
    fn drop(&mut self) {
        CALLING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Go to call Python; not while the interpreter ends, but in the thread in which it does. No lock may be held.
pub fn calling(py: Python<'_>) -> Calling {
    if let Some(end) = END.get()
        && end.home != thread::current().id()
    {
        py.detach(|| thread::sleep(end.until.saturating_duration_since(Instant::now())));
    }
    CALLING.fetch_add(1, Ordering::Relaxed);
    Calling(())
}

/// Wait until no other thread is in Python called from here, and let none go there: the interpreter is about to end.
#[pyfunction]
pub fn stop_calling(py: Python<'_>) {
    let now = Instant::now();
    let home = thread::current().id();
    END.get_or_init(|| End {
        home,
        until: now + AT_MOST,
    });
    while CALLING.load(Ordering::Relaxed) > 0 && now.elapsed() < PATIENCE {
        py.detach(|| thread::sleep(Duration::from_millis(1)));
    }
}
