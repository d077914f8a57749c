//! S: SASL (§5.3), and the rows of H that need it.

use amqp1_engine::{
    HandshakeError,
    sasl::{
        ClientMechanism, MechanismError, Refusal, Sasl, SaslError, Secret, Server, ServerMechanism,
        ServerStep,
    },
};
use amqp1_tests::prelude::*;

const PLAIN: Symbol = Symbol::from_static("PLAIN");
const ENDLESS: Symbol = Symbol::from_static("X-ENDLESS");
const ALICE: &[u8] = b"\0alice\0open sesame";

/// Knows alice, and of bob that he may come back later.
fn server() -> Server {
    let password = Secret::from("open sesame");
    Sasl::server().plain(move |user, candidate| match user {
        "alice" if password.matches(candidate) => Ok(()),
        "bob" => Err(Refusal::SystemTemporary),
        _ => Err(Refusal::Credentials),
    })
}

fn client() -> Sasl {
    Sasl::client().plain("alice", "open sesame").allow_clear_text().into()
}

/// Runs a test with the engine as server, up to its offer.
fn as_server(sasl: impl Fn() -> Server, test: impl Fn(&mut Peer<Memory>)) {
    each_way_as(Side::Server, |way| {
        let mut peer = way.peer(Config { sasl: Some(sasl().into()), ..way.config() });
        peer.engine().open();
        peer.send_header_of(3);
        peer.expect_header_of(3);
        peer.expect_sasl::<SaslMechanisms>();
        test(&mut peer);
    });
}

/// Runs a test with the engine as client, up to the headers.
fn as_client(sasl: impl Fn() -> Sasl, test: impl Fn(&mut Peer<Memory>)) {
    each_way_as(Side::Client, |way| {
        let mut peer = way.peer(Config { sasl: Some(sasl()), ..way.config() });
        peer.engine().open();
        peer.expect_header_of(3);
        peer.send_header_of(3);
        test(&mut peer);
    });
}

/// As [`as_client`], up to the client's init.
fn chosen(test: impl Fn(&mut Peer<Memory>)) {
    as_client(client, |peer| {
        peer.send_sasl(&SaslMechanisms::new([PLAIN].into()));
        assert_eq!(peer.expect_sasl::<SaslInit>().mechanism, PLAIN);
        test(peer);
    });
}

fn init(mechanism: &'static str, response: impl AsRef<[u8]>) -> SaslInit {
    let initial_response = Some(Bytes::copy_from_slice(response.as_ref()));
    SaslInit { initial_response, ..SaslInit::new(Symbol::from_static(mechanism)) }
}

fn encoded(body: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    body.encode(&mut bytes);
    bytes
}

/// A SASL frame of these bytes.
fn sasl_frame(body: &[u8]) -> Vec<u8> {
    let mut frame = frame_of(0, body);
    frame[5] = 1;
    frame
}

/// The connection is dropped without a word, for a reason that looks like this and shows no secret.
#[track_caller]
fn drops(peer: &mut Peer<Memory>, expected: impl Fn(&SaslError) -> bool) {
    peer.drops_for(|reason| {
        let text = format!("{reason} {reason:?}");
        assert!(!text.contains("sesame"), "{text}");
        matches!(reason, DisconnectReason::Handshake(HandshakeError::Sasl(error)) if expected(error))
    });
    let engine = format!("{:?}", peer.engine());
    assert!(!engine.contains("sesame"), "{engine}");
}

/// The engine says with this code that it lets nobody in, and drops the connection.
#[track_caller]
fn refuses(peer: &mut Peer<Memory>, code: SaslCode) {
    assert_eq!(peer.expect_sasl::<SaslOutcome>().code, code);
    drops(peer, |error| matches!(error, SaslError::Refused(_) | SaslError::NotOffered { .. }));
}

