//! Our container as a listener with nodes that do what their addresses say: the counterpart of `python/listener.py`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use amqp1_engine::{
    codec::{Fields, Map, Str, Symbol},
    container::LinkSettings,
    message::Message,
    types::{DeliveryState, Error, Modified, Source, condition},
};
use amqp1_std::{
    ConnectionOptions, Container, Context, Delivery, Handler, Injector, Link, ListenerId, SenderId, Tracker,
    Url,
};
use bytes::Bytes;

use crate::samples::sample;

/// A listener in a thread of its own; it stops when this is dropped.
pub(crate) struct Nodes {
    pub(crate) address: String,
    /// What peers made of the messages of `numbers/N`.
    outcomes: Receiver<(Option<DeliveryState>, bool)>,
    injector: Injector,
    thread: Option<JoinHandle<()>>,
}

impl Nodes {
    pub(crate) fn listen() -> Self {
        Self::listen_with(ConnectionOptions::default())
    }

    pub(crate) fn listen_with(options: ConnectionOptions) -> Self {
        let (listening, heard) = mpsc::channel();
        let (told, outcomes) = mpsc::channel();
        let handler = Served { options, listening, told, waiting: BTreeMap::new(), stored: BTreeMap::new() };
        let container = Container::new(handler);
        let injector = container.injector();
        let thread = thread::spawn(move || container.run().expect("nothing fails on this side"));
        let address = heard.recv().expect("there is a free port");
        Self { address, outcomes, injector, thread: Some(thread) }
    }

    /// What the peer made of the next message, and whether it has settled.
    pub(crate) fn outcome(&self) -> (Option<DeliveryState>, bool) {
        self.outcomes.recv_timeout(Duration::from_secs(30)).expect("the peer tells an outcome")
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        // Fails when it has ended by itself.
        let _ = self.injector.inject(());
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the listener's thread panicked");
        }
    }
}

struct Served {
    options: ConnectionOptions,
    listening: Sender<String>,
    told: Sender<(Option<DeliveryState>, bool)>,
    /// What consumers are to get.
    waiting: BTreeMap<SenderId, VecDeque<Message>>,
    /// What is kept, and who takes it.
    stored: BTreeMap<Str, (VecDeque<Bytes>, Option<SenderId>)>,
}

impl Handler for Served {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen_with("127.0.0.1:0".parse::<Url>().expect("a URL"), self.options.clone());
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        self.listening.send(address.into()).expect("the test waits for it");
    }

    fn on_injected(&mut self, cx: &mut Context<'_>, _: Box<dyn std::any::Any + Send>) {
        cx.stop();
    }

    fn on_link_opening(&mut self, cx: &mut Context<'_>, link: Link) {
        let address = address(cx, link);
        let refusal =
            Error { condition: condition::NOT_FOUND, description: Some("no such node".into()), info: None };
        match (address.split_once('/'), link) {
            _ if address == "refused" => cx.close_with(link, refusal),
            _ if address == "ends-session" => {
                let session = cx.session_of(link).expect("a link has a session");
                cx.close_with(session, refusal);
            }
            (None, Link::Sender(_)) if address.is_empty() => {
                let dynamic = |settings: &mut LinkSettings| {
                    let address = Some("dynamic-1".into());
                    settings.source = Source { address, ..settings.source.clone() };
                };
                cx.open_link(link, dynamic).expect("it is not answered yet");
            }
            (Some(("give", name)), Link::Sender(sender)) => {
                self.waiting.insert(sender, [sample(name)].into());
            }
            (Some(("numbers", count)), Link::Sender(sender)) => {
                let numbers = 1..=count.parse().expect("a number");
                self.waiting.insert(sender, numbers.map(number).collect());
            }
            (Some(("store", key)), Link::Sender(sender)) => {
                self.stored.entry(key.into()).or_default().1 = Some(sender);
            }
            _ => {}
        }
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while cx.credit(sender) > 0
            && let Some(message) = self.waiting.get_mut(&sender).and_then(VecDeque::pop_front)
        {
            cx.send(sender, &message).expect("there is credit");
        }
        self.forward(cx, sender);
    }

    fn on_drain_start(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        self.on_sendable(cx, sender);
        cx.drained(sender);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        let address = address(cx, delivery.receiver().into());
        let id = delivery.id();
        match address.split_once('/') {
            Some(("verify", name)) => {
                let message = delivery.decode().expect("it is a message");
                let expected = sample(name);
                if message != expected {
                    cx.reject(id, different(&message, &expected)).expect("it is not settled");
                }
            }
            Some(("store", key)) => {
                let (messages, taker) = self.stored.entry(key.into()).or_default();
                messages.push_back(delivery.payload().to_bytes());
                if let Some(taker) = *taker {
                    self.forward(cx, taker);
                }
            }
            _ => match address.as_str() {
                "released" => cx.release(id).expect("it is not settled"),
                "rejected" => cx.reject(id, because()).expect("it is not settled"),
                "modified" => cx.modify(id, changed()).expect("it is not settled"),
                _ => {}
            },
        }
    }

    fn on_delivery_updated(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        // The test may be over.
        let _ = self.told.send((tracker.state().cloned(), tracker.is_settled()));
    }
}

impl Served {
    /// Sends on what is stored.
    fn forward(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        for (messages, taker) in self.stored.values_mut() {
            while *taker == Some(sender)
                && let Some(payload) = messages.pop_front()
            {
                if cx.send_payload(sender, &payload, 0).is_err() {
                    messages.push_front(payload);
                    break;
                }
            }
        }
    }
}

/// The address that the peer asked for.
fn address(cx: &Context<'_>, link: Link) -> String {
    cx.remote_address(link).unwrap_or_default().to_owned()
}

fn number(number: u64) -> Message {
    Message::new(Map::default().with("sequence", number)).with_id(number)
}

fn different(actual: &Message, expected: &Message) -> Error {
    let description = format!("{actual:?}, not {expected:?}");
    Error { condition: Symbol::from_static("x:different"), description: Some(description.into()), info: None }
}

fn because() -> Error {
    Error { condition: Symbol::from_static("x:because"), description: Some("not wanted".into()), info: None }
}

/// Why and how the nodes `modified` give a message back.
pub(crate) fn changed() -> Modified {
    Modified {
        delivery_failed: Some(true),
        undeliverable_here: Some(true),
        message_annotations: Some(Fields::default().with(Symbol::from_static("x-opt-note"), "changed")),
    }
}
