//! The calls of programs, each as a look at whether what it waits for is there.

use amqp1_engine::{
    self as engine, DeliveryId, LinkConfig, LinkId, Misuse, SendError, SessionConfig, SessionId,
    codec::Symbol,
    types::{Attach, DeliveryState, DeliveryTag, Open, ReceiverSettleMode, Role, SenderSettleMode},
};
use bytes::Bytes;

use super::{
    Arrived, Error, Outcome, State,
    state::{Link, is_decided},
};

/// A message that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its name.
    pub id: DeliveryId,
    /// It was sent settled: there will be no outcome.
    pub settled: bool,
}

/// Of the connection and its links.
impl State {
    /// What the peer said of itself when the connection was opened (§2.7.1).
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn remote_open(&self) -> Result<Option<&Open>, Error> {
        self.alive()?;
        Ok(self.engine.remote_open())
    }

    /// Begins to close the connection, and looks whether the peer has done so, too.
    ///
    /// # Errors
    /// The peer's reason, or what else ended the connection.
    pub fn close(&mut self) -> Result<Option<()>, Error> {
        self.engine.close(None);
        if !self.is_done() {
            return Ok(None);
        }
        self.closed_well().map(Some)
    }

    /// Begins another session.
    ///
    /// # Errors
    /// [`Error::Misuse`] where there are as many as the peer takes, or why the connection is over.
    pub fn begin(&mut self, config: SessionConfig) -> Result<SessionId, Error> {
        self.alive()?;
        let session = self.engine.begin(config)?;
        self.sessions.insert(session, None);
        Ok(session)
    }

    /// Whether the peer has begun the session, too.
    ///
    /// # Errors
    /// Why the session cannot be used.
    pub fn begun(&mut self, session: SessionId) -> Result<Option<()>, Error> {
        self.session_alive(session)?;
        Ok(self.engine.session(session)?.remote_begin().map(|_| ()))
    }

    /// Begins to end a session; one that is ended already stays so.
    pub fn end_session(&mut self, session: SessionId) {
        let _ = self.engine.session(session).and_then(|mut session| session.end(None));
    }

    /// Whether a session that is being ended is ended.
    ///
    /// # Errors
    /// The peer's reason, or why the connection is over.
    pub fn ended(&self, session: SessionId) -> Result<Option<()>, Error> {
        match self.session_alive(session) {
            Ok(()) => Ok(None),
            Err(Error::Ended(None)) => Ok(Some(())),
            Err(error) => Err(error),
        }
    }

    /// The session is of no more use to anybody.
    pub fn forget_session(&mut self, session: SessionId) {
        if self.sessions.remove(&session).is_some() {
            self.end_session(session);
        }
    }

    /// Begins to attach a link, in this session or else in the one that all share; a receiver has up to `prefetch` messages on their way ahead of its user, or with 0 as
    /// many as its user says.
    ///
    /// # Errors
    /// [`Error::Misuse`], or why the connection is over.
    pub fn attach(
        &mut self,
        session: Option<SessionId>,
        role: Role,
        config: LinkConfig,
        prefetch: u32,
    ) -> Result<LinkId, Error> {
        let mut session = match session {
            Some(session) => {
                self.session_alive(session).and_then(|()| Ok(self.engine.session(session)?))?
            }
            None => self.session()?,
        };
        let id = session.id();
        let link = match role {
            Role::Sender => session.attach_sender(config)?,
            Role::Receiver => session.attach_receiver(config)?,
        };
        self.links.insert(link, Link::new(id, prefetch));
        if role == Role::Receiver && prefetch > 0 {
            self.engine.receiver(link)?.set_credit(prefetch);
        }
        Ok(link)
    }

    /// Whether the peer has attached the link.
    ///
    /// # Errors
    /// Why it has refused it, or why the link cannot be used.
    pub fn attached(&mut self, link: LinkId) -> Result<Option<()>, Error> {
        let attach = self.peers_attach(link)?;
        // A peer that refuses answers without a terminus of its own, then detaches and says why.
        let is_there = attach.is_some_and(|attach| match attach.role {
            // It is the peer's role.
            Role::Receiver => attach.target.is_some(),
            Role::Sender => attach.source.is_some(),
        });
        Ok(is_there.then_some(()))
    }

