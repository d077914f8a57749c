//! Waiting for many sockets at once.

use std::{io, time::Duration};

use mio::{Events, Interest, Poll, Token, Waker, event::Source};

/// As many events as one wait may bring.
const EVENTS: usize = 1024;
/// So few connections are looked at again before sleeping: a look costs little.
const FEW: usize = 8;
/// How often.
const GLANCES: usize = 8;

/// What a socket that is registered belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Mail,
    /// By its place in the table, as all below.
    Stream(usize),
    Dial(usize),
    Listener(usize),
    Lingering,
}

impl Place {
    const KINDS: usize = 5;

    fn token(self) -> Token {
        let (kind, index) = match self {
            Self::Mail => (0, 0),
            Self::Stream(index) => (1, index),
            Self::Dial(index) => (2, index),
            Self::Listener(index) => (3, index),
            Self::Lingering => (4, 0),
        };
        Token(index * Self::KINDS + kind)
    }

    fn of(token: Token) -> Self {
        let index = token.0 / Self::KINDS;
        match token.0 % Self::KINDS {
            0 => Self::Mail,
            1 => Self::Stream(index),
            2 => Self::Dial(index),
            3 => Self::Listener(index),
            _ => Self::Lingering,
        }
    }
}

/// What a socket is ready for. An error or a hang-up makes it ready for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Its end has come, or an error: nothing will tell of that again.
    pub(crate) ended: bool,
}

/// The sockets that are waited for, and what the last wait brought.
#[derive(Debug)]
pub(crate) struct Poller {
    poll: Poll,
    events: Events,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(EVENTS) })
    }

    /// What other threads wake this one by.
    pub(crate) fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), Place::Mail.token())
    }

    /// Waits for a socket from now on.
    pub(crate) fn add(&self, socket: &mut impl Source, place: Place, interest: Interest) -> io::Result<()> {
        self.poll.registry().register(socket, place.token(), interest)
    }

    /// Waits for it in another way; what it is ready for is told again.
    pub(crate) fn change(
        &self,
        socket: &mut impl Source,
        place: Place,
        interest: Interest,
    ) -> io::Result<()> {
        self.poll.registry().reregister(socket, place.token(), interest)
    }

    /// Waits for it no more.
    pub(crate) fn remove(&self, socket: &mut impl Source) {
        // One that cannot be taken off the list was not on it.
        let _ = self.poll.registry().deregister(socket);
    }

    /// Waits until something is ready, a signal arrives, or the time is over. So many connections are waited for.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, connections: usize) {
        if connections <= FEW && timeout != Some(Duration::ZERO) {
            // A peer in full flow is back in less time than it takes to fall asleep and be woken.
            for _ in 0..GLANCES {
                self.poll_once(Some(Duration::ZERO));
                if !self.events.is_empty() {
                    return;
                }
            }
        }
        self.poll_once(timeout);
    }

    fn poll_once(&mut self, timeout: Option<Duration>) {
        if self.poll.poll(&mut self.events, timeout).is_err() {
            // A signal, or a lack of kernel memory: either way nothing is known to be ready.
            self.events.clear();
        }
    }

    /// What the last wait brought.
    pub(crate) fn ready(&self) -> impl Iterator<Item = (Place, Ready)> {
        self.events.iter().map(|event| {
            let ended = event.is_read_closed() || event.is_error();
            let (readable, writable) = (event.is_readable() || ended, event.is_writable() || ended);
            (Place::of(event.token()), Ready { readable, writable, ended })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        let places = [Place::Mail, Place::Lingering]
            .into_iter()
            .chain((0..3).flat_map(|at| [Place::Stream(at), Place::Dial(at), Place::Listener(at)]));
        let mut seen = Vec::new();
        for place in places {
            assert_eq!(Place::of(place.token()), place);
            assert!(!seen.contains(&place.token()));
            seen.push(place.token());
        }
    }

    #[test]
    fn another_thread_ends_a_wait() {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker().unwrap();
        let thread = std::thread::spawn(move || {
            waker.wake().unwrap();
            // It wakes as long as it is there.
            waker
        });
        poller.wait(Some(Duration::from_secs(20)), FEW + 1);
        let places: Vec<_> = poller.ready().map(|(place, _)| place).collect();
        assert_eq!(places, [Place::Mail]);
        let _waker = thread.join().unwrap();
        poller.wait(Some(Duration::ZERO), 0);
        assert_eq!(poller.ready().count(), 0);
    }
}
