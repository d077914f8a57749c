//! Waiting for many descriptors at once.

use std::{mem, os::fd::AsFd, time::Duration};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The arrays of poll(2), kept from one wait to the next; `T` tells what each descriptor is.
#[derive(Debug)]
pub(crate) struct Poller<T> {
    fds: Vec<PollFd<'static>>,
    tokens: Vec<T>,
}

/// What a descriptor is ready for. An error or a hang-up makes it ready for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl<T> Default for Poller<T> {
    fn default() -> Self {
        Self { fds: Vec::new(), tokens: Vec::new() }
    }
}

impl<T: Copy> Poller<T> {
    /// Starts the list of descriptors for one wait.
    pub(crate) fn start(&mut self) -> Waiting<'_, '_, T> {
        let fds = recycle(mem::take(&mut self.fds));
        self.tokens.clear();
        Waiting { fds, poller: self }
    }
}

/// The descriptors of one wait.
pub(crate) struct Waiting<'p, 'fd, T> {
    fds: Vec<PollFd<'fd>>,
    poller: &'p mut Poller<T>,
}

/// So few descriptors are looked at again before sleeping: a look costs little.
const FEW: usize = 8;
/// How often.
const GLANCES: usize = 8;

impl<'fd, T: Copy> Waiting<'_, 'fd, T> {
    /// Adds a descriptor, unless nothing is wanted of it: the system would tell of its hang-up again and again.
    pub(crate) fn add(&mut self, fd: &'fd impl AsFd, token: T, read: bool, write: bool) {
        if read || write {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, read);
            flags.set(PollFlags::OUT, write);
            self.fds.push(PollFd::new(fd, flags));
            self.poller.tokens.push(token);
        }
    }

    /// Waits until one of the descriptors is ready, a signal arrives, or the time is over; calls `ready` for each that
    /// is.
    pub(crate) fn wait(mut self, timeout: Option<Duration>, mut ready: impl FnMut(T, Ready)) {
        // A time too long for the system's clock is as good as none.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        // The only error other than a signal is a lack of kernel memory; either way nothing is known to be ready.
        let mut left = 0;
        if self.fds.len() <= FEW {
            // A peer in full flow is back in less time than it takes to fall asleep and be woken.
            for _ in 0..GLANCES {
                left = poll(&mut self.fds, Some(&Timespec::default())).unwrap_or(0);
                if left > 0 {
                    break;
                }
            }
        }
        if left == 0 {
            left = poll(&mut self.fds, timeout.as_ref()).unwrap_or(0);
        }
        for (fd, token) in self.fds.iter().zip(&self.poller.tokens) {
            if left == 0 {
                break;
            }
            let flags = fd.revents();
            if !flags.is_empty() {
                let failed = flags.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
                let readable = failed || flags.contains(PollFlags::IN);
                ready(*token, Ready { readable, writable: failed || flags.contains(PollFlags::OUT) });
                left -= 1;
            }
        }
        self.poller.fds = recycle(self.fds);
    }
}

/// Empties the array and keeps its memory: a vector collected from one of the same layout takes over the allocation.
fn recycle<'to>(mut fds: Vec<PollFd<'_>>) -> Vec<PollFd<'to>> {
    fds.clear();
    fds.into_iter().map_while(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waker::Waker;

    #[test]
    fn the_arrays_are_used_again() {
        let (waker, other) = (Waker::new().unwrap(), Waker::new().unwrap());
        let mut poller = Poller::default();
        for round in 0..3 {
            let mut waiting = poller.start();
            waiting.add(&other, 'a', true, false);
            waiting.add(&waker, 'b', true, true);
            waiting.add(&waker, 'c', false, false);
            if round > 0 {
                assert!(waiting.fds.capacity() >= 2);
                waker.wake();
            }
            let mut all = Vec::new();
            waiting.wait(Some(Duration::ZERO), |token, ready| all.push((token, ready)));
            assert_eq!(all, [('b', Ready { readable: round > 0, writable: true })]);
        }
    }
}
