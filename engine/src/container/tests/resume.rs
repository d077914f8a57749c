//! Links that are resumed: exactly once, whatever is lost.

use std::{cell::RefCell, collections::BTreeMap, format, rc::Rc, string::String, vec, vec::Vec};

use core::time::Duration;

use super::*;
use crate::{
    Misuse,
    message::Message,
    sasl::Sasl,
    types::{DeliveryTag, Error, condition},
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Made again after 10 ms, as often as it takes.
fn again() -> ConnectionOptions {
    let delays = Delays::Fixed(vec![ms(10); 5]);
    let reconnect = Reconnect { delays, from_start: true, ..Reconnect::default() };
    ConnectionOptions { reconnect, ..ConnectionOptions::default() }
}

/// Keeps so many links of peers.
fn keeping(suspended_links: usize) -> ContainerOptions {
    ContainerOptions { suspended_links, ..ContainerOptions::default() }
}

fn named(container_id: &str) -> ContainerOptions {
    ContainerOptions { container_id: Some(container_id.into()), ..ContainerOptions::default() }
}

/// What has become of the messages, all told.
#[derive(Debug, Default)]
struct Books {
    received: Vec<String>,
    /// What the sender was told, by the body of the message.
    accepted: Vec<String>,
    in_doubt: Vec<String>,
    bodies: BTreeMap<DeliveryTag, String>,
    /// How many times the link was attached.
    opened: usize,
}

/// Sends messages over each link that it makes or is given, and takes what comes.
#[derive(Clone)]
struct Party {
    books: Rc<RefCell<Books>>,
    knobs: Knobs,
    connection: ConnectionOptions,
    /// Whether it listens; else it makes a link.
    listens: bool,
    /// How many messages it has to send; without any it receives.
    to_send: Option<usize>,
    sent: usize,
}

impl Party {
    fn new(books: &Rc<RefCell<Books>>, listens: bool, to_send: Option<usize>) -> Self {
        Self { books: books.clone(), knobs: Knobs::default(), connection: again(), listens, to_send, sent: 0 }
    }

    fn send_all(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while self.to_send.is_some_and(|total| self.sent < total) {
            let body = format!("{}", self.sent);
            let Ok(tag) = cx.send(sender, &Message::from(&*body)) else { return };
            assert_eq!(self.books.borrow_mut().bodies.insert(tag, body), None, "a tag is used once");
            self.sent += 1;
        }
    }

    fn body(&self, tracker: &Tracker) -> String {
        self.books.borrow().bodies[&tracker.tag()].clone()
    }
}

impl Handler for Party {
    fn knobs(&self) -> Knobs {
        self.knobs
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        if self.listens {
            cx.listen(here());
            return;
        }
        let connection = cx.connect_with(here(), self.connection.clone());
        if self.to_send.is_some() {
            let sender = cx.create_sender(connection, ("q", ExactlyOnce));
            self.send_all(cx, sender);
        } else {
            cx.create_receiver(connection, ("q", ExactlyOnce));
        }
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
        self.books.borrow_mut().opened += usize::from(!self.listens);
        if let Link::Sender(sender) = link {
            self.send_all(cx, sender);
        }
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.books.borrow_mut().received.push(body(delivery));
    }

    fn on_accepted(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        let body = self.body(tracker);
        self.books.borrow_mut().accepted.push(body);
    }

    fn on_in_doubt(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        let body = self.body(tracker);
        self.books.borrow_mut().in_doubt.push(body);
    }

    fn on_unhandled(&mut self, _: &mut Context<'_>, _: &Unhandled<'_>) {}
}

/// How large an exchange is: so many messages, and frames of so many bytes.
#[derive(Clone, Copy)]
struct Size {
    messages: usize,
    frames: u32,
}

const FIVE: Size = Size { messages: 5, frames: 4_096 };

/// Two parties, of which the second connects.
fn two(books: &Rc<RefCell<Books>>, connecting_sends: bool, size: Size) -> World {
    let mut world = World::new();
    for (listens, sends, name) in [(true, !connecting_sends, "server"), (false, connecting_sends, "client")] {
        let mut party = Party::new(books, listens, sends.then_some(size.messages));
        party.knobs.prefetch = size.messages as u32 + 5;
        party.connection.max_frame_size = size.frames;
        let options = ContainerOptions { connection: party.connection.clone(), ..keeping(10) };
        world.add_with(party, ContainerOptions { container_id: Some(name.into()), ..options });
    }
    world
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number}")).collect()
}

fn sorted(lines: &[String]) -> Vec<String> {
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    lines
}

