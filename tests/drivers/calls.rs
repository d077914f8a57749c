//! Connections whose calls are awaited.

use std::{
    collections::BTreeSet,
    future::poll_fn,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    pin::{Pin, pin},
    sync::{Arc, Mutex, mpsc},
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use amqp1_driver::{
    aio::{Connection, Options, Receiver, RequestResponse, Runtime, Sender},
    client::{Error, Outcome, Waiting},
    program::{
        Body, ConnectionOptions, Context, Delivery, Handler, Knobs, Link, LinkConfig, ListenerId, Message,
        SenderId, SessionConfig, SourceAddress, Str, Url, Value,
        types::{self, Modified, ReceiverSettleMode, SenderSettleMode, condition},
    },
};
use futures_core::Stream;

use crate::{
    driver::{AsyncDriver, Setup, within_patience},
    server::Server,
};

/// Runs a story to its end, or fails.
fn tell<A: AsyncDriver, F: Future<Output = ()>>(story: impl FnOnce() -> F + Send + 'static) {
    within_patience(|| A::block_on(story()));
}

async fn connect<A: AsyncDriver>(url: &Url) -> Connection {
    Options::default().connect::<A::Runtime, _>(url).await.unwrap()
}

/// A connection with a sender to, and a receiver from, the same queue.
async fn queue<A: AsyncDriver>(server: &Server) -> (Connection, Sender, Receiver) {
    let connection = connect::<A>(&server.url).await;
    let sender = connection.sender("queue").await.unwrap();
    let receiver = connection.receiver("queue").await.unwrap();
    (connection, sender, receiver)
}

const fn quick() -> Duration {
    Duration::from_millis(300)
}

pub fn hello_world<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::start::<A>();
        let connection = connect::<A>(&server.url).await;
        let receiver = connection.receiver("examples").await.unwrap();
        let sender = connection.sender("examples").await.unwrap();
        sender.send("Hello World!").await.unwrap().accepted().unwrap();
        let delivery = receiver.recv().await.unwrap();
        assert_eq!(delivery.message().unwrap().body().to_string(), "Hello World!");
        delivery.accept().await.unwrap();
        connection.close().await.unwrap();
        connection.close().await.unwrap();
        assert!(matches!(sender.send("too late").await, Err(Error::Closed(None))));
        assert!(matches!(receiver.recv().await, Err(Error::Closed(None))));
    });
}

/// Runs a server for the rest of the test program.
fn serve<A: AsyncDriver>(server: impl Handler + Send + 'static) -> Url {
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
    thread::spawn(move || A::run(Listen(server, sender), Setup::default()));
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

pub fn every_message_gets_the_outcome_that_its_receiver_gives<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let connection = connect::<A>(&serve::<A>(Judge)).await;
        let sender = connection.sender("anything").await.unwrap();
        assert_eq!(sender.send("accept").await.unwrap(), Outcome::Accepted);
        assert_eq!(sender.send("release").await.unwrap(), Outcome::Released);
        assert!(matches!(sender.send("modify").await.unwrap(), Outcome::Modified(_)));
        let rejected = sender.send("reject").await.unwrap();
        assert_eq!(rejected.to_string(), "rejected: not to my taste (amqp:not-allowed)");
        assert!(matches!(rejected.accepted(), Err(Error::NotAccepted(_))));

        // And the other way: what a receiver here says reaches the sender there.
        let server = Server::start::<A>();
        let (_connection, sender, receiver) = queue::<A>(&server).await;
        for _ in 0..4 {
            sender.send("to be judged").await.unwrap().accepted().unwrap();
        }
        receiver.recv().await.unwrap().accept().await.unwrap();
        receiver.recv().await.unwrap().reject(Some(error("spoilt"))).await.unwrap();
        receiver.recv().await.unwrap().release().await.unwrap();
        receiver.recv().await.unwrap().modify(Modified::default()).await.unwrap();
    });
}

pub fn messages_of_all_sizes_come_back_as_they_went<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::start::<A>();
        let (_connection, sender, receiver) = queue::<A>(&server).await;
        for size in [0, 1, 255, 256, 1_023, 65_536, 131_000, 131_072, 131_100, 1_000_000, 10_000_000] {
            let body: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            sender.send(Message::new(Body::data(body.clone()))).await.unwrap().accepted().unwrap();
            let delivery = receiver.recv().await.unwrap();
            assert_eq!(delivery.decode().unwrap().body, Body::data(body), "{size}");
            delivery.accept().await.unwrap();
        }
    });
}

