//! What is allocated for a message or an operation once all is warm, in a test program of its own: the allocator that
//! counts is the whole program's.

use std::{
    alloc::System,
    collections::VecDeque,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use amqp1_benches::{
    codec::Case,
    duplex::{Duplex, Work},
};
use amqp1_std::{
    AtLeastOnce, AtMostOnce, Body, ConnectionId, ConnectionOptions, Container, ContainerOptions, Context,
    Delivery, Handler, Knobs, LinkConfig, ListenerId, Message, SenderId, Url,
    blocking::{Connection, Submitted},
    connect,
};
use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Held by a test as long as it runs: tests of one program run side by side and would count each other's allocations.
static ALONE: Mutex<()> = Mutex::new(());

/// How often `work` allocates.
fn allocations(work: impl FnOnce()) -> usize {
    let region = Region::new(GLOBAL);
    work();
    let change = region.change();
    change.allocations + change.reallocations
}

/// How often a round of `work` allocates above the number that it returns, once its buffers are as long as they get. When that
/// is, is up to the system, which decides what a read brings and which thread runs; what each message takes is allocated in
/// every round.
fn excess(mut work: impl FnMut() -> usize) -> usize {
    let mut fewest = usize::MAX;
    for _ in 0..10 {
        let mut allowed = 0;
        let allocated = allocations(|| allowed = work());
        fewest = fewest.min(allocated.saturating_sub(allowed));
        if fewest == 0 {
            break;
        }
    }
    fewest
}

#[test]
fn the_codec_allocates_nothing() {
    let _alone = ALONE.lock();
    for case in Case::ALL {
        let mut codec = case.prepare();
        let mut encoded = Vec::new();
        codec.encode(1, &mut encoded);
        codec.decode(&encoded).unwrap();

        let decoding = allocations(|| assert!(codec.decode(&encoded).is_ok()));
        assert_eq!(decoding, 0, "decoding, {case:?}");

        encoded.clear();
        let encoding = allocations(|| codec.encode(2, &mut encoded));
        assert_eq!(encoding, 0, "encoding, {case:?}");
    }
}

/// The sizes of bodies and the largest frames; `false`: such a message needs more than one.
const FORMS: [(usize, u32, bool); 5] = [
    (10, 131_072, true),
    (100, 512, true),
    (1024, 131_072, true),
    (65_536, 131_072, true),
    (65_536, 16_384, false),
];

/// For a message in pieces: what the sender keeps of it, and what stands before its data; the receiver's list of the
/// pieces, in three parts, and the whole that they are put together to.
const IN_PIECES: usize = 6;

/// Beside that, what passes the bytes from one engine to the other here, as long as pieces share them.
const PASSED: usize = 2;

#[test]
fn two_engines_allocate_nothing_for_a_message_of_one_frame() {
    let _alone = ALONE.lock();
    for (size, max_frame_size, is_one_frame) in FORMS {
        let count = if size > 10_000 { 400 } else { 4_000 };
        let form = Work { size, max_frame_size, count: 4 * count, turn: 3, ..Work::default() };
        for (settled, raw) in [(false, false), (false, true), (true, false), (true, true)] {
            for (credit, links, unsettled) in [(1000, 1, 0), (7, 1, 0), (100, 20, 0), (100, 1, 50)] {
                let work = Work { settled, raw, credit, links, unsettled, ..form.clone() };
                let mut duplex = Duplex::new(&work);
                while duplex.done() < 2 * count {
                    assert!(duplex.pass(), "{work:?}");
                }
                let before = duplex.done();
                let allocated = allocations(|| while duplex.done() < 3 * count && duplex.pass() {});
                let messages = (duplex.done() - before) as usize;
                assert!(messages > 0, "{work:?}");
                let allowed = match (size, is_one_frame) {
                    // The output buffer may double once more: where it began to grow is chance.
                    (..=1024, _) => 1,
                    // Output that never runs empty grows until its front is worth cutting off.
                    (_, true) => messages / 100,
                    (_, false) => (IN_PIECES + PASSED) * messages,
                };
                assert!(allocated <= allowed, "{allocated} for {messages} messages, {work:?}");
            }
        }
    }
}

struct Sending {
    to: Url,
    settled: bool,
    body: Bytes,
}

impl Handler for Sending {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect(&self.to);
        if self.settled {
            cx.create_sender(connection, ("bench", AtMostOnce));
        } else {
            cx.create_sender(connection, ("bench", AtLeastOnce));
        }
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while cx.credit(sender) > 0 {
            if cx.send(sender, &Message::new(Body::data(self.body.clone()))).is_err() {
                return;
            }
        }
    }
}

struct Receiving {
    credit: u32,
    address: Option<Url>,
    received: usize,
}

impl Handler for Receiving {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: self.credit, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen("127.0.0.1:0".parse::<Url>().unwrap());
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        self.address = address.parse().ok();
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        assert!(delivery.message().is_ok());
        self.received += 1;
    }
}

