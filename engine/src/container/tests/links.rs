//! What the peer makes, and how it is answered.

use std::{boxed::Box, format};

use core::time::Duration;

use super::*;
use crate::{
    codec::Fields,
    message::Message,
    types::{Error, LifetimePolicy, condition},
};

fn error(condition: crate::codec::Symbol) -> Error {
    Error { condition, description: Some("as told".into()), info: None }
}

#[test]
fn k5_a_refused_link_is_an_error_and_never_opened() {
    let log = Log::default();
    let mut world = World::new();
    world.add(Script {
        opening: Some(Box::new(|cx, link| {
            if cx.remote_address(link) != Some("examples") {
                cx.close_with(link, error(condition::NOT_FOUND));
            }
        })),
        ..server(|_, _| {})
    });
    let (opened, noted) = (log.clone(), log.clone());
    let node = world.add(Script {
        log: log.clone(),
        opened: Some(Box::new(move |cx, link| {
            opened.note(format!("opened {}", cx.remote_address(link).unwrap()));
            cx.close(cx.connection_of(link).unwrap());
        })),
        ..client(|cx| {
            let sender = cx.create_sender(here(), "nowhere");
            let connection = cx.connection_of(sender).unwrap();
            cx.create_receiver(connection, "nowhere");
            cx.create_receiver(connection, "examples");
        })
    });
    world.settle();
    noted.assert(&[
        "connection opened",
        "link error amqp:not-found",
        "link closed",
        "link error amqp:not-found",
        "link closed",
        "opened examples",
        "connection closed",
        "stop",
    ]);
    let failure = format!("{}", world.container(node).take_failure().unwrap());
    assert_eq!(failure, "the link was closed: as told (amqp:not-found)");
}

#[test]
fn h_02_a_handler_answers_with_termini_of_its_own() {
    let log = Log::default();
    let (given, there) = (log.clone(), log.clone());
    let mut world = World::new();
    world.add(Script {
        opening: Some(Box::new(move |cx, link| {
            assert!(cx.remote_source(link).unwrap().dynamic);
            cx.open_link(link, "made-1").unwrap();
            assert!(cx.open_link(link, ()).is_err());
        })),
        opened: Some(Box::new(move |_, link| there.note(format!("{}", link.sender().is_some())))),
        ..server(|_, _| {})
    });
    world.add(Script {
        opened: Some(Box::new(move |cx, link| {
            given.note(cx.remote_address(link).unwrap());
            cx.stop();
        })),
        ..client(|cx| {
            cx.create_receiver(Address::new("localhost", 8888), Dynamic);
        })
    });
    world.settle();
    log.assert(&["true", "made-1"]);
}

#[test]
fn h_02_a_link_whose_session_is_closed_meanwhile_is_not_answered() {
    for with_error in [true, false] {
        let log = Log::default();
        let mut world = World::new();
        world.add(Script {
            opening: Some(Box::new(move |cx, link| {
                let session = cx.session_of(link).unwrap();
                match with_error {
                    true => cx.close_with(session, error(condition::NOT_FOUND)),
                    false => cx.close(session),
                }
            })),
            ..server(|_, _| {})
        });
        let opened = log.clone();
        world.add(Script {
            opened: Some(Box::new(move |_, _| opened.note("opened"))),
            ..client(|cx| {
                cx.create_receiver(here(), "examples");
            })
        });
        world.settle();
        log.assert(&[] as &[&str]);
    }
}

//= 3.5.3-11
#[test]
fn a_link_made_on_a_session_that_is_being_closed_fails() {
    let log = Log::default();
    let mut world = World::new();
    world.add(server(|_, _| {}));
    world.add(Script {
        log: log.clone(),
        ..client(|cx| {
            let connection = cx.connect(here());
            let session = cx.create_session(connection);
            cx.schedule(Duration::from_secs(1), move |cx| {
                cx.close(session);
                cx.create_sender(session, "late");
            });
            cx.schedule(Duration::from_secs(2), move |cx| cx.close(connection));
        })
    });
    assert!(!world.run(), "the server listens on");
    log.assert(&[
        "connection opened",
        "link error amqp:illegal-state",
        "link closed",
        "connection closed",
        "stop",
    ]);
}