pub fn many_messages_may_be_on_their_way<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::start::<A>();
        let (_connection, sender, receiver) = queue::<A>(&server).await;
        let mut submitted = Vec::new();
        for number in 0..500_u32 {
            submitted.push(sender.submit(Value::from(number)).await.unwrap());
        }
        for (number, submitted) in submitted.into_iter().enumerate() {
            // Of every other one nobody asks what became of it.
            if number % 2 == 0 {
                submitted.outcome().await.unwrap().accepted().unwrap();
            }
        }
        for number in 0..500 {
            let delivery = receiver.recv().await.unwrap();
            assert_eq!(delivery.message().unwrap().body().to_string(), number.to_string());
            delivery.accept().await.unwrap();
        }
    });
}

pub fn w_14_a_message_is_written_and_read_in_pieces<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::start::<A>();
        let connection = connect::<A>(&server.url).await;
        let sender = connection.sender("pieces").await.unwrap();
        let size = 8 << 20;
        let properties = [("kind", "film")].into_iter().collect();
        let head = Message { application_properties: Some(properties), ..Message::default() };
        let mut writer = sender.stream_data(&head, size).await.unwrap();
        for piece in 0..size / 4096 {
            writer.write_piece(vec![piece as u8; 4096]).await.unwrap();
        }
        writer.finish().await.unwrap().accepted().unwrap();

        let receiver = connection.receiver("pieces").await.unwrap();
        let mut reader = receiver.stream().await.unwrap();
        // How many pieces it takes is a matter of how fast who is.
        let mut bytes = Vec::new();
        while let Some(piece) = reader.read_piece().await.unwrap() {
            bytes.extend_from_slice(&piece);
        }
        reader.finish().accept().await.unwrap();
        let message = Message::decode(&bytes.into()).unwrap();
        assert_eq!(message.application_properties, head.application_properties);
        let Body::Data(parts) = message.body else { panic!("no data") };
        assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), size as usize);
        assert!(parts[0].chunks(4096).enumerate().all(|(piece, bytes)| bytes == [piece as u8; 4096]));
    });
}

pub fn w_14_a_message_given_up_in_the_middle_never_was<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::start::<A>();
        let (_connection, sender, receiver) = queue::<A>(&server).await;
        let mut writer = sender.stream().await.unwrap();
        writer.write_piece(vec![0; 1000]).await.unwrap();
        drop(writer);
        sender.send("the next").await.unwrap().accepted().unwrap();
        let delivery = receiver.recv().await.unwrap();
        assert_eq!(delivery.message().unwrap().body().to_string(), "the next");
        delivery.accept().await.unwrap();
    });
}

pub fn l_01_all_three_guarantees<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::start::<A>();
        let connection = connect::<A>(&server.url).await;
        let at_most_once = LinkConfig {
            snd_settle_mode: SenderSettleMode::Settled,
            ..LinkConfig::sender(connection.link_name(), "once")
        };
        let sender = connection.attach_sender(at_most_once).await.unwrap();
        assert_eq!(sender.send("settled").await.unwrap(), Outcome::Settled);
        sender.close().await.unwrap();

        let exactly_once = LinkConfig {
            rcv_settle_mode: ReceiverSettleMode::Second,
            ..LinkConfig::sender(connection.link_name(), "once")
        };
        let sender = connection.attach_sender(exactly_once).await.unwrap();
        assert_eq!(sender.send("twice confirmed").await.unwrap(), Outcome::Accepted);

        let exactly_once = LinkConfig {
            rcv_settle_mode: ReceiverSettleMode::Second,
            ..LinkConfig::receiver(connection.link_name(), "once")
        };
        let receiver = connection.attach_receiver(exactly_once, 10).await.unwrap();
        receiver.recv().await.unwrap().accept().await.unwrap();
        receiver.recv().await.unwrap().accept().await.unwrap();
        receiver.close().await.unwrap();
    });
}

pub fn several_tasks_share_a_connection<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::start::<A>();
        let (connection, sender, receiver) = queue::<A>(&server).await;
        let senders: Vec<_> = (0..4_u32)
            .map(|task| (task, sender.clone()))
            .map(|(task, sender)| {
                A::spawn(async move {
                    for number in 0..100 {
                        sender.send(Value::from(task * 100 + number)).await.unwrap().accepted().unwrap();
                    }
                })
            })
            .collect();
        let receivers: Vec<_> = (0..4)
            .map(|_| receiver.clone())
            .map(|receiver| {
                A::spawn(async move {
                    let mut seen = Vec::new();
                    for _ in 0..100 {
                        let delivery = receiver.recv().await.unwrap();
                        seen.push(delivery.message().unwrap().body().to_string());
                        delivery.accept().await.unwrap();
                    }
                    seen
                })
            })
            .collect();
        for sender in senders {
            sender.await;
        }
        let mut seen = BTreeSet::new();
        for receiver in receivers {
            seen.extend(receiver.await);
        }
        assert_eq!(seen.len(), 400);
        connection.close().await.unwrap();
    });
}

