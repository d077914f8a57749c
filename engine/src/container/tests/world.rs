//! Containers wired in memory, on a virtual clock.

use std::{boxed::Box, string::String, vec::Vec};

use bytes::{Buf, BytesMut};

use crate::{
    Instant,
    container::{Action, Address, Container, ContainerOptions, Handler, IoId, ListenerId},
};

/// Some containers and the network between them.
pub(crate) struct World {
    nodes: Vec<Node>,
    listeners: Vec<(usize, ListenerId, u16)>,
    pipes: Vec<Pipe>,
    now: Instant,
    /// How many bytes arrive at once.
    pub(crate) chunk: usize,
    /// All streams are cut when so many bytes more of this node have arrived.
    pub(crate) cut_after: Option<(usize, usize)>,
    /// The only node that finds out.
    pub(crate) noticed_by: Option<usize>,
}

struct Node {
    container: Container,
    handler: Box<dyn Handler>,
}

/// Bytes on their way to one end of a byte stream.
struct Pipe {
    from: (usize, IoId),
    to: (usize, IoId),
    sent: BytesMut,
    received: BytesMut,
    closed: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            listeners: Vec::new(),
            pipes: Vec::new(),
            now: Instant::ZERO,
            chunk: usize::MAX,
            cut_after: None,
            noticed_by: None,
        }
    }

    pub(crate) fn add(&mut self, handler: impl Handler + 'static) -> usize {
        let seed = self.nodes.len() as u64;
        self.add_with(handler, ContainerOptions { seed, ..ContainerOptions::default() })
    }

    pub(crate) fn add_with(&mut self, handler: impl Handler + 'static, options: ContainerOptions) -> usize {
        let mut container = Container::new(options);
        container.start();
        self.nodes.push(Node { container, handler: Box::new(handler) });
        self.nodes.len() - 1
    }

    pub(crate) fn container(&mut self, node: usize) -> &mut Container {
        &mut self.nodes[node].container
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// Runs until all containers have finished or nothing will ever happen: whether they have finished.
    pub(crate) fn run(&mut self) -> bool {
        for _ in 0..1_000_000 {
            if self.step() {
                continue;
            }
            if self.nodes.iter().all(|node| node.container.is_finished()) {
                return true;
            }
            let next = self.nodes.iter_mut().filter_map(|node| node.container.poll_timeout()).min();
            let Some(next) = next else { return false };
            self.now = self.now.max(next);
            for node in &mut self.nodes {
                node.container.handle_timeout(self.now);
            }
        }
        panic!("the containers never come to rest");
    }

    /// Runs until this moment.
    pub(crate) fn run_until(&mut self, until: Instant) {
        loop {
            self.settle();
            let next = self.nodes.iter_mut().filter_map(|node| node.container.poll_timeout()).min();
            self.now = self.now.max(next.map_or(until, |next| next.min(until)));
            for node in &mut self.nodes {
                node.container.handle_timeout(self.now);
            }
            if next.is_none_or(|next| next > until) {
                return;
            }
        }
    }

    /// Runs one node alone: what it writes is on its way when the next thing happens.
    pub(crate) fn run_alone(&mut self, node: usize, at: Instant) {
        self.now = at;
        self.nodes[node].container.handle_timeout(at);
        while self.drive(node) {}
    }

    /// Runs at the present moment until nothing more happens.
    pub(crate) fn settle(&mut self) {
        while self.step() {}
    }

    /// One pass over all: whether anything happened.
    fn step(&mut self) -> bool {
        let mut busy = false;
        for index in 0..self.nodes.len() {
            busy |= self.drive(index);
        }
        for pipe in &mut self.pipes {
            let (index, io) = pipe.to;
            let container = &mut self.nodes[index].container;
            if !pipe.sent.is_empty() && container.wants_input(io) {
                let mut chunk = pipe.sent.len().min(self.chunk);
                if let Some((node, left)) = &mut self.cut_after
                    && *node == pipe.from.0
                {
                    chunk = chunk.min(*left);
                    *left -= chunk;
                }
                pipe.received.extend_from_slice(&pipe.sent.split_to(chunk));
                container.received(io, &mut pipe.received, self.now);
                busy = true;
            }
            if pipe.sent.is_empty() && pipe.closed {
                container.eof(io, self.now);
            }
        }
        if self.cut_after.is_some_and(|(_, left)| left == 0) {
            self.cut_after = None;
            match self.noticed_by {
                Some(node) => self.cut_unnoticed(node),
                None => self.cut(),
            }
        }
        let before = self.pipes.len();
        self.pipes.retain(|pipe| !(pipe.closed && pipe.sent.is_empty()));
        busy || self.pipes.len() < before
    }

    fn drive(&mut self, index: usize) -> bool {
        let Node { container, handler } = &mut self.nodes[index];
        let mut busy = container.dispatch(&mut **handler, self.now);
        while let Some(io) = container.poll_dirty_io() {
            while let Some(mut transmit) = container.poll_transmit(io, self.now) {
                let len = transmit.remaining();
                let bytes = transmit.copy_to_bytes(len);
                if let Some(pipe) = self.pipes.iter_mut().find(|pipe| pipe.from == (index, io)) {
                    pipe.sent.extend_from_slice(&bytes);
                }
                busy = true;
            }
        }
        while let Some(action) = self.nodes[index].container.poll_action() {
            busy = true;
            self.act(index, action);
        }
        busy
    }

    fn act(&mut self, index: usize, action: Action) {
        match action {
            Action::Connect { io, address } => self.connect(index, io, &address),
            Action::Listen { listener, address } => {
                if self.listeners.iter().any(|&(_, _, port)| port == address.port) {
                    self.nodes[index].container.listen_failed(listener, "the port is in use");
                } else {
                    self.listeners.push((index, listener, address.port));
                    self.nodes[index].container.listening(listener, &address_text(&address));
                }
            }
            Action::StopListening { listener } => {
                self.listeners.retain(|&(owner, id, _)| (owner, id) != (index, listener));
            }
            Action::Shutdown { io } => {
                self.pipes.retain(|pipe| pipe.to != (index, io));
                for pipe in self.pipes.iter_mut().filter(|pipe| pipe.from == (index, io)) {
                    pipe.closed = true;
                }
            }
        }
    }

    fn connect(&mut self, index: usize, io: IoId, address: &Address) {
        let listener = self.listeners.iter().find(|&&(_, _, port)| port == address.port).copied();
        let accepted = listener.and_then(|(owner, listener, _)| {
            Some((owner, self.nodes[owner].container.accepted(listener, self.now)?))
        });
        let Some(there) = accepted else {
            self.nodes[index].container.connect_failed(io, "connection refused");
            return;
        };
        let here = (index, io);
        for (from, to) in [(here, there), (there, here)] {
            let (sent, received) = Default::default();
            self.pipes.push(Pipe { from, to, sent, received, closed: false });
        }
        self.nodes[index].container.connected(io, self.now);
    }

    /// Cuts all byte streams to a node, and lets nobody connect to it any more.
    pub(crate) fn kill(&mut self, node: usize) {
        self.listeners.retain(|&(owner, _, _)| owner != node);
        let (cut, kept) = core::mem::take(&mut self.pipes)
            .into_iter()
            .partition(|pipe: &Pipe| pipe.from.0 == node || pipe.to.0 == node);
        self.pipes = cut;
        self.cut();
        self.pipes = kept;
    }

    /// Cuts all byte streams of a node; the other ends do not find out.
    pub(crate) fn cut_unnoticed(&mut self, node: usize) {
        let (cut, kept) = core::mem::take(&mut self.pipes)
            .into_iter()
            .partition(|pipe: &Pipe| pipe.from.0 == node || pipe.to.0 == node);
        self.pipes = kept;
        for pipe in cut.into_iter().filter(|pipe: &Pipe| pipe.to.0 == node) {
            self.nodes[node].container.io_error(pipe.to.1, "cut", self.now);
        }
    }

    /// Cuts all byte streams.
    pub(crate) fn cut(&mut self) {
        for pipe in core::mem::take(&mut self.pipes) {
            let (index, io) = pipe.to;
            self.nodes[index].container.io_error(io, "cut", self.now);
        }
    }
}

fn address_text(address: &Address) -> String {
    std::format!("{}:{}", address.host, address.port)
}