    /// The peer's side of an attached link (§2.7.3).
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn remote_attach(&mut self, link: LinkId) -> Result<Attach, Error> {
        self.peers_attach(link)?.ok_or(Error::Detached(None))
    }

    fn peers_attach(&mut self, link: LinkId) -> Result<Option<Attach>, Error> {
        self.link_alive(link)?;
        Ok(match self.engine.role(link)? {
            Role::Sender => self.engine.sender(link)?.remote_attach(),
            Role::Receiver => self.engine.receiver(link)?.remote_attach(),
        })
    }

    /// Whether a link that is being closed is closed.
    ///
    /// # Errors
    /// The peer's reason, or why the connection is over.
    pub fn link_closed(&self, link: LinkId) -> Result<Option<()>, Error> {
        match self.link_alive(link) {
            Ok(()) => Ok(None),
            Err(Error::Detached(None)) => Ok(Some(())),
            Err(error) => Err(error),
        }
    }
}

/// Of senders.
impl State {
    /// Starts a delivery if there is credit and room for it.
    ///
    /// # Errors
    /// [`Error::Refused`], or why the link cannot be used.
    pub fn start(
        &mut self,
        link: LinkId,
        start: impl FnOnce(engine::Sender<'_>, DeliveryTag, bool) -> Result<DeliveryId, SendError>,
    ) -> Result<Option<Sent>, Error> {
        self.if_possible(link, |state| {
            let sender = state.engine.sender(link)?;
            let link = state.links.get_mut(&link).ok_or(Misuse::Gone)?;
            let settled = sender.snd_settle_mode() == SenderSettleMode::Settled;
            let id = start(sender, DeliveryTag::from(link.next_tag), settled)?;
            link.next_tag += 1;
            Ok(Sent { id, settled })
        })
    }

    /// Writes a piece of the delivery that was started, if there is room for it; the last one ends it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn write(&mut self, link: LinkId, piece: &Bytes) -> Result<Option<()>, Error> {
        self.if_possible(link, |state| state.engine.sender(link)?.write(piece.clone()))
    }

    /// Ends the delivery that was started, if there is room for that.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn finish(&mut self, link: LinkId) -> Result<Option<()>, Error> {
        self.if_possible(link, |state| state.engine.sender(link)?.finish())
    }

    /// Gives the delivery up that was started.
    pub fn abort(&mut self, link: LinkId) {
        // A link that is gone has given it up already.
        let _ = self.engine.sender(link).and_then(|mut sender| sender.abort());
    }

    /// Sends, unless a lack of credit or room stands in the way.
    fn if_possible<T>(
        &mut self,
        link: LinkId,
        send: impl FnOnce(&mut Self) -> Result<T, SendError>,
    ) -> Result<Option<T>, Error> {
        self.link_alive(link)?;
        match send(self) {
            Ok(sent) => Ok(Some(sent)),
            Err(SendError::Blocked(_)) => Ok(None),
            Err(SendError::Misuse(misuse)) => Err(misuse.into()),
            Err(refused) => Err(Error::Refused(refused)),
        }
    }

    /// What the receiver made of a message; it is settled with that.
    ///
    /// # Errors
    /// Why the link cannot be used: then the message may have arrived.
    pub fn outcome(&mut self, id: DeliveryId) -> Result<Option<Outcome>, Error> {
        let link = id.link();
        let decided = self.engine.sender(link).and_then(|sender| sender.delivery(id).map(is_decided));
        match decided {
            Ok(true) => Ok(Some(Outcome::new(self.engine.sender(link)?.settle(id, None)?))),
            Ok(false) => self.link_alive(link).map(|()| None),
            Err(misuse) => Err(self.link_alive(link).err().unwrap_or(Error::Misuse(misuse))),
        }
    }
}

/// Of receivers.
impl State {
    /// The oldest message that has arrived in whole; as many more may come.
    ///
    /// # Errors
    /// Why the link cannot be used, and no message is left that arrived before.
    pub fn receive(&mut self, link: LinkId) -> Result<Option<Arrived>, Error> {
        let is_whole = self.gather(link);
        self.next_arrived(link, is_whole)
    }

