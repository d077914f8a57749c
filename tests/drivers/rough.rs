//! Sockets that do as little as they may.

use std::{
    any::Any,
    io::{self, IoSlice, Read, Write},
    marker::PhantomData,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

use amqp1_driver::{
    aio::{self, Options, Runtime, Socket},
    program::{Context as Cx, Delivery, Handler, InjectError, ListenerId, Message, SenderId, Tracker, Url},
};

use crate::{
    driver::{AsyncDriver, Driver, Setup, within_patience},
    server::Server,
};

/// Sends messages to a queue and takes them back, one size after the other.
struct RoundTrip {
    server: Url,
    sizes: Vec<usize>,
    sent: usize,
    accepted: usize,
    received: Vec<usize>,
    wakings: usize,
}

impl RoundTrip {
    fn new(server: Url) -> Self {
        let sizes = (0..60).map(|n| [0, 1, 30, 300][n % 4] + n).collect();
        Self { server, sizes, sent: 0, accepted: 0, received: Vec::new(), wakings: 0 }
    }

    fn check(&self) {
        assert_eq!(self.received, self.sizes);
        assert_eq!(self.accepted, self.sizes.len());
    }

    fn end(&self, cx: &mut Cx<'_>) {
        if self.received.len() == self.sizes.len() && self.accepted == self.sizes.len() {
            cx.stop();
        }
    }
}

impl Handler for RoundTrip {
    fn on_start(&mut self, cx: &mut Cx<'_>) {
        let connection = cx.connect(&self.server);
        cx.create_receiver(connection, "rough");
        cx.create_sender(connection, "rough");
    }

    fn on_sendable(&mut self, cx: &mut Cx<'_>, sender: SenderId) {
        while self.sent < self.sizes.len() && cx.credit(sender) > 0 {
            cx.send(sender, &Message::from(vec![7; self.sizes[self.sent]])).expect("there is credit");
            self.sent += 1;
        }
    }

    fn on_message(&mut self, cx: &mut Cx<'_>, delivery: &Delivery<'_>) {
        let message = Message::decode(&delivery.payload().clone().into_bytes()).unwrap();
        let amqp1_driver::program::Body::Data(data) = message.body else { panic!("no data") };
        self.received.push(data.iter().map(|part| part.len()).sum());
        self.end(cx);
    }

    fn on_accepted(&mut self, cx: &mut Cx<'_>, _: &Tracker) {
        self.accepted += 1;
        self.end(cx);
    }

    fn on_injected(&mut self, _: &mut Cx<'_>, _: Box<dyn Any + Send>) {
        self.wakings += 1;
    }
}

/// A way to a server on which every byte travels alone.
fn trickle(to: &Url) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = listener.local_addr().unwrap().to_string().parse().unwrap();
    let to = (to.host().to_owned(), to.port());
    thread::spawn(move || {
        let (client, server) = (listener.accept().unwrap().0, TcpStream::connect(to).unwrap());
        let both = [(&client, &server), (&server, &client)];
        let ways = both.map(|(from, into)| (from.try_clone().unwrap(), into.try_clone().unwrap()));
        for (mut from, mut into) in ways {
            into.set_nodelay(true).unwrap();
            thread::spawn(move || {
                let mut buffer = [0; 512];
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    if buffer[..count].iter().any(|byte| into.write_all(&[*byte]).is_err()) {
                        break;
                    }
                }
                let _ = into.shutdown(Shutdown::Write);
            });
        }
    });
    url
}

pub fn a4_bytes_that_come_one_at_a_time_and_wakings_without_cause_lose_nothing<D: Driver>() {
    within_patience(|| {
        let server = Server::start::<D>();
        let (sender, injector) = mpsc::channel();
        let wakes = thread::spawn(move || {
            let injector: amqp1_driver::Injector = injector.recv().unwrap();
            while injector.inject(()) != Err(InjectError::Stopped) {
                thread::sleep(Duration::from_micros(300));
            }
        });
        let setup = Setup { injector: Some(sender), ..Setup::default() };
        let wakings = D::steps(RoundTrip::new(trickle(&server.url)), setup, |round_trip| {
            round_trip.check();
            round_trip.wakings
        });
        assert!(wakings > 0);
        wakes.join().unwrap();
    });
}

