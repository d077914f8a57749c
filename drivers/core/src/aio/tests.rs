//! Calls that are given up at every await, over byte streams in memory and with a scheduler that knows when nothing moves.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    future::{self, poll_fn},
    io::{self, IoSlice},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use amqp1_engine::{
    LinkConfig, SessionConfig,
    container::{Context as Cx, Delivery, Handler, SenderId},
    message::{Body, Message},
    types::{ReceiverSettleMode, Role},
};
use bytes::Bytes;

use super::*;
use crate::{Url, client::Error};

type Task = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    static TASKS: RefCell<Vec<Task>> = RefCell::default();
    static LISTENERS: RefCell<Vec<Arc<Door>>> = RefCell::default();
}

/// Runs the future and all tasks in turn, until it is done. Everything is polled in every round: nothing here is about
/// wakers.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..20_000 {
        if let Poll::Ready(found) = future.as_mut().poll(&mut cx) {
            return found;
        }
        let mut tasks = TASKS.take();
        tasks.retain_mut(|task| task.as_mut().poll(&mut cx).is_pending());
        TASKS.with_borrow_mut(|new| {
            tasks.append(new);
            *new = tasks;
        });
    }
    panic!("nothing moves any more");
}

/// One direction of a byte stream.
#[derive(Debug, Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    closed: bool,
    reader: Option<Waker>,
}

/// One end of a byte stream in memory.
#[derive(Debug)]
struct Memory {
    from: Arc<Mutex<Pipe>>,
    into: Arc<Mutex<Pipe>>,
}

impl Memory {
    fn pair() -> (Self, Self) {
        let (one, other) = (Arc::<Mutex<Pipe>>::default(), Arc::<Mutex<Pipe>>::default());
        (Self { from: Arc::clone(&one), into: Arc::clone(&other) }, Self { from: other, into: one })
    }

    fn write(&self, bytes: &[u8], closes: bool) {
        let mut pipe = self.into.lock().unwrap();
        pipe.bytes.extend(bytes);
        pipe.closed |= closes;
        pipe.reader.take().into_iter().for_each(Waker::wake);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.write(&[], true);
    }
}

impl Socket for Memory {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut pipe = self.from.lock().unwrap();
        let len = buffer.len().min(pipe.bytes.len());
        if len == 0 && !pipe.closed {
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        buffer.iter_mut().zip(pipe.bytes.drain(..len)).for_each(|(to, byte)| *to = byte);
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // As a socket that is full every now and then: one frame head at a time.
        let slice = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
        let len = slice.len().min(4_096);
        self.write(&slice[..len], false);
        Poll::Ready(Ok(len))
    }

    fn poll_shut_down(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(&[], true);
        Poll::Ready(Ok(()))
    }
}

/// Where connections are accepted.
#[derive(Debug, Default)]
struct Door(Mutex<VecDeque<Memory>>);

struct InMemory;

impl Runtime for InMemory {
    type Socket = Memory;
    type Listener = Arc<Door>;

    async fn look_up(_: String, _: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }

    async fn connect(address: SocketAddr) -> io::Result<Memory> {
        let (ours, theirs) = Memory::pair();
        let door = LISTENERS.with_borrow(|all| all.get(usize::from(address.port()) - 1).cloned());
        door.ok_or(io::ErrorKind::ConnectionRefused)?.0.lock().unwrap().push_back(theirs);
        Ok(ours)
    }

    fn bind(_: SocketAddr) -> io::Result<Arc<Door>> {
        let door = Arc::<Door>::default();
        LISTENERS.with_borrow_mut(|all| all.push(Arc::clone(&door)));
        Ok(door)
    }

    fn local_address(listener: &Arc<Door>) -> io::Result<SocketAddr> {
        let at = LISTENERS.with_borrow(|all| all.iter().position(|door| Arc::ptr_eq(door, listener)));
        Ok(SocketAddr::from(([127, 0, 0, 1], u16::try_from(at.unwrap() + 1).unwrap())))
    }

