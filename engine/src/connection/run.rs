//! Transfers that follow each other on one link, which is nearly all that a busy connection receives.

use bytes::{Buf, Bytes};

use crate::{
    codec::{
        frame::{self, FRAME_HEADER_LEN},
        hot::Hot,
    },
    types::{Handle, Transfer},
};

/// Reads on behind a transfer as long as transfers of the same link follow, whose way is looked up once for all.
///
/// A frame that is anything else, or is wrong, ends the run and is left to be handled by itself.
pub(crate) struct Run<'a> {
    /// Whole frames.
    block: &'a Bytes,
    /// Where the next one begins.
    end: &'a mut usize,
    /// Data offset, type and channel of the first frame.
    header: u32,
    handle: Handle,
}

impl<'a> Run<'a> {
    /// The run that the frame between `start` and `end`, a transfer on this handle, begins.
    #[inline(always)]
    pub(super) fn new(block: &'a Bytes, start: usize, end: &'a mut usize, handle: Handle) -> Self {
        let header = word(&block[start..], 4).unwrap_or_default();
        Self { block, end, header, handle }
    }

    /// The next transfer and its payload.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<(Transfer, Bytes)> {
        let rest = &self.block[*self.end..];
        let size = word(rest, 0)? as usize;
        if word(rest, 4)? != self.header {
            return None;
        }
        let data_offset = usize::from(rest[4]) * 4;
        let body = rest.get(data_offset.max(FRAME_HEADER_LEN)..size)?;
        let (descriptor, fields) = frame::descriptor(body).ok()?;
        if descriptor != Transfer::CODE {
            return None;
        }
        let (payload, transfer) = Transfer::parse(fields).ok()?;
        if transfer.handle != self.handle {
            return None;
        }
        *self.end += size;
        Some((transfer, tail(self.block, *self.end, payload.len())))
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
    let mut payload = block.clone();
    payload.truncate(end);
    payload.advance(end - len);
    payload
}
