//! SASL end to end (§5.3).

use amqp1_engine::{
    HandshakeError,
    sasl::{Channel, Refusal, Sasl, SaslError, Secret},
};
use amqp1_tests::prelude::*;

fn alice() -> Sasl {
    let password = Secret::from("open sesame");
    let verify = move |user: &str, candidate: &str| {
        if password.matches(candidate) & (user == "alice") { Ok(()) } else { Err(Refusal::Credentials) }
    };
    Sasl::server().plain(verify).into()
}

fn pair(client: impl Into<Sasl>, server: impl Into<Sasl>, net: Net) -> Pair {
    let client = Config { sasl: Some(client.into()), ..Config::client("client") };
    let server = Config { sasl: Some(server.into()), ..Config::server("server") };
    let mut pair = Pair::with(client, server, net);
    pair.client.open();
    pair.server.open();
    pair.run();
    pair
}

#[track_caller]
fn authenticated(pair: &mut Pair, user: Option<&str>, mechanism: &str) {
    for end in [&mut pair.client, &mut pair.server] {
        end.expect_event(Event::Authenticated);
        end.expect_event(Event::Opened);
        assert_eq!(end.identity().unwrap().mechanism(), mechanism);
    }
    assert_eq!(pair.server.identity().unwrap().user(), user);
    pair.finish();
}

#[track_caller]
fn refused(pair: &mut Pair, client: &SaslError) {
    let events = pair.client.events();
    let [Event::Disconnected(DisconnectReason::Handshake(HandshakeError::Sasl(error)))] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!(error, client);
    let events = pair.server.events();
    assert!(
        matches!(events.as_slice(), [Event::Disconnected(_)]),
        "a client that was refused opens nothing: {events:?}"
    );
    assert!(pair.client.remote_open().is_none() && pair.server.remote_open().is_none());
    assert!(pair.client.is_done() && pair.server.is_done());
}

//= 5.3.3.6-01
#[test]
fn a01_plain_with_the_right_password() {
    each_net(|net| {
        let client = Sasl::client().plain("alice", "open sesame").allow_clear_text();
        authenticated(&mut pair(client, alice(), net), Some("alice"), "PLAIN");
    });
}

#[test]
fn s4_plain_with_a_wrong_password_or_user() {
    each_net(|net| {
        for (user, password) in [("alice", "wrong"), ("bob", "open sesame")] {
            let client = Sasl::client().plain(user, password).allow_clear_text();
            refused(&mut pair(client, alice(), net), &SaslError::Refused(Refusal::Credentials));
        }
    });
}

#[test]
fn s7_plain_is_not_sent_readable_unless_that_was_allowed() {
    each_net(|net| {
        let client = Sasl::client().plain("alice", "open sesame");
        let mechanism = Symbol::from_static("PLAIN");
        let mut pair = pair(client, alice(), net);
        let events = pair.client.events();
        assert_eq!(
            events,
            [Event::Disconnected(DisconnectReason::Handshake(HandshakeError::Sasl(SaslError::ClearText {
                mechanism
            })))]
        );
    });
}

#[test]
fn a01_plain_over_an_encrypted_channel_needs_no_permission() {
    each_net(|net| {
        let channel = Channel { encrypted: true, ..Channel::default() };
        let client = Config {
            sasl: Some(Sasl::client().plain("alice", "open sesame").into()),
            channel,
            ..Config::client("client")
        };
        let server = Config { sasl: Some(alice()), ..Config::server("server") };
        let mut pair = Pair::with(client, server, net);
        pair.client.open();
        pair.server.open();
        pair.run();
        authenticated(&mut pair, Some("alice"), "PLAIN");
    });
}

#[test]
fn a01_anonymous() {
    each_net(|net| {
        authenticated(
            &mut pair(Sasl::client().anonymous(), Sasl::server().anonymous(), net),
            None,
            "ANONYMOUS",
        );
    });
}

#[test]
fn a01_external_takes_the_name_from_the_channel() {
    each_net(|net| {
        let channel = Channel { encrypted: true, peer: Some("CN=alice".into()), ..Channel::default() };
        let client = Config { sasl: Some(Sasl::client().external().into()), ..Config::client("client") };
        let server =
            Config { sasl: Some(Sasl::server().external().into()), channel, ..Config::server("server") };
        let mut pair = Pair::with(client, server, net);
        pair.client.open();
        pair.server.open();
        pair.run();
        authenticated(&mut pair, Some("CN=alice"), "EXTERNAL");
    });
}

#[test]
fn a01_what_the_channel_gives_may_be_known_after_its_own_handshake_alone() {
    each_net(|net| {
        let client = Sasl::client().external().plain("alice", "open sesame");
        let client = Config { sasl: Some(client.into()), ..Config::client("client") };
        let server = Config { sasl: Some(Sasl::server().external().into()), ..Config::server("server") };
        let mut by_certificate = Pair::with(client.clone(), server, net);
        let peer = Some("CN=alice".into());
        by_certificate.server.secured(Channel { encrypted: true, peer, ..Channel::default() });
        let server = Config { sasl: Some(alice()), ..Config::server("server") };
        let mut by_password = Pair::with(client, server, net);
        by_password.client.secured(Channel { encrypted: true, ..Channel::default() });
        for (mut pair, user, mechanism) in
            [(by_certificate, "CN=alice", "EXTERNAL"), (by_password, "alice", "PLAIN")]
        {
            pair.client.open();
            pair.server.open();
            pair.run();
            authenticated(&mut pair, Some(user), mechanism);
        }
    });
}

