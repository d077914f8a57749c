//! Connecting.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    task::Poll,
    time::Duration,
};

use amqp1_engine::container::Address;

use super::Runtime;
use crate::Failure;

/// How long one address of a host may take to answer before the next one is tried.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Connects to the first of the host's addresses that answers.
pub(super) async fn dial<R: Runtime>(address: Address) -> Result<R::Socket, Failure> {
    let addresses = match address.host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, address.port)],
        Err(_) => match R::look_up(address.host.clone(), address.port).await {
            Ok(found) => found,
            Err(error) => return Err(Failure::resolve(&address, error)),
        },
    };
    let mut failed = io::ErrorKind::HostUnreachable.into();
    for address in addresses {
        match within::<R, _>(ATTEMPT, R::connect(address)).await {
            Some(Ok(socket)) => return Ok(socket),
            Some(Err(error)) => failed = error,
            None => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(Failure::connect(&address, failed))
}

/// What comes of the future, unless that takes longer.
pub(super) async fn within<R: Runtime, T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut sleep) = (pin!(future), pin!(R::sleep(time)));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(found) => Poll::Ready(Some(found)),
        Poll::Pending => sleep.as_mut().poll(cx).map(|()| None),
    })
    .await
}