#[test]
fn l_02_filters_that_the_peer_dropped_are_told_after_attach() {
    let log = Log::default();
    let dropped = log.clone();
    let mut world = World::new();
    world.add(Script {
        opening: Some(Box::new(|cx, link| {
            let filter = cx.remote_source(link).unwrap().filter;
            if cx.remote_address(link) == Some("kept") {
                cx.open_link(link, |link: &mut LinkSettings| link.source.filter = filter).unwrap();
            }
        })),
        ..server(|_, _| {})
    });
    world.add(Script {
        opened: Some(Box::new(move |cx, link| {
            let names = cx.dropped_filters(link.receiver().unwrap());
            dropped.note(format!("{} {names:?}", cx.remote_address(link).unwrap()));
        })),
        ..client(|cx| {
            let receiver = cx.create_receiver(here(), ("kept", Selector("a = 1")));
            assert!(cx.dropped_filters(receiver).is_empty(), "there is no connection yet");
            cx.create_receiver(cx.connection_of(receiver).unwrap(), ("dropped", Selector("a = 1")));
        })
    });
    world.settle();
    log.assert(&["kept []", "dropped [\"selector\"]"]);
}

//= 3.5.3-02 3.5.4-02
#[test]
fn k11_a_node_that_no_handler_makes_is_refused() {
    let log = Log::default();
    let mut world = World::new();
    world.add(server(|_, _| {}));
    world.add(Script {
        log: log.clone(),
        ..client(|cx| {
            let receiver = cx.create_receiver(here(), Dynamic);
            cx.create_sender(cx.connection_of(receiver).unwrap(), Dynamic);
        })
    });
    world.settle();
    let refused = ["link error amqp:not-implemented", "link closed"];
    log.assert(&[&["connection opened"], &refused[..], &refused].concat());
}

