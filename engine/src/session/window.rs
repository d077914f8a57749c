//! The session's transfer windows (§2.5.6).

use crate::Serial;

/// How the windows advertised to the peer and by the peer stand (§2.5.6).
///
/// Each `transfer` frame takes one step of a window, whatever the number of deliveries.
#[derive(Debug)]
pub(crate) struct SessionWindow {
    /// What we advertise at most.
    capacity: u32,
    /// What the peer may still send, as far as we have told it.
    incoming_window: u32,
    /// Deliveries that have arrived whole and that the user has not taken.
    held: u32,
    /// Unknown until the peer's `begin`.
    next_incoming_id: Option<Serial>,
    next_outgoing_id: Serial,
    initial_outgoing_id: Serial,
    remote_incoming_window: u32,
    remote_outgoing_window: u32,
}

/// The fields of a `begin` or `flow` that speak of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WindowState {
    pub(crate) next_incoming_id: Option<Serial>,
    pub(crate) incoming_window: u32,
    pub(crate) next_outgoing_id: Serial,
    pub(crate) outgoing_window: u32,
}

/// The peer sent beyond the incoming window, or its flow contradicts what was transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WindowViolation;

impl SessionWindow {
    pub(crate) const fn new(capacity: u32, next_outgoing_id: Serial) -> Self {
        Self {
            capacity,
            incoming_window: capacity,
            held: 0,
            next_incoming_id: None,
            next_outgoing_id,
            initial_outgoing_id: next_outgoing_id,
            remote_incoming_window: 0,
            remote_outgoing_window: 0,
        }
    }

    /// Sets our side before our `begin` is written, in answer to the peer's.
    pub(crate) fn configure(&mut self, capacity: u32, next_outgoing_id: Serial) {
        self.capacity = capacity;
        self.incoming_window = capacity;
        self.next_outgoing_id = next_outgoing_id;
        self.initial_outgoing_id = next_outgoing_id;
    }

    /// Takes the peer's `begin`.
    pub(crate) fn begun(&mut self, remote: WindowState) {
        self.next_incoming_id = Some(remote.next_outgoing_id);
        self.remote_outgoing_window = remote.outgoing_window;
        // Transfers may have been pipelined behind our own begin.
        let in_flight = self.next_outgoing_id.distance_from(self.initial_outgoing_id).max(0);
        self.remote_incoming_window = remote.incoming_window.saturating_sub(in_flight as u32);
    }

    /// Takes the session fields of the peer's `flow`.
    //= 2.5.6-08
    pub(crate) fn flow(&mut self, remote: WindowState) -> Result<(), WindowViolation> {
        let acknowledged = remote.next_incoming_id.unwrap_or(self.initial_outgoing_id);
        let in_flight = self.next_outgoing_id.distance_from(acknowledged);
        let went_back = self.next_incoming_id.is_some_and(|next| remote.next_outgoing_id.precedes(next));
        if in_flight < 0 || went_back {
            return Err(WindowViolation);
        }
        self.next_incoming_id = Some(remote.next_outgoing_id);
        self.remote_outgoing_window = remote.outgoing_window;
        self.remote_incoming_window = remote.incoming_window.saturating_sub(in_flight as u32);
        Ok(())
    }

    /// How many transfers the peer may still send.
    #[inline]
    pub(crate) const fn incoming_window(&self) -> u32 {
        self.incoming_window
    }

    /// Counts an incoming `transfer`.
    #[inline]
    pub(crate) fn transfer_received(&mut self) -> Result<(), WindowViolation> {
        if self.incoming_window == 0 {
            return Err(WindowViolation);
        }
        self.transfers_received(1);
        Ok(())
    }

    /// Counts incoming transfers; the caller has asked for the [window](Self::incoming_window).
    //= 2.5.6-04
    #[inline]
    pub(crate) fn transfers_received(&mut self, count: u32) {
        self.incoming_window = self.incoming_window.saturating_sub(count);
        self.next_incoming_id = self.next_incoming_id.map(|id| id.plus(count));
        self.remote_outgoing_window = self.remote_outgoing_window.saturating_sub(count);
    }

    /// Deliveries have arrived whole: they take room until the user has taken them.
    ///
    /// The transfers of one that is still arriving take none: the user can do nothing about them, and a large message
    /// in many small frames would close the window on itself.
    #[inline]
    pub(crate) fn hold(&mut self, count: u32) {
        self.held = self.held.saturating_add(count);
    }

    /// The user has taken, or the engine has dropped, a delivery that was held.
    #[inline]
    pub(crate) fn released(&mut self) {
        self.held = self.held.saturating_sub(1);
    }

    /// Counts an outgoing `transfer`; the caller has asked [`can_send`](Self::can_send).
    //= 2.5.6-02
    #[inline]
    pub(crate) fn transfer_sent(&mut self) {
        self.next_outgoing_id = self.next_outgoing_id.next();
        self.remote_incoming_window = self.remote_incoming_window.saturating_sub(1);
    }

    #[inline]
    pub(crate) const fn can_send(&self) -> bool {
        self.remote_incoming_window > 0
    }

