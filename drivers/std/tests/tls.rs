//! TLS over real sockets, by both interfaces.
#![cfg(feature = "tls")]

#[path = "../../core/tests/common/certificates.rs"]
mod certificates;
mod common;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use amqp1_std::{
    ConnectionId, ConnectionOptions, Container, Context, Delivery, Handler, Message, Security, SenderId,
    TlsClient, TlsServer, Url,
    blocking::{Connection, Error, Options},
    sasl::{Refusal, Sasl},
};
use certificates::Authority;
use common::{PATIENCE, Server, within_patience};

/// A server that takes PLAIN of alice, and EXTERNAL, and has a certificate for localhost.
fn serve(authority: &Authority) -> (Server, String) {
    let broker = authority.certify(&["localhost"], "broker");
    let tls = TlsServer::new(&broker.certificate, &broker.key).unwrap();
    let tls = tls.client_ca_file(authority.ca_file()).unwrap();
    let verify = |user: &str, password: &str| match (user, password) {
        ("alice", "sesame") => Ok(()),
        _ => Err(Refusal::Credentials),
    };
    let security = Security::Sasl(Sasl::server().external().plain(verify).into());
    let options = ConnectionOptions { security, ..ConnectionOptions::default() };
    let server = Server::at("amqps://localhost:0", options, |container| container.tls_server(tls));
    let address = format!("localhost:{}", server.url.port());
    (server, address)
}

fn options(tls: TlsClient) -> Options {
    Options { timeout: Duration::from_secs(10), tls, ..Options::default() }
}

fn trusting(authority: &Authority) -> TlsClient {
    TlsClient::new().ca_file(authority.ca_file()).unwrap()
}

fn external(tls: TlsClient) -> Options {
    let mut options = options(tls);
    options.connection.security = Security::Sasl(Sasl::client().external().into());
    options
}

fn round_trip(connection: &Connection, body: Vec<u8>) {
    let receiver = connection.receiver("queue").unwrap();
    let sender = connection.sender("queue").unwrap();
    sender.send(Message::from(body.clone())).unwrap().accepted().unwrap();
    let delivery = receiver.recv().unwrap();
    assert!(delivery.decode().unwrap().body == Message::from(body).body);
    delivery.accept().unwrap();
}

#[test]
fn plain_needs_no_leave_over_tls() {
    within_patience(|| {
        let authority = Authority::new("CA");
        let (_server, address) = serve(&authority);
        for tls in [trusting(&authority), trusting(&authority).ask_by_header()] {
            let connection = options(tls).connect(&*format!("amqps://alice:sesame@{address}")).unwrap();
            round_trip(&connection, vec![7; 3_000_000]);
            round_trip(&connection, vec![8; 3]);
            connection.close().unwrap();
        }
        let error =
            options(trusting(&authority)).connect(&*format!("amqps://alice:open@{address}")).unwrap_err();
        assert_eq!(error.to_string(), "authentication failed: wrong credentials; check user and password");
    });
}

#[test]
fn a_client_certificate_is_as_good_as_a_password() {
    within_patience(|| {
        let authority = Authority::new("CA");
        let (_server, address) = serve(&authority);
        let url = format!("amqps://{address}");
        let alice = authority.certify(&[], "alice");
        let tls = trusting(&authority).certificate(&alice.certificate, &alice.key).unwrap();
        let connection = external(tls).connect(&*url).unwrap();
        round_trip(&connection, vec![1]);
        connection.close().unwrap();
        let error = external(trusting(&authority)).connect(&*url).unwrap_err();
        assert_eq!(
            error.to_string(),
            "none of the server's SASL mechanisms is configured here: PLAIN; give a user and a password"
        );
    });
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_in_one_line() {
    within_patience(|| {
        let (authority, other) = (Authority::new("CA"), Authority::new("other CA"));
        let (server, address) = serve(&authority);
        let port = server.url.port();
        for (tls, url, expected) in [
            (trusting(&other), format!("amqps://{address}"), "from an unknown authority"),
            (TlsClient::new(), format!("amqps://{address}"), "from an unknown authority"),
            (
                trusting(&authority),
                format!("amqps://127.0.0.1:{port}"),
                "is not for 127.0.0.1 but for localhost",
            ),
        ] {
            let error = options(tls).connect(&*url).unwrap_err();
            let text = error.to_string();
            assert!(
                matches!(error, Error::Broken(_)) && text.contains(expected) && !text.contains('\n'),
                "{text}"
            );
        }
        let tls = TlsClient::new().dangerous_no_verification();
        options(tls).connect(&*format!("amqps://alice:sesame@{address}")).unwrap().close().unwrap();
    });
}

/// Whatever comes is written down and answered by this; then the connection is closed.
fn scripted(answer: &'static [u8]) -> (u16, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = thread::spawn(move || {
        let mut socket = listener.accept().unwrap().0;
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut heard = vec![0; 8];
        socket.read_exact(&mut heard).unwrap();
        socket.write_all(answer).unwrap();
        let _ = socket.read_to_end(&mut heard);
        heard
    });
    (port, heard)
}

