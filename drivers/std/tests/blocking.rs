//! The blocking interface, over real sockets.

mod common;

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use amqp1_std::{
    Body, ConnectionOptions, Container, Context, Delivery, Handler, Knobs, Link, LinkConfig, ListenerId,
    Message, Security, Url, Value,
    blocking::{Connection, Error, Options, Outcome, Waiting},
    connect,
    sasl::{Refusal, Sasl},
    types::{self, Modified, ReceiverSettleMode, SenderSettleMode, condition},
};
use common::{Server, within_patience};

fn quick() -> Options {
    Options { timeout: Duration::from_millis(300), ..Options::default() }
}

/// A connection with a sender to, and a receiver from, the same queue.
fn queue(server: &Server) -> (Connection, amqp1_std::blocking::Sender, amqp1_std::blocking::Receiver) {
    let connection = connect(&server.url).unwrap();
    let sender = connection.sender("queue").unwrap();
    let receiver = connection.receiver("queue").unwrap();
    (connection, sender, receiver)
}

#[test]
fn hello_world() {
    within_patience(|| {
        let server = Server::start();
        let connection = connect(&server.url).unwrap();
        let receiver = connection.receiver("examples").unwrap();
        let sender = connection.sender("examples").unwrap();
        sender.send("Hello World!").unwrap().accepted().unwrap();
        let delivery = receiver.recv().unwrap();
        assert_eq!(delivery.message().unwrap().body().to_string(), "Hello World!");
        delivery.accept().unwrap();
        connection.close().unwrap();
        connection.close().unwrap();
        assert!(matches!(sender.send("too late"), Err(Error::Closed(None))));
        assert!(matches!(receiver.recv(), Err(Error::Closed(None))));
    });
}

#[test]
fn every_message_gets_the_outcome_that_its_receiver_gives() {
    within_patience(|| {
        let server = Server::start();
        let (_connection, sender, receiver) = queue(&server);
        let peer = connect(serve(Judge)).unwrap();
        let judged = peer.sender("judge").unwrap();
        for _ in 0..2 {
            assert_eq!(judged.send("accept").unwrap(), Outcome::Accepted);
            assert_eq!(judged.send("release").unwrap(), Outcome::Released);
            let Outcome::Rejected(Some(error)) = judged.send("reject").unwrap() else {
                panic!("not rejected")
            };
            assert_eq!(error.condition, condition::NOT_ALLOWED);
            let Outcome::Modified(modified) = judged.send("modify").unwrap() else { panic!("not modified") };
            assert_eq!(modified.delivery_failed, Some(true));
        }
        let refused = judged.send("reject").unwrap().accepted().unwrap_err();
        let text = "the message was not accepted: rejected: not to my taste (amqp:not-allowed)";
        assert_eq!(refused.to_string(), text);

        sender.send("again").unwrap().accepted().unwrap();
        drop(receiver.recv().unwrap());
        assert!(matches!(receiver.recv_timeout(Duration::ZERO), Err(Error::TimedOut(Waiting::Message))));
    });
}

/// Runs a server for the rest of the test program.
fn serve(server: impl Handler + Send + 'static) -> Url {
    struct Listen<H>(H, mpsc::Sender<String>);

    impl<H: Handler + Send + 'static> Handler for Listen<H> {
        fn knobs(&self) -> Knobs {
            self.0.knobs()
        }

        fn on_start(&mut self, cx: &mut Context<'_>) {
            cx.listen("127.0.0.1:0".parse::<Url>().unwrap());
        }

        fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
            self.1.send(address.to_owned()).unwrap();
        }

        fn on_link_opening(&mut self, cx: &mut Context<'_>, link: Link) {
            self.0.on_link_opening(cx, link);
        }

        fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
            self.0.on_message(cx, delivery);
        }
    }

    let (sender, address) = mpsc::channel();
    thread::spawn(move || Container::new(Listen(server, sender)).run());
    address.recv().unwrap().parse().unwrap()
}