    async fn accept(listener: Arc<Arc<Door>>) -> io::Result<Memory> {
        let accepted = poll_fn(|cx| match listener.0.lock().unwrap().pop_front() {
            Some(socket) => Poll::Ready(socket),
            None => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        });
        Ok(accepted.await)
    }

    async fn sleep(_: Duration) {
        // No test waits for a deadline.
        future::pending().await
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        TASKS.with_borrow_mut(|tasks| tasks.push(Box::pin(task)));
    }
}

/// Keeps what is sent to an address for whoever receives from it.
#[derive(Default)]
struct Queues {
    queues: BTreeMap<String, VecDeque<Bytes>>,
    consumers: Vec<SenderId>,
}

impl Queues {
    fn serve(&mut self, cx: &mut Cx<'_>, consumer: SenderId) {
        let Some(address) = cx.remote_source(consumer).and_then(|source| source.address) else { return };
        let Some(queue) = self.queues.get_mut(address.as_str()) else { return };
        while cx.credit(consumer) > 0
            && let Some(message) = queue.pop_front()
        {
            cx.send_payload(consumer, &message, 0).unwrap();
        }
    }
}

impl Handler for Queues {
    fn on_start(&mut self, cx: &mut Cx<'_>) {
        cx.listen("127.0.0.1:0".parse::<Url>().unwrap());
    }

    fn on_message(&mut self, cx: &mut Cx<'_>, delivery: &Delivery<'_>) {
        let address = cx.remote_address(delivery.receiver()).unwrap().to_owned();
        self.queues.entry(address).or_default().push_back(delivery.payload().clone().into_bytes());
        for consumer in self.consumers.clone() {
            self.serve(cx, consumer);
        }
    }

    fn on_sendable(&mut self, cx: &mut Cx<'_>, sender: SenderId) {
        if !self.consumers.contains(&sender) {
            self.consumers.push(sender);
        }
        self.serve(cx, sender);
    }
}

/// A server, and a connection to it.
async fn connect() -> Connection {
    LISTENERS.take();
    TASKS.take();
    let server = Container::<_, InMemory>::new(Queues::default());
    TASKS.with_borrow_mut(|tasks| tasks.push(Box::pin(async { server.run().await.unwrap() })));
    pause(5).await;
    Options::default().connect::<InMemory, _>("127.0.0.1:1").await.unwrap()
}

