//! What a driver needs of an async runtime.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A connected byte stream. A driver for an async runtime makes one of the runtime's own.
pub trait Socket: Send + 'static {
    /// Reads what there is, or has the task woken when there is something.
    ///
    /// # Errors
    /// The byte stream is broken.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes what can be written, or has the task woken when something can.
    ///
    /// # Errors
    /// The byte stream is broken.
    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Tells the peer that nothing follows; what it still sends can be read.
    ///
    /// # Errors
    /// The byte stream is broken.
    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// What an async runtime does for a driver: it opens sockets, tells the time and runs tasks.
pub trait Runtime: 'static {
    /// Its byte streams.
    type Socket: Socket;

    /// Its listeners.
    type Listener: Send + Sync + 'static;

    /// Looks up the addresses of a host.
    fn look_up(host: String, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Connects to an address.
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::Socket>> + Send;

    /// Listens at an address; port 0 lets the system choose one.
    ///
    /// # Errors
    /// What the system says.
    fn bind(address: SocketAddr) -> io::Result<Self::Listener>;

    /// Where a listener listens.
    ///
    /// # Errors
    /// What the system says.
    fn local_address(listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// Accepts a connection.
    fn accept(listener: Arc<Self::Listener>) -> impl Future<Output = io::Result<Self::Socket>> + Send;

    /// Waits so long.
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send;

    /// Runs a task to its end, whoever waits for it or not.
    fn spawn(task: impl Future<Output = ()> + Send + 'static);
}