/// A container that listens, and where.
fn receiver(credit: u32, options: ContainerOptions) -> (Container<Receiving>, Url) {
    let mut receiver = Container::with_options(Receiving { credit, address: None, received: 0 }, options);
    loop {
        receiver.process(Duration::ZERO).unwrap();
        if let Some(address) = receiver.handler().address.take() {
            return (receiver, address);
        }
    }
}

#[test]
fn two_containers_allocate_nothing_for_a_message_of_one_frame() {
    let _alone = ALONE.lock();
    for (size, max_frame_size, is_one_frame) in FORMS {
        for (settled, credit) in [(false, 100), (false, 1000), (true, 100), (true, 1000)] {
            let connection = ConnectionOptions { max_frame_size, ..ConnectionOptions::default() };
            let options = ContainerOptions { connection, ..ContainerOptions::default() };
            let (mut receiver, to) = receiver(credit, options.clone());
            let sending = Sending { to, settled, body: vec![b'x'; size].into() };
            let mut sender = Container::with_options(sending, options);
            let mut receive = |count: usize| {
                let end = receiver.handler().received + count;
                while receiver.handler().received < end {
                    sender.process(Duration::ZERO).unwrap();
                    receiver.process(Duration::ZERO).unwrap();
                }
                receiver.handler().received - (end - count)
            };
            let excess = excess(|| {
                let messages = receive(5_000);
                // Now and then pieces share all the blocks that there are to read into.
                if is_one_frame { 0 } else { IN_PIECES * messages + messages / 20 }
            });
            assert_eq!(
                excess, 0,
                "for 5,000 of {size} B, frames of {max_frame_size}, credit {credit}, {settled}"
            );
        }
    }
}

/// A container for clients: it takes what they send, and sends all that they grant credit for.
struct Serving {
    address: mpsc::Sender<String>,
    body: Bytes,
    credit: u32,
    listener: Option<ListenerId>,
}

impl Handler for Serving {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: self.credit, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.listener = Some(cx.listen("127.0.0.1:0".parse::<Url>().unwrap()));
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        self.address.send(address.into()).unwrap();
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while cx.credit(sender) > 0 {
            if cx.send(sender, &Message::new(Body::data(self.body.clone()))).is_err() {
                return;
            }
        }
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        assert!(delivery.message().is_ok());
    }

    fn on_connection_closed(&mut self, cx: &mut Context<'_>, _: ConnectionId) {
        if let Some(listener) = self.listener.take() {
            cx.close(listener);
        }
    }
}

/// So many messages pass through the blocking interface in a round.
const COUNT: usize = 4_000;

/// How often `work` for [`COUNT`] messages allocates, its server's part included, once it has been done often enough.
fn blocking<W: FnMut()>(size: usize, credit: u32, prepare: impl FnOnce(&Connection, Bytes) -> W) -> usize {
    let body = Bytes::from(vec![b'x'; size]);
    let (sender, address) = mpsc::channel();
    let serving = Serving { address: sender, body: body.clone(), credit, listener: None };
    let server = thread::spawn(|| Container::new(serving).run().unwrap());
    let connection = connect(&*address.recv().unwrap()).unwrap();
    let mut work = prepare(&connection, body);
    let allocated = excess(|| {
        (0..COUNT).for_each(|_| work());
        0
    });
    connection.close().unwrap();
    server.join().unwrap();
    allocated
}

#[test]
fn the_blocking_interface_allocates_nothing_for_a_message() {
    let _alone = ALONE.lock();
    for (size, credit) in [(100, 1000), (1024, 1000), (1024, 10)] {
        let received = blocking(size, credit, |connection, _| {
            let receiver =
                connection.attach_receiver(LinkConfig::receiver("bench", "bench"), credit).unwrap();
            move || {
                let delivery = receiver.recv().unwrap();
                assert!(delivery.message().is_ok());
                delivery.accept().unwrap();
            }
        });
        let submitted = blocking(size, credit, |connection, body| {
            let sender = connection.sender("bench").unwrap();
            let mut open = VecDeque::new();
            move || {
                if open.len() == 500 {
                    let first: Submitted = open.pop_front().unwrap();
                    first.outcome().unwrap().accepted().unwrap();
                }
                open.push_back(sender.submit(Message::new(Body::data(body.clone()))).unwrap());
            }
        });
        let sent = blocking(size, credit, |connection, body| {
            let sender = connection.sender("bench").unwrap();
            move || sender.send(Message::new(Body::data(body.clone()))).unwrap().accepted().unwrap()
        });
        for (what, allocated) in [("received", received), ("submitted", submitted), ("sent", sent)] {
            assert_eq!(allocated, 0, "{allocated} for {COUNT} {what} of {size} B, credit {credit}");
        }
    }
}
