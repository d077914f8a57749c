//! When, where and how often a connection is tried again: rules that know no connection.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use super::{Address, ConnectionOptions, Recovery, random::Random};
use crate::Instant;

/// What becomes of a connection that this side has dialed when it is lost, or not to be had.
///
/// Attempts come in *rounds*. A round goes through all addresses, each once: first the one behind that which was lost.
/// Within a round there is no wait; before each there is one of the [`delays`](Self::delays).
///
/// Sessions and links that the peer has ended with an error after which they [may be had again](Recovery) are made again on
/// the same connection by the same rules, each with attempts and delays of its own: a round is one attempt then.
///
/// ```
/// use amqp1_engine::container::{Address, ConnectionOptions, Delays, Reconnect};
///
/// let mut options = ConnectionOptions::default();
/// options.reconnect.failover = vec![Address::new("second", 5672), Address::new("third", 5672)];
/// options.reconnect.max_attempts = Some(30);
///
/// let never = ConnectionOptions { reconnect: Reconnect::off(), ..ConnectionOptions::default() };
/// # assert_eq!(never.reconnect.delays, Delays::Off);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Reconnect {
    /// How long to wait before each round. Default: exponential, from 0.1 s to 10 s.
    pub delays: Delays,
    /// After how many attempts in a row that failed it is given up; none: never. A connection that did not last longer
    /// than the wait before it counts as a failed attempt. Default none.
    pub max_attempts: Option<u32>,
    /// Where else the peer may be found, in the order to try. An address brings its own user and password.
    pub failover: Vec<Address>,
    /// Whether a connection, session or link that never was open is tried for more than one round. Default false: a program
    /// that is told a wrong address says so at once.
    pub from_start: bool,
    /// Whether to go where a peer points that closes the connection with `amqp:connection:redirect` (§2.8.16), or detaches a
    /// link with `amqp:link:redirect` (§2.8.18), up to 8 times in a row. Default false: it may point to a host that the
    /// program does not know, which is then shown its password.
    ///
    /// A link is attached to the node that the peer names; on the same connection where that leads to the host named, else the
    /// connection goes there. It does so for the only link on it: where there are others, they may not be found there, and the
    /// program is told of the error, whose info says where to. After a loss all begins where the program has said.
    pub follow_redirects: bool,
}

impl Reconnect {
    /// A connection that is lost stays so.
    #[must_use]
    pub fn off() -> Self {
        Self { delays: Delays::Off, ..Self::default() }
    }

    /// Whether a connection that was open is made again.
    pub(super) fn is_on(&self) -> bool {
        self.delays != Delays::Off && self.max_attempts != Some(0)
    }
}

/// How long to wait before each of some rounds of attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delays {
    /// Each twice as long as the one before, up to `cap`. What is waited is drawn at random from the upper half of that,
    /// so that the clients of a host do not all come back at once.
    Exponential {
        /// The first.
        first: Duration,
        /// The longest.
        cap: Duration,
    },
    /// These, and no round more.
    Fixed(Vec<Duration>),
    /// No round.
    Off,
}

impl Default for Delays {
    fn default() -> Self {
        Self::Exponential { first: Duration::from_millis(100), cap: Duration::from_secs(10) }
    }
}

impl Delays {
    /// The delays one after the other; the same seed draws the same ones.
    pub fn iter(&self, seed: u64) -> impl Iterator<Item = Duration> + '_ {
        let mut waits = Waits::new(seed);
        core::iter::from_fn(move || waits.next(self))
    }
}

/// How many delays are over.
#[derive(Clone, Debug)]
struct Waits {
    over: u32,
    random: Random,
}

impl Waits {
    const fn new(seed: u64) -> Self {
        Self { over: 0, random: Random::new(seed) }
    }

    fn next(&mut self, delays: &Delays) -> Option<Duration> {
        let delay = match delays {
            Delays::Exponential { first, cap } => {
                let doubled = first.saturating_mul(1_u32.checked_shl(self.over).unwrap_or(u32::MAX));
                let half = doubled.min(*cap) / 2;
                let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
                half + Duration::from_nanos(self.random.draw() % nanos.saturating_add(1))
            }
            Delays::Fixed(delays) => *delays.get(self.over as usize)?,
            Delays::Off => return None,
        };
        self.over = self.over.saturating_add(1);
        Some(delay)
    }
}

/// An attempt to connect that is about to be made, as [`on_reconnecting`](super::Handler::on_reconnecting) may change it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Where to, and as whom. What is set here holds for this attempt and the connection that comes of it.
    pub address: Address,
    /// With which options: they hold from now on. [`Arc::make_mut`] changes them.
    pub options: Arc<ConnectionOptions>,
    pub(super) number: u32,
}

