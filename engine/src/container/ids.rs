//! Names of the things a container holds: small, `Copy`, and stale instead of dangling.

use alloc::boxed::Box;
use core::fmt;

use super::Address;
use crate::{Serial, arena::Key};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        ///
        /// Once the object is gone, its id finds nothing: what is asked of it then is refused or has no effect.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(super) Key);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }
    )+};
}

ids! {
    /// Names a connection of a [`Container`](super::Container), whichever side opened it.
    ConnectionId,
    /// Names a session of a [`Container`](super::Container); unique over all its connections.
    SessionId,
    /// Names a link over which this side sends; unique over all connections of its [`Container`](super::Container).
    SenderId,
    /// Names a link over which this side receives; unique over all connections of its
    /// [`Container`](super::Container).
    ReceiverId,
    /// Names an address at which a [`Container`](super::Container) accepts connections.
    ListenerId,
    /// Names a scheduled task.
    TaskId,
    /// Names a byte stream between a [`Container`](super::Container) and its driver: one socket, one id.
    IoId,
}

impl IoId {
    /// A small number that no other open byte stream of the container has: an index for the driver's table.
    ///
    /// It is used again after the stream is gone; the whole id never is.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.index() as usize
    }
}

impl ListenerId {
    /// A small number that no other open listener of the container has: an index for the driver's table.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.index() as usize
    }
}

/// Names a delivery, sent or received, of one [`Container`](super::Container).
///
/// A received one can be settled by it until it is settled, also long after the callback that told of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryId {
    pub(super) link: Key,
    /// Which of the link's attachments it belongs to: after another one its delivery-id names another delivery.
    pub(super) life: u32,
    /// Its delivery-id; none if it never got one.
    pub(super) number: Option<Serial>,
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "DeliveryId({:?}/{number})", self.link),
            None => write!(f, "DeliveryId({:?}/-)", self.link),
        }
    }
}

/// A link of either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// This side sends.
    Sender(SenderId),
    /// This side receives.
    Receiver(ReceiverId),
}

impl Link {
    /// The id of a link over which this side sends.
    #[must_use]
    pub const fn sender(self) -> Option<SenderId> {
        match self {
            Self::Sender(id) => Some(id),
            Self::Receiver(_) => None,
        }
    }

    /// The id of a link over which this side receives.
    #[must_use]
    pub const fn receiver(self) -> Option<ReceiverId> {
        match self {
            Self::Sender(_) => None,
            Self::Receiver(id) => Some(id),
        }
    }

    pub(super) const fn key(self) -> Key {
        match self {
            Self::Sender(SenderId(key)) | Self::Receiver(ReceiverId(key)) => key,
        }
    }
}

impl From<SenderId> for Link {
    fn from(id: SenderId) -> Self {
        Self::Sender(id)
    }
}

impl From<ReceiverId> for Link {
    fn from(id: ReceiverId) -> Self {
        Self::Receiver(id)
    }
}

/// Anything that can be closed and can have a handler of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A connection.
    Connection(ConnectionId),
    /// A session.
    Session(SessionId),
    /// A link.
    Link(Link),
    /// A listener.
    Listener(ListenerId),
}

impl From<ConnectionId> for Object {
    fn from(id: ConnectionId) -> Self {
        Self::Connection(id)
    }
}

impl From<SessionId> for Object {
    fn from(id: SessionId) -> Self {
        Self::Session(id)
    }
}

impl From<Link> for Object {
    fn from(link: Link) -> Self {
        Self::Link(link)
    }
}

impl From<SenderId> for Object {
    fn from(id: SenderId) -> Self {
        Self::Link(id.into())
    }
}

impl From<ReceiverId> for Object {
    fn from(id: ReceiverId) -> Self {
        Self::Link(id.into())
    }
}

impl From<ListenerId> for Object {
    fn from(id: ListenerId) -> Self {
        Self::Listener(id)
    }
}

/// Where a link is to be made.
#[derive(Clone, Debug)]
pub enum Where {
    /// On the connection's default session, which is begun with the first link that needs it.
    Connection(ConnectionId),
    /// On this session.
    Session(SessionId),
    /// On a new connection to this address, whose path is the address of the link's node if no option names one.
    Address(Box<Address>),
}

impl From<ConnectionId> for Where {
    fn from(id: ConnectionId) -> Self {
        Self::Connection(id)
    }
}

impl From<SessionId> for Where {
    fn from(id: SessionId) -> Self {
        Self::Session(id)
    }
}

impl From<Address> for Where {
    fn from(address: Address) -> Self {
        Self::Address(Box::new(address))
    }
}

impl From<&Address> for Where {
    fn from(address: &Address) -> Self {
        address.clone().into()
    }
}
