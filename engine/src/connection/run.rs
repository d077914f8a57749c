//! Transfers that follow each other on one link, which is nearly all that a busy connection receives.

use bytes::Bytes;

use crate::{
    codec::{code, frame::FRAME_HEADER_LEN, hot::Hot},
    types::Transfer,
};

/// Reads on behind a transfer as long as transfers of the same link follow, whose way is looked up once for all.
///
/// A frame that is anything else, is wrong, or writes its first bytes in another way, ends the run and is left to be handled
/// by itself: many links that take turns must not have each of their frames read twice.
pub(crate) struct Run<'a> {
    /// Whole frames.
    block: &'a Bytes,
    /// Where the next one begins.
    end: &'a mut usize,
    /// Data offset, type and channel of the first frame.
    header: u32,
    handle: EncodedHandle,
}

/// Where the list of a transfer begins in a frame without extended header.
const LIST: usize = FRAME_HEADER_LEN + 3;
/// Descriptor and list8, as nearly all transfers begin.
const TRANSFER: u32 =
    u32::from_be_bytes([code::DESCRIBED, code::SMALLULONG, Transfer::CODE as u8, code::LIST8]);

impl<'a> Run<'a> {
    /// The run that the frame at `start` begins, a transfer which ends at `end`.
    #[inline(always)]
    pub(super) fn new(block: &'a Bytes, start: usize, end: &'a mut usize) -> Self {
        let first = &block[start..];
        let header = word(first, 4).unwrap_or_default();
        Self { block, end, header, handle: EncodedHandle::of(first).unwrap_or_default() }
    }

    /// Reads the next transfer in the place of this one; its payload comes back.
    #[inline(always)]
    pub(crate) fn next(&mut self, transfer: &mut Transfer) -> Option<Bytes> {
        let rest = &self.block[*self.end..];
        let size = word(rest, 0)? as usize;
        if word(rest, 4)? != self.header || !self.handle.begins(rest) {
            return None;
        }
        let payload = transfer.read(rest.get(FRAME_HEADER_LEN..size)?)?;
        *self.end += size;
        Some(tail(self.block, *self.end, payload.len()))
    }
}

/// How a transfer frame begins that goes to one link: the bytes of its handle, at the end of a word.
#[derive(Default)]
struct EncodedHandle {
    word: u64,
    /// How many bits of a word are not the handle's; 0 where no run begins.
    other: u32,
}

impl EncodedHandle {
    fn of(frame: &[u8]) -> Option<Self> {
        let word = Self::front(frame)?;
        let len = match (word >> 56) as u8 {
            code::UINT0 => 1,
            code::SMALLUINT => 2,
            code::UINT => 5,
            _ => return None,
        };
        let other = 64 - 8 * len;
        (frame[4] == 2).then_some(Self { word: word >> other, other })
    }

    /// The eight bytes from the handle on, behind list8, size and count.
    #[inline(always)]
    fn front(frame: &[u8]) -> Option<u64> {
        let handle = frame.get(LIST + 3..)?.first_chunk()?;
        (word(frame, FRAME_HEADER_LEN)? == TRANSFER).then_some(u64::from_be_bytes(*handle))
    }

    #[inline(always)]
    fn begins(&self, frame: &[u8]) -> bool {
        self.other > 0 && Self::front(frame).is_some_and(|word| word >> self.other == self.word)
    }
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The `len` bytes of `block` that end at `end`, shared.
#[inline(always)]
pub(super) fn tail(block: &Bytes, end: usize, len: usize) -> Bytes {
    if len == 0 {
        // An empty payload keeps no block from being freed.
        return Bytes::new();
    }
    block.slice(end - len..end)
}
