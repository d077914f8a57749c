//! AMQP 1.0 as a sans-IO state machine: bytes in, bytes and events out.
//!
//! Nothing in this crate opens a socket, starts a thread, reads a clock, takes a lock or waits. A [`Connection`] takes
//! bytes, calls and moments, and gives bytes, events and deadlines; a loop around it, a *driver*, does the I/O:
//!
//! ```
//! use amqp1_engine::{Config, Connection, Event, Instant};
//! use bytes::{Buf, BytesMut};
//! # use std::io;
//! # enum Ready { Bytes, Eof, Deadline }
//! # fn clock() -> Instant { Instant::ZERO }
//! # fn wait(_: &impl io::Read, _: Option<Instant>) -> io::Result<Ready> { Ok(Ready::Eof) }
//! # fn read_into(_: &impl io::Read, _: &mut BytesMut) -> io::Result<()> { Ok(()) }
//!
//! fn drive(mut socket: impl io::Read + io::Write, mut on_event: impl FnMut(&mut Connection, Event)) -> io::Result<()> {
//!     let mut connection = Connection::new(Config::client("my-container"), clock());
//!     let mut input = BytesMut::new();
//!     connection.open();
//!     loop {
//!         // Events first: handling one usually has something written.
//!         loop {
//!             while let Some(event) = connection.poll_event() {
//!                 on_event(&mut connection, event);
//!             }
//!             let Some(mut transmit) = connection.poll_transmit(clock()) else { break };
//!             let written = socket.write(transmit.chunk())?; // a short write is the normal case
//!             transmit.advance(written);
//!         }
//!         if connection.is_done() {
//!             return Ok(());
//!         }
//!         match wait(&socket, connection.poll_timeout().map(|(at, _reason)| at))? {
//!             Ready::Bytes => {
//!                 read_into(&socket, &mut input)?;
//!                 connection.handle_input(&mut input, clock());
//!             }
//!             Ready::Eof => connection.handle_eof(clock()),
//!             Ready::Deadline => connection.handle_timeout(clock()),
//!         }
//!     }
//! }
//! # drive(io::Cursor::new(Vec::new()), |_, _| {}).unwrap();
//! ```
//!
//! On top of it stands the [`container`]: many connections, listeners, timers and policies as one state machine that
//! calls a handler, in the model of Qpid Proton. Below it lie the type system ([`codec`]), the
//! specification's types ([`types`]) and [`message`]s, all of use on their own.
//!
//! # Whose fault it was
//!
//! A rule that the *peer* broke is a [`Violation`]: it becomes a closing frame and an event, and is never an `Err`. A
//! call that the state of things does not allow is a [`Misuse`]: an ordinary `Err` that changed nothing. Neither can
//! panic; a panic is a bug of this crate.
//!
//! # Features
//!
//! - `std` (default): vectored chunks for [`Transmit`], and nothing else. Without it the crate is `no_std` with `alloc`.
//! - `arbitrary`: `Arbitrary` for the public types, to fuzz with them.
//! - `tracing`: one `tracing` event a frame.
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

pub mod record;

pub mod sasl;
mod transport;
pub use transport::{HandshakeError, Transmit};

mod connection;
pub use connection::{Connection, ConnectionState, Event, TimeoutReason};
mod session;
pub use session::{Session, SessionId, SessionState};
mod link;
pub use link::{
    Batch, Deliveries, DeliveryId, DeliveryMut, IncomingDelivery, LinkId, LinkState, OutgoingDelivery,
    Receiver, Resumption, Sender, TerminusState, UnsettledMap, Update,
};

pub mod txn;

pub mod container;