#[test]
fn s1_a_frame_above_the_limit_is_judged_by_its_header() {
    for size in [513, 0x1_0000, u32::MAX] {
        let header = [&size.to_be_bytes()[..], b"\x02\x01\0\0"].concat();
        let too_large = |error: &SaslError| *error == SaslError::FrameTooLarge { size, limit: 512 };
        as_server(server, |peer| {
            peer.send_raw(&header);
            drops(peer, too_large);
        });
        as_client(client, |peer| {
            peer.send_raw(&header);
            drops(peer, too_large);
        });
    }
}

#[test]
fn s1_empty_frames_and_frames_that_contradict_themselves() {
    for frame in [
        &b"\0\0\0\x08\x02\x01\0\0"[..],
        b"\0\0\0\x07\x02\x01\0\0",
        b"\0\0\0\0\x02\x01\0\0",
        b"\0\0\0\x0c\x04\x01\0\0",
    ] {
        let malformed = |error: &SaslError| *error == SaslError::MalformedFrame;
        as_server(server, |peer| {
            peer.send_raw(frame);
            drops(peer, malformed);
        });
        as_client(client, |peer| {
            peer.send_raw(frame);
            drops(peer, malformed);
        });
    }
}

#[test]
fn s1_two_values_in_a_frame() {
    let malformed = |error: &SaslError| matches!(error, SaslError::MalformedBody(_));
    as_server(server, |peer| {
        peer.send_raw(sasl_frame(&[encoded(&init("PLAIN", ALICE)), vec![0x40]].concat()));
        drops(peer, malformed);
    });
    as_client(client, |peer| {
        peer.send_raw(sasl_frame(&[encoded(&SaslMechanisms::new([PLAIN].into())), vec![0x40]].concat()));
        drops(peer, malformed);
    });
}

#[test]
fn s1_a_body_cut_at_any_byte() {
    let body = encoded(&init("PLAIN", ALICE));
    for len in 1..body.len() {
        as_server(server, |peer| {
            peer.send_raw(sasl_frame(&body[..len]));
            drops(peer, |error| matches!(error, SaslError::MalformedBody(_)));
        });
    }
}

#[test]
fn s2_an_amqp_frame_before_the_outcome() {
    as_server(server, |peer| {
        peer.send(open("peer"));
        drops(peer, |error| *error == SaslError::NotSasl);
    });
    chosen(|peer| {
        peer.send(open("peer"));
        drops(peer, |error| *error == SaslError::NotSasl);
    });
}

#[test]
fn s2_frames_of_the_other_side() {
    let outcome = encoded(&SaslOutcome::new(SaslCode::Ok));
    let challenge = encoded(&SaslChallenge::new(Bytes::new()));
    let mechanisms = encoded(&SaslMechanisms::new([PLAIN].into()));
    for body in [outcome, challenge, mechanisms] {
        as_server(server, |peer| {
            peer.send_raw(sasl_frame(&body));
            drops(peer, |error| matches!(error, SaslError::Unexpected(_)));
        });
    }
    for body in [encoded(&init("PLAIN", ALICE)), encoded(&SaslResponse::new(Bytes::new()))] {
        as_client(client, |peer| {
            peer.send_raw(sasl_frame(&body));
            drops(peer, |error| matches!(error, SaslError::Unexpected(_)));
        });
        chosen(|peer| {
            peer.send_raw(sasl_frame(&body));
            drops(peer, |error| matches!(error, SaslError::Unexpected(_)));
        });
    }
}

#[test]
fn s2_a_second_init_and_a_response_that_nobody_asked_for() {
    as_server(endless_server, |peer| {
        peer.send_sasl(&init("X-ENDLESS", b"1"));
        peer.expect_sasl::<SaslChallenge>();
        peer.send_sasl(&init("X-ENDLESS", b"1"));
        drops(peer, |error| *error == SaslError::Unexpected("sasl-init"));
    });
    as_server(server, |peer| {
        peer.send_sasl(&SaslResponse::new(Bytes::from_static(ALICE)));
        drops(peer, |error| *error == SaslError::Unexpected("sasl-response"));
    });
    as_server(server, |peer| {
        peer.send_sasl(&init("PLAIN", ALICE));
        peer.send_sasl(&init("PLAIN", ALICE));
        peer.expect_event(Event::Authenticated);
        assert_eq!(peer.expect_sasl::<SaslOutcome>().code, SaslCode::Ok);
        peer.drops_for(|reason| {
            matches!(reason, DisconnectReason::Handshake(HandshakeError::NotAmqp { .. }))
        });
    });
}

