//! What async-std does for the driver.

use std::{
    io::{self, IoSlice},
    net::{self, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use amqp1_driver::aio::{Runtime, Socket};
use async_std::{
    net::{TcpListener, TcpStream, ToSocketAddrs},
    task,
};
use futures_io::{AsyncRead, AsyncWrite};
use rustix::net::sockopt;

/// The runtime of [async-std](https://docs.rs/async-std), which starts itself where it is needed.
#[derive(Clone, Copy, Debug)]
pub struct AsyncStd;

/// A byte stream that is read and written by the traits of `futures-io`.
#[derive(Debug)]
pub struct Stream<S>(S);

impl<S> Stream<S> {
    /// Over any byte stream that has these traits.
    pub const fn new(stream: S) -> Self {
        Self(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket for Stream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

impl Runtime for AsyncStd {
    type Socket = Stream<TcpStream>;
    type Listener = TcpListener;

    async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host.as_str(), port).to_socket_addrs().await?.collect())
    }

    async fn connect(address: SocketAddr) -> io::Result<Self::Socket> {
        prepare(TcpStream::connect(address).await?)
    }

    fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        net::TcpListener::bind(address).map(Into::into)
    }

    fn local_address(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(listener: Arc<TcpListener>) -> io::Result<Self::Socket> {
        prepare(listener.accept().await?.0)
    }

    async fn sleep(duration: Duration) {
        task::sleep(duration).await;
    }

    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        task::spawn(future);
    }
}

/// Small writes leave at once, and the system notices a peer that is gone also where the connection has no idle time-out.
fn prepare(socket: TcpStream) -> io::Result<Stream<TcpStream>> {
    // What async-std wraps does not let the option be set.
    let socket = net::TcpStream::try_from(socket)?;
    socket.set_nodelay(true)?;
    //= 2.4.5-05
    sockopt::set_socket_keepalive(&socket, true)?;
    Ok(Stream(socket.into()))
}
