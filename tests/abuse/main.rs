//! A: peers that mean harm, against the broker, with one beside them that means none.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, TryRecvError},
    },
    thread,
    time::Instant,
};

use amqp1_engine::message::MessageIdRef;
use amqp1_examples::broker::{Broker, Limits, RunningBroker};
use amqp1_std::{
    LinkConfig, Message, Url,
    blocking::{Connection, Error, Options},
    types::Source,
};
use amqp1_tests::prelude::{
    Attach, Duration, Flow, Frame, Handle, Role, attach, begin, condition, flow, open,
};

const SOON: Duration = Duration::from_secs(30);

/// Tests of time and memory take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(limits: Limits) -> RunningBroker {
    let url: Url = "127.0.0.1:0".parse().unwrap();
    Broker::new(url).with_limits(limits).spawn().unwrap()
}

fn connect(broker: &RunningBroker) -> Connection {
    Options { timeout: SOON, ..Options::default() }.connect(broker.address()).unwrap()
}

/// A client that passes messages to itself through the broker, one at a time.
struct Neighbour {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<(u32, Duration)>,
}

impl Neighbour {
    fn of(broker: &RunningBroker) -> Self {
        let connection = connect(broker);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let sender = connection.sender("neighbour").unwrap();
            let receiver = connection.receiver("neighbour").unwrap();
            let (mut count, mut worst) = (0, Duration::ZERO);
            while count <= 10 || !stopped.load(Relaxed) {
                let begun = Instant::now();
                sender.send("hello").unwrap().accepted().unwrap();
                receiver.recv().unwrap().accept().unwrap();
                worst = worst.max(begun.elapsed());
                count += 1;
                thread::sleep(Duration::from_millis(5));
            }
            (count, worst)
        });
        Self { stop, thread }
    }

    /// It went on all the time.
    fn was_undisturbed(self) {
        self.stop.store(true, Relaxed);
        let (count, worst) = self.thread.join().expect("its messages pass");
        assert!(worst < Duration::from_secs(1), "of {count} messages the slowest took {worst:?}");
    }
}

fn bytes_of(frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
    frames.into_iter().fold(b"AMQP\0\x01\0\0".to_vec(), |mut bytes, frame| {
        bytes.extend(frame.encode());
        bytes
    })
}

