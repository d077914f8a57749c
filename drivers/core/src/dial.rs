//! Connecting without waiting.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    thread,
    time::Duration,
    vec,
};

use amqp1_engine::{
    Instant,
    container::{Address, IoId},
};

use crate::{Channel, Failure, Found, Stages};

/// How a driver opens a socket without waiting.
#[derive(Debug)]
pub struct Connector<S> {
    /// Sets out to an address, and does not wait for an answer.
    pub start: fn(SocketAddr) -> io::Result<S>,
    /// Whether it has got there, or what the address said.
    pub is_connected: fn(&S) -> io::Result<bool>,
}

impl<S> Clone for Connector<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Connector<S> {}

/// How long one address of a host may take to answer before the next one is tried.
const ATTEMPT: Duration = Duration::from_secs(10);

/// A socket on its way to the first of a host's addresses that answers.
#[derive(Debug)]
pub struct Dial<S> {
    connector: Connector<S>,
    address: Address,
    channel: Channel,
    /// Nothing while the addresses are looked up.
    attempt: Option<S>,
    deadline: Option<Instant>,
    rest: vec::IntoIter<SocketAddr>,
}

/// The sockets of a container that are on their way.
#[derive(Debug)]
pub struct Dials<S>(Vec<(IoId, Dial<S>)>);

impl<S> Default for Dials<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S> Dials<S> {
    /// Keeps one until there is something to do for it.
    pub fn put(&mut self, io: IoId, dial: Dial<S>) {
        self.0.push((io, dial));
    }

    /// Takes one out, to do it.
    pub fn take(&mut self, io: IoId) -> Option<Dial<S>> {
        let index = self.0.iter().position(|&(id, _)| id == io)?;
        Some(self.0.swap_remove(index).1)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &(IoId, Dial<S>)> {
        self.0.iter()
    }

    /// When the first deadline comes.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|(_, dial)| dial.deadline()).min()
    }

    /// One whose deadline has come.
    #[must_use]
    pub fn overdue(&self, now: Instant) -> Option<IoId> {
        let is_overdue =
            |(_, dial): &&(IoId, Dial<S>)| dial.deadline().is_some_and(|deadline| deadline <= now);
        self.0.iter().find(is_overdue).map(|&(io, _)| io)
    }
}

/// Where a socket has got.
#[derive(Debug)]
pub enum Dialed<S> {
    /// It is connected, and this is the channel for its bytes.
    Connected(S, Channel),
    /// It is on its way.
    Pending(Dial<S>),
}

impl<S> Dial<S> {
    /// Looks up the host's addresses; `found` is called with them, perhaps at once and perhaps from another thread, whose
    /// look-up may take longer than anybody waits.
    ///
    /// # Errors
    /// The stages that the scheme needs cannot be had, or there is no thread for the look-up.
    pub fn new(
        connector: Connector<S>,
        address: Address,
        stages: &Stages,
        found: impl FnOnce(Found) + Send + 'static,
    ) -> Result<Self, Failure> {
        let channel = stages.connect(&address);
        let started = channel.and_then(|channel| {
            look_up(&address.host, address.port, found)?;
            Ok(channel)
        });
        let rest = Vec::new().into_iter();
        match started {
            Ok(channel) => Ok(Self { connector, address, channel, attempt: None, deadline: None, rest }),
            Err(error) => Err(Failure::connect(&address, error)),
        }
    }

    /// Sets out to the addresses found.
    ///
    /// # Errors
    /// None was found, or none can be tried.
    pub fn found(mut self, found: Found, now: Instant) -> Result<Self, Failure> {
        self.rest = found.map_err(|error| Failure::resolve(&self.address, error))?.into_iter();
        self.try_next(io::ErrorKind::HostUnreachable.into(), now)
    }

    /// To be called when the socket is writable, and at the deadline; fails with what the last address said.
    ///
    /// # Errors
    /// No address answers.
    pub fn advance(mut self, now: Instant) -> Result<Dialed<S>, Failure> {
        let Some(attempt) = self.attempt.take() else { return Ok(Dialed::Pending(self)) };
        let failed = match (self.connector.is_connected)(&attempt) {
            Ok(true) => return Ok(Dialed::Connected(attempt, self.channel)),
            Ok(false) if self.deadline.is_some_and(|deadline| now < deadline) => {
                self.attempt = Some(attempt);
                return Ok(Dialed::Pending(self));
            }
            Ok(false) => io::ErrorKind::TimedOut.into(),
            Err(error) => error,
        };
        self.try_next(failed, now).map(Dialed::Pending)
    }

    /// When to call [`advance`](Self::advance) at the latest.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The socket to poll until it is writable, if there is one.
    #[must_use]
    pub const fn socket(&self) -> Option<&S> {
        self.attempt.as_ref()
    }

    /// The same, for drivers that register what they wait for.
    pub const fn socket_mut(&mut self) -> Option<&mut S> {
        self.attempt.as_mut()
    }

    /// Goes on to the next address for which that is possible.
    fn try_next(mut self, mut failed: io::Error, now: Instant) -> Result<Self, Failure> {
        for address in &mut self.rest {
            match (self.connector.start)(address) {
                Ok(socket) => {
                    self.attempt = Some(socket);
                    self.deadline = Some(now + ATTEMPT);
                    return Ok(self);
                }
                Err(error) => failed = error,
            }
        }
        Err(Failure::connect(&self.address, failed))
    }
}

fn look_up(host: &str, port: u16, found: impl FnOnce(Found) + Send + 'static) -> io::Result<()> {
    if let Ok(address) = host.parse::<IpAddr>() {
        found(Ok(vec![SocketAddr::new(address, port)]));
        return Ok(());
    }
    let host = host.to_owned();
    let look_up = move || found((host, port).to_socket_addrs().map(Iterator::collect));
    thread::Builder::new().name("amqp1-lookup".into()).spawn(look_up).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Url;

    /// On its way to an address that does not answer.
    fn silent() -> Dial<()> {
        let connector = Connector { start: |_| Ok(()), is_connected: |&()| Ok(false) };
        let address = "127.0.0.1".parse::<Url>().unwrap().into();
        Dial::new(connector, address, &Stages::default(), drop).unwrap()
    }

    #[test]
    fn an_address_that_does_not_answer_has_its_time() {
        let addresses = vec![SocketAddr::from(([127, 0, 0, 1], 7))];
        let silent = silent().found(Ok(addresses), Instant::ZERO).unwrap();
        assert_eq!(silent.deadline(), Some(Instant::ZERO + ATTEMPT));
        let Ok(Dialed::Pending(silent)) = silent.advance(Instant::from_millis(9_999)) else {
            panic!("gave up")
        };
        let failure = silent.advance(Instant::from_millis(10_000)).unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_host_without_an_address_is_unknown() {
        let failure = silent().found(Err(io::Error::other("no such name")), Instant::ZERO).unwrap_err();
        assert!(failure.to_string().contains("the host's name is unknown"), "{failure}");
    }
}
