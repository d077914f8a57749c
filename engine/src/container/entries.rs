//! What a container's tables hold: one entry for each thing that a program can name.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use core::any::Any;

use super::{
    Address, ConnectionOptions, Context, Disconnected, Handler, InDoubt, Link, LinkSettings, Object,
    ReceiverId, SenderId, TaskId, Tracker, reconnect::Course, redirect::Redirect, sending::Queue,
    transactions::Told,
};
use crate::{
    Connection, Event, Instant, LinkId, SessionConfig, SessionId,
    arena::Key,
    codec::Str,
    types::{Error, Role},
};

/// A handler that serves one object; it is out of its slot while it runs.
pub(super) type OwnHandler = Option<Box<dyn Handler + Send>>;

/// A connection, from before its byte stream is open.
pub(super) struct Peer {
    pub(super) engine: Option<Box<Connection>>,
    pub(super) io: Option<Key>,
    pub(super) origin: Origin,
    pub(super) handler: OwnHandler,
    pub(super) default_session: Option<Key>,
    /// Our sessions and links by the index of the engine's id.
    pub(super) sessions: Vec<Option<Key>>,
    pub(super) links: Vec<Option<Key>>,
    /// Sessions and links that wait for the byte stream, in the order of their making.
    pub(super) pending: Vec<Pending>,
    /// Sessions and links that the peer has ended, and what waits for the moment to make them again.
    pub(super) renewals: Vec<(TaskId, Pending)>,
    /// Messages in the queues of its senders.
    pub(super) queued: usize,
    pub(super) stage: Stage,
    /// Why it failed, once that was told.
    pub(super) failed: Option<Box<Disconnected>>,
    /// What the driver said of its byte stream's end.
    pub(super) io_error: Option<Box<str>>,
    pub(super) marks: Marks,
    pub(super) deadline: Option<Instant>,
    pub(super) peeked: Option<Event>,
}

pub(super) enum Origin {
    Dialed(Box<Dialed>),
    Accepted(Key),
    /// What is left of one that is made again, until its last bytes are written: no user knows it.
    Left,
}

/// A connection of this side: how it is made, and made again.
pub(super) struct Dialed {
    /// Where to, at present.
    pub(super) address: Address,
    /// The address that the program gave, where that is another by now.
    pub(super) first: Option<Box<Address>>,
    pub(super) options: Arc<ConnectionOptions>,
    pub(super) course: Course,
    /// Why the attempts since it was open last have failed, by their places in the list of addresses.
    pub(super) failures: BTreeMap<usize, Str>,
    /// What waits for the moment of the next attempt.
    pub(super) timer: Option<TaskId>,
    /// How many times it has been open.
    pub(super) opened: u32,
    /// Where the peer has pointed to.
    pub(super) redirect: Option<Box<Redirect>>,
    /// The host that the peer has said to ask for.
    pub(super) hostname: Option<Str>,
    /// How many redirects in a row were followed.
    pub(super) redirects: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    Session(Key),
    Link(Key),
}

/// Which lists a connection is on.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) ready: bool,
    pub(super) unseen: bool,
    pub(super) dirty: bool,
}

/// How far this side has gone with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The peer made it; the answer is open.
    Unanswered,
    /// Opened by this side.
    Open,
    /// The user closed it: takes no more commands, but what waits goes first.
    Closing,
    /// Closed by this side.
    Closed,
}

pub(super) struct SessionEntry {
    pub(super) connection: Key,
    pub(super) engine: Option<SessionId>,
    pub(super) handler: OwnHandler,
    pub(super) config: Option<Box<SessionConfig>>,
    pub(super) links: usize,
    pub(super) queued: usize,
    /// How the attempts to have it again go, once the peer has ended it.
    pub(super) course: Option<Box<Course>>,
    pub(super) stage: Stage,
    pub(super) is_ours: bool,
}

pub(super) struct LinkEntry {
    pub(super) connection: Key,
    pub(super) session: Key,
    pub(super) role: Role,
    pub(super) engine: Option<LinkId>,
    pub(super) handler: OwnHandler,
    /// While it is not attached.
    pub(super) settings: Option<Box<LinkSettings>>,
    pub(super) prefetch: Option<u32>,
    /// How many times it was attached before.
    pub(super) life: u32,
    /// Messages handled since credit was granted last.
    pub(super) handled: u32,
    pub(super) stage: Stage,
    pub(super) is_ours: bool,
    /// Its session or connection is being closed: it takes no message.
    pub(super) is_refusing: bool,
    pub(super) sends_settled: bool,
    /// What becomes of what is in doubt. It may be resumed, too, by the peer that has made it.
    pub(super) in_doubt: InDoubt,
    /// Closing it keeps its name (§2.6.4).
    pub(super) detaches: bool,
    /// A message is being sent piece by piece.
    pub(super) is_streaming: bool,
    pub(super) next_tag: u64,
    pub(super) queue: Option<Box<Queue>>,
}

