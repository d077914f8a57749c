//! Accepting without waiting.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
};

use amqp1_driver::Acceptor;

use crate::socket;

/// How connections are accepted.
pub(crate) const ACCEPTOR: Acceptor<TcpListener, TcpStream> =
    Acceptor { bind, local_address: TcpListener::local_addr, accept };

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (socket, _) = listener.accept()?;
    socket::prepare(&socket)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use amqp1_driver::{Failure, Listener, Stages, Url};
    use amqp1_engine::Instant;

    use super::*;

    fn open(url: &str) -> Result<Listener<TcpListener, TcpStream>, Failure> {
        Listener::open(ACCEPTOR, &url.parse::<Url>().unwrap().into(), &Stages::default())
    }

    #[test]
    fn all_addresses_of_a_name_share_one_port() {
        let listener = open("localhost:0").unwrap();
        let port = |socket: &TcpListener| socket.local_addr().unwrap().port();
        let first = port(&listener.sockets(Instant::ZERO)[0]);
        assert!(first > 0 && listener.sockets(Instant::ZERO).iter().all(|socket| port(socket) == first));
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
            listener.accept(&Stages::default(), Instant::ZERO, |socket, _| accepted.push(socket));
        }
        assert_eq!(listener.deadline(Instant::ZERO), None, "it need not rest");
    }
}
