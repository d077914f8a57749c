//! The open byte streams of a container.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice, Read, Write},
    mem,
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
    /// Streams that want something else than before, where the driver asks for them.
    changed: Option<Vec<IoId>>,
    /// Where they are recorded, if at all.
    pub recorder: Option<Recorder>,
}

impl<S> Default for Streams<S> {
    fn default() -> Self {
        Self {
            table: Vec::new(),
            spare: Spare::default(),
            full: VecDeque::new(),
            changed: None,
            recorder: None,
        }
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
    /// Nobody is there to hear a last word.
    gone: bool,
    /// It stands in the list of those that may have more to read.
    is_full: bool,
    /// It stands in the list of those that want something else.
    has_changed: bool,
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

    /// The same, for drivers that register what they wait for.
    pub const fn socket_mut(&mut self) -> &mut S {
        &mut self.socket
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
        // Where only the stages gave up, the peer is told why.
        self.gone = error.kind() != ErrorKind::InvalidData;
        container.io_error(self.io, &error.to_string(), now);
    }
}

impl<S: Read + Write> Streams<S> {
    /// Takes a socket in that is connected.
    pub fn add(&mut self, io: IoId, socket: S, channel: Channel) {
        let recording = self.recorder.as_ref().map(Recorder::begin);
        let stream = Stream {
            io,
            socket,
            channel,
            wants_read: true,
            has_more: false,
            eof: false,
            gone: false,
            is_full: false,
            has_changed: false,
            recording,
        };
        if self.table.len() <= io.index() {
            self.table.resize_with(io.index() + 1, || None);
        }
        self.table[io.index()] = Some(stream);
        self.note_change(io);
    }

    /// Has [`poll_changed`](Self::poll_changed) tell what has to be waited for, for drivers that do not ask all streams before
    /// each wait. A driver that is only told once when a socket becomes ready has to ask again for each stream told here.
    pub fn watch(&mut self) {
        self.changed = Some(Vec::new());
    }

    /// A stream that may want something else than before, or the same again.
    pub fn poll_changed(&mut self) -> Option<&mut Stream<S>> {
        loop {
            let io = self.changed.as_mut()?.pop()?;
            let Some(Some(stream)) = self.table.get_mut(io.index()) else { continue };
            if stream.io == io {
                stream.has_changed = false;
                return self.get(io);
            }
        }
    }

    /// A stream is broken that the driver cannot wait for.
    pub fn fail(&mut self, io: IoId, error: &io::Error, container: &mut Container, now: Instant) {
        self.get(io).into_iter().for_each(|stream| stream.fail(error, container, now));
    }

    fn note_change(&mut self, io: IoId) {
        if let Some(changed) = &mut self.changed
            && let Some(Some(stream)) = self.table.get_mut(io.index())
            && !stream.has_changed
        {
            stream.has_changed = true;
            changed.push(io);
        }
    }

    /// The stream at this place of the table.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<&Stream<S>> {
        self.table.get(index)?.as_ref()
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
        let Stream { mut socket, mut channel, gone, .. } = self.table[io.index()].take()?;
        channel.close(|slices| socket.write_vectored(slices));
        (!gone).then_some(socket)
    }

    /// Reads once, and hands what that brought to the container: whether it brought anything.
    pub fn read(&mut self, io: IoId, container: &mut Container, now: Instant) -> bool {
        let any = self.read_once(io, container, now);
        if let Some(stream) = self.get(io)
            && stream.channel.has_output()
        {
            let wanted = stream.wants_write();
            self.write(io, wanted, container, now);
        }
        any
    }

