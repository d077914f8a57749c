//! Two users who do what they like, over networks of every kind: neither engine ever finds fault with the other, the
//! auditor finds none with either, and no message is lost, doubled, changed or out of order.

use std::collections::BTreeMap;

use amqp1_tests::{End, prelude::*};

/// One of the two users, with what it knows.
#[derive(Default)]
struct User {
    name: &'static str,
    sessions: Vec<SessionId>,
    senders: Vec<LinkId>,
    receivers: Vec<LinkId>,
    /// Deliveries to accept, or the like, and to settle.
    received: Vec<DeliveryId>,
    updated: Vec<DeliveryId>,
    /// Bytes of deliveries that have come in part.
    parts: BTreeMap<(LinkId, u32), Vec<u8>>,
    /// How many messages were sent, by link name, and which of them in pieces that are not finished.
    sent: BTreeMap<String, u32>,
    started: BTreeMap<LinkId, (u32, usize)>,
    /// The last message that arrived, by link name.
    seen: BTreeMap<String, u32>,
    links: u32,
    tags: u32,
}

/// The byte of message `number` at `place`.
fn byte(number: u32, place: usize) -> u8 {
    (number.wrapping_mul(31) as usize + place * 7) as u8
}

/// Message `number` of a link: its number, then bytes that follow from it.
fn message(number: u32, len: usize) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend((4..len.max(4)).map(|place| byte(number, place)));
    bytes
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> Option<T> {
    (!from.is_empty()).then(|| from[rng.below(from.len())])
}

impl User {
    fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Does something. What is refused is refused.
    fn act(&mut self, engine: &mut Connection, rng: &mut Rng) {
        self.tags += 1;
        let tag = tag(self.tags.to_be_bytes());
        let size = if rng.one_in(4) { rng.below(5_000) } else { rng.below(100) } + 4;
        match rng.below(40) {
            0 => self.sessions.extend(engine.begin(SessionConfig {
                incoming_window: [1, 3, 50, 2_048][rng.below(4)],
                next_outgoing_id: Serial::new(rng.draw() as u32),
                ..SessionConfig::default()
            })),
            1..=3 => self.attach(engine, rng),
            4..=15 => self.send(engine, rng, tag, size),
            16..=18 => self.start(engine, rng, tag, size),
            19..=21 => self.write(engine, rng, size),
            22..=27 => {
                let Some(Ok(mut receiver)) = pick(rng, &self.receivers).map(|link| engine.receiver(link))
                else {
                    return;
                };
                match rng.below(8) {
                    0 => receiver.drain(),
                    1 => receiver.set_credit(0),
                    _ => receiver.add_credit(rng.below(10) as u32),
                }
            }
            28..=33 => self.judge(engine, rng),
            34..=36 if !self.updated.is_empty() => {
                let id = self.updated.swap_remove(rng.below(self.updated.len()));
                let _ = engine.sender(id.link()).map(|mut sender| sender.settle(id, None));
            }
            37 => {
                let links = if rng.one_in(2) { &self.senders } else { &self.receivers };
                let Some(link) = pick(rng, links) else { return };
                close(engine, link, rng.one_in(2));
            }
            38 if rng.one_in(4) => {
                let Some(Ok(mut session)) = pick(rng, &self.sessions).map(|session| engine.session(session))
                else {
                    return;
                };
                let _ = session.end(None);
            }
            _ => {}
        }
    }

    fn attach(&mut self, engine: &mut Connection, rng: &mut Rng) {
        let Some(Ok(mut session)) = pick(rng, &self.sessions).map(|session| engine.session(session)) else {
            return;
        };
        self.links += 1;
        let name = format!("{} {}", self.name, self.links);
        let second = rng.one_in(4);
        let adapt = |link: LinkConfig| LinkConfig {
            rcv_settle_mode: if second { ReceiverSettleMode::Second } else { ReceiverSettleMode::First },
            initial_delivery_count: Serial::new(u32::MAX - 2),
            ..link
        };
        if rng.one_in(2) {
            self.senders.extend(session.attach_sender(adapt(LinkConfig::sender(name, "there"))));
        } else {
            self.receivers.extend(session.attach_receiver(adapt(LinkConfig::receiver(name, "there"))));
        }
    }

