//! Connecting without waiting.

use std::{
    io,
    net::{SocketAddr, TcpStream},
};

use amqp1_driver::Connector;
use rustix::{
    io::{Errno, FdFlags},
    net::{AddressFamily, SocketType, sockopt},
};

use crate::socket;

/// How sockets are opened.
pub(crate) const CONNECTOR: Connector<TcpStream> = Connector { start, is_connected };

fn start(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = TcpStream::from(rustix::net::socket(family, SocketType::STREAM, None)?);
    rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    socket::prepare(&socket)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

fn is_connected(socket: &TcpStream) -> io::Result<bool> {
    sockopt::socket_error(socket)??;
    Ok(socket.peer_addr().is_ok())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, sync::mpsc};

    use amqp1_driver::{Dial, Dialed, Failure, Found, Stages, Url};
    use amqp1_engine::Instant;
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    fn dial(host: &str) -> (Dial<TcpStream>, Found) {
        let (sender, found) = mpsc::channel();
        let address = host.parse::<Url>().unwrap().into();
        (
            Dial::new(CONNECTOR, address, &Stages::default(), move |found| sender.send(found).unwrap())
                .unwrap(),
            found.recv().unwrap(),
        )
    }

    fn connect(mut dial: Dial<TcpStream>) -> Result<TcpStream, Failure> {
        loop {
            poll(&mut [PollFd::new(dial.socket().unwrap(), PollFlags::OUT)], None).unwrap();
            match dial.advance(Instant::ZERO)? {
                Dialed::Connected(socket, _) => return Ok(socket),
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
}
