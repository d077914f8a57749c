//! Both ends of links in one process, wired memory to memory: what the protocol itself costs.

use std::{collections::VecDeque, io::IoSlice};

use amqp1_engine::{
    Blocked, Config, Connection, DeliveryId, Event, Instant, LinkConfig, LinkId, SendError, SessionConfig,
    codec::Encode,
    message::{BodyRef, Message, MessageView},
    types::{DeliveryState, DeliveryTag, SenderSettleMode},
};
use bytes::{Buf, Bytes, BytesMut};

/// What a socket would take or give at once.
const SOCKET: usize = 64 * 1024;
/// What a driver gives a vectored write.
const SLICES: usize = 64;

/// What is sent, and how.
#[derive(Debug, Clone)]
pub struct Work {
    /// Messages.
    pub count: u64,
    /// Bytes of the one data section of each.
    pub size: usize,
    /// Credit of each link; topped up when half of it is used.
    pub credit: u32,
    /// Whether the sender settles before it sends.
    pub settled: bool,
    /// Whether the message is encoded once and handed over as bytes, and not decoded on arrival.
    pub raw: bool,
    /// Links, which take turns.
    pub links: u32,
    /// Messages of one turn, where the link takes so many.
    pub turn: u64,
    /// Deliveries that the receiver leaves unsettled; of more it settles the oldest.
    pub unsettled: usize,
    /// The largest frame that either end takes, in bytes.
    pub max_frame_size: u32,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            count: 20_000,
            size: 100,
            credit: 1000,
            settled: false,
            raw: false,
            links: 1,
            turn: u64::MAX,
            unsettled: 0,
            max_frame_size: Config::client("").max_frame_size,
        }
    }
}

impl Work {
    fn config(&self, mut config: Config) -> Config {
        config.max_frame_size = self.max_frame_size;
        config.limits.unsettled += self.unsettled;
        config.session = self.session();
        config
    }

    fn session(&self) -> SessionConfig {
        SessionConfig { handle_max: self.links, ..SessionConfig::default() }
    }
}

/// Both ends, and the wire between them.
pub struct Duplex {
    sender: SendingEnd,
    receiver: ReceivingEnd,
    to_sender: BytesMut,
    to_receiver: BytesMut,
    count: u64,
    settled: bool,
    /// Passes in a row in which nothing moved.
    idle: u32,
}

impl Duplex {
    /// Both ends before their first byte.
    #[must_use]
    pub fn new(work: &Work) -> Self {
        Self {
            sender: SendingEnd::new(work),
            receiver: ReceivingEnd::new(work),
            to_sender: BytesMut::new(),
            to_receiver: BytesMut::new(),
            count: work.count,
            settled: work.settled,
            idle: 0,
        }
    }

    /// Lets each end act once, and moves to the other what a socket would take: whether there is more to do.
    pub fn pass(&mut self) -> bool {
        self.sender.act();
        let mut moved =
            shovel(&mut self.sender.connection, &mut self.receiver.connection, &mut self.to_receiver);
        self.receiver.act();
        moved |= shovel(&mut self.receiver.connection, &mut self.sender.connection, &mut self.to_sender);
        self.idle = if moved { 0 } else { self.idle + 1 };
        self.idle < 3 && self.done() < self.count
    }

    /// Messages that are done with: accepted, or where the sender settles them received.
    #[must_use]
    pub const fn done(&self) -> u64 {
        if self.settled { self.receiver.received } else { self.sender.acked }
    }

    /// Messages sent.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sender.sent
    }

    /// Messages whose acceptance has arrived at the sender.
    #[must_use]
    pub const fn acked(&self) -> u64 {
        self.sender.acked
    }

    /// Messages received.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.receiver.received
    }

    /// Bytes received: of bodies, or of whole messages where they are not decoded.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.receiver.bytes
    }
}

/// Moves what one side has to write to the other, no more than a socket takes: whether there was anything.
fn shovel(from: &mut Connection, to: &mut Connection, wire: &mut BytesMut) -> bool {
    let Some(mut transmit) = from.poll_transmit(Instant::ZERO) else { return false };
    wire.reserve(SOCKET);
    let mut room = SOCKET;
    while room > 0 && transmit.has_remaining() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = transmit.chunks_vectored(&mut slices);
        let before = room;
        for slice in &slices[..filled] {
            let step = slice.len().min(room);
            wire.extend_from_slice(&slice[..step]);
            room -= step;
        }
        transmit.advance(before - room);
    }
    to.handle_input(wire, Instant::ZERO);
    true
}

struct SendingEnd {
    connection: Connection,
    count: u64,
    sent: u64,
    acked: u64,
    settled: bool,
    turn: u64,
    /// The links that take messages, the next one first.
    ready: VecDeque<LinkId>,
    /// The encoded message, where it is handed over as bytes.
    raw: Option<Bytes>,
    body: Bytes,
}

impl SendingEnd {
    fn new(work: &Work) -> Self {
        let body = Bytes::from(vec![b'x'; work.size]);
        let mut connection = Connection::new(work.config(Config::client("sender")), Instant::ZERO);
        connection.open();
        let session = connection.begin(work.session()).expect("the connection is new");
        for link in 0..work.links {
            let snd_settle_mode =
                if work.settled { SenderSettleMode::Settled } else { SenderSettleMode::Unsettled };
            let config =
                LinkConfig { snd_settle_mode, ..LinkConfig::sender(format!("bench-{link}"), "bench") };
            let mut session = connection.session(session).expect("the session is new");
            session.attach_sender(config).expect("the session has room for it");
        }
        let raw = work.raw.then(|| {
            let mut encoded = Vec::new();
            Message::new(body.clone()).encode(&mut encoded);
            encoded.into()
        });
        Self {
            connection,
            count: work.count,
            sent: 0,
            acked: 0,
            settled: work.settled,
            turn: work.turn,
            ready: VecDeque::new(),
            raw,
            body,
        }
    }

