//! What kind of numbers a list holds.

use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyList};

/// Whether all of *numbers* are floats, and none an int.
#[pyfunction]
#[pyo3(signature = (numbers, /))]
pub fn all_floats(numbers: &Bound<'_, PyList>) -> bool {
    numbers.iter().all(|number| number.is_exact_instance_of::<PyFloat>())
}