#[test]
fn x2_nothing_leaves_in_clear_text_where_tls_is_refused() {
    within_patience(|| {
        for (tls, answer, expected) in [
            (
                TlsClient::new().dangerous_no_verification(),
                &b"AMQP\x00\x01\x00\x00"[..],
                "does not speak TLS",
            ),
            (TlsClient::new().ask_by_header(), b"AMQP\x03\x01\x00\x00", "wants protocol id 3"),
        ] {
            let (port, heard) = scripted(answer);
            let error = options(tls).connect(&*format!("amqps://alice:sesame@localhost:{port}")).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            let heard = heard.join().unwrap();
            let has = |text: &[u8]| heard.windows(text.len()).any(|window| window == text);
            assert!(!has(b"sesame") && !has(b"AMQP\x03") && !has(b"AMQP\x00"), "{heard:?}");
        }
    });
}

#[test]
fn x3_a_plain_client_at_the_tls_port_is_told_what_would_do() {
    within_patience(|| {
        let (_server, address) = serve(&Authority::new("CA"));
        for hello in [&b"AMQP\x00\x01\x00\x00\0\0\0\x08\x02\0\0\0"[..], b"AMQP\x03\x01\x00\x00"] {
            let mut socket = TcpStream::connect(&address).unwrap();
            socket.write_all(hello).unwrap();
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, b"AMQP\x02\x01\x00\x00");
        }
        let error = Options::default().connect(&*address).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the peer wants TLS (protocol id 2) where SASL (protocol id 3) is needed"
        );
    });
}

#[test]
fn x3_tls_at_a_plain_port_is_answered_by_a_header() {
    within_patience(|| {
        let server = Server::start();
        let url = format!("amqps://{}:{}", server.url.host(), server.url.port());
        let error = options(TlsClient::new()).connect(&*url).unwrap_err();
        assert!(error.to_string().contains("the server does not speak TLS; check the port"), "{error}");
    });
}

#[test]
fn x3_a_stream_that_ends_within_a_frame_is_no_close() {
    within_patience(|| {
        let authority = Authority::new("CA");
        let (server, address) = serve(&authority);
        // Someone on the way who cuts the connection once it is open, without a word of TLS.
        let listener = TcpListener::bind("localhost:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = thread::spawn(move || {
            let mut client = listener.accept().unwrap().0;
            let mut broker = TcpStream::connect(address).unwrap();
            client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            broker.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let (mut buffer, mut last) = (vec![0; 65536], Instant::now());
            while last.elapsed() < Duration::from_millis(300) {
                for (from, to) in [(&client, &broker), (&broker, &client)] {
                    let (mut from, mut to) = (from, to);
                    if let Ok(len @ 1..) = from.read(&mut buffer) {
                        to.write_all(&buffer[..len]).unwrap();
                        last = Instant::now();
                    }
                }
            }
            drop((client.flush(), broker.flush()));
        });
        let url = format!("amqps://alice:sesame@localhost:{port}");
        let connection = options(trusting(&authority)).connect(&*url).unwrap();
        let receiver = connection.receiver("queue").unwrap();
        let error = receiver.recv().unwrap_err();
        assert!(matches!(error, Error::Disconnected(_) | Error::Broken(_)), "{error}");
        cut.join().unwrap();
        drop(server);
    });
}

/// Both ends in one container.
struct Direct {
    url: Url,
    security: Security,
    received: Vec<String>,
    users: Vec<String>,
}

impl Handler for Direct {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen(&self.url);
    }

    fn on_listening(&mut self, cx: &mut Context<'_>, _: amqp1_std::ListenerId, address: &str) {
        let port = address.rsplit_once(':').unwrap().1;
        let url: Url = format!("amqps://localhost:{port}").parse().unwrap();
        let connection = cx.connect_with(
            &url,
            ConnectionOptions { security: self.security.clone(), ..ConnectionOptions::default() },
        );
        cx.create_sender(connection, "queue");
    }

    fn on_connection_opened(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        let identity = cx.identity(connection).and_then(|identity| identity.user().map(str::to_owned));
        self.users.extend(identity);
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        cx.send(sender, &Message::from("Hello World!")).unwrap();
        cx.close(sender);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.received.push(delivery.message().unwrap().body().to_string());
        cx.stop();
    }
}

#[test]
fn both_ends_in_one_container_know_each_other() {
    within_patience(|| {
        let authority = Authority::new("CA");
        let (broker, alice) = (authority.certify(&["localhost"], "broker"), authority.certify(&[], "alice"));
        let server = TlsServer::new(&broker.certificate, &broker.key).unwrap();
        let server = server.client_ca_file(authority.ca_file()).unwrap().require_client_certificate();
        let client = trusting(&authority).certificate(&alice.certificate, &alice.key).unwrap();
        let mut options = amqp1_std::ContainerOptions::default();
        options.connection.security = Security::Sasl(Sasl::server().external().into());
        let direct = Direct {
            url: "amqps://localhost:0".parse().unwrap(),
            security: Security::Sasl(Sasl::client().external().into()),
            received: Vec::new(),
            users: Vec::new(),
        };
        let mut container = Container::with_options(direct, options).tls_client(client).tls_server(server);
        while container.process(None).unwrap() {}
        assert_eq!(container.handler().received, ["Hello World!"]);
        assert_eq!(container.handler().users, ["CN=alice"]);
    });
}

#[test]
fn a_listener_without_a_certificate_says_so() {
    within_patience(|| {
        let direct = Direct {
            url: "amqps://localhost:0".parse().unwrap(),
            security: Security::Auto,
            received: Vec::new(),
            users: Vec::new(),
        };
        let error = Container::new(direct).run().unwrap_err();
        assert!(
            error.to_string().ends_with("TLS needs a certificate of the server, and there is none"),
            "{error}"
        );
    });
}
