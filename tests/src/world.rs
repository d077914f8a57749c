//! Containers on a virtual clock, and byte streams between them that stall, fragment and are cut.

use std::time::Duration;

use amqp1_engine::{
    Instant,
    container::{Action, Container, ContainerOptions, Handler, IoId, ListenerId},
};
use bytes::{Buf, BytesMut};

use crate::{
    Rng,
    net::{Net, Pipe},
};

/// Some containers, each with its handler, and the network between them. All that happens is drawn from one seed.
///
/// A host is found by its port alone. A byte stream that is cut loses what is on its way, or some of it, and its two ends
/// find out one after the other.
pub struct World {
    nodes: Vec<Node>,
    listeners: Vec<Listening>,
    streams: Vec<Stream>,
    now: Instant,
    rng: Rng,
    is_rough: bool,
    /// Streams that are still to be cut.
    cuts: u32,
    refusals: u32,
}

struct Node {
    container: Container,
    handler: Box<dyn Handler>,
}

struct Listening {
    node: usize,
    id: ListenerId,
    port: u16,
}

/// One end of a byte stream.
#[derive(Clone, Copy, PartialEq, Eq)]
struct End {
    node: usize,
    io: IoId,
}

/// A byte stream.
struct Stream {
    directions: [Direction; 2],
}

/// One direction of it, and the end that it leads to.
struct Direction {
    from: End,
    to: End,
    pipe: Pipe,
    input: BytesMut,
    /// The sending end has closed it, and all that it wrote is to arrive.
    is_closed: bool,
    /// When the receiving end finds out that it is cut.
    broken: Option<Instant>,
    /// The receiving end has been told that nothing more comes.
    is_told: bool,
}

/// Of so many bytes at most one is the last that a stream carries which is to be cut.
const CUT_WITHIN: usize = 6_000;

impl World {
    /// A world whose network does nothing to what is sent, or stalls and fragments it, and cuts so many streams.
    #[must_use]
    pub fn new(seed: u64, is_rough: bool, cuts: u32) -> Self {
        Self {
            nodes: Vec::new(),
            listeners: Vec::new(),
            streams: Vec::new(),
            now: Instant::ZERO,
            rng: Rng::new(seed),
            is_rough,
            cuts,
            refusals: cuts / 2,
        }
    }

    /// Starts a container; gives its number.
    pub fn add(&mut self, handler: impl Handler + 'static, options: ContainerOptions) -> usize {
        let mut container = Container::new(options);
        container.start();
        self.nodes.push(Node { container, handler: Box::new(handler) });
        self.nodes.len() - 1
    }

    /// A container.
    pub fn container(&mut self, node: usize) -> &mut Container {
        &mut self.nodes[node].container
    }

    /// The present moment.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Streams that were to be cut and were not yet.
    #[must_use]
    pub const fn cuts_left(&self) -> u32 {
        self.cuts
    }

    /// Runs until these containers have finished: whether they have by that moment.
    pub fn run(&mut self, nodes: &[usize], until: Instant) -> bool {
        loop {
            while self.step() {}
            if nodes.iter().all(|&node| self.nodes[node].container.is_finished()) {
                return true;
            }
            match self.next_change() {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => return false,
            }
            for node in &mut self.nodes {
                node.container.handle_timeout(self.now);
            }
        }
    }

    fn next_change(&mut self) -> Option<Instant> {
        let timeouts = self.nodes.iter_mut().filter_map(|node| node.container.poll_timeout());
        let timeouts = timeouts.min();
        let directions = self.streams.iter().flat_map(|stream| &stream.directions);
        let changes = directions.filter_map(|direction| {
            let change = direction.pipe.next_change(self.now);
            change.into_iter().chain(direction.broken).filter(|at| *at > self.now).min()
        });
        changes.chain(timeouts).min()
    }

    /// One pass over all: whether anything happened.
    fn step(&mut self) -> bool {
        let mut is_busy = false;
        for node in 0..self.nodes.len() {
            let Node { container, handler } = &mut self.nodes[node];
            is_busy |= container.dispatch(&mut **handler, self.now);
            // Which have something to write is looked up below.
            while container.poll_dirty_io().is_some() {}
            while let Some(action) = self.nodes[node].container.poll_action() {
                self.obey(node, action);
                is_busy = true;
            }
        }
        for at in 0..self.streams.len() {
            is_busy |= self.write(at) | self.read(at);
        }
        self.streams.retain(|stream| !stream.directions.iter().all(|direction| direction.is_told));
        is_busy
    }

