//! Connecting without waiting.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs},
    thread,
    time::Duration,
    vec,
};

use amqp1_driver::{Failure, Found, plain_tcp};
use amqp1_engine::{
    Instant,
    container::{Address, IoId},
};
use rustix::{
    io::{Errno, FdFlags},
    net::{AddressFamily, SocketType, sockopt},
};

use crate::socket;

/// How long one address of a host may take to answer before the next one is tried.
const ATTEMPT: Duration = Duration::from_secs(10);

/// A socket on its way to the first of a host's addresses that answers.
#[derive(Debug)]
pub(crate) struct Dial {
    address: Address,
    /// Nothing while the addresses are looked up.
    attempt: Option<TcpStream>,
    deadline: Option<Instant>,
    rest: vec::IntoIter<SocketAddr>,
}

/// The sockets of a container that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Dials(Vec<(IoId, Dial)>);

impl Dials {
    pub(crate) fn put(&mut self, io: IoId, dial: Dial) {
        self.0.push((io, dial));
    }

    pub(crate) fn take(&mut self, io: IoId) -> Option<Dial> {
        let index = self.0.iter().position(|&(id, _)| id == io)?;
        Some(self.0.swap_remove(index).1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(IoId, Dial)> {
        self.0.iter()
    }

    /// One whose deadline has come.
    pub(crate) fn overdue(&self, now: Instant) -> Option<IoId> {
        let is_overdue = |(_, dial): &&(IoId, Dial)| dial.deadline().is_some_and(|deadline| deadline <= now);
        self.0.iter().find(is_overdue).map(|&(io, _)| io)
    }
}

/// Where a socket has got.
#[derive(Debug)]
pub(crate) enum Dialed {
    Connected(TcpStream),
    Pending(Dial),
}

impl Dial {
    /// Looks up the host's addresses; `found` is called with them, perhaps at once and perhaps from another thread, whose
    /// look-up may take longer than anybody waits.
    pub(crate) fn new(address: Address, found: impl FnOnce(Found) + Send + 'static) -> Result<Self, Failure> {
        let started = plain_tcp(address.scheme).and_then(|()| look_up(&address.host, address.port, found));
        match started {
            Ok(()) => Ok(Self { address, attempt: None, deadline: None, rest: Vec::new().into_iter() }),
            Err(error) => Err(Failure::connect(&address, error)),
        }
    }

    /// Sets out to the addresses found.
    pub(crate) fn found(mut self, found: Found, now: Instant) -> Result<Self, Failure> {
        self.rest = found.map_err(|error| Failure::resolve(&self.address, error))?.into_iter();
        self.try_next(io::ErrorKind::HostUnreachable.into(), now)
    }

    /// To be called when the socket is writable, and at the deadline; fails with what the last address said.
    pub(crate) fn advance(mut self, now: Instant) -> Result<Dialed, Failure> {
        let Some(attempt) = self.attempt.take() else { return Ok(Dialed::Pending(self)) };
        let failed = match sockopt::socket_error(&attempt) {
            Ok(Ok(())) if attempt.peer_addr().is_ok() => return Ok(Dialed::Connected(attempt)),
            Ok(Ok(())) if self.deadline.is_some_and(|deadline| now < deadline) => {
                self.attempt = Some(attempt);
                return Ok(Dialed::Pending(self));
            }
            Ok(Ok(())) => io::ErrorKind::TimedOut.into(),
            Ok(Err(error)) | Err(error) => error.into(),
        };
        self.try_next(failed, now).map(Dialed::Pending)
    }

    /// When to call [`advance`](Self::advance) at the latest.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The socket to poll until it is writable, if there is one.
    pub(crate) const fn socket(&self) -> Option<&TcpStream> {
        self.attempt.as_ref()
    }

    /// Goes on to the next address for which that is possible.
    fn try_next(mut self, mut failed: io::Error, now: Instant) -> Result<Self, Failure> {
        for address in &mut self.rest {
            match start(&address) {
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

fn start(address: &SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = TcpStream::from(rustix::net::socket(family, SocketType::STREAM, None)?);
    rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    socket::prepare(&socket)?;
    match rustix::net::connect(&socket, address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, sync::mpsc};

    use amqp1_driver::Url;
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    fn dial(host: &str) -> (Dial, Found) {
        let (sender, found) = mpsc::channel();
        let address = host.parse::<Url>().unwrap().into();
        (Dial::new(address, move |found| sender.send(found).unwrap()).unwrap(), found.recv().unwrap())
    }

    fn connect(mut dial: Dial) -> Result<TcpStream, Failure> {
        loop {
            poll(&mut [PollFd::new(dial.socket().unwrap(), PollFlags::OUT)], None).unwrap();
            match dial.advance(Instant::ZERO)? {
                Dialed::Connected(socket) => return Ok(socket),
                Dialed::Pending(next) => dial = next,
            }
        }
    }

    #[test]
    fn an_address_is_not_looked_up_and_a_name_is() {
        assert_eq!(dial("127.0.0.1:7").1.unwrap(), [SocketAddr::from(([127, 0, 0, 1], 7))]);
        assert_eq!(dial("[::1]:7").1.unwrap(), [SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 7))]);
        assert!(dial("localhost:7").1.unwrap().iter().all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn all_addresses_of_a_host_are_tried_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let answering = listener.local_addr().unwrap();
        let start =
            |addresses: Vec<SocketAddr>| dial("127.0.0.1").0.found(Ok(addresses), Instant::ZERO).unwrap();

        let socket = connect(start(vec![refusing, refusing, answering])).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), answering);
        let failure = connect(start(vec![refusing, refusing])).unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn an_address_that_does_not_answer_has_its_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let started = dial("127.0.0.1").0.found(Ok(vec![address]), Instant::ZERO).unwrap();
        let silent = Dial { attempt: Some(unconnected()), ..started };
        assert_eq!(silent.deadline(), Some(Instant::ZERO + ATTEMPT));
        let Ok(Dialed::Pending(silent)) = silent.advance(Instant::from_millis(9_999)) else {
            panic!("gave up")
        };
        let failure = silent.advance(Instant::from_millis(10_000)).unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::TimedOut);
    }

    fn unconnected() -> TcpStream {
        rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap().into()
    }

    #[test]
    fn a_host_without_an_address_is_unknown() {
        let failure =
            dial("127.0.0.1").0.found(Err(io::Error::other("no such name")), Instant::ZERO).unwrap_err();
        assert!(failure.to_string().contains("the host's name is unknown"), "{failure}");
    }
}