impl Books {
    #[track_caller]
    fn assert_each_once(&self, count: usize, context: &str) {
        assert_eq!(self.received, numbers(count), "received, {context}");
        assert_eq!(sorted(&self.accepted), sorted(&numbers(count)), "accepted, {context}");
        assert_eq!(self.in_doubt, [""; 0], "{context}");
    }
}

/// One exchange of five messages, with these cuts: which node's bytes, and how many of them. Whether all came to pass.
fn exchange(connecting_sends: bool, noticed_by: Option<usize>, cuts: &[(usize, usize)]) -> bool {
    let books = Rc::new(RefCell::new(Books::default()));
    let mut world = two(&books, connecting_sends, FIVE);
    world.noticed_by = noticed_by;
    // The next connection is made at each tenth millisecond.
    let mut until = 5;
    let mut was_cut = false;
    for cut in cuts {
        world.cut_after = Some(*cut);
        world.run_until(at(until));
        until += 10;
        was_cut = world.cut_after.take().is_none();
    }
    world.run_until(at(until + 1_000));
    books.borrow().assert_each_once(5, &format!("connecting sends: {connecting_sends}, {cuts:?}"));
    was_cut
}

#[test]
fn l_01_exactly_once_nothing_is_lost_or_doubled_wherever_the_connection_is_cut() {
    for connecting_sends in [true, false] {
        for node in [0, 1] {
            let cuts = (1..).take_while(|&bytes| exchange(connecting_sends, None, &[(node, bytes)]));
            let count = cuts.count();
            assert!(count > 200, "{count} bytes of an exchange");
        }
    }
}

#[test]
fn l_01_exactly_once_what_is_resumed_may_be_cut_again() {
    let mut twice = 0;
    for connecting_sends in [true, false] {
        for (first, second) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            for bytes in (150..600).step_by(41) {
                for again in (100..600).step_by(37) {
                    twice +=
                        usize::from(exchange(connecting_sends, None, &[(first, bytes), (second, again)]));
                }
            }
        }
    }
    assert!(twice > 150, "{twice}");
}

#[test]
fn l_01_exactly_once_a_connection_that_only_one_side_knows_to_be_lost_gives_way() {
    for connecting_sends in [true, false] {
        for node in [0, 1] {
            let cuts = (1..).take_while(|&bytes| exchange(connecting_sends, Some(1), &[(node, bytes)]));
            let count = cuts.count();
            assert!(count > 200, "{count} bytes of an exchange");
        }
    }
}

