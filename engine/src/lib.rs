//! AMQP 1.0 as a sans-IO state machine: bytes in, bytes and events out.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod arena;
mod numbers;
mod serial;
pub use serial::Serial;
mod time;
pub use time::Instant;
mod config;
pub use config::{Config, Limits, LinkConfig, SessionConfig, Side};
mod error;
pub use error::{Blocked, DisconnectReason, Misuse, Scope, SendError, Violation};

pub mod codec;
pub mod types;

pub mod message;

pub mod sasl;
mod transport;
pub use transport::{HandshakeError, Transmit};

mod connection;
pub use connection::{Connection, ConnectionState, Event, TimeoutReason};
mod session;
pub use session::{Session, SessionId, SessionState};
mod link;
pub use link::{DeliveryId, IncomingDelivery, LinkId, LinkState, OutgoingDelivery, Receiver, Sender};

pub mod container;
