//! Messages: the queue, credit and settlement.

use std::{boxed::Box, cell::RefCell, format, rc::Rc, string::String, vec::Vec};

use core::time::Duration;

use super::*;
use crate::{
    Misuse, SessionConfig,
    message::Message,
    types::{Error, condition},
};

#[test]
fn a_graceful_close_waits_for_what_is_queued() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    world.add(Script {
        knobs: Knobs { prefetch: 2, ..Knobs::default() },
        ..server(move |cx, delivery| {
            noted.note(body(delivery));
            if noted.len() == 20 {
                cx.stop();
            }
        })
    });
    let updates = Rc::new(RefCell::new(0));
    let counted = updates.clone();
    world.add(Script {
        update: Some(Box::new(move |_, _| *counted.borrow_mut() += 1)),
        ..client(|cx| {
            let connection = cx.connect(here());
            let sender = cx.create_sender(connection, "q");
            for number in 0..20 {
                cx.send(sender, &Message::from(&*format!("{number}"))).unwrap();
            }
            assert_eq!((cx.queued(sender), cx.credit(sender)), (20, 0));
            cx.close(sender);
            assert_eq!(cx.send(sender, &Message::from("late")), Err(SendRefused::Closed));
        })
    });
    assert!(world.run());
    let expected: Vec<String> = (0..20).map(|number| format!("{number}")).collect();
    log.assert(&expected);
    assert_eq!(*updates.borrow(), 20);
}

#[test]
fn e_06_a_full_queue_refuses_and_keeps_what_it_has() {
    let mut world = World::new();
    let options =
        ContainerOptions { send_queue_messages: 3, send_queue_bytes: 100, ..ContainerOptions::default() };
    let script = client(|cx| {
        let few = cx.create_sender(here(), ());
        let sent: Vec<_> = (0..4).map(|_| cx.send(few, &Message::from("x")).is_ok()).collect();
        assert_eq!(sent, [true, true, true, false]);
        let large = cx.create_sender(here(), ());
        assert!(cx.send_payload(large, &std::vec![0; 1000].into(), 0).is_ok(), "one message may be larger");
        assert_eq!(cx.send_payload(large, &"x".into(), 0), Err(SendRefused::QueueFull));
        assert_eq!((cx.queued(few), cx.queued(large)), (3, 1));
        let full = SendRefused::QueueFull;
        assert_eq!(format!("{full}"), "the sender's queue is full");
    });
    world.add_with(script, options);
    assert!(world.run());
}

#[test]
fn h_10_auto_accept_takes_only_what_was_left_untouched() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    world.add(server(|cx, delivery| {
        let id = delivery.id();
        match &*body(delivery) {
            "reject" => {
                cx.reject(id, Error { condition: condition::NOT_FOUND, description: None, info: None })
            }
            "release" => cx.release(id),
            "modify" => cx.modify(id, Default::default()),
            "accept" => cx.accept(id),
            _ => Ok(()),
        }
        .unwrap();
        assert_eq!(cx.accept(id).is_ok(), body(delivery) == "leave", "settled once");
    }));
    world.add(Script {
        update: Some(Box::new(move |cx, tracker| {
            noted.note(told(tracker));
            if noted.len() == 5 {
                cx.stop();
            }
        })),
        ..client(|cx| {
            let sender = cx.create_sender(here(), ());
            for text in ["leave", "reject", "release", "modify", "accept"] {
                cx.send(sender, &Message::from(text)).unwrap();
            }
            cx.schedule(Duration::from_secs(1), |cx| cx.stop());
        })
    });
    world.settle();
    log.assert(&[
        "[0] accepted settled",
        "[1] rejected amqp:not-found settled",
        "[2] released settled",
        "[3] modified settled",
        "[4] accepted settled",
    ]);
}

