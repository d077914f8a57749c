//! One side of a recorded connection, played again with an engine.

use std::collections::{BTreeMap, VecDeque};

use amqp1_engine::{
    Config, Connection, DeliveryId, Event, LinkConfig, LinkId, Misuse, OutgoingDelivery, SendError,
    SessionConfig, SessionId, Side,
    sasl::Sasl,
    types::{Attach, Begin, DeliveryState, Disposition, Flow, Handle, Performative, Role, Transfer},
};
use bytes::Bytes;

use crate::{Frame, Item, Recording};

/// An engine's user that does what one side of a recording did, as far as it can be done.
#[derive(Debug, Default)]
pub struct Replay {
    /// By the channel that the engine's side used.
    sessions: BTreeMap<u16, SessionId>,
    /// By that channel and the handle.
    links: BTreeMap<(u16, u32), LinkId>,
    /// Begun by the other side, to be answered.
    begun: VecDeque<SessionId>,
    /// Attached by the other side, to be answered, or detached and kept, to be attached again.
    attached: Vec<LinkId>,
    incoming: BTreeMap<(SessionId, u32), DeliveryId>,
    outgoing: BTreeMap<(SessionId, u32), DeliveryId>,
    /// The links that a message is being written to.
    started: Vec<LinkId>,
    /// What has arrived of each delivery.
    pub payloads: Vec<(DeliveryId, Vec<u8>)>,
    /// What became of the messages sent.
    pub outcomes: Vec<DeliveryState>,
    /// What the engine has told.
    pub events: Vec<Event>,
}

impl Replay {
    /// Does what the frame says that the engine's side did.
    ///
    /// # Errors
    ///
    /// When the engine refuses, or there is nothing that the frame could be about.
    pub fn act(&mut self, engine: &mut Connection, frame: Frame) -> Result<(), SendError> {
        let Frame { channel, performative, payload } = frame;
        match performative {
            Performative::Open(_) => engine.open(),
            Performative::Begin(begin) => self.begin(engine, channel, &begin)?,
            Performative::Attach(attach) => self.attach(engine, channel, *attach)?,
            Performative::Flow(flow) => self.flow(engine, channel, &flow)?,
            Performative::Transfer(transfer) => self.transfer(engine, channel, &transfer, payload)?,
            Performative::Disposition(disposition) => self.settle(engine, channel, *disposition)?,
            Performative::Detach(detach) => {
                let link = self.links.remove(&(channel, detach.handle.0)).ok_or(Misuse::Gone)?;
                if !detach.closed {
                    self.attached.push(link);
                }
                match (engine.role(link)?, detach.closed) {
                    (Role::Sender, true) => engine.sender(link)?.close(detach.error)?,
                    (Role::Receiver, true) => engine.receiver(link)?.close(detach.error)?,
                    (Role::Sender, false) => engine.sender(link)?.detach()?,
                    (Role::Receiver, false) => engine.receiver(link)?.detach()?,
                }
            }
            Performative::End(end) => engine.session(self.session(channel)?)?.end(end.error)?,
            Performative::Close(close) => engine.close(close.error),
        }
        Ok(())
    }

    fn session(&self, channel: u16) -> Result<SessionId, Misuse> {
        self.sessions.get(&channel).copied().ok_or(Misuse::Gone)
    }

    fn link(&self, channel: u16, handle: Handle) -> Result<LinkId, Misuse> {
        self.links.get(&(channel, handle.0)).copied().ok_or(Misuse::Gone)
    }

    fn begin(&mut self, engine: &mut Connection, channel: u16, begin: &Begin) -> Result<(), Misuse> {
        let config = SessionConfig {
            incoming_window: begin.incoming_window,
            next_outgoing_id: begin.next_outgoing_id,
            handle_max: begin.handle_max,
            ..SessionConfig::default()
        };
        let session = match begin.remote_channel {
            None => engine.begin(config)?,
            Some(_) => {
                let session = self.begun.pop_front().ok_or(Misuse::Gone)?;
                engine.session(session)?.accept(config)?;
                session
            }
        };
        self.sessions.insert(channel, session);
        Ok(())
    }

    fn attach(&mut self, engine: &mut Connection, channel: u16, attach: Attach) -> Result<(), Misuse> {
        let (role, handle) = (attach.role, attach.handle.0);
        let asked = self.attached.iter().position(|link| match role {
            Role::Sender => engine.sender(*link).is_ok_and(|link| link.name() == &*attach.name),
            Role::Receiver => engine.receiver(*link).is_ok_and(|link| link.name() == &*attach.name),
        });
        let config = LinkConfig {
            source: attach.source,
            target: attach.target,
            snd_settle_mode: attach.snd_settle_mode,
            rcv_settle_mode: attach.rcv_settle_mode,
            max_message_size: attach.max_message_size,
            initial_delivery_count: attach.initial_delivery_count.unwrap_or_default(),
            properties: attach.properties,
            ..LinkConfig::new(attach.name)
        };
        let link = match (asked, role) {
            (Some(at), Role::Sender) => {
                let link = self.attached.remove(at);
                engine.sender(link)?.attach(config)?;
                link
            }
            (Some(at), Role::Receiver) => {
                let link = self.attached.remove(at);
                engine.receiver(link)?.attach(config)?;
                link
            }
            (None, Role::Sender) => engine.session(self.session(channel)?)?.attach_sender(config)?,
            (None, Role::Receiver) => engine.session(self.session(channel)?)?.attach_receiver(config)?,
        };
        self.links.insert((channel, handle), link);
        Ok(())
    }

