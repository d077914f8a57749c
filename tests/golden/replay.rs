//! Whole recorded connections, with an engine in the place of one side: what that side sent becomes calls, what the
//! other sent is fed whole, byte by byte and in random pieces.

use std::collections::BTreeMap;

use amqp1_engine::{
    message::{Body, Message},
    sasl::Sasl,
};
use amqp1_tests::prelude::*;

use crate::{
    recording::{From, Recording, item},
    samples,
};

/// What the engine made of a recording.
#[derive(Default)]
struct Replay {
    /// By the channel that the engine's side used.
    sessions: BTreeMap<u16, SessionId>,
    /// By that channel and the handle.
    links: BTreeMap<(u16, u32), LinkId>,
    /// Begun and attached by the other side, to be answered.
    begun: Vec<SessionId>,
    attached: Vec<LinkId>,
    incoming: BTreeMap<(SessionId, u32), DeliveryId>,
    outgoing: BTreeMap<(SessionId, u32), DeliveryId>,
    /// The links that a message is being written to.
    started: Vec<LinkId>,
    /// What has arrived of each delivery.
    payloads: Vec<(DeliveryId, Vec<u8>)>,
    /// What became of the messages sent.
    outcomes: Vec<DeliveryState>,
    events: Vec<Event>,
}

impl Replay {
    /// Replays a recording in one way: the engine takes the way's side.
    fn run(recording: &Recording, way: &Way) -> Self {
        let ours = if way.side == Side::Client { From::Client } else { From::Server };
        let mut peer = way.peer(config(recording, way, ours));
        let mut replay = Self::default();
        // A client's first words wait for nothing.
        while peer.next_item().is_some() {}
        for (from, bytes) in &recording.items {
            if *from != ours {
                peer.send_raw(bytes);
            } else if let Item::Frame(frame) = item(bytes) {
                replay.act(&mut peer, frame);
            }
            while let Some(event) = peer.event() {
                replay.note(&mut peer, event);
            }
            while peer.next_item().is_some() {}
        }
        replay
    }

