//! What the example programs do on each broker. `docs/tutorial.md` shows it as a table; `AMQP1_WRITE=1` writes that table.

use std::{
    fmt::{self, Display},
    sync::mpsc::RecvTimeoutError,
    time::Duration,
};

use crate::{
    brokers::Broker,
    examples::{CONFIRMED, MESSAGES, ours, ours_counting, received},
    process::{Ended, example},
};

/// What programs do on a broker.
#[derive(Debug, PartialEq, Eq)]
enum Does {
    /// All that they are for.
    All,
    /// They say in one line that the broker refuses, with this condition, and fail.
    Refused(String),
    /// They say in one line, and fail: this.
    Say(String),
    /// Something else.
    But(&'static str),
}

use Does::{All, But};

impl Display for Does {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            All => f.write_str("yes"),
            Self::Refused(condition) => write!(f, "refused: `{condition}`"),
            Self::Say(line) => write!(f, "ends: “{line}”"),
            But(what) => f.write_str(what),
        }
    }
}

/// The brokers of the table, in its order.
const BROKERS: [&str; 4] = ["our `broker`", "ActiveMQ 5.17", "RabbitMQ 4", "Proton's `broker.py`"];

struct Row {
    programs: &'static str,
    /// Runs them with a broker: what they do. What is neither is a failure.
    tried: fn(&Broker) -> Does,
    /// What they do on each broker.
    expected: fn() -> [Does; BROKERS.len()],
}

fn table() -> Vec<Row> {
    let all = || [All, All, All, All];
    vec![
        Row { programs: "helloworld", tried: hello_world, expected: all },
        Row { programs: "simple_send, simple_recv", tried: send_and_receive, expected: all },
        Row {
            programs: "tx_send, tx_recv",
            tried: commit,
            expected: || {
                let refused = || Does::Refused("amqp:not-implemented".into());
                [All, All, refused(), refused()]
            },
        },
        Row {
            programs: "server, client",
            tried: request_and_response,
            expected: || [All, All, Does::Refused("amqp:not-implemented".into()), All],
        },
        Row {
            programs: "colour_send, selected_recv",
            tried: select,
            expected: || [All, All, But(EVERY_COLOUR), Does::Say(NO_SELECTORS.into())],
        },
        Row { programs: "queue_browser", tried: browse, expected: || [All, All, All, But(WAITS)] },
    ]
}

const EVERY_COLOUR: &str = "receives every colour, although the broker answers as if it knew selectors";
const NO_SELECTORS: &str = "the peer does not know selectors: it would send messages of every colour";
const WAITS: &str = "prints all and then waits: the broker does not answer a drain";

fn hello_world(broker: &Broker) -> Does {
    assert_eq!(ours("helloworld", &broker.queue("hello-world")).succeed(), ["Hello World!"]);
    All
}

fn send_and_receive(broker: &Broker) -> Does {
    let url = broker.queue("simple");
    assert_eq!(ours_counting("simple_send", &url).succeed(), CONFIRMED);
    assert_eq!(ours_counting("simple_recv", &url).succeed(), received(MESSAGES));
    All
}

fn commit(broker: &Broker) -> Does {
    let url = broker.queue("transactions");
    let options = ["-a", &url, "-m", &MESSAGES.to_string(), "-b", "10"];
    let (sent, received_all) = (example("tx_send", options).end(), example("tx_recv", options));
    if !sent.status.success() {
        assert_eq!(refusal(&received_all.end()), refusal(&sent));
        return refusal(&sent);
    }
    assert_eq!(sent.lines, ["all messages committed"]);
    assert_eq!(received_all.succeed(), received(MESSAGES));
    All
}

fn request_and_response(broker: &Broker) -> Does {
    let url = broker.queue("requests");
    let mut server = ours("server", &url);
    assert!(server.line().starts_with("Listening on amqp://"));
    let client = example("client", ["-a", &url, "Hello", "and again"]).end();
    if !client.status.success() {
        return refusal(&client);
    }
    assert_eq!(client.lines, ["Hello => HELLO", "and again => AND AGAIN"]);
    for request in ["Hello", "and again"] {
        let line = server.line();
        assert!(
            line.starts_with("Received Message(") && line.contains(&format!("body='{request}'")),
            "{line}"
        );
    }
    All
}

