//! The harness of the tests.
//!
//! [`Peer`] plays one side of a connection by a script: it expects frames, checks them, answers, sends whatever bytes
//! it likes. What it talks to is behind a [`Wire`]: an engine in memory, on a virtual clock, or anything behind a
//! socket. [`Pair`] lets two engines talk over a simulated network that fragments, delays, stalls and cuts, [`World`]
//! any number of containers.
//!
//! A failing assertion prints the frames that were exchanged: [`Peer`] and [`Pair`] do it when they are dropped by a
//! panic. [`each_way`] runs a test for both sides and with the input whole, byte by byte and in random pieces, and
//! sees to it that the outcome is the same.

mod account;
pub use account::{Cost, charge, held};
mod audit;
pub use audit::Audit;
mod chunks;
pub use chunks::{Chunks, Rng};
mod contained;
pub use contained::{Contained, Task};
mod frame;
pub use frame::{Frame, IntoFrame, Item, Splitter, frame_of};
mod judge;
mod linked;
pub use linked::{FAR, INITIAL_COUNT, Linked, NEAR, NEXT_OUTGOING, Numbers, WINDOW};
mod memory;
pub use memory::Memory;
mod net;
pub use net::Net;
mod outcome;
pub use outcome::{Journal, Way, each_chunking, each_way, each_way_as};
mod pair;
pub use pair::{End, Pair, each_net};
mod peer;
mod recorded;
pub use peer::Peer;
pub use recorded::recordings;
mod recording;
pub use recording::{Recording, item};
mod replay;
pub use replay::Replay;
pub mod script;
mod wire;
pub use wire::{Socket, Wire};
mod world;
pub use world::World;

/// What nearly every test needs.
pub mod prelude {
    pub use std::time::Duration;

    pub use amqp1_engine::{
        codec::{Encode, Fields, Map, Str, Symbol, Symbols, Value, ValueRef},
        types::{condition, *},
        *,
    };
    pub use bytes::{Bytes, BytesMut};

    pub use crate::{
        Chunks, FAR, Frame, INITIAL_COUNT, IntoFrame, Item, Linked, Memory, NEAR, NEXT_OUTGOING, Net, Pair,
        Peer, Rng, WINDOW, Way, each_chunking, each_net, each_way, each_way_as, expect, frame_of,
        script::{attach, begin, detach, disposition, first, flow, open, settled, tag, transfer},
    };
}
