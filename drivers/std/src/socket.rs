//! Non-blocking TCP sockets: read and written as far as they go, and closed without loss.

use std::{
    collections::VecDeque,
    io::{self, Read},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use amqp1_driver::{Channel, Received, Sent, Spare};
use amqp1_engine::Instant;
use bytes::Buf;
use rustix::buffer::spare_capacity;

/// How long a socket that is written to its end is still read.
const LINGER: Duration = Duration::from_secs(1);
/// The most sockets that linger at a time; the oldest are closed first.
const MAX_LINGERING: usize = 256;

/// Makes a connected socket ready for its work: it never blocks, and small writes leave at once.
pub(crate) fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)
}

/// Reads once into the channel's input.
pub(crate) fn read(socket: &TcpStream, channel: &mut Channel, spare: &mut Spare) -> io::Result<Received> {
    channel.read(spare, |buffer| Ok(rustix::io::read(socket, spare_capacity(buffer))?))
}

/// Writes as much of the output as the socket takes.
pub(crate) fn write(socket: &TcpStream, channel: &mut Channel, output: &mut impl Buf) -> io::Result<Sent> {
    channel.write(output, |slices| Ok(rustix::io::writev(socket, slices)?))
}

/// Sockets that are written to their end and still read for a while.
///
/// Were they closed at once, what the peers still send would meet closed sockets, whose resets may destroy our last
/// bytes on their way.
#[derive(Debug, Default)]
pub(crate) struct Lingering(VecDeque<(TcpStream, Instant)>);

impl Lingering {
    /// Tells the peer that nothing follows.
    pub(crate) fn add(&mut self, socket: TcpStream, now: Instant) {
        if socket.shutdown(Shutdown::Write).is_ok() {
            self.0.truncate(MAX_LINGERING - 1);
            self.0.push_front((socket, now + LINGER));
        }
    }

    /// The sockets, to be polled for input.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = &TcpStream> {
        self.0.iter().map(|(socket, _)| socket)
    }

    /// When the first one has had its time.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.0.back().map(|&(_, deadline)| deadline)
    }

    /// Throws away what has arrived, and closes the sockets whose peers are gone or have had their time.
    pub(crate) fn close_finished(&mut self, now: Instant) {
        let mut dropped = [0; 4096];
        self.0.retain_mut(|(socket, deadline)| {
            now < *deadline
                && match socket.read(&mut dropped) {
                    Ok(count) => count > 0,
                    Err(error) => {
                        matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
                    }
                }
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