/// Does with each message what the message asks for.
struct Judge;

impl Handler for Judge {
    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        let id = delivery.id();
        match delivery.message().unwrap().body().to_string().as_str() {
            "accept" => cx.accept(id),
            "release" => cx.release(id),
            "modify" => cx.modify(id, Modified { delivery_failed: Some(true), ..Modified::default() }),
            _ => cx.reject(id, error("not to my taste")),
        }
        .unwrap();
    }
}

/// Grants no credit.
struct Miser;

impl Handler for Miser {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: 0, ..Knobs::default() }
    }
}

/// Refuses links by their addresses.
struct Porter;

impl Handler for Porter {
    fn on_link_opening(&mut self, cx: &mut Context<'_>, link: Link) {
        match cx.remote_address(link) {
            Some("end the session") => {
                cx.close_with(cx.session_of(link).unwrap(), error("no such queue"));
            }
            Some("refuse the link") => cx.close_with(link, error("no such queue")),
            _ => {}
        }
    }
}

fn error(description: &str) -> types::Error {
    types::Error { condition: condition::NOT_ALLOWED, description: Some(description.into()), info: None }
}

#[test]
fn messages_of_all_sizes_come_back_as_they_went() {
    within_patience(|| {
        let server = Server::start();
        let (_connection, sender, receiver) = queue(&server);
        for size in [0, 1, 255, 256, 1_023, 65_536, 131_000, 131_072, 131_100, 1_000_000, 10_000_000] {
            let body: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            sender.send(Message::new(Body::data(body.clone()))).unwrap().accepted().unwrap();
            let delivery = receiver.recv().unwrap();
            assert_eq!(delivery.decode().unwrap().body, Body::data(body), "{size}");
            delivery.accept().unwrap();
        }
    });
}

#[test]
fn many_messages_may_be_on_their_way() {
    within_patience(|| {
        let server = Server::start();
        let (_connection, sender, receiver) = queue(&server);
        let submitted: Vec<_> = (0..500_u32).map(|n| sender.submit(Value::from(n)).unwrap()).collect();
        for (number, submitted) in submitted.into_iter().enumerate() {
            // Of every other one nobody asks what became of it.
            if number % 2 == 0 {
                submitted.outcome().unwrap().accepted().unwrap();
            }
        }
        for number in 0..500 {
            let delivery = receiver.recv().unwrap();
            assert_eq!(delivery.message().unwrap().body().to_string(), number.to_string());
            delivery.accept().unwrap();
        }
    });
}

#[test]
fn w_14_a_message_is_written_and_read_in_pieces() {
    within_patience(|| {
        let server = Server::start();
        let connection = connect(&server.url).unwrap();
        let sender = connection.sender("pieces").unwrap();
        let size = 8 << 20;
        let properties = [("kind", "film")].into_iter().collect();
        let head = Message { application_properties: Some(properties), ..Message::default() };
        let mut writer = sender.stream_data(&head, size).unwrap();
        for piece in 0..size / 4096 {
            writer.write_all(&[piece as u8; 4096]).unwrap();
        }
        writer.finish().unwrap().accepted().unwrap();

        let receiver = connection.receiver("pieces").unwrap();
        let mut reader = receiver.stream().unwrap();
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        reader.finish().accept().unwrap();
        let message = Message::decode(&bytes.into()).unwrap();
        assert_eq!(message.application_properties, head.application_properties);
        let Body::Data(parts) = message.body else { panic!("no data") };
        assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), size as usize);
        assert!(parts[0].chunks(4096).enumerate().all(|(piece, bytes)| bytes == [piece as u8; 4096]));
    });
}

#[test]
fn w_14_a_message_given_up_in_the_middle_never_was() {
    within_patience(|| {
        let server = Server::start();
        let (_connection, sender, receiver) = queue(&server);
        let mut writer = sender.stream().unwrap();
        writer.write_all(&[0; 1000]).unwrap();
        drop(writer);
        sender.send("the next").unwrap().accepted().unwrap();
        let delivery = receiver.recv().unwrap();
        assert_eq!(delivery.message().unwrap().body().to_string(), "the next");
        delivery.accept().unwrap();
    });
}

