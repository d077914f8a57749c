//! Both ends of a link in one process, wired memory to memory: what the protocol itself costs.
//!
//! `engine --count N --size B --credit C --settled 0|1 --mode raw|msg`. In mode `raw` the message is encoded once and
//! handed over as bytes, and is not decoded on arrival; in mode `msg` it is encoded for each send and decoded on
//! each arrival.

use std::{process::ExitCode, time::Instant as Clock};

use amqp1_benches::{Args, Report, finish};
use amqp1_engine::{
    Config, Connection, DeliveryId, Event, Instant, LinkConfig, LinkId, SessionConfig,
    codec::Encode,
    message::{BodyRef, Message, MessageView},
    types::{DeliveryState, DeliveryTag, SenderSettleMode},
};
use bytes::{Buf, Bytes, BytesMut};

/// What a socket would take or give at once.
const SOCKET: usize = 64 * 1024;

fn main() -> ExitCode {
    finish(run(&Args::from_env()))
}

fn run(args: &Args) -> Result<bool, String> {
    let settled = args.parse("--settled", 0_u8)? != 0;
    let raw = match args.get("--mode") {
        Some("raw") => true,
        Some("msg") | None => false,
        Some(other) => return Err(format!("--mode: cannot use {other:?}, only raw and msg")),
    };
    let size = args.parse("--size", 100)?;
    let count = args.parse("--count", 20_000)?;
    let credit = args.parse("--credit", 1000)?;
    let mut sender = SendingEnd::new(count, size, settled, raw);
    let mut receiver = ReceivingEnd::new(credit, raw);

    let mut start = None;
    let (mut to_sender, mut to_receiver) = (BytesMut::new(), BytesMut::new());
    let mut idle = 0;
    while idle < 3 && (if settled { receiver.received } else { sender.acked }) < count {
        sender.act();
        if start.is_none() && sender.sent > 0 {
            start = Some(Clock::now());
        }
        let mut moved = shovel(&mut sender.connection, &mut receiver.connection, &mut to_receiver);
        receiver.act();
        moved |= shovel(&mut receiver.connection, &mut sender.connection, &mut to_sender);
        idle = if moved { 0 } else { idle + 1 };
    }
    let nanos = start.map_or(0.0, |start| start.elapsed().as_secs_f64() * 1e9);
    Report::new()
        .number("sent", sender.sent)
        .number("acked", sender.acked)
        .number("received", receiver.received)
        .number("bytes", receiver.bytes)
        .fraction("ns_per_message", nanos / count as f64, 1)
        .print();
    Ok(receiver.received == count && (settled || sender.acked == count))
}

/// Moves what one side has to write to the other, one socket buffer at a time: whether there was anything.
fn shovel(from: &mut Connection, to: &mut Connection, wire: &mut BytesMut) -> bool {
    let mut moved = false;
    while let Some(mut transmit) = from.poll_transmit(Instant::ZERO) {
        wire.reserve(SOCKET);
        let mut room = SOCKET;
        while room > 0 && transmit.has_remaining() {
            let chunk = transmit.chunk();
            let step = chunk.len().min(room);
            wire.extend_from_slice(&chunk[..step]);
            transmit.advance(step);
            room -= step;
        }
        to.handle_input(wire, Instant::ZERO);
        moved = true;
        if room > 0 {
            break;
        }
    }
    moved
}

struct SendingEnd {
    connection: Connection,
    link: Option<LinkId>,
    count: u64,
    sent: u64,
    acked: u64,
    settled: bool,
    /// The encoded message, where it is handed over as bytes.
    raw: Option<Bytes>,
    body: Bytes,
}

impl SendingEnd {
    fn new(count: u64, size: usize, settled: bool, raw: bool) -> Self {
        let body = Bytes::from(vec![b'x'; size]);
        let mut connection = Connection::new(Config::client("sender"), Instant::ZERO);
        connection.open();
        let session = connection.begin(SessionConfig::default()).expect("the connection is new");
        let snd_settle_mode = if settled { SenderSettleMode::Settled } else { SenderSettleMode::Unsettled };
        let config = LinkConfig { snd_settle_mode, ..LinkConfig::sender("bench", "bench") };
        let link = connection.session(session).and_then(|mut session| session.attach_sender(config)).ok();
        let raw = raw.then(|| {
            let mut encoded = Vec::new();
            Message::new(body.clone()).encode(&mut encoded);
            encoded.into()
        });
        Self { connection, link, count, sent: 0, acked: 0, settled, raw, body }
    }

    fn act(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Sendable(link) => self.send(link),
                Event::Updated(id) => self.settle(id),
                _ => {}
            }
        }
    }

    fn send(&mut self, link: LinkId) {
        let Ok(mut sender) = self.connection.sender(link) else { return };
        while self.sent < self.count {
            let tag = DeliveryTag::from(self.sent);
            let result = match &self.raw {
                Some(bytes) => sender.send(tag, self.settled, bytes.clone()),
                None => sender.send_message(tag, self.settled, &Message::new(self.body.clone())),
            };
            if result.is_err() {
                return;
            }
            self.sent += 1;
        }
    }

    fn settle(&mut self, id: DeliveryId) {
        let Some(link) = self.link else { return };
        let Ok(mut sender) = self.connection.sender(link) else { return };
        if matches!(sender.settle(id, None), Ok(Some(DeliveryState::Accepted))) {
            self.acked += 1;
        }
    }
}

struct ReceivingEnd {
    connection: Connection,
    credit: u32,
    /// Deliveries since credit was granted last.
    used: u32,
    raw: bool,
    received: u64,
    bytes: u64,
}

impl ReceivingEnd {
    fn new(credit: u32, raw: bool) -> Self {
        let connection = Connection::new(Config::server("receiver"), Instant::ZERO);
        Self { connection, credit, used: 0, raw, received: 0, bytes: 0 }
    }

    fn act(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Opened => self.connection.open(),
                Event::SessionBegun(id) => {
                    if let Ok(mut session) = self.connection.session(id) {
                        session.accept(SessionConfig::default()).expect("the peer waits for it");
                    }
                }
                Event::LinkAttached(id) => {
                    if let Ok(mut receiver) = self.connection.receiver(id) {
                        receiver.attach(LinkConfig::receiver("", "bench")).expect("the peer waits for it");
                        receiver.set_credit(self.credit);
                    }
                }
                Event::Delivery(id) => self.receive(id),
                _ => {}
            }
        }
    }

    fn receive(&mut self, id: DeliveryId) {
        let Ok(mut delivery) = self.connection.delivery_mut(id) else { return };
        if !delivery.is_complete() {
            return;
        }
        let mut payload = delivery.take();
        let payload = payload.contiguous();
        self.bytes += if self.raw { payload.len() as u64 } else { body_len(payload) };
        self.received += 1;
        if delivery.accept().is_err() {
            return;
        }
        self.used += 1;
        if self.used >= self.credit.div_ceil(2)
            && let Ok(mut receiver) = self.connection.receiver(id.link())
        {
            receiver.add_credit(self.used);
            self.used = 0;
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
