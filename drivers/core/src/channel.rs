//! One connection's bytes between a socket and the engine.

use std::{
    io::{self, ErrorKind, IoSlice},
    mem,
    ops::Range,
};

use amqp1_engine::sasl;
use bytes::{Buf, Bytes, BytesMut};

use crate::stage::{Progress, Stage, Staged, Written};

/// What one read asks for, and a little more: large enough that a busy connection pays one system call for many frames.
pub const READ_SIZE: usize = 64 * 1024;

/// What reads ask for until one has brought that much: a program that exchanges a few short messages touches no more memory.
const FIRST_READ: usize = 4 * SHORT;

/// Input up to this size is copied: neither a short payload that is kept nor the beginning of a frame holds a block.
const SHORT: usize = 1024;

/// The length of a block: what one read brings, or a frame with 64 KiB of payload and little more.
const BLOCK: usize = READ_SIZE + 8 * SHORT;

/// The length of a block for the first reads.
const FIRST_BLOCK: usize = FIRST_READ + 2 * SHORT;

/// The length of a block for a frame that is longer.
const LONG_BLOCK: usize = 2 * READ_SIZE + 2 * SHORT;

/// The most blocks that wait for their next use.
const BLOCKS: usize = 4;

/// What is allocated at a time for short input.
const SHORTS: usize = 16 * SHORT;

/// After so many reads that brought nothing but what the stages keep to themselves, others have a turn.
const READS_FOR_STAGES: usize = 16;

/// Slices offered to one write.
const SLICES: usize = 64;

/// The memory that connections read into.
///
/// A driver has one for all its connections, so that an idle connection holds no buffer at all. What was read stays where
/// it is as long as somebody shares it; then its block is used again.
#[derive(Debug, Default)]
pub struct Spare {
    /// The one used last is at the end: it is the likeliest to be in the processor's cache.
    blocks: Vec<Bytes>,
    /// Whether a read has filled what it was given.
    is_busy: bool,
    shorts: BytesMut,
    /// What is read for [stages](crate::Stages), if there are any: it is empty between two reads.
    wire: Vec<u8>,
}

impl Spare {
    /// A block that nobody shares: it begins with a copy of `rest`, and has room for `wanted` bytes behind it.
    fn take(&mut self, rest: &[u8], wanted: usize) -> BytesMut {
        let needed = rest.len() + wanted;
        let expected = needed.max(frame_size(rest).saturating_add(SHORT));
        let len = if !self.is_busy && expected <= FIRST_BLOCK {
            FIRST_BLOCK
        } else if expected <= BLOCK {
            BLOCK
        } else if needed <= LONG_BLOCK {
            LONG_BLOCK
        } else {
            // The frame may never come in whole: it takes twice what has come of it.
            2 * needed
        };
        let fits = |block: &Bytes| block.len() >= len && block.is_unique();
        let mut block = match self.blocks.iter().rposition(fits) {
            Some(at) => self.blocks.remove(at).into(),
            None => new_block(len),
        };
        block[..rest.len()].copy_from_slice(rest);
        block
    }

    /// How much to read behind the beginning of a frame: its end, and little of what follows a long one, so that there is
    /// little to copy to the block in which the next long one is to be.
    fn wanted(&self, beginning: &[u8]) -> usize {
        let missing = frame_size(beginning).saturating_sub(beginning.len());
        let least = if self.is_busy { READ_SIZE } else { FIRST_READ };
        missing.clamp(least.saturating_sub(beginning.len()), READ_SIZE) + SHORT
    }

    fn put(&mut self, block: Bytes) {
        if block.len() <= LONG_BLOCK {
            if self.blocks.len() == BLOCKS {
                self.blocks.remove(0);
            }
            self.blocks.push(block);
        }
    }

    fn copy(&mut self, short: &[u8]) -> Bytes {
        if self.shorts.capacity() < short.len() {
            self.shorts.reserve(SHORTS);
        }
        self.shorts.extend_from_slice(short);
        self.shorts.split().freeze()
    }
}