    /// Does what the frame says that the engine's side did.
    fn act(&mut self, peer: &mut Peer<Memory>, frame: Frame) {
        let Frame { channel, performative, payload } = frame;
        let engine = peer.engine();
        let session = self.sessions.get(&channel).copied();
        let done = match performative {
            Performative::Open(_) => {
                engine.open();
                Ok(())
            }
            Performative::Begin(begin) => self.begin(engine, channel, &begin),
            Performative::Attach(attach) => self.attach(engine, channel, *attach),
            Performative::Flow(flow) => self.flow(engine, channel, &flow),
            Performative::Transfer(transfer) => {
                self.transfer(engine, channel, &transfer, payload);
                Ok(())
            }
            Performative::Disposition(disposition) => self.settle(engine, channel, *disposition),
            Performative::Detach(detach) => {
                let link = self.links.remove(&(channel, detach.handle.0)).expect("the link was attached");
                match engine.role(link).expect("the link is there") {
                    Role::Sender => engine.sender(link).unwrap().close(detach.error),
                    Role::Receiver => engine.receiver(link).unwrap().close(detach.error),
                }
            }
            Performative::End(end) => {
                engine.session(session.expect("the session was begun")).unwrap().end(end.error)
            }
            Performative::Close(close) => {
                engine.close(close.error);
                Ok(())
            }
        };
        done.expect("what was done can be done");
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
                let session = self.begun.remove(0);
                engine.session(session)?.accept(config)?;
                session
            }
        };
        self.sessions.insert(channel, session);
        Ok(())
    }

    fn attach(&mut self, engine: &mut Connection, channel: u16, attach: Attach) -> Result<(), Misuse> {
        let (role, handle) = (attach.role, attach.handle.0);
        let asked = self.attached.iter().position(|link| match engine.role(*link) {
            Ok(Role::Sender) => role == Role::Sender && engine.sender(*link).unwrap().name() == &*attach.name,
            Ok(Role::Receiver) => {
                role == Role::Receiver && engine.receiver(*link).unwrap().name() == &*attach.name
            }
            Err(_) => false,
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
            (None, Role::Sender) => engine.session(self.sessions[&channel])?.attach_sender(config)?,
            (None, Role::Receiver) => engine.session(self.sessions[&channel])?.attach_receiver(config)?,
        };
        self.links.insert((channel, handle), link);
        Ok(())
    }

    fn flow(&self, engine: &mut Connection, channel: u16, flow: &Flow) -> Result<(), Misuse> {
        let Some(handle) = flow.handle else { return Ok(()) };
        let link = self.links[&(channel, handle.0)];
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

    fn transfer(&mut self, engine: &mut Connection, channel: u16, transfer: &Transfer, payload: Bytes) {
        let link = self.links[&(channel, transfer.handle.0)];
        let mut sender = engine.sender(link).expect("the link is there");
        if let Some(at) = self.started.iter().position(|started| *started == link) {
            sender.write(payload).expect("the window is open");
            if !transfer.more {
                self.started.remove(at);
                sender.finish().expect("it was started");
            }
            return;
        }
        let tag = transfer.delivery_tag.expect("a first transfer has a tag");
        let settled = transfer.settled.unwrap_or(false);
        let id = if transfer.more {
            self.started.push(link);
            sender.start(tag, settled, 0, payload)
        } else {
            sender.send(tag, settled, payload)
        };
        let id = id.expect("there is credit");
        assert_eq!(Some(id.number()), transfer.delivery_id);
        if !settled {
            self.outgoing.insert((self.sessions[&channel], id.number().get()), id);
        }
    }

    fn settle(
        &mut self,
        engine: &mut Connection,
        channel: u16,
        disposition: Disposition,
    ) -> Result<(), Misuse> {
        let session = self.sessions[&channel];
        let Disposition { role, first, last, settled, state, .. } = disposition;
        let mut number = first;
        loop {
            match role {
                Role::Receiver => {
                    let id = self.incoming[&(session, number.get())];
                    let mut receiver = engine.receiver(id.link())?;
                    match &state {
                        Some(state) if receiver.delivery(id)?.state().is_none() => {
                            receiver.update(id, state.clone())?
                        }
                        _ => receiver.settle(id)?,
                    }
                }
                Role::Sender => {
                    assert!(settled, "a sender of these recordings only settles");
                    let id = self.outgoing[&(session, number.get())];
                    engine.sender(id.link())?.settle(id, state.clone())?;
                }
            }
            if number == last.unwrap_or(first) {
                return Ok(());
            }
            number = number.next();
        }
    }

    fn note(&mut self, peer: &mut Peer<Memory>, event: Event) {
        let engine = peer.engine();
        match &event {
            Event::SessionBegun(session) if !self.sessions.values().any(|ours| ours == session) => {
                self.begun.push(*session);
            }
            Event::LinkAttached(link) if !self.links.values().any(|ours| ours == link) => {
                self.attached.push(*link);
            }
            Event::Delivery(id) => {
                let mut receiver = engine.receiver(id.link()).unwrap();
                let session = receiver.session();
                let piece = receiver.take(*id).unwrap().into_bytes();
                self.incoming.insert((session, id.number().get()), *id);
                match self.payloads.last_mut() {
                    Some((last, payload)) if last == id => payload.extend_from_slice(&piece),
                    _ => self.payloads.push((*id, piece.to_vec())),
                }
            }
            Event::Violated(violation) => panic!("a real peer broke a rule? {violation}"),
            _ => {}
        }
        // Settled by the receiver: the entry goes when we settle it, too.
        if let Event::Updated(id) = event
            && engine.role(id.link()) == Ok(Role::Sender)
        {
            let mut sender = engine.sender(id.link()).unwrap();
            if sender.delivery(id).is_ok_and(|delivery| delivery.is_remotely_settled()) {
                self.outcomes.extend(sender.settle(id, None).unwrap());
            }
        }
        self.events.push(event);
    }
}

/// The settings that the recorded side had.
fn config(recording: &Recording, way: &Way, ours: From) -> Config {
    let mut config = way.config();
    for item in recording.read(ours) {
        match item {
            Item::Frame(Frame { performative: Performative::Open(open), .. }) => {
                config.container_id = open.container_id.clone();
                config.hostname = open.hostname.clone();
                config.max_frame_size = open.max_frame_size;
                config.channel_max = open.channel_max;
            }
            Item::Header([b'A', b'M', b'Q', b'P', 3, ..]) => {
                config.sasl = Some(match ours {
                    From::Client => {
                        Sasl::client().plain("guest", "guest").allow_clear_text().anonymous().into()
                    }
                    From::Server => Sasl::server().anonymous().into(),
                });
            }
            _ => {}
        }
    }
    config
}

/// Replays a recording with its input whole and in pieces, the engine on this side.
fn each_chunking_of(name: &str, side: Side, check: impl Fn(&Replay)) {
    let recording = Recording::load(name);
    each_way(|way| {
        if way.side == side {
            check(&Replay::run(&recording, way));
        }
    });
}

#[test]
fn every_recorded_connection_runs_to_its_end() {
    for recording in Recording::all() {
        each_way(|way| {
            if way.side == Side::Server && !recording.is_between_protons() {
                return;
            }
            let replay = Replay::run(&recording, way);
            let opened = replay.events.contains(&Event::Opened);
            let closed = replay.events.iter().any(|event| matches!(event, Event::Closed { .. }));
            assert_eq!(opened, closed, "{}: {:?}", recording.name, replay.events);
        });
    }
}

#[test]
fn messages_of_every_type_and_section_arrive() {
    for name in samples::NAMES {
        let arrived = |replay: &Replay| {
            let [(_, payload)] = replay.payloads.as_slice() else { panic!("{name}: not one message") };
            assert_eq!(Message::decode(&payload.clone().into()).unwrap(), samples::sample(name), "{name}");
        };
        each_chunking_of(&format!("proton-{name}"), Side::Client, arrived);
        each_chunking_of(&format!("proton-{name}-sent"), Side::Server, arrived);
    }
    each_chunking_of("rabbitmq-types", Side::Client, |replay| {
        // The first two are answers of the management.
        let bodies: Vec<_> = replay.payloads[2..].iter().map(|(_, payload)| body(payload)).collect();
        assert_eq!(bodies, samples::NAMES.map(|name| samples::sample(name).body));
    });
}

#[test]
fn messages_in_frames_of_512_bytes_are_put_together() {
    let texts = ["".to_owned(), "t".repeat(3_000)].map(|text| Body::from(text.as_str()));
    for side in [Side::Client, Side::Server] {
        each_chunking_of("proton-small-frames", side, |replay| {
            let bodies: Vec<_> = replay.payloads.iter().map(|(_, payload)| body(payload)).collect();
            assert_eq!(bodies, texts);
        });
    }
}

#[test]
fn transfer_ids_of_rabbitmq_wrap_around() {
    each_chunking_of("proton-rabbitmq-2", Side::Client, |replay| {
        let bodies: Vec<_> = replay.payloads.iter().map(|(_, payload)| body(payload).to_string()).collect();
        assert_eq!(bodies, (1..=6).map(|at| format!("{{'sequence': {at}}}")).collect::<Vec<_>>());
    });
}

fn body(payload: &[u8]) -> Body {
    Message::decode(&Bytes::copy_from_slice(payload)).expect("a recorded message can be read").body
}

#[test]
fn outcomes_of_proton_are_told() {
    let kinds = |replay: &Replay| {
        replay.outcomes.iter().map(|outcome| format!("{outcome:?}")).collect::<Vec<_>>().join(", ")
    };
    each_chunking_of("proton-outcomes", Side::Client, |replay| {
        let expected = "Accepted, Released, Rejected(Some(Error { condition: \"x:because\", description: \
                        \"not wanted\", info: {Symbol(\"x-detail\"): Long(1)} })), Modified(Modified { \
                        delivery_failed: true, undeliverable_here: true, message_annotations: \
                        {Symbol(\"x-opt-note\"): String(\"changed\")} })";
        assert_eq!(kinds(replay), expected);
    });
    each_chunking_of("proton-settle", Side::Server, |replay| {
        let expected = "Accepted, Released, Rejected(None), Modified(Modified { delivery_failed: true, \
                        undeliverable_here: false, message_annotations: {Symbol(\"x-opt-note\"): \
                        String(\"changed\")} })";
        assert_eq!(kinds(replay), expected);
    });
}

#[test]
fn credit_that_is_left_is_given_back() {
    for name in ["proton-drain", "rabbitmq-drain-2", "rabbitmq-drain-3"] {
        each_chunking_of(name, Side::Client, |replay| {
            assert_eq!(replay.payloads.len(), 3, "{name}");
            assert!(replay.events.iter().any(|event| matches!(event, Event::Drained(_))), "{name}");
        });
    }
    each_chunking_of("proton-drain", Side::Server, |replay| {
        assert!(replay.events.iter().any(|event| matches!(event, Event::Drain(_))));
    });
}

#[test]
fn errors_keep_their_conditions() {
    let ended = |number: u32, condition: Symbol| {
        each_chunking_of(&format!("rabbitmq-errors-{number}"), Side::Client, |replay| {
            let told = replay.events.iter().any(|event| {
                matches!(event, Event::SessionEnded { error: Some(error), .. } if error.condition == condition)
            });
            assert!(told, "{number}: {:?}", replay.events);
        });
    };
    // The first one declares a queue for the others.
    for number in [2, 3, 7] {
        ended(number, condition::NOT_FOUND);
    }
    for number in [4, 5, 6] {
        ended(number, condition::NOT_IMPLEMENTED);
    }
    each_chunking_of("proton-refused", Side::Client, |replay| {
        let told = replay.events.iter().any(|event| {
            matches!(event, Event::LinkDetached { closed: true, error: Some(error), .. }
                if error.condition == condition::NOT_FOUND)
        });
        assert!(told, "{:?}", replay.events);
    });
}

#[test]
fn rabbitmq_demands_sasl_and_the_right_password() {
    let reason = |replay: &Replay| match replay.events.as_slice() {
        [Event::Disconnected(reason)] => reason.to_string(),
        events => panic!("{events:?}"),
    };
    each_chunking_of("rabbitmq-bare-header", Side::Client, |replay| {
        assert!(reason(replay).contains("SASL"), "{}", reason(replay));
    });
    each_chunking_of("rabbitmq-wrong-password", Side::Client, |replay| {
        assert!(reason(replay).starts_with("authentication failed: wrong credentials"), "{}", reason(replay));
    });
}
