//! The programs over TLS.

#[path = "../../../drivers/core/tests/common/certificates.rs"]
mod certificates;

use certificates::{Authority, Files};

use crate::support::{Ended, await_listener, free_address, run, sequence, start};

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

fn identity(files: &Files) -> [&str; 4] {
    ["--cert", text(&files.certificate), "--key", text(&files.key)]
}

/// A port where nobody listens.
fn free_port() -> String {
    free_address().rsplit_once(':').unwrap().1.to_owned()
}

#[test]
fn messages_go_through_the_broker_over_tls_by_password_and_by_certificate() {
    let authority = Authority::new("CA");
    let (broker, alice) = (authority.certify(&["localhost"], "broker"), authority.certify(&[], "alice"));
    let ca_file = authority.ca_file();
    let ca = ["--ca", text(&ca_file)];
    let address = format!("localhost:{}", free_port());
    let listen = format!("amqps://scott:tiger@{address}");
    let _broker = start("broker", &[&["-a", &listen], &ca[..], &identity(&broker)].concat());
    await_listener(&address);

    let by_password = format!("amqps://scott:tiger@{address}/examples");
    let sent = run("simple_send", &[&["-a", &by_password, "-m", "10"], &ca[..]].concat());
    assert_eq!(sent, Ended::well("all messages confirmed\n"));
    let by_certificate = format!("amqps://{address}/examples");
    let received =
        run("simple_recv", &[&["-a", &by_certificate, "-m", "10"], &ca[..], &identity(&alice)].concat());
    assert_eq!(received, Ended::well(&sequence(1, 10)));

    for (arguments, expected) in [
        (&["-a", &by_certificate][..], "the server's certificate is from an unknown authority"),
        (&["-a", &by_certificate, ca[0], ca[1]], "give a user and a password"),
        (&["-a", &by_certificate, "--ca", "/nowhere.pem"], "cannot use the certificate in /nowhere.pem"),
        (&["-a", &by_certificate, "--cert", text(&alice.certificate)], "--key"),
    ] {
        let Ended { code, out, err } = run("simple_recv", arguments);
        assert!(
            code != Some(0) && out.is_empty() && err.lines().count() == 1 && err.contains(expected),
            "{err}"
        );
    }
}

#[test]
fn both_ends_of_one_program_know_each_other() {
    let authority = Authority::new("CA");
    let files = authority.certify(&["localhost"], "both");
    let ca_file = authority.ca_file();
    let url = format!("amqps://localhost:{}/examples", free_port());
    let arguments = [&["-a", &url, "--ca", text(&ca_file)], &identity(&files)[..]].concat();
    assert_eq!(run("helloworld_direct", &arguments), Ended::well("Hello World!\n"));
    let Ended { code, err, .. } = run("helloworld_direct", &["-a", &url]);
    assert!(
        code != Some(0) && err.ends_with("TLS needs a certificate of the server, and there is none\n"),
        "{err}"
    );
}

#[test]
fn help_tells_what_a_program_is_for_and_how_it_does_tls() {
    let Ended { out, .. } = run("simple_send", &["--help"]);
    assert!(out.starts_with("Sends messages"), "{out}");
    for option in ["--address", "--messages", "TLS:", "--ca <FILE>", "--cert <FILE>", "--key <FILE>"] {
        assert!(out.contains(option), "{out}");
    }
}
