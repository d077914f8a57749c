//! What a script can do when the other side is an engine in memory: call it, look at its events, judge its reactions.

use std::time::Duration;

use amqp1_engine::{
    Connection, ConnectionState, DisconnectReason, Event, Instant, Misuse, Scope, SessionConfig, Violation,
    codec::Symbol,
    types::{Handle, Open, Performative},
};

use crate::{
    Frame, Item, Memory, Peer, Wire,
    script::{begin, open},
};

impl Peer<Memory> {
    /// The engine, to call.
    pub fn engine(&mut self) -> &mut Connection {
        &mut self.wire.engine
    }

    /// The moment on the engine's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.wire.now()
    }

    /// The bytes that the engine took in its own calls, as [`Memory`] counts them, and has not given back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.wire.held()
    }

    /// From here on the peer makes so many sessions and links, each of which takes memory.
    pub fn makes_endpoints(&mut self, count: usize) {
        self.wire.endpoints = count;
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Duration) {
        self.wire.advance(time);
    }

    /// Exchanges the opens, the peer's with its defaults.
    pub fn open(&mut self) -> Open {
        self.open_with(open("peer"))
    }

    /// Exchanges the opens; gives the engine's.
    ///
    /// # Panics
    ///
    /// When the engine does not open.
    #[track_caller]
    pub fn open_with(&mut self, open: Open) -> Open {
        self.engine().open();
        self.send_header();
        self.send(open);
        self.expect_header();
        let frame = self.expect_frame("Open");
        let Performative::Open(open) = frame.performative else {
            self.mismatch("Open", Some(&Item::Frame(frame)))
        };
        self.expect_event(Event::Opened);
        assert_eq!(self.engine().state(), ConnectionState::Opened);
        *open
    }

    /// The next event.
    pub fn event(&mut self) -> Option<Event> {
        self.wire.event()
    }

    /// Expects this very event.
    ///
    /// # Panics
    ///
    /// When another one comes, or none.
    #[track_caller]
    pub fn expect_event(&mut self, expected: Event) {
        assert_eq!(self.event(), Some(expected), "received (left) an event that was not expected (right)");
    }

    /// Expects no event.
    ///
    /// # Panics
    ///
    /// When there is one.
    #[track_caller]
    pub fn no_event(&mut self) {
        assert_eq!(self.event(), None, "received (left) an event that was not expected");
    }

    /// Polls all events.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.event()).collect()
    }

    /// Expects that the events to poll tell of one violation, and of nothing else: a frame is judged before any of
    /// its effects can be seen.
    #[track_caller]
    fn expect_violation(&mut self, condition: &Symbol) -> Box<Violation> {
        let events = self.events();
        let [Event::Violated(violation)] = events.as_slice() else {
            panic!("expected one violation alone: {events:?}");
        };
        assert_eq!(violation.condition(), condition, "{violation}");
        let words = violation.description();
        assert!((8..300).contains(&words.len()) && !words.contains('\n'), "says what was wrong: {violation}");
        assert!(violation.section().starts_with(|c: char| c.is_ascii_digit()), "{violation}");
        violation.clone()
    }

    /// Expects that the engine closes the connection with this condition, says nothing more, takes nothing more, and
    /// gives up when no answer comes.
    ///
    /// # Panics
    ///
    /// When it does anything else.
    #[track_caller]
    pub fn closes_with(&mut self, condition: &Symbol) {
        let violation = self.expect_violation(condition);
        assert_eq!(violation.scope(), Scope::Connection);
        let mut frame = self.expect_frame("Close");
        if matches!(frame.performative, Performative::Open(_)) {
            frame = self.expect_frame("Close");
        }
        match frame.performative {
            Performative::Close(close) => {
                assert_eq!(close.error, Some(violation.to_error()), "the close says what the violation says");
            }
            _ => self.mismatch("Close", Some(&Item::Frame(frame))),
        }
        self.is_over();
    }

    /// Checks that a connection that failed is over for its user, and for its peer until the time for the close is up.
    #[track_caller]
    fn is_over(&mut self) {
        self.silent();
        assert_eq!(self.engine().begin(SessionConfig::default()), Err(Misuse::ConnectionClosed));
        for _ in 0..3 {
            self.send(begin(0, 1, 1));
            self.send_raw([0; 64]);
        }
        self.no_event();
        self.silent();
        assert!(!self.wire.is_dropped(), "the peer's answer is waited for");
        self.advance(Duration::from_secs(10));
        let events = self.events();
        let Some((Event::Disconnected(DisconnectReason::CloseTimeout), before)) = events.split_last() else {
            panic!("the connection is not over: {events:?}");
        };
        let aborted = before.iter().all(|event| matches!(event, Event::Aborted(_)));
        assert!(aborted, "deliveries that had arrived in part go, and nothing else: {events:?}");
        self.expect_dropped();
    }

    /// Expects that the engine drops the connection without a word, for this reason.
    ///
    /// # Panics
    ///
    /// When it does anything else.
    #[track_caller]
    pub fn drops_for(&mut self, expected: impl Fn(&DisconnectReason) -> bool) {
        let events = self.events();
        match events.as_slice() {
            [Event::Disconnected(reason)] if expected(reason) => {}
            _ => panic!("the connection was not lost for the reason that was expected: {events:?}"),
        }
        self.expect_dropped();
        self.send_header();
        self.send(open("peer"));
        self.no_event();
        self.expect_dropped();
        assert_eq!(self.engine().begin(SessionConfig::default()), Err(Misuse::ConnectionClosed));
    }

    /// Expects that the engine ends its session on `channel` with this condition.
    ///
    /// # Panics
    ///
    /// When it does anything else.
    #[track_caller]
    pub fn ends_with(&mut self, channel: u16, condition: &Symbol) {
        let violation = self.expect_violation(condition);
        assert!(matches!(violation.scope(), Scope::Session(_)), "{violation:?}");
        let frame = self.expect_frame("End");
        match &frame {
            Frame { performative: Performative::End(end), .. } if frame.channel == channel => {
                assert_eq!(end.error, Some(violation.to_error()), "the end says what the violation says");
            }
            _ => self.mismatch(&format!("{channel} End"), Some(&Item::Frame(frame))),
        }
        self.silent();
    }

    /// Expects that the engine closes its link of this channel and handle with this condition.
    ///
    /// # Panics
    ///
    /// When it does anything else.
    #[track_caller]
    pub fn detaches_with(&mut self, channel: u16, handle: u32, condition: &Symbol) {
        let violation = self.expect_violation(condition);
        assert!(matches!(violation.scope(), Scope::Link(_)), "{violation:?}");
        let frame = self.expect_frame("Detach");
        match &frame.performative {
            Performative::Detach(detach) if frame.channel == channel && detach.handle == Handle(handle) => {
                assert!(detach.closed, "a link that failed is gone");
                assert_eq!(
                    detach.error,
                    Some(violation.to_error()),
                    "the detach says what the violation says"
                );
            }
            _ => self.mismatch(&format!("{channel} Detach of handle {handle}"), Some(&Item::Frame(frame))),
        }
        self.silent();
    }
}
