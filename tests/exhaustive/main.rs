//! What is small enough to be tried in full: all cuts and all changed bytes of good streams, all format codes everywhere.
//!
//! The ordinary tests draw a sample, which `AMQP1_SEED` changes. This is all of it, some minutes long:
//!
//! ```text
//! AMQP1_LONG=1 cargo test --release -p amqp1-tests --test exhaustive -- --nocapture
//! ```

mod codes;
mod damage;
mod streams;

/// Whether all is to be tried.
fn long() -> bool {
    std::env::var_os("AMQP1_LONG").is_some()
}