    fn read_once(&mut self, io: IoId, container: &mut Container, now: Instant) -> bool {
        let Some(Some(stream)) = self.table.get_mut(io.index()) else { return false };
        if stream.eof {
            return false;
        }
        let take = |input: &mut _| container.received(io, input, now);
        let Stream { socket, channel, .. } = stream;
        match channel.read(&mut self.spare, |buffer| socket.read(buffer), take) {
            Ok(Received::Bytes) => return true,
            Ok(Received::Secured) => {
                container.secured(io, channel.security());
                return self.read_once(io, container, now);
            }
            Ok(Received::Full) => {
                self.may_have_more(io);
                return true;
            }
            Ok(Received::Blocked) => {}
            Ok(Received::Eof) => {
                (stream.eof, stream.gone) = (true, true);
                container.eof(io, now);
            }
            Err(error) => stream.fail(&error, container, now),
        }
        false
    }

    /// There may be more to read of this stream.
    pub fn may_have_more(&mut self, io: IoId) {
        if let Some(Some(stream)) = self.table.get_mut(io.index())
            && !stream.is_full
        {
            stream.is_full = true;
            self.full.push_back(io);
        }
    }

    /// Whether there may be more to read of some stream, since they were polled.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        !self.full.is_empty()
    }

    /// The streams are polled again: it is known where there is something to read.
    pub fn polled(&mut self) {
        while let Some(io) = self.full.pop_front() {
            if let Some(stream) = self.get(io) {
                stream.is_full = false;
            }
        }
    }

    /// Reads on where there may be more: whether that brought anything.
    pub fn read_on(&mut self, container: &mut Container, now: Instant) -> bool {
        let mut any = false;
        for _ in 0..self.full.len() {
            let Some(io) = self.full.pop_front() else { break };
            let Some(stream) = self.get(io) else { continue };
            stream.is_full = false;
            if container.wants_input(io) {
                any |= self.read(io, container, now);
            } else {
                // It is looked at again once it wants input.
                stream.wants_read = false;
                self.note_change(io);
            }
        }
        any
    }

    /// Writes again, as the socket takes more.
    pub fn resume(&mut self, io: IoId, container: &mut Container, now: Instant) {
        if let Some(stream) = self.get(io) {
            let wanted = stream.wants_write();
            stream.channel.writable();
            self.write(io, wanted, container, now);
        }
    }

    /// Looks at a stream that has changed: it may have output, or want input again.
    pub fn refresh(&mut self, io: IoId, container: &mut Container, now: Instant) {
        if let Some(stream) = self.get(io) {
            let wanted = stream.wants_write();
            self.write(io, wanted, container, now);
        }
        let wants_input = container.wants_input(io);
        if let Some(stream) = self.get(io) {
            let wanted = mem::replace(&mut stream.wants_read, wants_input && !stream.eof);
            if stream.wants_read != wanted {
                self.note_change(io);
            }
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

    /// Writes what there is and the socket takes, within a fair share. Until now the driver waited for it to take more, or
    /// did not.
    fn write(&mut self, io: IoId, waited: bool, container: &mut Container, now: Instant) {
        self.write_share(io, container, now);
        if let Some(stream) = self.get(io)
            && (stream.has_more || stream.wants_write() != waited)
        {
            self.note_change(io);
        }
    }

    fn write_share(&mut self, io: IoId, container: &mut Container, now: Instant) {
        for _ in 0..FAIR_SHARE {
            let Some(Some(stream)) = self.table.get_mut(io.index()) else { return };
            stream.has_more = false;
            if stream.channel.wants_write() {
                return;
            }
            let Stream { socket, channel, .. } = stream;
            let write = |slices: &[IoSlice<'_>]| socket.write_vectored(slices);
            let sent = match container.poll_transmit(io, now) {
                Some(mut output) => channel.write(&mut output, write),
                None if channel.has_output() => channel.write(&mut &[][..], write),
                None => return,
            };
            match sent {
                Ok(Sent::All) => stream.has_more = true,
                Ok(Sent::Blocked) => return,
                Err(error) => {
                    // What the peer said before it went may tell why.
                    while container.wants_input(io) && self.read_once(io, container, now) {}
                    return self.get(io).into_iter().for_each(|stream| stream.fail(&error, container, now));
                }
            }
        }
    }
}
