use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use core::{fmt, time::Duration};

use bytes::Bytes;

use super::{
    Address, ConnectionId, ConnectionOptions, DeliveryId, Failure, Handler, Link, LinkOption, LinkSettings,
    ListenerId, Object, ReceiverId, SendRefused, SenderId, SessionId, TaskId, Unhandled, Where,
    entries::{At, How, Origin, Task},
    state::Core,
};
use crate::{
    Instant, Misuse, SessionConfig,
    arena::Key,
    codec::{Fields, Str, Symbol},
    message::{Message, Payload},
    sasl::Identity,
    types::{
        Attach, DeliveryState, DeliveryTag, Error, Modified, Open, Role, Source, Target, TargetKind,
        capability,
    },
};

/// The container, as a callback sees it.
///
/// Every method may be called for any object from any callback. Objects that are gone are no trouble: what is asked
/// of them is refused or has no effect.
pub struct Context<'a> {
    pub(super) core: &'a mut Core,
    pub(super) now: Instant,
    pub(super) at: At,
}

/// Making connections, listeners, sessions and links. Trouble with them comes as an `_error` callback.
impl Context<'_> {
    /// Connects to a peer, with the container's [`ConnectionOptions`].
    ///
    /// Sessions and links can be made on the connection at once: they wait for it.
    pub fn connect(&mut self, address: impl Into<Address>) -> ConnectionId {
        let options = Arc::clone(&self.core.connection_options);
        ConnectionId(self.core.connect(address.into(), options))
    }

    /// Connects to a peer with these options.
    pub fn connect_with(&mut self, address: impl Into<Address>, options: ConnectionOptions) -> ConnectionId {
        ConnectionId(self.core.connect(address.into(), Arc::new(options)))
    }

    /// Accepts connections at a local interface and port, with the container's [`ConnectionOptions`].
    ///
    /// Connections live on when their listener is closed.
    pub fn listen(&mut self, address: impl Into<Address>) -> ListenerId {
        let options = Arc::clone(&self.core.connection_options);
        self.core.listen(address.into(), options)
    }

    /// Accepts connections at a local interface and port with these options.
    pub fn listen_with(&mut self, address: impl Into<Address>, options: ConnectionOptions) -> ListenerId {
        self.core.listen(address.into(), Arc::new(options))
    }

    /// Begins a session with the connection's [configuration](ConnectionOptions::session).
    pub fn create_session(&mut self, connection: ConnectionId) -> SessionId {
        SessionId(self.core.create_session(connection.0, None))
    }

    /// Begins a session with this configuration.
    pub fn create_session_with(&mut self, connection: ConnectionId, config: SessionConfig) -> SessionId {
        SessionId(self.core.create_session(connection.0, Some(config)))
    }

    /// Attaches a link over which to send: on a connection, on a session, or on a new connection to an address.
    ///
    /// Options are one [`LinkOption`] or several; text among them is the address of the node to send to.
    pub fn create_sender(&mut self, at: impl Into<Where>, options: impl LinkOption) -> SenderId {
        SenderId(self.create_link(at.into(), Role::Sender, options))
    }

    /// Attaches a link over which to receive; the text among its options is the address of the node to receive from.
    pub fn create_receiver(&mut self, at: impl Into<Where>, options: impl LinkOption) -> ReceiverId {
        ReceiverId(self.create_link(at.into(), Role::Receiver, options))
    }

    fn create_link(&mut self, at: Where, role: Role, options: impl LinkOption) -> Key {
        let mut settings = LinkSettings::new(role);
        options.apply(&mut settings);
        self.core.create_link(at, settings)
    }

    /// Answers a link that the peer attached, from [`on_link_opening`](Handler::on_link_opening) or later.
    ///
    /// Without options the answer has the termini that the peer asked for, but for filters and properties of a node to
    /// be made; text among the options is the address of the node on this side.
    ///
    /// # Errors
    ///
    /// [`Misuse::NothingToAnswer`] where the link is open or refused; [`Misuse::InvalidTerminus`] where the peer wants a
    /// node made and the options give no address.
    pub fn open_link(&mut self, link: impl Into<Link>, options: impl LinkOption) -> Result<(), Misuse> {
        let key = link.into().key();
        let mut settings = self.core.mirror(key).ok_or(Misuse::NothingToAnswer)?;
        options.apply(&mut settings);
        self.core.open_link(key, settings)
    }

    /// Gives an object a handler of its own: it is called in place of the container's for that object and those made
    /// on it, for a listener those that it accepts.
    ///
    /// Without effect for an object that is gone.
    pub fn set_handler(&mut self, object: impl Into<Object>, handler: impl Handler + Send + 'static) {
        let at = match object.into() {
            Object::Connection(id) => At::Connection(id.0),
            Object::Session(id) => At::Session(id.0),
            Object::Link(link) => At::Link(link.key()),
            Object::Listener(id) => At::Listener(id.0),
        };
        if let Some(slot) = self.core.handler_slot(at) {
            *slot = Some(Box::new(handler));
            self.core.has_own_handlers = true;
        }
    }

    /// Closes an object once the messages that wait to be sent on it are sent.
    ///
    /// A link, session or connection takes no message from now on. Messages sent need not be settled for it to close.
    pub fn close(&mut self, object: impl Into<Object>) {
        self.core.close(object.into(), How::Graceful);
    }

    /// Closes an object now and tells the peer why; messages that wait to be sent on it are dropped.
    ///
    /// For a link, session or connection that the peer opened and that was not answered this is the refusal.
    pub fn close_with(&mut self, object: impl Into<Object>, error: Error) {
        self.core.close(object.into(), How::Error(Box::new(error)));
    }

    /// Detaches a link as [`close`](Self::close) does, but lets the peer keep its terminus (§2.6.4).
    pub fn detach(&mut self, link: impl Into<Link>) {
        self.core.close(link.into().into(), How::Detach);
    }

    /// Stops the container: closes all listeners and connections now and forgets what is scheduled.
    ///
    /// It has finished when the peers have answered, or have not for too long.
    pub fn stop(&mut self) {
        self.core.stop();
    }

    /// Keeps a failure that the handler itself has found, unless there was one before:
    /// [`Container::take_failure`](super::Container::take_failure) gives it to the driver, whose `run` ends with it.
    pub fn fail(&mut self, reason: impl fmt::Display) {
        self.core.failure.get_or_insert_with(|| Failure(format!("{reason}")));
    }
}

