//! Good streams: what a client writes in the course of a connection, drawn at random.

use amqp1_tests::{Splitter, prelude::*};
use bytes::Buf;
use proptest::prelude::*;

/// What the user of a client does next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Begin,
    AttachSender,
    AttachReceiver,
    Send { link: usize, size: usize, settled: bool },
    Start { link: usize, size: usize },
    Write { link: usize, size: usize },
    Finish { link: usize },
    Abort { link: usize },
    Credit { link: usize, credit: u32 },
    Drain { link: usize },
    Settle,
    Close { link: usize, closed: bool },
    End { session: usize },
}

/// Steps, as many as make a stream of some length.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let link = 0_usize..4;
    let size = prop_oneof![4 => 0_usize..200, 1 => 0_usize..3_000];
    let step = prop_oneof![
        1 => Just(Step::Begin),
        2 => Just(Step::AttachSender),
        1 => Just(Step::AttachReceiver),
        25 => (link.clone(), size.clone(), any::<bool>())
            .prop_map(|(link, size, settled)| Step::Send { link, size, settled }),
        6 => (link.clone(), size.clone()).prop_map(|(link, size)| Step::Start { link, size }),
        8 => (link.clone(), size).prop_map(|(link, size)| Step::Write { link, size }),
        6 => link.clone().prop_map(|link| Step::Finish { link }),
        1 => link.clone().prop_map(|link| Step::Abort { link }),
        3 => (link.clone(), 0_u32..20).prop_map(|(link, credit)| Step::Credit { link, credit }),
        1 => link.clone().prop_map(|link| Step::Drain { link }),
        3 => Just(Step::Settle),
        1 => (link, any::<bool>()).prop_map(|(link, closed)| Step::Close { link, closed }),
        1 => (0_usize..3).prop_map(|session| Step::End { session }),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Two engines on one clock that stands still, and no network: the client does the steps, the server obeys.
struct Course {
    client: Connection,
    server: Connection,
    /// All that the client has written.
    written: Vec<u8>,
    inputs: [BytesMut; 2],
    sessions: Vec<SessionId>,
    links: Vec<LinkId>,
    tags: u32,
    updated: Vec<DeliveryId>,
}

/// What a client writes when its user begins a session with three links, does these steps and closes, with a server
/// that obeys.
pub(crate) fn stream(steps: &[Step]) -> Vec<u8> {
    let server = Config { max_frame_size: 1_024, ..Config::server("server") };
    let mut course = Course {
        client: Connection::new(Config::client("client"), Instant::ZERO),
        server: Connection::new(server, Instant::ZERO),
        written: Vec::new(),
        inputs: [BytesMut::new(), BytesMut::new()],
        sessions: Vec::new(),
        links: Vec::new(),
        tags: 0,
        updated: Vec::new(),
    };
    course.client.open();
    course.run();
    let start = [Step::Begin, Step::AttachSender, Step::AttachReceiver, Step::AttachSender];
    for step in start.iter().chain(steps) {
        course.take(step);
        course.run();
    }
    course.client.close(None);
    course.run();
    course.written
}

impl Course {
    /// Refusals are part of the course: nobody is asked whether a step makes sense.
    fn take(&mut self, step: &Step) {
        let client = &mut self.client;
        let link = |link: &usize| self.links.get(*link % self.links.len().max(1)).copied();
        let last = self.sessions.last().copied();
        self.tags += 1;
        let tag = tag(self.tags.to_be_bytes());
        let name = format!("link {}", self.tags);
        match step {
            Step::Begin => self.sessions.extend(client.begin(SessionConfig::default())),
            Step::AttachSender => {
                let Some(Ok(mut session)) = last.map(|last| client.session(last)) else { return };
                self.links.extend(session.attach_sender(LinkConfig::sender(name, "there")));
            }
            Step::AttachReceiver => {
                let Some(Ok(mut session)) = last.map(|last| client.session(last)) else { return };
                self.links.extend(session.attach_receiver(LinkConfig::receiver(name, "there")));
            }
            Step::Send { link: at, size, settled } => {
                let Some(Ok(mut sender)) = link(at).map(|link| client.sender(link)) else { return };
                let _ = sender.send(tag, *settled, vec![7; *size]);
            }
            Step::Start { link: at, size } => {
                let Some(Ok(mut sender)) = link(at).map(|link| client.sender(link)) else { return };
                let _ = sender.start(tag, false, 0, vec![8; *size]);
            }
            Step::Write { link: at, size } => {
                let Some(Ok(mut sender)) = link(at).map(|link| client.sender(link)) else { return };
                let _ = sender.write(vec![9; *size]);
            }
            Step::Finish { link: at } => {
                let Some(Ok(mut sender)) = link(at).map(|link| client.sender(link)) else { return };
                let _ = sender.finish();
            }
            Step::Abort { link: at } => {
                let Some(Ok(mut sender)) = link(at).map(|link| client.sender(link)) else { return };
                let _ = sender.abort();
            }
            Step::Credit { link: at, credit } => {
                let Some(Ok(mut receiver)) = link(at).map(|link| client.receiver(link)) else { return };
                receiver.set_credit(*credit);
            }
            Step::Drain { link: at } => {
                let Some(Ok(mut receiver)) = link(at).map(|link| client.receiver(link)) else { return };
                receiver.drain();
            }
            Step::Settle => {
                for id in std::mem::take(&mut self.updated) {
                    if let Ok(mut sender) = client.sender(id.link()) {
                        let _ = sender.settle(id, None);
                    }
                }
            }
            Step::Close { link: at, closed } => {
                let Some(link) = link(at) else { return };
                if let Ok(mut sender) = client.sender(link) {
                    let _ = if *closed { sender.close(None) } else { sender.detach() };
                } else if let Ok(mut receiver) = client.receiver(link) {
                    let _ = if *closed { receiver.close(None) } else { receiver.detach() };
                }
            }
            Step::End { session } => {
                let session = self.sessions.get(*session % self.sessions.len().max(1));
                if let Some(Ok(mut session)) = session.map(|session| client.session(*session)) {
                    let _ = session.end(None);
                }
            }
        }
    }

    fn run(&mut self) {
        loop {
            let (out, back) = (drain(&mut self.client), drain(&mut self.server));
            while let Some(event) = self.client.poll_event() {
                if let Event::Updated(id) = event {
                    self.updated.push(id);
                }
            }
            if out.is_empty() && back.is_empty() {
                return;
            }
            self.written.extend_from_slice(&out);
            self.inputs[0].extend_from_slice(&out);
            self.server.handle_input(&mut self.inputs[0], Instant::ZERO);
            obey(&mut self.server, |_| {});
            self.inputs[1].extend_from_slice(&back);
            self.client.handle_input(&mut self.inputs[1], Instant::ZERO);
        }
    }
}

/// All that the engine has to write.
pub(crate) fn drain(engine: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(mut transmit) = engine.poll_transmit(Instant::ZERO) {
        let len = transmit.chunk().len();
        bytes.extend_from_slice(transmit.chunk());
        transmit.advance(len);
    }
    bytes
}

/// The user of a server: answers whatever begins, ends and attaches, sends a little, takes and accepts all.
pub(crate) fn obey(server: &mut Connection, mut on_message: impl FnMut((u32, Bytes))) {
    while let Some(event) = server.poll_event() {
        match event {
            Event::Opened => server.open(),
            Event::Closed { .. } => server.close(None),
            Event::SessionBegun(session) => {
                let _ = server.session(session).map(|mut session| session.accept(SessionConfig::default()));
            }
            Event::SessionEnded { session, .. } => {
                let _ = server.session(session).map(|mut session| session.end(None));
            }
            Event::LinkAttached(link) => {
                if let Ok(mut receiver) = server.receiver(link) {
                    let _ = receiver.attach(LinkConfig::receiver("", "here"));
                    receiver.set_credit(30);
                } else if let Ok(mut sender) = server.sender(link) {
                    let _ = sender.attach(LinkConfig::sender("", "here"));
                }
            }
            Event::LinkDetached { link, closed, .. } => {
                if let Ok(mut receiver) = server.receiver(link) {
                    let _ = if closed { receiver.close(None) } else { receiver.detach() };
                } else if let Ok(mut sender) = server.sender(link) {
                    let _ = if closed { sender.close(None) } else { sender.detach() };
                }
            }
            Event::Drain(link) => {
                let _ = server.sender(link).map(|mut sender| sender.drained());
            }
            Event::Delivery(id) => {
                let Ok(mut receiver) = server.receiver(id.link()) else { continue };
                if receiver.delivery(id).is_ok_and(IncomingDelivery::is_complete) {
                    on_message((id.number().get(), receiver.take(id).unwrap_or_default().into_bytes()));
                    let _ = receiver.accept(id);
                }
            }
            _ => {}
        }
    }
}

/// What a stream says, item by item.
pub(crate) fn items(bytes: &[u8]) -> Vec<Item> {
    let mut splitter = Splitter::default();
    splitter.push(bytes);
    let items: Vec<_> = std::iter::from_fn(|| splitter.next_item()).collect();
    assert!(splitter.rest().is_empty(), "the stream ends inside a frame");
    items
}
