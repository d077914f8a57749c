//! One connection as a program calls it, without waiting: what the blocking interface and the async one have in common.
//!
//! A [`State`] is an engine and what is known of its links. Each call of a program is a method of it that looks whether
//! what is waited for is there, and returns `None` while it is not. Who waits, looks again when [`News`] says that this may
//! have changed.

mod calls;
mod error;
mod news;
mod outcome;
mod state;

pub use calls::Sent;
pub use error::{Error, Waiting};
pub use news::News;
pub use outcome::Outcome;
pub use state::{Arrived, State};
