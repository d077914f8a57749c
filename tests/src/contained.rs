//! A container behind a scripted peer.

use std::fmt;

use amqp1_engine::{
    Instant,
    container::{Action, Container, ContainerOptions, Context, Handler, IoId},
    types::Begin,
};
use bytes::{Buf, BytesMut};

use crate::{Peer, Wire, expect, script};

/// A container that connects to the scripted peer, and its handler, in memory and at one moment.
pub struct Contained<H> {
    container: Container,
    handler: H,
    io: Option<IoId>,
    input: BytesMut,
}

impl<H: Handler> Contained<H> {
    /// A container whose handler connects when it starts.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[must_use]
    pub fn new(handler: H) -> Self {
        let mut container = Container::new(ContainerOptions::default());
        container.start();
        let mut contained = Self { container, handler, io: None, input: BytesMut::new() };
        contained.run();
        assert!(contained.io.is_some(), "the handler connects");
        contained
    }

    /// Handles what there is, up to an order to connect, which is obeyed.
    fn run(&mut self) {
        loop {
            while self.container.dispatch(&mut self.handler, Instant::ZERO) {}
            match self.container.poll_action() {
                Some(Action::Connect { io, .. }) => {
                    self.io = Some(io);
                    self.container.connected(io, Instant::ZERO);
                }
                Some(Action::Shutdown { io }) if self.io == Some(io) => self.io = None,
                Some(_) => {}
                None => return,
            }
        }
    }
}

impl<H: Handler> Peer<Contained<H>> {
    /// Opens the connection and begins the session that the program asks for, with windows of this size.
    ///
    /// # Panics
    ///
    /// When it asks for anything else.
    #[track_caller]
    pub fn begin_as_asked(&mut self, window: u32) {
        self.expect_header();
        expect!(self, Open { .. });
        self.send_header();
        self.send(script::open("peer"));
        expect!(self, Begin { .. });
        self.send(Begin { remote_channel: Some(0), ..script::begin(0, window, window) });
    }
}

impl<H: Handler> Wire for Contained<H> {
    fn send(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let Some(io) = self.io else { return };
        self.container.received(io, &mut self.input, Instant::ZERO);
        self.run();
    }

    fn shut(&mut self) {
        let Some(io) = self.io else { return };
        self.container.eof(io, Instant::ZERO);
        self.run();
    }

    fn receive(&mut self) -> Vec<u8> {
        self.run();
        let mut bytes = Vec::new();
        while let Some(io) = self.io
            && let Some(mut transmit) = self.container.poll_transmit(io, Instant::ZERO)
        {
            let len = transmit.remaining();
            bytes.extend_from_slice(&transmit.copy_to_bytes(len));
        }
        bytes
    }

    fn is_dropped(&mut self) -> bool {
        self.io.is_none()
    }
}

/// A task for a handler under test, to be [run](Peer::run).
pub type Task<H> = Box<dyn FnOnce(&mut H, &mut Context<'_>) + Send>;

impl<H: Handler + 'static> Peer<Contained<H>> {
    /// The handler under test.
    pub fn handler(&mut self) -> &mut H {
        &mut self.wire.handler
    }

    /// Lets the handler, which runs a [`Task`] that is injected, do something. What it writes is yet to be expected.
    ///
    /// # Panics
    ///
    /// When the container takes no events.
    pub fn run(&mut self, task: impl FnOnce(&mut H, &mut Context<'_>) + Send + 'static) {
        let task: Task<H> = Box::new(task);
        self.wire.container.inject(Box::new(task)).expect("few events wait");
        self.wire.run();
    }

    /// Ends the connection without a word, and is the peer of the next. The handler must have the container connect again at
    /// once.
    pub fn lose(&mut self) {
        self.shut();
        self.begin_anew();
    }

    /// The failure that nobody took care of, in words.
    pub fn failure(&mut self) -> Option<String> {
        self.wire.container.take_failure().map(|failure| failure.to_string())
    }
}

impl<H> fmt::Debug for Contained<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contained").field("container", &self.container).finish_non_exhaustive()
    }
}