//= 5.3.3.2-02
#[test]
fn the_clients_order_of_preference_decides_among_what_both_have() {
    each_net(|net| {
        let server = || Sasl::server().anonymous().plain(|_, _| Ok(()));
        let client = Sasl::client().external().anonymous().plain("u", "p").allow_clear_text();
        authenticated(&mut pair(client, server(), net), None, "ANONYMOUS");
        let client = Sasl::client().external().plain("u", "p").anonymous().allow_clear_text();
        authenticated(&mut pair(client, server(), net), Some("u"), "PLAIN");
    });
}

#[test]
fn no_mechanism_in_common() {
    each_net(|net| {
        let mut pair = pair(Sasl::client().external(), Sasl::server().anonymous(), net);
        let offered = [Symbol::from_static("ANONYMOUS")].into();
        refused(&mut pair, &SaslError::NoCommonMechanism { offered });
    });
}

#[test]
fn h7_a_server_that_skips_sasl_gets_no_credentials_and_no_open() {
    each_way(|way| {
        if way.side == Side::Server {
            return;
        }
        let sasl = Sasl::client().plain("alice", "open sesame").allow_clear_text();
        let mut peer = way.peer(Config { sasl: Some(sasl.into()), ..way.config() });
        peer.engine().open();
        peer.expect_header_of(3);
        peer.send_header();
        let expected = HandshakeError::Protocol { expected: 3, received: 0 };
        peer.drops_for(|reason| *reason == DisconnectReason::Handshake(expected.clone()));
    });
}

#[test]
fn s11_a_client_that_writes_all_at_once_is_served() {
    each_way(|way| {
        if way.side == Side::Client {
            return;
        }
        let mut peer = way.peer(Config { sasl: Some(alice()), ..way.config() });
        peer.engine().open();
        peer.send_header_of(3);
        let init = SaslInit {
            initial_response: Some(Bytes::from_static(b"\0alice\0open sesame")),
            ..SaslInit::new(Symbol::from_static("PLAIN"))
        };
        peer.send_sasl(&init);
        peer.send_header();
        peer.send(open("peer"));
        peer.expect_event(Event::Authenticated);
        peer.expect_event(Event::Opened);
        peer.expect_header_of(3);
        let offered = peer.expect_sasl::<SaslMechanisms>();
        assert_eq!(offered.sasl_server_mechanisms, [Symbol::from_static("PLAIN")]);
        assert_eq!(peer.expect_sasl::<SaslOutcome>().code, SaslCode::Ok);
        peer.expect_header();
        expect!(peer, Open { .. });
        peer.silent();
    });
}

//= 2.7.1-03
#[test]
fn the_host_that_a_client_wants_is_the_same_in_init_and_open() {
    each_way(|way| {
        if way.side == Side::Server {
            return;
        }
        let (sasl, hostname) = (Some(Sasl::client().anonymous().into()), Some("example.com".into()));
        let mut peer = way.peer(Config { sasl, hostname, ..way.config() });
        peer.engine().open();
        peer.send_header_of(3);
        peer.send_sasl(&SaslMechanisms::new([Symbol::from_static("ANONYMOUS")].into()));
        peer.send_sasl(&SaslOutcome::new(SaslCode::Ok));
        peer.send_header();
        peer.expect_header_of(3);
        assert_eq!(peer.expect_sasl::<SaslInit>().hostname.as_deref(), Some("example.com"));
        peer.expect_header();
        let hostname = expect!(peer, Open { hostname, .. } => hostname);
        assert_eq!(hostname.as_deref(), Some("example.com"));
    });
}

#[test]
fn s12_secrets_are_in_no_trace() {
    each_way(|way| {
        if way.side == Side::Server {
            return;
        }
        let sasl = Sasl::client().plain("alice", "open sesame").allow_clear_text();
        let config = Config { sasl: Some(sasl.into()), trace: true, ..way.config() };
        assert!(!format!("{config:?}").contains("sesame"));
        let mut peer = way.peer(config);
        peer.send_header_of(3);
        peer.send_sasl(&SaslMechanisms::new([Symbol::from_static("PLAIN")].into()));
        peer.expect_header_of(3);
        let init = peer.expect_sasl::<SaslInit>();
        assert_eq!(init.initial_response.as_deref(), Some(&b"\0alice\0open sesame"[..]));
        peer.send_sasl(&SaslOutcome::new(SaslCode::Ok));
        let engine = peer.engine();
        let lines: Vec<_> = std::iter::from_fn(|| engine.poll_trace()).collect();
        assert!(lines.iter().any(|line| line.contains("sasl-init")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("sesame")), "{lines:?}");
    });
}
