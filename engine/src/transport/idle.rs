//! Idle time-out of a connection, §2.4.5.

use core::{num::NonZeroU32, time::Duration};

use crate::time::Instant;

/// What a silence of this length asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// The peer's time-out draws near: send an empty frame, unless output already waits.
    KeepAlive,
    /// The peer was silent past our time-out: close. Said once.
    Expired,
}

/// Both idle time-outs of one connection: ours, which the peer must not exceed, and the peer's, which we must not.
#[derive(Debug)]
pub(crate) struct IdleTimer {
    share: NonZeroU32,
    timeout: Option<Duration>,
    received: Instant,
    interval: Option<Duration>,
    sent: Instant,
}

impl IdleTimer {
    /// Starts with our own time-out (`None` or zero: never) and the share to keep of either: 2 advertises half of
    /// ours and sends when half of the peer's has passed.
    pub(crate) fn new(timeout: Option<Duration>, share: NonZeroU32, now: Instant) -> Self {
        let timeout = timeout.filter(|timeout| !timeout.is_zero());
        Self { share, timeout, received: now, interval: None, sent: now }
    }

    /// The `idle-time-out` field of our open, in milliseconds.
    pub(crate) fn advertised(&self) -> Option<u32> {
        let millis = (self.timeout? / self.share.get()).as_millis();
        Some(u32::try_from(millis).unwrap_or(u32::MAX).max(1))
    }

    /// Takes the `idle-time-out` field of the peer's open, in milliseconds; zero is none.
    pub(crate) fn opened(&mut self, idle_time_out: Option<u32>) {
        let peer = idle_time_out.filter(|&millis| millis != 0);
        self.interval = peer.map(|millis| Duration::from_millis(millis.into()) / self.share.get());
    }

    /// A frame was received.
    #[inline]
    pub(crate) fn received(&mut self, now: Instant) {
        self.received = now;
    }

    /// A frame was sent.
    #[inline]
    pub(crate) fn sent(&mut self, now: Instant) {
        self.sent = now;
    }

    /// Our close was sent: no empty frame may follow it, and the answer has a timer of its own.
    //= 2.4.5-X2
    pub(crate) fn stop(&mut self) {
        self.timeout = None;
        self.interval = None;
    }

    /// What is due. Each answer moves [`deadline`](Self::deadline) into the future.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Idle> {
        if self.expiry().is_some_and(|at| at <= now) {
            self.timeout = None;
            return Some(Idle::Expired);
        }
        if self.keep_alive().is_some_and(|at| at <= now) {
            self.sent = now;
            return Some(Idle::KeepAlive);
        }
        None
    }

    /// When to call [`poll`](Self::poll) next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match (self.expiry(), self.keep_alive()) {
            (Some(expiry), Some(keep_alive)) => Some(expiry.min(keep_alive)),
            (expiry, keep_alive) => expiry.or(keep_alive),
        }
    }

    fn expiry(&self) -> Option<Instant> {
        Some(self.received + self.timeout?)
    }

    fn keep_alive(&self) -> Option<Instant> {
        Some(self.sent + self.interval?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: NonZeroU32 = NonZeroU32::new(2).unwrap();

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn timer(timeout: Option<u64>) -> IdleTimer {
        IdleTimer::new(timeout.map(Duration::from_millis), HALF, at(0))
    }

    //= 2.4.5-03
    #[test]
    fn half_of_our_time_out_is_advertised() {
        assert_eq!(timer(None).advertised(), None);
        assert_eq!(timer(Some(0)).advertised(), None, "zero is no time-out");
        assert_eq!(timer(Some(1)).advertised(), Some(1), "never zero, which would mean none");
        assert_eq!(timer(Some(30_000)).advertised(), Some(15_000));
        assert_eq!(timer(Some(u64::MAX)).advertised(), Some(u32::MAX));
    }

    #[test]
    fn c7_silence_past_our_time_out_expires_once() {
        let mut timer = timer(Some(1_000));
        assert_eq!(timer.deadline(), Some(at(1_000)));
        assert_eq!(timer.poll(at(999)), None);
        timer.received(at(999));
        assert_eq!(timer.poll(at(1_000)), None);
        assert_eq!(timer.deadline(), Some(at(1_999)));
        assert_eq!(timer.poll(at(1_999)), Some(Idle::Expired));
        assert_eq!(timer.poll(at(9_999)), None);
        assert_eq!(timer.deadline(), None);
    }

    #[test]
    fn we_send_when_half_of_the_peers_time_out_has_passed() {
        let mut timer = timer(None);
        assert_eq!(timer.deadline(), None);
        timer.opened(Some(15_000));
        assert_eq!(timer.deadline(), Some(at(7_500)));
        timer.sent(at(7_000));
        assert_eq!(timer.poll(at(7_500)), None);
        assert_eq!(timer.poll(at(14_500)), Some(Idle::KeepAlive));
        assert_eq!(timer.poll(at(14_500)), None);
        assert_eq!(timer.deadline(), Some(at(22_000)));
    }

    //= 2.4.5-X2
    #[test]
    fn nothing_is_due_after_our_close() {
        let mut timer = timer(Some(1_000));
        timer.opened(Some(1_000));
        timer.stop();
        assert_eq!(timer.deadline(), None);
        assert_eq!(timer.poll(at(10_000)), None);
    }

    #[test]
    fn c8_zero_is_none() {
        let mut timer = timer(None);
        timer.opened(Some(0));
        assert_eq!(timer.deadline(), None);
        assert_eq!(timer.poll(at(1_000_000)), None);
    }

    #[test]
    fn c8_one_millisecond_is_served_without_a_busy_loop() {
        let mut timer = timer(None);
        timer.opened(Some(1));
        let mut now = at(0);
        for _ in 0..100 {
            let deadline = timer.deadline().unwrap();
            assert!(deadline > now);
            now = deadline;
            assert_eq!(timer.poll(now), Some(Idle::KeepAlive));
        }
        assert_eq!(now, at(50));
    }

    #[test]
    fn c8_the_longest_time_out_does_not_overflow() {
        let mut timer = IdleTimer::new(Some(Duration::MAX), HALF, Instant::from_epoch(Duration::MAX));
        timer.opened(Some(u32::MAX));
        assert_eq!(timer.deadline(), Some(Instant::from_epoch(Duration::MAX)));
        let mut timer = self::timer(None);
        timer.opened(Some(u32::MAX));
        assert_eq!(timer.deadline(), Some(Instant::from_epoch(Duration::from_millis(u32::MAX.into()) / 2)));
    }
}