    /// Transfers that the peer's window still takes.
    pub(crate) const fn remote_incoming_window(&self) -> u32 {
        self.remote_incoming_window
    }

    /// Whether the peer should hear of the room that has come free: at half the window.
    #[inline]
    pub(crate) const fn wants_flow(&self) -> bool {
        let room = self.capacity.saturating_sub(self.held);
        room > self.incoming_window && room - self.incoming_window >= self.capacity.div_ceil(2)
    }

    /// What to write in a `begin` or `flow` now; from here on the peer knows of the room.
    pub(crate) fn advertise(&mut self) -> WindowState {
        self.incoming_window = self.incoming_window.max(self.capacity.saturating_sub(self.held));
        WindowState {
            next_incoming_id: self.next_incoming_id,
            incoming_window: self.incoming_window,
            next_outgoing_id: self.next_outgoing_id,
            // Nothing here bounds our side but the peer's window, so ours never shrinks.
            outgoing_window: u32::MAX >> 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(next_incoming_id: Option<u32>, incoming_window: u32, next_outgoing_id: u32) -> WindowState {
        WindowState {
            next_incoming_id: next_incoming_id.map(Serial::new),
            incoming_window,
            next_outgoing_id: Serial::new(next_outgoing_id),
            outgoing_window: 100,
        }
    }

    #[test]
    fn n5_a_transfer_beyond_the_incoming_window_is_a_violation() {
        let mut window = SessionWindow::new(2, Serial::new(0));
        window.begun(remote(None, 10, 0));
        assert_eq!(window.transfer_received(), Ok(()));
        assert_eq!(window.transfer_received(), Ok(()));
        assert_eq!(window.transfer_received(), Err(WindowViolation));
    }

    #[test]
    fn n6_a_flow_that_contradicts_the_transfers_is_a_violation() {
        let mut window = SessionWindow::new(10, Serial::new(0));
        window.begun(remote(None, 10, 5));
        assert_eq!(window.flow(remote(Some(1), 10, 5)), Err(WindowViolation), "ahead of what we sent");
        assert_eq!(window.flow(remote(Some(0), 10, 4)), Err(WindowViolation), "outgoing id gone back");
        assert_eq!(window.flow(remote(Some(0), 10, 5)), Ok(()));
    }

    //= 2.5.6-02 2.5.6-04 2.5.6-08
    #[test]
    fn each_transfer_takes_a_step_and_a_flow_tells_the_state_anew() {
        let mut window = SessionWindow::new(10, Serial::new(0));
        window.begun(remote(None, 5, 7));
        window.transfer_sent();
        window.transfer_received().unwrap();
        assert_eq!(window.remote_incoming_window, 4);
        assert_eq!((window.remote_outgoing_window, window.next_incoming_id), (99, Some(Serial::new(8))));
        window.flow(WindowState { outgoing_window: 3, ..remote(Some(1), 6, 20) }).unwrap();
        assert_eq!(window.remote_incoming_window, 6);
        assert_eq!((window.remote_outgoing_window, window.next_incoming_id), (3, Some(Serial::new(20))));
    }

    #[test]
    fn n7_the_window_survives_the_wrap_of_the_transfer_id() {
        let mut window = SessionWindow::new(10, Serial::new(0xffff_fffd));
        window.begun(remote(None, 4, 0xffff_fffc));
        for _ in 0..4 {
            assert!(window.can_send());
            window.transfer_sent();
            window.transfer_received().unwrap();
        }
        assert!(!window.can_send());
        assert_eq!(window.flow(remote(Some(0xffff_ffff), 4, 0)), Ok(()));
        assert_eq!(window.remote_incoming_window(), 2, "two of four transfers are still on their way");
        assert_eq!(window.flow(remote(Some(1), 4, 0)), Ok(()));
        assert_eq!(window.remote_incoming_window(), 4);
    }

    #[test]
    fn n8_extreme_windows_and_a_missing_next_incoming_id_do_not_overflow() {
        let mut window = SessionWindow::new(u32::MAX, Serial::new(7));
        window.begun(remote(None, 0, 0));
        assert!(!window.can_send());
        window.flow(remote(None, u32::MAX, 0)).unwrap();
        assert_eq!(window.remote_incoming_window(), u32::MAX);
        window.transfer_sent();
        window.flow(remote(None, 1, 0)).unwrap();
        assert!(!window.can_send(), "window counted from the initial id");
        assert!(!window.wants_flow());
    }

    #[test]
    fn room_is_told_at_half_the_window_and_only_once_it_is_taken() {
        let mut window = SessionWindow::new(4, Serial::new(0));
        window.begun(remote(None, 10, 0));
        for _ in 0..4 {
            window.transfer_received().unwrap();
            window.hold(1);
        }
        assert!(!window.wants_flow(), "the user has taken nothing");
        window.released();
        assert!(!window.wants_flow());
        window.released();
        assert!(window.wants_flow());
        assert_eq!(window.advertise().incoming_window, 2);
        assert!(!window.wants_flow());
    }
}
