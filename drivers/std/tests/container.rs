//! The runner of containers, over real sockets.

mod common;

use std::{
    any::Any,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use amqp1_std::{
    AtMostOnce, Body, ConnectionId, ConnectionOptions, Container, ContainerOptions, Context, Delivery,
    Disconnected, Handler, InjectError, ListenerId, Message, Security, SenderId, Tracker, Url,
    blocking::Options,
    sasl::{Refusal, Sasl},
};
use common::{Server, within_patience};

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

/// The tutorial's first program, as in the documentation.
struct HelloWorld {
    server: Url,
    received: Vec<String>,
}

impl Handler for HelloWorld {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect(&self.server);
        cx.create_receiver(connection, "examples");
        cx.create_sender(connection, "examples");
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        cx.send(sender, &Message::from("Hello World!")).expect("there is credit");
        cx.close(sender);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.received.push(delivery.message().expect("a message").body().to_string());
        cx.close(delivery.connection());
    }
}

#[test]
fn hello_world_by_a_server() {
    within_patience(|| {
        let server = Server::start();
        let mut container = Container::new(HelloWorld { server: server.url.clone(), received: Vec::new() });
        while container.process(None).unwrap() {}
        assert_eq!(container.handler().received, ["Hello World!"]);
    });
}

/// Both ends in one container.
struct Direct {
    messages: u32,
    size: usize,
    sent: u32,
    received: u32,
    accepted: u32,
    listener: Option<ListenerId>,
}

impl Direct {
    const fn new(messages: u32, size: usize) -> Self {
        Self { messages, size, sent: 0, received: 0, accepted: 0, listener: None }
    }
}

impl Handler for Direct {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.listener = Some(cx.listen(url("localhost:0")));
    }

    fn on_listening(&mut self, cx: &mut Context<'_>, _: ListenerId, address: &str) {
        cx.create_sender(url(address), "examples");
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while self.sent < self.messages && cx.credit(sender) > 0 {
            self.sent += 1;
            cx.send(sender, &Message::new(Body::data(vec![b'x'; self.size]))).expect("there is credit");
        }
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        assert!(delivery.payload().len() > self.size);
        self.received += 1;
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.accepted += 1;
        if self.accepted == self.messages {
            cx.close(cx.connection_of(tracker.sender()).expect("it has a connection"));
            cx.close(self.listener.expect("it was opened"));
        }
    }
}

#[test]
fn both_ends_in_one_container() {
    within_patience(|| {
        for (messages, size) in [(1, 12), (5_000, 100), (20, 300_000), (2, 5_000_000)] {
            let mut container = Container::new(Direct::new(messages, size));
            while container.process(None).unwrap() {}
            let direct = container.handler();
            assert_eq!((direct.received, direct.accepted), (messages, messages));
        }
    });
}

/// Connects, or listens, and does nothing else.
struct Begin(fn(&mut Context<'_>, &Url), Url);

impl Handler for Begin {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        (self.0)(cx, &self.1);
    }
}

fn failure(begin: fn(&mut Context<'_>, &Url), url: Url) -> String {
    within_patience(move || {
        Container::new(Begin(begin, url)).run().expect_err("it cannot go well").to_string()
    })
}

fn connect(cx: &mut Context<'_>, url: &Url) {
    cx.connect(url);
}

fn listen(cx: &mut Context<'_>, url: &Url) {
    cx.listen(url);
}

#[test]
fn a_refused_connection_is_told_in_one_line() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = failure(connect, url(&format!("scott:tiger@{free}/q")));
    assert!(
        text.contains(&free.to_string()) && text.contains("refused; check that a broker listens there"),
        "{text}"
    );
    assert!(!text.contains("tiger") && !text.contains('\n'), "{text}");
}

#[test]
fn a_port_in_use_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = failure(listen, url(&taken.local_addr().unwrap().to_string()));
    assert!(
        text.contains("the port is in use; stop the program that uses it or choose another port"),
        "{text}"
    );
}

