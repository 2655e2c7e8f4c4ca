//! Exchanges that block the thread, with the interpreter's lock released.

mod connection;
mod pool;
mod reply;

pub use pool::Pool;
pub use reply::Reply;
