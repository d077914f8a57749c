//! What a connection, session or link is told at its making.

use alloc::boxed::Box;
use core::{num::NonZeroU32, time::Duration};

use crate::{
    Serial,
    codec::{Fields, Str, Symbols},
    link::UnsettledMap,
    record::Record,
    sasl::{Channel, Sasl},
    types::{ReceiverSettleMode, SenderSettleMode, Source, Target, TargetKind},
};

/// Which side opened the socket. AMQP itself is symmetric: it matters to protocol headers and SASL alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We connected.
    Client,
    /// We accepted.
    Server,
}

/// The settings of one connection; the fields of `open` are those of §2.7.1.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which side opened the socket.
    pub side: Side,
    /// Our container's name.
    pub container_id: Str,
    /// The name of the host that we want to reach, as in `open` and `sasl-init`.
    pub hostname: Option<Str>,
    /// The largest frame that we take, in bytes; at least 512. Default 128 KiB.
    pub max_frame_size: u32,
    /// The highest channel number that we take: one less than the number of sessions. Default 255.
    pub channel_max: u16,
    /// How long the peer may stay silent; half of it is advertised (§2.4.5). `None`, the default: for ever.
    pub idle_time_out: Option<Duration>,
    /// Which share of an idle time-out is used: 2 advertises half of ours and writes at half of the peer's.
    /// Default 2.
    pub idle_share: NonZeroU32,
    /// Extensions that we offer.
    pub offered_capabilities: Symbols,
    /// Extensions that we want to use.
    pub desired_capabilities: Symbols,
    /// What the peer may want to know of us.
    pub properties: Option<Fields>,
    /// The SASL layer; `None`, the default: none is used or offered (§5.3).
    pub sasl: Option<Sasl>,
    /// What the byte channel below gives: encryption, the peer's certificate.
    pub channel: Channel,
    /// What holds for a session that the peer begins, until [`Session::accept`](crate::Session::accept) answers it.
    pub session: SessionConfig,
    /// Bounds on what a peer can make us hold.
    pub limits: Limits,
    /// Whether frames are traced, see [`Connection::poll_trace`](crate::Connection::poll_trace).
    pub trace: bool,
    /// Whether the connection is [recorded](crate::record), and how, see
    /// [`Connection::poll_recording`](crate::Connection::poll_recording). Default: not at all.
    pub record: Option<Record>,
}

impl Config {
    /// The defaults for the side that connects.
    pub fn client(container_id: impl Into<Str>) -> Self {
        Self::new(Side::Client, container_id.into())
    }

    /// The defaults for the side that accepts.
    pub fn server(container_id: impl Into<Str>) -> Self {
        Self::new(Side::Server, container_id.into())
    }

    fn new(side: Side, container_id: Str) -> Self {
        Self {
            side,
            container_id,
            hostname: None,
            max_frame_size: 128 * 1024,
            channel_max: 255,
            idle_time_out: None,
            idle_share: NonZeroU32::new(2).expect("2 is not 0"),
            offered_capabilities: Symbols::new(),
            desired_capabilities: Symbols::new(),
            properties: None,
            sasl: None,
            channel: Channel::default(),
            session: SessionConfig::default(),
            limits: Limits::default(),
            trace: false,
            record: None,
        }
    }
}

/// Bounds on what a peer, or a caller that does not keep up, can make a connection hold. Where 0 would stop all traffic
/// it counts as 1.
///
/// Whatever these say, a peer makes a connection hold no more than 64 KiB and 16 bytes for each byte that it sends, besides
/// sessions and links, whose numbers [`Config::channel_max`] and [`SessionConfig::handle_max`] bound, and what
/// [`Config::record`] asks for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Time from the start to the peer's open. Default 10 s.
    pub handshake_timeout: Duration,
    /// Time from our close to the peer's. Default 10 s.
    pub close_timeout: Duration,
    /// Deliveries of one direction of a session that are not settled, or not taken. Default 10,000.
    pub unsettled: usize,
    /// Bytes received that the user has not taken; above it no more is read. Default 16 MiB.
    pub unread_bytes: usize,
    /// Events that the user has not polled; above it no more is read. Default 16,384.
    pub events: usize,
    /// Above so many bytes that wait to be written no new message is taken. Default 256 KiB.
    pub output_high_water: usize,
    /// Above so many bytes that wait to be written no more is read. Default 1 MiB.
    pub output_stop_reading: usize,
}

