//! Exchanges that block the thread, with the interpreter's lock released.

mod connection;
mod leash;
mod pool;
mod reply;

pub use leash::Leash;
pub use pool::Pool;
pub use reply::Reply;
