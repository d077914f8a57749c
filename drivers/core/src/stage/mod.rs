//! Byte stages: what lies between a socket and the engine, such as TLS and WebSocket.

use std::{
    fmt,
    io::{self, ErrorKind, IoSlice},
    mem,
};

use amqp1_engine::sasl;
use bytes::Buf;

#[cfg(all(feature = "tls", feature = "websocket"))]
mod over;
mod settings;
pub use settings::Stages;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
pub use tls::{TlsClient, TlsError, TlsServer};
#[cfg(feature = "websocket")]
mod websocket;

/// Slices offered to a stage at a time.
const SLICES: usize = 64;

/// Writes to the socket, as [`Write::write_vectored`](io::Write::write_vectored) does.
pub(crate) type WriteSocket<'a> = dyn FnMut(&[IoSlice<'_>]) -> io::Result<usize> + 'a;

/// One byte stage: it turns what comes from the socket into what the engine reads, and back.
///
/// It does no I/O but what it is lent a function for, and knows no time: how long it may take to become open is the
/// engine's to say.
pub(crate) trait Stage: fmt::Debug + Send {
    /// Takes bytes that came from the socket, and hands what they mean `up`. It takes all, but for two cases: it has
    /// just become open, and hands up nothing until it is called again, be it without bytes; or it has ended.
    fn receive(&mut self, wire: &mut &[u8], up: &mut dyn FnMut(&[u8])) -> io::Result<()>;

    /// Takes bytes of the engine's from the front of these slices, as many as it wants at a time: how many. It is open.
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Whether it has bytes for the socket.
    fn has_output(&self) -> bool;

    /// Writes its bytes to the socket, once.
    fn write(&mut self, write: &mut WriteSocket<'_>) -> io::Result<usize>;

    /// Its handshake is over: it takes and gives the engine's bytes.
    fn is_open(&self) -> bool;

    /// The peer has said that nothing follows.
    fn has_ended(&self) -> bool;

    /// Tells the peer that nothing follows, with what [`write`](Self::write) writes next.
    fn close(&mut self);

    /// What it protects, once it is open.
    fn security(&self) -> sasl::Channel;
}

/// What the stages of a channel made of one read.
pub(crate) enum Progress {
    /// They became open, and know now what they protect.
    Opened,
    /// They handed something up; the socket may have more to read if it filled the buffer.
    Bytes,
    /// The peer will send no more.
    Ended,
    /// All of it was their own.
    Nothing,
}

/// The stages of a channel, and how far they have got with its bytes.
#[derive(Debug)]
pub(crate) struct Staged {
    stage: Box<dyn Stage>,
    /// What came behind the bytes that opened the stages; until they are called again, there is some, be it empty.
    rest: Option<Vec<u8>>,
    /// So many bytes at the front of the engine's output are with the stages, and not all on their way yet. Until they
    /// are, the engine keeps them: what it counts as written is.
    sealed: usize,
    /// There was output before the stages were open.
    held_back: bool,
    /// What was wrong with bytes behind good ones.
    failed: Option<io::Error>,
}

impl Staged {
    pub(crate) fn new(stage: Box<dyn Stage>) -> Self {
        Self { stage, rest: None, sealed: 0, held_back: false, failed: None }
    }

    /// Whether there is something to [`receive`](Self::receive) of what was read before.
    pub(crate) fn has_rest(&self) -> bool {
        self.rest.is_some() || self.failed.is_some() || self.stage.has_ended()
    }

    /// Passes what was read through the stages, or what is left of earlier reads.
    pub(crate) fn receive(&mut self, read: &[u8], mut up: impl FnMut(&[u8])) -> io::Result<Progress> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        if self.stage.has_ended() {
            return Ok(Progress::Ended);
        }
        let rest = self.rest.take();
        let mut wire = rest.as_deref().unwrap_or(read);
        let was_open = self.stage.is_open();
        let mut any = false;
        let received = self.stage.receive(&mut wire, &mut |bytes| {
            if !bytes.is_empty() {
                any = true;
                up(bytes);
            }
        });
        match received {
            Err(error) if any => self.failed = Some(error),
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        if !was_open && self.stage.is_open() {
            self.rest = Some(wire.to_vec());
            return Ok(Progress::Opened);
        }
        Ok(match any {
            true => Progress::Bytes,
            false if self.stage.has_ended() => Progress::Ended,
            false => Progress::Nothing,
        })
    }

    /// Writes what the stages have for the socket, then the output through them: whether that was all, for now. Where it was
    /// not, the socket takes no more, or the stages are not open yet.
    pub(crate) fn write(
        &mut self,
        output: &mut impl Buf,
        write: &mut WriteSocket<'_>,
    ) -> io::Result<Written> {
        loop {
            if !self.flush(write)? {
                return Ok(Written::Blocked);
            }
            self.held_back = false;
            if !output.has_remaining() {
                return Ok(Written::All);
            }
            output.advance(mem::take(&mut self.sealed).min(output.remaining()));
            if !output.has_remaining() {
                return Ok(Written::All);
            }
            self.held_back = !self.stage.is_open();
            if self.held_back {
                return Ok(Written::HeldBack);
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = output.chunks_vectored(&mut slices);
            self.sealed = self.stage.send(&slices[..count])?;
            if self.sealed == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
    }

    /// Writes what the stages have for the socket: whether it took all.
    pub(crate) fn flush(&mut self, write: &mut WriteSocket<'_>) -> io::Result<bool> {
        while self.stage.has_output() {
            match self.stage.write(write) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    pub(crate) fn has_output(&self) -> bool {
        self.stage.has_output() || (self.held_back && self.stage.is_open())
    }

    pub(crate) fn close(&mut self) {
        self.stage.close();
    }

    pub(crate) fn security(&self) -> sasl::Channel {
        self.stage.security()
    }
}

/// How far a write came.
pub(crate) enum Written {
    All,
    /// The socket takes no more.
    Blocked,
    /// The stages take nothing before the peer was heard.
    HeldBack,
}