    /// The oldest message that has begun to arrive; as many more may come.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_beginning(&mut self, link: LinkId) -> Result<Option<Arrived>, Error> {
        self.next_arrived(link, true)
    }

    fn next_arrived(&mut self, id: LinkId, is_there: bool) -> Result<Option<Arrived>, Error> {
        let link = self.links.get_mut(&id).filter(|_| is_there);
        if let Some(arrived) = link.and_then(|link| link.arrived.pop_front()) {
            self.top_up(id);
            return Ok(Some(arrived));
        }
        self.link_alive(id)?;
        // After a drain there is no credit left for the message that is waited for.
        self.top_up(id);
        Ok(None)
    }

    /// What has arrived of a message since the last piece, and whether it is the last.
    ///
    /// # Errors
    /// [`Error::Aborted`], or why the link cannot be used.
    pub fn read(&mut self, id: DeliveryId) -> Result<Option<(Bytes, bool)>, Error> {
        let link = id.link();
        let taken = self.engine.receiver(link).and_then(|mut receiver| {
            let delivery = receiver.delivery(id)?;
            let complete = delivery.is_complete();
            if delivery.pending() == 0 && !complete {
                return Ok(None);
            }
            Ok(Some((receiver.take(id)?.into_bytes(), complete)))
        });
        match taken {
            Ok(Some(taken)) => Ok(Some(taken)),
            Ok(None) => self.link_alive(link).map(|()| None),
            Err(_) => Err(self.link_alive(link).err().unwrap_or(Error::Aborted)),
        }
    }

    /// Tells the sender the outcome of a message: whether its settling has to be waited for.
    ///
    /// # Errors
    /// Why the link cannot be used: then the sender may deliver the message again.
    pub fn update(&mut self, id: DeliveryId, outcome: DeliveryState) -> Result<bool, Error> {
        self.link_alive(id.link())?;
        let mut receiver = self.engine.receiver(id.link())?;
        receiver.update(id, outcome)?;
        Ok(receiver.rcv_settle_mode() == ReceiverSettleMode::Second)
    }

    /// Whether the sender has settled a message whose outcome it was told; then this side settles it, too.
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn settled(&mut self, id: DeliveryId) -> Result<Option<()>, Error> {
        let link = id.link();
        let settled = self
            .engine
            .receiver(link)
            .and_then(|receiver| receiver.delivery(id).map(|delivery| delivery.is_remotely_settled()));
        match settled {
            Ok(true) => Ok(Some(self.engine.receiver(link)?.settle(id)?)),
            Ok(false) => self.link_alive(link).map(|()| None),
            Err(misuse) => Err(self.link_alive(link).err().unwrap_or(Error::Misuse(misuse))),
        }
    }

    /// Gives a message back that nobody has settled.
    pub fn release(&mut self, id: DeliveryId) {
        // A delivery whose link is gone has gone back already.
        if matches!(self.update(id, DeliveryState::Released), Ok(true)) {
            // Nobody waits for the sender to settle it.
            self.abandon(id);
        }
    }

    /// Lets so many more messages come.
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn add_credit(&mut self, link: LinkId, count: u32) -> Result<(), Error> {
        self.link_alive(link)?;
        self.engine.receiver(link)?.add_credit(count);
        Ok(())
    }

    /// How many messages may come that have not come yet.
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn credit(&mut self, link: LinkId) -> Result<u32, Error> {
        self.link_alive(link)?;
        Ok(self.engine.receiver(link)?.credit())
    }

    /// Has the sender use its credit up or give it back.
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn drain(&mut self, link: LinkId) -> Result<(), Error> {
        self.link_alive(link)?;
        self.engine.receiver(link)?.drain();
        Ok(())
    }

    /// Whether the sender has no credit left.
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn drained(&mut self, link: LinkId) -> Result<Option<()>, Error> {
        Ok((self.credit(link)? == 0).then_some(()))
    }

    /// The filters that this side asked for and the peer does without (§3.5.1).
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn dropped_filters(&mut self, link: LinkId) -> Result<Vec<Symbol>, Error> {
        self.link_alive(link)?;
        Ok(self.engine.receiver(link)?.dropped_filters())
    }
}
