//! TLS with RabbitMQ and Proton, in both roles, by password and by certificate.

use std::path::Path;

use amqp1_std::{
    Message, Security, TlsClient,
    blocking::{Connection, Error, Options, Outcome},
    sasl::Sasl,
};

use crate::{
    certificates::{Authority, Files},
    process::{await_listener, example, free_address},
    proton::{Proton, peer, try_connect},
    rabbitmq::Rabbit,
};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

/// Connects over TLS, and sends as much as many records hold.
#[track_caller]
fn exchange(url: &str, queue: &str, change: impl FnOnce(&mut Options)) -> Connection {
    let change = |options: &mut Options| {
        options.connection.allow_clear_text = false;
        change(options);
    };
    let connection = try_connect(url, change).unwrap_or_else(|error| panic!("{url}: {error}"));
    let sender = connection.sender(queue).unwrap();
    let receiver = connection.receiver(queue).unwrap();
    for size in [1, 16_384, 1_000_000] {
        let message = Message::from(vec![7; size]);
        assert_eq!(sender.send(message.clone()).unwrap(), Outcome::Accepted);
        let delivery = receiver.recv().unwrap();
        assert!(delivery.decode().unwrap().body == message.body, "{size} bytes came back changed");
        delivery.accept().unwrap();
    }
    connection
}

/// RabbitMQ's port for TLS, the files that it was set up with, and the broker.
fn rabbitmq() -> Option<(String, String, Rabbit)> {
    Some((peer("AMQP1_RABBITMQ_TLS")?, peer("AMQP1_RABBITMQ_TLS_FILES")?, Rabbit::is_up()?))
}

#[test]
fn rabbitmq_by_password() {
    let Some((address, files, rabbit)) = rabbitmq() else { return };
    let queue = rabbit.queue("tls-plain", "classic");
    let tls = TlsClient::new().ca_file(format!("{files}/ca.pem")).unwrap();
    let connection = exchange(&format!("amqps://guest:guest@{address}"), &queue, |options| options.tls = tls);
    connection.close().unwrap();
}

#[test]
fn rabbitmq_by_certificate() {
    let Some((address, files, rabbit)) = rabbitmq() else { return };
    let queue = rabbit.queue("tls-external", "classic");
    let tls = TlsClient::new().ca_file(format!("{files}/ca.pem")).unwrap();
    let tls = tls.certificate(format!("{files}/guest.pem"), format!("{files}/guest.key")).unwrap();
    // Without a user, EXTERNAL is used where there is a certificate, be ANONYMOUS offered or not.
    let connection = exchange(&format!("amqps://{address}"), &queue, |options| {
        options.tls = tls.clone();
        options.connection.security = Security::Sasl(Sasl::client().external().into());
    });
    connection.close().unwrap();
    exchange(&format!("amqps://{address}"), &queue, |options| options.tls = tls).close().unwrap();
}

#[test]
fn rabbitmq_with_a_certificate_of_somebody_else() {
    let Some((address, files, _)) = rabbitmq() else { return };
    let url = format!("amqps://guest:guest@{address}");
    let Err(Error::Broken(error)) = try_connect(&url, |_| {}) else { panic!("it is not trusted") };
    assert!(error.to_string().contains("from an unknown authority"), "{error}");

    let stranger = Authority::new("CA");
    let Files { certificate, key } = stranger.certify(&[], "guest");
    let tls = TlsClient::new().ca_file(format!("{files}/ca.pem")).unwrap();
    let tls = tls.certificate(certificate, key).unwrap();
    let error = try_connect(&url, |options| options.tls = tls).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the connection broke: the server does not know the authority (CA) of our certificate"
    );
}

#[test]
fn proton_listens_and_takes_a_password() {
    let Some(proton) = Proton::installed() else { return };
    let authority = Authority::new("CA");
    let Files { certificate, key } = authority.certify(&["127.0.0.1"], "listener");
    let (certificate, key) = (text(&certificate), text(&key));
    let mut listener = proton.listener(&["--cert", certificate, "--key", key, "--mechanisms", "PLAIN"]);
    let tls = TlsClient::new().ca_file(authority.ca_file()).unwrap();
    let url = format!("amqps://guest:guest@{}", listener.address);
    exchange(&url, "store/tls", |options| options.tls = tls.clone()).close().unwrap();
    assert!(listener.program.line().starts_with("PLAIN guest"));

    let url = format!("amqps://{}", listener.address.replace("127.0.0.1", "localhost"));
    let error = try_connect(&url, |options| options.tls = tls).unwrap_err().to_string();
    assert!(error.contains("the server's certificate is not for localhost but for"), "{error}");
}

#[test]
fn proton_listens_and_takes_a_certificate() {
    let Some(proton) = Proton::installed() else { return };
    let authority = Authority::new("CA");
    let Files { certificate, key } = authority.certify(&["127.0.0.1"], "listener");
    let ca = authority.ca_file();
    let (certificate, key) = (text(&certificate), text(&key));
    let mut listener = proton.listener(&[
        "--cert",
        certificate,
        "--key",
        key,
        "--ca",
        text(&ca),
        "--mechanisms",
        "EXTERNAL",
    ]);
    let tls = TlsClient::new().ca_file(&ca).unwrap();
    let alice = authority.certify(&[], "alice");
    let with_certificate = tls.clone().certificate(&alice.certificate, &alice.key).unwrap();
    let url = format!("amqps://{}", listener.address);
    exchange(&url, "store/tls", |options| options.tls = with_certificate).close().unwrap();
    assert_eq!(listener.program.line(), "EXTERNAL CN=alice");

    let error = try_connect(&url, |options| options.tls = tls).unwrap_err().to_string();
    assert_eq!(error, "the connection broke: the server wants a client certificate; give one with its key");
}

#[test]
fn proton_connects_by_password_and_by_certificate() {
    let Some(proton) = Proton::installed() else { return };
    let authority = Authority::new("CA");
    let (broker, alice) = (authority.certify(&["localhost"], "broker"), authority.certify(&[], "alice"));
    let ca = authority.ca_file();
    let address = free_address();
    let at = format!("localhost:{}", address.port());
    let listen = format!("amqps://scott:tiger@{at}");
    let _broker = example(
        "broker",
        ["-a", &listen, "--ca", text(&ca), "--cert", text(&broker.certificate), "--key", text(&broker.key)],
    );
    await_listener(address);
    let url = format!("amqps://{at}");
    let bounced = ["bounce", "tls", "1", "20000", "1000000"];
    for words in [
        &["--ca", text(&ca), "--user", "scott", "--password", "tiger", "--mechanism", "PLAIN"][..],
        &[
            "--ca",
            text(&ca),
            "--cert",
            text(&alice.certificate),
            "--key",
            text(&alice.key),
            "--mechanism",
            "EXTERNAL",
        ],
    ] {
        let client = proton.client([words, &[&url], &bounced].concat());
        assert_eq!(client.succeed(), ["True", "True", "True"]);
    }
    let stranger = Authority::new("CA").ca_file();
    let client = proton.client(["--ca", text(&stranger), &url, "bounce", "tls", "1"]);
    assert!(!client.end().status.success());
}
