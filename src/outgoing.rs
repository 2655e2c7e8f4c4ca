//! A request as Python gives it, as the bytes to send.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::ending::calling;
use crate::failure::Failure;
use crate::http::request::{self, Framing};

/// From this on, a limit is none; a deadline must not be later than the clock can tell.
const NO_LIMIT: Duration = Duration::from_secs(1 << 30);

/// The head of a request, and what it says about the body.
pub struct Outgoing {
    /// The bytes of the head.
    pub head: Vec<u8>,
    /// Whether the request is a HEAD, whose response has no body.
    pub is_head: bool,
    /// Whether the request changes nothing, so that it may be sent again when no answer to it came.
    pub is_safe: bool,
    /// Whether the connection may be used again.
    pub keep_alive: bool,
    /// How the body is framed.
    pub body: Framing,
}

impl Outgoing {
    /// Read what an `httpx.Request` holds. A head that could smuggle anything is refused.
    pub fn new(method: &[u8], target: &[u8], headers: &Bound<'_, PyList>) -> PyResult<Self> {
        let pairs: Vec<(Bound<'_, PyBytes>, Bound<'_, PyBytes>)> =
            headers.iter().map(|pair| pair_of(&pair)).collect::<PyResult<_>>()?;
        let fields = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let said = request::said(fields.clone()).map_err(Failure::from)?;
        Ok(Self {
            head: request::head(method, target, said.framing, fields).map_err(Failure::from)?,
            is_head: method == b"HEAD",
            is_safe: matches!(method, b"GET" | b"HEAD" | b"OPTIONS"),
            keep_alive: said.keep_alive,
            body: said.framing,
        })
    }
}

fn pair_of<'py>(pair: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let pair = pair.cast::<PyTuple>()?;
    Ok((pair.get_item(0)?.cast_into()?, pair.get_item(1)?.cast_into()?))
}

/// Read one address as `socket.getaddrinfo` gives it.
pub fn address(found: &Bound<'_, PyAny>) -> PyResult<SocketAddr> {
    let found = found.cast::<PyTuple>()?;
    let (text, port) = (
        found.get_item(0)?.extract::<String>()?,
        found.get_item(1)?.extract::<u16>()?,
    );
    let ip: IpAddr = text
        .split('%')
        .next()
        .unwrap_or_default()
        .parse()
        .map_err(|_| PyValueError::new_err(format!("{text} is no address of the internet")))?;
    Ok(match ip {
        IpAddr::V6(ip) if found.len() == 4 => {
            SocketAddrV6::new(ip, port, found.get_item(2)?.extract()?, found.get_item(3)?.extract()?).into()
        }
        ip => (ip, port).into(),
    })
}

/// Read one limit of httpx's `timeout` extension; without one there is none.
pub fn limit(timeout: &Bound<'_, PyDict>, name: &Bound<'_, pyo3::types::PyString>) -> PyResult<Option<Duration>> {
    match timeout.get_item(name)? {
        Some(seconds) if !seconds.is_none() => {
            let seconds: f64 = seconds.extract()?;
            Ok(span(seconds.max(1e-6))) // zero would be no limit to a socket
        }
        _ => Ok(None),
    }
}

/// Read the seconds that are left for all of an exchange, as the moment when it shall be over.
pub fn until(left: Option<f64>) -> Option<Instant> {
    span(left?.max(0.0)).map(|left| Instant::now() + left)
}

/// Read seconds; who waits for decades waits for ever.
pub fn span(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|span| *span < NO_LIMIT)
}

/// How long a wait may last: on its own, and until the moment when all shall be over.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub each: Option<Duration>,
    pub until: Option<Instant>,
}

impl Limit {
    /// When several waits that begin now shall be over, together.
    pub fn ends(self) -> Option<Instant> {
        self.left().map(|left| Instant::now() + left)
    }

    /// How long a wait may last that begins now.
    pub fn left(self) -> Option<Duration> {
        let rest = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        self.each.into_iter().chain(rest).min()
    }
}

/// Tell Python's audit hooks that a connection is made, as the `socket` module does.
pub fn audit_connect(py: Python<'_>, address: &SocketAddr) -> PyResult<()> {
    let _calling = calling(py);
    let place = (address.ip().to_string(), address.port());
    py.import(pyo3::intern!(py, "sys"))?
        .call_method1(pyo3::intern!(py, "audit"), ("socket.connect", py.None(), place))?;
    Ok(())
}
