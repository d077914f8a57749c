//! What is known of one connection: the engine's part, and what its users have yet to be told.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    sync::Arc,
};

use amqp1_engine::{
    Connection, DeliveryId, DisconnectReason, Event, Instant, LinkId, Misuse, OutgoingDelivery, Scope,
    Session, SessionConfig, SessionId,
    codec::Symbol,
    message::Payload,
    types::{self, DeliveryState, condition},
};

use super::{Error, News};
use crate::record::RecordingFile;

/// One connection, its links and how it ended.
#[derive(Debug)]
pub struct State {
    /// The protocol.
    pub engine: Connection,
    /// The session that carries all links, unless the peer has ended it.
    session: Option<SessionId>,
    /// The sessions that this side has begun and has a use for, and why they cannot be used any more.
    pub(super) sessions: HashMap<SessionId, Option<Error>>,
    session_config: SessionConfig,
    pub(super) links: HashMap<LinkId, Link>,
    /// How many links were ever made: names them.
    links_made: u64,
    /// Nothing more will be read or written.
    lost: bool,
    /// Why, if the socket broke.
    broken: Option<Arc<io::Error>>,
    /// Why the connection cannot be used any more.
    over: Option<Error>,
    trace: bool,
    recording: Option<RecordingFile>,
}

/// What a link has beside what the engine knows of it.
#[derive(Debug)]
pub(super) struct Link {
    /// Where it belongs to.
    session: SessionId,
    /// Why it cannot be used any more.
    gone: Option<Error>,
    /// Messages that have begun to arrive and that nobody has asked for yet, oldest first.
    pub(super) arrived: VecDeque<Arrived>,
    /// The newest message that has begun to arrive.
    newest: Option<DeliveryId>,
    /// Messages sent whose outcome nobody waits for any more.
    pub(super) abandoned: HashSet<DeliveryId>,
    /// The next message's tag.
    pub(super) next_tag: u64,
    /// A receiver's credit, topped up at one half; 0 where its user gives it.
    prefetch: u32,
}

impl Link {
    pub(super) fn new(session: SessionId, prefetch: u32) -> Self {
        Self {
            session,
            gone: None,
            arrived: VecDeque::new(),
            newest: None,
            abandoned: HashSet::new(),
            next_tag: 0,
            prefetch,
        }
    }

    /// The link is of no more use, but for messages that have arrived in whole.
    fn detach(&mut self, engine: &mut Connection, error: impl FnOnce() -> Error) {
        self.gone.get_or_insert_with(error);
        self.arrived.retain_mut(|arrived| gather(engine, arrived));
    }
}

/// A message on its way to the user.
#[derive(Debug)]
pub struct Arrived {
    /// Its name.
    pub id: DeliveryId,
    /// What was taken from the engine so far.
    pub payload: Payload,
    /// Whether that is all of it.
    pub complete: bool,
    /// What its bytes are (§2.8.11).
    pub message_format: u32,
    /// Whether its sender has settled it.
    pub settled: bool,
}

impl State {
    /// A connection that is about to be opened; links will be in a session with these settings.
    #[must_use]
    pub fn new(engine: Connection, session_config: SessionConfig, recording: Option<RecordingFile>) -> Self {
        let trace = engine.config().trace;
        Self {
            engine,
            session: None,
            sessions: HashMap::new(),
            session_config,
            links: HashMap::new(),
            links_made: 0,
            lost: false,
            broken: None,
            over: None,
            trace,
            recording,
        }
    }

