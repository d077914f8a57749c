//! Closing sockets without loss.

use std::{
    collections::VecDeque,
    io::{self, Read},
    time::Duration,
};

use amqp1_engine::Instant;

/// How long a socket that is written to its end is still read.
const LINGER: Duration = Duration::from_secs(1);
/// The most sockets that linger at a time; the oldest are closed first.
const MAX_LINGERING: usize = 256;

/// Sockets that are written to their end and still read for a while.
///
/// Were they closed at once, what the peers still send would meet closed sockets, whose resets may destroy our last
/// bytes on their way.
#[derive(Debug)]
pub struct Lingering<S>(VecDeque<(S, Instant)>);

impl<S> Default for Lingering<S> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<S: Read> Lingering<S> {
    /// Takes a socket whose peer was told that nothing follows: its sending side is shut down.
    pub fn add(&mut self, socket: S, now: Instant) {
        self.0.truncate(MAX_LINGERING - 1);
        self.0.push_front((socket, now + LINGER));
    }

    /// The sockets, to be polled for input.
    pub fn sockets(&self) -> impl Iterator<Item = &S> {
        self.0.iter().map(|(socket, _)| socket)
    }

    /// When the first one has had its time.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.back().map(|&(_, deadline)| deadline)
    }

    /// Throws away what has arrived, and closes the sockets whose peers are gone or have had their time.
    pub fn close_finished(&mut self, now: Instant) {
        self.0.retain_mut(|(socket, deadline)| now < *deadline && drop_input(socket));
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Throws away what has arrived: whether more may come.
fn drop_input(socket: &mut impl Read) -> bool {
    let mut dropped = [0; 4096];
    // A peer that sends without end has its share, no more.
    for _ in 0..16 {
        match socket.read(&mut dropped) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{Shutdown, TcpListener, TcpStream},
    };

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ours = listener.accept().unwrap().0;
        ours.set_nonblocking(true).unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        (ours, peer)
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
