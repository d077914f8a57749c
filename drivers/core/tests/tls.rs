//! TLS as a byte stage, without a socket: two channels, and what goes over the wire between them.
#![cfg(feature = "tls")]
#![allow(missing_docs)]

use std::io::ErrorKind;

use amqp1_driver::{Channel, Stages, TlsClient, TlsError, TlsServer};
use amqp1_engine::container::{Address, Scheme};

#[path = "common/certificates.rs"]
mod certificates;
#[path = "common/ends.rs"]
mod ends;
use certificates::{Authority, Files};
use ends::{End, run};

const HEADER: &[u8] = b"AMQP\x02\x01\x00\x00";

fn connect(tls: TlsClient, host: &str) -> Channel {
    let mut stages = Stages::default();
    stages.tls_client = tls;
    stages.connect(&address(host)).unwrap()
}

fn address(host: &str) -> Address {
    let mut address = Address::new(host, 5671);
    address.scheme = Scheme::Amqps;
    address
}

fn accept(tls: &TlsServer) -> Channel {
    let mut stages = Stages::default();
    stages.tls_server = Some(tls.clone());
    stages.accept(Scheme::Amqps).unwrap()
}

fn server(files: &Files) -> TlsServer {
    TlsServer::new(&files.certificate, &files.key).unwrap()
}

fn trusting(authority: &Authority) -> TlsClient {
    TlsClient::new().ca_file(authority.ca_file()).unwrap()
}

/// How a client that has something to say gets on with this server: what went wrong first. Nothing of what it has to say
/// may have left then.
fn refused(client: TlsClient, host: &str, tls: &TlsServer) -> (&'static str, String) {
    let (mut client, mut server) = (End::new(connect(client, host), "secret"), End::new(accept(tls), "too"));
    let (side, error) = run(&mut client, &mut server, usize::MAX).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(server.heard.is_empty() && client.heard.is_empty());
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    (side, text)
}

//= 2.8.19-02 5.2-03 5.2-04
#[test]
fn bytes_go_both_ways_in_pieces_of_any_size() {
    let authority = Authority::new("CA");
    let tls = server(&authority.certify(&["localhost", "127.0.0.1"], "broker"));
    let long: Vec<u8> = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
    for (host, most) in [("localhost", usize::MAX), ("127.0.0.1", 1000), ("localhost", 7)] {
        let mut client = End::new(connect(trusting(&authority), host), long.clone());
        let mut server = End::new(accept(&tls), "short");
        run(&mut client, &mut server, most).unwrap();
        assert!(server.heard == long && client.heard == b"short", "in pieces of {most}");
        assert_eq!((client.secured, server.secured), (1, 1));
        assert!(client.channel.security().encrypted && server.channel.security().encrypted);
        assert_eq!(server.channel.security().peer, None, "nobody asked");
    }
}

#[test]
fn output_counts_as_written_once_its_bytes_are_on_their_way() {
    let authority = Authority::new("CA");
    let tls = server(&authority.certify(&["localhost"], "broker"));
    let mut client = End::new(connect(trusting(&authority), "localhost"), "");
    let mut server = End::new(accept(&tls), "");
    run(&mut client, &mut server, usize::MAX).unwrap();
    client.output = vec![7; 1000].into();
    let mut sealed = client.write(500).unwrap();
    assert_eq!((sealed.len(), client.output.len()), (500, 1000), "a half of it tells nothing");
    assert!(client.channel.has_output());
    sealed.extend(client.write(usize::MAX).unwrap());
    assert_eq!(client.output.len(), 0);
    server.read(&sealed).unwrap();
    assert_eq!(server.heard, [7; 1000]);
}

#[test]
fn a_client_certificate_proves_who_the_client_is() {
    let authority = Authority::new("CA");
    let tls =
        server(&authority.certify(&["localhost"], "broker")).client_ca_file(authority.ca_file()).unwrap();
    let alice = authority.certify(&[], "alice");
    let client = trusting(&authority).certificate(&alice.certificate, &alice.key).unwrap();
    assert!(client.has_certificate());
    // The second time the session is resumed, and the certificate is known from the first.
    for _ in 0..2 {
        let mut ends = (End::new(connect(client.clone(), "localhost"), "hi"), End::new(accept(&tls), "ho"));
        run(&mut ends.0, &mut ends.1, usize::MAX).unwrap();
        assert_eq!(ends.1.channel.security().peer.as_deref(), Some("CN=alice"));
        assert_eq!(ends.0.channel.security().peer, None);
    }
    let mut ends = (End::new(connect(trusting(&authority), "localhost"), ""), End::new(accept(&tls), ""));
    run(&mut ends.0, &mut ends.1, usize::MAX).unwrap();
    assert_eq!(ends.1.channel.security().peer, None, "it may come in otherwise");

    let strict = tls.require_client_certificate();
    let (side, text) = refused(trusting(&authority), "localhost", &strict);
    assert_eq!((side, &text[..]), ("server", "the client has no certificate"));
    let other = Authority::new("other CA");
    let mallory = other.certify(&[], "alice");
    let client = trusting(&authority).certificate(&mallory.certificate, &mallory.key).unwrap();
    let (side, text) = refused(client, "localhost", &strict);
    assert_eq!((side, &text[..]), ("server", "the client's certificate is from an unknown authority"));
}