/// Lets the others move so many times.
async fn pause(mut rounds: u32) {
    poll_fn(|_| {
        rounds -= 1;
        if rounds == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// What comes of the future, if that takes no more than so many polls; else it is dropped in the middle.
async fn give_up<T>(polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// The connection works as if nothing had been given up: more messages than there is credit go and come back, after these.
async fn check(connection: &Connection, sender: &Sender, receiver: &Receiver, before: &[&str]) {
    assert_eq!(connection.shared().waiting(), 0, "somebody waits who is gone");
    let mut expected: Vec<_> = before.iter().map(|&text| text.to_owned()).collect();
    for number in 0..25 {
        expected.push(number.to_string());
        sender.send(number.to_string()).await.unwrap().accepted().unwrap();
    }
    for expected in expected {
        let delivery = receiver.recv().await.unwrap();
        assert_eq!(delivery.message().unwrap().body().to_string(), expected);
        delivery.accept().await.unwrap();
    }
    assert_eq!(connection.shared().waiting(), 0);
}

/// Gives the call up after each number of polls until it is done without, and says whether it ever was given up.
fn at_every_await<F: AsyncFn(u32) -> bool>(story: F) {
    for polls in 0..200 {
        if block_on(story(polls)) {
            assert!(polls > 0, "it never waited");
            return;
        }
    }
    panic!("it is never done");
}

async fn queue() -> (Connection, Sender, Receiver) {
    let connection = connect().await;
    let sender = connection.sender("queue").await.unwrap();
    let receiver = connection.receiver("queue").await.unwrap();
    (connection, sender, receiver)
}

#[test]
fn l3_what_is_being_made_is_given_up() {
    at_every_await(async |polls| {
        let (connection, sender, receiver) = queue().await;
        let made = give_up(polls, connection.sender("other")).await.is_some();
        give_up(polls, connection.receiver("other")).await;
        give_up(polls, connection.session(SessionConfig::default())).await;
        give_up(polls, Options::default().connect::<InMemory, _>("127.0.0.1:1")).await;
        check(&connection, &sender, &receiver, &[]).await;
        made
    });
}

#[test]
fn l3_a_message_is_sent_once_or_not_at_all() {
    at_every_await(async |polls| {
        let (connection, sender, receiver) = queue().await;
        let sent = give_up(polls, sender.send("given up")).await.is_some();
        pause(20).await;
        let before: &[_] = if polls == 0 { &[] } else { &["given up"] };
        check(&connection, &sender, &receiver, before).await;
        sent
    });
}

#[test]
fn l3_a_message_is_received_by_the_next_call() {
    at_every_await(async |polls| {
        let (connection, sender, receiver) = queue().await;
        sender.send("for somebody").await.unwrap().accepted().unwrap();
        let received = give_up(polls, receiver.recv()).await;
        let before: &[_] = if received.is_some() { &[] } else { &["for somebody"] };
        let done = received.is_some();
        if let Some(delivery) = received {
            delivery.unwrap().accept().await.unwrap();
        }
        check(&connection, &sender, &receiver, before).await;
        done
    });
}

#[test]
fn l3_a_settlement_that_nobody_waits_for_comes_all_the_same() {
    at_every_await(async |polls| {
        let (connection, sender, receiver) = queue().await;
        let config = LinkConfig {
            rcv_settle_mode: ReceiverSettleMode::Second,
            ..LinkConfig::receiver(connection.link_name(), "second")
        };
        let second = connection.attach_receiver(config, 10).await.unwrap();
        connection.sender("second").await.unwrap().send("x").await.unwrap().accepted().unwrap();
        let delivery = second.recv().await.unwrap();
        let settled = give_up(polls, delivery.accept()).await.is_some();
        pause(20).await;
        let unsettled = connection.shared().lock().state.session().unwrap().unsettled(Role::Receiver);
        assert_eq!(unsettled, 0, "{polls}");
        check(&connection, &sender, &receiver, &[]).await;
        settled
    });
}

#[test]
fn l3_pieces_are_written_whole_or_not_at_all() {
    at_every_await(async |polls| {
        let (connection, sender, receiver) = queue().await;
        let mut done = false;
        if let Some(writer) = give_up(polls, sender.stream()).await {
            let mut writer = writer.unwrap();
            let mut bytes = Vec::new();
            Message::default().encode_before_data(9, &mut bytes);
            bytes.extend_from_slice(b"in pieces");
            let wrote = give_up(polls, writer.write_piece(bytes)).await.is_some();
            if wrote {
                done = give_up(polls, writer.finish()).await.is_some();
                pause(20).await;
                let delivery = receiver.recv().await.unwrap();
                assert_eq!(delivery.decode().unwrap().body, Body::data("in pieces"));
                delivery.accept().await.unwrap();
            }
        }
        check(&connection, &sender, &receiver, &[]).await;
        done
    });
}

#[test]
fn l3_a_drain_and_a_close_go_on() {
    at_every_await(async |polls| {
        let (connection, sender, receiver) = queue().await;
        let drained = give_up(polls, receiver.drain()).await.is_some();
        pause(20).await;
        check(&connection, &sender, &receiver, &[]).await;
        give_up(polls, sender.close()).await;
        give_up(polls, connection.close()).await;
        connection.close().await.unwrap();
        assert!(matches!(receiver.recv().await, Err(Error::Closed(None))));
        assert_eq!(connection.shared().waiting(), 0);
        drained
    });
}

#[test]
fn l3_a_task_that_is_dropped_ends_every_call() {
    block_on(async {
        let (connection, sender, receiver) = queue().await;
        TASKS.take();
        assert!(matches!(receiver.recv().await, Err(Error::Broken(_))));
        assert!(matches!(sender.send("into the void").await, Err(Error::Broken(_))));
        assert!(connection.close().await.is_err());
    });
}
