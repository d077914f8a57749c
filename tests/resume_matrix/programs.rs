//! A program that sends messages, and one that takes them. Each outlives its connections and keeps of its link what a file
//! could keep: bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use amqp1_tests::End;
use amqp1_tests::prelude::*;

use amqp1_engine::{codec::Decode, message::Message};

/// What a link is to hold to (§2.6.12).
#[expect(clippy::enum_variant_names, reason = "so they are called")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarantee {
    AtMostOnce,
    AtLeastOnce,
    ExactlyOnce,
}

impl Guarantee {
    pub(crate) const ALL: [Self; 3] = [Self::AtMostOnce, Self::AtLeastOnce, Self::ExactlyOnce];

    const fn modes(self) -> (SenderSettleMode, ReceiverSettleMode) {
        match self {
            Self::AtMostOnce => (SenderSettleMode::Settled, ReceiverSettleMode::First),
            Self::AtLeastOnce => (SenderSettleMode::Unsettled, ReceiverSettleMode::First),
            Self::ExactlyOnce => (SenderSettleMode::Unsettled, ReceiverSettleMode::Second),
        }
    }

    fn of(self, link: LinkConfig) -> LinkConfig {
        let (snd_settle_mode, rcv_settle_mode) = self.modes();
        LinkConfig { snd_settle_mode, rcv_settle_mode, ..link }
    }
}

/// Messages by number; the one in the middle takes several frames.
pub(crate) const MESSAGES: u8 = 5;

pub(crate) fn message(number: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let body = vec![number; if number == 2 { 1_200 } else { 20 }];
    Message::from(body).with_property("number", u32::from(number)).encode(&mut bytes);
    bytes
}

fn number_of(bytes: &[u8]) -> u8 {
    let number = *bytes.last().expect("a message has a body");
    assert_eq!(bytes, message(number), "a message arrives as it was sent");
    number
}

/// Loads what was kept of a link: its settings for the next attach.
fn load(state: &[u8], role: Role) -> Option<LinkConfig> {
    if state.is_empty() {
        return None;
    }
    let state = TerminusState::decode(state).expect("it was kept as it was given");
    assert_eq!(state.role, role);
    Some(state.config)
}

fn keep(state: &mut Vec<u8>, of_link: Option<TerminusState>) {
    if let Some(of_link) = of_link {
        state.clear();
        of_link.encode(state);
    }
}

/// How many deliveries are named there.
fn named(state: &[u8]) -> usize {
    if state.is_empty() {
        return 0;
    }
    let state = TerminusState::decode(state).expect("it was kept as it was given");
    state.config.unsettled.map_or(0, |unsettled| unsettled.len())
}

/// Sends.
#[derive(Debug)]
pub(crate) struct Producer {
    guarantee: Guarantee,
    /// Not sent yet.
    queue: VecDeque<u8>,
    /// Sent, and perhaps to be sent again.
    kept: BTreeMap<DeliveryTag, u8>,
    pub(crate) confirmed: BTreeSet<u8>,
    state: Vec<u8>,
    link: Option<LinkId>,
    /// What it was told to do with deliveries.
    pub(crate) seen: BTreeSet<&'static str>,
}

impl Producer {
    pub(crate) fn new(guarantee: Guarantee) -> Self {
        Self {
            guarantee,
            queue: (0..MESSAGES).collect(),
            kept: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            state: Vec::new(),
            link: None,
            seen: BTreeSet::new(),
        }
    }

    pub(crate) fn connected(&mut self, engine: &mut End) {
        engine.open();
        let session = engine.begin(SessionConfig::default()).unwrap();
        let new = || self.guarantee.of(LinkConfig::sender("link", "there"));
        let config = load(&self.state, Role::Sender).unwrap_or_else(new);
        self.link = Some(engine.session(session).unwrap().attach_sender(config).unwrap());
    }

    /// The connection is gone, or to be left.
    pub(crate) fn disconnected(&mut self, engine: &mut End) {
        let link = self.link.take().unwrap();
        keep(&mut self.state, engine.sender(link).ok().and_then(|sender| sender.terminus_state()));
    }

    pub(crate) fn on_event(&mut self, engine: &mut End, event: Event) {
        match event {
            Event::LinkAttached(link) | Event::Sendable(link) => match self.go_on(engine, link) {
                Ok(()) | Err(SendError::Blocked(_) | SendError::Misuse(Misuse::ConnectionClosed)) => {}
                Err(error) => panic!("{error}"),
            },
            Event::Updated(id) => {
                let mut sender = engine.sender(id.link()).unwrap();
                let delivery = sender.delivery(id).unwrap();
                let (tag, state) = (*delivery.tag(), delivery.remote_state().cloned());
                match state {
                    Some(DeliveryState::Received(_)) => {}
                    // Written down first, told then: the receiver forgets it.
                    outcome => {
                        self.confirm(&tag, outcome);
                        sender.settle(id, Some(DeliveryState::Accepted)).unwrap();
                    }
                }
            }
            _ => {}
        }
    }

