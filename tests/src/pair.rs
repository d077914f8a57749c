//! Two engines on a virtual clock, and a network between them.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use amqp1_engine::{Config, Connection, Event, Instant, LinkConfig, LinkId, SessionConfig, SessionId};
use bytes::{Buf, BytesMut};

use crate::{
    audit::Audit,
    net::{Net, Pipe},
    recorded::Recorded,
};

/// Two engines that talk to each other.
///
/// A story calls them, lets them [`run`](Self::run) until nothing moves any more, and looks at their events. Every
/// frame is audited as it is written: see the module of the auditor. Whenever nothing moves, credit and windows of
/// both engines must agree with the books that the auditor keeps from the frames alone.
#[derive(Debug)]
pub struct Pair {
    /// The one that has connected.
    pub client: End,
    /// The one that has accepted.
    pub server: End,
    now: Instant,
    net: Net,
    trace: Vec<String>,
    /// Sessions begun and links attached by [`session`](Self::session) and [`link`](Self::link).
    sessions: Vec<Begun>,
    links: Vec<Attached>,
}

/// A session between the two: its ids and channels at the client and at the server.
#[derive(Debug, Clone, Copy)]
struct Begun {
    ids: [SessionId; 2],
    channels: [Option<u16>; 2],
}

/// A link between the two: which one sends, its end, and the other's.
#[derive(Debug, Clone, Copy)]
struct Attached {
    from_client: bool,
    sender: LinkId,
}

/// One of the two, with what a driver has around an engine.
#[derive(Debug)]
pub struct End {
    engine: Connection,
    /// Bytes on their way from here.
    out: Pipe,
    input: BytesMut,
    /// Bytes that have arrived while the engine wanted none.
    unread: Vec<u8>,
    audit: Audit,
    recorded: Recorded,
    name: &'static str,
    /// The engine is done, or the connection cut.
    dropped: bool,
}

impl Deref for End {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.engine
    }
}

impl DerefMut for End {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.engine
    }
}

impl End {
    fn new(config: Config, net: Net, name: &'static str, direction: u64) -> Self {
        let (recorded, config) = Recorded::new(config, name, true);
        Self {
            recorded,
            engine: Connection::new(config, Instant::ZERO),
            out: Pipe::new(net, direction),
            input: BytesMut::new(),
            unread: Vec::new(),
            audit: Audit::default(),
            name,
            dropped: false,
        }
    }

    /// The next event.
    pub fn event(&mut self) -> Option<Event> {
        self.engine.poll_event()
    }

    /// All events.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.event()).collect()
    }

    /// Expects this very event.
    ///
    /// # Panics
    ///
    /// When another one comes, or none.
    #[track_caller]
    pub fn expect_event(&mut self, expected: Event) {
        assert_eq!(self.event(), Some(expected), "the {}'s event (left) was not expected (right)", self.name);
    }

    /// Expects no event.
    ///
    /// # Panics
    ///
    /// When there is one.
    #[track_caller]
    pub fn no_event(&mut self) {
        assert_eq!(self.event(), None, "the {}'s event (left) was not expected", self.name);
    }

    /// Cuts the connection once so many more bytes have left here.
    pub fn cut_after(&mut self, bytes: usize) {
        self.out.cut_after(bytes);
    }

    /// Hands bytes over to the network: whether any were taken.
    fn write(&mut self, now: Instant, trace: &mut Vec<String>) -> bool {
        let mut written = false;
        loop {
            let Some(mut transmit) = self.engine.poll_transmit(now) else {
                // Frames that the engine was given and has not looked at yet, it does not know.
                if self.engine.wants_input() {
                    self.audit.flushed();
                }
                return written;
            };
            let chunk = transmit.chunk();
            let len = self.out.write(chunk, now);
            if len == 0 {
                return written;
            }
            let (items, verdict) = self.audit.sent(&chunk[..len]);
            transmit.advance(len);
            trace.extend(items.iter().map(|item| format!("{now:?} {} -> {item:?}", self.name)));
            if let Err(fault) = verdict {
                panic!("the {} has written {fault}", self.name);
            }
            written = true;
        }
    }

    /// Takes bytes off the network, as far as the engine wants them: whether there were any.
    fn read(&mut self, from: &mut Pipe, now: Instant) -> bool {
        if self.unread.is_empty() {
            match from.read(now) {
                Some(bytes) => self.unread = bytes,
                None => return false,
            }
        }
        if !self.engine.wants_input() {
            return false;
        }
        let bytes = std::mem::take(&mut self.unread);
        self.audit.received(&bytes);
        self.input.extend_from_slice(&bytes);
        self.engine.handle_input(&mut self.input, now);
        true
    }

    /// Drops the socket once all is said and read, or when the connection is cut: whether it did just now.
    fn hang_up(&mut self, other: &mut Self, cut: bool, now: Instant) -> bool {
        let read = other.unread.is_empty() && self.out.next_change(now).is_none();
        if self.dropped || !(cut || (self.engine.is_done() && read)) {
            return false;
        }
        self.dropped = true;
        self.out.clear();
        other.engine.handle_eof(now);
        true
    }

    fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = self.engine.poll_timeout().is_some_and(|(at, _)| at <= now);
        if due {
            self.engine.handle_timeout(now);
        }
        due
    }
}

