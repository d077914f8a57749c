mod connections;
mod links;
mod messages;
mod reconnect;
mod renewal;
mod resume;
mod world;

#[allow(clippy::disallowed_types, reason = "see `Log`")]
use std::sync::Mutex;
use std::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

use super::*;
use crate::types::DeliveryState;
use world::World;

/// What handlers noted, in order.
#[derive(Clone, Default)]
#[allow(clippy::disallowed_types, reason = "handlers of single objects are `Send`")]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The lines that hold this.
    fn lines(&self, word: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|line| line.contains(word)).cloned().collect()
    }

    #[track_caller]
    fn assert(&self, expected: &[impl AsRef<str>]) {
        let expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
        assert_eq!(*self.0.lock().unwrap(), expected);
    }
}

fn here() -> Address {
    Address::new("localhost", 8888).with_path("examples")
}

fn body(delivery: &Delivery<'_>) -> String {
    format!("{}", delivery.message().unwrap().body())
}

/// A handler made of closures, for the events that the tests below care about.
#[derive(Default)]
struct Script {
    knobs: Knobs,
    start: Option<OnStart>,
    sendable: Option<OnSendable>,
    message: Option<OnMessage>,
    update: Option<OnUpdate>,
    opening: Option<OnLink>,
    opened: Option<OnLink>,
    timer: Option<OnTimer>,
    log: Log,
}

type OnStart = Box<dyn FnMut(&mut Context<'_>)>;
type OnSendable = Box<dyn FnMut(&mut Context<'_>, SenderId)>;
type OnMessage = Box<dyn FnMut(&mut Context<'_>, &Delivery<'_>)>;
type OnUpdate = Box<dyn FnMut(&mut Context<'_>, &Tracker)>;
type OnLink = Box<dyn FnMut(&mut Context<'_>, Link)>;
type OnTimer = Box<dyn FnMut(&mut Context<'_>, TaskId)>;

macro_rules! run {
    ($self:ident.$field:ident($($argument:expr),+)) => {
        if let Some(run) = &mut $self.$field {
            run($($argument),+);
        }
    };
}

impl Handler for Script {
    fn knobs(&self) -> Knobs {
        self.knobs
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        run!(self.start(cx));
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        run!(self.sendable(cx, sender));
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        run!(self.message(cx, delivery));
    }

    fn on_delivery_updated(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        run!(self.update(cx, tracker));
    }

    fn on_link_opening(&mut self, cx: &mut Context<'_>, link: Link) {
        run!(self.opening(cx, link));
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
        run!(self.opened(cx, link));
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, timer: TaskId) {
        run!(self.timer(cx, timer));
    }

    fn on_unhandled(&mut self, cx: &mut Context<'_>, event: &Unhandled<'_>) {
        self.log.note(match event {
            Unhandled::ConnectionOpened(_) => "connection opened".into(),
            Unhandled::ConnectionClosing(_) => "connection closing".into(),
            Unhandled::ConnectionClosed(_) => "connection closed".into(),
            Unhandled::ConnectionError(_, error) => format!("connection error {}", error.condition),
            Unhandled::SessionError(_, error) => format!("session error {}", error.condition),
            Unhandled::LinkError(_, error) => format!("link error {}", error.condition),
            Unhandled::LinkClosing(_) => "link closing".into(),
            Unhandled::LinkClosed(_) => "link closed".into(),
            Unhandled::TransportError(_, reason) => format!("transport error: {}", reason.description),
            Unhandled::Disconnected(_, reason) => format!("disconnected, reconnects: {}", reason.reconnects),
            Unhandled::ListenError(_, reason) => format!("listen error: {reason}"),
            Unhandled::Stop => "stop".into(),
            _ => return,
        });
        cx.note_unhandled(event);
    }
}

/// A container that listens, and takes each message by `message`.
fn server(message: impl FnMut(&mut Context<'_>, &Delivery<'_>) + 'static) -> Script {
    Script {
        start: Some(Box::new(|cx| {
            cx.listen(here());
        })),
        message: Some(Box::new(message)),
        ..Script::default()
    }
}

fn client(start: impl FnMut(&mut Context<'_>) + 'static) -> Script {
    Script { start: Some(Box::new(start)), ..Script::default() }
}

/// What `Tracker` says, in a word.
fn told(tracker: &Tracker) -> String {
    let state = match tracker.state() {
        Some(DeliveryState::Accepted) => "accepted".into(),
        Some(DeliveryState::Released) => "released".into(),
        Some(DeliveryState::Modified(_)) => "modified".into(),
        Some(DeliveryState::Rejected(Some(error))) => format!("rejected {}", error.condition),
        other => format!("{other:?}"),
    };
    let tag = tracker.tag();
    format!("{:?} {state}{}", tag.as_bytes(), if tracker.is_settled() { " settled" } else { "" })
}
