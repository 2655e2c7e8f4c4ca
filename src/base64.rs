//! Bytes to base64, the form in which images travel inside JSON.

use base64_simd::{AsOut, STANDARD};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PySlice, PyString};

use crate::{base64_text, template};

/// From this size on, in bytes, other threads of Python may run meanwhile.
const LARGE: usize = 64 * 1024;

/// How much of a buffer is copied at a time, in bytes; a multiple of three, so that no padding comes in between.
const BLOCK: usize = 192 * 1024;

/// After so many blocks, other threads of Python get their turn: to ask for it after each one could cost more than the
/// work.
const TURN: usize = 16;

/// Encode *data* in standard base64 with padding.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn encode_base64(py: Python<'_>, data: &[u8]) -> String {
    py.detach(|| STANDARD.encode_to_string(data))
}

/// Give the position of the first character that makes *text*, from *start* on, no base64; or None.
#[pyfunction]
#[pyo3(signature = (text, start, /))]
pub fn base64_fault(py: Python<'_>, text: &Bound<'_, PyString>, start: usize) -> PyResult<Option<usize>> {
    let part = from(text, start)?;
    let fault = detached_if_large(py, part.len(), || match STANDARD.check(part) {
        Ok(()) => None,
        Err(_) => base64_text::fault(part), // which allows line breaks, and knows where
    });
    Ok(fault.map(|position| start + position))
}

/// Give the JSON *text* with *images* in base64 in its gaps, which are raw NUL bytes.
///
/// An image is bytes, a memoryview of format "B" in one dimension, or base64 text and where in it to begin.
#[pyfunction]
#[pyo3(signature = (text, images, /))]
pub fn fill_in<'py>(py: Python<'py>, text: &[u8], images: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyBytes>> {
    let images: Vec<Bound<'py, PyAny>> = images.iter().collect();
    let sources: Vec<Source<'_, 'py>> = images.iter().map(Source::of).collect::<PyResult<_>>()?;
    let sizes: Vec<usize> = sources.iter().map(Source::size).collect();
    let Some(length) = template::length(text, &sizes) else {
        return Err(PyValueError::new_err("the text has another number of gaps"));
    };
    PyBytes::new_with(py, length, |body| {
        let Some(gaps) = template::carve(text, &sizes, body) else {
            return Err(PyValueError::new_err("the text does not fit"));
        };
        sources
            .iter()
            .zip(gaps)
            .try_for_each(|(source, gap)| source.write(py, gap))
    })
}

/// What an image is made of.
enum Source<'a, 'py> {
    /// Its bytes, which nobody can change.
    Bytes(&'a [u8]),
    /// A look at bytes that others may change, and how many they are.
    View(&'a Bound<'py, PyMemoryView>, usize),
    /// Base64 already: the text, where to begin in it, and how much of it is no line break.
    Text(Bound<'py, PyString>, usize, usize),
}

impl<'a, 'py> Source<'a, 'py> {
    fn of(image: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = image.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.as_bytes()));
        }
        if let Ok(view) = image.cast::<PyMemoryView>() {
            return Ok(Self::View(view, view.len()?));
        }
        let (text, start): (Bound<'py, PyString>, usize) = image.extract()?;
        let part = from(&text, start)?;
        let size = part.len() - base64_text::line_breaks(part);
        Ok(Self::Text(text, start, size))
    }

    /// How long it is in base64.
    fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => STANDARD.encoded_length(bytes.len()),
            Self::View(_, length) => STANDARD.encoded_length(*length),
            Self::Text(_, _, size) => *size,
        }
    }

    /// Write it in base64 into `gap`, which has its size.
    fn write(&self, py: Python<'py>, gap: &mut [u8]) -> PyResult<()> {
        match self {
            Self::Bytes(bytes) => {
                detached_if_large(py, bytes.len(), || encode(bytes, gap));
                Ok(())
            }
            Self::View(view, length) => encode_view(py, view, *length, gap),
            Self::Text(text, start, _) => {
                let part = from(text, *start)?;
                if detached_if_large(py, part.len(), || base64_text::copy_joined(part, gap)) {
                    Ok(())
                } else {
                    Err(PyValueError::new_err("the text does not fit"))
                }
            }
        }
    }
}

fn from<'a>(text: &'a Bound<'_, PyString>, start: usize) -> PyResult<&'a [u8]> {
    let whole = text.to_str()?.as_bytes();
    whole
        .get(start..)
        .ok_or_else(|| PyValueError::new_err("start is beyond the end of the text"))
}

/// Copy block after block and encode each, since nobody else may change the bytes while they are read.
fn encode_view(py: Python<'_>, view: &Bound<'_, PyMemoryView>, length: usize, gap: &mut [u8]) -> PyResult<()> {
    let mut block = vec![0; BLOCK.min(length)];
    let starts = (0..length).step_by(BLOCK);
    for ((number, start), gap) in starts.enumerate().zip(gap.chunks_mut(BLOCK / 3 * 4)) {
        let stop = length.min(start + BLOCK);
        let part = view.get_item(PySlice::new(py, start.cast_signed(), stop.cast_signed(), 1))?;
        let block = block.get_mut(..stop - start).unwrap_or_default();
        PyBuffer::<u8>::get(&part)?.copy_to_slice(py, block)?;
        if number % TURN == TURN - 1 {
            py.detach(|| encode(block, gap));
        } else {
            encode(block, gap);
        }
    }
    Ok(())
}

fn encode(bytes: &[u8], gap: &mut [u8]) {
    let _written = STANDARD.encode(bytes, gap.as_out());
}

/// Do `work`, and let other threads of Python run meanwhile if it is much.
fn detached_if_large<T: Send>(py: Python<'_>, size: usize, work: impl FnOnce() -> T + Send) -> T {
    if size < LARGE { work() } else { py.detach(work) }
}
