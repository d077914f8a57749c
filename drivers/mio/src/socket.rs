//! Sockets: how they are opened, and made ready for their work.

use std::{io, net::SocketAddr};

use amqp1_driver::{Acceptor, Connector};
use mio::net::{TcpListener, TcpStream};
use rustix::net::sockopt;

/// How sockets are opened.
pub(crate) const CONNECTOR: Connector<TcpStream> = Connector { start, is_connected };

/// How connections are accepted.
pub(crate) const ACCEPTOR: Acceptor<TcpListener, TcpStream> =
    Acceptor { bind: TcpListener::bind, local_address: TcpListener::local_addr, accept };

fn start(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address)?;
    prepare(&socket)?;
    Ok(socket)
}

fn is_connected(socket: &TcpStream) -> io::Result<bool> {
    socket.take_error()?.map_or(Ok(()), Err)?;
    Ok(socket.peer_addr().is_ok())
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (socket, _) = listener.accept()?;
    prepare(&socket)?;
    Ok(socket)
}

/// Small writes leave at once, and the system notices a peer that is gone also where the connection has no idle time-out.
fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    //= 2.4.5-05
    Ok(sockopt::set_socket_keepalive(socket, true)?)
}