#[test]
fn s2_a_second_offer() {
    chosen(|peer| {
        peer.send_sasl(&SaslMechanisms::new([PLAIN].into()));
        drops(peer, |error| *error == SaslError::Unexpected("sasl-mechanisms"));
    });
}

#[test]
fn s3_a_mechanism_that_is_not_offered() {
    for mechanism in ["ANONYMOUS", "EXTERNAL", "SCRAM-SHA-256", "plain", ""] {
        as_server(server, |peer| {
            peer.send_sasl(&init(mechanism, ALICE));
            refuses(peer, SaslCode::Auth);
        });
    }
}

#[test]
fn s4_an_open_behind_wrong_credentials_is_never_accepted() {
    for (credentials, code) in [
        (&b"\0alice\0wrong"[..], SaslCode::Auth),
        (b"\0mallory\0open sesame", SaslCode::Auth),
        (b"\0bob\0open sesame", SaslCode::SysTemp),
    ] {
        as_server(server, |peer| {
            peer.send_sasl(&init("PLAIN", credentials));
            peer.send_header();
            peer.send(open("peer"));
            peer.send(begin(0, 1, 1));
            refuses(peer, code);
            assert!(peer.engine().remote_open().is_none() && peer.engine().identity().is_none());
        });
    }
}

#[test]
fn s5_an_open_without_sasl_where_it_is_required() {
    each_way_as(Side::Server, |way| {
        let mut peer = way.peer(Config { sasl: Some(server().into()), ..way.config() });
        peer.engine().open();
        peer.send_header();
        peer.send(open("peer"));
        peer.expect_header_of(3);
        let expected = HandshakeError::Protocol { expected: 3, received: 0 };
        peer.drops_for(|reason| *reason == DisconnectReason::Handshake(expected.clone()));
    });
}

#[test]
fn s6_plain_that_is_malformed() {
    let long = vec![b'a'; 65_536];
    let long_password = [b"\0alice\0", &long[..]].concat();
    for response in [
        &b""[..],
        b"alice",
        b"alice\0open sesame",
        b"\0alice\0open\0 sesame",
        b"\0alice\0open sesame\0",
        b"\0\0open sesame",
        b"\0alice\0",
        b"\0\0",
        b"\0al\xffice\0open sesame",
        b"\0alice\0open \xc0\x80sesame",
        b"root\0alice\0open sesame",
        &long,
        &long_password,
    ] {
        as_server(
            || server().frame_limit(100_000),
            |peer| {
                peer.send_sasl(&init("PLAIN", response));
                refuses(peer, SaslCode::Auth);
            },
        );
    }
}

#[test]
fn s7_an_offer_of_nothing() {
    // sasl-mechanisms without a field, with null, with an array of none
    for body in
        [&b"\0\x53\x40\x45"[..], b"\0\x53\x40\xc0\x02\x01\x40", b"\0\x53\x40\xc0\x05\x01\xe0\x02\x00\xa3"]
    {
        as_client(client, |peer| {
            peer.send_raw(sasl_frame(body));
            drops(peer, |error| matches!(error, SaslError::MalformedBody(_)));
        });
    }
}

#[test]
fn s7_an_offer_of_what_the_user_does_not_allow() {
    let offer = |names: &[&'static str]| {
        SaslMechanisms::new(names.iter().map(|name| Symbol::from_static(name)).collect())
    };
    // With a password at hand nobody goes in without one.
    as_client(client, |peer| {
        peer.send_sasl(&offer(&["ANONYMOUS", "EXTERNAL", "SCRAM-SHA-256"]));
        drops(peer, |error| matches!(error, SaslError::NoCommonMechanism { offered } if offered.len() == 3));
    });
    let readable = || Sasl::client().plain("alice", "open sesame").into();
    as_client(readable, |peer| {
        peer.send_sasl(&offer(&["PLAIN", "ANONYMOUS"]));
        drops(peer, |error| *error == SaslError::ClearText { mechanism: PLAIN });
    });
}