/// A block of zeros. Once it was split, if only in name, it counts its owners for good: to be shared and to be taken back
/// allocate nothing any more.
fn new_block(len: usize) -> BytesMut {
    let mut block = BytesMut::zeroed(len);
    drop(block.split_to(0));
    block
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// All that there was to read.
    Bytes,
    /// As much as was asked for; there may be more.
    Full,
    /// Nothing to read now; wait until the socket is readable.
    Blocked,
    /// The [stages](crate::Stages) are open: tell the engine [what they give](Channel::security), and read again at once.
    /// There is no such thing on a plain socket.
    Secured,
    /// The peer will send no more.
    Eof,
}

/// How far one write came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Everything is written.
    All,
    /// No more can be written now: wait until the socket is writable if the channel
    /// [wants that](Channel::wants_write), else until the peer was heard.
    Blocked,
}

/// The bytes of one connection between its socket and the engine.
///
/// Input is read into a block of [`Spare`] and handed to the engine, which takes whole frames and leaves the rest. Large
/// payloads stay where they were read and are shared, never copied. Output is written straight from where the engine
/// lends it. One pass of a driver is: read, dispatch all that came of it, write once. None of this allocates, unless what
/// has arrived is kept.
///
/// ```
/// use amqp1_driver::{Channel, Received, Sent, Spare};
/// use bytes::Buf;
/// use std::io::{Read, Write};
///
/// let (mut spare, mut channel) = (Spare::default(), Channel::new());
/// let mut socket: &[u8] = b"AMQP";
///
/// let read = channel.read(&mut spare, |buffer| socket.read(buffer), |input| {
///     assert_eq!(&input[..], b"AMQP");
///     input.advance(4);                        // here the engine takes what it can
/// })?;
/// assert_eq!(read, Received::Bytes);
///
/// let mut socket = Vec::new();
/// let mut output: &[u8] = b"AMQP";             // here the engine lends its output
/// assert_eq!(channel.write(&mut output, |slices| socket.write_vectored(slices))?, Sent::All);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Stages
///
/// [`Stages`](crate::Stages) gives channels that have byte stages between the socket and the engine, such as TLS. A driver
/// treats them as any other, with three things to look at:
///
/// - A stage has bytes of its own to write, at the beginning and in answer to what was read: after it was made, after
///   each read and when the socket is writable, see whether the channel [`has_output`](Self::has_output), and
///   [`write`](Self::write) then, with empty output if the engine has none.
/// - Once the stages are open, `read` returns [`Received::Secured`].
/// - Before the socket is closed, [`close`](Self::close) says so to the peer.
///
/// What the socket has not taken the engine keeps: output counts as written when all its bytes are on their way.
#[derive(Debug, Default)]
pub struct Channel {
    /// The beginning of a frame, where that is short.
    short: Vec<u8>,
    /// Where it is long: the block that it was read into, and where in there it is.
    long: Option<(Bytes, Range<usize>)>,
    blocked: bool,
    stages: Option<Box<Staged>>,
}

impl Channel {
    /// A channel of plain bytes with nothing in it; it allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[allow(dead_code, reason = "without any feature there is no stage")]
    pub(crate) fn with_stage(stage: Box<dyn Stage>) -> Self {
        Self { stages: Some(Box::new(Staged::new(stage))), ..Self::default() }
    }

