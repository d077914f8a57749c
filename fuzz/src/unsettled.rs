//! Deliveries of a session and dispositions of ranges of them, against a map.

use std::collections::BTreeMap;

use amqp1_engine::{
    Config, Connection, DeliveryId, Event, Instant, LinkConfig, LinkId, Serial, SessionConfig, SessionId,
    codec::Encode,
    types::{DeliveryState, DeliveryTag, Disposition, Open, Role, Transfer},
};
use amqp1_tests::{
    Frame, IntoFrame,
    script::{attach, begin, flow, open},
};
use arbitrary::Arbitrary;
use bytes::{Buf, BytesMut};

const NOW: Instant = Instant::ZERO;

/// What happens to the deliveries of one direction.
#[derive(Arbitrary, Debug)]
pub struct Course {
    /// Whether the engine sends.
    sends: bool,
    /// The first delivery-id of the peer; the engine's is 0.
    first: u32,
    steps: Vec<Step>,
}

/// Numbers count deliveries from the first.
#[derive(Arbitrary, Debug)]
enum Step {
    /// So many more deliveries.
    Transfer { count: u8 },
    /// The peer tells of a range.
    Tell { first: u16, width: u16, settled: bool, accepted: Option<bool> },
    /// The same, of any ids.
    TellAny { first: u32, width: u32, settled: bool },
    /// The engine's user settles a range, as far as it can, from either end.
    Settle { first: u16, width: u8, backwards: bool },
}

/// What is known of one delivery.
#[derive(Debug, Default)]
struct Known {
    state: Option<DeliveryState>,
    settled: bool,
}

struct Deliveries {
    connection: Connection,
    session: SessionId,
    link: LinkId,
    sends: bool,
    first: Serial,
    /// How many there were.
    count: u32,
    ids: Vec<DeliveryId>,
    /// Those that are held, by how many there were before.
    held: BTreeMap<u32, Known>,
}

/// Carries the course out; whatever the engine holds, tells of and forgets is what the map says.
pub fn unsettled(course: &Course) {
    let first = if course.sends { 0 } else { course.first };
    let mut deliveries = Deliveries::begin(course.sends, Serial::new(first));
    for step in &course.steps {
        match *step {
            Step::Transfer { count } => deliveries.transfer(count),
            Step::Tell { first, width, settled, accepted } => {
                let state = accepted
                    .map(|accepted| if accepted { DeliveryState::Accepted } else { DeliveryState::Released });
                let first = deliveries.first.plus(first.into());
                deliveries.tell(first, width.into(), settled, state);
            }
            Step::TellAny { first, width, settled } => {
                deliveries.tell(Serial::new(first), width >> 1, settled, None);
            }
            Step::Settle { first, width, backwards } => {
                let range = u32::from(first)..u32::from(first) + u32::from(width);
                if backwards {
                    range.rev().for_each(|at| deliveries.settle(at));
                } else {
                    range.for_each(|at| deliveries.settle(at));
                }
            }
        }
        deliveries.write();
        let role = if course.sends { Role::Sender } else { Role::Receiver };
        let session = deliveries.connection.session(deliveries.session).expect("it is mapped");
        assert_eq!(session.unsettled(role), deliveries.held.len());
    }
    deliveries.check();
}

impl Deliveries {
    fn begin(sends: bool, first: Serial) -> Self {
        let mut connection = Connection::new(Config::client("fuzz"), NOW);
        connection.open();
        let session = connection.begin(SessionConfig::default()).expect("nothing was begun yet");
        let mut endpoint = connection.session(session).expect("it was begun");
        let link = if sends {
            endpoint.attach_sender(LinkConfig::sender("link", "q"))
        } else {
            endpoint.attach_receiver(LinkConfig::receiver("link", "q"))
        };
        let link = link.expect("no link has this name");
        let mut deliveries = Self {
            connection,
            session,
            link,
            sends,
            first,
            count: 0,
            ids: Vec::new(),
            held: BTreeMap::new(),
        };
        let role = if sends { Role::Receiver } else { Role::Sender };
        let window = u32::MAX >> 1;
        let mut answer = begin(first.get(), window, window);
        answer.remote_channel = Some(0);
        deliveries.hear(&b"AMQP\x00\x01\x00\x00"[..]);
        deliveries.hear(Frame::from(Open { max_frame_size: u32::MAX, ..open("peer") }).encode());
        deliveries.hear(Frame::from(answer).encode());
        deliveries.hear(Frame::from(attach("link", 0, role)).encode());
        if sends {
            let mut credit = flow(window, first.get(), window);
            credit.next_incoming_id = Some(Serial::new(0));
            credit.handle = Some(amqp1_engine::types::Handle(0));
            credit.delivery_count = Some(Serial::new(0));
            credit.link_credit = Some(window);
            deliveries.hear(Frame::from(credit).encode());
        } else {
            deliveries.connection.receiver(link).expect("it is attached").set_credit(window);
        }
        deliveries.write();
        while deliveries.connection.poll_event().is_some() {}
        deliveries
    }

