//! AMQP 1.0 on the standard library's sockets.

#![forbid(unsafe_code)]

pub mod blocking;
pub use blocking::connect;
mod container;
pub use container::Container;
mod dial;
mod error;
pub use error::Error;
mod injector;
pub use injector::{InjectError, Injector};
mod listener;
mod poller;
mod socket;
mod streams;
mod waker;

pub use amqp1_driver::{Failure as SocketFailure, Url, UrlError};
pub use amqp1_engine::{
    LinkConfig, LinkId,
    codec::{self, Map, Str, Symbol, Value},
    container::{
        Address, AtLeastOnce, AtMostOnce, Capabilities, ConnectionId, ConnectionOptions, ContainerOptions,
        Context, Delivery, DeliveryId, Disconnected, ExactlyOnce, Failure, Handler, Knobs, Link, LinkOption,
        ListenerId, Name, Object, Prefetch, ReceiverId, Scheme, Security, SendRefused, SenderId, SessionId,
        TaskId, Tracker, Unhandled, Where,
    },
    message::{Body, BodyRef, Message, MessageView},
    sasl, types,
};

/// Whether the environment asks for the frame trace.
fn trace_is_wanted() -> bool {
    std::env::var_os("AMQP1_TRACE").is_some_and(|value| value == "frm")
}