#[test]
fn h_10_a_delivery_can_be_settled_long_after_its_callback() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    let knobs = Knobs { auto_accept: false, ..Knobs::default() };
    let script = server(|cx, delivery| {
        let id = delivery.id();
        cx.schedule(Duration::from_secs(5), move |cx| {
            assert_eq!(cx.release(id), Ok(()));
            assert_eq!(cx.release(id), Err(Misuse::Gone));
        });
    });
    world.add(Script { knobs, ..script });
    world.add(Script {
        update: Some(Box::new(move |cx, tracker| noted.note(format!("{:?}: {}", cx.now(), told(tracker))))),
        ..client(|cx| {
            let sender = cx.create_sender(here(), ());
            cx.send(sender, &Message::from("later")).unwrap();
            cx.schedule(Duration::from_secs(9), |cx| cx.stop());
        })
    });
    world.run();
    log.assert(&["5s: [0] released settled"]);
}

#[test]
fn m1_a_message_that_cannot_be_decoded_is_rejected_by_itself() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    world.add(server(|_, delivery| {
        if delivery.message_format() == 0 && delivery.tag().as_bytes() == [0] {
            assert!(delivery.message().is_err());
            assert!(delivery.decode().is_err());
        }
    }));
    world.add(Script {
        update: Some(Box::new(move |_, tracker| noted.note(told(tracker)))),
        ..client(|cx| {
            let sender = cx.create_sender(here(), ());
            let malformed = bytes::Bytes::from_static(b"\x00\x53\x77\xff");
            cx.send_payload(sender, &malformed, 0).unwrap();
            cx.send_payload(sender, &malformed, 0).unwrap();
            cx.schedule(Duration::from_secs(1), |cx| cx.stop());
        })
    });
    world.settle();
    log.assert(&["[0] rejected amqp:decode-error settled", "[1] accepted settled"]);
}

#[test]
fn h_10_a_message_that_makes_its_handler_close_with_an_error_is_not_accepted() {
    for what in 0..3 {
        let log = Log::default();
        let noted = log.clone();
        let mut world = World::new();
        world.add(server(move |cx, delivery| {
            let link = delivery.receiver();
            let error = Error { description: None, ..Error::new(condition::PRECONDITION_FAILED) };
            match what {
                0 => cx.close_with(link, error),
                1 => cx.close_with(cx.session_of(link).unwrap(), error),
                _ => cx.close_with(cx.connection_of(link).unwrap(), error),
            }
        }));
        world.add(Script {
            update: Some(Box::new(move |_, tracker| noted.note(told(tracker)))),
            ..client(|cx| {
                let sender = cx.create_sender(here(), ());
                cx.send(sender, &Message::from("unwanted")).unwrap();
                cx.schedule(Duration::from_secs(1), |cx| cx.stop());
            })
        });
        world.settle();
        log.assert(&[] as &[&str]);
    }
}

#[test]
fn h_09_credit_is_topped_up_at_half_the_prefetch() {
    let mut world = World::new();
    let received = Rc::new(RefCell::new(Vec::new()));
    let noted = received.clone();
    world.add(Script {
        knobs: Knobs { prefetch: 10, ..Knobs::default() },
        ..server(move |cx, delivery| noted.borrow_mut().push(cx.credit(delivery.receiver())))
    });
    let script = client(|cx| {
        cx.create_sender(here(), ());
    });
    let mut sent = 0;
    world.add(Script {
        sendable: Some(Box::new(move |cx, sender| {
            while cx.credit(sender) > 0 && sent < 12 {
                cx.send(sender, &Message::from("x")).unwrap();
                sent += 1;
            }
        })),
        ..script
    });
    world.settle();
    assert_eq!(*received.borrow(), [0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 8, 8]);
}

#[test]
fn h_09_no_prefetch_means_manual_credit() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    let knobs = Knobs { prefetch: 0, ..Knobs::default() };
    world.add(Script {
        knobs,
        opened: Some(Box::new(|cx, link| {
            let receiver = link.receiver().unwrap();
            assert_eq!(cx.credit(receiver), 0);
            cx.add_credit(receiver, 2);
        })),
        ..server(move |_, delivery| noted.note(body(delivery)))
    });
    world.add(client(|cx| {
        let sender = cx.create_sender(here(), ());
        for text in ["one", "two", "three"] {
            cx.send(sender, &Message::from(text)).unwrap();
        }
    }));
    world.settle();
    log.assert(&["one", "two"]);
}