#[test]
fn l_01_all_three_guarantees() {
    within_patience(|| {
        let server = Server::start();
        let connection = connect(&server.url).unwrap();
        let at_most_once = LinkConfig {
            snd_settle_mode: SenderSettleMode::Settled,
            ..LinkConfig::sender(connection.link_name(), "once")
        };
        let sender = connection.attach_sender(at_most_once).unwrap();
        assert_eq!(sender.send("settled").unwrap(), Outcome::Settled);
        sender.close().unwrap();

        let exactly_once = LinkConfig {
            rcv_settle_mode: ReceiverSettleMode::Second,
            ..LinkConfig::sender(connection.link_name(), "once")
        };
        let sender = connection.attach_sender(exactly_once).unwrap();
        assert_eq!(sender.send("twice confirmed").unwrap(), Outcome::Accepted);

        let exactly_once = LinkConfig {
            rcv_settle_mode: ReceiverSettleMode::Second,
            ..LinkConfig::receiver(connection.link_name(), "once")
        };
        let receiver = connection.attach_receiver(exactly_once, 10).unwrap();
        receiver.recv().unwrap().accept().unwrap();
        receiver.recv().unwrap().accept().unwrap();
        receiver.close().unwrap();
    });
}

#[test]
fn several_threads_share_a_connection() {
    within_patience(|| {
        let server = Server::start();
        let (connection, sender, receiver) = queue(&server);
        let (sender, receiver) = (Arc::new(sender), Arc::new(receiver));
        let senders: Vec<_> = (0..4_u32)
            .map(|thread| (thread, Arc::clone(&sender)))
            .map(|(thread, sender)| {
                thread::spawn(move || {
                    for number in 0..100 {
                        sender.send(Value::from(thread * 100 + number)).unwrap().accepted().unwrap();
                    }
                })
            })
            .collect();
        let receivers: Vec<_> = (0..4)
            .map(|_| Arc::clone(&receiver))
            .map(|receiver| {
                thread::spawn(move || {
                    let mut seen = Vec::new();
                    for _ in 0..100 {
                        let delivery = receiver.recv().unwrap();
                        seen.push(delivery.message().unwrap().body().to_string());
                        delivery.accept().unwrap();
                    }
                    seen
                })
            })
            .collect();
        senders.into_iter().for_each(|thread| thread.join().unwrap());
        let seen: BTreeSet<_> = receivers.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(seen.len(), 400);
        connection.close().unwrap();
    });
}

#[test]
fn r_07_a_thread_that_waits_long_does_not_hold_up_one_that_waits_less() {
    within_patience(|| {
        let server = Server::start();
        let (connection, sender, receiver) = queue(&server);
        let patient = thread::spawn(move || receiver.recv());
        thread::sleep(Duration::from_millis(50));
        let empty = connection.receiver("empty").unwrap();
        let start = Instant::now();
        let waited = empty.recv_timeout(Duration::from_millis(100));
        assert!(matches!(waited, Err(Error::TimedOut(Waiting::Message))));
        assert!((100..1_000).contains(&start.elapsed().as_millis()));
        sender.send("at last").unwrap().accepted().unwrap();
        patient.join().unwrap().unwrap().accept().unwrap();
    });
}

#[test]
fn r_07_a_silent_peer_holds_no_call_past_its_deadline() {
    within_patience(|| {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = silent.local_addr().unwrap().to_string().parse().unwrap();
        let start = Instant::now();
        let error = quick().connect(url).unwrap_err();
        assert!(matches!(error, Error::TimedOut(Waiting::Open)), "{error}");
        assert!((300..2_000).contains(&start.elapsed().as_millis()));
    });
}