impl Limits {
    /// Raises limits that nothing could pass.
    pub(crate) fn let_one_pass(&mut self) {
        let Self { unread_bytes, events, output_high_water, output_stop_reading, .. } = self;
        for limit in [unread_bytes, events, output_high_water, output_stop_reading] {
            *limit = (*limit).max(1);
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(10),
            unsettled: 10_000,
            unread_bytes: 16 * 1024 * 1024,
            events: 16_384,
            output_high_water: 256 * 1024,
            output_stop_reading: 1024 * 1024,
        }
    }
}

/// The settings of one session; fields of `begin` are those of §2.7.2.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// How many transfer frames we take that the user has not taken from us. Default 2,048.
    pub incoming_window: u32,
    /// The highest handle that we take: one less than the number of links. Default 1,023.
    pub handle_max: u32,
    /// The transfer-id that our first transfer gets.
    pub next_outgoing_id: Serial,
    /// Extensions that we offer.
    pub offered_capabilities: Symbols,
    /// Extensions that we want to use.
    pub desired_capabilities: Symbols,
    /// What the peer may want to know of the session.
    pub properties: Option<Fields>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            incoming_window: 2048,
            handle_max: 1023,
            next_outgoing_id: Serial::new(0),
            offered_capabilities: Symbols::new(),
            desired_capabilities: Symbols::new(),
            properties: None,
        }
    }
}

/// One end of a link, as its `attach` states it (§2.7.3). Both roles use it.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// The link's name: unique for its direction between the two containers (§2.6.1). In the answer to a peer's
    /// attach it is ignored: the peer's name holds.
    pub name: Str,
    /// Where messages come from; `None`: no such terminus.
    pub source: Option<Box<Source>>,
    /// Where messages go to; `None`: no such terminus.
    pub target: Option<Box<TargetKind>>,
    /// Whether the sender settles before it sends (§2.8.2).
    pub snd_settle_mode: SenderSettleMode,
    /// Whether the receiver settles first (§2.8.3).
    pub rcv_settle_mode: ReceiverSettleMode,
    /// The largest message that this end takes, in bytes; 0 and `None`: any. A receiver's default is 16 MiB.
    pub max_message_size: Option<u64>,
    /// Resumes the link with these deliveries, as a [`TerminusState`](crate::TerminusState) names them (§2.6.13). `None`:
    /// the link is new, or goes on in its session as it was. A peer that knows no link recovery may take that amiss: RabbitMQ 4
    /// ends the session with `amqp:not-implemented`.
    pub unsettled: Option<UnsettledMap>,
    /// A sender's first delivery-count (§2.6.7).
    pub initial_delivery_count: Serial,
    /// Extensions that we offer.
    pub offered_capabilities: Symbols,
    /// Extensions that we want to use.
    pub desired_capabilities: Symbols,
    /// What the peer may want to know of the link.
    pub properties: Option<Fields>,
}

impl LinkConfig {
    /// A link that sends to `address`.
    pub fn sender(name: impl Into<Str>, address: impl Into<Str>) -> Self {
        let target = Target { address: Some(address.into()), ..Target::default() };
        Self {
            source: Some(Box::default()),
            target: Some(Box::new(TargetKind::Target(target))),
            max_message_size: None,
            ..Self::new(name)
        }
    }

    /// A link that receives from `address`.
    pub fn receiver(name: impl Into<Str>, address: impl Into<Str>) -> Self {
        let source = Source { address: Some(address.into()), ..Source::default() };
        Self {
            source: Some(Box::new(source)),
            target: Some(Box::new(TargetKind::Target(Target::default()))),
            ..Self::new(name)
        }
    }

    /// A link with neither source nor target.
    pub fn new(name: impl Into<Str>) -> Self {
        Self {
            name: name.into(),
            source: None,
            target: None,
            snd_settle_mode: SenderSettleMode::Mixed,
            rcv_settle_mode: ReceiverSettleMode::First,
            max_message_size: Some(16 * 1024 * 1024),
            unsettled: None,
            initial_delivery_count: Serial::new(0),
            offered_capabilities: Symbols::new(),
            desired_capabilities: Symbols::new(),
            properties: None,
        }
    }
}
