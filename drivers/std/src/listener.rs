//! Accepting without waiting.

use std::{
    io,
    net::{TcpListener, TcpStream, ToSocketAddrs},
    time::Duration,
};

use amqp1_driver::{Failure, plain_tcp};
use amqp1_engine::{Instant, container::Address};

use crate::socket;

/// The most connections accepted at one go.
const FAIR_SHARE: usize = 16;
/// How long a listener rests when the system has no descriptor left for another connection.
const REST: Duration = Duration::from_millis(100);

/// A listener: one socket for each address of its host.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    rests_until: Instant,
}

impl Listener {
    /// Listens at all addresses of the host; port 0 lets the system choose one.
    pub(crate) fn open(address: &Address) -> Result<Self, Failure> {
        let sockets = plain_tcp(address.scheme).and_then(|()| listen(&address.host, address.port));
        let sockets = sockets.map_err(|error| Failure::listen(address, error))?;
        Ok(Self { sockets, rests_until: Instant::ZERO })
    }

    /// Where it listens: the first of its addresses, with the port that the system chose.
    pub(crate) fn local_address(&self) -> Option<String> {
        self.sockets.first()?.local_addr().ok().map(|address| address.to_string())
    }

    /// The sockets to poll for connections; none while it rests.
    pub(crate) fn sockets(&self, now: Instant) -> &[TcpListener] {
        if now < self.rests_until { &[] } else { &self.sockets }
    }

    /// When it has rested enough, if it rests.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        Some(self.rests_until).filter(|&until| now < until)
    }

    /// Accepts those that wait, within a fair share.
    pub(crate) fn accept(&mut self, now: Instant, mut accepted: impl FnMut(TcpStream)) {
        for socket in &self.sockets {
            for _ in 0..FAIR_SHARE {
                match socket.accept().and_then(|(socket, _)| socket::prepare(&socket).map(|()| socket)) {
                    Ok(socket) => accepted(socket),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // Gone again before it was accepted.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(_) => {
                        self.rests_until = now + REST;
                        return;
                    }
                }
            }
        }
    }
}

/// Opens one non-blocking listener for each address of the host, all at one port.
fn listen(host: &str, port: u16) -> io::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut failed = io::ErrorKind::AddrNotAvailable.into();
    for mut address in (host, port).to_socket_addrs()? {
        if let (0, Some(first)) = (port, listeners.first()) {
            address.set_port(first.local_addr()?.port());
        }
        match TcpListener::bind(address) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                listeners.push(listener);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            // A name may have addresses of a protocol that this machine does not speak.
            Err(error) => failed = error,
        }
    }
    if listeners.is_empty() { Err(failed) } else { Ok(listeners) }
}

#[cfg(test)]
mod tests {
    use amqp1_driver::Url;

    use super::*;

    fn open(url: &str) -> Result<Listener, Failure> {
        Listener::open(&url.parse::<Url>().unwrap().into())
    }

    #[test]
    fn all_addresses_of_a_name_share_one_port() {
        let listener = open("localhost:0").unwrap();
        let port = |socket: &TcpListener| socket.local_addr().unwrap().port();
        let first = port(&listener.sockets[0]);
        assert!(first > 0 && listener.sockets.iter().all(|socket| port(socket) == first));
        assert!(listener.local_address().unwrap().ends_with(&format!(":{first}")));
    }

    #[test]
    fn a_port_in_use_is_a_failure_of_its_own_kind() {
        let taken = open("127.0.0.1:0").unwrap();
        let failure = open(&taken.local_address().unwrap()).unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn all_that_wait_are_accepted() {
        let mut listener = open("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap();
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(&address).unwrap()).collect();
        let mut accepted = Vec::new();
        while accepted.len() < clients.len() {
            listener.accept(Instant::ZERO, |socket| accepted.push(socket));
        }
        assert_eq!(listener.deadline(Instant::ZERO), None, "it need not rest");
    }
}