    fn flow(&self, engine: &mut Connection, channel: u16, flow: &Flow) -> Result<(), Misuse> {
        let Some(handle) = flow.handle else { return Ok(()) };
        let link = self.link(channel, handle)?;
        match engine.role(link)? {
            Role::Receiver => {
                engine.receiver(link)?.set_credit(flow.link_credit.unwrap_or(0));
                if flow.drain {
                    engine.receiver(link)?.drain();
                }
            }
            Role::Sender => engine.sender(link)?.drained(),
        }
        Ok(())
    }

    fn transfer(
        &mut self,
        engine: &mut Connection,
        channel: u16,
        transfer: &Transfer,
        payload: Bytes,
    ) -> Result<(), SendError> {
        let link = self.link(channel, transfer.handle)?;
        let mut sender = engine.sender(link)?;
        if let Some(at) = self.started.iter().position(|started| *started == link) {
            if transfer.aborted {
                self.started.remove(at);
                return Ok(sender.abort()?);
            }
            sender.write(payload)?;
            if !transfer.more {
                self.started.remove(at);
                sender.finish()?;
            }
            return Ok(());
        }
        let tag = transfer.delivery_tag.ok_or(Misuse::NothingStarted)?;
        let settled = transfer.settled.unwrap_or(false);
        let id = if transfer.more {
            let id = sender.start(tag, settled, 0, payload)?;
            self.started.push(link);
            id
        } else {
            sender.send(tag, settled, payload)?
        };
        if !settled {
            self.outgoing.insert((self.session(channel)?, id.number().get()), id);
        }
        Ok(())
    }

    fn settle(
        &mut self,
        engine: &mut Connection,
        channel: u16,
        disposition: Disposition,
    ) -> Result<(), Misuse> {
        let session = self.session(channel)?;
        let Disposition { role, first, last, settled, state, .. } = disposition;
        let mut number = first;
        loop {
            match role {
                Role::Receiver => {
                    let id = *self.incoming.get(&(session, number.get())).ok_or(Misuse::Gone)?;
                    let mut receiver = engine.receiver(id.link())?;
                    match &state {
                        Some(state) if receiver.delivery(id)?.state().is_none() => {
                            receiver.update(id, state.clone())?
                        }
                        _ => receiver.settle(id)?,
                    }
                }
                // A sender of these recordings only settles.
                Role::Sender if !settled => return Err(Misuse::StateNotAllowed),
                Role::Sender => {
                    let id = *self.outgoing.get(&(session, number.get())).ok_or(Misuse::Gone)?;
                    engine.sender(id.link())?.settle(id, state.clone())?;
                }
            }
            if number == last.unwrap_or(first) {
                return Ok(());
            }
            number = number.next();
        }
    }

    /// Takes an event: payload is taken, and what the receiver settled is settled.
    pub fn note(&mut self, engine: &mut Connection, event: Event) {
        match &event {
            Event::SessionBegun(session) if !self.sessions.values().any(|ours| ours == session) => {
                self.begun.push_back(*session);
            }
            Event::LinkAttached(link)
                if !self.links.values().chain(&self.attached).any(|ours| ours == link) =>
            {
                self.attached.push(*link);
            }
            Event::Delivery(id) => self.take(engine, *id).unwrap_or_default(),
            Event::Updated(id) => {
                if let Ok(mut sender) = engine.sender(id.link())
                    && sender.delivery(*id).is_ok_and(OutgoingDelivery::is_remotely_settled)
                {
                    self.outcomes.extend(sender.settle(*id, None).unwrap_or_default());
                }
            }
            _ => {}
        }
        self.events.push(event);
    }

    fn take(&mut self, engine: &mut Connection, id: DeliveryId) -> Result<(), Misuse> {
        let mut receiver = engine.receiver(id.link())?;
        let session = receiver.session();
        let piece = receiver.take(id)?.into_bytes();
        self.incoming.insert((session, id.number().get()), id);
        match self.payloads.last_mut() {
            Some((last, payload)) if *last == id => payload.extend_from_slice(&piece),
            _ => self.payloads.push((id, piece.to_vec())),
        }
        Ok(())
    }
}

impl Recording {
    /// The settings that this side had, as far as they show.
    #[must_use]
    pub fn config(&self, side: Side) -> Config {
        let mut config = match side {
            Side::Client => Config::client("client"),
            Side::Server => Config::server("server"),
        };
        for item in self.read(side) {
            match item {
                Item::Frame(Frame { performative: Performative::Open(open), .. }) => {
                    config.container_id = open.container_id.clone();
                    config.hostname = open.hostname.clone();
                    config.max_frame_size = open.max_frame_size;
                    config.channel_max = open.channel_max;
                }
                Item::Header([b'A', b'M', b'Q', b'P', 3, ..]) => {
                    config.sasl = Some(match side {
                        Side::Client => {
                            Sasl::client().plain("guest", "guest").allow_clear_text().anonymous().into()
                        }
                        Side::Server => Sasl::server().anonymous().plain(|_, _| Ok(())).into(),
                    });
                }
                _ => {}
            }
        }
        config
    }
}
