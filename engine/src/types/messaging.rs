//! Sections of a message that are composites (§3.2), delivery states with fields (§3.4) and termini (§3.5).

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Coordinator, DeliveryState, TerminusDurability, TerminusExpiryPolicy};
use crate::{
    Serial,
    codec::{
        Decode, DecodeErrorKind, Described, Encode, Fields, Str, Symbol, Timestamp, Uuid, Value, ValueRef,
        code, composite::composite, parse,
    },
};

composite! {
    /// How a message is to be transferred (§3.2.1).
    pub Header = 0x70 "amqp:header:list" {
        /// Whether no intermediary may lose the message; false when unset.
        durable: bool,
        /// Relative importance; 4 when unset.
        priority: u8,
        /// How long the message is of use, in milliseconds.
        ttl: u32,
        /// Whether nobody acquired the message before; false when unset.
        first_acquirer: bool,
        /// How often delivery failed before; 0 when unset.
        delivery_count: u32,
    }

    /// What the sending application says of its message (§3.2.4).
    pub Properties = 0x73 "amqp:properties:list" {
        /// Names the message.
        message_id: MessageId,
        /// Who made the message.
        user_id: Bytes,
        /// The node that the message is for.
        to: Str,
        /// What the message is about.
        subject: Str,
        /// The node to send replies to.
        reply_to: Str,
        /// Names the message that this one answers, most often.
        correlation_id: MessageId,
        /// MIME type of the body's data sections; not to be set with other bodies.
        content_type: Symbol,
        /// What was done to the body's data sections, such as `gzip`; not to be set with other bodies, nor to `identity`.
        content_encoding: Symbol,
        /// When the message is of no use any more.
        absolute_expiry_time: Timestamp,
        /// When the message was made.
        creation_time: Timestamp,
        /// The group that the message belongs to.
        group_id: Str,
        /// The message's place in its group.
        group_sequence: Serial,
        /// The group that replies belong to.
        reply_to_group_id: Str,
    }

    /// State of a delivery that arrived in part (§3.4.1): everything before this point is safe.
    pub Received = 0x23 "amqp:received:list" {
        /// The section of the message, counted from 0.
        section_number: u32 = mandatory,
        /// Bytes within the section.
        section_offset: u64 = mandatory,
    }

    /// Outcome: the message goes back changed (§3.4.5).
    pub Modified = 0x27 "amqp:modified:list" {
        /// Whether this counts as a failed delivery; false when unset.
        delivery_failed: bool,
        /// Whether the message may not come to this link again; false when unset.
        undeliverable_here: bool,
        /// What to put in the message's annotations.
        message_annotations: Fields,
    }

    /// Where the messages of a link come from (§3.5.3).
    pub Source = 0x28 "amqp:source:list" {
        /// The node's address.
        address: Str,
        /// What of the terminus survives.
        durable: TerminusDurability = (TerminusDurability::None),
        /// When the terminus begins to expire.
        expiry_policy: TerminusExpiryPolicy = (TerminusExpiryPolicy::SessionEnd),
        /// How many seconds it takes to expire.
        timeout: u32 = 0,
        /// Whether the peer is asked to make a node; then the answer holds its address.
        dynamic: bool = false,
        /// Properties of the node that is made.
        dynamic_node_properties: Fields,
        /// What becomes of messages that are sent: one of [`distribution_mode`](super::distribution_mode).
        distribution_mode: Symbol,
        /// Filters by name; only messages that pass all of them are sent.
        filter: Fields,
        /// The outcome of deliveries that were settled without one.
        default_outcome: DeliveryState = outcome,
        /// Descriptors of the outcomes that the link may use.
        outcomes: Symbol = multiple,
        /// Extensions that the terminus supports or is to support.
        capabilities: Symbol = multiple,
    }

    /// Where the messages of a link go to (§3.5.4).
    pub Target = 0x29 "amqp:target:list" {
        /// The node's address.
        address: Str,
        /// What of the terminus survives.
        durable: TerminusDurability = (TerminusDurability::None),
        /// When the terminus begins to expire.
        expiry_policy: TerminusExpiryPolicy = (TerminusExpiryPolicy::SessionEnd),
        /// How many seconds it takes to expire.
        timeout: u32 = 0,
        /// Whether the peer is asked to make a node; then the answer holds its address.
        dynamic: bool = false,
        /// Properties of the node that is made.
        dynamic_node_properties: Fields,
        /// Extensions that the terminus supports or is to support.
        capabilities: Symbol = multiple,
    }
}

/// What becomes of messages that a source sends (§3.5.7).
pub mod distribution_mode {
    use crate::codec::Symbol;

    /// Once transferred, a message is gone from the node.
    pub const MOVE: Symbol = Symbol::from_static("move");
    /// A message stays at the node.
    pub const COPY: Symbol = Symbol::from_static("copy");
}

/// What a peer or a terminus may be capable of, by names from outside the specification.
pub mod capability {
    use crate::codec::Symbol;

    /// Of a connection: a sender may attach to no address, and each message says where `to` (AMQP Anonymous Terminus).
    pub const ANONYMOUS_RELAY: Symbol = Symbol::from_static("ANONYMOUS-RELAY");
    /// Of a source: links share its messages.
    pub const SHARED: Symbol = Symbol::from_static("shared");
    /// Of a source: its name is one for all containers.
    pub const GLOBAL: Symbol = Symbol::from_static("global");
}

