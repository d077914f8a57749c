//! AMQP 1.0 on [tokio](https://docs.rs/tokio).
//!
//! There are two ways to use it, and both need a tokio runtime around, with I/O and time enabled, as `#[tokio::main]` makes
//! it.
//!
//! **Calls that are awaited**: [`connect`] gives a [`Connection`], and that gives links.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connection = amqp1_tokio::connect("amqp://localhost").await?;
//! let receiver = connection.receiver("examples").await?;
//! let sender = connection.sender("examples").await?;
//! sender.send("Hello World!").await?.accepted()?;
//! let delivery = receiver.recv().await?;
//! println!("{}", delivery.message()?.body());
//! delivery.accept().await?;
//! connection.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Connections and links may be cloned and used by any number of tasks. Every call has a deadline, [`Options::timeout`](client::Options::timeout) or
//! what `with_timeout` says, and may be dropped at any await. A [`Receiver`](client::Receiver) is a `Stream`, too.
//!
//! **Handlers**: a [`Handler`] says what to do when something happens, and a [`Container`] runs it over many connections and
//! listeners in one task. A program changes from `amqp1-std` to this by its `use` line and an `.await`.
//!
//! ```no_run
//! use amqp1_tokio::{Container, Context, Delivery, Handler, Url};
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
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! Container::new(Printer("localhost:5672/examples".parse()?)).run().await?;
//! # Ok(())
//! # }
//! ```
//!
//! With the environment variable `AMQP1_TRACE` set to `frm`, both print a line to the standard error for each frame, with
//! secrets masked; [`ConnectionOptions::trace`] does the same for single connections. A connection can be [recorded](record)
//! to a file, which replays without program or peer.

#![forbid(unsafe_code)]

mod runtime;
pub use runtime::{Stream, Tokio};

pub use amqp1_driver::program::*;

pub mod client {
    //! Connections and links whose calls are awaited: what [`connect`](crate::connect) gives.

    pub use amqp1_driver::{
        aio::{
            Connection, Delivery, MessageReader, MessageWriter, Options, Receiver, RequestResponse, Sender,
            Session, Submitted,
        },
        client::{Error, Outcome, Waiting},
    };
}
use client::{Connection, Options};

/// Runs a [`Handler`] over many connections and listeners, in one task of tokio's.
pub type Container<H> = amqp1_driver::aio::Container<H, Tokio>;

/// Connects with default [`Options`].
///
/// # Errors
/// As [`connect_with`].
///
/// # Panics
/// Outside of a tokio runtime, or where that has no I/O or time enabled.
pub async fn connect<U>(url: U) -> Result<Connection, client::Error>
where
    U: TryInto<Url>,
    client::Error: From<U::Error>,
{
    connect_with(&Options::default(), url).await
}

/// Connects, authenticates and opens a connection, whose bytes a task of its own moves.
///
/// All addresses of the host are tried. A user and a password in the URL are used with SASL PLAIN, over plain TCP only if
/// [`allow_clear_text`](ConnectionOptions::allow_clear_text) is set; without them SASL ANONYMOUS is used.
///
/// # Errors
/// [`client::Error::Url`], [`client::Error::Connect`], [`client::Error::TimedOut`], or what the peer objects to.
///
/// # Panics
/// Outside of a tokio runtime, or where that has no I/O or time enabled.
pub async fn connect_with<U>(options: &Options, url: U) -> Result<Connection, client::Error>
where
    U: TryInto<Url>,
    client::Error: From<U::Error>,
{
    options.connect::<Tokio, U>(url).await
}
