//! WebSocket as a byte stage, without a socket.
#![cfg(feature = "websocket")]
#![allow(missing_docs)]

use std::io::ErrorKind;

use amqp1_driver::{Channel, Stages};
use amqp1_engine::container::{Address, Scheme};

#[cfg(feature = "tls")]
#[path = "common/certificates.rs"]
mod certificates;
#[path = "common/ends.rs"]
mod ends;
use ends::{End, run};

fn address(scheme: Scheme) -> Address {
    let mut address = Address::new("localhost", 80).with_path("queue");
    address.scheme = scheme;
    address
}

fn client() -> Channel {
    Stages::default().connect(&address(Scheme::Ws)).unwrap()
}

fn server() -> Channel {
    Stages::default().accept(Scheme::Ws).unwrap()
}

/// What the channel still has to say when it is closed.
fn last_word(end: &mut End) -> Vec<u8> {
    let mut said = Vec::new();
    end.channel.close(|slices| {
        slices.iter().for_each(|slice| said.extend_from_slice(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    });
    said
}

/// Both sides of an open connection.
fn open() -> (End, End) {
    let (mut client, mut server) = (End::new(client(), "hi"), End::new(server(), "ho"));
    run(&mut client, &mut server, usize::MAX).unwrap();
    assert_eq!((&server.heard[..], &client.heard[..]), (&b"hi"[..], &b"ho"[..]));
    (client, server)
}

#[test]
fn bytes_go_both_ways_in_pieces_of_any_size() {
    let long: Vec<u8> = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
    for most in [usize::MAX, 1000, 7] {
        let (mut client, mut server) = (End::new(client(), long.clone()), End::new(server(), "short"));
        run(&mut client, &mut server, most).unwrap();
        assert!(server.heard == long && client.heard == b"short", "in pieces of {most}");
        assert!(!client.channel.security().encrypted && !server.channel.security().encrypted);
    }
}

#[test]
fn the_handshake_asks_for_amqp_and_nothing_leaves_before_its_end() {
    let mut client = End::new(client(), "secret");
    let asked = String::from_utf8(client.write(usize::MAX).unwrap()).unwrap();
    assert!(
        asked.starts_with("GET / HTTP/1.1\r\nHost: localhost:80\r\n") && asked.ends_with("\r\n\r\n"),
        "{asked}"
    );
    assert!(asked.to_lowercase().contains("\r\nsec-websocket-protocol: amqp\r\n"), "{asked}");
    assert_eq!(client.output, "secret");
    for (answer, expected) in [
        (
            "HTTP/1.1 404 Not Found\r\n\r\n".to_owned(),
            "the server refuses WebSocket: HTTP status 404 Not Found; check host and port",
        ),
        ("AMQP\0\x01\0\0\r\n\r\n".to_owned(), "the server does not speak WebSocket"),
    ] {
        let mut client = End::new(self::client(), "secret");
        client.write(usize::MAX).unwrap();
        let error = client.read(answer.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let text = error.to_string();
        assert!(text.starts_with(expected) && !text.contains('\n'), "{text}");
        assert_eq!(client.output, "secret");
    }
}

#[test]
fn a_client_that_asks_for_something_else_is_told_so() {
    let request = |protocol: &str| {
        format!(
            "GET /any HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n"
        )
    };
    for protocol in ["", "Sec-WebSocket-Protocol: mqtt, amqp2\r\n"] {
        let mut server = End::new(server(), "secret");
        let error = server.read(request(protocol).as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "the client does not ask for AMQP over WebSocket");
        let said = String::from_utf8(last_word(&mut server)).unwrap();
        assert!(said.starts_with("HTTP/1.1 400 Bad Request\r\n") && !said.contains("secret"), "{said}");
    }
    let mut server = End::new(self::server(), "");
    server.read(request("Sec-WebSocket-Protocol: binary, AMQPWSB10,amqp\r\n").as_bytes()).unwrap();
    let said = String::from_utf8(server.write(usize::MAX).unwrap()).unwrap().to_lowercase();
    // The example of RFC 6455.
    assert!(
        said.starts_with("http/1.1 101")
            && said.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{said}"
    );
    assert!(said.contains("sec-websocket-protocol: amqp\r\n"), "{said}");
    for garbage in [&b"AMQP\0\x01\0\0\r\n\r\n"[..], b"\x16\x03\x01\x02\0\r\n\r\n"] {
        let error = End::new(self::server(), "").read(garbage).unwrap_err().to_string();
        assert!(error.starts_with("the client does not speak WebSocket"), "{error}");
    }
    let endless =
        b"GET / HTTP/1.1\r\n".iter().chain(b"a: b\r\n".repeat(100_000).iter()).copied().collect::<Vec<_>>();
    assert!(End::new(self::server(), "").read(&endless).is_err(), "headers come to an end");
}

#[test]
fn pings_are_answered_and_text_is_not_taken() {
    let (mut client, _server) = open();
    client.read(b"\x89\x02hi").unwrap();
    assert!(client.channel.has_output());
    let pong = client.write(usize::MAX).unwrap();
    assert_eq!((pong[0], pong[1]), (0x8a, 0x82), "masked, with what the ping had");
    let error = client.read(b"\x81\x02hi").unwrap_err();
    assert_eq!(error.to_string(), "the peer sends text over WebSocket, where AMQP is bytes");
}

#[test]
fn a_message_may_come_in_many_frames_and_has_a_limit() {
    let (mut client, _server) = open();
    client.heard.clear();
    client.read(b"\x02\x01a\x00\x01b\x89\x00\x80\x01c").unwrap();
    assert_eq!(client.heard, b"abc");
    let too_long = [&b"\x82\x7f"[..], &(1_u64 << 40).to_be_bytes()].concat();
    let error = client.read(&too_long).unwrap_err();
    assert!(
        error.kind() == ErrorKind::InvalidData && error.to_string().starts_with("WebSocket failed"),
        "{error}"
    );
    let (_, mut server) = open();
    assert!(server.read(b"\x82\x02hi").is_err(), "a client has to mask");
}

#[test]
fn a_close_ends_the_stream() {
    let (mut client, mut server) = open();
    let close = last_word(&mut client);
    assert_eq!(close[0], 0x88);
    server.read(&close).unwrap();
    assert!(server.eof);
    let answer = server.write(usize::MAX).unwrap();
    assert_eq!(answer[0], 0x88);
}

#[cfg(feature = "tls")]
mod over_tls {
    use amqp1_driver::{TlsClient, TlsServer};

    use super::{certificates::Authority, *};

    #[test]
    fn bytes_go_both_ways_and_the_certificates_count() {
        let authority = Authority::new("CA");
        let (broker, alice) = (authority.certify(&["localhost"], "broker"), authority.certify(&[], "alice"));
        let mut stages = Stages::default();
        let tls = TlsClient::new().ca_file(authority.ca_file()).unwrap();
        stages.tls_client = tls.certificate(&alice.certificate, &alice.key).unwrap();
        let tls = TlsServer::new(&broker.certificate, &broker.key).unwrap();
        stages.tls_server = Some(tls.client_ca_file(authority.ca_file()).unwrap());
        let long: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
        for most in [usize::MAX, 1000, 7] {
            let mut client = End::new(stages.connect(&address(Scheme::Wss)).unwrap(), long.clone());
            let mut server = End::new(stages.accept(Scheme::Wss).unwrap(), "short");
            run(&mut client, &mut server, most).unwrap();
            assert!(server.heard == long && client.heard == b"short", "in pieces of {most}");
            assert_eq!(server.channel.security().peer.as_deref(), Some("CN=alice"));
            let close = last_word(&mut client);
            server.read(&close).unwrap();
            assert!(server.eof);
        }
        let untrusting = Stages::default().connect(&address(Scheme::Wss)).unwrap();
        let (mut client, mut server) =
            (End::new(untrusting, "secret"), End::new(stages.accept(Scheme::Wss).unwrap(), ""));
        let (side, error) = run(&mut client, &mut server, usize::MAX).unwrap_err();
        assert!(side == "client" && error.to_string().contains("unknown authority"), "{side} {error}");
        assert!(Stages::default().accept(Scheme::Wss).is_err(), "it needs a certificate");
    }
}