/// She has logged in as herself, and gives her container and her link the names that another gives to his.
#[test]
fn l_01_exactly_once_another_user_who_takes_a_peers_names_is_not_in_the_way() {
    let mut cuts = 0;
    for bytes in (1..).step_by(7) {
        let books = Rc::new(RefCell::new(Books::default()));
        let mut world = World::new();
        let mut server = Party::new(&books, true, None);
        server.knobs.prefetch = 10;
        let sasl = Sasl::server().plain(|_, _| Ok(()));
        let connection = ConnectionOptions { security: Security::Sasl(sasl.into()), ..again() };
        world.add_with(server, ContainerOptions { connection, ..keeping(10) });
        for (user, to_send) in [("mallory", 0), ("alice", 5)] {
            let mut client = Party::new(&books, false, Some(to_send));
            let sasl = Sasl::client().plain(user, "secret").allow_clear_text();
            client.connection.security = Security::Sasl(sasl.into());
            world.add_with(client, named("client"));
        }
        (world.noticed_by, world.cut_after) = (Some(2), Some((2, bytes)));
        world.run_until(at(5));
        let was_cut = world.cut_after.take().is_none();
        world.run_until(at(1_000));
        books.borrow().assert_each_once(5, &format!("after {bytes} bytes"));
        if !was_cut {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 30, "{cuts}");
}

#[test]
fn l_01_exactly_once_a_peer_that_knows_nothing_of_the_link_leaves_it_in_doubt() {
    for keep in [0, 10] {
        let books = Rc::new(RefCell::new(Books::default()));
        let mut world = World::new();
        let mut mute = Party::new(&books, true, None);
        mute.knobs.auto_accept = false;
        world.add_with(mute, keeping(keep));
        world.add_with(Party::new(&books, false, Some(3)), named("client"));
        world.settle();
        assert_eq!(books.borrow().received, numbers(3));
        world.cut();
        world.run_until(at(100));
        let books = books.borrow();
        assert_eq!(books.accepted, [""; 0]);
        if keep == 0 {
            // It could not say that it had told no outcome.
            assert_eq!((books.in_doubt.clone(), books.received.len()), (numbers(3), 3));
        } else {
            // What it has told no outcome of comes again.
            assert_eq!((books.in_doubt.len(), books.received.len()), (0, 6));
        }
    }
}

#[test]
fn l_01_exactly_once_of_suspended_links_the_oldest_is_forgotten_and_what_it_sent_reported() {
    for (keep, in_doubt) in [(2, Vec::new()), (1, numbers(2))] {
        let books = Rc::new(RefCell::new(Books::default()));
        let mut world = World::new();
        world.add_with(Party::new(&books, true, Some(2)), keeping(keep));
        // The first takes what there is and says nothing of it; neither comes back.
        for name in ["first", "second"] {
            let silent = Script {
                knobs: Knobs { auto_accept: false, ..Knobs::default() },
                ..client(|cx| {
                    let once = ConnectionOptions { reconnect: Reconnect::off(), ..again() };
                    let connection = cx.connect_with(here(), once);
                    cx.create_receiver(connection, ("q", ExactlyOnce));
                })
            };
            world.add_with(silent, named(name));
            world.settle();
            assert_eq!(books.borrow().in_doubt, [""; 0], "it is kept");
            world.cut();
            world.settle();
        }
        assert_eq!(books.borrow().in_doubt, in_doubt, "keeping {keep}");
    }
}

#[test]
fn l_01_exactly_once_deliveries_that_no_attach_can_name_are_gone_on_with_round_by_round() {
    for connecting_sends in [true, false] {
        for node in [0, 1] {
            let mut most = 0;
            for bytes in (0..).step_by(if connecting_sends == (node == 1) { 997 } else { 19 }) {
                let books = Rc::new(RefCell::new(Books::default()));
                let mut world = two(&books, connecting_sends, Size { messages: 150, frames: 512 });
                world.cut_after = Some((node, 200 + bytes));
                world.run_until(at(5));
                let was_cut = world.cut_after.take().is_none();
                world.run_until(at(1_000));
                let context = format!("connecting sends: {connecting_sends}, node {node}, {bytes}");
                books.borrow().assert_each_once(150, &context);
                most = most.max(books.borrow().opened);
                if !was_cut {
                    break;
                }
            }
            assert!(most > 3, "attached {most} times");
        }
    }
}

#[test]
fn l_01_exactly_once_a_link_that_its_receiver_has_closed_with_an_error_is_asked_for_and_in_doubt() {
    let books = Rc::new(RefCell::new(Books::default()));
    let mut world = World::new();
    let (mut closes, received) = (true, books.clone());
    let closing = server(move |cx, delivery| {
        if core::mem::take(&mut closes) {
            cx.close_with(delivery.receiver(), Error::new(condition::LINK_DETACH_FORCED));
        } else {
            received.borrow_mut().received.push(body(delivery));
        }
    });
    world.add_with(closing, keeping(1));
    world.add_with(Party::new(&books, false, Some(3)), named("client"));
    world.run_until(at(1_000));
    let books = books.borrow();
    // What has not arrived on the link goes with it.
    assert_eq!((&books.in_doubt, books.opened), (&numbers(3), 2), "{books:?}");
}

/// Settles what it has sent itself, later.
struct Slow {
    log: Log,
    sender: Option<SenderId>,
}

impl Handler for Slow {
    fn knobs(&self) -> Knobs {
        Knobs { auto_settle: false, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect_with(here(), again());
        let sender = cx.create_sender(connection, ("q", ExactlyOnce));
        cx.send(sender, &Message::from("once")).unwrap();
        self.sender = Some(sender);
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.log.note("accepted");
        let id = tracker.id();
        cx.schedule(ms(50), move |cx| assert_eq!(cx.settle(id), Err(Misuse::Gone)));
    }

    fn on_disconnected(&mut self, cx: &mut Context<'_>, _: ConnectionId, _: &Disconnected) {
        self.log.note(format!("in doubt: {}", cx.unsettled(self.sender.unwrap())));
    }

    fn on_in_doubt(&mut self, _: &mut Context<'_>, _: &Tracker) {
        self.log.note("in doubt");
    }
}

#[test]
fn l_01_exactly_once_an_outcome_that_was_told_is_not_told_again() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    world.add_with(server(move |_, delivery| noted.note(body(delivery))), keeping(1));
    world.add_with(Slow { log: log.clone(), sender: None }, named("client"));
    world.settle();
    world.cut();
    world.run_until(at(200));
    log.assert(&["once", "accepted", "in doubt: 0"]);
}
