//! Non-blocking TCP sockets: read and written as far as they go.

use std::{io, net::TcpStream};

use amqp1_driver::{Channel, Received, Sent, Spare};
use bytes::{Buf, Bytes};
use rustix::net::sockopt;

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

/// Says that nothing follows, where the stages of the channel have words for that.
pub(crate) fn close(socket: &TcpStream, channel: &mut Channel) {
    channel.close(|slices| Ok(rustix::io::writev(socket, slices)?));
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

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
}