    /// The session for a new link: another one if the peer has ended the last, as some do when they refuse a link.
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn session(&mut self) -> Result<Session<'_>, Error> {
        self.alive()?;
        let session = match self.session {
            Some(session) => session,
            None => {
                let session = self.engine.begin(self.session_config.clone())?;
                self.sessions.insert(session, None);
                *self.session.insert(session)
            }
        };
        Ok(self.engine.session(session)?)
    }

    /// A number that no link has yet.
    pub const fn next_link(&mut self) -> u64 {
        self.links_made += 1;
        self.links_made
    }

    /// Whether nothing more will be read or written.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Nothing more will be read or written, because of this error if there was one.
    pub fn lose(&mut self, error: Option<io::Error>, now: Instant) {
        self.lost = true;
        self.broken = self.broken.take().or_else(|| error.map(Arc::new));
        self.engine.handle_eof(now);
    }

    /// Fails if the connection cannot be used any more.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn alive(&self) -> Result<(), Error> {
        self.over.clone().map_or(Ok(()), Err)
    }

    /// Fails if the connection is over for another reason than a close without an error.
    ///
    /// # Errors
    /// The other reason.
    pub fn closed_well(&self) -> Result<(), Error> {
        match &self.over {
            None | Some(Error::Closed(None)) => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// Fails if the session cannot be used any more.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn session_alive(&self, session: SessionId) -> Result<(), Error> {
        self.alive()?;
        match self.sessions.get(&session) {
            Some(None) => Ok(()),
            Some(Some(error)) => Err(error.clone()),
            None => Err(Error::Ended(None)),
        }
    }

    /// Fails if the link cannot be used any more.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn link_alive(&self, link: LinkId) -> Result<(), Error> {
        self.alive()?;
        match self.links.get(&link) {
            Some(Link { gone: None, .. }) => Ok(()),
            Some(Link { gone: Some(error), .. }) => Err(error.clone()),
            None => Err(Error::Detached(None)),
        }
    }

    /// Whether the last word on the connection is said.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.lost || self.engine.is_done()
    }

    /// Handles all that the engine has to tell, and says of each what may have become of it: whether there was anything.
    pub fn handle_events(&mut self, mut tell: impl FnMut(News)) -> bool {
        let mut any = false;
        while let Some(event) = self.engine.poll_event() {
            any = true;
            let news = News::of(&event);
            self.handle(event);
            tell(news);
        }
        any
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Closed { error } => {
                self.over(Error::Closed(error));
                self.engine.close(None);
            }
            Event::Disconnected(reason) => {
                let error = match (reason, self.broken.take()) {
                    (DisconnectReason::Closed, _) => Error::Closed(None),
                    (DisconnectReason::Aborted, Some(error)) => Error::Broken(error),
                    (reason, _) => Error::Disconnected(reason),
                };
                self.over(error);
            }
            Event::Violated(violation) => {
                let scope = violation.scope();
                let error = Error::Violated(violation);
                match scope {
                    Scope::Connection => self.over(error),
                    Scope::Session(session) => self.end(session, error),
                    Scope::Link(link) => self.detach(link, error),
                }
            }
            Event::SessionBegun(session) if !self.sessions.contains_key(&session) => {
                // Refused as far as AMQP lets one: answered and ended.
                let refusal = error(condition::NOT_ALLOWED, "this client serves no sessions");
                let _ = self.engine.session(session).and_then(|mut session| session.end(Some(refusal)));
            }
            Event::SessionEnded { session, error } => {
                self.end(session, Error::Ended(error));
                let _ = self.engine.session(session).and_then(|mut session| session.end(None));
            }
            Event::LinkAttached(link) if !self.links.contains_key(&link) => {
                let refusal = error(condition::NOT_ALLOWED, "this client serves no links");
                let _ = match self.engine.role(link) {
                    Ok(types::Role::Sender) => {
                        self.engine.sender(link).and_then(|mut link| link.refuse(refusal))
                    }
                    _ => self.engine.receiver(link).and_then(|mut link| link.refuse(refusal)),
                };
            }
            Event::LinkDetached { link, error, .. } => {
                self.detach(link, Error::Detached(error));
                self.close_link(link);
            }
            Event::LinkTooLarge(link) => self.detach(link, Error::Misuse(Misuse::FrameTooLarge)),
            Event::Drain(link) => {
                if let Ok(mut sender) = self.engine.sender(link) {
                    sender.drained();
                }
            }
            Event::Delivery(id) => self.note_arrival(id),
            Event::Aborted(id) => {
                if let Some(link) = self.links.get_mut(&id.link()) {
                    link.arrived.retain(|arrived| arrived.id != id);
                }
            }
            Event::Updated(id) => self.settle_abandoned(id),
            _ => {}
        }
    }

    fn note_arrival(&mut self, id: DeliveryId) {
        let Some(link) = self.links.get_mut(&id.link()) else { return };
        if link.newest == Some(id) {
            return;
        }
        let Ok(receiver) = self.engine.receiver(id.link()) else { return };
        let Ok(delivery) = receiver.delivery(id) else { return };
        link.newest = Some(id);
        link.arrived.push_back(Arrived {
            id,
            payload: Payload::new(),
            complete: false,
            message_format: delivery.message_format(),
            settled: delivery.is_remotely_settled(),
        });
    }

    /// Nobody waits for the outcome of this message any more, or for the sender to settle it: then it is settled here, too.
    pub fn abandon(&mut self, id: DeliveryId) {
        if let Some(link) = self.links.get_mut(&id.link()) {
            link.abandoned.insert(id);
            self.settle_abandoned(id);
        }
    }

    /// Lets as many messages come as the user has taken, once those are half of what may be on its way.
    pub(super) fn top_up(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let Ok(mut receiver) = self.engine.receiver(id) else { return };
        if receiver.is_draining() && receiver.credit() > 0 {
            return;
        }
        let waiting = u32::try_from(link.arrived.len()).unwrap_or(u32::MAX);
        let ahead = receiver.credit().saturating_add(waiting);
        if link.prefetch > 0 && ahead <= link.prefetch / 2 {
            receiver.add_credit(link.prefetch - ahead);
        }
    }

    fn settle_abandoned(&mut self, id: DeliveryId) {
        if !self.links.get(&id.link()).is_some_and(|link| link.abandoned.contains(&id)) {
            return;
        }
        let is_over = match self.engine.role(id.link()) {
            Ok(types::Role::Receiver) => !matches!(self.settled(id), Ok(None)),
            _ => !matches!(self.outcome(id), Ok(None)),
        };
        if is_over && let Some(link) = self.links.get_mut(&id.link()) {
            link.abandoned.remove(&id);
        }
    }

    /// Takes what has arrived of the oldest message: whether that is all of it.
    pub(super) fn gather(&mut self, link: LinkId) -> bool {
        let Some(first) = self.links.get_mut(&link).and_then(|link| link.arrived.front_mut()) else {
            return false;
        };
        gather(&mut self.engine, first)
    }

    /// The link is of no more use to anybody.
    pub fn forget_link(&mut self, link: LinkId) {
        if self.links.remove(&link).is_some() {
            self.close_link(link);
        }
    }

    /// Tells the peer that a link is closed; one that is closed already stays so.
    pub fn close_link(&mut self, link: LinkId) {
        let _ = match self.engine.role(link) {
            Ok(types::Role::Sender) => self.engine.sender(link).and_then(|mut link| link.close(None)),
            _ => self.engine.receiver(link).and_then(|mut link| link.close(None)),
        };
    }

    fn detach(&mut self, id: LinkId, error: Error) {
        if let Some(link) = self.links.get_mut(&id) {
            link.detach(&mut self.engine, || error);
        }
    }

    /// The session is of no more use, and neither are its links.
    fn end(&mut self, session: SessionId, error: Error) {
        for link in self.links.values_mut().filter(|link| link.session == session) {
            link.detach(&mut self.engine, || error.clone());
        }
        if self.session == Some(session) {
            self.session = None;
            self.sessions.remove(&session);
        } else if let Some(over) = self.sessions.get_mut(&session) {
            over.get_or_insert(error);
        }
    }

    fn over(&mut self, error: Error) {
        self.detach_all(&error);
        self.over.get_or_insert(error);
    }

    fn detach_all(&mut self, error: &Error) {
        for link in self.links.values_mut() {
            link.detach(&mut self.engine, || error.clone());
        }
    }

    /// Hands on what the engine has traced and recorded.
    pub fn report(&mut self) {
        if let Some(file) = &mut self.recording
            && let Some(recording) = self.engine.poll_recording()
        {
            file.write(&recording);
        }
        if self.trace {
            while let Some(line) = self.engine.poll_trace() {
                eprintln!("{line}");
            }
        }
    }
}

/// Takes what has arrived of a message: whether that is all of it.
fn gather(engine: &mut Connection, arrived: &mut Arrived) -> bool {
    if !arrived.complete
        && let Ok(mut receiver) = engine.receiver(arrived.id.link())
        && let Ok(delivery) = receiver.delivery(arrived.id)
    {
        arrived.complete = delivery.is_complete();
        arrived.settled |= delivery.is_remotely_settled();
        if let Ok(payload) = receiver.take(arrived.id) {
            arrived.payload.push(payload.into_bytes());
        }
    }
    arrived.complete
}

/// Whether the receiver has said its last word on a message.
pub(super) fn is_decided(delivery: &OutgoingDelivery) -> bool {
    delivery.is_remotely_settled() || delivery.remote_state().is_some_and(DeliveryState::is_outcome)
}

fn error(condition: Symbol, description: &str) -> types::Error {
    types::Error { condition, description: Some(description.into()), info: None }
}
