//! What programs work with whatever their driver: each driver has all of it as its own, so that a program changes its driver
//! with its `use` lines.

pub use crate::{Error, Failure as SocketFailure, InjectError, Injector, Url, UrlError, record};
#[cfg(feature = "tls")]
pub use crate::{TlsClient, TlsError, TlsServer};
pub use amqp1_engine::{
    Blocked, DisconnectReason, HandshakeError, Instant, Limits, LinkConfig, LinkId, Misuse, Scope, SendError,
    Serial, SessionConfig, Violation,
    codec::{self, Fields, Map, Str, Symbol, Symbols, Value},
    container::{
        Address, AtLeastOnce, AtMostOnce, Attempt, Capabilities, ConnectionId, ConnectionOptions,
        ContainerOptions, Context, CoordinatorCapabilities, Copy, DefaultOutcome, Delays, Delivery,
        DeliveryId, DesiredCapabilities, Disconnected, Durability, DurableSubscription, Dynamic,
        DynamicNodeProperties, ExactlyOnce, Expiry, Failure, Filter, Global, Handler, InDoubt, Knobs, Link,
        LinkOption, LinkProperties, LinkSettings, ListenerId, MaxMessageSize, Move, Name, Object,
        OfferedCapabilities, Outcomes, Prefetch, ReceiverId, Reconnect, Recovery, Scheme, Security, Selector,
        SendRefused, SenderId, SessionId, Shared, SourceAddress, SourceCapabilities, SubscriptionName,
        TargetAddress, TargetCapabilities, TaskId, Timeout, Tracker, Transaction, TransactionId, Unhandled,
        Where,
    },
    message::{self, Body, BodyRef, Message, MessageView},
    types,
};
pub use bytes::Bytes;

/// SASL: what the engine has of it, and with the feature `sasl` SCRAM, OAUTHBEARER and XOAUTH2.
pub mod sasl {
    #[cfg(feature = "sasl")]
    pub use crate::sasl::{ClientMechanisms, ScramHash, ScramKeys, ServerMechanisms};
    pub use amqp1_engine::sasl::*;
}
