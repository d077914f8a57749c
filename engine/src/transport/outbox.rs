//! What waits to be written: small things in one buffer, large payloads behind it, none copied twice.

use alloc::{collections::VecDeque, vec::Vec};
use core::ops::Range;

use bytes::{Buf, Bytes};

use crate::{
    codec::{frame, hot::FirstTransfer},
    record::Tape,
};

/// The bytes on their way out.
///
/// ```text
///   buffer   |sent........|frame head|frame|frame head|
///                         ^ read     ^ payload        ^ payload
///   shared                            1 MiB            64 KiB
/// ```
///
/// Frames are written to the end of `buffer`. A payload too large to copy is kept as the `Bytes` it came in,
/// with the place in `buffer` that it goes before. What was sent is skipped by an offset.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    buffer: Vec<u8>,
    read: usize,
    shared: VecDeque<Shared>,
    shared_len: usize,
    /// Passes in a row that used little of the buffer.
    small_passes: u8,
}

#[derive(Debug)]
struct Shared {
    /// The place in `buffer` that these bytes go before.
    at: usize,
    bytes: Bytes,
}

/// Sent bytes are cut off the front of a buffer that never runs empty once they are this many.
const CUT_ABOVE: usize = 256 * 1024;
/// A buffer that has run empty keeps at most this much for the next pass.
const KEEP_CAPACITY: usize = 128 * 1024;
/// After so many passes in a row that used little of the buffer, it is made smaller.
const SMALL_PASSES: u8 = 32;

impl Outbox {
    /// Bytes that wait to be written.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() - self.read + self.shared_len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For what is no frame: protocol headers and the SASL layer.
    pub(crate) fn raw(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes one frame, its size patched afterwards; gives its place in the buffer.
    #[inline]
    pub(crate) fn frame(&mut self, channel: u16, body: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = frame::begin_frame(&mut self.buffer, channel);
        body(&mut self.buffer);
        frame::end_frame(&mut self.buffer, start);
        start..self.buffer.len()
    }

    /// Writes the frame of a first transfer and, behind it, a copy of its payload; gives its place in the buffer.
    #[inline(always)]
    pub(crate) fn first_transfer(
        &mut self,
        channel: u16,
        transfer: &FirstTransfer<'_>,
        payload: &[u8],
    ) -> Range<usize> {
        let start = self.buffer.len();
        transfer.write_frame(&mut self.buffer, channel, payload.len());
        self.buffer.extend_from_slice(payload);
        start..self.buffer.len()
    }

    /// Appends `payload`, which is not copied, to the frame just written.
    pub(crate) fn share(&mut self, frame: &Range<usize>, payload: Bytes) {
        let size = (frame.len() + payload.len()) as u32;
        self.buffer[frame.start..frame.start + 4].copy_from_slice(&size.to_be_bytes());
        self.shared_len += payload.len();
        self.shared.push_back(Shared { at: self.buffer.len(), bytes: payload });
    }

    /// The bytes of a frame just written, without a shared payload.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Takes back what was written from here on: a frame that turned out too large to send.
    pub(crate) fn truncate(&mut self, range: &Range<usize>) {
        self.buffer.truncate(range.start);
    }

    /// Forgets everything: the connection is lost.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn reset_when_empty(&mut self) {
        if self.is_empty() {
            let small = self.buffer.len() < self.buffer.capacity() / 8;
            self.small_passes = if small { self.small_passes + 1 } else { 0 };
            self.buffer.clear();
            self.read = 0;
            if self.buffer.capacity() > KEEP_CAPACITY {
                self.buffer.shrink_to(KEEP_CAPACITY);
            } else if self.small_passes == SMALL_PASSES {
                self.small_passes = 0;
                self.buffer.shrink_to(self.buffer.capacity() / 2);
            }
        } else if self.read > CUT_ABOVE && self.read > self.buffer.len() / 2 {
            self.buffer.drain(..self.read);
            for shared in &mut self.shared {
                shared.at -= self.read;
            }
            self.read = 0;
        }
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.shared.front() {
            Some(shared) if shared.at == self.read => &shared.bytes,
            Some(shared) => &self.buffer[self.read..shared.at],
            None => &self.buffer[self.read..],
        }
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        let (mut filled, mut read) = (0, self.read);
        // No more of them find a slice.
        let most = slices.len();
        let mut push = |chunk: &'a [u8], filled: &mut usize| {
            if !chunk.is_empty() && *filled < slices.len() {
                slices[*filled] = std::io::IoSlice::new(chunk);
                *filled += 1;
            }
        };
        for shared in self.shared.iter().take(most) {
            push(&self.buffer[read..shared.at], &mut filled);
            push(&shared.bytes, &mut filled);
            read = shared.at;
        }
        push(&self.buffer[read..], &mut filled);
        filled
    }

    /// Records that the first `count` bytes are written.
    ///
    /// # Panics
    ///
    /// When `count` is more than [`remaining`](Buf::remaining), as `Buf` asks.
    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.len(), "cannot write more bytes than there are");
        while count > 0 {
            match self.shared.front_mut() {
                Some(shared) if shared.at == self.read => {
                    let step = count.min(shared.bytes.len());
                    if step == shared.bytes.len() {
                        self.shared.pop_front();
                    } else {
                        shared.bytes.advance(step);
                    }
                    self.shared_len -= step;
                    count -= step;
                }
                front => {
                    let end = front.map_or(self.buffer.len(), |shared| shared.at);
                    let step = count.min(end - self.read);
                    self.read += step;
                    count -= step;
                }
            }
        }
        self.reset_when_empty();
    }
}

