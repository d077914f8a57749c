//! Peers that mean harm to the byte stages.

#![cfg(all(feature = "websocket", feature = "tls"))]

use std::{io::ErrorKind, sync::mpsc, thread, time::Duration};

use amqp1_driver::{Sent, Stages, TlsClient, TlsServer};
use amqp1_engine::container::{Address, Scheme};

#[path = "common/certificates.rs"]
mod certificates;
#[path = "common/ends.rs"]
mod ends;
use ends::{End, run};

fn address(scheme: Scheme) -> Address {
    let mut address = Address::new("localhost", 80);
    address.scheme = scheme;
    address
}

/// A client and a server that have exchanged nothing.
fn ends(scheme: Scheme) -> (End, End) {
    let authority = certificates::Authority::new("CA");
    let broker = authority.certify(&["localhost"], "broker");
    let mut stages = Stages::default();
    stages.tls_client = TlsClient::new().ca_file(authority.ca_file()).unwrap();
    stages.tls_server = Some(TlsServer::new(&broker.certificate, &broker.key).unwrap());
    let client = stages.connect(&address(scheme)).unwrap();
    (End::new(client, "hi"), End::new(stages.accept(scheme).unwrap(), "ho"))
}

fn connected(scheme: Scheme) -> (End, End) {
    let (mut client, mut server) = ends(scheme);
    run(&mut client, &mut server, usize::MAX).unwrap();
    (client, server)
}

#[test]
fn a_peer_that_does_not_read_cannot_keep_a_close_from_ending() {
    let (_, mut server) = connected(Scheme::Wss);
    server.output = vec![7; 200_000].into();
    assert!(server.write(0).unwrap().is_empty());
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        server.channel.close(|_| Err(ErrorKind::WouldBlock.into()));
        let _ = done.send(());
    });
    assert!(is_done.recv_timeout(Duration::from_secs(60)).is_ok(), "it goes on and on");
}

#[test]
fn pings_of_a_peer_that_does_not_read_do_not_pile_up() {
    let (mut client, _) = connected(Scheme::Ws);
    let flood = [&[0x89, 125][..], &[b'x'; 125]].concat().repeat(500);
    let failed = (0..200).find_map(|_| {
        let failed = client.read(&flood).err();
        assert!(client.write(0).unwrap().is_empty());
        failed
    });
    assert!(failed.unwrap().to_string().contains("more than it reads"));
    assert!(client.write(usize::MAX).unwrap().len() < 400_000);
}

#[test]
fn what_is_wrong_behind_an_empty_message_is_told() {
    let (mut client, _) = connected(Scheme::Ws);
    let first = client.read(b"\x82\x00\x81\x02hi");
    assert!(first.is_err() || client.read(b"").is_err(), "text is taken");
}

#[test]
fn output_that_is_gone_is_not_waited_for() {
    let (mut client, mut server) = ends(Scheme::Amqps);
    let hello = client.write(usize::MAX).unwrap();
    server.read(&hello).unwrap();
    let flight = server.write(usize::MAX).unwrap();
    client.read(&flight).unwrap();
    assert_eq!(client.secured, 1);
    let sent = client.channel.write(&mut &[][..], |slices| Ok(slices.iter().map(|slice| slice.len()).sum()));
    assert_eq!(sent.unwrap(), Sent::All);
    assert!(!client.channel.has_output());
}

/// Browsers let any page connect anywhere, with the user's certificates, and say whose page it is.
#[test]
fn pages_of_other_sites_are_refused() {
    for (origin, status) in [
        ("", "101"),
        ("Origin: http://localhost:80\r\n", "101"),
        ("Origin: http://localhost\r\n", "403"),
        ("Origin: https://example.com\r\n", "403"),
        ("Origin: null\r\n", "403"),
        ("Origin: \u{e9}://localhost:80\r\n", "403"),
    ] {
        let (_, mut server) = ends(Scheme::Ws);
        let request = format!(
            "GET / HTTP/1.1\r\nHost: localhost:80\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{origin}\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: amqp\r\n\r\n"
        );
        assert_eq!(server.read(request.as_bytes()).is_ok(), status == "101", "{origin}");
        let answer = server.write(usize::MAX).unwrap();
        assert!(answer.starts_with(format!("HTTP/1.1 {status}").as_bytes()), "{origin}");
    }
}
