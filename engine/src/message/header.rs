use core::time::Duration;

use crate::{Instant, types::Header};

/// Priority of a message that says nothing of it (§3.2.1).
const NORMAL_PRIORITY: u8 = 4;

/// What the fields mean where they are unset, and arithmetic on what other nodes wrote: it saturates.
//= 3.2.1-01
impl Header {
    /// Whether no intermediary may lose the message.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.durable.unwrap_or(false)
    }

    /// How important the message is.
    #[must_use]
    pub fn priority_or_normal(&self) -> u8 {
        self.priority.unwrap_or(NORMAL_PRIORITY)
    }

    /// How often delivery failed before.
    #[must_use]
    pub fn failed_deliveries(&self) -> u32 {
        self.delivery_count.unwrap_or(0)
    }

    /// Counts one more failed delivery.
    pub fn count_failed_delivery(&mut self) {
        self.delivery_count = Some(self.failed_deliveries().saturating_add(1));
    }

    /// How long the message is of use.
    #[must_use]
    pub fn time_to_live(&self) -> Option<Duration> {
        self.ttl.map(|ttl| Duration::from_millis(ttl.into()))
    }

    /// Limits how long the message is of use, in whole milliseconds; more than 49 days count as the most there is.
    pub fn set_ttl(&mut self, ttl: Duration) {
        self.ttl = Some(u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX));
    }

    /// When a message that arrived at `arrival` is of no use any more; `None` is never.
    #[must_use]
    pub fn expiry(&self, arrival: Instant) -> Option<Instant> {
        self.time_to_live().map(|ttl| arrival + ttl)
    }

    /// Takes the time that the message spent at this node off its ttl, as is due before it is passed on (§3.2.1).
    pub fn age(&mut self, waited: Duration) {
        if let Some(ttl) = self.time_to_live() {
            self.set_ttl(ttl.saturating_sub(waited));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= 3.2.1-11
    #[test]
    fn m4_delivery_count_and_ttl_saturate() {
        let mut header = Header { ttl: Some(u32::MAX), delivery_count: Some(u32::MAX), ..Header::default() };
        header.count_failed_delivery();
        assert_eq!(header.delivery_count, Some(u32::MAX));
        let late = Instant::from_epoch(Duration::MAX);
        assert_eq!(header.expiry(late), Some(late));
        header.age(Duration::MAX);
        assert_eq!(header.ttl, Some(0));
        header.set_ttl(Duration::MAX);
        assert_eq!(header.ttl, Some(u32::MAX));
    }

    //= 3.2.1-13
    #[test]
    fn a_message_ages_while_it_waits() {
        let mut header = Header { ttl: Some(60_000), ..Header::default() };
        assert_eq!(header.expiry(Instant::from_millis(1_000)), Some(Instant::from_millis(61_000)));
        header.age(Duration::from_millis(20_000));
        assert_eq!(header.ttl, Some(40_000));
    }

    //= 3.2.1-01
    #[test]
    fn unset_fields_have_the_meaning_of_the_specification() {
        let mut header = Header::default();
        assert_eq!(
            (header.is_durable(), header.priority_or_normal(), header.failed_deliveries()),
            (false, 4, 0)
        );
        header.age(Duration::from_secs(1));
        assert_eq!((header.ttl, header.expiry(Instant::ZERO)), (None, None));
    }
}