pub fn deliveries_are_a_stream<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::start::<A>();
        let (connection, sender, mut receiver) = queue::<A>(&server).await;
        let submitting = A::spawn(async move {
            for number in 0..50_u32 {
                sender.send(Value::from(number)).await.unwrap().accepted().unwrap();
            }
            connection.close().await.unwrap();
        });
        let mut number = 0;
        while let Some(delivery) = poll_fn(|cx| Pin::new(&mut receiver).poll_next(cx)).await {
            let delivery = delivery.unwrap();
            assert_eq!(delivery.message().unwrap().body().to_string(), number.to_string());
            number += 1;
            // The connection may be closed before the last ones are settled.
            let _ = delivery.accept().await;
        }
        submitting.await;
        assert!(number > 0, "the stream ends with the connection");
    });
}

pub fn credit_is_given_by_hand_and_drained<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::start::<A>();
        let connection = connect::<A>(&server.url).await;
        let sender = connection.sender("by hand").await.unwrap();
        for number in 0..5_u32 {
            sender.send(Value::from(number)).await.unwrap().accepted().unwrap();
        }
        let config = LinkConfig::receiver(connection.link_name(), "by hand");
        let receiver = connection.attach_receiver(config, 0).await.unwrap();
        assert_eq!(receiver.credit().unwrap(), 0);
        let waited = receiver.with_timeout(Duration::from_millis(50)).recv().await;
        assert!(matches!(waited, Err(Error::TimedOut(Waiting::Message))));

        receiver.add_credit(2).unwrap();
        for _ in 0..2 {
            receiver.recv().await.unwrap().accept().await.unwrap();
        }
        let waited = receiver.with_timeout(Duration::from_millis(50)).recv().await;
        assert!(matches!(waited, Err(Error::TimedOut(Waiting::Message))), "none was asked for");

        receiver.add_credit(10).unwrap();
        receiver.drain().await.unwrap();
        assert_eq!(receiver.credit().unwrap(), 0);
        for _ in 0..3 {
            // All that there was has come: it takes no time.
            receiver.with_timeout(Duration::ZERO).recv().await.unwrap().accept().await.unwrap();
        }
        assert!(receiver.with_timeout(Duration::ZERO).recv().await.is_err());
    });
}

pub fn sessions_end_with_their_links_and_no_others<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::start::<A>();
        let (connection, sender, receiver) = queue::<A>(&server).await;
        let session = connection.session(SessionConfig::default()).await.unwrap();
        let other = session.sender("queue").await.unwrap();
        other.send("on its own session").await.unwrap().accepted().unwrap();
        session.end().await.unwrap();
        session.end().await.unwrap();
        assert!(matches!(other.send("too late").await, Err(Error::Ended(None))));
        assert!(matches!(session.receiver("queue").await, Err(Error::Ended(None))));
        sender.send("on the first one").await.unwrap().accepted().unwrap();
        for _ in 0..2 {
            receiver.recv().await.unwrap().accept().await.unwrap();
        }
        connection.close().await.unwrap();
    });
}

/// Answers requests in capitals.
struct Service {
    replies: Option<SenderId>,
}

impl Handler for Service {
    fn on_link_opening(&mut self, cx: &mut Context<'_>, link: Link) {
        if let Link::Sender(sender) = link {
            cx.open_link(link, SourceAddress("replies")).unwrap();
            self.replies = Some(sender);
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        let request = delivery.decode().unwrap();
        assert_eq!(request.reply_to().map(Str::as_str), Some("replies"));
        let Body::Value(Value::String(text)) = &request.body else { panic!("no text") };
        let id = request.correlation_id().unwrap().clone();
        let reply = Message::from(text.as_str().to_uppercase()).with_correlation_id(id);
        cx.send(self.replies.unwrap(), &reply).unwrap();
    }
}

pub fn a_service_is_asked<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let connection = connect::<A>(&serve::<A>(Service { replies: None })).await;
        let mut service = RequestResponse::new(&connection, "service").await.unwrap();
        assert_eq!(service.reply_to(), "replies");
        // One that is given up does not get in the way of the next.
        assert!(poll_once(service.call("never heard")).await.is_none());
        for request in ["one", "two"] {
            let response = service.call(request).await.unwrap();
            assert_eq!(response.body.to_string(), request.to_uppercase());
        }
    });
}

