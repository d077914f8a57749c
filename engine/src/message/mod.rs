//! Messages as of §3.2: sections that annotate, describe and hold what an application says to another.

mod payload;
pub use payload::Payload;

/// To be written.
#[derive(Debug)]
pub struct Message;

impl Message {
    pub(crate) fn encode_sharing(&self, _out: &mut alloc::vec::Vec<u8>) -> Option<bytes::Bytes> {
        None
    }
}
