//! The Rust core of `ollama_fast`: it turns bytes into Python objects and decides nothing.

pub mod ndjson;
pub mod scan;

#[cfg(feature = "python")]
mod base64;
#[cfg(feature = "python")]
mod json;
#[cfg(feature = "python")]
mod line_decoder;
#[cfg(feature = "python")]
mod quick;

#[cfg(feature = "python")]
#[pyo3::pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::base64::encode_base64;
    #[pymodule_export]
    use super::json::decode;
    #[pymodule_export]
    use super::line_decoder::LineDecoder;

    /// Whether this is a build without optimisation, which nobody should measure.
    #[pymodule_export]
    const DEBUG: bool = cfg!(debug_assertions);

    #[allow(non_upper_case_globals, reason = "Python's name for a module's version")]
    #[pymodule_export]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
