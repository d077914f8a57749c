//! Runs the programs as a user does: real processes, real sockets, what they print and how they end.

mod errors;
mod pairs;
mod support;
