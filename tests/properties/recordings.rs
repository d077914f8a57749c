//! Whatever stands in the file of a recording: a replay ends with it, or with one line that tells which line is wrong.

use std::sync::OnceLock;

use amqp1_engine::{
    message::Message,
    record::{Record, ReplayError, replay},
    sasl::Sasl,
};
use amqp1_tests::prelude::*;
use proptest::prelude::*;

/// The recordings of both sides of a connection with a login, two links and a few messages.
fn recordings() -> &'static [String; 2] {
    static RECORDINGS: OnceLock<[String; 2]> = OnceLock::new();
    RECORDINGS.get_or_init(|| {
        let record = Some(Record::default());
        let client = Config {
            sasl: Some(Sasl::client().anonymous().into()),
            record: record.clone(),
            ..Config::client("client")
        };
        let server =
            Config { sasl: Some(Sasl::server().anonymous().into()), record, ..Config::server("server") };
        let mut pair = Pair::with(client, server, Net::Rough(1));
        pair.client.open();
        pair.server.open();
        pair.run();
        pair.client.events();
        pair.server.events();
        let (session, _) = pair.session();
        let (sender, receiver) = pair.link(session, "forth");
        pair.link_back(session, "back");
        pair.server.receiver(receiver).unwrap().set_credit(3);
        pair.run();
        let mut link = pair.client.sender(sender).unwrap();
        link.send_message(tag("1"), false, &Message::from("one")).unwrap();
        link.start(tag("2"), true, 0, "tw").unwrap();
        link.write("o").unwrap();
        link.finish().unwrap();
        pair.run();
        for event in pair.server.events() {
            if let Event::Delivery(id) = event {
                let mut link = pair.server.receiver(receiver).unwrap();
                link.take(id).unwrap();
                let _ = link.accept(id);
            }
        }
        pair.run();
        pair.client.close(None);
        pair.server.close(None);
        pair.run();
        pair.client.events();
        pair.server.events();
        [&mut pair.client, &mut pair.server].map(|end| end.poll_recording().unwrap())
    })
}

/// A change to a file.
#[derive(Debug, Clone)]
enum Change {
    Byte(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    /// Line by line: one goes, one comes twice, two change places, one of the other side comes in between.
    Drop(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Mix(prop::sample::Index, prop::sample::Index),
    /// A number in a line becomes another one.
    Number(prop::sample::Index, u64),
}

fn change() -> impl Strategy<Value = Change> {
    use prop::sample::Index;
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (any::<Index>(), prop::sample::select(&b"0123456789abcdef -.\n"[..]))
            .prop_map(|(at, byte)| Change::Byte(at, byte)),
        any::<Index>().prop_map(Change::Cut),
        any::<Index>().prop_map(Change::Drop),
        any::<Index>().prop_map(Change::Double),
        any::<(Index, Index)>().prop_map(|(a, b)| Change::Swap(a, b)),
        any::<(Index, Index)>().prop_map(|(a, b)| Change::Mix(a, b)),
        (any::<Index>(), any::<u64>()).prop_map(|(at, number)| Change::Number(at, number)),
    ]
}

fn changed(recording: &str, other: &str, change: &Change) -> Vec<u8> {
    let mut bytes = recording.as_bytes().to_vec();
    let mut lines: Vec<String> = recording.lines().map(str::to_owned).collect();
    match change {
        Change::Byte(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
            return bytes;
        }
        Change::Cut(at) => {
            bytes.truncate(at.index(bytes.len()));
            return bytes;
        }
        Change::Drop(at) => drop(lines.remove(at.index(lines.len()))),
        Change::Double(at) => {
            let at = at.index(lines.len());
            lines.insert(at, lines[at].clone());
        }
        Change::Swap(a, b) => {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
        }
        Change::Mix(from, to) => {
            let others: Vec<_> = other.lines().collect();
            lines.insert(to.index(lines.len()), others[from.index(others.len())].into());
        }
        Change::Number(at, number) => {
            let line = &mut lines[at.index(recording.lines().count())];
            let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit()) && word.len() < 9;
            let word = line.split([' ', '=', '.', ':']).rfind(is_number).map(str::to_owned);
            if let Some(word) = word {
                *line = line.replacen(&word, &number.to_string(), 1);
            }
        }
    }
    (lines.join("\n") + "\n").into_bytes()
}

proptest! {
    #![proptest_config(crate::cases(512))]

    #[test]
    fn a_changed_recording_replays_or_is_told_in_one_line(
        server in any::<bool>(),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let [client_side, server_side] = recordings();
        let (one, other) = if server { (server_side, client_side) } else { (client_side, server_side) };
        let mut file = one.clone().into_bytes();
        for change in &changes {
            if let Ok(text) = std::str::from_utf8(&file)
                && !text.is_empty()
            {
                file = changed(text, other, change);
            }
        }
        let lines = file.split(|&byte| byte == b'\n').count();
        if let Err(error) = replay(&file) {
            let text = error.to_string();
            prop_assert!(!text.contains('\n') && text.len() < 2_000, "{text}");
            let (ReplayError::Malformed { line, .. } | ReplayError::Differs { line, .. }) = error else {
                panic!("{error}");
            };
            prop_assert!((1..=lines).contains(&line), "{text}: there are {lines} lines");
        }
    }
}