/// Names a message (§3.2.11 to §3.2.14).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageId {
    /// A number.
    Ulong(u64),
    /// A universally unique id.
    Uuid(Uuid),
    /// Octets.
    Binary(Bytes),
    /// Text.
    String(Str),
}

impl Encode for MessageId {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ulong(id) => id.encode(out),
            Self::Uuid(id) => id.encode(out),
            Self::Binary(id) => id.encode(out),
            Self::String(id) => id.encode(out),
        }
    }
}

impl Decode<'_> for MessageId {
    fn parse(input: &[u8]) -> parse::Parsed<'_, Self> {
        let (rest, value) = ValueRef::parse(input)?;
        Ok((
            rest,
            match value {
                ValueRef::Ulong(id) => Self::Ulong(id),
                ValueRef::Uuid(id) => Self::Uuid(id),
                ValueRef::Binary(id) => Self::Binary(Bytes::copy_from_slice(id)),
                ValueRef::String(id) => Self::String(id.into()),
                _ => return parse::unexpected(input[0]),
            },
        ))
    }
}

impl From<u64> for MessageId {
    fn from(id: u64) -> Self {
        Self::Ulong(id)
    }
}

impl From<Uuid> for MessageId {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id)
    }
}

impl From<Bytes> for MessageId {
    fn from(id: Bytes) -> Self {
        Self::Binary(id)
    }
}

impl From<Str> for MessageId {
    fn from(id: Str) -> Self {
        Self::String(id)
    }
}

impl From<&str> for MessageId {
    fn from(id: &str) -> Self {
        Self::String(id.into())
    }
}

impl From<MessageId> for Value {
    fn from(id: MessageId) -> Self {
        match id {
            MessageId::Ulong(id) => Self::Ulong(id),
            MessageId::Uuid(id) => Self::Uuid(id),
            MessageId::Binary(id) => Self::Binary(id),
            MessageId::String(id) => Self::String(id),
        }
    }
}

/// What may stand as the target of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
pub enum TargetKind {
    /// A node (§3.5.4).
    Target(Target),
    /// The coordinator of transactions (§4.5.1).
    Coordinator(Coordinator),
    /// One that this crate does not know.
    Other(Described),
}

impl Encode for TargetKind {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Target(target) => target.encode(out),
            Self::Coordinator(coordinator) => coordinator.encode(out),
            Self::Other(described) => described.encode(out),
        }
    }
}

impl Decode<'_> for TargetKind {
    fn parse(input: &[u8]) -> parse::Parsed<'_, Self> {
        let (list, descriptor) = parse::descriptor(input)?;
        match descriptor {
            Some(Target::CODE) => {
                Target::parse_fields(list).map(|(rest, target)| (rest, Self::Target(target)))
            }
            Some(Coordinator::CODE) => Coordinator::parse_fields(list)
                .map(|(rest, coordinator)| (rest, Self::Coordinator(coordinator))),
            _ => Described::parse(input).map(|(rest, described)| (rest, Self::Other(described))),
        }
    }
}

impl From<Target> for TargetKind {
    fn from(target: Target) -> Self {
        Self::Target(target)
    }
}

impl From<Coordinator> for TargetKind {
    fn from(coordinator: Coordinator) -> Self {
        Self::Coordinator(coordinator)
    }
}

/// When a dynamic node is deleted (§3.5.10 to §3.5.13): the value of `lifetime-policy` in its properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
pub enum LifetimePolicy {
    /// With the link that had it made.
    DeleteOnClose,
    /// When no link leads to it.
    DeleteOnNoLinks,
    /// When it holds no message.
    DeleteOnNoMessages,
    /// When no link leads to it or it holds no message.
    DeleteOnNoLinksOrMessages,
}

impl LifetimePolicy {
    pub(crate) const ALL: [Self; 4] = [
        Self::DeleteOnClose,
        Self::DeleteOnNoLinks,
        Self::DeleteOnNoMessages,
        Self::DeleteOnNoLinksOrMessages,
    ];

    /// Numeric descriptor.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::DeleteOnClose => 0x2b,
            Self::DeleteOnNoLinks => 0x2c,
            Self::DeleteOnNoMessages => 0x2d,
            Self::DeleteOnNoLinksOrMessages => 0x2e,
        }
    }
}

impl Encode for LifetimePolicy {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[code::DESCRIBED, code::SMALLULONG, self.code(), code::LIST0]);
    }
}

impl Decode<'_> for LifetimePolicy {
    fn parse(input: &[u8]) -> parse::Parsed<'_, Self> {
        let (list, descriptor) = parse::descriptor(input)?;
        let (rest, fields) = parse::list(list)?;
        if fields.count != 0 {
            return parse::fail(DecodeErrorKind::TooManyFields);
        }
        match Self::ALL.into_iter().find(|policy| descriptor == Some(policy.code().into())) {
            Some(policy) => Ok((rest, policy)),
            None => parse::fail(DecodeErrorKind::UnknownDescriptor),
        }
    }
}

impl From<LifetimePolicy> for Value {
    fn from(policy: LifetimePolicy) -> Self {
        Self::Described(Described::new(u64::from(policy.code()), Vec::<Self>::new()))
    }
}

#[cfg(any(test, feature = "arbitrary"))]
impl<'a> arbitrary::Arbitrary<'a> for MessageId {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(match u.int_in_range(0..=3)? {
            0 => Self::Ulong(u.arbitrary()?),
            1 => Self::Uuid(u.arbitrary()?),
            2 => Self::Binary(Vec::arbitrary(u)?.into()),
            _ => Self::String(u.arbitrary()?),
        })
    }
}
