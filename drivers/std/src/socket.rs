//! Non-blocking TCP sockets: read and written as far as they go, and closed without loss.

use std::{
    collections::VecDeque,
    io::{self, Read},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use amqp1_driver::{Channel, Received, Sent, Spare};
use amqp1_engine::Instant;
use bytes::{Buf, Bytes};
use rustix::net::sockopt;

/// How long a socket that is written to its end is still read.
const LINGER: Duration = Duration::from_secs(1);
/// The most sockets that linger at a time; the oldest are closed first.
const MAX_LINGERING: usize = 256;

/// Makes a connected socket ready for its work: it never blocks, small writes leave at once, and the system notices a
/// peer that is gone also where the connection has no idle time-out.
pub(crate) fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    //= 2.4.5-05
    Ok(sockopt::set_socket_keepalive(socket, true)?)
}

/// Reads once, and has the engine take what it can.
pub(crate) fn read(
    socket: &TcpStream,
    channel: &mut Channel,
    spare: &mut Spare,
    take: impl FnOnce(&mut Bytes),
) -> io::Result<Received> {
    channel.read(spare, |buffer| Ok(rustix::io::read(socket, buffer)?), take)
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
        //= 5.1-02
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

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener};

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ours = listener.accept().unwrap().0;
        prepare(&ours).unwrap();
        (ours, peer)
    }

    //= 2.4.5-05
    #[test]
    fn the_system_watches_over_a_silent_connection() {
        let (ours, peer) = pair();
        assert!(sockopt::socket_keepalive(&ours).unwrap());
        assert!(!sockopt::socket_keepalive(&peer).unwrap(), "not by itself");
    }

    //= 5.1-02
    #[test]
    fn a_socket_lingers_until_its_peer_is_gone_or_its_time_is_over() {
        let mut lingering = Lingering::default();
        let ((first, mut gone), (second, _stays)) = (pair(), pair());
        lingering.add(first, Instant::ZERO);
        lingering.add(second, Instant::from_millis(100));
        assert_eq!(lingering.deadline(), Some(Instant::ZERO + LINGER));

        gone.write_all(b"not for you").unwrap();
        gone.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(gone.read(&mut [0; 8]).unwrap(), 0, "our side said that nothing follows");
        drop(gone);
        while lingering.sockets().count() == 2 {
            lingering.close_finished(Instant::from_millis(200));
        }
        assert_eq!(lingering.deadline(), Some(Instant::from_millis(100) + LINGER));
        lingering.close_finished(Instant::from_millis(1_099));
        assert!(!lingering.is_empty());
        lingering.close_finished(Instant::from_millis(1_100));
        assert!(lingering.is_empty());
    }

    #[test]
    fn the_oldest_sockets_make_room() {
        let mut lingering = Lingering::default();
        let peers: Vec<_> = (0..MAX_LINGERING as u64 + 2)
            .map(|millis| {
                let (ours, peer) = pair();
                lingering.add(ours, Instant::from_millis(millis));
                peer
            })
            .collect();
        assert_eq!(lingering.sockets().count(), MAX_LINGERING);
        assert_eq!(lingering.deadline(), Some(Instant::from_millis(2) + LINGER));
        drop(peers);
    }
}