impl Pair {
    /// Two engines of the default settings that have exchanged nothing.
    #[must_use]
    pub fn new(net: Net) -> Self {
        Self::with(Config::client("client"), Config::server("server"), net)
    }

    /// Two engines of these settings that have exchanged nothing.
    #[must_use]
    pub fn with(client: Config, server: Config, net: Net) -> Self {
        Self {
            client: End::new(client, net, "client", 0),
            server: End::new(server, net, "server", 1),
            now: Instant::ZERO,
            net,
            trace: Vec::new(),
            sessions: Vec::new(),
            links: Vec::new(),
        }
    }

    /// Two engines of the default settings whose connection is open.
    #[must_use]
    pub fn opened(net: Net) -> Self {
        let mut pair = Self::new(net);
        pair.open();
        pair
    }

    /// Opens the connection from both sides.
    ///
    /// # Panics
    ///
    /// When it does not open.
    #[track_caller]
    pub fn open(&mut self) {
        self.client.open();
        self.server.open();
        self.run();
        self.client.expect_event(Event::Opened);
        self.server.expect_event(Event::Opened);
    }

    /// Begins a session from the client: the ids of both ends.
    ///
    /// # Panics
    ///
    /// When it does not begin.
    #[track_caller]
    pub fn session(&mut self) -> (SessionId, SessionId) {
        self.session_with(SessionConfig::default(), SessionConfig::default())
    }

    /// The same with settings of either end.
    ///
    /// # Panics
    ///
    /// When it does not begin.
    #[track_caller]
    pub fn session_with(&mut self, client: SessionConfig, server: SessionConfig) -> (SessionId, SessionId) {
        let ours = self.client.begin(client).expect("the connection is open");
        self.run();
        let Some(Event::SessionBegun(theirs)) = self.server.event() else { panic!("no session arrived") };
        self.server.session(theirs).expect("just begun").accept(server).expect("not answered yet");
        self.run();
        self.client.expect_event(Event::SessionBegun(ours));
        let channels = [self.client.audit.last_begun(), self.server.audit.last_begun()];
        self.sessions.push(Begun { ids: [ours, theirs], channels });
        (ours, theirs)
    }

    /// Attaches a link on which the client sends: its sender, and the server's receiver.
    ///
    /// # Panics
    ///
    /// When it does not attach.
    #[track_caller]
    pub fn link(&mut self, session: SessionId, name: &str) -> (LinkId, LinkId) {
        self.link_with(session, LinkConfig::sender(name, "there"), LinkConfig::receiver("", "here"))
    }

    /// The same with settings of either end.
    ///
    /// # Panics
    ///
    /// When it does not attach.
    #[track_caller]
    pub fn link_with(
        &mut self,
        session: SessionId,
        client: LinkConfig,
        server: LinkConfig,
    ) -> (LinkId, LinkId) {
        let mut endpoint = self.client.session(session).expect("the session is begun");
        let sender = endpoint.attach_sender(client).expect("the name is new");
        self.run();
        let Some(Event::LinkAttached(receiver)) = self.server.event() else { panic!("no link arrived") };
        self.server.receiver(receiver).expect("the client sends").attach(server).expect("not answered yet");
        self.run();
        self.client.expect_event(Event::LinkAttached(sender));
        self.links.push(Attached { from_client: true, sender });
        (sender, receiver)
    }

    /// Attaches a link on which the client receives: its receiver, and the server's sender.
    ///
    /// # Panics
    ///
    /// When it does not attach.
    #[track_caller]
    pub fn link_back(&mut self, session: SessionId, name: &str) -> (LinkId, LinkId) {
        let mut endpoint = self.client.session(session).expect("the session is begun");
        let receiver =
            endpoint.attach_receiver(LinkConfig::receiver(name, "there")).expect("the name is new");
        self.run();
        let Some(Event::LinkAttached(sender)) = self.server.event() else { panic!("no link arrived") };
        let answer = LinkConfig::sender("", "here");
        self.server.sender(sender).expect("the client receives").attach(answer).expect("not answered yet");
        self.run();
        self.client.expect_event(Event::LinkAttached(receiver));
        self.links.push(Attached { from_client: false, sender });
        (receiver, sender)
    }

