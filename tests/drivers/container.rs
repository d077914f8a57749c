//! The runners of containers, over real sockets.

use std::{
    any::Any,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use amqp1_driver::program::{
    AtMostOnce, Body, ConnectionId, ConnectionOptions, ContainerOptions, Context, Delivery, Disconnected,
    Handler, InjectError, Injector, LinkConfig, ListenerId, Message, Security, SenderId, Tracker, Url,
    sasl::{Refusal, Sasl},
};
use amqp1_std::blocking::Options;

use crate::{
    driver::{Driver, Setup, Stepping, within_patience},
    server::{Server, tls},
};

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

pub fn hello_world_by_a_server<D: Driver>() {
    within_patience(|| {
        let server = Server::start::<D>();
        let client = HelloWorld { server: server.url.clone(), received: Vec::new() };
        let received = D::steps(client, Setup::default(), |client| client.received.clone());
        assert_eq!(received, ["Hello World!"]);
    });
}

/// Both ends in one container.
struct Direct {
    scheme: &'static str,
    messages: u32,
    size: usize,
    sent: u32,
    received: u32,
    accepted: u32,
    listener: Option<ListenerId>,
}

impl Direct {
    const fn new(scheme: &'static str, messages: u32, size: usize) -> Self {
        Self { scheme, messages, size, sent: 0, received: 0, accepted: 0, listener: None }
    }
}

impl Handler for Direct {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.listener = Some(cx.listen(url(&format!("{}://localhost:0", self.scheme))));
    }

    fn on_listening(&mut self, cx: &mut Context<'_>, _: ListenerId, address: &str) {
        let server = format!("{}://localhost:{}", self.scheme, url(address).port());
        cx.create_sender(url(&server), "examples");
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

pub fn both_ends_in_one_container<D: Driver>() {
    within_patience(|| {
        for (messages, size) in [(1, 12), (5_000, 100), (20, 300_000), (2, 5_000_000)] {
            let direct = Direct::new("amqp", messages, size);
            let counted = D::steps(direct, Setup::default(), |direct| (direct.received, direct.accepted));
            assert_eq!(counted, (messages, messages));
        }
    });
}

pub fn both_ends_in_one_container_over_tls<D: Driver>() {
    within_patience(|| {
        for (messages, size) in [(1, 12), (5_000, 100), (20, 300_000)] {
            let setup = Setup { tls: Some(tls()), ..Setup::default() };
            let direct = Direct::new("amqps", messages, size);
            let counted = D::steps(direct, setup, |direct| (direct.received, direct.accepted));
            assert_eq!(counted, (messages, messages));
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

fn failure<D: Driver>(begin: fn(&mut Context<'_>, &Url), url: Url) -> String {
    within_patience(move || {
        D::run(Begin(begin, url), Setup::default()).expect_err("it cannot go well").to_string()
    })
}

fn connect(cx: &mut Context<'_>, url: &Url) {
    cx.connect(url);
}

fn listen(cx: &mut Context<'_>, url: &Url) {
    cx.listen(url);
}

pub fn a_refused_connection_is_told_in_one_line<D: Driver>() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = failure::<D>(connect, url(&format!("scott:tiger@{free}/q")));
    assert!(
        text.contains(&free.to_string()) && text.contains("refused; check that a broker listens there"),
        "{text}"
    );
    assert!(!text.contains("tiger") && !text.contains('\n'), "{text}");
}

pub fn a_port_in_use_is_told_in_one_line<D: Driver>() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = failure::<D>(listen, url(&taken.local_addr().unwrap().to_string()));
    assert!(
        text.contains("the port is in use; stop the program that uses it or choose another port"),
        "{text}"
    );
}

pub fn x2_what_needs_tls_is_never_served_in_plain_text<D: Driver>() {
    let text = failure::<D>(listen, url("amqps://127.0.0.1:0"));
    assert!(text.contains("TLS needs a certificate of the server, and there is none"), "{text}");

    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let peer = thread::spawn(move || {
        let mut first = [0];
        server.accept().unwrap().0.read_exact(&mut first).unwrap();
        first[0]
    });
    failure::<D>(connect, url(&format!("amqps://{address}")));
    assert_eq!(peer.join().unwrap(), 0x16, "a handshake of TLS, nothing of AMQP");
}

pub fn an_unknown_host_is_told_in_one_line<D: Driver>() {
    let text = failure::<D>(connect, url("no-such-host.invalid"));
    assert!(text.contains("the host's name is unknown; check its spelling"), "{text}");
}

/// A server that lets in who knows the password.
fn guarded<D: Driver>() -> Server {
    let verify = |user: &str, password: &str| match (user, password) {
        ("scott", "tiger") => Ok(()),
        _ => Err(Refusal::Credentials),
    };
    Server::with::<D>(ConnectionOptions {
        security: Security::Sasl(Sasl::server().plain(verify).into()),
        ..ConnectionOptions::default()
    })
}

pub fn a_wrong_password_is_told_in_one_line<D: Driver>() {
    within_patience(|| {
        let server = guarded::<D>();
        let log_in = |password: &str| {
            let mut options = ContainerOptions::default();
            options.connection.allow_clear_text = true;
            let server = url(&format!("scott:{password}@{}:{}", server.url.host(), server.url.port()));
            D::run(HelloWorld { server, received: Vec::new() }, Setup { options, ..Setup::default() })
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

pub fn the_end_of_a_stream_and_a_reset_are_told<D: Driver>() {
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
            let watch = Watch { server, ends: Vec::new() };
            let ends = D::steps(watch, Setup::default(), |watch| watch.ends.clone());
            peer.join().unwrap();
            assert_eq!(ends.len(), 2, "{ends:?}");
            assert_eq!(ends[0].contains("reset"), reset, "{ends:?}");
        }
    });
}

pub fn a_peer_that_sends_no_more_and_reads_on_gets_the_last_word<D: Driver>() {
    within_patience(|| {
        let server = Server::start::<D>();
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

pub fn a_2_a_peer_that_does_not_read_holds_up_nobody_else<D: Driver>() {
    within_patience(|| {
        let server = Server::start::<D>();
        let slow = Options::default().connect(&server.url).unwrap();
        let config = LinkConfig::receiver(slow.link_name(), "slow");
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

pub fn a_3_connections_come_and_go_without_a_trace<D: Driver>() {
    within_patience(|| {
        let server = Server::start::<D>();
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
struct Counter(u32);

impl Handler for Counter {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen(url("127.0.0.1:0"));
    }

    fn on_injected(&mut self, cx: &mut Context<'_>, event: Box<dyn Any + Send>) {
        match event.downcast::<u32>() {
            Ok(number) => self.0 += *number,
            Err(_) => cx.stop(),
        }
    }
}

fn inject(injector: &Injector, event: impl Any + Send + Clone) {
    while injector.inject(event.clone()) == Err(InjectError::Full) {
        thread::yield_now();
    }
}

pub fn c_06_events_come_from_any_thread_and_wake_the_loop<D: Driver>() {
    within_patience(|| {
        let options = ContainerOptions { injected_events: 10, ..ContainerOptions::default() };
        let (sender, injector) = mpsc::channel();
        let setup = Setup { options, injector: Some(sender), ..Setup::default() };
        let container = thread::spawn(|| D::steps(Counter(0), setup, |counter| counter.0));
        let injector = injector.recv().unwrap();
        let threads: Vec<_> = (0..3)
            .map(|_| injector.clone())
            .map(|own| thread::spawn(move || (0..1_000).for_each(|_| inject(&own, 1_u32))))
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        inject(&injector, "stop");
        assert_eq!(container.join().unwrap(), 3_000);
        assert_eq!(injector.inject(1_u32), Err(InjectError::Stopped));
    });
}

pub fn c_04_a_step_takes_no_longer_than_it_is_given<D: Stepping>() {
    within_patience(|| {
        let taken = D::idle_steps(Counter(0), 5, Duration::from_millis(20));
        assert!((50..5_000).contains(&taken.as_millis()), "{taken:?}");
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

pub fn nothing_that_was_sent_before_a_close_is_lost<D: Driver>() {
    within_patience(|| {
        let server = Server::start::<D>();
        D::run(Pour { server: server.url.clone(), left: 2_000 }, Setup::default()).unwrap();
        let connection = Options::default().connect(&server.url).unwrap();
        let receiver = connection.receiver("fast").unwrap();
        for _ in 0..2_000 {
            receiver.recv().unwrap().accept().unwrap();
        }
    });
}

/// Many connections to one server that send in turn, and the server itself.
struct Many {
    connections: u32,
    messages: u32,
    sent: u32,
    received: u32,
    accepted: u32,
    listener: Option<ListenerId>,
    senders: Vec<SenderId>,
}

impl Handler for Many {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.listener = Some(cx.listen(url("127.0.0.1:0")));
    }

    fn on_listening(&mut self, cx: &mut Context<'_>, _: ListenerId, address: &str) {
        for _ in 0..self.connections {
            let connection = cx.connect(url(address));
            self.senders.push(cx.create_sender(connection, "many"));
        }
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        if self.senders.contains(&sender) && self.sent < self.connections {
            self.sent += 1;
            cx.send(sender, &Message::from("first")).expect("there is credit");
        }
    }

    fn on_message(&mut self, _: &mut Context<'_>, _: &Delivery<'_>) {
        self.received += 1;
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.accepted += 1;
        if self.sent < self.messages {
            // The one far away in the table: each has its turn.
            let next = self.senders[(self.accepted as usize * 7) % self.senders.len()];
            if cx.credit(next) > 0 {
                self.sent += 1;
                cx.send(next, &Message::from("next")).expect("there is credit");
            } else {
                self.sent += 1;
                cx.send(tracker.sender(), &Message::from("next")).expect("there is credit");
            }
        } else if self.accepted == self.messages {
            cx.stop();
        }
    }
}

pub fn many_connections_share_what_is_sent<D: Driver>() {
    within_patience(|| {
        let many = Many {
            connections: 200,
            messages: 5_000,
            sent: 0,
            received: 0,
            accepted: 0,
            listener: None,
            senders: Vec::new(),
        };
        let counted = D::steps(many, Setup::default(), |many| (many.received, many.accepted));
        assert_eq!(counted, (5_000, 5_000));
    });
}
