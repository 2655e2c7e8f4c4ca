//! Images on their way into a body: bytes, memoryviews and texts, beside the crate `base64` and a plain join.

use ::base64::Engine;
use ::base64::prelude::BASE64_STANDARD;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PyString};

use crate::cuts::Cuts;
use crate::rooms::base64::{base64_fault, encode_base64, fill_in};

/// A template in as many pieces as it has gaps, which are filled with the pieces that follow these.
///
/// # Panics
///
/// The two differ.
pub fn check(input: &[u8]) {
    let Some(cuts) = Cuts::of(input) else { return };
    if let Err(error) = Python::attach(|py| compare(py, &cuts)) {
        panic!("{error}");
    }
}

fn compare(py: Python<'_>, cuts: &Cuts<'_>) -> PyResult<()> {
    assert_eq!(encode_base64(py, cuts.whole), BASE64_STANDARD.encode(cuts.whole));
    if let Ok(text) = str::from_utf8(cuts.whole) {
        let found = base64_fault(py, &PyString::new(py, text), 0)?;
        assert_eq!(found, ollama_fast::base64_text::fault(cuts.whole));
    }
    let (images, around) = cuts.pieces.split_at(cuts.pieces.len() / 2);
    let (mut template, mut expected, given) = (Vec::new(), Vec::new(), PyList::empty(py));
    for (number, around) in around.iter().enumerate() {
        let around: Vec<u8> = around.iter().copied().filter(|byte| *byte != 0).collect();
        template.extend_from_slice(&around);
        expected.extend_from_slice(&around);
        if let Some(image) = images.get(number) {
            template.push(0);
            expected.extend(BASE64_STANDARD.encode(image).bytes());
            given.append(as_python(py, number, image)?)?;
        }
    }
    assert_eq!(fill_in(py, &template, &given)?.as_bytes(), expected);
    given.append(PyBytes::new(py, b""))?;
    assert!(fill_in(py, &template, &given).is_err(), "an image without a gap");
    Ok(())
}

/// One image in each of the three ways that there are, in turn.
fn as_python<'py>(py: Python<'py>, number: usize, image: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let bytes = PyBytes::new(py, image);
    match number % 3 {
        0 => Ok(bytes.into_any()),
        1 => PyMemoryView::from(&bytes).map(Bound::into_any),
        _ => {
            let mut text = "data:".to_owned();
            for (at, letter) in BASE64_STANDARD.encode(image).char_indices() {
                text.push(letter);
                if at % 5 == 0 {
                    text.push_str("\r\n");
                }
            }
            (text, "data:".len()).into_bound_py_any(py)
        }
    }
}