/// The bytes to write next, lent from the connection.
///
/// It is a [`Buf`]: [`chunk`](Buf::chunk) is the first slice, `chunks_vectored` all of them for a vectored write,
/// and [`advance`](Buf::advance) records how many bytes the socket took. A short write is the normal case;
/// what was not advanced over is offered again by the next `poll_transmit`.
#[derive(Debug)]
#[must_use = "bytes that are not written are offered again"]
pub struct Transmit<'a> {
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) tape: Option<&'a mut Tape>,
}

impl Buf for Transmit<'_> {
    fn remaining(&self) -> usize {
        self.outbox.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.outbox.chunk()
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        self.outbox.chunks_vectored(slices)
    }

    fn advance(&mut self, mut count: usize) {
        if let Some(tape) = &mut self.tape {
            while count > 0 && self.outbox.has_remaining() {
                let step = count.min(self.outbox.chunk().len());
                tape.output(&self.outbox.chunk()[..step]);
                self.outbox.advance(step);
                count -= step;
            }
        }
        self.outbox.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[cfg(feature = "std")]
    #[test]
    fn a_vectored_write_gets_as_many_slices_as_it_has_places_for() {
        let (mut outbox, mut all) = (Outbox::default(), Vec::new());
        for fill in 0..3 {
            let range = outbox.frame(7, |out| out.push(fill));
            outbox.share(&range, Bytes::from(vec![fill; 5]));
            all.extend_from_slice(outbox.bytes(range));
            all.extend_from_slice(&[fill; 5]);
        }
        let range = outbox.frame(7, |_| ());
        all.extend_from_slice(outbox.bytes(range));
        for places in 0..9 {
            let mut slices = vec![std::io::IoSlice::new(&[]); places];
            let filled = outbox.chunks_vectored(&mut slices);
            assert_eq!(filled, places.min(7));
            let joined: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
            assert_eq!(joined[..], all[..joined.len()]);
        }
    }

    proptest! {
        /// However the socket takes the bytes, they come out in the order they were written.
        #[test]
        fn short_writes_keep_the_order(
            frames in proptest::collection::vec((0_usize..20, 0_usize..3000), 1..30),
            steps in proptest::collection::vec(1_usize..4000, 1..20),
        ) {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            let mut written = Vec::new();
            let mut steps = steps.into_iter().cycle();
            for (index, (head, tail)) in frames.into_iter().enumerate() {
                let body = vec![index as u8; head];
                let range = if tail > 1000 {
                    let payload = Bytes::from(vec![0x80 | index as u8; tail]);
                    let range = outbox.frame(7, |out| out.extend_from_slice(&body));
                    outbox.share(&range, payload.clone());
                    expected.extend_from_slice(outbox.bytes(range.clone()));
                    expected.extend_from_slice(&payload);
                    prop_assert_eq!(&outbox.bytes(range.clone())[..4], ((range.len() + tail) as u32).to_be_bytes());
                    range
                } else {
                    let range = outbox.frame(7, |out| out.extend_from_slice(&body));
                    expected.extend_from_slice(outbox.bytes(range.clone()));
                    range
                };
                prop_assert!(range.len() == head + 8);
                let step = steps.next().unwrap().min(outbox.len()).min(outbox.chunk().len());
                written.extend_from_slice(&outbox.chunk()[..step]);
                outbox.advance(step);
            }
            while outbox.has_remaining() {
                let step = steps.next().unwrap().min(outbox.chunk().len());
                written.extend_from_slice(&outbox.chunk()[..step]);
                outbox.advance(step);
            }
            prop_assert_eq!(written, expected);
        }
    }
}