#[test]
fn r_07_a_receiver_without_credit_holds_no_call_past_its_deadline() {
    within_patience(|| {
        let peer = quick().connect(serve(Miser)).unwrap();
        let sender = peer.sender("anything").unwrap();
        let error = sender.send("nobody asked for it").unwrap_err();
        assert!(matches!(error, Error::TimedOut(Waiting::Credit)), "{error}");
    });
}

#[test]
fn a_link_that_is_refused_is_told_and_harms_no_other() {
    within_patience(|| {
        let connection = connect(serve(Porter)).unwrap();
        for _ in 0..3 {
            let refused = connection.sender("refuse the link").unwrap_err();
            let text = "the peer refused or closed the link: no such queue (amqp:not-allowed)";
            assert_eq!(refused.to_string(), text);
            let refused = connection.receiver("refuse the link").unwrap_err();
            assert!(matches!(refused, Error::Detached(Some(_))), "{refused}");

            let good = connection.sender("good").unwrap();
            good.send("before").unwrap().accepted().unwrap();
            // As RabbitMQ does. The session is lost with all its links, the connection is not.
            let ended =
                connection.receiver("end the session").and_then(|receiver| receiver.recv()).unwrap_err();
            assert_eq!(ended.to_string(), "the peer ended the session: no such queue (amqp:not-allowed)");
            assert!(matches!(good.send("after"), Err(Error::Ended(Some(_)))));
            connection.sender("good").unwrap().send("on another session").unwrap().accepted().unwrap();
        }
        connection.close().unwrap();
    });
}

#[test]
fn users_are_told_what_is_wrong() {
    within_patience(|| {
        let error = connect("http://localhost").unwrap_err();
        assert!(error.to_string().starts_with("unknown scheme `http`"), "{error}");

        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = connect(free.to_string().as_str()).unwrap_err();
        let text = format!("cannot connect to {free}: connection refused; check that a broker listens there");
        assert_eq!(error.to_string(), text);

        let error = connect(format!("amqps://{free}").as_str()).unwrap_err();
        let missing = "TLS is not built into this program; build it with the feature `tls`";
        let expected = if cfg!(feature = "tls") { "connection refused" } else { missing };
        assert!(error.to_string().contains(expected), "{error}");
    });
}

#[test]
fn a_wrong_password_is_told_and_never_sent_in_the_clear_unasked() {
    within_patience(|| {
        let verify = |user: &str, password: &str| match (user, password) {
            ("scott", "tiger") => Ok(()),
            _ => Err(Refusal::Credentials),
        };
        let server = Server::with(ConnectionOptions {
            security: Security::Sasl(Sasl::server().plain(verify).into()),
            ..ConnectionOptions::default()
        });
        let url = |user_info: &str| format!("{user_info}@{}:{}", server.url.host(), server.url.port());

        let error = quick().connect(url("scott:tiger").as_str()).unwrap_err();
        assert!(error.to_string().contains("would send the password readable"), "{error}");

        let mut options = quick();
        options.connection.allow_clear_text = true;
        options.connect(url("scott:tiger").as_str()).unwrap().close().unwrap();
        let error = options.connect(url("scott:lion").as_str()).unwrap_err();
        assert!(error.to_string().contains("wrong credentials"), "{error}");
    });
}

#[test]
fn c_10_a_connection_that_breaks_ends_every_call() {
    within_patience(|| {
        let server = Server::start();
        let relay = Relay::start(&server.url);
        let connection = connect(&relay.url).unwrap();
        let receiver = connection.receiver("nothing").unwrap();
        let sender = connection.sender("nothing").unwrap();
        let waiting = thread::spawn(move || receiver.recv());
        thread::sleep(Duration::from_millis(50));
        relay.cut();
        let error = waiting.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Disconnected(_) | Error::Broken(_)), "{error}");
        sender.send("into the void").unwrap_err();
        assert!(connection.close().is_err(), "it was not closed but cut");
    });
}

/// Stands between a client and a server, and can stop or go away.
struct Relay {
    url: Url,
    sockets: Arc<Mutex<Vec<TcpStream>>>,
    stopped: Arc<AtomicBool>,
}