impl LinkEntry {
    /// A link that this side makes.
    pub(super) fn ours(connection: Key, session: Key, settings: LinkSettings) -> Self {
        let prefetch = settings.prefetch;
        let entry = Self::new(connection, session, settings.role());
        Self { settings: Some(Box::new(settings)), prefetch, stage: Stage::Open, is_ours: true, ..entry }
    }

    /// A link that the peer makes.
    pub(super) fn theirs(connection: Key, session: Key, role: Role, engine: LinkId) -> Self {
        Self { engine: Some(engine), ..Self::new(connection, session, role) }
    }

    const fn new(connection: Key, session: Key, role: Role) -> Self {
        Self {
            connection,
            session,
            role,
            engine: None,
            handler: None,
            settings: None,
            prefetch: None,
            life: 0,
            handled: 0,
            stage: Stage::Unanswered,
            is_ours: false,
            is_refusing: false,
            sends_settled: false,
            in_doubt: InDoubt::Report,
            detaches: false,
            is_streaming: false,
            next_tag: 0,
            queue: None,
        }
    }

    /// Whether what is sent now is kept until its outcome is known.
    pub(super) const fn retains(&self) -> bool {
        !matches!(self.in_doubt, InDoubt::Report) && !self.sends_settled
    }

    /// Whether it is resumed, or kept to be resumed.
    pub(super) const fn resumes(&self) -> bool {
        matches!(self.in_doubt, InDoubt::Resume)
    }

    pub(super) const fn id(&self, key: Key) -> Link {
        match self.role {
            Role::Sender => Link::Sender(SenderId(key)),
            Role::Receiver => Link::Receiver(ReceiverId(key)),
        }
    }
}

/// What is known of a link that had to be made again.
#[derive(Default)]
pub(super) struct MadeAgain {
    /// How the attempts to have it again go, once the peer has ended it.
    pub(super) course: Option<Box<Course>>,
    pub(super) redirected: Option<Redirected>,
    /// It was resumed and could not name all that it goes on with, or the peer could not.
    pub(super) is_incomplete: bool,
    /// How many deliveries it had left to go on with when it was resumed last, if it was incomplete then.
    pub(super) left: Option<usize>,
}

/// Of a link that the peer has sent elsewhere.
pub(super) struct Redirected {
    /// The address of the node that it was made for.
    pub(super) from: Option<Str>,
    /// How many times in a row.
    pub(super) times: u32,
}

pub(super) struct Listener {
    pub(super) address: Address,
    pub(super) options: Arc<ConnectionOptions>,
    pub(super) handler: OwnHandler,
    pub(super) stage: Stage,
    /// How many of its connections live: they may need its handler.
    pub(super) connections: usize,
}

/// Something for a handler that no connection has told.
pub(super) enum Notice {
    Start,
    Listening(Key, Box<str>),
    ListenFailed(Key, Box<str>),
    ConnectFailed(Key, Disconnected),
    /// It was closed before it had a byte stream.
    ConnectionClosed(Key),
    SessionFailed(Key, Box<Error>),
    SessionClosed(Key),
    LinkMade(Key),
    LinkClosed(Key),
    LinkFailed(Key, Box<Error>),
    NotSent(Tracker),
    /// What a suspended link was to go on with, for the handler that would serve it.
    InDoubt(At, Tracker),
    /// A link that the peer has resumed is attached.
    LinkResumed(Key),
    Transaction(Box<Told>),
    Task(TaskId, Task),
    Injected(Box<dyn Any + Send>),
}

pub(super) enum Task {
    /// Calls `on_timer` of the handler that serves this.
    Timer(At),
    Run(Box<dyn FnOnce(&mut Context<'_>) + Send>),
    /// Connects again.
    Redial(Key),
    /// Makes a session or link of this connection again.
    Renew(Key),
}

/// Whose handler a callback is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Container,
    Listener(Key),
    Connection(Key),
    Session(Key),
    Link(Key),
}

/// A wish to close.
pub(super) struct Closing {
    pub(super) object: Object,
    pub(super) how: How,
}

pub(super) enum How {
    /// After what waits to be sent.
    Graceful,
    /// The same for a link, which keeps its name.
    Detach,
    /// At once.
    Now,
    /// At once, and the peer is told why.
    Error(Box<Error>),
}