    fn write(&mut self, at: usize) -> bool {
        let mut is_busy = false;
        for direction in &mut self.streams[at].directions {
            let End { node, io } = direction.from;
            let container = &mut self.nodes[node].container;
            while let Some(mut transmit) = container.poll_transmit(io, self.now) {
                let len = transmit.chunk().len();
                let taken = match direction.broken {
                    // The end does not know yet.
                    Some(_) => len,
                    None => direction.pipe.write(transmit.chunk(), self.now),
                };
                transmit.advance(taken);
                is_busy |= taken > 0;
                if direction.broken.is_none() && direction.pipe.is_cut() || taken < len {
                    break;
                }
            }
        }
        let is_cut = |direction: &Direction| direction.pipe.is_cut() && direction.broken.is_none();
        if self.streams[at].directions.iter().any(is_cut) {
            self.cut(at);
            is_busy = true;
        }
        is_busy
    }

    /// Cuts a stream: what is on its way arrives or does not, and both ends find out sooner or later.
    fn cut(&mut self, at: usize) {
        for direction in &mut self.streams[at].directions {
            if self.rng.one_in(2) {
                direction.pipe.clear();
            }
            direction.broken = Some(self.now + Duration::from_millis(self.rng.below(200) as u64));
        }
    }

    fn read(&mut self, at: usize) -> bool {
        let mut is_busy = false;
        for direction in &mut self.streams[at].directions {
            if direction.is_told {
                continue;
            }
            let End { node, io } = direction.to;
            let container = &mut self.nodes[node].container;
            while container.wants_input(io)
                && let Some(bytes) = direction.pipe.read(self.now)
            {
                direction.input.extend_from_slice(&bytes);
                container.received(io, &mut direction.input, self.now);
                is_busy = true;
            }
            if direction.broken.is_some_and(|broken| broken <= self.now) {
                container.io_error(io, "cut", self.now);
                direction.is_told = true;
            } else if direction.is_closed && direction.pipe.is_empty() {
                container.eof(io, self.now);
                direction.is_told = true;
            }
            is_busy |= direction.is_told;
        }
        is_busy
    }

    fn obey(&mut self, node: usize, action: Action) {
        match action {
            Action::Connect { io, address } => self.connect(End { node, io }, address.port),
            Action::Listen { listener, address } => {
                self.listeners.push(Listening { node, id: listener, port: address.port });
                self.nodes[node].container.listening(listener, &address.to_string());
            }
            Action::StopListening { listener } => {
                self.listeners.retain(|known| (known.node, known.id) != (node, listener));
            }
            Action::Shutdown { io } => self.shut_down(End { node, io }),
            action => panic!("this world does not know {action:?}"),
        }
    }

    fn connect(&mut self, from: End, port: u16) {
        let listening = self.listeners.iter().find(|listening| listening.port == port);
        let accepted = match listening {
            Some(_) if self.refusals > 0 && self.rng.one_in(4) => {
                self.refusals -= 1;
                None
            }
            Some(&Listening { node, id, .. }) => {
                self.nodes[node].container.accepted(id, self.now).map(|io| End { node, io })
            }
            None => None,
        };
        let container = &mut self.nodes[from.node].container;
        let Some(to) = accepted else { return container.connect_failed(from.io, "connection refused") };
        container.connected(from.io, self.now);
        let mut directions = [(from, to), (to, from)].map(|(from, to)| {
            let net = if self.is_rough { Net::Rough(self.rng.draw()) } else { Net::Whole };
            Direction {
                from,
                to,
                pipe: Pipe::new(net, 0),
                input: BytesMut::new(),
                is_closed: false,
                broken: None,
                is_told: false,
            }
        });
        if self.cuts > 0 {
            self.cuts -= 1;
            directions[self.rng.below(2)].pipe.cut_after(self.rng.below(CUT_WITHIN) + 1);
        }
        self.streams.push(Stream { directions });
    }

    /// One end has closed a stream: it reads no more, and the other end reads what is left.
    fn shut_down(&mut self, end: End) {
        for direction in self.streams.iter_mut().flat_map(|stream| &mut stream.directions) {
            if direction.to == end {
                direction.is_told = true;
            }
            if direction.from == end {
                direction.is_closed = true;
            }
        }
    }
}
