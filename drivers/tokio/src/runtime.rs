//! What tokio does for the driver.

use std::{
    io::{self, IoSlice},
    net::{self, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use amqp1_driver::aio::{Runtime, Socket};
use rustix::net::sockopt;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// The runtime of [tokio](https://docs.rs/tokio): whatever is made with it needs one around, with I/O and time enabled.
#[derive(Clone, Copy, Debug)]
pub struct Tokio;

/// A byte stream of tokio's.
#[derive(Debug)]
pub struct Stream<S>(S);

impl<S> Stream<S> {
    /// Over any byte stream that is read and written as tokio's are.
    pub const fn new(stream: S) -> Self {
        Self(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket for Stream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        Pin::new(&mut self.0).poll_read(cx, &mut buffer).map_ok(|()| buffer.filled().len())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Runtime for Tokio {
    type Socket = Stream<TcpStream>;
    type Listener = TcpListener;

    async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }

    async fn connect(address: SocketAddr) -> io::Result<Self::Socket> {
        prepare(TcpStream::connect(address).await?)
    }

    fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        let listener = net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    }

    fn local_address(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(listener: Arc<TcpListener>) -> io::Result<Self::Socket> {
        prepare(listener.accept().await?.0)
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }
}

/// Small writes leave at once, and the system notices a peer that is gone also where the connection has no idle time-out.
fn prepare(socket: TcpStream) -> io::Result<Stream<TcpStream>> {
    socket.set_nodelay(true)?;
    //= 2.4.5-05
    sockopt::set_socket_keepalive(&socket, true)?;
    Ok(Stream(socket))
}