#[test]
fn h_02_what_no_handler_has_said_is_not_in_force() {
    let log = Log::default();
    let answers = log.clone();
    let mut world = World::new();
    world.add(Script {
        opening: Some(Box::new(|cx, link| {
            if cx.remote_source(link).unwrap().dynamic {
                cx.open_link(link, "made").unwrap();
            }
        })),
        ..server(|_, _| {})
    });
    world.add(Script {
        opened: Some(Box::new(move |cx, link| {
            let source = cx.remote_source(link).unwrap();
            answers.note(format!("{:?}", (&source.address, &source.filter, &source.dynamic_node_properties)));
        })),
        ..client(|cx| {
            let name = crate::codec::Symbol::from_static;
            let filter = Fields::new().with(name("f"), crate::codec::Described::new(name("odd:filter"), "x"));
            let properties = Fields::new().with(name("lifetime-policy"), LifetimePolicy::DeleteOnClose);
            let receiver =
                cx.create_receiver(here(), |link: &mut LinkSettings| link.source.filter = Some(filter));
            let connection = cx.connection_of(receiver).unwrap();
            cx.create_receiver(
                connection,
                (Dynamic, |link: &mut LinkSettings| {
                    link.source.dynamic_node_properties = Some(properties);
                }),
            );
        })
    });
    world.settle();
    log.assert(&[r#"(Some("examples"), None, None)"#, r#"(Some("made"), None, None)"#]);
}

#[test]
fn h_02_a_refused_connection_and_session_are_errors() {
    struct Porter(Log);
    impl Handler for Porter {
        fn on_start(&mut self, cx: &mut Context<'_>) {
            cx.listen(here());
        }
        fn on_connection_opening(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
            if cx.remote_open(connection).unwrap().container_id == *"stranger" {
                cx.close_with(connection, error(condition::UNAUTHORIZED_ACCESS));
            }
        }
        fn on_session_opening(&mut self, cx: &mut Context<'_>, session: SessionId) {
            cx.close_with(session, error(condition::NOT_ALLOWED));
        }
        fn on_connection_opened(&mut self, _: &mut Context<'_>, _: ConnectionId) {
            self.0.note("porter: opened");
        }
    }
    let mut world = World::new();
    let log = Log::default();
    world.add(Porter(log.clone()));
    for id in ["stranger", "friend"] {
        let script = client(|cx| {
            let connection = cx.connect(here());
            cx.create_session(connection);
        });
        let options = ContainerOptions { container_id: Some(id.into()), ..ContainerOptions::default() };
        world.add_with(Script { log: log.clone(), ..script }, options);
        world.settle();
    }
    log.assert(&[
        "connection opened",
        "connection error amqp:unauthorized-access",
        "connection closed",
        "stop",
        "porter: opened",
        "connection opened",
        "session error amqp:not-allowed",
    ]);
}

#[test]
fn h_09_a_close_by_the_peer_can_count_as_an_error() {
    let log = Log::default();
    let mut world = World::new();
    let knobs = Knobs { peer_close_is_error: true, ..Knobs::default() };
    world.add(Script { knobs, log: log.clone(), ..server(|_, _| {}) });
    world.add(Script {
        opened: Some(Box::new(|cx, link| {
            cx.close(link);
            cx.close(cx.connection_of(link).unwrap());
        })),
        ..client(|cx| {
            cx.create_sender(here(), ());
        })
    });
    world.settle();
    log.assert(&[
        "connection opened",
        "link error amqp:illegal-state",
        "link closed",
        "connection error amqp:illegal-state",
        "connection closed",
    ]);
}

#[test]
fn h_09_both_sides_closing_at_once_is_no_error() {
    let log = Log::default();
    let mut world = World::new();
    // The outcome, the detach and the close arrive together.
    world.add(server(|cx, delivery| {
        cx.close(delivery.receiver());
        cx.close(delivery.connection());
    }));
    let knobs = Knobs { peer_close_is_error: true, ..Knobs::default() };
    world.add(Script {
        knobs,
        log: log.clone(),
        sendable: Some(Box::new(|cx, sender| {
            cx.send(sender, &Message::from("last")).unwrap();
        })),
        update: Some(Box::new(|cx, tracker| {
            let connection = cx.connection_of(tracker.sender()).unwrap();
            cx.close(connection);
        })),
        ..client(|cx| {
            cx.create_sender(here(), ());
        })
    });
    world.settle();
    log.assert(&["connection opened", "link closing", "link closed", "connection closed", "stop"]);
}

/// A handler of its own for one object.
struct Named(&'static str, Log);

impl Handler for Named {
    fn on_connection_opened(&mut self, _: &mut Context<'_>, _: ConnectionId) {
        self.1.note(format!("{}: connection opened", self.0));
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
        self.1.note(format!("{}: link opened", self.0));
        if let Link::Receiver(receiver) = link {
            cx.set_handler(receiver, Self("link", self.1.clone()));
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.1.note(format!("{}: {}", self.0, body(delivery)));
        if self.0 == "link" {
            cx.set_handler(delivery.receiver(), Self("next", self.1.clone()));
        }
    }
}

#[test]
fn c_01_an_object_is_served_by_its_own_handler() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    world.add(client(move |cx| {
        let listener = cx.listen(here());
        cx.set_handler(listener, Named("listener", noted.clone()));
    }));
    world.add(client(|cx| {
        let sender = cx.create_sender(here(), ());
        for text in ["one", "two", "three"] {
            cx.send(sender, &Message::from(text)).unwrap();
        }
    }));
    world.settle();
    log.assert(&[
        "listener: connection opened",
        "listener: link opened",
        "link: one",
        "next: two",
        "next: three",
    ]);
}

#[test]
fn stale_ids_find_nothing() {
    let mut world = World::new();
    world.add(client(|cx| {
        let connection = cx.connect(here());
        let sender = cx.create_sender(connection, ());
        cx.schedule(core::time::Duration::from_secs(1), move |cx| {
            assert_eq!(cx.connection_of(sender), None);
            assert_eq!(cx.send(sender, &Message::from("x")), Err(SendRefused::Closed));
            assert_eq!((cx.credit(sender), cx.queued(sender)), (0, 0));
            assert!(cx.remote_attach(sender).is_none() && cx.remote_open(connection).is_none());
            assert!(!cx.is_open(sender));
            cx.close(sender);
            cx.close(connection);
            cx.drained(sender);
            cx.set_handler(sender, Named("nobody", Log::default()));
        });
    }));
    assert!(world.run());
}
