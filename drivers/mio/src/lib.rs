//! AMQP 1.0 for thousands of connections in one thread, on [mio](https://docs.rs/mio).
//!
//! It is used as `amqp1-std` is: a [`Handler`] says what to do when something happens, and a [`Container`] runs it over many
//! connections and listeners. A program changes from one to the other by its `use` line. What differs is what many
//! connections cost: here a step takes as long as there are sockets that are ready, however many others are idle.
//!
//! ```no_run
//! use amqp1_mio::{Container, Context, Delivery, Handler, Url};
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
//! `amqps`, `ws` and `wss` URLs are for TLS and WebSocket, as with `amqp1-std`: see [`Container::tls_client`],
//! [`Container::tls_server`] and the features `tls`, a default, `websocket` and `sasl`.
//!
//! With the environment variable `AMQP1_TRACE` set to `frm`, it prints a line to the standard error for each frame, with
//! secrets masked; [`ConnectionOptions::trace`] does the same for single connections. A connection can be [recorded](record)
//! to a file, which replays without program or peer: see [`Container::record`].

#![forbid(unsafe_code)]

mod container;
pub use container::Container;
mod poller;
mod socket;

pub use amqp1_driver::program::*;