    /// Reads once, and has the engine `take` what it can of all that was read and not taken before; where nothing
    /// was read, it is not asked. `read` fills the buffer it is given from the start and returns the number of
    /// bytes; zero is the end of the stream. An interrupted read is tried again.
    ///
    /// # Errors
    /// What `read` returned, except [`ErrorKind::WouldBlock`], which is [`Received::Blocked`].
    pub fn read(
        &mut self,
        spare: &mut Spare,
        mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
        take: impl FnOnce(&mut Bytes),
    ) -> io::Result<Received> {
        if let Some(mut stages) = self.stages.take() {
            let mut wire = mem::take(&mut spare.wire);
            wire.resize(READ_SIZE, 0);
            let received = self.read_staged(&mut stages, &mut wire, spare, &mut read, take);
            spare.wire = wire;
            self.stages = Some(stages);
            return received;
        }
        let (mut block, mut unread, wanted) = self.room(spare);
        let result = loop {
            match read(&mut block[unread.end..][..wanted]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let block = block.freeze();
        if let Ok(len @ 1..) = result {
            unread.end += len;
            unread.start = hand_over(&block, unread.clone(), spare, take);
        }
        self.keep(block, unread, spare);
        match result {
            Ok(0) => Ok(Received::Eof),
            Ok(len) if len == wanted => {
                spare.is_busy = true;
                Ok(Received::Full)
            }
            Ok(_) => Ok(Received::Bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Blocked),
            Err(error) => Err(error),
        }
    }

    /// Reads into `wire` until that brings something, and passes it through the stages into a block.
    fn read_staged(
        &mut self,
        stages: &mut Staged,
        wire: &mut [u8],
        spare: &mut Spare,
        read: &mut dyn FnMut(&mut [u8]) -> io::Result<usize>,
        take: impl FnOnce(&mut Bytes),
    ) -> io::Result<Received> {
        for _ in 0..READS_FOR_STAGES {
            let len = match stages.has_rest() {
                true => 0,
                false => match read(wire) {
                    Ok(0) => return Ok(Received::Eof),
                    Ok(len) => len,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::Blocked),
                    Err(error) => return Err(error),
                },
            };
            let mut decoded = None;
            let up = |bytes: &[u8]| {
                let (block, unread) = decoded.get_or_insert_with(|| {
                    let (block, unread, _) = self.room(spare);
                    (block, unread)
                });
                if block.len() - unread.end < bytes.len() {
                    let moved = spare.take(&block[unread.clone()], bytes.len());
                    spare.put(mem::replace(block, moved).freeze());
                    *unread = 0..unread.len();
                }
                block[unread.end..][..bytes.len()].copy_from_slice(bytes);
                unread.end += bytes.len();
            };
            let progress = stages.receive(&wire[..len], up);
            if let Some((block, mut unread)) = decoded {
                let block = block.freeze();
                unread.start = hand_over(&block, unread.clone(), spare, take);
                self.keep(block, unread, spare);
                let has_more = len == wire.len() || stages.has_rest();
                return Ok(if has_more { Received::Full } else { Received::Bytes });
            }
            match progress? {
                Progress::Opened => return Ok(Received::Secured),
                Progress::Ended => return Ok(Received::Eof),
                Progress::Bytes | Progress::Nothing => {}
            }
        }
        Ok(Received::Full)
    }

    /// A block, where in it the unfinished frame is, and how much to read behind that.
    fn room(&mut self, spare: &mut Spare) -> (BytesMut, Range<usize>, usize) {
        let Some((block, unread)) = self.long.take() else {
            let wanted = spare.wanted(&self.short);
            return (spare.take(&self.short, wanted), 0..self.short.len(), wanted);
        };
        let wanted = spare.wanted(&block[unread.clone()]);
        if block.is_unique() && unread.end + wanted <= block.len() {
            return (block.into(), unread, wanted);
        }
        let moved = spare.take(&block[unread.clone()], wanted);
        spare.put(block);
        (moved, 0..unread.len(), wanted)
    }

    /// Keeps what is unfinished, and gives the block back where that is possible.
    fn keep(&mut self, block: Bytes, unread: Range<usize>, spare: &mut Spare) {
        self.short.clear();
        if unread.len() > SHORT {
            self.long = Some((block, unread));
        } else {
            self.short.extend_from_slice(&block[unread]);
            spare.put(block);
        }
    }

    /// Writes as much of `output` as the socket takes, behind what the stages have to write. `write` takes slices, as
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
        if let Some(stages) = &mut self.stages {
            let written = stages.write(output, &mut write)?;
            self.blocked = matches!(written, Written::Blocked);
            return Ok(if matches!(written, Written::All) { Sent::All } else { Sent::Blocked });
        }
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

    /// Whether the stages have bytes to write, their own or such as waited for them to be open, and the socket is not
    /// blocked: call [`write`](Self::write), even if the engine has no output.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.blocked && self.stages.as_ref().is_some_and(|stages| stages.has_output())
    }

    /// What the stages protect and whom they have proved the peer to be, for the engine.
    #[must_use]
    pub fn security(&self) -> sasl::Channel {
        self.stages.as_ref().map_or_else(sasl::Channel::default, |stages| stages.security())
    }