#[test]
fn s8_an_outcome_out_of_turn() {
    as_client(client, |peer| {
        peer.send_sasl(&SaslOutcome::new(SaslCode::Ok));
        drops(peer, |error| *error == SaslError::Unexpected("sasl-outcome"));
    });
    let counting = || Sasl::client().mechanism(ENDLESS, || Box::new(Endless)).into();
    as_client(counting, |peer| {
        peer.send_sasl(&SaslMechanisms::new([ENDLESS].into()));
        peer.expect_sasl::<SaslInit>();
        peer.send_sasl(&SaslOutcome::new(SaslCode::Ok));
        drops(peer, |error| matches!(error, SaslError::Mechanism(_)));
    });
}

/// A mechanism that is never done.
struct Endless;

impl ClientMechanism for Endless {
    fn needs_encryption(&self) -> bool {
        false
    }

    fn start(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        Ok(None)
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, MechanismError> {
        Ok(challenge.to_vec())
    }

    fn finish(&mut self, _: Option<&[u8]>) -> Result<(), MechanismError> {
        Err(MechanismError::new("the server is not authenticated"))
    }
}

impl ServerMechanism for Endless {
    fn start(&mut self, _: Option<&[u8]>) -> ServerStep {
        ServerStep::Challenge(b"more".to_vec())
    }