impl Attempt {
    /// How many attempts in a row this is, from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }
}

/// How far the attempts to connect have come.
#[derive(Clone, Debug)]
pub(super) struct Course {
    /// Attempts in a row that failed.
    failed: u32,
    /// The place of the present address among those of the list.
    at: usize,
    /// How many of them were tried in this round.
    tried: usize,
    /// What all failures of this round have in common: they would come again.
    is_hopeless: bool,
    waits: Waits,
    /// The wait before this round.
    waited: Duration,
    /// Since when the connection is open.
    opened: Option<Instant>,
    was_open: bool,
}

impl Course {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            failed: 0,
            at: 0,
            tried: 0,
            is_hopeless: true,
            waits: Waits::new(seed),
            waited: Duration::ZERO,
            opened: None,
            was_open: false,
        }
    }

    pub(super) const fn opened(&mut self, now: Instant) {
        self.opened = Some(now);
        self.was_open = true;
    }

    pub(super) const fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Attempts in a row that failed.
    pub(super) const fn failed(&self) -> u32 {
        self.failed
    }

    /// The place of the present address, which is the next one after a loss, among all: 0 is the one that was dialed.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The connection goes elsewhere.
    pub(super) const fn redirected(&mut self) {
        self.opened = None;
        self.tried = 0;
    }

    /// The connection is lost, or was not to be had: how long to wait before the next attempt, if there is one.
    pub(super) fn lost(
        &mut self,
        reconnect: &Reconnect,
        recovery: Recovery,
        now: Instant,
    ) -> Option<Duration> {
        self.failed_at(1 + reconnect.failover.len(), reconnect, recovery, now)
    }

    /// The same for a session or link that the peer has ended, where that may help: it has no other address.
    pub(super) fn ended(&mut self, reconnect: &Reconnect, now: Instant) -> Option<Duration> {
        self.failed_at(1, reconnect, Recovery::Retry, now)
    }

    fn failed_at(
        &mut self,
        addresses: usize,
        reconnect: &Reconnect,
        recovery: Recovery,
        now: Instant,
    ) -> Option<Duration> {
        let is_hopeless = recovery == Recovery::GiveUp;
        let is_round_over = match self.opened.take() {
            Some(opened) => {
                if now.duration_since(opened) > self.waited {
                    self.failed = 0;
                    self.waits.over = 0;
                } else {
                    self.failed = self.failed.saturating_add(1);
                }
                if is_hopeless || !reconnect.is_on() {
                    return None;
                }
                true
            }
            None => {
                self.failed = self.failed.saturating_add(1);
                self.tried += 1;
                self.is_hopeless &= is_hopeless;
                self.tried >= addresses
            }
        };
        if reconnect.max_attempts.is_some_and(|max| self.failed >= max) {
            return None;
        }
        self.at = (self.at + 1) % addresses;
        if !is_round_over {
            return Some(Duration::ZERO);
        }
        let is_pointless = self.tried >= addresses && self.is_hopeless;
        if is_pointless || !(self.was_open || reconnect.from_start) {
            return None;
        }
        self.waited = self.waits.next(&reconnect.delays)?;
        self.tried = 0;
        self.is_hopeless = true;
        Some(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn fixed(delays: &[u64]) -> Reconnect {
        Reconnect { delays: Delays::Fixed(delays.iter().copied().map(ms).collect()), ..Reconnect::default() }
    }

    fn failover(reconnect: Reconnect, addresses: usize) -> Reconnect {
        Reconnect { failover: vec![Address::new("other", 5672); addresses - 1], ..reconnect }
    }

    /// What each of some failures in a row is followed by: the place of the address, and the wait before it.
    fn fail(course: &mut Course, reconnect: &Reconnect, times: usize) -> Vec<Option<(usize, u64)>> {
        let mut fail = || {
            let wait = course.lost(reconnect, Recovery::NewConnection, at(1_000));
            wait.map(|wait| (course.at(), wait.as_millis() as u64))
        };
        (0..times).map(|_| fail()).collect()
    }

    fn opened() -> Course {
        let mut course = Course::new(0);
        course.opened(at(0));
        course
    }

    #[test]
    fn r_01_exponential_delays_double_up_to_the_cap_and_are_drawn_from_their_upper_half() {
        let delays = Delays::Exponential { first: ms(100), cap: ms(1_000) };
        for seed in 0..200 {
            let drawn: Vec<_> = delays.iter(seed).take(80).collect();
            for (n, delay) in drawn.iter().enumerate() {
                let whole = [100, 200, 400, 800].get(n).map_or(ms(1_000), |&whole| ms(whole));
                assert!((whole / 2..=whole).contains(delay), "{n}: {delay:?}");
            }
            assert_eq!(drawn, delays.iter(seed).take(80).collect::<Vec<_>>());
            assert_ne!(drawn, delays.iter(seed + 1).take(80).collect::<Vec<_>>());
        }
        let longest = Delays::Exponential { first: Duration::MAX, cap: Duration::MAX };
        assert!(longest.iter(0).take(3).all(|delay| delay >= Duration::MAX / 2));
        let none = Delays::Exponential { first: Duration::ZERO, cap: Duration::ZERO };
        assert!(none.iter(0).take(100).all(|delay| delay.is_zero()));
    }

    #[test]
    fn r_01_fixed_delays_come_once_and_off_is_none() {
        let delays = Delays::Fixed(vec![ms(3), ms(1)]);
        assert_eq!(delays.iter(7).collect::<Vec<_>>(), [ms(3), ms(1)]);
        assert_eq!(Delays::Off.iter(7).next(), None);
    }

    #[test]
    fn r_01_a_lost_connection_is_tried_after_each_delay_and_then_given_up() {
        let lost = fail(&mut opened(), &fixed(&[5, 7]), 3);
        assert_eq!(lost, [Some((0, 5)), Some((0, 7)), None]);
        assert_eq!(fail(&mut opened(), &Reconnect::off(), 1), [None]);
        let most = Reconnect { max_attempts: Some(2), ..fixed(&[1; 9]) };
        assert_eq!(fail(&mut opened(), &most, 3), [Some((0, 1)), Some((0, 1)), None]);
        let none = Reconnect { max_attempts: Some(0), ..fixed(&[1; 9]) };
        assert_eq!(fail(&mut opened(), &none, 1), [None]);
    }

    #[test]
    fn r_02_a_round_goes_through_all_addresses_from_the_one_behind_that_which_was_lost() {
        let reconnect = failover(fixed(&[5, 7]), 3);
        let expected =
            [Some((1, 5)), Some((2, 0)), Some((0, 0)), Some((1, 7)), Some((2, 0)), Some((0, 0)), None];
        assert_eq!(fail(&mut opened(), &reconnect, 7), expected);
    }

    #[test]
    fn r_02_what_never_was_open_is_tried_for_one_round_unless_it_is_asked_for_more() {
        let reconnect = failover(fixed(&[5]), 2);
        assert_eq!(fail(&mut Course::new(0), &reconnect, 2), [Some((1, 0)), None]);
        let reconnect = Reconnect { from_start: true, ..reconnect };
        let expected = [Some((1, 0)), Some((0, 5)), Some((1, 0)), None];
        assert_eq!(fail(&mut Course::new(0), &reconnect, 4), expected);
        let off = failover(Reconnect::off(), 2);
        assert_eq!(fail(&mut Course::new(0), &off, 2), [Some((1, 0)), None]);
    }

    #[test]
    fn r_01_a_connection_that_lasts_begins_anew_and_one_that_does_not_counts_as_failed() {
        let reconnect = Reconnect { max_attempts: Some(3), ..fixed(&[10, 20, 30, 40]) };
        let mut course = opened();
        let mut lose = |opened, lost| {
            course.opened(at(opened));
            course.lost(&reconnect, Recovery::NewConnection, at(lost))
        };
        assert_eq!(lose(0, 100), Some(ms(10)));
        assert_eq!(lose(110, 120), Some(ms(20)), "as long as it was waited for");
        assert_eq!(lose(140, 161), Some(ms(10)), "longer");
        assert_eq!(lose(171, 171), Some(ms(20)));
        assert_eq!(lose(191, 191), Some(ms(30)));
        assert_eq!(lose(221, 221), None, "the third in a row");
    }

    #[test]
    fn r_05_what_would_fail_again_is_given_up_once_all_addresses_say_so() {
        let reconnect = failover(fixed(&[5, 7]), 2);
        let mut course = opened();
        assert_eq!(course.clone().lost(&reconnect, Recovery::GiveUp, at(9)), None);
        assert_eq!(course.lost(&reconnect, Recovery::Retry, at(9)), Some(ms(5)));
        assert_eq!(course.lost(&reconnect, Recovery::GiveUp, at(9)), Some(ms(0)));
        assert_eq!(course.lost(&reconnect, Recovery::NewConnection, at(9)), Some(ms(7)));
        assert_eq!(course.lost(&reconnect, Recovery::GiveUp, at(9)), Some(ms(0)));
        assert_eq!(course.lost(&reconnect, Recovery::GiveUp, at(9)), None);
    }
}