#[test]
fn x2_what_is_not_built_in_is_refused_and_never_served_in_plain_text() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let (tls, websocket) = (cfg!(feature = "tls"), cfg!(feature = "websocket"));
    for (scheme, is_built_in) in [("amqps", tls), ("ws", websocket), ("wss", tls && websocket)] {
        let listening = url(&format!("{scheme}://127.0.0.1:0"));
        if !is_built_in {
            let text = failure(connect, url(&format!("{scheme}://{address}")));
            assert!(text.contains("is not built into this program; build it with the feature"), "{text}");
            assert!(failure(listen, listening).contains("is not built into this program"));
        } else if scheme != "ws" {
            assert!(failure(listen, listening).contains("TLS needs a certificate of the server"));
        }
    }
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "nobody connected");
}

#[test]
fn an_unknown_host_is_told_in_one_line() {
    let text = failure(connect, url("no-such-host.invalid"));
    assert!(text.contains("the host's name is unknown; check its spelling"), "{text}");
}

/// A server that lets in who knows the password.
fn guarded() -> Server {
    let verify = |user: &str, password: &str| match (user, password) {
        ("scott", "tiger") => Ok(()),
        _ => Err(Refusal::Credentials),
    };
    Server::with(ConnectionOptions {
        security: Security::Sasl(Sasl::server().plain(verify).into()),
        ..ConnectionOptions::default()
    })
}

#[test]
fn a_wrong_password_is_told_in_one_line() {
    within_patience(|| {
        let server = guarded();
        let log_in = |password: &str| {
            let mut options = ContainerOptions::default();
            options.connection.allow_clear_text = true;
            let server = url(&format!("scott:{password}@{}:{}", server.url.host(), server.url.port()));
            Container::with_options(HelloWorld { server, received: Vec::new() }, options).run()
        };
        log_in("tiger").unwrap();
        let text = log_in("lion").expect_err("the password is wrong").to_string();
        assert!(text.contains("wrong credentials") && !text.contains("lion"), "{text}");
    });
}

/// Notes how its one connection ended.
struct Watch {
    server: Url,
    ends: Vec<String>,
}

impl Handler for Watch {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.connect(&self.server);
    }

    fn on_disconnected(&mut self, _: &mut Context<'_>, _: ConnectionId, reason: &Disconnected) {
        assert!(!reason.reconnects);
        self.ends.push(reason.to_string());
    }

    fn on_transport_error(&mut self, _: &mut Context<'_>, _: ConnectionId, reason: &Disconnected) {
        self.ends.push(reason.to_string());
    }
}

#[test]
fn the_end_of_a_stream_and_a_reset_are_told() {
    within_patience(|| {
        for reset in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let server = url(&listener.local_addr().unwrap().to_string());
            let peer = thread::spawn(move || {
                let (mut socket, _) = listener.accept().unwrap();
                if !reset {
                    // What was read does not make the close a reset.
                    while socket.read(&mut [0; 1024]).unwrap() == 1024 {}
                } else {
                    thread::sleep(Duration::from_millis(50));
                }
            });
            let mut container = Container::new(Watch { server, ends: Vec::new() });
            while container.process(None).unwrap() {}
            peer.join().unwrap();
            let ends = &container.handler().ends;
            assert_eq!(ends.len(), 2, "{ends:?}");
            assert_eq!(ends[0].contains("reset"), reset, "{ends:?}");
        }
    });
}

#[test]
fn a_peer_that_sends_no_more_and_reads_on_gets_the_last_word() {
    within_patience(|| {
        let server = Server::start();
        let mut socket = TcpStream::connect((server.url.host(), server.url.port())).unwrap();
        socket.write_all(b"HTTP/1.1").unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        assert_eq!(answer[..4], *b"AMQP");

        let mut socket = TcpStream::connect((server.url.host(), server.url.port())).unwrap();
        socket.write_all(b"AMQP").unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(socket.read_to_end(&mut Vec::new()).unwrap(), 0, "half a header, then nothing: no answer");
        send_and_receive(&server.url, 3);
    });
}

/// The longest of some round trips through a server.
fn send_and_receive(url: &Url, messages: u32) -> Duration {
    let connection = Options::default().connect(url).unwrap();
    let (sender, receiver) = (connection.sender("fast").unwrap(), connection.receiver("fast").unwrap());
    let round_trip = |_| {
        let start = Instant::now();
        sender.send("quick").unwrap().accepted().unwrap();
        receiver.recv().unwrap().accept().unwrap();
        start.elapsed()
    };
    let longest = (0..messages).map(round_trip).max().unwrap();
    connection.close().unwrap();
    longest
}

