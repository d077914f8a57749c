//! Recordings of connections. That every other test replays to the same, the harness sees to.

use std::{fs, panic, thread};

use amqp1_engine::{
    message::Message,
    record::{Record, ReplayError, replay, replay_shown},
    sasl::Sasl,
};
use amqp1_tests::prelude::*;

/// Both sides of a connection over which a message has passed.
fn recorded(record: Record) -> [String; 2] {
    let client = Config { record: Some(record.clone()), ..Config::client("client") };
    let server = Config { record: Some(record), ..Config::server("server") };
    let mut pair = Pair::with(client, server, Net::Rough(1));
    pair.open();
    let (session, _) = pair.session();
    let (sender, receiver) = pair.link(session, "link");
    pair.server.receiver(receiver).unwrap().set_credit(1);
    pair.run();
    pair.client.sender(sender).unwrap().send(tag("1"), true, "Hello World!").unwrap();
    pair.run();
    let Some(Event::Delivery(id)) = pair.server.event() else { panic!("no delivery") };
    pair.server.receiver(receiver).unwrap().take(id).unwrap();
    pair.client.close(None);
    pair.server.close(None);
    pair.run();
    while pair.client.event().is_some() {}
    while pair.server.event().is_some() {}
    [&mut pair.client, &mut pair.server].map(|end| end.poll_recording().unwrap())
}