    /// The moment on the virtual clock.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Lets bytes flow until nothing moves any more; time passes as the network needs it.
    ///
    /// # Panics
    ///
    /// When an engine breaks a rule, or the two never come to rest.
    #[track_caller]
    pub fn run(&mut self) {
        let mut steps = 0;
        loop {
            while self.step() {
                steps += 1;
                assert!(steps < 2_000_000, "the engines do not come to rest");
            }
            let changes = [self.client.out.next_change(self.now), self.server.out.next_change(self.now)];
            // Input that nobody wants stays where it is.
            let Some(at) = changes.into_iter().flatten().filter(|at| *at > self.now).min() else { break };
            self.now = at;
        }
        self.agree();
    }

    /// Lets bytes flow for so many steps at most, wherever they are then; no time passes. Gives whether any flowed.
    pub fn steps(&mut self, count: usize) -> bool {
        (0..count).take_while(|_| self.step()).count() > 0
    }

    /// Lets this much time pass, deadlines and bytes in their order.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.run();
            let deadlines = [self.client.poll_timeout(), self.server.poll_timeout()];
            let next = deadlines.into_iter().flatten().map(|(at, _)| at).min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
        }
        self.now = self.now.max(until);
        self.run();
    }

    /// Moves what can move now: whether anything did.
    fn step(&mut self) -> bool {
        let now = self.now;
        let mut moved = self.client.handle_timeout(now) | self.server.handle_timeout(now);
        moved |= self.client.write(now, &mut self.trace);
        moved |= self.server.write(now, &mut self.trace);
        moved |= self.server.read(&mut self.client.out, now);
        moved |= self.client.read(&mut self.server.out, now);
        moved | self.hang_up()
    }

    /// Carries the end of one side's socket, or a cut, to the other: whether there was one.
    fn hang_up(&mut self) -> bool {
        let cut = self.client.out.is_cut() || self.server.out.is_cut();
        let now = self.now;
        let forth = self.client.hang_up(&mut self.server, cut, now);
        let back = self.server.hang_up(&mut self.client, cut, now);
        forth | back
    }

    /// Compares both engines with the auditor's books.
    #[track_caller]
    fn agree(&mut self) {
        let back_pressure = !self.client.wants_input() || !self.server.wants_input();
        if back_pressure || self.client.dropped || self.server.dropped {
            return;
        }
        for &Begun { ids: [ours, theirs], channels: [our_channel, their_channel] } in &self.sessions {
            let ends = [(&mut self.client, ours, our_channel), (&mut self.server, theirs, their_channel)];
            for (end, id, channel) in ends {
                let known = channel.and_then(|channel| end.audit.window(channel));
                if let (Ok(session), Some(known)) = (end.engine.session(id), known) {
                    let window = session.remote_incoming_window();
                    assert_eq!(window, known, "window that the {} reckons with, and by the frames", end.name);
                }
            }
        }
        for &Attached { from_client, sender } in &self.links {
            let end = if from_client { &mut self.client } else { &mut self.server };
            let Ok(link) = end.engine.sender(sender) else { continue };
            let (credit, name) = (link.credit(), link.name().to_owned());
            if let Some(known) = end.audit.credit(&name) {
                assert_eq!(credit, known, "credit of {name} at the {}, and by the frames", end.name);
            }
        }
    }

    /// Checks that nothing is left: no event, no delivery that one side has and the other not.
    ///
    /// # Panics
    ///
    /// When something is.
    #[track_caller]
    pub fn finish(&mut self) {
        self.run();
        self.client.no_event();
        self.server.no_event();
        for end in [&self.client, &self.server] {
            assert_eq!(end.audit.unsettled(), 0, "deliveries of the {} are not settled", end.name);
        }
        use amqp1_engine::types::Role::{Receiver, Sender};
        for &Begun { ids: [ours, theirs], .. } in &self.sessions {
            for (end, id) in [(&mut self.client, ours), (&mut self.server, theirs)] {
                if let Ok(session) = end.engine.session(id) {
                    let held = (session.unsettled(Sender), session.unsettled(Receiver));
                    assert_eq!(held, (0, 0), "the {} still holds deliveries, sent and received", end.name);
                }
            }
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("frames over {:?}:\n    {}", self.net, self.trace.join("\n    "));
            for end in [&mut self.client, &mut self.server] {
                let events = end.events();
                eprintln!("{}: {:?}, events not polled: {events:?}", end.name, end.engine.state());
            }
        }
        for End { engine, recorded, .. } in [&mut self.client, &mut self.server] {
            recorded.drain(engine);
        }
    }
}

/// Runs a story over each kind of network.
pub fn each_net(story: impl Fn(Net)) {
    Net::all().into_iter().for_each(story);
}
