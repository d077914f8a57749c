//! What the example programs share: their arguments, how they end, and the broker they talk to.

#![forbid(unsafe_code)]

pub mod broker;
