//! Accepting without waiting.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    time::Duration,
};

use amqp1_engine::{
    Instant,
    container::{Address, Scheme},
};

use crate::{Channel, Failure, Stages};

/// How a driver listens without waiting.
#[derive(Debug)]
pub struct Acceptor<L, S> {
    /// Listens at an address; port 0 lets the system choose one.
    pub bind: fn(SocketAddr) -> io::Result<L>,
    /// Where it listens.
    pub local_address: fn(&L) -> io::Result<SocketAddr>,
    /// Takes one connection, ready for its work.
    pub accept: fn(&L) -> io::Result<S>,
}

impl<L, S> Clone for Acceptor<L, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L, S> Copy for Acceptor<L, S> {}

/// The most connections accepted at one go.
const FAIR_SHARE: usize = 16;
/// How long a listener rests when the system has no descriptor left for another connection.
const REST: Duration = Duration::from_millis(100);

/// A listener: one socket for each address of its host.
#[derive(Debug)]
pub struct Listener<L, S> {
    acceptor: Acceptor<L, S>,
    scheme: Scheme,
    sockets: Vec<L>,
    rests_until: Instant,
}

impl<L, S> Listener<L, S> {
    /// Listens at all addresses of the host; port 0 lets the system choose one.
    ///
    /// # Errors
    /// The stages that the scheme needs cannot be had, or none of the addresses can be listened at.
    pub fn open(acceptor: Acceptor<L, S>, address: &Address, stages: &Stages) -> Result<Self, Failure> {
        let scheme = address.scheme;
        // One that could not talk to those it accepts opens no port.
        let sockets =
            stages.accept(scheme).and_then(|_| listen(acceptor.bind, acceptor.local_address, address));
        let sockets = sockets.map_err(|error| Failure::listen(address, error))?;
        Ok(Self { acceptor, scheme, sockets, rests_until: Instant::ZERO })
    }

    /// Where it listens: the first of its addresses, with the port that the system chose.
    #[must_use]
    pub fn local_address(&self) -> Option<String> {
        (self.acceptor.local_address)(self.sockets.first()?).ok().map(|address| address.to_string())
    }

    /// The sockets to poll for connections; none while it rests.
    #[must_use]
    pub fn sockets(&self, now: Instant) -> &[L] {
        if now < self.rests_until { &[] } else { &self.sockets }
    }

    /// All its sockets, for drivers that register what they wait for.
    pub fn sockets_mut(&mut self) -> &mut [L] {
        &mut self.sockets
    }

    /// When it has rested enough, if it rests.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        Some(self.rests_until).filter(|&until| now < until)
    }

    /// Accepts those that wait, within a fair share, each with the channel for its bytes: whether that was all of them.
    pub fn accept(&mut self, stages: &Stages, now: Instant, mut accepted: impl FnMut(S, Channel)) -> bool {
        let mut all = true;
        for socket in &self.sockets {
            let mut left = FAIR_SHARE;
            loop {
                if left == 0 {
                    all = false;
                    break;
                }
                left -= 1;
                let accept = |socket| Ok((socket, stages.accept(self.scheme)?));
                match (self.acceptor.accept)(socket).and_then(accept) {
                    Ok((socket, channel)) => accepted(socket, channel),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // Gone again before it was accepted.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(_) => {
                        self.rests_until = now + REST;
                        return false;
                    }
                }
            }
        }
        all
    }
}

/// Opens one listener for each address of the host, all at one port.
pub(crate) fn listen<L>(
    bind: fn(SocketAddr) -> io::Result<L>,
    local_address: fn(&L) -> io::Result<SocketAddr>,
    at: &Address,
) -> io::Result<Vec<L>> {
    let mut listeners: Vec<L> = Vec::new();
    let mut failed = io::ErrorKind::AddrNotAvailable.into();
    for mut address in (at.host.as_str(), at.port).to_socket_addrs()? {
        if let (0, Some(first)) = (at.port, listeners.first()) {
            address.set_port(local_address(first)?.port());
        }
        match bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            // A name may have addresses of a protocol that this machine does not speak.
            Err(error) => failed = error,
        }
    }
    if listeners.is_empty() { Err(failed) } else { Ok(listeners) }
}
