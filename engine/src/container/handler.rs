use alloc::{boxed::Box, string::String};
use core::{any::Any, fmt};

use super::{
    Attempt, ConnectionId, Context, Delivery, DeliveryId, Link, ListenerId, Object, ReceiverId, SenderId,
    SessionId, TaskId, Tracker, TransactionId, recovery::TRANSPORT,
};
use crate::{
    codec::{Str, Symbol},
    types::Error,
};

/// What a program does when something happens.
///
/// Each method is a kind of event and has a default that hands the event to [`on_unhandled`](Self::on_unhandled).
/// A handler is given to the container's `dispatch`; one given to a listener, connection, session or link by
/// [`Context::set_handler`] is called in its place for that object and those made on it.
///
/// A callback may call any method of its [`Context`] for any object. What follows from that comes in later
/// callbacks: no callback runs inside another.
#[allow(unused_variables, reason = "defaults name their parameters for the reader of the documentation")]
pub trait Handler {
    /// What the container does on its own for the objects that this handler serves.
    ///
    /// It is asked anew for each event.
    fn knobs(&self) -> Knobs {
        Knobs::default()
    }

    /// The container starts: the place to connect and to listen. For the container's handler only.
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.on_unhandled(cx, &Unhandled::Start);
    }

    /// Nothing is left to do; for the container's handler only.
    fn on_stop(&mut self, cx: &mut Context<'_>) {
        self.on_unhandled(cx, &Unhandled::Stop);
    }

    /// Something happened for which this handler has no method of its own.
    ///
    /// The default keeps the first event that tells of a failure on this side, a refused connection for instance, for
    /// [`Container::take_failure`](super::Container::take_failure).
    fn on_unhandled(&mut self, cx: &mut Context<'_>, event: &Unhandled<'_>) {
        cx.note_unhandled(event);
    }

    /// The peer opened a connection to a listener. It is answered when this returns, or closed if the handler did so.
    fn on_connection_opening(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        self.on_unhandled(cx, &Unhandled::ConnectionOpening(connection));
    }

    /// A connection is open on both sides: for the first time, or [again](Context::reconnects).
    fn on_connection_opened(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        self.on_unhandled(cx, &Unhandled::ConnectionOpened(connection));
    }

    /// The peer closes a connection first, without an error. It is answered when this returns.
    fn on_connection_closing(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        self.on_unhandled(cx, &Unhandled::ConnectionClosing(connection));
    }

    /// A connection is closed on both sides; its sessions and links are gone with it.
    fn on_connection_closed(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        self.on_unhandled(cx, &Unhandled::ConnectionClosed(connection));
    }

    /// The peer closes a connection with an error. [`on_connection_closed`](Self::on_connection_closed) follows.
    fn on_connection_error(&mut self, cx: &mut Context<'_>, connection: ConnectionId, error: &Error) {
        self.on_unhandled(cx, &Unhandled::ConnectionError(connection, error));
    }

    /// The peer began a session. It is answered when this returns, or ended if the handler did so.
    fn on_session_opening(&mut self, cx: &mut Context<'_>, session: SessionId) {
        self.on_unhandled(cx, &Unhandled::SessionOpening(session));
    }

    /// A session is begun on both sides.
    fn on_session_opened(&mut self, cx: &mut Context<'_>, session: SessionId) {
        self.on_unhandled(cx, &Unhandled::SessionOpened(session));
    }

    /// The peer ends a session first, without an error. It is answered when this returns.
    fn on_session_closing(&mut self, cx: &mut Context<'_>, session: SessionId) {
        self.on_unhandled(cx, &Unhandled::SessionClosing(session));
    }

    /// A session is ended on both sides; its links are gone with it.
    fn on_session_closed(&mut self, cx: &mut Context<'_>, session: SessionId) {
        self.on_unhandled(cx, &Unhandled::SessionClosed(session));
    }

    /// The peer ends a session with an error, and it is not [made again](Self::on_recovering).
    /// [`on_session_closed`](Self::on_session_closed) follows, and then [`on_in_doubt`](Self::on_in_doubt) for each message of
    /// its senders that is in doubt.
    fn on_session_error(&mut self, cx: &mut Context<'_>, session: SessionId, error: &Error) {
        self.on_unhandled(cx, &Unhandled::SessionError(session, error));
    }

    /// The peer attached a link: the place to look at its [source](Context::remote_source) and
    /// [target](Context::remote_target).
    ///
    /// When this returns, the link is answered with the termini that the peer asked for, unless the handler
    /// [opened](Context::open_link) it with other ones or refused it by [`Context::close_with`].
    fn on_link_opening(&mut self, cx: &mut Context<'_>, link: Link) {
        self.on_unhandled(cx, &Unhandled::LinkOpening(link));
    }

    /// A link is attached on both sides: its [source](Context::remote_source) and [target](Context::remote_target)
    /// are now those that the peer has in force.
    fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
        self.on_unhandled(cx, &Unhandled::LinkOpened(link));
    }

    /// The peer detaches a link first, without an error. It is answered when this returns.
    fn on_link_closing(&mut self, cx: &mut Context<'_>, link: Link) {
        self.on_unhandled(cx, &Unhandled::LinkClosing(link));
    }

    /// A link is detached on both sides.
    fn on_link_closed(&mut self, cx: &mut Context<'_>, link: Link) {
        self.on_unhandled(cx, &Unhandled::LinkClosed(link));
    }

    /// The peer detaches a link with an error, or refuses it, and it is not [attached again](Self::on_recovering).
    /// [`on_link_closed`](Self::on_link_closed) follows, and then [`on_in_doubt`](Self::on_in_doubt) for each of its messages
    /// that is in doubt.
    fn on_link_error(&mut self, cx: &mut Context<'_>, link: Link, error: &Error) {
        self.on_unhandled(cx, &Unhandled::LinkError(link, error));
    }

    /// A message can be sent: there is credit, the session's window is open and the output has room.
    ///
    /// It comes again after each time that one of them was missing. Send while [`Context::credit`] is not zero.
    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        self.on_unhandled(cx, &Unhandled::Sendable(sender));
    }

    /// A message arrived in whole.
    ///
    /// With [`Knobs::auto_accept`] it is accepted when this returns, unless the handler settled it itself or closes the
    /// link, or what it stands on, with an error.
    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.on_unhandled(cx, &Unhandled::Message(delivery));
    }

    /// A part of a message arrived, the last one before [`on_message`](Self::on_message).
    ///
    /// [`Context::take`] takes the bytes that are here, so that a message larger than the memory can be read; those
    /// taken are not part of the payload that `on_message` shows.
    fn on_delivery(&mut self, cx: &mut Context<'_>, delivery: DeliveryId) {
        self.on_unhandled(cx, &Unhandled::Delivery(delivery));
    }

    /// The peer gave up a message in the middle: it never happened (§2.7.5).
    fn on_aborted(&mut self, cx: &mut Context<'_>, delivery: DeliveryId) {
        self.on_unhandled(cx, &Unhandled::Aborted(delivery));
    }

    /// The receiver accepted a message.
    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.on_unhandled(cx, &Unhandled::Accepted(tracker));
    }

    /// The receiver found a message to be invalid; its [state](Tracker::state) may say why.
    fn on_rejected(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.on_unhandled(cx, &Unhandled::Rejected(tracker));
    }

    /// The receiver did not process a message and will not.
    fn on_released(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.on_unhandled(cx, &Unhandled::Released(tracker));
    }

    /// The receiver did not process a message and asks for changes to it.
    fn on_modified(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.on_unhandled(cx, &Unhandled::Modified(tracker));
    }

    /// The receiver settled a message, with or without an outcome. It comes after the outcome's own callback.
    fn on_settled(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.on_unhandled(cx, &Unhandled::Settled(tracker));
    }

    /// The receiver changed anything of a sent message. It comes after the callbacks for what was changed.
    ///
    /// With [`Knobs::auto_settle`] a message that has an outcome is settled when this returns.
    fn on_delivery_updated(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.on_unhandled(cx, &Unhandled::DeliveryUpdated(tracker));
    }

    /// The sender settled a message that this side received: the last step of exactly once (§2.6.12).
    fn on_delivery_settled(&mut self, cx: &mut Context<'_>, delivery: DeliveryId) {
        self.on_unhandled(cx, &Unhandled::DeliverySettled(delivery));
    }

    /// A transaction is open: [`Context::transaction`] gives it.
    fn on_transaction_declared(&mut self, cx: &mut Context<'_>, transaction: TransactionId) {
        self.on_unhandled(cx, &Unhandled::TransactionDeclared(transaction));
    }

    /// All of a transaction's work has taken effect.
    fn on_transaction_committed(&mut self, cx: &mut Context<'_>, transaction: TransactionId) {
        self.on_unhandled(cx, &Unhandled::TransactionCommitted(transaction));
    }

    /// A transaction is rolled back: as this side asked, or, with an error, because the link to the coordinator is gone.
    ///
    /// When this returns, messages received whose outcome was part of it are released.
    fn on_transaction_aborted(
        &mut self,
        cx: &mut Context<'_>,
        transaction: TransactionId,
        error: Option<&Error>,
    ) {
        self.on_unhandled(cx, &Unhandled::TransactionAborted(transaction, error));
    }

    /// The peer has begun no transaction, or has no coordinator.
    fn on_transaction_declare_failed(
        &mut self,
        cx: &mut Context<'_>,
        transaction: TransactionId,
        error: &Error,
    ) {
        self.on_unhandled(cx, &Unhandled::TransactionDeclareFailed(transaction, error));
    }

    /// A transaction did not commit and is rolled back. It is in doubt where the connection or its session was lost before
    /// the peer could answer: it may have committed.
    ///
    /// When this returns, messages received whose outcome was part of it are released.
    fn on_transaction_commit_failed(
        &mut self,
        cx: &mut Context<'_>,
        transaction: TransactionId,
        error: &Error,
    ) {
        self.on_unhandled(cx, &Unhandled::TransactionCommitFailed(transaction, error));
    }

    /// A connection that was open is lost, or one that was not to be had is given up.
    ///
    /// If a reconnect follows, the sessions and links that the program has made on it wait for that: they come back under
    /// their names, with their options and handlers, and are told as opened again. Messages can be sent meanwhile, and are
    /// queued. If none follows, they are gone. Those that the peer has made are gone in any case, and so are deliveries
    /// received: what is said of them is refused. Credit that a handler has granted itself is to be granted anew in
    /// [`on_link_opened`](Self::on_link_opened).
    ///
    /// [`Context::unsettled`] tells how many messages of a sender are in doubt, and [`Context::queued`] how many wait to be
    /// sent, among them those in doubt that are sent again, or of which the peer will say whether they must;
    /// [`on_in_doubt`](Self::on_in_doubt) follows for each of the others.
    fn on_disconnected(&mut self, cx: &mut Context<'_>, connection: ConnectionId, reason: &Disconnected) {
        self.on_unhandled(cx, &Unhandled::Disconnected(connection, reason));
    }

    /// A connection's byte stream could not be opened, broke, or carried what AMQP does not allow; or the peer closed the
    /// connection with an error after which a new one may help.
    ///
    /// It comes for each attempt that fails. [`on_disconnected`](Self::on_disconnected) follows if the connection was open,
    /// and if no reconnect follows.
    fn on_transport_error(&mut self, cx: &mut Context<'_>, connection: ConnectionId, reason: &Disconnected) {
        self.on_unhandled(cx, &Unhandled::TransportError(connection, reason));
    }

    /// A message was sent, and the connection, session or link is lost before its outcome came: it may have arrived or not. If
    /// it must arrive, send it again; it has got no other id, and a receiver can tell it by that.
    ///
    /// It comes after [`on_disconnected`](Self::on_disconnected), [`on_recovering`](Self::on_recovering), or what tells the
    /// program that a session or link is closed because of an error, for each message that the container does not
    /// [send again](super::InDoubt) itself. On a link that was to be [resumed](super::InDoubt::Resume) it comes after
    /// [`on_link_opened`](Self::on_link_opened), where the peer could not say what has become of it; and for a message on a
    /// link that a peer has made and not [come back for](super::ContainerOptions::suspended_links), when the link is forgotten,
    /// under an id that is stale.
    fn on_in_doubt(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.on_unhandled(cx, &Unhandled::InDoubt(tracker));
    }

    /// The next attempt to connect again is about to be made. The handler may set another address, with other credentials,
    /// or other options, and may [close](Context::close) the connection to make none.
    fn on_reconnecting(&mut self, cx: &mut Context<'_>, connection: ConnectionId, attempt: &mut Attempt) {
        self.on_unhandled(cx, &Unhandled::Reconnecting(connection, attempt));
    }

    /// The peer has ended a session or link with an error after which it may be had again ([`Recovery`](super::Recovery)), and
    /// the container makes it again, on the same connection: after the [delays](super::Reconnect) and for as many times as it
    /// would connect again, where it does so at all. It comes each time that the peer ends it, also if it was not open in
    /// between. Only what this side has made comes back, and what was open before or is wanted
    /// [`from_start`](super::Reconnect::from_start).
    ///
    /// All is as after the loss of a connection, but for less: a session comes back with its links, a link alone, under their
    /// names, with their options and handlers, and are told as opened again. Messages can be sent meanwhile.
    /// [`on_in_doubt`](Self::on_in_doubt) follows for each message in doubt that is not sent again. What is
    /// [closed](Context::close) now does not come back. If it is given up, that is told by
    /// [`on_session_error`](Self::on_session_error) or [`on_link_error`](Self::on_link_error).
    fn on_recovering(&mut self, cx: &mut Context<'_>, object: Object, error: &Error) {
        self.on_unhandled(cx, &Unhandled::Recovering(object, error));
    }

    /// The receiver asks to use up the credit or give it back (§2.6.7): send what there is, then call
    /// [`Context::drained`]. It comes for each flow that asks, once nothing waits in the sender's queue. The default gives the
    /// credit back.
    fn on_drain_start(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        cx.drained(sender);
        self.on_unhandled(cx, &Unhandled::DrainStart(sender));
    }

    /// The sender has used up or given back the credit that [`Context::drain`] asked for.
    fn on_drain_finished(&mut self, cx: &mut Context<'_>, receiver: ReceiverId) {
        self.on_unhandled(cx, &Unhandled::DrainFinished(receiver));
    }

    /// The peer told of a link's flow state: [credit](Context::credit), [available](Context::available) messages.
    fn on_link_flow(&mut self, cx: &mut Context<'_>, link: Link) {
        self.on_unhandled(cx, &Unhandled::LinkFlow(link));
    }

    /// A listener accepts connections at `address`, which tells the port that the system chose.
    fn on_listening(&mut self, cx: &mut Context<'_>, listener: ListenerId, address: &str) {
        self.on_unhandled(cx, &Unhandled::Listening(listener, address));
    }

    /// A listener cannot accept connections, or no longer. Its id is stale after this.
    fn on_listen_error(&mut self, cx: &mut Context<'_>, listener: ListenerId, reason: &str) {
        self.on_unhandled(cx, &Unhandled::ListenError(listener, reason));
    }

    /// The moment of a [timer](Context::set_timer) has come.
    fn on_timer(&mut self, cx: &mut Context<'_>, timer: TaskId) {
        self.on_unhandled(cx, &Unhandled::Timer(timer));
    }

    /// The program sent an event into the container from outside; for the container's handler only.
    fn on_injected(&mut self, cx: &mut Context<'_>, event: Box<dyn Any + Send>) {
        self.on_unhandled(cx, &Unhandled::Injected(&*event));
    }
}

