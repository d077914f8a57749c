//! An engine with two sessions and a link of each role on either.

use std::ops::{Deref, DerefMut};

use amqp1_engine::{
    DeliveryId, Event, LinkConfig, LinkId, Serial, SessionConfig, SessionId,
    codec::Symbol,
    types::{Attach, Begin, DeliveryState, Flow, Handle, Performative, Role},
};
use bytes::Bytes;

use crate::{
    Frame, IntoFrame, Memory, Peer, expect,
    script::{begin, first, flow, settled},
};

/// A scripted peer, and an engine that has begun two sessions and attached two links on each.
///
/// What fails on the first session, whose numbers are [`NEAR`], must leave the other, [`FAR`], as it is: see
/// [`far_is_fine`](Self::far_is_fine).
#[derive(Debug)]
pub struct Linked {
    peer: Peer<Memory>,
    /// The session that a test is about.
    pub session: SessionId,
    /// Its link on which the engine sends.
    pub sender: LinkId,
    /// Its link on which the engine receives.
    pub receiver: LinkId,
    /// A link of the other session, on which the engine receives.
    pub far_receiver: LinkId,
    /// Messages that have passed there.
    far_deliveries: u32,
    /// The engine's first transfer-id on the session that a test is about.
    next_outgoing_id: Serial,
}

/// The numbers of a session and its links. The peer's differ from the engine's, so that they cannot be mixed up.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// The engine's channel.
    pub engine: u16,
    /// The peer's channel.
    pub peer: u16,
    /// The engine's handle of its sender.
    pub engine_sender: u32,
    /// The engine's handle of its receiver.
    pub engine_receiver: u32,
    /// The peer's handle of the link on which the engine sends.
    pub peer_receiver: u32,
    /// The peer's handle of the link on which the engine receives.
    pub peer_sender: u32,
}

/// The session that a test is about.
pub const NEAR: Numbers =
    Numbers { engine: 0, peer: 3, engine_sender: 0, engine_receiver: 1, peer_receiver: 7, peer_sender: 8 };

/// The session beside it.
pub const FAR: Numbers =
    Numbers { engine: 1, peer: 4, engine_sender: 0, engine_receiver: 1, peer_receiver: 17, peer_sender: 18 };

/// The peer's first transfer-id.
pub const NEXT_OUTGOING: u32 = 1_000;
/// The peer's windows.
pub const WINDOW: u32 = 2_048;
/// The delivery-count with which the peer's senders start.
pub const INITIAL_COUNT: u32 = 100;

impl Linked {
    /// Begins the sessions and attaches the links of an engine whose connection is open.
    ///
    /// # Panics
    ///
    /// When the engine does anything unexpected.
    #[must_use]
    #[track_caller]
    pub fn new(peer: Peer<Memory>) -> Self {
        Self::with(peer, SessionConfig::default(), |link| link)
    }

    /// As [`new`](Self::new), with settings of the session and the links that a test is about.
    ///
    /// # Panics
    ///
    /// When the engine does anything unexpected.
    #[must_use]
    #[track_caller]
    pub fn with(
        mut peer: Peer<Memory>,
        config: SessionConfig,
        adapt: impl Fn(LinkConfig) -> LinkConfig,
    ) -> Self {
        let next_outgoing_id = config.next_outgoing_id;
        let (session, sender, receiver) = begun(&mut peer, NEAR, config, adapt);
        let (_, _, far_receiver) = begun(&mut peer, FAR, SessionConfig::default(), |link| link);
        peer.silent();
        peer.no_event();
        Self { peer, session, sender, receiver, far_receiver, far_deliveries: 0, next_outgoing_id }
    }

    /// What the peer says of the session: its windows, and the transfers it has seen and sent.
    #[must_use]
    pub fn flow(&self) -> Flow {
        Flow {
            next_incoming_id: Some(self.next_outgoing_id.plus(self.received_transfers(NEAR.engine))),
            ..flow(WINDOW, NEXT_OUTGOING + self.sent_transfers(NEAR.peer), WINDOW)
        }
    }

    /// What the peer says of the link on which the engine sends.
    #[must_use]
    pub fn link_flow(&self, delivery_count: u32, link_credit: u32) -> Flow {
        Flow {
            handle: Some(Handle(NEAR.peer_receiver)),
            delivery_count: Some(Serial::new(delivery_count)),
            link_credit: Some(link_credit),
            ..self.flow()
        }
    }

    /// The peer grants the engine's sender, which has sent nothing, this credit.
    ///
    /// # Panics
    ///
    /// When the engine does not tell of it.
    #[track_caller]
    pub fn grant(&mut self, credit: u32) {
        let count = self.engine_sender().local_attach().unwrap().initial_delivery_count.unwrap().get();
        let flow = self.link_flow(count, credit);
        self.send(flow.on(NEAR.peer));
        let sender = self.sender;
        self.expect_event(Event::LinkFlow(sender));
        self.expect_event(Event::Sendable(sender));
    }

    /// The engine's receiver grants this credit.
    ///
    /// # Panics
    ///
    /// When the engine does not write the flow.
    #[track_caller]
    pub fn credit(&mut self, credit: u32) {
        self.engine_receiver().set_credit(credit);
        let handle = Handle(NEAR.engine_receiver);
        expect!(self, Flow { handle: Some(at), link_credit: Some(to), .. } if (at, to) == (handle, credit));
    }

