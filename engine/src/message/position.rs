//! Points within a message (§3.4.1).

use crate::{
    codec::{Decode, ValueRef},
    types::Received,
};

impl Received {
    /// The point as an offset into the encoded `message`, which is given from its start as far as it is there. None where
    /// the point lies behind that, or the message is no sequence of sections.
    ///
    /// To resume a delivery a receiver cuts what it has kept of the message to where the transfers go on, and appends
    /// them (§3.4.6):
    ///
    /// ```
    /// use amqp1_engine::types::Received;
    ///
    /// let message = [0, 0x53, 0x70, 0x45, 0, 0x53, 0x75, 0xa0, 3, b'a', b'b', b'c'];
    /// assert_eq!(Received::new(0, 0).offset_in(&message), Some(0));
    /// assert_eq!(Received::new(1, 6).offset_in(&message[..10]), Some(10));
    /// assert_eq!(Received::new(2, 0).offset_in(&message), Some(12));
    /// assert_eq!(Received::new(2, 1).offset_in(&message), None);
    /// ```
    #[must_use]
    pub fn offset_in(&self, message: &[u8]) -> Option<usize> {
        let mut rest = message;
        for _ in 0..self.section_number {
            rest = behind_section(rest)?;
        }
        let start = message.len() - rest.len();
        let offset = usize::try_from(self.section_offset).ok()?;
        let end = start.checked_add(offset)?;
        let within = match behind_section(rest) {
            Some(next) => offset <= rest.len() - next.len(),
            // The section that is not there whole.
            None => offset <= rest.len(),
        };
        within.then_some(end)
    }

    /// The point up to which a message has arrived that is there so far, from its start: what a receiver tells that keeps it.
    ///
    /// ```
    /// use amqp1_engine::types::Received;
    ///
    /// let message = [0, 0x53, 0x70, 0x45, 0, 0x53, 0x75, 0xa0, 3, b'a', b'b', b'c'];
    /// assert_eq!(Received::end_of(&message), Received::new(2, 0));
    /// assert_eq!(Received::end_of(&message[..10]), Received::new(1, 6));
    /// ```
    #[must_use]
    pub fn end_of(message: &[u8]) -> Self {
        let (mut rest, mut section_number) = (message, 0);
        while let Some(next) = behind_section(rest) {
            (rest, section_number) = (next, section_number + 1);
        }
        Self { section_number, section_offset: rest.len() as u64 }
    }
}

/// What follows the section at the front, if that is whole.
fn behind_section(message: &[u8]) -> Option<&[u8]> {
    match ValueRef::parse(message) {
        Ok((rest, ValueRef::Described(_))) => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::{codec::Encode, message::Message};

    //= 3.4.1-03 3.4.1-05
    #[test]
    fn every_point_of_a_message_is_found_again() {
        let mut bytes = Vec::new();
        Message::from("body").with_property("key", "value").encode(&mut bytes);
        let mut sections = 0;
        for end in 0..=bytes.len() {
            let point = Received::end_of(&bytes[..end]);
            assert_eq!(point.offset_in(&bytes), Some(end), "{point:?}");
            assert_eq!(point.offset_in(&bytes[..end]), Some(end), "{point:?}");
            assert!(end == 0 || point.offset_in(&bytes[..end - 1]).is_none() || point.section_offset == 0);
            sections = point.section_number;
        }
        assert_eq!(sections, 2);
    }

    #[test]
    fn no_message_has_points_but_in_its_first_section() {
        let text = b"no message";
        assert_eq!(Received::end_of(text), Received::new(0, 10));
        assert_eq!(Received::new(0, 4).offset_in(text), Some(4));
        assert_eq!(Received::new(1, 0).offset_in(text), None);
        assert_eq!(Received::new(0, u64::MAX).offset_in(text), None);
    }
}
