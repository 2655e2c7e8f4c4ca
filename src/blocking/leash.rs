//! Ends a request from another thread, whatever it waits for: its turn, a connection, or an answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

use super::connection::{Connection, Handle, Trouble};
use crate::failure::Failure;

/// The handle of a connection, until it is given back or closed.
pub type Slot = Arc<Mutex<Option<Handle>>>;

pub fn slot_of(connection: &Connection) -> Slot {
    Arc::new(Mutex::new(Some(connection.handle())))
}

/// Goes with one request, and can end it.
#[pyclass(module = "ollama_fast._core", frozen)]
#[derive(Default)]
pub struct Leash {
    state: Mutex<State>,
}

/// What ends the wait that is going on; gives whether there is one.
type End = Box<dyn FnOnce() -> bool + Send>;

#[derive(Default)]
struct State {
    pulled: bool,
    end: Option<End>,
    /// Of who waits: a child of fork has the leash, too, but nobody who waits on it.
    process: u32,
}

impl Leash {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it is `end` that ends the request. Fails if the leash was pulled before.
    fn hold(&self, end: End) -> Result<(), Failure> {
        self.turn_to(Some(end))
    }

    /// Nothing is waited for. Fails if the leash was pulled meanwhile.
    fn let_loose(&self) -> Result<(), Failure> {
        self.turn_to(None)
    }

    fn turn_to(&self, end: Option<End>) -> Result<(), Failure> {
        let mut state = self.state();
        state.process = std::process::id();
        let before = std::mem::replace(&mut state.end, end);
        let pulled = state.pulled;
        drop(state);
        drop(before); // with no lock held
        if pulled { Err(Failure::Closed) } else { Ok(()) }
    }
}

/// Take hold of the connection that a request goes out on.
pub fn hold(leash: Option<&Leash>, slot: &Slot) -> Result<(), Failure> {
    let slot = Arc::clone(slot);
    leash.map_or(Ok(()), |leash| {
        leash.hold(Box::new(move || {
            let handle = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            handle.is_some_and(|handle| {
                handle.shut_down();
                true
            })
        }))
    })
}

/// Do what waits, and let `end` end it.
pub fn waiting<T>(
    leash: Option<&Leash>,
    end: impl FnOnce() + Send + 'static,
    wait: impl FnOnce() -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let Some(leash) = leash else { return wait() };
    leash.hold(Box::new(|| {
        end();
        true
    }))?;
    let waited = wait();
    leash.let_loose()?;
    waited
}

#[pymethods]
impl Leash {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// End the request: free whoever waits for it, and let nobody wait later.
    ///
    /// Gives whether it was under way.
    fn pull(&self) -> bool {
        let mut state = self.state();
        state.pulled = true;
        let end = state.end.take();
        let ours = state.process == std::process::id();
        drop(state);
        end.is_some_and(|end| ours && end())
    }
}
