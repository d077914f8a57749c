//! Runs the programs as a user does: real processes, real sockets, what they print and how they end.
//!
//! `cargo test -p amqp1-examples` builds the programs first; before a run with `--test programs` alone,
//! `cargo build -p amqp1-examples --examples` does.

mod errors;
mod pairs;
mod restarts;
mod services;
mod support;
mod tls;