#[test]
fn h_07_a_drain_gives_back_what_is_left() {
    let log = Log::default();
    let (noted, finished) = (log.clone(), log.clone());
    let mut world = World::new();

    struct Drainer(Log);
    impl Handler for Drainer {
        fn knobs(&self) -> Knobs {
            Knobs { prefetch: 0, ..Knobs::default() }
        }
        fn on_start(&mut self, cx: &mut Context<'_>) {
            // What is sent has to wait for the window, too.
            let session = SessionConfig { incoming_window: 1, ..SessionConfig::default() };
            cx.listen_with(here(), ConnectionOptions { session, ..ConnectionOptions::default() });
        }
        fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
            let receiver = link.receiver().unwrap();
            cx.add_credit(receiver, 5);
            cx.drain(receiver);
        }
        fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
            self.0.note(body(delivery));
        }
        fn on_drain_finished(&mut self, cx: &mut Context<'_>, receiver: ReceiverId) {
            self.0.note(format!("drained, credit {}", cx.credit(receiver)));
        }
    }
    world.add(Drainer(finished));
    world.add(client(|cx| {
        let sender = cx.create_sender(here(), ());
        for text in ["1", "2", "3"] {
            cx.send(sender, &Message::from(text)).unwrap();
        }
    }));
    world.settle();
    noted.assert(&["1", "2", "3", "drained, credit 0"]);
}

#[test]
fn l_01_exactly_once_is_settled_by_the_receiver_last() {
    let log = Log::default();
    let mut world = World::new();

    struct Both(Log);
    impl Handler for Both {
        fn on_start(&mut self, cx: &mut Context<'_>) {
            cx.listen(here());
            let sender = cx.create_sender(here(), ExactlyOnce);
            cx.send(sender, &Message::from("once")).unwrap();
        }
        fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
            self.0.note(body(delivery));
        }
        fn on_accepted(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
            self.0.note(format!("accepted {}", tracker.is_settled()));
        }
        fn on_settled(&mut self, _: &mut Context<'_>, _: &Tracker) {
            self.0.note("settled by the receiver");
        }
        fn on_delivery_settled(&mut self, cx: &mut Context<'_>, delivery: DeliveryId) {
            self.0.note("settled by the sender");
            assert_eq!(cx.settle(delivery), Err(Misuse::Gone));
            cx.stop();
        }
    }
    world.add(Both(log.clone()));
    assert!(world.run());
    log.assert(&["once", "accepted false", "settled by the sender"]);
}

#[test]
fn l_01_at_most_once_is_sent_settled_and_never_answered() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    world.add(server(move |cx, delivery| {
        noted.note(format!("{} settled: {}", body(delivery), delivery.is_settled()));
        assert_eq!(cx.accept(delivery.id()), Err(Misuse::Gone));
        cx.stop();
    }));
    world.add(Script {
        update: Some(Box::new(|_, _| panic!("no answer to what is settled"))),
        ..client(|cx| {
            let sender = cx.create_sender(here(), AtMostOnce);
            cx.send(sender, &Message::from("once")).unwrap();
        })
    });
    assert!(world.run());
    log.assert(&["once settled: true"]);
}

