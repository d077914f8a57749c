//! Waking a thread that polls.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

/// A pair of sockets: a byte written to one makes the other readable, and so ends a poll.
#[derive(Debug)]
pub(crate) struct Waker {
    sleeper: UnixStream,
    others: UnixStream,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let (sleeper, others) = UnixStream::pair()?;
        sleeper.set_nonblocking(true)?;
        others.set_nonblocking(true)?;
        Ok(Self { sleeper, others })
    }

    /// Ends the poll that waits, or else the next one.
    pub(crate) fn wake(&self) {
        // A full pair wakes as well as one byte does.
        let _ = (&self.others).write(&[0]);
    }

    /// Makes the next poll wait again; what woke this one is looked at after this.
    pub(crate) fn clear(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.sleeper).read(&mut bytes), Ok(read) if read == bytes.len()) {}
    }
}

impl AsFd for Waker {
    /// The side to poll for input.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sleeper.as_fd()
    }
}
