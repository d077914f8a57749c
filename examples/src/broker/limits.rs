//! How much a broker holds.

use std::time::Duration;

use amqp1_engine::txn::Bounds;

use super::Bound;

/// How much a broker holds, and how long it waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many queues there may be, those made for dynamic termini included.
    pub queues: usize,
    /// What each of them holds.
    pub queue: Bound,
    /// What all of them hold together.
    pub total: Bound,
    /// How often the delivery of a message may fail: with the next failure it is dropped. Failed is what a consumer says to
    /// be (§3.4.5 delivery-failed), or did not settle before its link was gone.
    pub failures: u32,
    /// How many transactions of a session are open, and how many messages each is about.
    pub transactions: Bounds,
    /// How long a peer may take from its connection to its open.
    pub handshake: Duration,
    /// How long a peer may stay silent.
    pub silence: Duration,
}

impl Default for Limits {
    /// 1,000 queues of 100,000 messages or 64 MiB each, 1,000,000 messages or 512 MiB in all; 100 failures; 100
    /// transactions of 10,000 messages each; 10 s to open, 2 minutes of silence.
    fn default() -> Self {
        Self {
            queues: 1_000,
            queue: Bound { messages: 100_000, bytes: 64 << 20 },
            total: Bound { messages: 1_000_000, bytes: 512 << 20 },
            failures: 100,
            transactions: Bounds { transactions: 100, work: 10_000 },
            handshake: Duration::from_secs(10),
            silence: Duration::from_secs(120),
        }
    }
}