/// What a container does on its own; see [`Handler::knobs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// How many messages a receiver lets come ahead: its credit, topped up at one half. With 0 the handler grants credit
    /// itself. Default 10. The link option [`Prefetch`](super::Prefetch) goes before it.
    pub prefetch: u32,
    /// Accept each message that `on_message` left untouched. Default true.
    pub auto_accept: bool,
    /// Settle each sent message once it has an outcome. Default true.
    pub auto_settle: bool,
    /// A peer that closes first without an error is told of by `on_…_error` instead of `on_…_closing`. Default false.
    pub peer_close_is_error: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self { prefetch: 10, auto_accept: true, auto_settle: true, peer_close_is_error: false }
    }
}

/// An event that no method of a [`Handler`] took: one variant for each of them, with its arguments.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant is documented by the method of `Handler` it is named for")]
pub enum Unhandled<'a> {
    Start,
    Stop,
    ConnectionOpening(ConnectionId),
    ConnectionOpened(ConnectionId),
    ConnectionClosing(ConnectionId),
    ConnectionClosed(ConnectionId),
    ConnectionError(ConnectionId, &'a Error),
    SessionOpening(SessionId),
    SessionOpened(SessionId),
    SessionClosing(SessionId),
    SessionClosed(SessionId),
    SessionError(SessionId, &'a Error),
    LinkOpening(Link),
    LinkOpened(Link),
    LinkClosing(Link),
    LinkClosed(Link),
    LinkError(Link, &'a Error),
    Sendable(SenderId),
    Message(&'a Delivery<'a>),
    Delivery(DeliveryId),
    Aborted(DeliveryId),
    Accepted(&'a Tracker),
    Rejected(&'a Tracker),
    Released(&'a Tracker),
    Modified(&'a Tracker),
    Settled(&'a Tracker),
    DeliveryUpdated(&'a Tracker),
    DeliverySettled(DeliveryId),
    TransactionDeclared(TransactionId),
    TransactionCommitted(TransactionId),
    TransactionAborted(TransactionId, Option<&'a Error>),
    TransactionDeclareFailed(TransactionId, &'a Error),
    TransactionCommitFailed(TransactionId, &'a Error),
    Disconnected(ConnectionId, &'a Disconnected),
    TransportError(ConnectionId, &'a Disconnected),
    InDoubt(&'a Tracker),
    Reconnecting(ConnectionId, &'a Attempt),
    Recovering(Object, &'a Error),
    DrainStart(SenderId),
    DrainFinished(ReceiverId),
    LinkFlow(Link),
    Listening(ListenerId, &'a str),
    ListenError(ListenerId, &'a str),
    Timer(TaskId),
    Injected(&'a (dyn Any + Send)),
}

/// Why a connection's byte stream is gone.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Disconnected {
    /// The condition: one of AMQP's own (§2.8.15, §2.8.16) where a rule was broken, the peer gave it, or the peer did not let
    /// this side in; else `amqp1:transport`.
    pub condition: Symbol,
    /// What happened, in one line for a person; where nothing of a list of addresses answers, what happened with each.
    pub description: Str,
    /// Whether the container tries to connect again.
    pub reconnects: bool,
}

impl Disconnected {
    pub(super) fn transport(description: String) -> Self {
        Self { condition: TRANSPORT, description: description.into(), reconnects: false }
    }
}

impl fmt::Display for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.description, self.condition)
    }
}

/// A failure on this side that no handler took care of, in one line for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub(super) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Failure {}
