//! Requests and responses through the broker, in calls that wait.

use std::{sync::mpsc, thread, time::Duration};

use amqp1_examples::broker::Broker;
use amqp1_std::{
    Container, Context, Handler, ListenerId, Message, Url,
    blocking::{Connection, Error, Options, Outcome, SyncRequestResponse, Waiting},
    types::condition,
};

const SOON: Duration = Duration::from_secs(20);

fn connect(address: &str) -> Connection {
    Options { timeout: SOON, ..Options::default() }.connect(address).unwrap()
}

/// Answers requests at `service`: `later` only when the next one has come, `twice` with a stray response before.
fn serve(address: &str) {
    let connection = connect(address);
    let requests = connection.receiver("service").unwrap();
    thread::spawn(move || {
        let responses = connection.anonymous_sender().unwrap();
        let mut held = None;
        while let Ok(delivery) = requests.recv() {
            let request = delivery.decode().unwrap();
            delivery.accept().unwrap();
            let text = request.body.as_str().unwrap();
            let response = Message::from(format!("re {text}"))
                .with_to(request.reply_to().unwrap().clone())
                .with_correlation_id(request.correlation_id().unwrap().clone());
            if text == "later" {
                held = Some(response);
                continue;
            }
            let stray = (text == "twice").then(|| response.clone().with_correlation_id("of another"));
            for response in held.take().into_iter().chain(stray).chain([response]) {
                responses.send(response).unwrap().accepted().unwrap();
            }
        }
    });
}

#[test]
fn r_06_each_call_gets_its_own_response() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    serve(broker.address());
    let connection = connect(broker.address());
    let mut service = SyncRequestResponse::new(&connection, "service").unwrap();
    let mut other = SyncRequestResponse::anonymous(&connection).unwrap();
    assert_ne!(service.reply_to(), other.reply_to());
    for text in ["one", "twice", "three"] {
        assert_eq!(service.call(text).unwrap().body.to_string(), format!("re {text}"));
        let response = other.call(Message::from(text).with_to("service")).unwrap();
        assert_eq!(response.body.to_string(), format!("re {text}"));
    }
}

#[test]
fn r_06_a_call_has_a_deadline_and_what_comes_after_it_is_dropped() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    serve(broker.address());
    let connection = connect(broker.address());
    let mut service = SyncRequestResponse::new(&connection, "service").unwrap();
    let late = service.call_timeout("later", Duration::from_millis(100)).unwrap_err();
    assert!(matches!(late, Error::TimedOut(Waiting::Response)), "{late:?}");
    assert_eq!(service.call("in time").unwrap().body.to_string(), "re in time");
    // Nobody answers, and what is no message is not the answer.
    let mut silent = SyncRequestResponse::new(&connection, "silent").unwrap();
    let raw = connection.sender(silent.reply_to()).unwrap();
    let mut writer = raw.stream().unwrap();
    writer.write_piece("no message").unwrap();
    assert!(matches!(writer.finish().unwrap(), Outcome::Rejected(_)), "the broker takes none");
    assert!(silent.call_timeout("?", Duration::from_millis(100)).is_err());
}

#[test]
fn r_06_a_request_that_is_turned_down_is_told_at_once() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let connection = connect(broker.address());
    let mut any = SyncRequestResponse::anonymous(&connection).unwrap();
    match any.call(Message::from("hello").with_to("nowhere")) {
        Err(Error::NotAccepted(Outcome::Rejected(Some(error)))) => {
            assert_eq!(error.condition, condition::NOT_FOUND);
        }
        other => panic!("{other:?}"),
    }
}

/// A peer that neither makes nodes nor relays.
struct Plain(mpsc::Sender<String>);

impl Handler for Plain {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let url: Url = "127.0.0.1:0".parse().unwrap();
        cx.listen(&url);
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        self.0.send(address.to_owned()).unwrap();
    }
}

#[test]
fn x_01_what_the_peer_does_not_offer_is_told() {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || Container::new(Plain(tell)).run());
    let connection = connect(&told.recv().unwrap());
    let error = connection.anonymous_sender().unwrap_err();
    assert_eq!(error.to_string(), "the peer does not offer a link to all its nodes");
    match SyncRequestResponse::new(&connection, "service") {
        Err(Error::Detached(Some(error))) => assert_eq!(error.condition, condition::NOT_IMPLEMENTED),
        other => panic!("{other:?}"),
    }
}