#[test]
fn h_05_an_outcome_is_told_once_where_the_handler_settles_itself() {
    let log = Log::default();
    let mut world = World::new();

    struct Slow(Log);
    impl Handler for Slow {
        fn knobs(&self) -> Knobs {
            Knobs { auto_settle: false, ..Knobs::default() }
        }
        fn on_start(&mut self, cx: &mut Context<'_>) {
            cx.listen(here());
            let sender = cx.create_sender(here(), ExactlyOnce);
            cx.send(sender, &Message::from("once")).unwrap();
        }
        fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
            let id = delivery.id();
            cx.accept(id).unwrap();
            cx.schedule(Duration::from_secs(1), move |cx| cx.settle(id).unwrap());
        }
        fn on_accepted(&mut self, _: &mut Context<'_>, _: &Tracker) {
            self.0.note("accepted");
        }
        fn on_settled(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
            self.0.note("settled");
            cx.settle(tracker.id()).unwrap();
            assert_eq!(cx.settle(tracker.id()), Err(Misuse::Gone));
            cx.stop();
        }
        fn on_delivery_updated(&mut self, _: &mut Context<'_>, _: &Tracker) {
            self.0.note("updated");
        }
    }
    world.add(Slow(log.clone()));
    assert!(world.run());
    log.assert(&["accepted", "updated", "settled", "updated"]);
}

/// Sends a message larger than a window, piece by piece, and reads it as it comes.
struct Streamer {
    log: Log,
    left: usize,
    started: bool,
    taken: usize,
    parts: usize,
}

const PIECE: usize = 50_000;

impl Handler for Streamer {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen(here());
        cx.create_sender(here(), ());
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while self.left > 0 {
            let piece = std::vec![7; PIECE];
            let taken = if self.started {
                cx.write(sender, piece).is_ok()
            } else {
                cx.start_message(sender, piece, 1).is_ok()
            };
            if !taken {
                return;
            }
            self.started = true;
            self.left -= 1;
            assert_eq!(cx.send(sender, &Message::from("between")), Err(SendRefused::Unfinished));
        }
        if self.started {
            self.started = false;
            cx.finish(sender).unwrap();
        }
    }

    fn on_delivery(&mut self, cx: &mut Context<'_>, delivery: DeliveryId) {
        self.taken += cx.take(delivery).unwrap().len();
        self.parts += 1;
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        assert!(delivery.payload().is_empty());
        assert_eq!(delivery.message_format(), 1);
        self.log.note(format!("{} bytes, in parts: {}", self.taken, self.parts > 1));
        cx.stop();
    }
}

#[test]
fn w_14_a_message_is_written_and_read_in_pieces() {
    let log = Log::default();
    let mut world = World::new();
    world.add(Streamer { log: log.clone(), left: 100, started: false, taken: 0, parts: 0 });
    assert!(world.run());
    log.assert(&["5000000 bytes, in parts: true"]);
}

/// Rejects each message as soon as it begins to arrive.
struct Wary;

impl Handler for Wary {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let session = SessionConfig { incoming_window: 2, ..SessionConfig::default() };
        let options = ConnectionOptions { session, max_frame_size: 512, ..ConnectionOptions::default() };
        cx.listen_with(here(), options);
    }

    fn on_delivery(&mut self, cx: &mut Context<'_>, delivery: DeliveryId) {
        cx.reject(delivery, None).unwrap();
    }

    fn on_message(&mut self, _: &mut Context<'_>, _: &Delivery<'_>) {
        panic!("rejected before");
    }
}

#[test]
fn w_14_a_message_that_is_rejected_before_its_end_is_over_with_it() {
    let log = Log::default();
    let (noted, counted) = (log.clone(), log.clone());
    let mut world = World::new();
    world.add(Wary);
    world.add(Script {
        update: Some(Box::new(move |_, tracker| noted.note(told(tracker)))),
        sendable: Some(Box::new(move |cx, sender| {
            if counted.len() < 3 {
                cx.send_payload(sender, &std::vec![7; 10_000].into(), 0).unwrap();
            } else {
                counted.note(format!("unsettled: {}", cx.unsettled(sender)));
            }
        })),
        ..client(|cx| {
            cx.create_sender(here(), ());
        })
    });
    world.settle();
    let rejected = |n| format!("[{n}] Some(Rejected(None)) settled");
    log.assert(&[rejected(0), rejected(1), rejected(2), "unsettled: 0".into()]);
}