impl Relay {
    fn start(to: &Url) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = listener.local_addr().unwrap().to_string().parse().unwrap();
        let (sockets, stopped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, stop, to) =
            (Arc::clone(&sockets), Arc::clone(&stopped), (to.host().to_owned(), to.port()));
        thread::spawn(move || {
            let (client, server) = (listener.accept().unwrap().0, TcpStream::connect(to).unwrap());
            kept.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
            let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    into.write_all(&buffer[..count]).unwrap();
                    while stop.load(Ordering::Relaxed) {
                        thread::sleep(Duration::from_millis(5));
                    }
                }
            });
            let _ = std::io::copy(&mut &server, &mut &client);
        });
        Self { url, sockets, stopped }
    }

    /// Passes nothing more on from the client to the server, for a while.
    fn stop(&self, stopped: bool) {
        self.stopped.store(stopped, Ordering::Relaxed);
    }

    fn cut(&self) {
        for socket in self.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn r_07_a_peer_that_does_not_read_holds_no_call_past_its_deadline() {
    within_patience(|| {
        let server = Server::start();
        let relay = Relay::start(&server.url);
        let connection = quick().connect(&relay.url).unwrap();
        let sender = connection.sender("queue").unwrap();
        let receiver = connection.receiver("queue").unwrap();
        relay.stop(true);
        let start = Instant::now();
        let other = thread::spawn(move || {
            let waited = receiver.recv_timeout(Duration::from_millis(100));
            assert!(matches!(waited, Err(Error::TimedOut(Waiting::Message))));
            assert!((100..250).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
            receiver
        });
        let mut writer = sender.stream().unwrap();
        let mut write = || (0..10_000).try_for_each(|_| writer.write_piece(vec![0; 65_536]));
        let error = write().unwrap_err();
        assert!(matches!(error, Error::TimedOut(Waiting::Credit)), "{error}");
        assert!((300..1_500).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());

        relay.stop(false);
        drop(writer);
        let receiver = other.join().unwrap();
        sender.send("it reads again").unwrap().accepted().unwrap();
        receiver.recv().unwrap().accept().unwrap();
    });
}

#[test]
fn messages_that_arrived_before_the_end_are_still_received() {
    within_patience(|| {
        let server = Server::start();
        let relay = Relay::start(&server.url);
        let (_connection, sender, _unused) = queue(&server);
        let connection = connect(&relay.url).unwrap();
        let receiver = connection.receiver("rescue").unwrap();
        let rescue = sender_to(&server, "rescue");
        for number in 0..3_u32 {
            rescue.send(Value::from(number)).unwrap().accepted().unwrap();
        }
        receiver.recv().unwrap().accept().unwrap();
        // Whatever this waits for, it reads what has come.
        let _ = connection.receiver("empty").unwrap().recv_timeout(Duration::from_millis(100));
        relay.cut();
        for number in 1..3 {
            let delivery = receiver.recv().unwrap();
            assert_eq!(delivery.message().unwrap().body().to_string(), number.to_string());
        }
        receiver.recv().unwrap_err();
        drop(sender);
    });
}

fn sender_to(server: &Server, address: &str) -> amqp1_std::blocking::Sender {
    connect(&server.url).unwrap().sender(address).unwrap()
}

#[test]
fn a_connection_stays_alive_while_nobody_calls() {
    within_patience(|| {
        let server = Server::with(ConnectionOptions {
            idle_time_out: Some(Duration::from_millis(400)),
            ..ConnectionOptions::default()
        });
        let mut options = Options::default();
        options.connection.idle_time_out = Some(Duration::from_millis(400));
        let connection = options.connect(&server.url).unwrap();
        thread::sleep(Duration::from_millis(1_500));
        let sender = connection.sender("still here").unwrap();
        sender.send("yes").unwrap().accepted().unwrap();
        connection.close().unwrap();
    });
}