/// A runtime whose sockets read and write a few bytes at a time, and wake without cause.
struct Rough<A>(PhantomData<A>);

struct RoughSocket<S> {
    socket: S,
    state: u64,
}

static SEED: AtomicU64 = AtomicU64::new(1);

impl<S> RoughSocket<S> {
    fn new(socket: S) -> Self {
        Self { socket, state: SEED.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % below
    }

    /// Whether it says that it is not ready though it is, and wakes at once.
    fn balks(&mut self, cx: &mut Context<'_>) -> bool {
        let balks = self.draw(4) == 0;
        if balks {
            cx.waker().wake_by_ref();
        }
        balks
    }
}

impl<S: Socket> Socket for RoughSocket<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.balks(cx) {
            return Poll::Pending;
        }
        let len = buffer.len().min(1 + self.draw(3) as usize);
        self.socket.poll_read(cx, &mut buffer[..len])
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.balks(cx) {
            return Poll::Pending;
        }
        let Some(slice) = slices.iter().find(|slice| !slice.is_empty()) else { return Poll::Ready(Ok(0)) };
        let len = slice.len().min(1 + self.draw(5) as usize);
        self.socket.poll_write(cx, &[IoSlice::new(&slice[..len])])
    }

    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_shut_down(cx)
    }
}

impl<A: AsyncDriver> Runtime for Rough<A> {
    type Socket = RoughSocket<<A::Runtime as Runtime>::Socket>;
    type Listener = <A::Runtime as Runtime>::Listener;

    async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        A::Runtime::look_up(host, port).await
    }

    async fn connect(address: SocketAddr) -> io::Result<Self::Socket> {
        A::Runtime::connect(address).await.map(RoughSocket::new)
    }

    fn bind(address: SocketAddr) -> io::Result<Self::Listener> {
        A::Runtime::bind(address)
    }

    fn local_address(listener: &Self::Listener) -> io::Result<SocketAddr> {
        A::Runtime::local_address(listener)
    }

    async fn accept(listener: Arc<Self::Listener>) -> io::Result<Self::Socket> {
        A::Runtime::accept(listener).await.map(RoughSocket::new)
    }

    async fn sleep(duration: Duration) {
        A::Runtime::sleep(duration).await;
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        A::Runtime::spawn(task);
    }
}

/// Both ends over rough sockets.
struct Direct(Vec<usize>, usize, Option<ListenerId>);

impl Handler for Direct {
    fn on_start(&mut self, cx: &mut Cx<'_>) {
        self.2 = Some(cx.listen("127.0.0.1:0".parse::<Url>().unwrap()));
    }

    fn on_listening(&mut self, cx: &mut Cx<'_>, _: ListenerId, address: &str) {
        cx.create_sender(address.parse::<Url>().unwrap(), "rough");
    }

    fn on_sendable(&mut self, cx: &mut Cx<'_>, sender: SenderId) {
        while let Some(&size) = self.0.last()
            && cx.credit(sender) > 0
        {
            self.0.pop();
            cx.send(sender, &Message::from(vec![7; size])).expect("there is credit");
        }
    }

    fn on_accepted(&mut self, cx: &mut Cx<'_>, _: &Tracker) {
        self.1 += 1;
        if self.1 == 100 {
            cx.stop();
        }
    }
}

pub fn a4_sockets_that_do_as_little_as_they_may_lose_nothing<A: AsyncDriver>() {
    within_patience(|| {
        let server = Server::start::<A>();
        A::block_on(async {
            let direct = Direct((0..100).map(|n| n * 13 % 1_500).collect(), 0, None);
            let mut container = aio::Container::<_, Rough<A>>::new(direct);
            while container.process().await.unwrap() {}
            assert_eq!(container.handler().1, 100);

            let mut container = aio::Container::<_, Rough<A>>::new(RoundTrip::new(server.url.clone()));
            while container.process().await.unwrap() {}
            container.handler().check();

            let connection = Options::default().connect::<Rough<A>, _>(&server.url).await.unwrap();
            let sender = connection.sender("calls").await.unwrap();
            let receiver = connection.receiver("calls").await.unwrap();
            for size in [0, 1, 300, 5_000] {
                sender.send(vec![7; size]).await.unwrap().accepted().unwrap();
                receiver.recv().await.unwrap().accept().await.unwrap();
            }
            connection.close().await.unwrap();
        });
    });
}
