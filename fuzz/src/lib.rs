//! What the fuzz targets do with their input: functions that panic where the engine breaks a promise.
//!
//! A target is one call of such a function; `tests/corpora.rs` calls them with the files that are kept.

mod codec;
pub use codec::{frame, hot, message, serial, value};
mod mutate;
pub use mutate::mutate;
mod ops;
pub use ops::{Plan, ops};
mod stream;
pub use stream::{client, sasl, server};
mod unsettled;
pub use unsettled::{Course, unsettled};
