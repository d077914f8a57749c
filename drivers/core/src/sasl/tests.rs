use amqp1_engine::sasl::{ClientMechanism, MechanismError, ServerMechanism, ServerStep};
use hmac::Mac;

use super::*;

const PASSWORD: &str = "open sesame";

fn scram_client(hash: ScramHash, user: &str, password: &str) -> ClientExchange {
    let credentials = Credentials { user: user.into(), password: password.into() };
    ClientExchange::new(hash.mechanism(), false, scram::ClientCallback::new(Arc::new(credentials)))
}

fn scram_server(hash: ScramHash) -> ServerExchange {
    let keys = ScramKeys::new(hash, PASSWORD, b"alice's salt", 5_000);
    let look_up = move |user: &str| ["alice", "a,b=c"].contains(&user).then(|| keys.clone());
    ServerExchange::new(hash.mechanism(), scram::ServerCallback(Arc::new(Directory::new(hash, look_up))))
}

/// Runs both sides against each other: who was let in, or which side objected.
fn run(client: &mut dyn ClientMechanism, server: &mut dyn ServerMechanism) -> Result<Option<String>, String> {
    let failed = |error: MechanismError| format!("client: {error}");
    let mut response = client.start().map_err(failed)?.expect("the client begins");
    let mut step = server.start(Some(&response));
    loop {
        match step {
            ServerStep::Challenge(challenge) => {
                response = client.respond(&challenge).map_err(failed)?;
                step = server.respond(&response);
            }
            ServerStep::Accepted { user, additional_data } => {
                client.finish(additional_data.as_deref()).map_err(failed)?;
                return Ok(user);
            }
            ServerStep::Refused(refusal) => return Err(format!("server: {refusal:?}")),
        }
    }
}

#[test]
fn scram_lets_in_who_knows_the_password() {
    for hash in ScramHash::BEST_FIRST {
        for user in ["alice", "a,b=c"] {
            let admitted = run(&mut scram_client(hash, user, PASSWORD), &mut scram_server(hash));
            assert_eq!(admitted, Ok(Some(user.into())), "{hash:?}");
        }
        for (user, password) in [("alice", "open"), ("bob", PASSWORD), ("alice", "")] {
            let refused = run(&mut scram_client(hash, user, password), &mut scram_server(hash));
            assert_eq!(refused, Err("server: Credentials".into()), "{hash:?} {user} {password:?}");
        }
    }
}