#[test]
fn a_2_a_peer_that_does_not_read_holds_up_nobody_else() {
    within_patience(|| {
        let server = Server::start();
        let slow = Options::default().connect(&server.url).unwrap();
        let config = amqp1_std::LinkConfig::receiver(slow.link_name(), "slow");
        let never_reads = slow.attach_receiver(config, 10_000).unwrap();
        let feeder = Options::default().connect(&server.url).unwrap();
        let sender = feeder.sender("slow").unwrap();
        for _ in 0..200 {
            sender.send(Message::new(Body::data(vec![0; 100_000]))).unwrap().accepted().unwrap();
        }
        let longest = send_and_receive(&server.url, 100);
        assert!(longest < Duration::from_secs(1), "{longest:?}");
        for _ in 0..200 {
            never_reads.recv().unwrap().accept().unwrap();
        }
    });
}

#[test]
fn a_3_connections_come_and_go_without_a_trace() {
    within_patience(|| {
        let server = Server::start();
        let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        send_and_receive(&server.url, 1);
        let before = descriptors();
        for _ in 0..500 {
            let socket = TcpStream::connect((server.url.host(), server.url.port())).unwrap();
            rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
        }
        send_and_receive(&server.url, 1);
        // The sockets of this round trip, and those of tests beside this one.
        assert!(descriptors() < before + 100, "{before} descriptors became {}", descriptors());
    });
}

/// Counts what is injected, until it is told to stop.
struct Counter {
    count: u32,
    listener: Option<ListenerId>,
}

impl Handler for Counter {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.listener = Some(cx.listen(url("127.0.0.1:0")));
    }

    fn on_injected(&mut self, cx: &mut Context<'_>, event: Box<dyn Any + Send>) {
        match event.downcast::<u32>() {
            Ok(number) => self.count += *number,
            Err(_) => cx.stop(),
        }
    }
}

#[test]
fn c_06_events_come_from_any_thread_and_wake_the_loop() {
    within_patience(|| {
        let options = ContainerOptions { injected_events: 10, ..ContainerOptions::default() };
        let mut container = Container::with_options(Counter { count: 0, listener: None }, options);
        let injector = container.injector();
        let inject = |injector: amqp1_std::Injector| {
            for _ in 0..1_000 {
                while injector.inject(1_u32) == Err(InjectError::Full) {
                    thread::yield_now();
                }
            }
        };
        let threads: Vec<_> =
            (0..3).map(|_| injector.clone()).map(|own| thread::spawn(move || inject(own))).collect();
        while container.handler().count < 3_000 {
            assert!(container.process(None).unwrap());
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        injector.inject("stop").unwrap();
        while container.process(None).unwrap() {}
        drop(container);
        assert_eq!(injector.inject(1_u32), Err(InjectError::Stopped));
    });
}

#[test]
fn c_04_a_step_takes_no_longer_than_it_is_given() {
    within_patience(|| {
        let mut container = Container::new(Counter { count: 0, listener: None });
        assert!(container.process(None).unwrap(), "the first step starts");
        while container.process(Duration::ZERO).unwrap() && container.handler().listener.is_none() {}
        let start = Instant::now();
        for _ in 0..5 {
            assert!(container.process(Duration::from_millis(20)).unwrap());
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(start.elapsed() >= Duration::from_millis(50));
    });
}

/// Sends settled messages as fast as it may, and closes.
struct Pour {
    server: Url,
    left: u32,
}

impl Handler for Pour {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.create_sender(&self.server, ("fast", AtMostOnce));
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while self.left > 0 && cx.credit(sender) > 0 {
            self.left -= 1;
            cx.send(sender, &Message::from("poured")).expect("there is credit");
        }
        if self.left == 0 {
            cx.close(cx.connection_of(sender).expect("it has a connection"));
        }
    }
}

#[test]
fn nothing_that_was_sent_before_a_close_is_lost() {
    within_patience(|| {
        let server = Server::start();
        Container::new(Pour { server: server.url.clone(), left: 2_000 }).run().unwrap();
        let connection = Options::default().connect(&server.url).unwrap();
        let receiver = connection.receiver("fast").unwrap();
        for _ in 0..2_000 {
            receiver.recv().unwrap().accept().unwrap();
        }
    });
}
