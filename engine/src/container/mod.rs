//! Many connections, links and listeners as one state machine that calls a handler.

mod address;
pub use address::{Address, Scheme};
mod ids;
pub use ids::{
    ConnectionId, DeliveryId, IoId, Link, ListenerId, Object, ReceiverId, SenderId, SessionId, TaskId, Where,
};

/// Work for the driver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Open a byte stream to the address, then call `connected` or `connect_failed`.
    Connect {
        /// The name of the byte stream to be.
        io: IoId,
        /// The peer.
        address: Address,
    },
    /// Accept byte streams at the address: call `listening` or `listen_failed`, then `accepted` for each stream.
    Listen {
        /// The name of the listener to be.
        listener: ListenerId,
        /// The local interface and port.
        address: Address,
    },
    /// Accept no more byte streams; those accepted live on.
    StopListening {
        /// The listener.
        listener: ListenerId,
    },
    /// Close the byte stream, opened or not; its name is stale from now on.
    Shutdown {
        /// The byte stream.
        io: IoId,
    },
}
