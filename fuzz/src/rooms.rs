//! The rooms of the core that only Python's module can see, built once more from their files.

#[path = "../../src/base64.rs"]
pub mod base64;
#[path = "../../src/quick.rs"]
pub mod quick;