/// Messages.
impl Context<'_> {
    /// Sends a message, or queues it until it can be sent.
    ///
    /// The tag comes back in the [`Tracker`](super::Tracker) that tells what the peer made of the message; on a link
    /// that sends [`AtMostOnce`](super::AtMostOnce) none comes.
    ///
    /// # Errors
    ///
    /// [`SendRefused`]: the message was not taken.
    pub fn send(&mut self, sender: SenderId, message: &Message) -> Result<DeliveryTag, SendRefused> {
        self.core.send(sender.0, message)
    }

    /// Sends a message that is encoded already, or bytes of an application's own format (§2.8.11). Up to 1 KiB are copied
    /// if the link can send at once; else the payload is shared.
    ///
    /// # Errors
    ///
    /// As with [`send`](Self::send).
    pub fn send_payload(
        &mut self,
        sender: SenderId,
        payload: &Bytes,
        message_format: u32,
    ) -> Result<DeliveryTag, SendRefused> {
        self.core.send_payload(sender.0, message_format, payload)
    }

    /// Sends the first piece of a message; [`write`](Self::write) and [`finish`](Self::finish) send the rest.
    ///
    /// # Errors
    ///
    /// [`SendRefused::NotNow`] where a message would be queued; else as with [`send`](Self::send).
    pub fn start_message(
        &mut self,
        sender: SenderId,
        piece: impl Into<Bytes>,
        message_format: u32,
    ) -> Result<DeliveryTag, SendRefused> {
        self.core.start_message(sender.0, message_format, piece.into())
    }

    /// Sends a further piece of a message.
    ///
    /// # Errors
    ///
    /// [`SendRefused::NotNow`]: the piece was not taken; [`on_sendable`](Handler::on_sendable) tells when to go on.
    pub fn write(&mut self, sender: SenderId, piece: impl Into<Bytes>) -> Result<(), SendRefused> {
        self.core.write_message(sender.0, piece.into())
    }

    /// Ends a message that was sent piece by piece.
    ///
    /// # Errors
    ///
    /// [`SendRefused::Closed`] or [`SendRefused::Impossible`]: none was started.
    pub fn finish(&mut self, sender: SenderId) -> Result<(), SendRefused> {
        self.core.finish_message(sender.0)
    }

    /// Gives up a message that was sent piece by piece: it never happened.
    ///
    /// # Errors
    ///
    /// As with [`finish`](Self::finish).
    pub fn abort(&mut self, sender: SenderId) -> Result<(), SendRefused> {
        self.core.abort_message(sender.0)
    }

    /// For a sender, how many messages it can hand over now without queueing one: 0 while the peer grants no credit,
    /// the session's window is closed, or too much output waits. For a receiver, how many the peer may still send.
    pub fn credit(&mut self, link: impl Into<Link>) -> u32 {
        match link.into() {
            Link::Sender(id) => self.core.sender_credit(id.0),
            Link::Receiver(id) => self.core.receiver(id.0).map_or(0, |receiver| receiver.credit()),
        }
    }

    /// How many messages of a link are not settled by both sides. In
    /// [`on_disconnected`](Handler::on_disconnected) and [`on_recovering`](Handler::on_recovering), how many of a sender's are in
    /// doubt: they may have arrived or not.
    #[must_use]
    pub fn unsettled(&self, link: impl Into<Link>) -> usize {
        let Some(link) = self.core.links.get(link.into().key()) else { return 0 };
        if link.engine.is_none() {
            return link.queue.as_ref().map_or(0, |queue| queue.in_doubt);
        }
        Some(link)
            .and_then(|link| {
                Some(
                    self.core
                        .connections
                        .get(link.connection)?
                        .engine
                        .as_ref()?
                        .links
                        .get(link.engine?.0)?
                        .live as usize,
                )
            })
            .unwrap_or(0)
    }

    /// How many messages wait in a sender's queue.
    #[must_use]
    pub fn queued(&self, sender: SenderId) -> usize {
        let queue = self.core.links.get(sender.0).and_then(|link| link.queue.as_ref());
        queue.map_or(0, |queue| queue.len())
    }

    /// Lets so many more messages come. For receivers whose handler sets [`prefetch`](super::Knobs::prefetch) to 0.
    pub fn add_credit(&mut self, receiver: ReceiverId, count: u32) {
        if let Ok(mut receiver) = self.core.receiver(receiver.0) {
            receiver.add_credit(count);
        }
    }

    /// Asks the sender to use up the credit or give it back;
    /// [`on_drain_finished`](Handler::on_drain_finished) tells when it has (§2.6.7).
    pub fn drain(&mut self, receiver: ReceiverId) {
        if let Ok(mut receiver) = self.core.receiver(receiver.0) {
            receiver.drain();
        }
    }

    /// Gives back the credit that is left, as the peer asked in [`on_drain_start`](Handler::on_drain_start); nothing where it
    /// does not ask any more.
    pub fn drained(&mut self, sender: SenderId) {
        if let Ok(mut sender) = self.core.sender(sender.0) {
            sender.drained();
        }
    }

    /// Whether the peer asks to use up a sender's credit or give it back, as
    /// [`on_drain_start`](Handler::on_drain_start) told: a later flow may have taken that back.
    #[must_use]
    pub fn is_draining(&self, sender: SenderId) -> bool {
        self.core.is_draining(sender.0)
    }

    /// Tells the peer how many messages there are to send, credit or not (§2.6.7).
    pub fn offered(&mut self, sender: SenderId, available: u32) {
        if let Ok(mut sender) = self.core.sender(sender.0) {
            sender.offered(available);
        }
    }

    /// Takes those bytes of a message that are here and were not taken; see
    /// [`on_delivery`](Handler::on_delivery).
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] where the message was handed over or settled.
    pub fn take(&mut self, delivery: DeliveryId) -> Result<Payload, Misuse> {
        self.core.take(delivery)
    }

    /// Accepts a message received (§3.4.2). For this as for the other outcomes: now, or long after the callback.
    ///
    /// # Errors
    ///
    /// [`Misuse`] where the message is settled or its link gone. That can safely be ignored: the sender will hear of
    /// it, or cannot hear of it, just the same.
    pub fn accept(&mut self, delivery: DeliveryId) -> Result<(), Misuse> {
        self.core.update(delivery, DeliveryState::Accepted)
    }

    /// Rejects a message as invalid (§3.4.3).
    ///
    /// # Errors
    ///
    /// As with [`accept`](Self::accept).
    pub fn reject(&mut self, delivery: DeliveryId, error: impl Into<Option<Error>>) -> Result<(), Misuse> {
        self.core.update(delivery, DeliveryState::Rejected(error.into().map(Box::new)))
    }

    /// Gives a message back as it came (§3.4.4).
    ///
    /// # Errors
    ///
    /// As with [`accept`](Self::accept).
    pub fn release(&mut self, delivery: DeliveryId) -> Result<(), Misuse> {
        self.core.update(delivery, DeliveryState::Released)
    }

    /// Gives a message back and asks for changes to it (§3.4.5).
    ///
    /// # Errors
    ///
    /// As with [`accept`](Self::accept).
    pub fn modify(&mut self, delivery: DeliveryId, modified: Modified) -> Result<(), Misuse> {
        self.core.update(delivery, DeliveryState::Modified(Box::new(modified)))
    }

    /// Settles a message, sent or received, without an outcome or with the one told before.
    ///
    /// # Errors
    ///
    /// As with [`accept`](Self::accept).
    pub fn settle(&mut self, delivery: DeliveryId) -> Result<(), Misuse> {
        self.core.settle(delivery)
    }
}