    fn act(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Sendable(link) => self.ready.push_back(link),
                Event::Updated(first) => self.settle(first),
                _ => {}
            }
        }
        while let Some(link) = self.ready.pop_front() {
            match self.send(link) {
                Ok(()) => self.ready.push_back(link),
                // Only this link waits; what else stops it stops all of them.
                Err(SendError::Blocked(Blocked::Credit)) => {}
                Err(_) => return,
            }
            if self.sent == self.count {
                return;
            }
        }
    }

    /// Sends what is the turn of a link.
    fn send(&mut self, link: LinkId) -> Result<(), SendError> {
        let mut sender = self.connection.sender(link)?;
        let mut batch = sender.batch()?;
        let end = self.count.min(self.sent.saturating_add(self.turn));
        while self.sent < end {
            let tag = DeliveryTag::from(self.sent);
            match &self.raw {
                Some(bytes) => batch.send(tag, self.settled, bytes.clone())?,
                None => batch.send_message(tag, self.settled, &Message::new(self.body.clone()))?,
            };
            self.sent += 1;
        }
        Ok(())
    }

    fn settle(&mut self, first: DeliveryId) {
        let acked = &mut self.acked;
        let taken = self.connection.take_updates(first, |update| {
            if update.settled && matches!(update.state, Some(DeliveryState::Accepted)) {
                *acked += 1;
            }
        });
        taken.expect("the link is not given up");
    }
}

struct ReceivingEnd {
    connection: Connection,
    session: SessionConfig,
    count: u64,
    credit: u32,
    raw: bool,
    unsettled: usize,
    /// Received and not yet settled, the oldest first.
    held: VecDeque<DeliveryId>,
    /// The links that have brought something in this pass, now and then one of them twice.
    received_on: Vec<LinkId>,
    received: u64,
    bytes: u64,
}

impl ReceivingEnd {
    fn new(work: &Work) -> Self {
        Self {
            connection: Connection::new(work.config(Config::server("receiver")), Instant::ZERO),
            session: work.session(),
            count: work.count,
            credit: work.credit,
            raw: work.raw,
            unsettled: if work.settled { 0 } else { work.unsettled },
            held: VecDeque::new(),
            received_on: Vec::new(),
            received: 0,
            bytes: 0,
        }
    }

    fn act(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Opened => self.connection.open(),
                Event::SessionBegun(id) => {
                    if let Ok(mut session) = self.connection.session(id) {
                        session.accept(self.session.clone()).expect("the peer waits for it");
                    }
                }
                Event::LinkAttached(id) => {
                    if let Ok(mut receiver) = self.connection.receiver(id) {
                        receiver.attach(LinkConfig::receiver("", "bench")).expect("the peer waits for it");
                        receiver.set_credit(self.credit);
                    }
                }
                Event::Delivery(first) => self.receive(first),
                _ => {}
            }
        }
        for link in self.received_on.drain(..) {
            let Ok(mut receiver) = self.connection.receiver(link) else { continue };
            let used = self.credit - receiver.credit();
            if used >= self.credit.div_ceil(2) {
                receiver.add_credit(used);
            }
        }
    }

    fn receive(&mut self, first: DeliveryId) {
        let Ok(mut deliveries) = self.connection.deliveries(first) else { return };
        while let Some(mut delivery) = deliveries.next() {
            if !delivery.is_complete() {
                continue;
            }
            let mut payload = delivery.take();
            let payload = payload.contiguous();
            self.bytes += if self.raw { payload.len() as u64 } else { body_len(payload) };
            self.received += 1;
            if self.unsettled == 0 {
                delivery.accept().expect("it is complete");
            } else {
                self.held.push_back(delivery.id());
            }
        }
        drop(deliveries);
        self.received_on.push(first.link());
        self.settle_oldest();
    }

    /// Accepts what is held beyond what is to be left; at the end all of it.
    fn settle_oldest(&mut self) {
        let left = if self.received == self.count { 0 } else { self.unsettled };
        while self.held.len() > left {
            let Some(id) = self.held.pop_front() else { return };
            if let Ok(mut receiver) = self.connection.receiver(id.link()) {
                receiver.accept(id).expect("it is held");
            }
        }
    }
}

/// The length of the data of a message; 0 when it is none.
fn body_len(message: &[u8]) -> u64 {
    match MessageView::scan(message).map(|message| message.body()) {
        Ok(BodyRef::Data(data)) => data.iter().map(|part| part.len() as u64).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ends after all that was asked for.
    fn run(work: &Work) -> Duplex {
        let mut duplex = Duplex::new(work);
        while duplex.pass() {}
        duplex
    }

    #[test]
    fn every_form_of_the_work_is_done() {
        let form = Work { count: 3_000, ..Work::default() };
        for work in [
            form.clone(),
            Work { settled: true, ..form.clone() },
            Work { raw: true, credit: 1, ..form.clone() },
            Work { turn: 1, ..form.clone() },
            Work { links: 2_000, turn: 1, credit: 3, ..form.clone() },
            Work { unsettled: 1, ..form.clone() },
            Work { unsettled: 2_500, links: 7, turn: 5, ..form.clone() },
            Work { size: 5_000, max_frame_size: 512, ..form },
        ] {
            let duplex = run(&work);
            let acked = if work.settled { 0 } else { work.count };
            assert_eq!((duplex.sent(), duplex.acked(), duplex.received()), (3_000, acked, 3_000), "{work:?}");
            assert!(duplex.bytes() >= 3_000 * work.size as u64, "{work:?}");
        }
    }
}