pub fn r_07_every_call_has_a_deadline<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = silent.local_addr().unwrap().to_string().parse().unwrap();
        let start = Instant::now();
        let options = Options { timeout: quick(), ..Options::default() };
        let error = options.connect::<A::Runtime, _>(url).await.unwrap_err();
        assert!(matches!(error, Error::TimedOut(Waiting::Open)), "{error}");
        assert!((300..5_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());

        let miser = connect::<A>(&serve::<A>(Miser)).await.with_timeout(quick());
        let sender = miser.sender("anything").await.unwrap();
        let error = sender.send("nobody asked for it").await.unwrap_err();
        assert!(matches!(error, Error::TimedOut(Waiting::Credit)), "{error}");

        let server = Server::start::<A>();
        let (_connection, sender, receiver) = queue::<A>(&server).await;
        let patient = A::spawn(async move { receiver.recv().await });
        let empty = _connection.with_timeout(quick()).receiver("empty").await.unwrap();
        let start = Instant::now();
        let error = empty.recv().await.unwrap_err();
        assert!(matches!(error, Error::TimedOut(Waiting::Message)), "{error}");
        assert!((300..5_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        sender.send("at last").await.unwrap().accepted().unwrap();
        patient.await.unwrap().accept().await.unwrap();
    });
}

pub fn a_link_that_is_refused_is_told_and_harms_no_other<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let connection = connect::<A>(&serve::<A>(Porter)).await;
        for _ in 0..3 {
            let refused = connection.sender("refuse the link").await.unwrap_err();
            let text = "the peer refused or closed the link: no such queue (amqp:not-allowed)";
            assert_eq!(refused.to_string(), text);
            let refused = connection.receiver("refuse the link").await.unwrap_err();
            assert!(matches!(refused, Error::Detached(Some(_))), "{refused}");

            let good = connection.sender("good").await.unwrap();
            good.send("before").await.unwrap().accepted().unwrap();
            // As RabbitMQ does. The session is lost with all its links, the connection is not.
            let ended = match connection.receiver("end the session").await {
                Ok(receiver) => receiver.recv().await.unwrap_err(),
                Err(error) => error,
            };
            assert_eq!(ended.to_string(), "the peer ended the session: no such queue (amqp:not-allowed)");
            assert!(matches!(good.send("after").await, Err(Error::Ended(Some(_)))));
            let good = connection.sender("good").await.unwrap();
            good.send("on another session").await.unwrap().accepted().unwrap();
        }
        connection.close().await.unwrap();
    });
}

pub fn users_are_told_what_is_wrong<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let options = Options::default();
        let error = options.connect::<A::Runtime, _>("http://localhost").await.unwrap_err();
        assert!(error.to_string().starts_with("unknown scheme `http`"), "{error}");

        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = options.connect::<A::Runtime, _>(free.to_string().as_str()).await.unwrap_err();
        let text = format!("cannot connect to {free}: connection refused; check that a broker listens there");
        assert_eq!(error.to_string(), text);

        let error = options.connect::<A::Runtime, _>("no-such-host.invalid").await.unwrap_err();
        assert!(error.to_string().contains("the host's name is unknown"), "{error}");
    });
}

/// Stands between a client and a server, and can go away.
struct Relay {
    url: Url,
    sockets: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn start(to: &Url) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = listener.local_addr().unwrap().to_string().parse().unwrap();
        let sockets = Arc::new(Mutex::new(Vec::new()));
        let (kept, to) = (Arc::clone(&sockets), (to.host().to_owned(), to.port()));
        thread::spawn(move || {
            let (client, server) = (listener.accept().unwrap().0, TcpStream::connect(to).unwrap());
            kept.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
            let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    if into.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
            });
            let _ = std::io::copy(&mut &server, &mut &client);
        });
        Self { url, sockets }
    }

    fn cut(&self) {
        for socket in self.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

pub fn c_10_a_connection_that_breaks_ends_every_call<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::start::<A>();
        let relay = Relay::start(&server.url);
        let connection = connect::<A>(&relay.url).await;
        let receiver = connection.receiver("nothing").await.unwrap();
        let sender = connection.sender("nothing").await.unwrap();
        let waiting = A::spawn(async move { receiver.recv().await });
        A::Runtime::sleep(Duration::from_millis(50)).await;
        relay.cut();
        let error = waiting.await.unwrap_err();
        assert!(matches!(error, Error::Disconnected(_) | Error::Broken(_)), "{error}");
        sender.send("into the void").await.unwrap_err();
        assert!(connection.close().await.is_err(), "it was not closed but cut");
    });
}