/// Time.
impl Context<'_> {
    /// The moment of this callback, by the driver's clock.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Calls [`on_timer`](Handler::on_timer) after `delay`, of the handler that serves the object of this callback.
    pub fn set_timer(&mut self, delay: Duration) -> TaskId {
        self.core.schedule.add(self.now + delay, Task::Timer(self.at))
    }

    /// Runs a task after `delay`.
    pub fn schedule(
        &mut self,
        delay: Duration,
        task: impl FnOnce(&mut Context<'_>) + Send + 'static,
    ) -> TaskId {
        self.core.schedule.add(self.now + delay, Task::Run(Box::new(task)))
    }

    /// Takes back a timer or task: whether it had not come yet.
    pub fn cancel(&mut self, task: TaskId) -> bool {
        self.core.schedule.cancel(task).is_some()
    }
}

/// What the peers said.
impl Context<'_> {
    /// The container's name.
    #[must_use]
    pub fn container_id(&self) -> Str {
        self.core.container_id()
    }

    /// The peer's open: its container's name, capabilities, properties (§2.7.1).
    #[must_use]
    pub fn remote_open(&self, connection: ConnectionId) -> Option<&Open> {
        self.core.connections.get(connection.0)?.engine.as_ref()?.remote_open()
    }

    /// Whether the peer takes messages for any of its nodes on one link (AMQP Anonymous Terminus): then a sender that is
    /// made on the connection without an address is such a link, and each message says `to` whom it goes.
    #[must_use]
    pub fn has_anonymous_relay(&self, connection: ConnectionId) -> bool {
        let open = self.remote_open(connection);
        open.is_some_and(|open| open.offered_capabilities.contains(&capability::ANONYMOUS_RELAY))
    }

    /// As whom the peer, or this side, has authenticated; none without SASL.
    #[must_use]
    pub fn identity(&self, connection: ConnectionId) -> Option<&Identity> {
        self.core.connections.get(connection.0)?.engine.as_ref()?.identity()
    }

    /// The address that a connection was dialed with last; none for an accepted one.
    #[must_use]
    pub fn dialed(&self, connection: ConnectionId) -> Option<&Address> {
        match &self.core.connections.get(connection.0)?.origin {
            Origin::Dialed(dialed) => Some(&dialed.address),
            Origin::Accepted(_) | Origin::Left => None,
        }
    }

    /// How many times a connection has been open before, over other byte streams: 0 unless it was lost and made again.
    ///
    /// In [`on_connection_opened`](Handler::on_connection_opened) it tells whether sessions and links are still to be made:
    /// those that the program has made come back by themselves.
    #[must_use]
    pub fn reconnects(&self, connection: ConnectionId) -> u32 {
        match self.core.connections.get(connection.0).map(|peer| &peer.origin) {
            Some(Origin::Dialed(dialed)) => dialed.opened.saturating_sub(1),
            _ => 0,
        }
    }

    /// Where messages of a link come from, in the peer's words (§3.5.3).
    #[must_use]
    pub fn remote_source(&self, link: impl Into<Link>) -> Option<Source> {
        self.remote_attach(link)?.source.map(|source| *source)
    }

    /// Where messages of a link go, in the peer's words (§3.5.4).
    #[must_use]
    pub fn remote_target(&self, link: impl Into<Link>) -> Option<Target> {
        match *self.remote_attach(link)?.target? {
            TargetKind::Target(target) => Some(target),
            _ => None,
        }
    }

    /// The address of a link's node, in the peer's words: for a link of this side what the peer gave it, for a link
    /// of the peer what it asks for.
    #[must_use]
    pub fn remote_address(&self, link: impl Into<Link>) -> Option<&str> {
        let link = link.into();
        let is_ours = self.core.links.get(link.key())?.is_ours;
        let attach = self.core.remote_attach(link.key())?;
        match (link, is_ours) {
            (Link::Sender(_), true) | (Link::Receiver(_), false) => attach.target_address(),
            (Link::Sender(_), false) | (Link::Receiver(_), true) => attach.source_address(),
        }
    }

    /// The filters that this side asked for and the peer has not in force (§3.5.1): look in
    /// [`on_link_opened`](Handler::on_link_opened), where none may be missing that the program cannot do without.
    #[must_use]
    pub fn dropped_filters(&mut self, receiver: ReceiverId) -> Vec<Symbol> {
        self.core.receiver(receiver.0).map_or_else(|_| Vec::new(), |receiver| receiver.dropped_filters())
    }

    /// Whether a sender settles each message as it sends it (§2.8.2 settled); the peer then tells no outcome.
    #[must_use]
    pub fn sends_settled(&self, sender: SenderId) -> bool {
        self.core.links.get(sender.0).is_some_and(|link| link.sends_settled)
    }

    /// How many messages the peer says that it has for a receiver, credit or not (§2.6.7).
    #[must_use]
    pub fn available(&mut self, receiver: ReceiverId) -> u32 {
        self.core.receiver(receiver.0).map_or(0, |receiver| receiver.available())
    }

    /// What the peer's last flow for a link carried besides numbers (§2.7.4 properties). One that carried nothing does not hide
    /// what came before it and was not told by [`on_link_flow`](Handler::on_link_flow) yet.
    #[must_use]
    pub fn flow_properties(&self, link: impl Into<Link>) -> Option<&Fields> {
        self.core.flow_properties(link.into().key())
    }

    /// The peer's part in a link: its name, settle modes, capabilities, properties (§2.7.3). It is kept encoded and read
    /// at each call, like [`remote_source`](Self::remote_source) and [`remote_target`](Self::remote_target).
    #[must_use]
    pub fn remote_attach(&self, link: impl Into<Link>) -> Option<Attach> {
        self.core.remote_attach(link.into().key())?.read()
    }

    /// Whether the peer has detached a link and not closed it: its terminus stays, and it may attach the link again under its
    /// name (§2.6.4). Answer with [`detach`](Self::detach) to do the same.
    #[must_use]
    pub fn is_suspended(&self, link: impl Into<Link>) -> bool {
        self.core.is_suspended(link.into().key())
    }

    /// Whether an object takes commands: it was not closed by this side.
    #[must_use]
    pub fn is_open(&self, object: impl Into<Object>) -> bool {
        self.core.is_open(object.into())
    }

    /// The connection that an object belongs to; none for a listener and for what is gone.
    #[must_use]
    pub fn connection_of(&self, object: impl Into<Object>) -> Option<ConnectionId> {
        let key = match object.into() {
            Object::Connection(id) => self.core.connections.get(id.0).map(|_| id.0)?,
            Object::Session(id) => self.core.sessions.get(id.0)?.connection,
            Object::Link(link) => self.core.links.get(link.key())?.connection,
            Object::Listener(_) => return None,
        };
        Some(ConnectionId(key))
    }

    /// The link that a delivery belongs to.
    #[must_use]
    pub fn link_of(&self, delivery: DeliveryId) -> Option<Link> {
        Some(self.core.links.get(delivery.link)?.id(delivery.link))
    }

    /// The session that a link belongs to.
    #[must_use]
    pub fn session_of(&self, link: impl Into<Link>) -> Option<SessionId> {
        Some(SessionId(self.core.links.get(link.into().key())?.session))
    }

    /// The listener that accepted a connection; it may be closed by now.
    #[must_use]
    pub fn listener_of(&self, connection: ConnectionId) -> Option<ListenerId> {
        match self.core.connections.get(connection.0)?.origin {
            Origin::Dialed(_) | Origin::Left => None,
            Origin::Accepted(listener) => Some(ListenerId(listener)),
        }
    }

    /// Keeps the first event that tells of a failure of something that this side began.
    pub(super) fn note_unhandled(&mut self, event: &Unhandled<'_>) {
        let failure = match *event {
            Unhandled::TransportError(id, reason) if !reason.reconnects => {
                self.dialed(id).map(|_| format!("{}", reason.description))
            }
            Unhandled::ConnectionError(id, error) => {
                self.dialed(id).map(|address| format!("{address} closed the connection: {}", Told(error)))
            }
            Unhandled::SessionError(id, error) => {
                let ours = self.core.sessions.get(id.0).filter(|session| session.is_ours);
                ours.map(|_| format!("the session was ended: {}", Told(error)))
            }
            Unhandled::LinkError(link, error) => {
                let ours = self.core.links.get(link.key()).filter(|link| link.is_ours);
                ours.map(|_| format!("the link was closed: {}", Told(error)))
            }
            Unhandled::TransactionDeclareFailed(_, error) => {
                Some(format!("the transaction was not declared: {}", Told(error)))
            }
            Unhandled::TransactionAborted(_, Some(error)) => {
                Some(format!("the transaction was rolled back: {}", Told(error)))
            }
            Unhandled::TransactionCommitFailed(_, error) => {
                Some(format!("the transaction was not committed: {}", Told(error)))
            }
            Unhandled::ListenError(_, reason) => Some(reason.into()),
            _ => None,
        };
        if let Some(text) = failure {
            self.core.failure.get_or_insert(Failure(text));
        }
    }
}

/// An error in one line for a person.
struct Told<'a>(&'a Error);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.description {
            Some(description) => write!(f, "{description} ({})", self.0.condition),
            None => write!(f, "{}", self.0.condition),
        }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("now", &self.now).field("at", &self.at).finish_non_exhaustive()
    }
}
