//! One connection's bytes between a socket and the engine.

use std::{
    io::{self, ErrorKind, IoSlice},
    mem,
};

use bytes::{Buf, Bytes, BytesMut};

/// Room offered to one read: large enough that a busy connection pays one system call for many frames.
pub const READ_SIZE: usize = 64 * 1024;

/// The longest unfinished frame that is copied out so that its read buffer can serve other connections; a
/// longer one waits in the read buffer and grows there.
const KEPT: usize = 2 * 1024;

/// The largest buffer worth keeping for the next read.
const LARGEST_SPARE: usize = 4 * READ_SIZE;

/// Slices offered to one write.
const SLICES: usize = 64;

/// The read buffer that waits for the next connection with something to read.
///
/// A driver has one for all its connections, so that an idle connection holds no buffer at all.
#[derive(Debug, Default)]
pub struct Spare(Vec<u8>);

impl Spare {
    fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.0)
    }

    fn put(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() > self.0.capacity() && buffer.capacity() <= LARGEST_SPARE {
            buffer.clear();
            self.0 = buffer;
        }
    }
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// There is more input than before.
    Bytes,
    /// Nothing to read now; wait until the socket is readable.
    Blocked,
    /// The peer will send no more.
    Eof,
}

/// How far one write came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Everything is written.
    All,
    /// The socket takes no more now; wait until it is writable.
    Blocked,
}

/// The bytes of one connection between its socket and the engine.
///
/// Input is read into a [`Spare`] buffer, at most [`READ_SIZE`] at a time, and handed to the engine, which takes whole
/// frames from [`input`](Self::input) and leaves the rest. Large payloads stay in the buffer and are shared, never
/// copied. Output is written straight from where the engine lends it. One pass of a driver is: read once, let the
/// engine handle the input, dispatch all that came of it, write once.
///
/// ```
/// use amqp1_driver::{Channel, Received, Sent, Spare};
/// use std::io::{Read, Write};
///
/// let (mut spare, mut channel) = (Spare::default(), Channel::new());
/// let mut socket: &[u8] = b"AMQP";
///
/// let read = channel.read(&mut spare, |buffer| socket.read_to_end(buffer))?;
/// assert_eq!(read, Received::Bytes);
/// assert_eq!(&channel.input()[..], b"AMQP");
/// channel.input().clear();                     // here the engine takes what it can
/// channel.release(&mut spare);
///
/// let mut socket = Vec::new();
/// let mut output: &[u8] = b"AMQP";             // here the engine lends its output
/// assert_eq!(channel.write(&mut output, |slices| socket.write_vectored(slices))?, Sent::All);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Where TLS and WebSocket will go
///
/// Both are byte stages between the socket and the engine, with buffers of the caller, and they belong in here: `read`
/// will pass what the socket gave through the stage before it reaches `input`, and `write` will pass the
/// engine's output through the stage to the socket, which may also have bytes of its own to write. Drivers see
/// none of it: they keep calling `read`, `input`, `release` and `write`, and wait as `wants_write` says.
#[derive(Debug, Default)]
pub struct Channel {
    input: BytesMut,
    blocked: bool,
}