    fn respond(&mut self, _: &[u8]) -> ServerStep {
        ServerStep::Challenge(b"more".to_vec())
    }
}

fn endless_server() -> Server {
    Sasl::server().mechanism(ENDLESS, || Box::new(Endless))
}

#[test]
fn s9_challenges_without_end() {
    let endless = || Sasl::client().mechanism(ENDLESS, || Box::new(Endless)).into();
    as_client(endless, |peer| {
        peer.send_sasl(&SaslMechanisms::new([ENDLESS].into()));
        peer.expect_sasl::<SaslInit>();
        for _ in 0..16 {
            peer.send_sasl(&SaslChallenge::new(Bytes::from_static(b"more")));
            assert_eq!(peer.expect_sasl::<SaslResponse>().response, "more");
        }
        peer.send_sasl(&SaslChallenge::new(Bytes::from_static(b"more")));
        drops(peer, |error| *error == SaslError::TooManyRounds { limit: 16 });
    });
    as_server(endless_server, |peer| {
        peer.send_sasl(&init("X-ENDLESS", b"more"));
        for _ in 0..16 {
            peer.expect_sasl::<SaslChallenge>();
            peer.send_sasl(&SaslResponse::new(Bytes::from_static(b"more")));
        }
        drops(peer, |error| *error == SaslError::TooManyRounds { limit: 16 });
    });
}

#[test]
fn s9_a_challenge_to_who_has_nothing_to_say() {
    for (name, client) in [("ANONYMOUS", Sasl::client().anonymous()), ("EXTERNAL", Sasl::client().external())]
    {
        as_client(
            || client.clone().into(),
            |peer| {
                peer.send_sasl(&SaslMechanisms::new([Symbol::from_static(name)].into()));
                assert_eq!(peer.expect_sasl::<SaslInit>().initial_response.as_deref(), Some(&[][..]));
                // Where a server did not look at the initial response, EXTERNAL says again that it has none.
                if name == "EXTERNAL" {
                    peer.send_sasl(&SaslChallenge::new(Bytes::new()));
                    assert_eq!(peer.expect_sasl::<SaslResponse>().response, "");
                }
                peer.send_sasl(&SaslChallenge::new(Bytes::from_static(b"who?")));
                drops(peer, |error| matches!(error, SaslError::Mechanism(_)));
            },
        );
    }
}

#[test]
fn s10_each_refusal_is_told_apart() {
    for (code, refusal) in [
        (SaslCode::Auth, Refusal::Credentials),
        (SaslCode::Sys, Refusal::System),
        (SaslCode::SysPerm, Refusal::SystemPermanent),
        (SaslCode::SysTemp, Refusal::SystemTemporary),
    ] {
        chosen(|peer| {
            peer.send_sasl(&SaslOutcome::new(code));
            drops(peer, |error| *error == SaslError::Refused(refusal));
        });
    }
}

#[test]
fn s10_a_code_that_is_none() {
    for code in 5..=255 {
        chosen(|peer| {
            peer.send_raw(sasl_frame(&[0, 0x53, 0x44, 0xc0, 3, 1, 0x50, code]));
            drops(peer, |error| matches!(error, SaslError::MalformedBody(_)));
        });
    }
}

#[test]
fn s12_the_password_is_in_nothing_that_the_engine_tells() {
    as_server(server, |peer| {
        peer.send_sasl(&init("PLAIN", ALICE));
        peer.expect_event(Event::Authenticated);
        let text = format!("{:?}", peer.engine());
        assert!(text.contains("alice") && !text.contains("sesame"), "{text}");
    });
    chosen(|peer| {
        let text = format!("{:?}", peer.engine());
        assert!(!text.contains("sesame"), "{text}");
    });
}

#[test]
fn f5_a_sasl_frame_once_sasl_is_done_closes() {
    as_server(server, |peer| {
        peer.send_sasl(&init("PLAIN", ALICE));
        peer.send_header();
        peer.send(open("peer"));
        assert_eq!(peer.events(), [Event::Authenticated, Event::Opened]);
        assert_eq!(peer.expect_sasl::<SaslOutcome>().code, SaslCode::Ok);
        peer.expect_header();
        peer.send_sasl(&init("PLAIN", ALICE));
        peer.closes_with(&condition::CONNECTION_FRAMING_ERROR);
    });
}

#[test]
fn h6_a_sasl_header_once_sasl_is_done_drops() {
    as_server(server, |peer| {
        peer.send_sasl(&init("PLAIN", ALICE));
        peer.expect_event(Event::Authenticated);
        assert_eq!(peer.expect_sasl::<SaslOutcome>().code, SaslCode::Ok);
        peer.send_header_of(3);
        peer.expect_header();
        let expected = HandshakeError::Protocol { expected: 0, received: 3 };
        peer.drops_for(|reason| *reason == DisconnectReason::Handshake(expected.clone()));
    });
}

#[test]
fn h6_an_amqp_header_before_sasl_is_done_drops() {
    as_server(server, |peer| {
        peer.send_header();
        drops(peer, |error| *error == SaslError::NotSasl);
    });
    chosen(|peer| {
        peer.send_header();
        drops(peer, |error| *error == SaslError::NotSasl);
    });
}

#[test]
fn h5_silence_in_the_middle_of_sasl() {
    let times_out = |peer: &mut Peer<Memory>| {
        peer.advance(Duration::from_millis(9_999));
        peer.no_event();
        peer.advance(Duration::from_millis(1));
        peer.drops_for(|reason| *reason == DisconnectReason::HandshakeTimeout);
    };
    as_server(server, times_out);
    as_client(client, times_out);
    chosen(times_out);
}

#[test]
fn h1_h2_h3_what_is_not_the_sasl_header_is_answered_with_it() {
    let starts = [
        &b"GET / HTTP/1.1\r\n"[..],
        b"AMQP\x03\x00\x09\x01",
        b"AMQP\x00\x00\x09\x01",
        b"AMQP\x02\x01\x00\x00",
    ];
    for start in starts {
        each_way_as(Side::Server, |way| {
            let mut peer = way.peer(Config { sasl: Some(server().into()), ..way.config() });
            peer.send_raw(start);
            peer.expect_header_of(3);
            peer.drops_for(|reason| matches!(reason, DisconnectReason::Handshake(_)));
        });
    }
}
