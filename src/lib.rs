//! The Rust core of `ollama_fast`: it turns bytes into Python objects and decides nothing.

pub mod base64_text;
pub mod envelope;
pub mod float32;
pub mod http;
pub mod ndjson;
pub mod places;
pub mod scan;
pub mod sizes;
pub mod template;
pub mod vectors;

#[cfg(all(feature = "python", unix))]
mod asyncio;
#[cfg(feature = "python")]
mod base64;
#[cfg(all(feature = "python", unix))]
mod blocking;
#[cfg(all(feature = "python", unix))]
mod ending;
#[cfg(all(feature = "python", unix))]
mod failure;
#[cfg(feature = "python")]
mod floats;
#[cfg(all(feature = "python", unix))]
mod incoming;
#[cfg(feature = "python")]
mod json;
#[cfg(feature = "python")]
mod line_decoder;
#[cfg(all(feature = "python", unix))]
mod outgoing;
#[cfg(feature = "python")]
mod parts;
#[cfg(feature = "python")]
mod quick;
#[cfg(feature = "python")]
mod vector_decoder;

#[cfg(feature = "python")]
#[pyo3::pymodule(gil_used = false)]
mod _core {
    #[cfg(unix)]
    #[pymodule_export]
    use super::asyncio::{Arrived, AsyncPool, AsyncReply, ReadinessSet, Wait};
    #[pymodule_export]
    use super::base64::{base64_fault, encode_base64, fill_in};
    #[cfg(unix)]
    #[pymodule_export]
    use super::blocking::{Leash, Pool, Reply};
    #[cfg(unix)]
    #[pymodule_export]
    use super::ending::stop_calling;
    #[pymodule_export]
    use super::floats::all_floats;
    #[pymodule_export]
    use super::json::{decode, decode_beginning};
    #[pymodule_export]
    use super::line_decoder::LineDecoder;
    #[pymodule_export]
    use super::vector_decoder::VectorDecoder;

    /// Whether this is a build without optimisation, which nobody should measure.
    #[pymodule_export]
    const DEBUG: bool = cfg!(debug_assertions);

    #[allow(non_upper_case_globals, reason = "Python's name for a module's version")]
    #[pymodule_export]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
