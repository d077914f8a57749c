//! A socket of an async runtime as one that does not block.

use std::{
    io::{self, IoSlice, Read, Write},
    task::{Context, Poll, Waker},
};

use super::Socket;

/// A socket that says `WouldBlock` and wakes its place in the table when it is worth trying again.
///
/// A runtime promises to wake only where it was asked in vain. Where a read or write brought less than it could, nobody
/// will ask again before it is woken; so that wakes at once.
#[derive(Debug)]
pub(super) struct Polled<S> {
    socket: S,
    waker: Waker,
}

impl<S: Socket> Polled<S> {
    pub(super) const fn new(socket: S, waker: Waker) -> Self {
        Self { socket, waker }
    }

    /// Has it looked at.
    pub(super) fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// Tells the peer that nothing follows.
    pub(super) fn shut_down(&mut self) -> io::Result<()> {
        match self.socket.poll_shut_down(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(result) => result,
            // It is on its way: what was to be said is said.
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: Socket> Read for Polled<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.socket.poll_read(&mut Context::from_waker(&self.waker), buffer) {
            Poll::Ready(Ok(count)) => {
                if (1..buffer.len()).contains(&count) {
                    self.waker.wake_by_ref();
                }
                Ok(count)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<S: Socket> Write for Polled<S> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buffer)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.socket.poll_write(&mut Context::from_waker(&self.waker), slices) {
            Poll::Ready(Ok(count)) => {
                if count < slices.iter().map(|slice| slice.len()).sum() {
                    self.waker.wake_by_ref();
                }
                Ok(count)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