    /// Writes the stages' last word, as far as the socket takes it at once: that nothing follows, or why they gave up. To be
    /// called before the socket is closed.
    pub fn close(&mut self, mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>) {
        if let Some(stages) = &mut self.stages {
            stages.close();
            // A socket that is gone or full cannot be told.
            let _ = stages.flush(&mut write);
        }
    }
}

/// Has the engine take what it can of what is unread in a block: where the rest begins.
fn hand_over(block: &Bytes, unread: Range<usize>, spare: &mut Spare, take: impl FnOnce(&mut Bytes)) -> usize {
    let end = unread.end;
    let is_short = unread.len() <= SHORT;
    let mut input = if is_short { spare.copy(&block[unread]) } else { block.slice(unread) };
    take(&mut input);
    end - input.len()
}

/// The size that a frame begins with (§2.3.1); 0 when that has not come.
fn frame_size(beginning: &[u8]) -> usize {
    beginning.first_chunk().map_or(0, |size| u32::from_be_bytes(*size) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that has this to read.
    fn socket(bytes: &mut &[u8]) -> impl FnMut(&mut [u8]) -> io::Result<usize> {
        move |buffer| {
            let len = bytes.len().min(buffer.len());
            bytes.copy_to_slice(&mut buffer[..len]);
            Ok(len)
        }
    }

    /// Reads this, and takes so much of all there is: what was taken and what is left.
    fn read(channel: &mut Channel, spare: &mut Spare, mut bytes: &[u8], taken: usize) -> (Bytes, Bytes) {
        let mut seen = None;
        let received = channel.read(spare, socket(&mut bytes), |input| {
            let taken = input.split_to(taken);
            seen = Some((taken, Bytes::copy_from_slice(input)));
        });
        assert_eq!(received.unwrap(), Received::Bytes);
        seen.unwrap()
    }

    /// A frame of this size, header included.
    fn frame(size: usize) -> Vec<u8> {
        let mut frame = vec![7; size];
        frame[..4].copy_from_slice(&u32::try_from(size).unwrap().to_be_bytes());
        frame
    }

    #[test]
    fn an_unfinished_frame_is_kept_and_its_block_is_not() {
        let (mut spare, mut channel) = (Spare::default(), Channel::new());
        let frame = frame(10);
        let stream = [&frame[..], &frame].concat();
        let (taken, rest) = read(&mut channel, &mut spare, &stream[..15], 10);
        assert_eq!((&taken[..], &rest[..]), (&frame[..], &frame[..5]));
        assert!(channel.long.is_none());
        assert_eq!(spare.blocks.len(), 1, "the block waits for the next read");
        let block = spare.blocks[0].as_ptr();
        assert_eq!(read(&mut channel, &mut spare, &stream[15..], 10).0, frame);
        assert_eq!(spare.blocks.len(), 1);
        assert_eq!(spare.blocks[0].as_ptr(), block, "and is used again");
    }

    #[test]
    fn the_first_blocks_are_small() {
        let (mut spare, mut channel) = (Spare::default(), Channel::new());
        read(&mut channel, &mut spare, &frame(10), 10);
        assert_eq!(spare.blocks[0].len(), FIRST_BLOCK);
        let much = frame(10).repeat(FIRST_READ);
        let mut much = &much[..];
        let received = channel.read(&mut spare, socket(&mut much), Bytes::clear);
        assert_eq!((received.unwrap(), spare.blocks.len()), (Received::Full, 1));
        let received = channel.read(&mut spare, socket(&mut much), Bytes::clear);
        assert_eq!(received.unwrap(), Received::Bytes);
        assert_eq!(spare.blocks.last().unwrap().len(), BLOCK);
    }

    #[test]
    fn a_long_frame_ends_in_the_block_where_it_began() {
        let (mut spare, mut channel) = (Spare::default(), Channel::new());
        let frame = frame(2 * READ_SIZE);
        let stream = frame.repeat(3);
        assert_eq!(read(&mut channel, &mut spare, &stream[..4], 0).1, frame[..4]);
        spare.blocks.clear();
        let mut rest = &stream[4..];
        let mut socket = socket(&mut rest);
        for _ in 0..3 {
            let read = channel.read(&mut spare, &mut socket, |input| assert!(frame.starts_with(input)));
            assert_eq!(read.unwrap(), Received::Full);
            assert!(spare.blocks.is_empty());
            let taken =
                channel.read(&mut spare, &mut socket, |input| assert_eq!(input.split_to(frame.len()), frame));
            taken.unwrap();
            assert!(channel.long.is_none(), "what was read beyond the frame is short");
            assert_eq!(spare.blocks.len(), 1, "one block does");
        }
        assert!(channel.short.is_empty());
    }

    #[test]
    fn a_frame_longer_than_a_block_has_a_larger_one() {
        let (mut spare, mut channel) = (Spare::default(), Channel::new());
        let frame = frame(10 * READ_SIZE);
        let mut rest = &frame[..];
        let mut len = 0;
        while !rest.is_empty() {
            let read = channel.read(&mut spare, socket(&mut rest), |input| {
                assert!(frame.starts_with(input) && input.len() > len);
                len = input.len();
                if len == frame.len() {
                    input.clear();
                }
            });
            read.unwrap();
            let (held, read) =
                (channel.long.as_ref().map_or(0, |(block, _)| block.len()), frame.len() - rest.len());
            assert!(
                held <= 2 * (read + READ_SIZE + SHORT),
                "{held} for {read}: no more than was read asks for"
            );
        }
        assert!(channel.long.is_none());
        assert!(spare.blocks.iter().all(|block| block.len() <= LONG_BLOCK), "it is too large to keep");
    }

    #[test]
    fn what_is_shared_is_left_alone() {
        let (mut spare, mut channel) = (Spare { is_busy: true, ..Spare::default() }, Channel::new());
        let stream: Vec<u8> = (0..2 * BLOCKS as u8).flat_map(|number| [number; 3 * SHORT]).collect();
        let mut payloads = Vec::new();
        for part in stream.chunks(3 * SHORT) {
            payloads.push(read(&mut channel, &mut spare, part, SHORT).0);
        }
        assert!(payloads.iter().eq(stream.chunks(SHORT).take(payloads.len())));
        assert_eq!(spare.blocks.len(), BLOCKS, "they wait for those who share them");
    }

    #[test]
    fn a_short_payload_that_is_kept_holds_no_block() {
        let (mut spare, mut channel) = (Spare::default(), Channel::new());
        let payload = read(&mut channel, &mut spare, &[7; SHORT], SHORT).0;
        assert!(spare.blocks[0].is_unique());
        assert_eq!(payload, vec![7; SHORT]);
        let payload = read(&mut channel, &mut spare, &[7; SHORT + 1], SHORT).0;
        assert!(!spare.blocks[0].is_unique(), "a longer one shares it");
        drop(payload);
        assert!(spare.blocks[0].is_unique());
    }

    #[test]
    fn what_a_read_can_end_with() {
        let (mut spare, mut channel) = (Spare { is_busy: true, ..Spare::default() }, Channel::new());
        let nothing = |_: &mut Bytes| panic!("nothing was read");
        let mut answers = vec![Err(ErrorKind::WouldBlock.into()), Err(ErrorKind::Interrupted.into())];
        let blocked = channel.read(&mut spare, |_| answers.pop().unwrap(), nothing);
        assert_eq!(blocked.unwrap(), Received::Blocked);
        assert!(answers.is_empty(), "an interrupted read is tried again");
        assert_eq!(channel.read(&mut spare, |_| Ok(0), nothing).unwrap(), Received::Eof);
        let reset = channel.read(&mut spare, |_| Err(ErrorKind::ConnectionReset.into()), nothing);
        assert_eq!(reset.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(
            channel.read(&mut spare, |buffer| Ok(buffer.len()), Bytes::clear).unwrap(),
            Received::Full
        );
        assert_eq!(
            channel.read(&mut spare, |buffer| Ok(buffer.len() - 1), Bytes::clear).unwrap(),
            Received::Bytes
        );
        assert_eq!(spare.blocks.len(), 1);
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