impl Channel {
    /// A channel with nothing in it; it allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads once. `read` appends to the buffer it is given, within the buffer's capacity, and returns the number of
    /// bytes it appended; zero is the end of the stream. An interrupted read is tried again.
    ///
    /// # Errors
    /// What `read` returned, except [`ErrorKind::WouldBlock`], which is [`Received::Blocked`].
    pub fn read(
        &mut self,
        spare: &mut Spare,
        mut read: impl FnMut(&mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<Received> {
        let mut buffer = if self.input.len() <= KEPT {
            let mut buffer = spare.take();
            if buffer.capacity() < READ_SIZE + KEPT {
                buffer = Vec::with_capacity(READ_SIZE + KEPT);
            }
            buffer.extend_from_slice(&self.input);
            buffer
        } else {
            let mut buffer = Vec::from(mem::take(&mut self.input));
            buffer.reserve(READ_SIZE);
            buffer
        };
        let result = loop {
            match read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        // An owned, whole vector changes into `Bytes` and on into `BytesMut` without a copy.
        self.input = BytesMut::from(Bytes::from(buffer));
        match result {
            Ok(0) => Ok(Received::Eof),
            Ok(_) => Ok(Received::Bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Blocked),
            Err(error) => Err(error),
        }
    }

    /// What was read and not yet taken.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Gives the read buffer back when it holds next to nothing; to be called when the engine has taken what
    /// it could.
    pub fn release(&mut self, spare: &mut Spare) {
        if self.input.len() <= KEPT && self.input.capacity() > KEPT {
            let rest = BytesMut::from(&self.input[..]);
            spare.put(Vec::from(mem::replace(&mut self.input, rest)));
        }
    }

    /// Writes as much of `output` as the socket takes. `write` takes slices, as
    /// [`Write::write_vectored`](io::Write::write_vectored) does, and returns the number of bytes written.
    ///
    /// # Errors
    /// What `write` returned, except [`ErrorKind::WouldBlock`], which is [`Sent::Blocked`].
    pub fn write(
        &mut self,
        output: &mut impl Buf,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<Sent> {
        self.blocked = false;
        while output.has_remaining() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = output.chunks_vectored(&mut slices);
            let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            let written = match write(&slices[..count]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            output.advance(written);
            if written < offered {
                self.blocked = true;
                return Ok(Sent::Blocked);
            }
        }
        Ok(Sent::All)
    }

    /// Whether the socket took less than it was offered: wait until it is writable.
    #[must_use]
    pub const fn wants_write(&self) -> bool {
        self.blocked
    }

    /// The socket is writable: there is nothing to wait for any more, even if what was to be written is not there any
    /// more either.
    pub const fn writable(&mut self) {
        self.blocked = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(bytes: &[u8]) -> impl FnMut(&mut Vec<u8>) -> io::Result<usize> {
        move |buffer| {
            assert!(buffer.capacity() - buffer.len() >= READ_SIZE, "room for a whole read");
            buffer.extend_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn an_unfinished_frame_is_kept_and_its_buffer_is_not() {
        let (mut spare, mut channel) = (Spare::default(), Channel::new());
        assert_eq!(channel.read(&mut spare, append(b"whole, unfin")).unwrap(), Received::Bytes);
        channel.input().advance(7);
        channel.release(&mut spare);
        assert!(spare.0.capacity() >= READ_SIZE, "the buffer waits for the next read");
        assert!(channel.input().capacity() < 64);
        assert_eq!(channel.read(&mut spare, append(b"ished")).unwrap(), Received::Bytes);
        assert_eq!(spare.0.capacity(), 0, "and is used again");
        assert_eq!(&channel.input()[..], b"unfinished");
    }

    #[test]
    fn a_long_frame_grows_where_it_is() {
        let (mut spare, mut channel) = (Spare::default(), Channel::new());
        let part = vec![7; READ_SIZE];
        for parts in 1..=8 {
            assert_eq!(channel.read(&mut spare, append(&part)).unwrap(), Received::Bytes);
            channel.release(&mut spare);
            assert_eq!(channel.input().len(), parts * READ_SIZE);
        }
        channel.input().clear();
        channel.release(&mut spare);
        assert_eq!(channel.input().capacity(), 0);
        assert_eq!(spare.0.capacity(), 0, "too large to keep");
    }

    #[test]
    fn a_shared_payload_is_left_alone() {
        let (mut spare, mut channel) = (Spare::default(), Channel::new());
        channel.read(&mut spare, append(b"payload, rest")).unwrap();
        let payload = channel.input().split_to(8).freeze();
        channel.release(&mut spare);
        channel.read(&mut spare, append(b" of it")).unwrap();
        assert_eq!(&payload[..], b"payload,");
        assert_eq!(&channel.input()[..], b" rest of it");
    }

    #[test]
    fn what_a_read_can_end_with() {
        let (mut spare, mut channel) = (Spare::default(), Channel::new());
        let mut answers = vec![Err(ErrorKind::WouldBlock.into()), Err(ErrorKind::Interrupted.into())];
        assert_eq!(channel.read(&mut spare, |_| answers.pop().unwrap()).unwrap(), Received::Blocked);
        assert!(answers.is_empty(), "an interrupted read is tried again");
        assert_eq!(channel.read(&mut spare, |_| Ok(0)).unwrap(), Received::Eof);
        let reset = channel.read(&mut spare, |_| Err(ErrorKind::ConnectionReset.into()));
        assert_eq!(reset.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(channel.input().is_empty());
        channel.release(&mut spare);
        assert!(spare.0.capacity() >= READ_SIZE);
    }

    #[test]
    fn a_short_write_waits_for_the_socket() {
        let mut channel = Channel::new();
        let mut output = Bytes::from_static(b"head").chain(Bytes::from_static(b"payload"));
        let mut written = Vec::new();
        let result = channel.write(&mut output, |slices| {
            assert_eq!(slices.len(), 2);
            written.extend_from_slice(&slices[0][..]);
            written.extend_from_slice(&slices[1][..3]);
            Ok(7)
        });
        assert_eq!((result.unwrap(), channel.wants_write()), (Sent::Blocked, true));
        assert_eq!(channel.write(&mut output, |_| Err(ErrorKind::WouldBlock.into())).unwrap(), Sent::Blocked);
        let result = channel.write(&mut output, |slices| {
            written.extend_from_slice(&slices[0]);
            Ok(slices[0].len())
        });
        assert_eq!((result.unwrap(), channel.wants_write()), (Sent::All, false));
        assert_eq!(written, b"headpayload");
        let mut rest: &[u8] = b"x";
        assert_eq!(channel.write(&mut rest, |_| Ok(0)).unwrap_err().kind(), ErrorKind::WriteZero);
    }
}