    fn send(&mut self, engine: &mut Connection, rng: &mut Rng, tag: DeliveryTag, size: usize) {
        let Some(link) = pick(rng, &self.senders) else { return };
        let Ok(mut sender) = engine.sender(link) else { return };
        let number = self.sent.entry(sender.name().to_owned()).or_default();
        if sender.send(tag, rng.one_in(2), message(*number, size)).is_ok() {
            *number += 1;
        }
    }

    fn start(&mut self, engine: &mut Connection, rng: &mut Rng, tag: DeliveryTag, size: usize) {
        let Some(link) = pick(rng, &self.senders) else { return };
        let Ok(mut sender) = engine.sender(link) else { return };
        let number = self.sent.entry(sender.name().to_owned()).or_default();
        if sender.start(tag, rng.one_in(2), 0, message(*number, size)).is_ok() {
            self.started.insert(link, (*number, size));
            *number += 1;
        }
    }

    fn write(&mut self, engine: &mut Connection, rng: &mut Rng, size: usize) {
        let Some(link) = pick(rng, &self.senders) else { return };
        let Ok(mut sender) = engine.sender(link) else { return };
        let Some((number, len)) = self.started.get_mut(&link) else { return };
        let over = match rng.below(4) {
            0 => sender.finish().is_ok(),
            1 => sender.abort().is_ok(),
            _ => {
                let piece: Vec<_> = (*len..*len + size).map(|place| byte(*number, place)).collect();
                if sender.write(piece).is_ok() {
                    *len += size;
                }
                false
            }
        };
        if over {
            self.started.remove(&link);
        }
    }

    /// Settles a delivery that has come, or says something of it.
    fn judge(&mut self, engine: &mut Connection, rng: &mut Rng) {
        if self.received.is_empty() {
            return;
        }
        let id = self.received.swap_remove(rng.below(self.received.len()));
        let Ok(mut receiver) = engine.receiver(id.link()) else { return };
        let _ = match rng.below(6) {
            0 => receiver.release(id),
            1 => receiver.reject(id, None),
            2 => receiver.modify(id, Modified::default()),
            3 => receiver.settle(id),
            _ => receiver.accept(id),
        };
        // Where the receiver settles second it waits for the sender.
        if receiver.delivery(id).is_ok() {
            self.received.push(id);
        }
    }

    /// Looks at one event: whether there was one.
    fn look(&mut self, end: &mut End) -> bool {
        let Some(event) = end.event() else { return false };
        match event {
            Event::Violated(violation) => panic!("the {} finds fault: {violation}", self.name),
            Event::SessionBegun(id) => {
                // Our own were listed when they were begun.
                let accepted = end.session(id).unwrap().accept(SessionConfig::default());
                self.sessions.extend(accepted.map(|()| id));
            }
            Event::SessionEnded { session, .. } => {
                let _ = end.session(session).map(|mut session| session.end(None));
            }
            Event::LinkAttached(link) => {
                if let Ok(mut receiver) = end.receiver(link) {
                    if receiver.attach(LinkConfig::receiver("", "here")).is_ok() {
                        self.receivers.push(link);
                    }
                } else if let Ok(mut sender) = end.sender(link)
                    && sender.attach(LinkConfig::sender("", "here")).is_ok()
                {
                    self.senders.push(link);
                }
            }
            Event::LinkDetached { link, closed, .. } => {
                self.started.remove(&link);
                close(end, link, closed);
            }
            Event::Drain(link) => {
                let _ = end.sender(link).map(|mut sender| sender.drained());
            }
            Event::Delivery(id) => self.take(end, id),
            Event::Aborted(id) => {
                self.parts.remove(&(id.link(), id.number().get()));
                self.received.retain(|other| *other != id);
            }
            Event::Updated(id) if end.role(id.link()) == Ok(Role::Sender) => self.updated.push(id),
            _ => {}
        }
        true
    }

