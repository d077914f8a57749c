//! AMQP 1.0 on the standard library's sockets.
//!
//! There are two ways to use it. Both need no other crate: the engine's types that programs work with are here, too.
//!
//! **Handlers**: a [`Handler`] says what to do when something happens, and a [`Container`] runs it over many connections
//! and listeners in one thread.
//!
//! ```no_run
//! use amqp1_std::{Container, Context, Delivery, Handler, Url};
//!
//! struct Printer(Url);
//!
//! impl Handler for Printer {
//!     fn on_start(&mut self, cx: &mut Context<'_>) {
//!         // The path of the URL is the address to receive from.
//!         cx.create_receiver(&self.0, ());
//!     }
//!     fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
//!         match delivery.message() {
//!             Ok(message) => println!("{}", message.body()),
//!             // The container rejects it.
//!             Err(error) => eprintln!("not a message: {error}"),
//!         }
//!     }
//! }
//!
//! Container::new(Printer("localhost:5672/examples".parse()?)).run()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Calls that wait**, each with a deadline, from any number of threads: [`connect`] and the rest of [`blocking`].
//!
//! ```no_run
//! let connection = amqp1_std::connect("localhost:5672")?;
//! connection.sender("examples")?.send("Hello World!")?.accepted()?;
//! # Ok::<(), amqp1_std::blocking::Error>(())
//! ```
//!
//! With the environment variable `AMQP1_TRACE` set to `frm`, both print a line to the standard error for each frame, with
//! secrets masked; [`ConnectionOptions::trace`] does the same for single connections.
//!
//! A connection can be [recorded](record) to a file, which replays without program or peer: see [`Container::record`] and
//! [`blocking::Options::record`].
//!
//! An `amqps` URL is all that TLS takes where the operating system trusts the server's certificate. Else [`TlsClient`] says
//! whom to trust and who to be, and [`TlsServer`] is for those who listen: see [`Container::tls_client`],
//! [`Container::tls_server`] and [`blocking::Options::tls`]. It is on rustls, and built in by the feature `tls`, a default.
//! The feature `websocket` builds in `ws` and `wss` URLs, for AMQP over WebSocket, and `sasl` SCRAM, OAUTHBEARER and XOAUTH2
//! (in [`sasl`]).
//!
//! What it needs of the operating system are the sockets and the poll(2) of Unix.

#![forbid(unsafe_code)]

pub mod blocking;
pub use blocking::connect;
mod container;
pub use container::Container;
mod dial;
mod listener;
mod poller;
mod socket;
mod waker;

pub use amqp1_driver::program::*;
