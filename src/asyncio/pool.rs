//! The connections of one transport on one event loop, and how a request gets one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyDict, PyList};

use super::exchange::{Exchange, Limits, Piece};
use super::readiness::ReadinessSet;
use super::reply::AsyncReply;
use super::table::{Bounds, PoolId};
use crate::http::Response;
use crate::outgoing::{Outgoing, address, audit_connect, limit};

/// A body up to this size is sent with the head in one piece.
const SMALL: usize = 16 * 1024;

/// Keep-alive connections on one event loop, and how many there may be.
#[pyclass(module = "ollama_fast._core", frozen)]
pub struct AsyncPool {
    set: Py<ReadinessSet>,
    id: PoolId,
}

#[pymethods]
impl AsyncPool {
    #[new]
    #[pyo3(signature = (set, max_connections, max_keepalive_connections, keepalive_expiry))]
    fn new(
        py: Python<'_>,
        set: Py<ReadinessSet>,
        max_connections: Option<usize>,
        max_keepalive_connections: Option<usize>,
        keepalive_expiry: Option<f64>,
    ) -> Self {
        let bounds = Bounds {
            max_connections: max_connections.unwrap_or(usize::MAX),
            max_idle: max_keepalive_connections.unwrap_or(usize::MAX),
            expiry: keepalive_expiry.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()),
        };
        let id = set.get().with(py, |table, _| table.add_pool(bounds));
        Self { set, id }
    }

    /// Whether a connection to this place is there, so that its address is not needed.
    fn has_idle(&self, py: Python<'_>, host: &str, port: u16) -> bool {
        let place = (host.to_owned(), port);
        self.set
            .get()
            .with(py, |table, wakes| table.has_idle(self.id, &place, wakes))
    }

    /// Begin to send a request: with its whole body, or for None with what `write` is given later.
    ///
    /// Gives None if the pool has no connection to give, or none is idle and there is no address for a new one. Raises one of httpx's exceptions.
    #[pyo3(signature = (host, port, addresses, method, target, headers, content, timeout, /))]
    #[allow(clippy::too_many_arguments, reason = "they are what an httpx.Request holds")]
    fn send(
        &self,
        py: Python<'_>,
        host: &str,
        port: u16,
        addresses: &Bound<'_, PyAny>,
        method: &[u8],
        target: &[u8],
        headers: &Bound<'_, PyList>,
        content: Option<PyBackedBytes>,
        timeout: &Bound<'_, PyDict>,
    ) -> PyResult<Option<AsyncReply>> {
        let outgoing = Outgoing::new(method, target, headers)?;
        let addresses = addresses
            .try_iter()?
            .map(|one| address(&one?))
            .collect::<PyResult<VecDeque<SocketAddr>>>()?;
        let limits = Limits {
            connect: limit(timeout, intern!(py, "connect"))?,
            write: limit(timeout, intern!(py, "write"))?,
            read: limit(timeout, intern!(py, "read"))?,
        };
        let mut framing = outgoing.body;
        let mut exchange = Exchange::new(outgoing.head, Response::new(outgoing.is_head), limits);
        exchange.keep_alive = outgoing.keep_alive;
        exchange.is_safe = outgoing.is_safe;
        if let Some(content) = content {
            let (before, after) = framing.around(content.len())?;
            let end = framing.end()?;
            if content.is_empty() {
                exchange.put(Piece::Own(end.to_vec()));
            } else {
                exchange.put(Piece::Own(before));
                exchange.put(if content.len() > SMALL {
                    Piece::Python(content)
                } else {
                    Piece::Own(content.to_vec())
                });
                exchange.put(Piece::Own([after, end].concat()));
            }
            exchange.request_ended = true;
        }
        for address in &addresses {
            audit_connect(py, address)?; // of each that may be tried: later, no Python code can run
        }
        exchange.addresses = addresses;
        let shared = Arc::new(Mutex::new(exchange));
        let place = (host.to_owned(), port);
        let begun = self
            .set
            .get()
            .with(py, |table, wakes| table.begin(self.id, &place, &shared, wakes));
        Ok(begun.then(|| AsyncReply::new(self.set.clone_ref(py), shared, framing, timeout)))
    }

    /// A future that has a result when it may be worth to try again; `in_front` for who waited already.
    fn queue(&self, py: Python<'_>, in_front: bool) -> PyResult<Py<PyAny>> {
        let future = self.set.get().future(py)?;
        self.set
            .get()
            .with(py, |table, _| table.enqueue(self.id, future.clone_ref(py), in_front));
        Ok(future)
    }

    /// Leave the queue; who was told already that a connection is free passes it on.
    fn leave(&self, py: Python<'_>, future: &Bound<'_, PyAny>) {
        let left = self.set.get().with(py, |table, wakes| {
            table.dequeue(self.id, future.as_ptr() as usize, wakes)
        });
        drop(left); // with no lock held
    }

    /// Close the connections that are not in use.
    fn close(&self, py: Python<'_>) {
        self.set.get().with(py, |table, wakes| table.close_idle(self.id, wakes));
    }

    /// How many connections are open, and how many of them are idle.
    fn counts(&self, py: Python<'_>) -> (usize, usize) {
        self.set.get().with(py, |table, _| table.counts(self.id))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.set)
    }
}

impl Drop for AsyncPool {
    fn drop(&mut self) {
        Python::try_attach(|py| {
            self.set
                .get()
                .with(py, |table, wakes| table.remove_pool(self.id, wakes));
        });
    }
}
