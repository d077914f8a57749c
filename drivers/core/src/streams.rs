//! The open byte streams of a container.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
};

use amqp1_engine::{
    Instant,
    container::{Container, IoId},
};

use crate::{
    Channel, Received, Sent, Spare,
    record::{Recorder, RecordingFile},
};

/// The most buffers written to one connection before others have a turn.
const FAIR_SHARE: usize = 16;

/// The open byte streams of a container, by the index of their names.
#[derive(Debug)]
pub struct Streams<S> {
    table: Vec<Option<Stream<S>>>,
    spare: Spare,
    /// Streams that may have more to read, since they were polled.
    full: VecDeque<IoId>,
    /// Where they are recorded, if at all.
    pub recorder: Option<Recorder>,
}

impl<S> Default for Streams<S> {
    fn default() -> Self {
        Self { table: Vec::new(), spare: Spare::default(), full: VecDeque::new(), recorder: None }
    }
}

/// A socket between its peer and the container.
#[derive(Debug)]
pub struct Stream<S> {
    io: IoId,
    socket: S,
    channel: Channel,
    wants_read: bool,
    /// There is more to write than its fair share was.
    has_more: bool,
    /// Nothing more will be read.
    eof: bool,
    recording: Option<RecordingFile>,
}

impl<S> Stream<S> {
    /// Its name.
    #[must_use]
    pub const fn io(&self) -> IoId {
        self.io
    }

    /// Its socket.
    #[must_use]
    pub const fn socket(&self) -> &S {
        &self.socket
    }

    /// Whether input is wanted of it.
    #[must_use]
    pub const fn wants_read(&self) -> bool {
        self.wants_read
    }

    /// Whether it has output that the socket did not take yet.
    #[must_use]
    pub const fn wants_write(&self) -> bool {
        self.has_more || self.channel.wants_write()
    }

    /// The socket is broken: what is left to write has nowhere to go, also where all input was read before.
    fn fail(&mut self, error: &io::Error, container: &mut Container, now: Instant) {
        (self.eof, self.wants_read, self.has_more) = (true, false, false);
        container.io_error(self.io, &error.to_string(), now);
    }
}

impl<S: Read + Write> Streams<S> {
    /// Takes a socket in that is connected.
    pub fn add(&mut self, io: IoId, socket: S) {
        let channel = Channel::new();
        let recording = self.recorder.as_ref().map(Recorder::begin);
        let stream = Stream { io, socket, channel, wants_read: true, has_more: false, eof: false, recording };
        if self.table.len() <= io.index() {
            self.table.resize_with(io.index() + 1, || None);
        }
        self.table[io.index()] = Some(stream);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Stream<S>> {
        self.table.iter().flatten()
    }

    fn get(&mut self, io: IoId) -> Option<&mut Stream<S>> {
        self.table.get_mut(io.index())?.as_mut().filter(|stream| stream.io == io)
    }

    /// Takes a stream out that is at its end: the socket, unless the peer is gone already.
    pub fn take(&mut self, io: IoId, container: &mut Container) -> Option<S> {
        self.keep_recording(io, container);
        self.get(io)?;
        let stream = self.table[io.index()].take()?;
        (!stream.eof).then_some(stream.socket)
    }

    /// Reads once, and hands what that brought to the container: whether it brought anything.
    pub fn read(&mut self, io: IoId, container: &mut Container, now: Instant) -> bool {
        let Some(Some(stream)) = self.table.get_mut(io.index()) else { return false };
        if stream.eof {
            return false;
        }
        let take = |input: &mut _| container.received(io, input, now);
        let Stream { socket, channel, .. } = stream;
        match channel.read(&mut self.spare, |buffer| socket.read(buffer), take) {
            Ok(Received::Bytes) => return true,
            Ok(Received::Full) => {
                self.full.push_back(io);
                return true;
            }
            Ok(Received::Blocked) => {}
            Ok(Received::Eof) => {
                stream.eof = true;
                container.eof(io, now);
            }
            Err(error) => stream.fail(&error, container, now),
        }
        false
    }

    /// The streams are polled again: it is known where there is something to read.
    pub fn polled(&mut self) {
        self.full.clear();
    }

    /// Reads on where there may be more: whether that brought anything.
    pub fn read_on(&mut self, container: &mut Container, now: Instant) -> bool {
        let mut any = false;
        for _ in 0..self.full.len() {
            let Some(io) = self.full.pop_front() else { break };
            any |= container.wants_input(io) && self.read(io, container, now);
        }
        any
    }

    /// Writes again, as the socket takes more.
    pub fn resume(&mut self, io: IoId, container: &mut Container, now: Instant) {
        if let Some(stream) = self.get(io) {
            stream.channel.writable();
            self.write(io, container, now);
        }
    }

    /// Looks at a stream that has changed: it may have output, or want input again.
    pub fn refresh(&mut self, io: IoId, container: &mut Container, now: Instant) {
        self.write(io, container, now);
        let wants_input = container.wants_input(io);
        if let Some(stream) = self.get(io) {
            stream.wants_read = wants_input && !stream.eof;
        }
        while let Some(line) = container.poll_trace(io) {
            eprintln!("[{}] {line}", io.index());
        }
        self.keep_recording(io, container);
    }

    fn keep_recording(&mut self, io: IoId, container: &mut Container) {
        if let Some(file) = self.get(io).and_then(|stream| stream.recording.as_mut())
            && let Some(recording) = container.poll_recording(io)
        {
            file.write(&recording);
        }
    }

    /// Writes what there is and the socket takes, within a fair share.
    fn write(&mut self, io: IoId, container: &mut Container, now: Instant) {
        for _ in 0..FAIR_SHARE {
            let Some(Some(stream)) = self.table.get_mut(io.index()) else { return };
            stream.has_more = false;
            if stream.channel.wants_write() {
                return;
            }
            let Some(mut output) = container.poll_transmit(io, now) else { return };
            let Stream { socket, channel, .. } = stream;
            match channel.write(&mut output, |slices| socket.write_vectored(slices)) {
                Ok(Sent::All) => stream.has_more = true,
                Ok(Sent::Blocked) => return,
                Err(error) => {
                    // What the peer said before it went may tell why.
                    while container.wants_input(io) && self.read(io, container, now) {}
                    return self.get(io).into_iter().for_each(|stream| stream.fail(&error, container, now));
                }
            }
        }
    }
}
