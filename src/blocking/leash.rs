//! Ends a request from another thread, also while the head of its response is still awaited.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

use super::connection::{Connection, Handle};

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

#[derive(Default)]
struct State {
    pulled: bool,
    slot: Option<Slot>,
}

impl Leash {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take hold of the connection that the request goes out on; false if the leash was pulled before.
    pub fn hold(&self, slot: &Slot) -> bool {
        let mut state = self.state();
        state.slot = Some(Arc::clone(slot));
        !state.pulled
    }
}

#[pymethods]
impl Leash {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// End the request: shut its connection down if it has one, and let it have none later.
    ///
    /// Gives whether it had one, so that whoever waits for its answer is freed.
    fn pull(&self) -> bool {
        let mut state = self.state();
        state.pulled = true;
        let slot = state.slot.take();
        drop(state);
        let held = slot.is_some();
        let handle = slot.and_then(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(handle) = handle {
            handle.shut_down();
        }
        held
    }
}