#[test]
fn a_client_that_is_turned_away_learns_why() {
    let authority = Authority::new("CA");
    let tls = server(&authority.certify(&["localhost"], "broker"));
    let tls = tls.client_ca_file(authority.ca_file()).unwrap().require_client_certificate();
    let (mut client, mut server) =
        (End::new(connect(trusting(&authority), "localhost"), ""), End::new(accept(&tls), ""));
    run(&mut client, &mut server, usize::MAX).unwrap_err();
    let alert = server.write(usize::MAX).unwrap();
    let error = client.read(&alert).unwrap_err().to_string();
    assert_eq!(error, "the server wants a client certificate; give one with its key");
}

//= 5.2-04
#[test]
fn x1_a_certificate_that_is_not_good_is_refused_before_any_amqp_byte() {
    let authority = Authority::new("CA");
    let elsewhere = server(&authority.certify(&["example.com", "example.net"], "elsewhere"));
    for (host, shown) in
        [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1"), ("ex\u{61}mple.org", "example.org")]
    {
        let (side, text) = refused(trusting(&authority), host, &elsewhere);
        let expected = format!(
            "the server's certificate is not for {shown} but for example.com, example.net; check that this is \
             the server you mean"
        );
        assert_eq!((side, text), ("client", expected));
    }
    let hosts = &["localhost"][..];
    let (other, namesake) = (Authority::new("other CA"), Authority::new("CA"));
    for (files, expected) in [
        (
            authority.expired(hosts),
            "the server's certificate has expired; have it renewed, or check this machine's clock",
        ),
        (
            authority.not_yet_valid(hosts),
            "the server's certificate is not valid yet; check this machine's clock",
        ),
        (
            other.certify(hosts, "broker"),
            "the server's certificate is from an unknown authority; give the certificate of its authority (CA)",
        ),
    ] {
        let (side, text) = refused(trusting(&authority), "localhost", &server(&files));
        assert_eq!((side, &text[..]), ("client", expected));
    }
    let files = namesake.certify(hosts, "broker");
    let (side, text) = refused(trusting(&authority), "localhost", &server(&files));
    assert_eq!((side, &text[..]), ("client", "the server's certificate is not from the authority it names"));
    let good = server(&authority.certify(hosts, "broker"));
    let (_, text) = refused(TlsClient::new(), "localhost", &good);
    assert!(text.contains("unknown authority"), "the system's do not include this one: {text}");
}

#[test]
fn nothing_is_verified_only_where_that_is_asked_for_by_name() {
    let authority = Authority::new("CA");
    let files = authority.expired(&["example.com"]);
    let mut client = End::new(connect(TlsClient::new().dangerous_no_verification(), "localhost"), "hi");
    let mut end = End::new(accept(&server(&files)), "");
    run(&mut client, &mut end, usize::MAX).unwrap();
    assert_eq!(end.heard, b"hi");
    assert!(format!("{:?}", TlsClient::new().dangerous_no_verification()).contains("ANYBODY"));
    let again = TlsClient::new().dangerous_no_verification().ca_file(authority.ca_file()).unwrap();
    assert!(refused(again, "localhost", &server(&files)).1.contains("certificate"), "trusts it alone");
}

//= 5.2-01 5.2-02 5.2.1-02
#[test]
fn tls_can_be_asked_for_by_the_header_of_amqp() {
    let authority = Authority::new("CA");
    let tls = server(&authority.certify(&["localhost"], "broker"));
    for most in [usize::MAX, 1] {
        let asking = trusting(&authority).ask_by_header();
        let (mut client, mut server) =
            (End::new(connect(asking, "localhost"), "hi"), End::new(accept(&tls), "ho"));
        let asked = client.write(usize::MAX).unwrap();
        assert_eq!(asked, HEADER, "and not a byte more before the answer");
        asked.chunks(most).for_each(|part| server.read(part).unwrap());
        let agreed = server.write(usize::MAX).unwrap();
        assert_eq!(agreed, HEADER);
        agreed.chunks(most).for_each(|part| client.read(part).unwrap());
        run(&mut client, &mut server, most).unwrap();
        assert_eq!((&server.heard[..], &client.heard[..]), (&b"hi"[..], &b"ho"[..]));
    }
}

//= 5.2-01
#[test]
fn x2_a_server_that_refuses_tls_is_left_alone() {
    let authority = Authority::new("CA");
    for (answer, expected) in [
        (&b"AMQP\x03\x01\x00\x00"[..], "the server wants protocol id 3 where TLS (protocol id 2) is needed"),
        (b"AMQP\x00\x01\x00\x00", "the server wants protocol id 0 where TLS (protocol id 2) is needed"),
        (b"HTTP/1.1 400", "the server does not speak AMQP; check the port"),
    ] {
        let mut client = End::new(connect(trusting(&authority).ask_by_header(), "localhost"), "secret");
        assert_eq!(client.write(usize::MAX).unwrap(), HEADER);
        assert_eq!(client.read(answer).unwrap_err().to_string(), expected);
        client.channel.close(|_| panic!("there is nothing to say"));
        assert_eq!(client.output, "secret", "it has not left");
    }
    // A server that knows TLS from the first byte only, or none at all.
    let mut client = End::new(connect(trusting(&authority), "localhost"), "secret");
    client.write(usize::MAX).unwrap();
    assert_eq!(
        client.read(b"AMQP\x00\x01\x00\x00").unwrap_err().to_string(),
        "the server does not speak TLS; check the port, or use amqp where clear text will do"
    );
    assert_eq!(client.output, "secret");
}

//= 5.2-01
#[test]
fn x3_plain_bytes_on_the_tls_port_are_told_what_would_do() {
    let authority = Authority::new("CA");
    let tls = server(&authority.certify(&["localhost"], "broker"));
    for header in [b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00"] {
        let mut server = End::new(accept(&tls), "secret");
        let error = server.read(&[&header[..], b"\0\0\0\x1a\x02\0\0\0"].concat()).unwrap_err();
        let expected = "the client does not speak TLS, and was told to; nothing in clear text is answered";
        assert_eq!((error.kind(), &error.to_string()[..]), (ErrorKind::InvalidData, expected));
        let mut said = Vec::new();
        server.channel.close(|slices| {
            said.extend_from_slice(&slices[0]);
            Ok(slices[0].len())
        });
        assert_eq!(said, HEADER);
    }
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0\0\x08", &[0x16; 100]] {
        let mut server = End::new(accept(&tls), "secret");
        let error = server.read(garbage).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{garbage:?}: {error}");
    }
}