    /// The engine's sender.
    ///
    /// # Panics
    ///
    /// When it is gone.
    #[track_caller]
    pub fn engine_sender(&mut self) -> amqp1_engine::Sender<'_> {
        let sender = self.sender;
        self.engine().sender(sender).expect("the link is there")
    }

    /// The engine's receiver.
    ///
    /// # Panics
    ///
    /// When it is gone.
    #[track_caller]
    pub fn engine_receiver(&mut self) -> amqp1_engine::Receiver<'_> {
        let receiver = self.receiver;
        self.engine().receiver(receiver).expect("the link is there")
    }

    /// The session.
    ///
    /// # Panics
    ///
    /// When it is gone.
    #[track_caller]
    pub fn engine_session(&mut self) -> amqp1_engine::Session<'_> {
        let session = self.session;
        self.engine().session(session).expect("the session is there")
    }

    /// The event that comes next is of a delivery: gives it, with what has arrived of it.
    ///
    /// # Panics
    ///
    /// When the event is another one.
    #[track_caller]
    pub fn delivery(&mut self) -> (DeliveryId, Bytes) {
        match self.event() {
            Some(Event::Delivery(id)) => {
                let mut receiver = self.engine().receiver(id.link()).expect("the link is there");
                let payload = receiver.take(id).expect("told of by an event").into_bytes();
                (id, payload)
            }
            other => panic!("received {other:?}, expected a delivery"),
        }
    }

    /// Expects that the engine ends the session with this condition, and that the other goes on.
    ///
    /// # Panics
    ///
    /// When it does anything else.
    #[track_caller]
    pub fn ends_with(&mut self, condition: &Symbol) {
        self.peer.ends_with(NEAR.engine, condition);
        self.far_is_fine();
    }

    /// Expects that the engine closes its link of this handle with this condition, and that its session and the other
    /// go on.
    ///
    /// # Panics
    ///
    /// When it does anything else.
    #[track_caller]
    pub fn detaches_with(&mut self, handle: u32, condition: &Symbol) {
        self.peer.detaches_with(NEAR.engine, handle, condition);
        self.session_is_fine();
        self.far_is_fine();
    }

    /// Checks that the other session goes on: a message arrives there and is accepted.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn far_is_fine(&mut self) {
        let (receiver, id) = (self.far_receiver, self.far_deliveries);
        self.far_deliveries += 1;
        self.engine().receiver(receiver).expect("the link is there").set_credit(1);
        let frame = self.expect_frame("Flow on the other session");
        assert_eq!(frame.channel, FAR.engine);
        self.send(first(FAR.peer_sender, id).on(FAR.peer).with("far"));
        let (delivery, payload) = self.delivery();
        assert_eq!((delivery.link(), &payload[..]), (receiver, &b"far"[..]));
        self.engine().receiver(receiver).expect("the link is there").accept(delivery).expect("not settled");
        self.expect(settled(Role::Receiver, id, DeliveryState::Accepted).on(FAR.engine));
        self.finish();
    }

    /// Checks that the session that the test is about goes on: it answers.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn session_is_fine(&mut self) {
        let flow = Flow { echo: true, ..self.flow() };
        self.send(flow.on(NEAR.peer));
        let frame = self.expect_frame("Flow of the session");
        assert!(matches!(frame.performative, Performative::Flow(_)), "{frame:?}");
        assert_eq!(frame.channel, NEAR.engine);
        self.finish();
    }

    /// Checks that nothing is left to say.
    ///
    /// # Panics
    ///
    /// When the engine has more to say.
    #[track_caller]
    pub fn finish(&mut self) {
        self.silent();
        self.no_event();
    }
}

impl Deref for Linked {
    type Target = Peer<Memory>;

    fn deref(&self) -> &Self::Target {
        &self.peer
    }
}

impl DerefMut for Linked {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.peer
    }
}

#[track_caller]
fn begun(
    peer: &mut Peer<Memory>,
    numbers: Numbers,
    config: SessionConfig,
    adapt: impl Fn(LinkConfig) -> LinkConfig,
) -> (SessionId, LinkId, LinkId) {
    let session = peer.engine().begin(config).expect("the connection is open");
    let channel = peer.expect_frame("Begin").channel;
    assert_eq!(channel, numbers.engine, "the lowest free channel is used");
    let remote_channel = Some(numbers.engine);
    let answer = Begin { remote_channel, ..begin(NEXT_OUTGOING, WINDOW, WINDOW) };
    peer.send(answer.on(numbers.peer));
    peer.expect_event(Event::SessionBegun(session));

    let mut endpoint = peer.engine().session(session).expect("it was begun");
    let config = adapt(LinkConfig::sender(format!("out {channel}"), "there"));
    let sender = endpoint.attach_sender(config).expect("the name is new");
    let config = adapt(LinkConfig::receiver(format!("in {channel}"), "there"));
    let receiver = endpoint.attach_receiver(config).expect("the name is new");
    answer_attach(peer, numbers, numbers.engine_sender, numbers.peer_receiver);
    peer.expect_event(Event::LinkAttached(sender));
    answer_attach(peer, numbers, numbers.engine_receiver, numbers.peer_sender);
    peer.expect_event(Event::LinkAttached(receiver));
    (session, sender, receiver)
}

/// Answers the attach that comes next as it asks.
#[track_caller]
fn answer_attach(peer: &mut Peer<Memory>, numbers: Numbers, ours: u32, theirs: u32) {
    let frame = peer.expect_frame("Attach");
    let Frame { channel, performative: Performative::Attach(attach), .. } = frame else {
        panic!("received {frame:?}, expected an attach");
    };
    assert_eq!((channel, attach.handle), (numbers.engine, Handle(ours)));
    let role = if attach.role == Role::Sender { Role::Receiver } else { Role::Sender };
    let answer = Attach {
        handle: Handle(theirs),
        role,
        initial_delivery_count: (role == Role::Sender).then_some(Serial::new(INITIAL_COUNT)),
        max_message_size: None,
        ..*attach
    };
    peer.send(answer.on(numbers.peer));
}
