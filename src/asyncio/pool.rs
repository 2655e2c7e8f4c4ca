//! The connections of one transport on one event loop, and how a request gets one.

use std::sync::{Arc, Mutex};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::exchange::{Exchange, Limits, Piece};
use super::readiness::ReadinessSet;
use super::reply::AsyncReply;
use super::table::PoolId;
use crate::ending::calling;
use crate::failure::Failure;
use crate::http::request::Framing;
use crate::outgoing::{Outgoing, address, audit_connect, limit, until};
use crate::places::Bounds;
use crate::sizes::{self, Sizes};

/// Keep-alive connections on one event loop, and how many there may be.
#[pyclass(module = "ollama_fast._core", frozen)]
pub struct AsyncPool {
    set: Py<ReadinessSet>,
    id: PoolId,
}

#[pymethods]
impl AsyncPool {
    #[new]
    fn new(
        py: Python<'_>,
        set: Py<ReadinessSet>,
        max_connections: Option<usize>,
        max_keepalive_connections: Option<usize>,
        keepalive_expiry: Option<f64>,
    ) -> Self {
        let bounds = Bounds::new(max_connections, max_keepalive_connections, keepalive_expiry);
        let id = ReadinessSet::with(set.bind(py), |table, _| table.add_pool(bounds));
        Self { set, id }
    }

    /// Whether a connection to this place is there, so that its address is not needed.
    fn has_idle(&self, py: Python<'_>, host: &str, port: u16) -> bool {
        let place = (host.to_owned(), port);
        ReadinessSet::with(self.set.bind(py), |table, _| table.has_idle(self.id, &place))
    }

    /// Begin to send a request: with its whole body, or for None with what `write` is given later.
    ///
    /// *called* says that the caller was in line, and was called; a place is promised to it then. Gives None if there is
    /// no place for it, or no idle connection and no address for a new one. All ends after *left* seconds, also if nobody
    /// waits then; a connection is made within *connect*. *sizes* are as for `Pool.send`. *fresh* asks for a new connection; kept ones to that place are closed.
    /// Raises one of httpx's exceptions.
    #[pyo3(signature = (
        host, port, addresses, method, target, headers, content, timeout, called, left=None, connect=None, sizes=None,
        fresh=false, /
    ))]
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
        content: Option<&Bound<'_, PyBytes>>,
        timeout: &Bound<'_, PyDict>,
        called: bool,
        left: Option<f64>,
        connect: Option<f64>,
        sizes: Option<sizes::Given>,
        fresh: bool,
    ) -> PyResult<Option<AsyncReply>> {
        let _calling = calling(py);
        let (set, sizes) = (self.set.bind(py), Sizes::new(sizes));
        let prepared = prepare(addresses, method, target, headers, content, timeout, sizes);
        if called && prepared.is_err() {
            ReadinessSet::with(set, |table, wakes| table.give_up(self.id, wakes));
        }
        let (mut exchange, framing) = prepared?;
        exchange.until = until(left);
        exchange.connect_until = until(connect);
        exchange.fresh = fresh;
        let shared = Arc::new(Mutex::new(exchange));
        let place = (host.to_owned(), port);
        let begun = ReadinessSet::with(set, |table, wakes| table.begin(self.id, &place, &shared, called, wakes));
        Ok(begun.then(|| AsyncReply::new(self.set.clone_ref(py), shared, framing, timeout, sizes)))
    }

    /// Join the line; gives a future that is done when it is this one's turn.
    fn queue(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let set = self.set.bind(py);
        let future = set.get().future(py)?;
        ReadinessSet::with(set, |table, wakes| table.join(self.id, future.clone_ref(py), wakes));
        Ok(future)
    }

    /// Leave the line; who was called already passes its place on.
    fn leave(&self, future: &Bound<'_, PyAny>) {
        let left = ReadinessSet::with(self.set.bind(future.py()), |table, wakes| {
            table.leave(self.id, future.as_ptr() as usize, wakes)
        });
        drop(left); // with no lock held
    }

    /// Close the connections: those that are not in use now, the others when their responses are complete.
    fn close(&self, py: Python<'_>) {
        ReadinessSet::with(self.set.bind(py), |table, wakes| table.close_pool(self.id, wakes));
    }

    /// How many connections are open, and how many of them are idle.
    fn counts(&self, py: Python<'_>) -> (usize, usize) {
        ReadinessSet::with(self.set.bind(py), |table, _| table.counts(self.id))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.set)
    }
}

impl Drop for AsyncPool {
    fn drop(&mut self) {
        Python::try_attach(|py| {
            ReadinessSet::with(self.set.bind(py), |table, wakes| table.remove_pool(self.id, wakes));
        });
    }
}

fn prepare(
    addresses: &Bound<'_, PyAny>,
    method: &[u8],
    target: &[u8],
    headers: &Bound<'_, PyList>,
    content: Option<&Bound<'_, PyBytes>>,
    timeout: &Bound<'_, PyDict>,
    sizes: Sizes,
) -> PyResult<(Exchange, Framing)> {
    let py = timeout.py();
    let outgoing = Outgoing::new(method, target, headers)?;
    let limits = Limits {
        write: limit(timeout, intern!(py, "write"))?,
        read: limit(timeout, intern!(py, "read"))?,
    };
    let mut framing = outgoing.body;
    let mut exchange = Exchange::new(outgoing.head, outgoing.is_head, limits, sizes);
    exchange.keep_alive = outgoing.keep_alive;
    exchange.is_safe = outgoing.is_safe;
    if let Some(content) = content {
        let (before, after) = framing.around(content.as_bytes().len()).map_err(Failure::from)?;
        let end = framing.end().map_err(Failure::from)?;
        if content.as_bytes().is_empty() {
            exchange.put(Piece::Own(end.to_vec()));
        } else {
            exchange.put(Piece::Own(before));
            exchange.put(Piece::of(content));
            exchange.put(Piece::Own([after, end].concat()));
        }
        exchange.request_ended = true;
    }
    exchange.addresses = addresses
        .try_iter()?
        .map(|one| address(&one?))
        .collect::<PyResult<_>>()?;
    for address in &exchange.addresses {
        audit_connect(py, address)?; // of each that may be tried: later, no Python code can run
    }
    Ok((exchange, framing))
}