fn select(broker: &Broker) -> Does {
    let url = broker.queue("colours");
    assert_eq!(ours_counting("colour_send", &url).succeed(), CONFIRMED);
    let green = MESSAGES.div_ceil(2);
    let ended = example("selected_recv", ["-a", &url, "-m", &green.to_string()]).end();
    if !ended.status.success() {
        return refusal(&ended);
    }
    let colours = (1..=MESSAGES).map(|id| format!("{} {id}", if id % 2 == 0 { "red" } else { "green" }));
    if ended.lines == colours.clone().take(green as usize).collect::<Vec<_>>() {
        return But(EVERY_COLOUR);
    }
    assert_eq!(ended.lines, colours.step_by(2).collect::<Vec<_>>());
    All
}

fn browse(broker: &Broker) -> Does {
    let url = broker.queue("browsed");
    assert_eq!(ours_counting("simple_send", &url).succeed(), CONFIRMED);
    let mut browser = ours("queue_browser", &url);
    for id in 1..=MESSAGES {
        let line = browser.line();
        assert!(line.starts_with("Message(") && line.contains(&format!("'sequence': {id}")), "{line}");
    }
    if browser.prints_within(Duration::from_secs(3)) == Err(RecvTimeoutError::Timeout) {
        return But(WAITS);
    }
    assert_eq!(browser.succeed(), [""; 0]);
    assert_eq!(ours_counting("simple_recv", &url).succeed(), received(MESSAGES), "they are still there");
    All
}

/// What a program says that could not go on: one line, best with the condition that the broker named.
#[track_caller]
fn refusal(ended: &Ended) -> Does {
    assert!(!ended.status.success(), "it ended as if all was well: {ended:?}");
    let mut lines = ended.errors.lines();
    let (Some(line), None) = (lines.next(), lines.next()) else { panic!("not one line: {ended:?}") };
    match line.split(['(', ')']).find(|word| word.starts_with("amqp:")) {
        Some(condition) => Does::Refused(condition.into()),
        None => Does::Say(line.trim_start_matches("error: ").into()),
    }
}

/// Runs all programs with one of the brokers.
#[track_caller]
fn hold(column: usize, broker: Option<Broker>) {
    let Some(broker) = broker else { return };
    for row in table() {
        let does = (row.tried)(&broker);
        let expected = &(row.expected)()[column];
        assert_eq!(&does, expected, "{} with {}", row.programs, BROKERS[column]);
    }
}

#[test]
fn programs_with_our_broker() {
    hold(0, Some(Broker::ours()));
}

#[test]
fn programs_with_activemq() {
    hold(1, Broker::activemq());
}

#[test]
fn programs_with_rabbitmq() {
    hold(2, Broker::rabbitmq());
}

#[test]
fn programs_with_protons_broker() {
    hold(3, Broker::proton());
}

#[test]
fn the_tutorial_tells_what_the_programs_do() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tutorial.md");
    let tutorial = std::fs::read_to_string(path).expect("there is a tutorial");
    let (before, rest) = tutorial.split_once(BEGIN).expect("it has a table");
    let (shown, after) = rest.split_once(END).expect("the table has an end");
    let table = as_text(&table());
    if std::env::var("AMQP1_WRITE").is_ok() {
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).expect("it can be written");
    } else {
        assert_eq!(shown, table, "AMQP1_WRITE=1 writes the table again");
    }
}

const BEGIN: &str = "<!-- Written by the interop tests with AMQP1_WRITE=1 -->\n\n";
const END: &str = "\n<!-- End of what is written by the interop tests -->";

fn as_text(table: &[Row]) -> String {
    let mut text = format!("| | {} |\n|{}\n", BROKERS.join(" | "), " --- |".repeat(BROKERS.len() + 1));
    for row in table {
        let programs: Vec<_> = row.programs.split(", ").map(|program| format!("`{program}`")).collect();
        let cells = (row.expected)().map(|does| does.to_string());
        text += &format!("| {} | {} |\n", programs.join(", "), cells.join(" | "));
    }
    text
}
