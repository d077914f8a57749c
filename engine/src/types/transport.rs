//! The performatives (§2.7) and the error they carry (§2.8.14).

use super::{
    DeliveryState, DeliveryTag, Handle, ReceiverSettleMode, Role, SenderSettleMode, Source, TargetKind,
};
use crate::{
    Serial,
    codec::{Fields, Str, Symbol, composite::composite},
};

composite! {
    /// Negotiates the parameters of a connection (§2.7.1).
    pub Open = 0x10 "amqp:open:list" {
        /// Who speaks: the id of the container.
        container_id: Str = mandatory,
        /// The host that the client wants to reach, as in TLS's server name.
        hostname: Str,
        /// The largest frame that the writer of this accepts, in bytes.
        max_frame_size: u32 = (u32::MAX),
        /// The highest channel number that may be used.
        channel_max: u16 = (u16::MAX),
        /// After how many milliseconds of silence the writer of this gives up.
        idle_time_out: u32,
        /// Locales for text in what the writer of this sends.
        outgoing_locales: Symbol = multiple,
        /// Locales for text that the writer of this wants, best first.
        incoming_locales: Symbol = multiple,
        /// Extensions that the writer of this supports.
        offered_capabilities: Symbol = multiple,
        /// Extensions that the writer of this may use if the peer supports them.
        desired_capabilities: Symbol = multiple,
        /// Whatever else describes the connection and the container.
        properties: Fields,
    }

    /// Begins a session on a channel (§2.7.2).
    pub Begin = 0x11 "amqp:begin:list" {
        /// In an answer: the channel on which the peer began.
        remote_channel: u16,
        /// The transfer-id of the first transfer that the writer of this will send.
        next_outgoing_id: Serial = mandatory,
        /// How many transfers the writer of this can take.
        incoming_window: u32 = mandatory,
        /// How many transfers the writer of this may send.
        outgoing_window: u32 = mandatory,
        /// The highest handle that may be used.
        handle_max: u32 = (u32::MAX),
        /// Extensions that the writer of this supports.
        offered_capabilities: Symbol = multiple,
        /// Extensions that the writer of this may use if the peer supports them.
        desired_capabilities: Symbol = multiple,
        /// Whatever else describes the session.
        properties: Fields,
    }

    /// Attaches a link to a session (§2.7.3).
    pub Attach = 0x12 "amqp:attach:list" {
        /// Names the link; unique between two containers for one direction.
        name: Str = mandatory,
        /// The number for the link until it is detached.
        handle: Handle = mandatory,
        /// Which end the writer of this is.
        role: Role = mandatory,
        /// How the sender settles.
        snd_settle_mode: SenderSettleMode = (SenderSettleMode::Mixed),
        /// How the receiver settles.
        rcv_settle_mode: ReceiverSettleMode = (ReceiverSettleMode::First),
        /// Where messages come from; null refuses the link.
        source: Source = boxed,
        /// Where messages go to; null refuses the link.
        target: TargetKind = boxed,
        /// Delivery states by delivery-tag that the writer of this holds from before.
        unsettled: Fields,
        /// Whether `unsettled` had to be cut short.
        incomplete_unsettled: bool = false,
        /// The sender's delivery-count; mandatory when the role is sender.
        initial_delivery_count: Serial,
        /// The largest message that the writer of this takes, in bytes; none or zero: any.
        max_message_size: u64,
        /// Extensions that the writer of this supports.
        offered_capabilities: Symbol = multiple,
        /// Extensions that the writer of this may use if the peer supports them.
        desired_capabilities: Symbol = multiple,
        /// Whatever else describes the link.
        properties: Fields,
    }

    /// Updates the state of a session and perhaps of a link (§2.7.4).
    pub Flow = 0x13 "amqp:flow:list" hot {
        /// The transfer-id that the writer of this expects next; unset until it saw the peer's begin.
        next_incoming_id: Serial,
        /// How many transfers the writer of this can take.
        incoming_window: u32 = mandatory,
        /// The transfer-id of the next transfer that the writer of this will send.
        next_outgoing_id: Serial = mandatory,
        /// How many transfers the writer of this may send.
        outgoing_window: u32 = mandatory,
        /// The link that the fields below are about; none: the session alone.
        handle: Handle,
        /// The link's delivery-count.
        delivery_count: Serial,
        /// How many messages the receiver takes, counted from `delivery_count`.
        link_credit: u32,
        /// How many messages the sender has waiting.
        available: u32,
        /// Whether the sender is to use up its credit at once, with messages or without.
        drain: bool = false,
        /// Whether the peer is asked for its state.
        echo: bool = false,
        /// Whatever else describes the link's state.
        properties: Fields,
    }

    /// Carries a message or a part of one, which follows it in the frame (§2.7.5).
    pub Transfer = 0x14 "amqp:transfer:list" hot {
        /// The link.
        handle: Handle = mandatory,
        /// The delivery's number on the session; mandatory in its first transfer.
        delivery_id: Serial,
        /// The delivery's name on the link; mandatory in its first transfer.
        delivery_tag: DeliveryTag,
        /// What the message's bytes are; mandatory in its first transfer, 0 for those of §3.2.
        message_format: u32,
        /// Whether the sender settled the delivery.
        settled: bool,
        /// Whether more transfers of this delivery follow.
        more: bool = false,
        /// How the receiver is to settle this delivery, against the link's mode.
        rcv_settle_mode: ReceiverSettleMode,
        /// The delivery's state at the sender.
        state: DeliveryState = boxed,
        /// Whether this delivery goes on from before the link was attached.
        resume: bool = false,
        /// Whether the delivery is given up; its bytes are to be forgotten.
        aborted: bool = false,
        /// Whether the answer may wait to be sent with others.
        batchable: bool = false,
    }

    /// Tells the peer of state and settlement of a range of deliveries (§2.7.6).
    pub Disposition = 0x15 "amqp:disposition:list" hot {
        /// Which end of their links the writer of this is.
        role: Role = mandatory,
        /// The first delivery-id.
        first: Serial = mandatory,
        /// The last delivery-id; none: `first`.
        last: Serial,
        /// Whether the writer of this settled them.
        settled: bool = false,
        /// Their state.
        state: DeliveryState,
        /// Whether the answer may wait to be sent with others.
        batchable: bool = false,
    }

    /// Detaches a link from its session (§2.7.7).
    pub Detach = 0x16 "amqp:detach:list" {
        /// The link.
        handle: Handle = mandatory,
        /// Whether the link is closed for good.
        closed: bool = false,
        /// Why, when something went wrong.
        error: Error,
    }

    /// Ends a session (§2.7.8).
    pub End = 0x17 "amqp:end:list" {
        /// Why, when something went wrong.
        error: Error,
    }

    /// Closes a connection (§2.7.9).
    pub Close = 0x18 "amqp:close:list" {
        /// Why, when something went wrong.
        error: Error,
    }

    /// What went wrong (§2.8.14).
    pub Error = 0x1d "amqp:error:list" {
        /// The kind of error, such as one of [`condition`](super::condition).
        condition: Symbol = mandatory,
        /// Text for people.
        description: Str,
        /// Particulars that the condition defines.
        info: Fields,
    }
}