    fn go_on(&mut self, engine: &mut End, link: LinkId) -> Result<(), SendError> {
        for (tag, resumption) in engine.sender(link)?.unresolved() {
            let mut sender = engine.sender(link)?;
            let number = self.kept.get(&tag).copied();
            match resumption {
                Resumption::Wait => continue,
                Resumption::Resend | Resumption::Resume(_) => {
                    sender.resume(tag, message(number.expect("what is not confirmed is kept")))?;
                }
                Resumption::Settle(ref outcome) | Resumption::Forget(ref outcome) => {
                    self.confirm(&tag, Some(outcome.clone()));
                    sender.resolve(tag)?;
                }
                ref other => panic!("{other:?}"),
            }
            self.seen.insert(match resumption {
                Resumption::Resend => "resend",
                Resumption::Resume(point) if point == Received::new(0, 0) => "resume from the start",
                Resumption::Resume(_) => "resume",
                Resumption::Settle(_) => "settle",
                _ => "forget",
            });
        }
        while let Some(&number) = self.queue.front() {
            let settled = self.guarantee == Guarantee::AtMostOnce;
            let tag = tag([number]);
            engine.sender(link)?.send(tag, settled, message(number))?;
            self.queue.pop_front();
            if settled {
                self.confirmed.insert(number);
            } else {
                self.kept.insert(tag, number);
            }
        }
        Ok(())
    }

    fn confirm(&mut self, tag: &DeliveryTag, outcome: Option<DeliveryState>) {
        assert_eq!(outcome, Some(DeliveryState::Accepted));
        if let Some(number) = self.kept.remove(tag) {
            assert!(self.confirmed.insert(number), "{number} was confirmed before");
        }
    }

    /// How many deliveries it does not know the end of.
    pub(crate) fn unsettled(&self) -> usize {
        assert_eq!(named(&self.state), self.kept.len());
        self.kept.len()
    }
}

/// Takes.
#[derive(Debug)]
pub(crate) struct Consumer {
    guarantee: Guarantee,
    /// Whether it keeps a message that has arrived in part.
    keeps_parts: bool,
    parts: BTreeMap<DeliveryTag, Vec<u8>>,
    arriving: Option<DeliveryId>,
    /// In the order of their arrival.
    pub(crate) processed: Vec<u8>,
    state: Vec<u8>,
    link: Option<LinkId>,
}

impl Consumer {
    pub(crate) fn new(guarantee: Guarantee, keeps_parts: bool) -> Self {
        Self {
            guarantee,
            keeps_parts,
            parts: BTreeMap::new(),
            arriving: None,
            processed: Vec::new(),
            state: Vec::new(),
            link: None,
        }
    }

    pub(crate) fn disconnected(&mut self, engine: &mut End) {
        if let Some(link) = self.link.take() {
            keep(&mut self.state, engine.receiver(link).ok().and_then(|receiver| receiver.terminus_state()));
        }
    }

    pub(crate) fn on_event(&mut self, engine: &mut End, event: Event) {
        match event {
            Event::Opened => engine.open(),
            Event::SessionBegun(session) => {
                // A transfer at a time, so that it sees the parts of a message before the connection is lost.
                let incoming_window = if self.keeps_parts { 1 } else { 100 };
                let config = SessionConfig { incoming_window, ..SessionConfig::default() };
                engine.session(session).unwrap().accept(config).unwrap();
            }
            Event::LinkAttached(link) => {
                let new = || self.guarantee.of(LinkConfig::receiver("", "here"));
                let config = load(&self.state, Role::Receiver).unwrap_or_else(new);
                let mut receiver = engine.receiver(link).unwrap();
                if receiver.attach(config).is_ok() {
                    receiver.set_credit(10);
                    self.link = Some(link);
                }
            }
            Event::Delivery(id) => self.on_delivery(engine, id),
            Event::Updated(id) => {
                let mut receiver = engine.receiver(id.link()).unwrap();
                // The sender may have told an outcome, and then settled.
                let Ok(delivery) = receiver.delivery(id) else { return };
                let tag = *delivery.tag();
                receiver.settle(id).unwrap();
                self.parts.remove(&tag);
            }
            _ => {}
        }
    }

    fn on_delivery(&mut self, engine: &mut End, id: DeliveryId) {
        let mut receiver = engine.receiver(id.link()).unwrap();
        // One that was told of may have been lost with its connection.
        let Ok(delivery) = receiver.delivery(id) else { return };
        let (tag, is_complete) = (*delivery.tag(), delivery.is_complete());
        if !is_complete && !self.keeps_parts {
            return;
        }
        let part = self.parts.entry(tag).or_default();
        if self.arriving.replace(id) != Some(id) {
            let start = match delivery.remote_state() {
                Some(DeliveryState::Received(point)) => point.offset_in(part).expect("kept up to there"),
                _ => 0,
            };
            part.truncate(start);
        }
        part.extend(receiver.take(id).unwrap().into_bytes());
        if is_complete {
            self.processed.push(number_of(part));
            self.parts.remove(&tag);
            if self.guarantee != Guarantee::AtMostOnce {
                receiver.accept(id).unwrap();
            }
        } else if self.guarantee != Guarantee::AtMostOnce {
            receiver.update(id, DeliveryState::Received(Received::end_of(part))).unwrap();
        }
    }

    /// How many deliveries it does not know the end of.
    pub(crate) fn unsettled(&self) -> usize {
        named(&self.state)
    }
}