#[test]
fn scram_keys_are_those_of_the_examples_of_the_standards() {
    // RFC 5802 §5 and RFC 7677 §3.
    let salt = b"\x41\x25\xc2\x47\xe4\x3a\xb1\xe9\x3c\x6d\xff\x76";
    let keys = ScramKeys::new(ScramHash::Sha1, "pencil", salt, 4096);
    let said = "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
    let signature = hmac::SimpleHmac::<sha1::Sha1>::new_from_slice(keys.server_key()).unwrap();
    let signature = signature.chain_update(said).finalize().into_bytes();
    assert_eq!(hex(&signature), "ae617da6a57c4bbb2e0286568dae1d251905b0a4");

    let salt = b"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81";
    let keys = ScramKeys::new(ScramHash::Sha256, "pencil", salt, 4096);
    let said = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let signature = hmac::SimpleHmac::<sha2::Sha256>::new_from_slice(keys.server_key()).unwrap();
    let signature = signature.chain_update(said).finalize().into_bytes();
    assert_eq!(hex(&signature), "eabae24d1062db75a9451ff0b6ea7e98c8546549ff741e672d3251b2397de46e");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A client that has begun, and the nonce that it has drawn.
fn begun() -> (ClientExchange, String) {
    let mut client = scram_client(ScramHash::Sha256, "alice", PASSWORD);
    let first = String::from_utf8(client.start().unwrap().unwrap()).unwrap();
    let nonce = first.strip_prefix("n,,n=alice,r=").unwrap().to_owned();
    (client, nonce)
}

fn objection<T: std::fmt::Debug>(result: Result<T, MechanismError>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn s8_a_server_that_asks_for_too_few_or_too_many_rounds_is_refused_before_any_is_done() {
    let started = std::time::Instant::now();
    for rounds in ["1", "4095", "1000001", "1000000000", "4294967295"] {
        let (mut client, nonce) = begun();
        let text = objection(client.respond(
            format!("{nonce}x,s=c2FsdA==,i={rounds}").replace(&nonce, &format!("r={nonce}")).as_bytes(),
        ));
        let expected =
            format!("the server asks for {rounds} rounds of hashing; from 4096 to 1000000 are done");
        assert_eq!(text, expected);
    }
    for rounds in ["0", "-1", "", "4294967296", "x"] {
        let (mut client, nonce) = begun();
        objection(client.respond(format!("r={nonce}x,s=c2FsdA==,i={rounds}").as_bytes()));
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "no round was done");
    let (mut client, nonce) = begun();
    client.respond(format!("r={nonce}x,s=c2FsdA==,i=4096").as_bytes()).unwrap();
}

#[test]
fn s8_a_nonce_that_is_not_ours_is_refused() {
    for nonce in ["", "x", &"x".repeat(24)] {
        let (mut client, _) = begun();
        objection(client.respond(format!("r={nonce},s=c2FsdA==,i=4096").as_bytes()));
    }
    let (mut client, nonce) = begun();
    objection(client.respond(format!("r={nonce},s=c2FsdA==,i=4096").as_bytes()));
    let (_, other) = begun();
    assert_ne!(nonce, other, "it is drawn anew each time");
}

#[test]
fn s8_a_server_has_to_prove_that_it_knows_the_user() {
    let answered = || {
        let (mut client, nonce) = begun();
        client.respond(format!("r={nonce}x,s=c2FsdA==,i=4096").as_bytes()).unwrap();
        client
    };
    let wrong = format!("v={}=", "A".repeat(43));
    let unproved = "the server has not proved that it knows the user";
    assert_eq!(objection(answered().finish(None)), unproved);
    let signature = "the server's signature is wrong: it does not know the user's password";
    assert_eq!(objection(answered().finish(Some(wrong.as_bytes()))), signature);
    assert_eq!(objection(answered().respond(wrong.as_bytes())), signature);
    // Success that is told out of turn.
    assert_eq!(objection(begun().0.finish(None)), unproved);
    for said in [&b""[..], b"v=", b"e=other-error", b"\xff", b"v=%%%", b"r=x,s=,i=1", b",,,,"] {
        objection(answered().finish(Some(said)));
        objection(begun().0.respond(said));
        assert!(begun().0.finish(Some(said)).is_err());
    }
}

#[test]
fn s8_a_server_may_send_its_proof_as_a_challenge_and_no_further_one() {
    let (mut client, mut server) =
        (scram_client(ScramHash::Sha512, "alice", PASSWORD), scram_server(ScramHash::Sha512));
    let first = client.start().unwrap().unwrap();
    let ServerStep::Challenge(challenge) = server.start(Some(&first)) else { panic!("no challenge") };
    let proof = client.respond(&challenge).unwrap();
    let ServerStep::Accepted { additional_data: Some(signature), .. } = server.respond(&proof) else {
        panic!("not accepted")
    };
    assert_eq!(client.respond(&signature).unwrap(), b"");
    client.finish(None).unwrap();
    let text = objection(client.respond(b"v=more"));
    assert_eq!(text, "the server goes on where the mechanism has ended");
    client.finish(Some(b"")).unwrap();
}

#[test]
fn a_server_takes_whatever_a_client_sends() {
    let said = [
        &b""[..],
        b"n",
        b"n,,",
        b"n,,n=,r=",
        b"y,,n=alice,r=x",
        b"p=tls-unique,,n=alice,r=x",
        b"n,a=bob,n=alice,r=x",
        b"\xff\xff",
        b"n,,n=alice,r=x,e=1",
        b"n,,m=ext,n=alice,r=x",
        b"user=a\x01auth=Bearer x\x01\x01",
        b"\x01\x01",
    ];
    for first in said {
        for second in said {
            let mut servers: Vec<Box<dyn ServerMechanism>> = vec![Box::new(scram_server(ScramHash::Sha256))];
            for form in [Form::OAuthBearer, Form::XOAuth2] {
                servers.push(Box::new(ServerExchange::new(
                    form.mechanism(),
                    BearerServer::new(Arc::new(judge)),
                )));
            }
            for mut server in servers {
                for response in [first, second, second] {
                    if let ServerStep::Accepted { .. } = server.respond(response) {
                        panic!("{first:?} {second:?} let somebody in");
                    }
                }
            }
        }
    }
}

#[test]
fn no_message_that_is_cut_or_changed_is_more_than_refused() {
    let changed = |message: &[u8], try_it: &mut dyn FnMut(&[u8])| {
        for at in 0..message.len() {
            try_it(&message[..at]);
            try_it(&[&message[..at], &message[at + 1..]].concat());
            for byte in [0, b',', b'=', 0xff] {
                try_it(&[&message[..at], &[byte], &message[at + 1..]].concat());
            }
        }
    };
    let server = || {
        let keys = ScramKeys::from_parts(4096, b"salt", [1; 32], [2; 32]);
        let directory = Directory::new(ScramHash::Sha256, move |_| Some(keys.clone()));
        ServerExchange::new("SCRAM-SHA-256", scram::ServerCallback(Arc::new(directory)))
    };
    changed(b"n,a=alice,n=alice,r=abc", &mut |first| drop(server().start(Some(first))));
    let last = format!("c=biws,r=abc,p={}=", "A".repeat(43));
    changed(last.as_bytes(), &mut |last| {
        let mut server = server();
        server.start(Some(b"n,,n=alice,r=abc"));
        assert!(!matches!(server.respond(last), ServerStep::Accepted { .. }));
    });
    let signature = format!("v={}=", "A".repeat(43));
    let (mut answered, nonce) = begun();
    answered.respond(format!("r={nonce}x,s=c2FsdA==,i=4096").as_bytes()).unwrap();
    changed(signature.as_bytes(), &mut |last| assert!(begun().0.finish(Some(last)).is_err()));
    objection(answered.finish(Some(&signature.as_bytes()[..20])));
}

#[test]
fn keys_are_not_shown() {
    let keys = ScramKeys::new(ScramHash::Sha1, PASSWORD, b"salt", 4096);
    assert_eq!(format!("{keys:?}"), "ScramKeys { iterations: 4096, .. }");
}

#[test]
fn a_user_that_there_is_not_looks_like_one_that_there_is() {
    let directory = Arc::new(Directory::new(ScramHash::Sha256, |_| None));
    let ask = |user: &str| {
        let callback = scram::ServerCallback(Arc::clone(&directory));
        let mut server = ServerExchange::new("SCRAM-SHA-256", callback);
        let ServerStep::Challenge(first) = server.start(Some(format!("n,,n={user},r=abc").as_bytes())) else {
            panic!("no challenge")
        };
        let text = String::from_utf8(first).unwrap();
        text.split_once(",s=").unwrap().1.to_owned()
    };
    assert_eq!(ask("bob"), ask("bob"), "the same salt each time");
    assert_ne!(ask("bob"), ask("eve"));
    assert!(ask("bob").ends_with(",i=4096"));
}

fn judge(user: Option<&str>, token: &str) -> Result<String, Refusal> {
    match (user, token) {
        (
            None | Some("user@example.com" | "someuser@example.com"),
            "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
        ) => Ok("user@example.com".into()),
        _ => Err(Refusal::Credentials),
    }
}

fn bearer_client(form: Form, user: Option<&str>, token: &str) -> ClientExchange {
    let bearer =
        BearerClient { user: user.map(str::to_owned), token: token.into(), reason: Reason::default() };
    ClientExchange::new(form.mechanism(), true, bearer)
}

fn bearer_server(form: Form) -> ServerExchange {
    ServerExchange::new(form.mechanism(), BearerServer::new(Arc::new(judge)))
}

const TOKEN: &str = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";

#[test]
fn bearer_tokens_are_judged_and_their_refusal_is_answered() {
    for form in [Form::OAuthBearer, Form::XOAuth2] {
        let mut client = bearer_client(form, Some("user@example.com"), TOKEN);
        assert!(client.needs_encryption(), "who reads a token can use it");
        assert_eq!(run(&mut client, &mut bearer_server(form)), Ok(Some("user@example.com".into())));
        let refused = run(&mut bearer_client(form, Some("eve"), TOKEN), &mut bearer_server(form));
        assert_eq!(refused, Err("server: Credentials".into()));
        let refused =
            run(&mut bearer_client(form, Some("user@example.com"), "old"), &mut bearer_server(form));
        assert_eq!(refused, Err("server: Credentials".into()));
    }
    let admitted =
        run(&mut bearer_client(Form::OAuthBearer, None, TOKEN), &mut bearer_server(Form::OAuthBearer));
    assert_eq!(admitted, Ok(Some("user@example.com".into())));
    assert!(run(&mut bearer_client(Form::XOAuth2, None, TOKEN), &mut bearer_server(Form::XOAuth2)).is_err());
}

#[test]
fn bearer_tokens_are_written_as_in_the_published_examples() {
    let mut client = bearer_client(Form::OAuthBearer, Some("user@example.com"), TOKEN);
    let expected = format!("n,a=user@example.com,\x01auth=Bearer {TOKEN}\x01\x01");
    assert_eq!(client.start().unwrap().unwrap(), expected.as_bytes());
    // RFC 7628 §4.1, which names host and port as well, and what §4.3 has the server say.
    let example = format!(
        "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer {TOKEN}\x01\x01"
    );
    assert!(matches!(
        bearer_server(Form::OAuthBearer).start(Some(example.as_bytes())),
        ServerStep::Accepted { user: Some(user), .. } if user == "user@example.com"
    ));
    let refusal = br#"{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/.well-known/openid-configuration"}"#;
    assert_eq!(client.respond(refusal).unwrap(), b"\x01");

    // Google's description of XOAUTH2.
    let token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";
    let mut client = bearer_client(Form::XOAuth2, Some("someuser@example.com"), token);
    let expected = format!("user=someuser@example.com\x01auth=Bearer {token}\x01\x01");
    assert_eq!(client.start().unwrap().unwrap(), expected.as_bytes());
    let refusal = br#"{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}"#;
    assert_eq!(client.respond(refusal).unwrap(), b"");
}