    fn take(&mut self, engine: &mut Connection, id: DeliveryId) {
        let Ok(mut receiver) = engine.receiver(id.link()) else { return };
        let Ok(delivery) = receiver.delivery(id) else { return };
        let (complete, settled) = (delivery.is_complete(), delivery.is_remotely_settled());
        let name = receiver.name().to_owned();
        let part = self.parts.entry((id.link(), id.number().get())).or_default();
        for chunk in receiver.take(id).unwrap().chunks() {
            part.extend_from_slice(chunk);
        }
        if !complete {
            return;
        }
        let bytes = self.parts.remove(&(id.link(), id.number().get())).unwrap();
        let number = u32::from_be_bytes(*bytes.first_chunk().expect("a message begins with its number"));
        assert_eq!(bytes, message(number, bytes.len()), "message {number} of {name} has changed");
        let before = self.seen.insert(name.clone(), number);
        assert!(before.is_none_or(|before| before < number), "{name}: message {number} after {before:?}");
        if !settled {
            self.received.push(id);
        }
    }
}

fn close(engine: &mut Connection, link: LinkId, closed: bool) {
    if let Ok(mut sender) = engine.sender(link) {
        let _ = if closed { sender.close(None) } else { sender.detach() };
    } else if let Ok(mut receiver) = engine.receiver(link) {
        let _ = if closed { receiver.close(None) } else { receiver.detach() };
    }
}

/// Prints the seed when a run fails.
struct Seed(u64, Net);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} over {:?}", self.0, self.1);
        }
    }
}

/// Frames of any size, and sometimes limits so tight that they are met all the time.
fn adapt(mut config: Config, rng: &mut Rng) -> Config {
    config.max_frame_size = [512, 600, 4_096, 128 * 1024][rng.below(4)];
    if rng.one_in(3) {
        config.limits.events = 4;
        config.limits.output_high_water = 2_000;
        config.limits.output_stop_reading = 4_000;
    }
    config
}

fn play(seed: u64, net: Net) {
    let _seed = Seed(seed, net);
    let mut rng = Rng::new(seed);
    let client = adapt(Config::client("client"), &mut rng);
    let server = adapt(Config::server("server"), &mut rng);
    let mut pair = Pair::with(client, server, net);
    pair.open();
    let mut users = [User::new("client"), User::new("server")];
    for _ in 0..400 {
        if rng.one_in(2) {
            users[0].act(&mut pair.client, &mut rng);
        } else {
            users[1].act(&mut pair.server, &mut rng);
        }
        if rng.one_in(3) {
            pair.steps(rng.below(6));
        }
        if rng.one_in(20) {
            pair.run();
        }
        for _ in 0..rng.below(3) {
            users[0].look(&mut pair.client);
            users[1].look(&mut pair.server);
        }
    }
    // Both come to an end, politely.
    pair.client.close(None);
    // An engine that has made room reads on: twice nothing is the end.
    let mut idle = 0;
    while idle < 2 {
        pair.run();
        let looked = [users[0].look(&mut pair.client), users[1].look(&mut pair.server)];
        if pair.server.state() == ConnectionState::CloseReceived {
            pair.server.close(None);
        }
        idle = if looked == [false, false] { idle + 1 } else { 0 };
    }
    pair.run();
    assert!(pair.client.is_done() && pair.server.is_done());
    // What arrived was sent; how much of it depends on when the links were closed.
    for [here, there] in [[0, 1], [1, 0]] {
        for (name, last) in &users[here].seen {
            let sent = users[there].sent.get(name).copied().unwrap_or(0);
            assert!(*last < sent, "message {last} of {name} was never sent");
        }
    }
}

#[test]
fn two_users_who_do_what_they_like() {
    let times = std::env::var("AMQP1_CASES").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let first = std::env::var("AMQP1_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for seed in first..first + 60 * times {
        play(seed, Net::Whole);
        play(seed, Net::Bytes);
        play(seed, Net::Rough(seed));
    }
}