fn malformed(recording: &str) -> (usize, String) {
    match replay(recording.as_bytes()) {
        Err(ReplayError::Malformed { line, reason }) => (line, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_sides_replay_to_the_same() {
    for (recording, other) in [[0, 1], [1, 0]].map(|[a, b]| {
        let both = recorded(Record::default());
        (both[a].clone(), both[b].clone())
    }) {
        let replayed = replay(recording.as_bytes()).unwrap();
        assert!(replayed.events >= 4 && replayed.calls >= 4, "{replayed:?}");
        assert!(!replayed.is_limited);
        assert_eq!(replayed.sent, replay(other.as_bytes()).unwrap().received);
    }
}

#[test]
fn a_replay_shows_what_happens() {
    let [client, _] = recorded(Record::default());
    let mut shown = Vec::new();
    replay_shown(client.as_bytes(), |line| shown.push(line.to_owned())).unwrap();
    let at = |text: &str| {
        shown.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {shown:#?}"))
    };
    let order =
        ["open -> ()", "-> 0 @open(16)", "<- 0 @open(16)", "event Opened", "begin -> Ok(SessionId(0))"];
    assert!(order.map(at).is_sorted(), "{shown:#?}");
    at("send -> Ok(");
    at("@transfer(20)");
}

#[test]
fn every_call_is_recorded_and_made_again() {
    let mut pair = Pair::opened(Net::Whole);
    let (session, theirs) = pair.session();
    let (sender, receiver) = pair.link(session, "forth");
    let (back_receiver, back_sender) = pair.link_back(session, "back");
    pair.server.receiver(receiver).unwrap().set_credit(10);
    pair.client.receiver(back_receiver).unwrap().set_credit(10);
    pair.run();

    let mut link = pair.client.sender(sender).unwrap();
    assert_eq!(link.blocked(), None);
    link.offered(7);
    link.send_flow_properties(Fields::new().with("a", 1u32));
    let settled = link.send(tag("1"), false, "one").unwrap();
    link.send_message(tag("2"), false, &Message::from("two")).unwrap();
    link.start(tag("3"), false, 0, "thr").unwrap();
    link.write("ee").unwrap();
    link.finish().unwrap();
    link.start(tag("4"), false, 0, "four").unwrap();
    link.abort().unwrap();
    link.settle(settled, Some(DeliveryState::Released)).unwrap();
    link.drained();
    pair.run();

    for event in pair.server.events() {
        let Event::Delivery(id) = event else { continue };
        let mut link = pair.server.receiver(receiver).unwrap();
        let received = Received { section_number: 0, section_offset: 1 };
        // One was settled by the sender, and is gone when it is taken.
        if link.take(id).is_ok() && link.update(id, DeliveryState::Received(received)).is_ok() {
            link.settle(id).unwrap();
        }
    }
    pair.server.receiver(receiver).unwrap().drain();
    pair.server.sender(back_sender).unwrap().detach().unwrap();
    let error =
        |text: &str| Error { condition: condition::NOT_ALLOWED, description: Some(text.into()), info: None };
    let refused = pair.client.session(session).unwrap().attach_sender(LinkConfig::sender("refused", "there"));
    pair.run();
    let refusal = pair.server.events().into_iter().find_map(|event| match event {
        Event::LinkAttached(id) => Some(id),
        _ => None,
    });
    pair.server.receiver(refusal.expect("attached")).unwrap().refuse(error("no")).unwrap();
    pair.run();
    pair.client.sender(refused.unwrap()).unwrap().close(None).unwrap();
    pair.client.session(session).unwrap().end(Some(error("enough"))).unwrap();
    pair.run();
    pair.server.events();
    pair.server.session(theirs).unwrap().end(None).unwrap();
    pair.client.close(Some(error("all is said")));
    pair.server.close(None);
    pair.run();
    pair.client.events();
    pair.server.events();

    let both = [&mut pair.client, &mut pair.server].map(|end| end.poll_recording().unwrap());
    for recording in &both {
        replay(recording.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{recording}"));
    }
    let called = |name: &str| both.iter().any(|recording| recording.contains(&format!("\ncall {name}")));
    let calls = "open close begin accept end attach_sender attach_receiver attach refuse detach close_link \
                 send_flow_properties blocked send send_message start write finish abort settle_sent offered drained \
                 set_credit drain take update settle";
    let missing: Vec<_> = calls.split_whitespace().filter(|name| !called(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn another_byte_or_event_is_found_in_its_line() {
    for recording in recorded(Record::default()) {
        let lines: Vec<&str> = recording.lines().collect();
        let mut found = 0;
        for (index, line) in lines.iter().enumerate() {
            let changed = match line.split_once(' ') {
                Some((">", hex)) => {
                    let last = if hex.ends_with('0') { "1" } else { "0" };
                    format!("> {}{last}", &hex[..hex.len() - 1])
                }
                Some(("event", _)) => "event Unheard".into(),
                Some(("transmit", _)) => "transmit 7654321".into(),
                _ => continue,
            };
            let mut others = lines.clone();
            others[index] = &changed;
            match replay((others.join("\n") + "\n").as_bytes()) {
                Err(ReplayError::Differs { line, .. }) if line == index + 1 => found += 1,
                other => panic!("line {}: {line}: {other:?}", index + 1),
            }
        }
        assert!(found > 10);
    }
}

#[test]
fn a_recording_that_breaks_off_is_replayed_as_far_as_it_goes() {
    let [recording, _] = recorded(Record::default());
    let title = recording.find('\n').unwrap() + 1;
    for cut in (title..recording.len()).rev() {
        let replayed = replay(&recording.as_bytes()[..cut]);
        assert!(replayed.is_ok(), "cut at {cut}: {replayed:?}");
    }
    assert!(replay(&recording.as_bytes()[..title - 1]).is_err());
}

#[test]
fn a_limit_ends_the_recording_with_a_mark() {
    let [whole, _] = recorded(Record::default());
    for limit in (1..whole.len()).step_by(97) {
        let [recording, _] = recorded(Record { limit, ..Record::default() });
        let start = recording.strip_suffix("limit\n").unwrap_or_else(|| panic!("{limit}: {recording}"));
        assert!(start.len() <= limit && whole.starts_with(start), "{limit}: {recording}");
        // Below that there is not even a beginning.
        if limit > 600 {
            assert!(replay(recording.as_bytes()).unwrap().is_limited);
        }
    }
    let [recording, _] = recorded(Record { limit: whole.len() + 1, ..Record::default() });
    assert_eq!(recording, whole);
}

#[test]
fn what_is_no_recording_is_told_with_its_line() {
    let [recording, _] = recorded(Record::default());
    let replaced = |from: &str, to: &str| malformed(&recording.replacen(from, to, 1));
    let title = "expected amqp1 recording 1, found";
    assert_eq!(malformed(""), (1, format!("{title} \"\"")));
    assert_eq!(malformed("> 414d\n"), (1, format!("{title} \"> 414d\"")));
    let (line, reason) = replaced("recording 1", "recording 2");
    assert_eq!((line, reason.starts_with("version 2 of the format")), (1, true), "{reason}");
    assert_eq!(replaced("side client", "side both"), (3, "expected client or server, found \"both\"".into()));
    assert_eq!(replaced("\n< ", "\n< x").1.split(',').next(), Some("expected bytes in hexadecimal"));
    assert_eq!(replaced("call begin", "call bargain").1, "expected the name of a call, found \"bargain\"");
    assert_eq!(replaced("call send 0 ", "call send 9 ").1, "the session, link or delivery is gone");
    assert_eq!(replaced("event Opened", "start").1, "expected something that happens, found \"start\"");
    let garbled = [recording.as_bytes(), b"\xff\n"].concat();
    let Err(ReplayError::Malformed { line, reason }) = replay(&garbled) else { panic!("taken") };
    assert_eq!((line, reason.as_str()), (recording.lines().count() + 1, "not a text"));
}

/// Both sides of a connection that alice has logged in to.
fn logged_in(record: &Record, password: &'static str) -> [String; 2] {
    let verify = |_: &str, candidate: &str| {
        if candidate == "open sesame" { Ok(()) } else { Err(amqp1_engine::sasl::Refusal::Credentials) }
    };
    let client: Sasl = Sasl::client().plain("alice", password).allow_clear_text().into();
    let server: Sasl = Sasl::server().plain(verify).into();
    let client = Config { sasl: Some(client), record: Some(record.clone()), ..Config::client("client") };
    let server = Config { sasl: Some(server), record: Some(record.clone()), ..Config::server("server") };
    let mut pair = Pair::with(client, server, Net::Rough(3));
    pair.client.open();
    pair.server.open();
    pair.client.begin(SessionConfig::default()).unwrap();
    pair.run();
    [&mut pair.client, &mut pair.server].map(|end| {
        end.events();
        end.poll_recording().unwrap()
    })
}

#[test]
fn a_password_is_masked_and_what_follows_replays_without_it() {
    let secret: String = b"open sesame".iter().map(|byte| format!("{byte:02x}")).collect();
    for recording in logged_in(&Record::default(), "open sesame") {
        assert!(recording.contains("; SASL masked;"));
        assert!(!recording.contains(&secret) && !recording.contains("sesame"), "{recording}");
        assert!(recording.contains("\nevent Authenticated\n") && recording.contains("\nevent Opened\n"));
        replay(recording.as_bytes()).unwrap();
    }
    let [client, _] = logged_in(&Record { secrets: true, ..Record::default() }, "open sesame");
    assert!(client.contains("; SECRETS OF SASL IN CLEAR;") && client.contains(&secret), "{client}");
    replay(client.as_bytes()).unwrap();
}

#[test]
fn a_login_that_fails_replays_to_its_failure() {
    for recording in logged_in(&Record::default(), "open barley") {
        assert!(recording.contains("\nevent Disconnected(Handshake("), "{recording}");
        assert_eq!(replay(recording.as_bytes()).unwrap().events, 1);
    }
}

#[test]
fn a_test_that_fails_leaves_its_recordings() {
    let test = "a-story-that-fails";
    let failing = thread::Builder::new().name(test.into()).spawn(|| {
        let mut pair = Pair::opened(Net::Whole);
        pair.client.expect_event(Event::Authenticated);
    });
    let failed = failing.unwrap().join().unwrap_err();
    assert!(failed.downcast_ref::<String>().is_some_and(|text| text.contains("was not expected")));
    let failed = panic::catch_unwind(|| Way::new(Side::Server, Chunks::Whole).opened().expect_heartbeat());
    assert!(failed.is_err());

    let own = thread::current().name().unwrap().replace("::", "-");
    for (test, name) in [(test, "client"), (test, "server"), (&own, "engine")] {
        let path = amqp1_tests::recordings().join(format!("{test}-{name}-1.rec"));
        let recording = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(replay(&recording).unwrap().calls > 0);
        fs::remove_file(path).unwrap();
    }
}
