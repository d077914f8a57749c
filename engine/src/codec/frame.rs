//! Frames (§2.3): what stands before a performative.

use alloc::vec::Vec;

use super::{DecodeError, DecodeErrorKind, parse};

/// How long a frame header is, and so the shortest frame (§2.3.1).
pub const FRAME_HEADER_LEN: usize = 8;

/// The first eight bytes of a frame (§2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes of the whole frame, these eight included.
    pub(crate) size: u32,
    /// Where the body begins, in words of four bytes.
    pub(crate) doff: u8,
    /// 0 AMQP, 1 SASL.
    pub(crate) frame_type: u8,
    pub(crate) channel: u16,
}

impl FrameHeader {
    #[inline]
    pub(crate) const fn parse(header: &[u8; FRAME_HEADER_LEN]) -> Self {
        let [a, b, c, d, doff, frame_type, high, low] = *header;
        Self {
            size: u32::from_be_bytes([a, b, c, d]),
            doff,
            frame_type,
            channel: u16::from_be_bytes([high, low]),
        }
    }
}

/// What kind of performative a frame body begins with: its numeric descriptor, and the bytes from its list on.
///
/// A symbolic descriptor that the specification knows counts as its number (§1.3).
#[inline(always)]
pub(crate) fn descriptor(body: &[u8]) -> Result<(u64, &[u8]), DecodeError> {
    match parse::descriptor(body)? {
        (list, Some(code)) => Ok((code, list)),
        _ => Err(DecodeErrorKind::UnknownDescriptor.into()),
    }
}

/// Writes the header of an AMQP frame; [`end_frame`] puts its size in.
#[inline]
pub(crate) fn begin_frame(out: &mut Vec<u8>, channel: u16) -> usize {
    begin(out, 0, channel)
}

/// Writes the header of a SASL frame; [`end_frame`] puts its size in.
pub(crate) fn begin_sasl_frame(out: &mut Vec<u8>) -> usize {
    begin(out, 1, 0)
}

#[inline]
fn begin(out: &mut Vec<u8>, frame_type: u8, channel: u16) -> usize {
    let start = out.len();
    out.extend_from_slice(&header(0, frame_type, channel));
    start
}

/// A frame header without an extended one.
#[inline(always)]
pub(crate) const fn header(size: u32, frame_type: u8, channel: u16) -> [u8; FRAME_HEADER_LEN] {
    ((size as u64) << 32 | 2 << 24 | (frame_type as u64) << 16 | channel as u64).to_be_bytes()
}

/// Puts the size of the frame that begins at `start` and ends with `out` in its header.
//= 2.3.1-01
#[inline]
pub(crate) fn end_frame(out: &mut [u8], start: usize) {
    let size = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    //= 2.3.1-01
    #[test]
    fn a_frame_is_as_long_as_it_says() {
        let mut out = Vec::from([0xff]);
        let start = begin_frame(&mut out, 0x1234);
        out.extend_from_slice(b"body");
        end_frame(&mut out, start);
        assert_eq!(out[1..9], [0, 0, 0, 12, 2, 0, 0x12, 0x34]);
        let header = FrameHeader::parse(out[1..9].try_into().unwrap());
        assert_eq!(header, FrameHeader { size: 12, doff: 2, frame_type: 0, channel: 0x1234 });
    }

    #[test]
    fn a_symbolic_descriptor_counts_as_its_number() {
        assert_eq!(descriptor(b"\x00\x53\x10\x45"), Ok((0x10, &[0x45][..])));
        assert_eq!(descriptor(b"\x00\x80\0\0\0\0\0\0\0\x10\x45"), Ok((0x10, &[0x45][..])));
        assert_eq!(descriptor(b"\x00\xa3\x0eamqp:open:list\x45"), Ok((0x10, &[0x45][..])));
        assert_eq!(
            descriptor(b"\x00\xa3\x04what\x45").unwrap_err().kind(),
            DecodeErrorKind::UnknownDescriptor
        );
    }
}