/// Polls the future once, and drops it: what came of it, if anything did.
async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(found) => Poll::Ready(Some(found)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

pub fn l3_futures_that_are_dropped_lose_nothing<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::start::<A>();
        let (connection, sender, receiver) = queue::<A>(&server).await;

        // Receiving is given up again and again, in the middle of it: no message is lost, and each comes once.
        let submitting = A::spawn(async move {
            for number in 0..200_u32 {
                sender.send(Value::from(number)).await.unwrap().accepted().unwrap();
            }
            sender
        });
        let mut dropped = 0;
        for number in 0..200 {
            let delivery = loop {
                match poll_once(receiver.recv()).await {
                    Some(delivery) => break delivery.unwrap(),
                    None => dropped += 1,
                }
                A::Runtime::sleep(Duration::from_micros(100)).await;
            };
            assert_eq!(delivery.message().unwrap().body().to_string(), number.to_string());
            delivery.accept().await.unwrap();
        }
        assert!(dropped > 0);
        let sender = submitting.await;

        // A message whose outcome nobody waits for has been sent all the same, once.
        assert!(poll_once(sender.send("no outcome")).await.is_none());
        let delivery = receiver.recv().await.unwrap();
        assert_eq!(delivery.message().unwrap().body().to_string(), "no outcome");
        delivery.accept().await.unwrap();

        // One that waits for credit is not sent when its future is dropped.
        let miser = connect::<A>(&serve::<A>(Miser)).await;
        let waiting = miser.sender("anything").await.unwrap();
        assert!(poll_once(waiting.send("never")).await.is_none());
        assert!(poll_once(waiting.stream()).await.is_none());

        // Links that nobody waits for are closed again, and connections too.
        for _ in 0..20 {
            assert!(poll_once(connection.receiver("given up")).await.is_none());
            assert!(poll_once(Options::default().connect::<A::Runtime, _>(&server.url)).await.is_none());
        }
        assert!(poll_once(receiver.drain()).await.is_none());
        sender.send("still in use").await.unwrap().accepted().unwrap();
        receiver.recv().await.unwrap().accept().await.unwrap();
        let _ = poll_once(connection.close()).await;
        connection.close().await.unwrap();
    });
}

pub fn l3_a_runtime_that_stops_ends_every_call<A: AsyncDriver>() {
    within_patience(|| {
        let server = Server::start::<A>();
        let connection = A::block_on(async {
            let (connection, _sender, receiver) = queue::<A>(&server).await;
            (connection, receiver)
        });
        // With tokio, the task of the connection is gone with its runtime; async-std's runs on.
        let (connection, receiver) = connection;
        A::block_on(async {
            let receiver = receiver.with_timeout(quick());
            let error = receiver.recv().await.unwrap_err();
            assert!(matches!(error, Error::Broken(_) | Error::TimedOut(_)), "{error}");
            let _ = connection.close().await;
        });
    });
}

pub fn a_connection_stays_alive_while_nobody_calls<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let server = Server::with::<A>(ConnectionOptions {
            idle_time_out: Some(Duration::from_millis(400)),
            ..ConnectionOptions::default()
        });
        let mut options = Options::default();
        options.connection.idle_time_out = Some(Duration::from_millis(400));
        let connection = options.connect::<A::Runtime, _>(&server.url).await.unwrap();
        A::Runtime::sleep(Duration::from_millis(1_500)).await;
        let sender = connection.sender("still here").await.unwrap();
        sender.send("yes").await.unwrap().accepted().unwrap();
        connection.close().await.unwrap();
    });
}

pub fn tls_carries_it_all<A: AsyncDriver>() {
    tell::<A, _>(async || {
        let (server, tls) = Server::over_tls::<A>();
        let options = Options { tls, ..Options::default() };
        let connection = options.connect::<A::Runtime, _>(&server.url).await.unwrap();
        let sender = connection.sender("secret").await.unwrap();
        let receiver = connection.receiver("secret").await.unwrap();
        for size in [0, 1, 20_000, 3_000_000] {
            sender.send(vec![7; size]).await.unwrap().accepted().unwrap();
            let delivery = receiver.recv().await.unwrap();
            assert!(delivery.bytes().len() >= size);
            delivery.accept().await.unwrap();
        }
        connection.close().await.unwrap();

        let distrustful = Options::default().connect::<A::Runtime, _>(&server.url).await.unwrap_err();
        assert!(distrustful.to_string().contains("certificate"), "{distrustful}");
    });
}
