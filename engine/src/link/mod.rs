//! Links: a unidirectional route each, over which one side sends and the other receives (§2.6).

use alloc::{boxed::Box, vec::Vec};
use core::num::NonZeroU64;

use crate::{
    Serial,
    arena::Key,
    codec::{Fields, Str},
    connection::EventNumber,
    types::{DeliveryTag, Error, ReceiverSettleMode, Role, SenderSettleMode},
};

mod accessors;
pub(crate) mod attach;
mod batch;
pub(crate) mod credit;
mod delivery;
mod delivery_mut;
mod filters;
mod intake;
mod kept;
mod path;
mod receiver;
mod receiving;
pub(crate) mod recovery;
mod resume;
mod sender;
mod sending;
pub(crate) mod settle;
pub(crate) mod state;
mod tags;
pub(crate) mod terminus;
mod terminus_state;
mod transactional;
mod unsettled_map;
mod updates;
pub use batch::Batch;
pub use delivery::{DeliveryId, IncomingDelivery, OutgoingDelivery};
pub use receiver::Receiver;
pub use resume::Resumption;
pub use sender::Sender;
pub use state::LinkState;
pub use terminus_state::TerminusState;
pub(crate) use unsettled_map::RemoteUnsettled;
pub use unsettled_map::UnsettledMap;
pub use updates::Update;

use accessors::link_accessors;
use credit::{ReceiverCredit, SenderCredit};
pub(crate) use delivery::Told;
pub use delivery_mut::{Deliveries, DeliveryMut};
pub(crate) use kept::KeptAttach;
pub(crate) use path::Untaken;
pub(crate) use recovery::Recovery;
pub(crate) use sending::{Unfinished, Waiting};
use state::LinkStep;
pub(crate) use tags::{Inserted, TagSet};

/// Names a link of a connection, whichever role we have on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) Key);

/// All that a connection holds of one link.
#[derive(Debug)]
pub(crate) struct LinkEndpoint {
    pub(crate) session: Key,
    pub(crate) name: Str,
    pub(crate) state: LinkState,
    pub(crate) end: LinkEnd,
    /// Ours, while attached.
    pub(crate) handle: Option<u32>,
    /// The one we had, until the peer has detached, too: what it has under way for this link must not reach another.
    pub(crate) retired_handle: Option<u32>,
    /// The peer's, while attached.
    pub(crate) remote_handle: Option<u32>,
    /// Our attach, once the user has made one.
    pub(crate) local_attach: Option<KeptAttach>,
    /// The peer's attach, while it holds.
    pub(crate) remote_attach: Option<KeptAttach>,
    /// The largest message that the receiving end takes; `None`: any, or not known yet (§2.7.3).
    pub(crate) max_message_size: Option<NonZeroU64>,
    /// The modes in force (§2.6.12).
    pub(crate) snd_settle_mode: SenderSettleMode,
    pub(crate) rcv_settle_mode: ReceiverSettleMode,
    /// Tags of the deliveries that the session holds for this link.
    pub(crate) tags: TagSet,
    /// How many deliveries the session holds for this link.
    pub(crate) live: u32,

    /// An unsettled map of this attachment was incomplete, which keeps new deliveries off it (§2.7.3).
    pub(crate) incomplete_unsettled: bool,
    pub(crate) attach_due: bool,
    pub(crate) flow_due: bool,
    /// What our next flow carries besides numbers.
    pub(crate) flow_properties_due: Option<Box<Fields>>,
    pub(crate) detach_due: Option<Box<Detachment>>,
    /// Whether the link is in its session's list of those that have something to write.
    pub(crate) due: bool,
    /// Whether the link is in the connection's list of those that wait for output to drain.
    pub(crate) waits_for_output: bool,
    /// Whether the link is in its session's list of those that wait for it.
    pub(crate) waits_for_session: bool,
    /// The last event about a flow: while it waits to be polled no second one is queued.
    pub(crate) flow_told: EventNumber,
    /// What the peer's last flow carried besides numbers (§2.7.4 properties).
    pub(crate) flow_properties: Option<Box<Fields>>,
    /// Our last detach.
    pub(crate) sent_detach: Option<DetachKind>,
    /// The peer's last detach.
    pub(crate) received_detach: Option<DetachKind>,
}

/// A detach to be written.
#[derive(Debug)]
pub(crate) struct Detachment {
    pub(crate) closed: bool,
    pub(crate) error: Option<Box<Error>>,
}

/// What a detach that was exchanged means for the terminus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DetachKind {
    /// The terminus stays: the link may be attached again (§2.6.4).
    Suspended,
    /// The terminus is gone (§2.6.6).
    Closed,
    /// The link was destroyed because of an error (§2.6.5), and the terminus with it if it was closed.
    Failed { closed: bool },
}

impl DetachKind {
    pub(crate) const fn of(closed: bool, error: bool) -> Self {
        match (closed, error) {
            (closed, true) => Self::Failed { closed },
            (true, false) => Self::Closed,
            (false, false) => Self::Suspended,
        }
    }

    /// Whether the link endpoint is gone.
    pub(crate) const fn is_final(self) -> bool {
        !matches!(self, Self::Suspended)
    }

