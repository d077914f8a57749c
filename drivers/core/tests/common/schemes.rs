//! The same messages over whatever can lie below AMQP, by the container of whichever driver the test names.

use crate::driver::{Container, TlsClient, TlsServer};

#[path = "certificates.rs"]
mod certificates;
#[path = "direct.rs"]
mod direct;
use certificates::Authority;
use direct::Direct;

fn run(scheme: &'static str) {
    const COUNT: usize = 200;
    let authority = Authority::new("CA");
    let files = authority.certify(&["localhost"], "broker");
    let mut container = Container::new(Direct::new(scheme, COUNT))
        .tls_client(TlsClient::new().ca_file(authority.ca_file()).unwrap())
        .tls_server(TlsServer::new(&files.certificate, &files.key).unwrap());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while container.process(std::time::Duration::from_secs(1)).unwrap() {
        assert!(std::time::Instant::now() < deadline, "it does not end");
    }
    let Direct { received, confirmed, .. } = container.handler();
    assert_eq!((*received, *confirmed), (COUNT, COUNT));
}

#[test]
fn plain_tcp() {
    run("amqp");
}

#[test]
fn tls() {
    run("amqps");
}

#[cfg(feature = "websocket")]
#[test]
fn websocket() {
    run("ws");
}

#[cfg(feature = "websocket")]
#[test]
fn websocket_over_tls() {
    run("wss");
}
