//! Exchanges on an asyncio event loop, whichever loop it is.
//!
//! All sockets of a loop are in one readiness set (epoll or kqueue), and the loop watches the descriptor of that set alone.
//!
//! Lock order: the table of a set, then an exchange. Neither is held while Python code can run: whoever is to be woken is
//! collected first, and woken when the locks are free. The lines of a reader are locked while they are decoded, which can
//! run a finalizer; but nobody waits for that lock: whoever finds it taken is told that somebody reads.

mod exchange;
mod pool;
mod readiness;
mod reply;
mod table;

pub use pool::AsyncPool;
pub use readiness::ReadinessSet;
pub use reply::{Arrived, AsyncReply, Wait};