    fn hear(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.handle_input(&mut BytesMut::from(bytes.as_ref()), NOW);
    }

    fn write(&mut self) {
        while let Some(mut transmit) = self.connection.poll_transmit(NOW) {
            transmit.advance(transmit.remaining());
        }
    }

    fn transfer(&mut self, count: u8) {
        let mut stream = Vec::new();
        for _ in 0..count {
            if self.held.len() >= self.connection.config().limits.unsettled {
                break;
            }
            let at = self.count;
            let tag = DeliveryTag::from(u64::from(at));
            if self.sends {
                let sent = self.connection.sender(self.link).expect("it is attached").send(tag, false, "m");
                self.ids.push(sent.expect("there is room for it"));
            } else {
                let id = Some(self.first.plus(at));
                let first = Transfer {
                    delivery_id: id,
                    delivery_tag: Some(tag),
                    message_format: Some(0),
                    ..Transfer::new(amqp1_engine::types::Handle(0))
                };
                stream.extend(first.with("m").encode());
            }
            self.held.insert(at, Known::default());
            self.count += 1;
        }
        self.hear(stream);
        while let Some(event) = self.connection.poll_event() {
            let Event::Delivery(id) = event else { panic!("{event:?}") };
            self.ids.push(id);
            self.connection.receiver(self.link).expect("it is attached").take(id).expect("it was told of");
        }
        self.write();
        assert_eq!(self.ids.len(), self.count as usize);
    }

    /// The peer's disposition of the deliveries from `first` on, and `width` behind it.
    fn tell(&mut self, first: Serial, width: u32, settled: bool, state: Option<DeliveryState>) {
        let role = if self.sends { Role::Receiver } else { Role::Sender };
        let last = Some(first.plus(width));
        let told = Disposition { last, settled, state: state.clone(), ..Disposition::new(role, first) };
        let mut bytes = Vec::new();
        told.encode(&mut bytes);
        self.hear(Frame::from(told).encode());
        let mut changed = Vec::new();
        for (at, known) in &mut self.held {
            // Ids are in the range or not, wherever on the circle it lies.
            if self.first.plus(*at).get().wrapping_sub(first.get()) <= width && !known.settled {
                known.settled = settled;
                // An outcome is final, and all that is told here is an outcome.
                known.state = known.state.take().or_else(|| state.clone());
                changed.push(Event::Updated(self.ids[*at as usize]));
            }
        }
        let events: Vec<_> = std::iter::from_fn(|| self.connection.poll_event()).collect();
        assert_eq!(events, changed);
        self.write();
    }

    fn settle(&mut self, at: u32) {
        let Some(&id) = self.ids.get(at as usize) else { return };
        let held = self.held.remove(&at).is_some();
        let settled = if self.sends {
            self.connection.sender(self.link).expect("it is attached").settle(id, None).map(drop)
        } else {
            self.connection.receiver(self.link).expect("it is attached").settle(id)
        };
        assert_eq!(settled.is_ok(), held, "{settled:?}");
    }

    fn check(&mut self) {
        assert_eq!(self.connection.poll_event(), None);
        for (at, id) in self.ids.iter().enumerate() {
            let known = self.held.get(&(at as u32)).map(|known| (known.settled, known.state.as_ref()));
            if self.sends {
                let sender = self.connection.sender(self.link).expect("it is attached");
                let found = sender.delivery(*id).ok();
                let found = found.map(|found| (found.is_remotely_settled(), found.remote_state()));
                assert_eq!(found, known);
            } else {
                let receiver = self.connection.receiver(self.link).expect("it is attached");
                let found = receiver.delivery(*id).ok();
                let found = found.map(|found| (found.is_remotely_settled(), found.remote_state()));
                assert_eq!(found, known);
            }
        }
    }
}