/// How often what is short by default is to be repeated.
fn times() -> usize {
    std::env::var("AMQP1_CASES").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[test]
fn a1_a_thousand_peers_that_dribble_or_stop_in_the_handshake_are_dropped_in_time() {
    const LIMIT: Duration = Duration::from_secs(3);
    let _turn = alone();
    let broker = start(Limits { handshake: LIMIT, ..Limits::default() });
    let neighbour = Neighbour::of(&broker);
    // At a byte each tenth of a second the open takes longer than the limit.
    let opening = bytes_of([open(&"a long name ".repeat(20)).into()]);
    let (met, strangers) = mpsc::channel::<(TcpStream, Instant)>();
    // They are dropped in the order in which they came.
    let watcher = thread::spawn(move || {
        for (n, (mut socket, begun)) in strangers.iter().enumerate() {
            socket.set_read_timeout(Some(SOON)).unwrap();
            // A reset is an end as well.
            let _ = socket.read_to_end(&mut Vec::new());
            let lasted = begun.elapsed();
            let in_time = LIMIT - Duration::from_millis(50)..LIMIT + Duration::from_secs(1);
            assert!(in_time.contains(&lasted), "stranger {n} was dropped after {lasted:?}");
        }
    });
    let (dribbles, dribbling) = mpsc::channel::<TcpStream>();
    let rest = opening[20..].to_vec();
    let dribbler = thread::spawn(move || {
        let mut sockets = Vec::new();
        for byte in rest.into_iter().cycle() {
            thread::sleep(Duration::from_millis(100));
            loop {
                match dribbling.try_recv() {
                    Ok(socket) => sockets.push(socket),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            // Fails once the broker has dropped it.
            sockets.retain_mut(|socket| socket.write_all(&[byte]).is_ok());
        }
    });
    for n in 0..1_000 {
        let mut socket = TcpStream::connect(broker.address()).unwrap();
        let begun = Instant::now();
        socket.write_all(&opening[..[0, 4, 8, 20][n % 4]]).unwrap();
        if n % 4 == 3 {
            dribbles.send(socket.try_clone().unwrap()).unwrap();
        }
        met.send((socket, begun)).unwrap();
        // As fast as they are accepted, or they wait for that in the system's queue, whose time is not the broker's.
        thread::sleep(Duration::from_millis(2));
    }
    drop(met);
    watcher.join().expect("all are dropped in time");
    drop(dribbles);
    dribbler.join().unwrap();
    neighbour.was_undisturbed();
}

#[test]
fn a2_a_consumer_that_never_reads_is_sent_no_more_than_fits_and_dropped_when_idle() {
    const MESSAGES: usize = 400;
    let _turn = alone();
    let broker = start(Limits { silence: Duration::from_secs(2), ..Limits::default() });
    let connection = connect(&broker);
    let sender = connection.sender("much").unwrap();
    for n in 0..MESSAGES as u64 {
        sender.send(Message::from(vec![0; 64 * 1024]).with_id(n)).unwrap().accepted().unwrap();
    }
    let neighbour = Neighbour::of(&broker);
    let source = Some(Box::new(Source { address: Some("much".into()), ..Source::default() }));
    let credit = Flow { handle: Some(Handle(0)), link_credit: Some(100_000), ..flow(u32::MAX, 0, 0) };
    let mut glutton = TcpStream::connect(broker.address()).unwrap();
    let greedy = [
        open("glutton").into(),
        begin(0, u32::MAX, 0).into(),
        Attach { source, ..attach("all", 0, Role::Receiver) }.into(),
        credit.into(),
    ];
    glutton.write_all(&bytes_of(greedy)).unwrap();
    // What it has not settled, which is all, comes to who does read once it is dropped.
    let receiver = connection.receiver("much").unwrap();
    let mut seen = Vec::new();
    while seen.len() < MESSAGES {
        let delivery = receiver.recv().unwrap();
        match delivery.message().unwrap().properties().unwrap().message_id {
            Some(MessageIdRef::Ulong(id)) => seen.push(id),
            other => panic!("{other:?}"),
        }
        delivery.accept().unwrap();
    }
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..MESSAGES as u64), "each of them once");
    neighbour.was_undisturbed();
    let mut rest = Vec::new();
    glutton.set_read_timeout(Some(SOON)).unwrap();
    let _ = glutton.read_to_end(&mut rest);
    assert!(rest.len() < MESSAGES * 64 * 1024 / 2, "{} bytes had been sent to it", rest.len());
}

#[test]
fn a3_peers_that_connect_and_reset_leave_nothing_open() {
    let _turn = alone();
    let broker = start(Limits::default());
    let neighbour = Neighbour::of(&broker);
    let before = open_files();
    let stages: [Vec<u8>; 4] = [
        Vec::new(),
        b"AMQP\0\x01\0\0".to_vec(),
        bytes_of([open("gone").into()]),
        bytes_of([open("gone").into(), begin(0, 10, 10).into(), attach("link", 0, Role::Sender).into()]),
    ];
    for n in 0..1_000 * times() {
        let mut socket = TcpStream::connect(broker.address()).unwrap();
        socket.write_all(&stages[n % 4]).unwrap();
        // Dropped with nothing to wait for, it is reset.
        rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
    }
    let waiting = Instant::now();
    while open_files() > before && waiting.elapsed() < SOON {
        thread::sleep(Duration::from_millis(50));
    }
    assert!(open_files() <= before, "{} files are open, {before} were", open_files());
    neighbour.was_undisturbed();
}

#[test]
fn a3_a_receiver_that_never_settles_gets_as_much_as_may_be_unsettled() {
    const MESSAGES: usize = 12_000;
    let _turn = alone();
    let broker = start(Limits::default());
    let connection = connect(&broker);
    let sender = connection.sender("q").unwrap();
    for _ in 0..MESSAGES / 1_000 {
        let submitted: Vec<_> = (0..1_000).map(|_| sender.submit("m").unwrap()).collect();
        submitted.into_iter().for_each(|submitted| submitted.outcome().unwrap().accepted().unwrap());
    }
    let neighbour = Neighbour::of(&broker);
    let hog = connect(&broker);
    let unsettled = hog.attach_receiver(LinkConfig::receiver("hog", "q"), 20_000).unwrap();
    let held: Vec<_> = (0..10_000).map(|_| unsettled.recv().unwrap()).collect();
    let more = unsettled.recv_timeout(Duration::from_millis(300));
    assert!(matches!(more, Err(Error::TimedOut(_))), "{more:?}");
    let receiver = connection.receiver("q").unwrap();
    for _ in held.len()..MESSAGES {
        receiver.recv().unwrap().accept().unwrap();
    }
    neighbour.was_undisturbed();
}

#[test]
fn a3_nodes_are_made_on_request_up_to_a_limit() {
    let _turn = alone();
    let broker = start(Limits { queues: 100, ..Limits::default() });
    let connection = connect(&broker);
    let dynamic = |n: usize| {
        let source = Some(Box::new(Source { dynamic: true, ..Source::default() }));
        let config = LinkConfig { source, ..LinkConfig::receiver(format!("{n}"), "") };
        connection.attach_receiver(config, 1)
    };
    for round in 0..20 * times() {
        let nodes: Vec<_> = (0..100).map(|n| dynamic(n).unwrap()).collect();
        match dynamic(100) {
            Err(Error::Detached(Some(error))) => {
                assert_eq!(error.condition, condition::RESOURCE_LIMIT_EXCEEDED)
            }
            other => panic!("round {round}: {other:?}"),
        }
        nodes.into_iter().for_each(|node| node.close().unwrap());
    }
}