    /// Whether the terminus is gone, too.
    pub(crate) const fn is_closing(self) -> bool {
        matches!(self, Self::Closed | Self::Failed { closed: true })
    }
}

/// What only one of the roles has.
#[derive(Debug)]
pub(crate) enum LinkEnd {
    Sender(SenderEnd),
    Receiver(ReceiverEnd),
}

impl LinkEnd {
    /// An end that has neither sent nor received.
    fn new(role: Role) -> Self {
        match role {
            Role::Sender => Self::Sender(SenderEnd {
                credit: SenderCredit::new(Serial::new(0)),
                available: 0,
                unfinished: None,
                waiting: Waiting::Credit,
                drain_told: EventNumber::default(),
            }),
            Role::Receiver => Self::Receiver(ReceiverEnd::default()),
        }
    }
}

#[derive(Debug)]
pub(crate) struct SenderEnd {
    pub(crate) credit: SenderCredit,
    /// Messages that the user says it has for this link (§2.6.7 available).
    pub(crate) available: u32,
    pub(crate) unfinished: Option<Box<Unfinished>>,
    pub(crate) waiting: Waiting,
    /// The last event that told of a drain: while it waits to be polled no second one is queued.
    pub(crate) drain_told: EventNumber,
}

#[derive(Debug, Default)]
pub(crate) struct ReceiverEnd {
    pub(crate) credit: ReceiverCredit,
    /// Messages that the sender says it has (§2.6.7 available).
    pub(crate) available: u32,
    /// The delivery whose last frame has not arrived.
    pub(crate) unfinished: Option<Serial>,
    /// Transfers of that without payload.
    pub(crate) empty_frames: u16,
    /// The last frame of a delivery that nobody wants has not arrived.
    pub(crate) dropping: bool,
}

impl LinkEndpoint {
    pub(crate) fn new(session: Key, role: Role, name: Str) -> Self {
        Self {
            session,
            name,
            state: LinkState::Detached,
            end: LinkEnd::new(role),
            handle: None,
            retired_handle: None,
            remote_handle: None,
            snd_settle_mode: SenderSettleMode::Mixed,
            rcv_settle_mode: ReceiverSettleMode::First,
            local_attach: None,
            remote_attach: None,
            max_message_size: None,
            tags: TagSet::new(),
            live: 0,
            incomplete_unsettled: false,
            attach_due: false,
            flow_due: false,
            flow_properties_due: None,
            detach_due: None,
            due: false,
            waits_for_output: false,
            waits_for_session: false,
            flow_told: EventNumber::default(),
            flow_properties: None,
            sent_detach: None,
            received_detach: None,
        }
    }

    /// Forgets what the peer said over an attachment that is over: nothing of it holds for the next.
    pub(crate) fn forget_attachment(&mut self) {
        self.end = LinkEnd::new(self.role());
        self.remote_attach = None;
        self.max_message_size = None;
        self.flow_properties = None;
        self.incomplete_unsettled = false;
    }

    pub(crate) fn role(&self) -> Role {
        match self.end {
            LinkEnd::Sender(_) => Role::Sender,
            LinkEnd::Receiver(_) => Role::Receiver,
        }
    }

    pub(crate) fn sender_mut(&mut self) -> Option<&mut SenderEnd> {
        match &mut self.end {
            LinkEnd::Sender(end) => Some(end),
            LinkEnd::Receiver(_) => None,
        }
    }

    pub(crate) fn receiver_mut(&mut self) -> Option<&mut ReceiverEnd> {
        match &mut self.end {
            LinkEnd::Receiver(end) => Some(end),
            LinkEnd::Sender(_) => None,
        }
    }

    /// Moves on where the table of link states allows it: whether it did.
    pub(crate) fn step(&mut self, step: LinkStep) -> bool {
        match self.state.after(step) {
            Some(state) => self.state = state,
            None => return false,
        }
        true
    }

    /// Whether the user may still act on the link: attached, or about to be, and not detached by either side.
    pub(crate) fn is_usable(&self) -> bool {
        self.detach_due.is_none() && matches!(self.state, LinkState::AttachSent | LinkState::Attached)
    }

    /// Whether we told the peer that the link is destroyed, and the peer has not answered.
    pub(crate) fn has_failed(&self) -> bool {
        self.state == LinkState::DetachSent && matches!(self.sent_detach, Some(DetachKind::Failed { .. }))
    }

    /// Whether our attach, or a detach pipelined behind it, waits for the peer's attach.
    pub(crate) fn awaits_attach(&self) -> bool {
        self.state == LinkState::AttachSent
            || (self.state == LinkState::DetachSent && self.remote_attach.is_none())
    }
}

/// Adds a tag to a link's set, listing the tags in use first where that is needed: whether it was free.
#[inline(always)]
pub(crate) fn insert_tag<'a>(
    tags: &mut TagSet,
    tag: &DeliveryTag,
    in_use: impl FnOnce() -> Vec<DeliveryTag> + 'a,
) -> bool {
    match tags.insert(tag) {
        Inserted::Fresh => true,
        Inserted::InUse => false,
        Inserted::ListFirst => {
            tags.list(in_use());
            tags.insert(tag) == Inserted::Fresh
        }
    }
}
