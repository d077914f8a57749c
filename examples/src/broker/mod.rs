//! A broker: queues in memory.

mod queue;
pub use queue::{Bound, Offered, Overrun, Queue, Stored};