//= 5.2-05
#[test]
fn a_side_that_closes_says_so() {
    let authority = Authority::new("CA");
    let tls = server(&authority.certify(&["localhost"], "broker"));
    let (mut client, mut server) =
        (End::new(connect(trusting(&authority), "localhost"), "last"), End::new(accept(&tls), ""));
    run(&mut client, &mut server, usize::MAX).unwrap();
    let mut notify = Vec::new();
    client.channel.close(|slices| {
        slices.iter().for_each(|slice| notify.extend_from_slice(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    });
    server.read(&notify).unwrap();
    assert!(server.eof && server.heard == b"last");
}

#[test]
fn x3_records_without_content_come_to_an_end() {
    let authority = Authority::new("CA");
    let tls = server(&authority.certify(&["localhost"], "broker"));
    let mut server = End::new(accept(&tls), "");
    // ChangeCipherSpec, which TLS 1.3 ignores once.
    let error = server.read(&b"\x14\x03\x03\0\x01\x01".repeat(100_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
}

#[test]
fn settings_that_cannot_work_are_told_at_once() {
    let authority = Authority::new("CA");
    let (one, other) = (authority.certify(&["localhost"], "one"), authority.certify(&["localhost"], "other"));
    let empty = authority.file("empty", "nothing here\n");
    let damaged = authority.file(
        "damaged",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    let text = |error: TlsError| error.to_string();
    let shown = |path: &std::path::Path| path.display().to_string();
    assert_eq!(
        text(TlsServer::new(&one.certificate, &other.key).unwrap_err()),
        format!(
            "the private key in {} does not belong to the certificate in {}",
            shown(&other.key),
            shown(&one.certificate)
        )
    );
    assert!(
        text(TlsClient::new().certificate(&other.certificate, &one.key).unwrap_err())
            .contains("does not belong")
    );
    assert_eq!(
        text(TlsClient::new().ca_file("/nowhere/ca.pem").unwrap_err()),
        "cannot use the certificate in /nowhere/ca.pem: No such file or directory (os error 2)"
    );
    assert_eq!(
        text(TlsServer::new(&empty, &one.key).unwrap_err()),
        format!("there is no certificate in {}: give a file in the PEM format", shown(&empty))
    );
    assert_eq!(
        text(TlsServer::new(&one.certificate, &one.certificate).unwrap_err()),
        format!("there is no private key in {}: give a file in the PEM format", shown(&one.certificate))
    );
    for error in [
        TlsClient::new().ca_file(&damaged).unwrap_err(),
        TlsServer::new(&damaged, &one.key).unwrap_err(),
        TlsServer::new(&one.certificate, &damaged).unwrap_err(),
    ] {
        let text = text(error);
        assert!(text.contains(&shown(&damaged)) && !text.contains('\n'), "{text}");
    }
    let error = Stages::default().accept(Scheme::Amqps).unwrap_err();
    assert_eq!(error.to_string(), "TLS needs a certificate of the server, and there is none");
    let error = Stages::default().connect(&address("a_b..c")).unwrap_err();
    assert_eq!(error.to_string(), "no certificate can be for `a_b..c`: give a host name or an IP address");
}
