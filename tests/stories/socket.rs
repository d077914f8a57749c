//! One script against an engine in memory, an engine behind a socket, a driver and a broker.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

use amqp1_examples::broker::Broker;
use amqp1_std::{Container, Context, Handler, ListenerId, Url};

use amqp1_tests::{Socket, Wire, prelude::*};
use bytes::Buf;

/// What a script asks of any server that answers a peer's open, begin and attach, and accepts messages.
fn script(peer: &mut Peer<impl Wire>) {
    let target = Target { address: Some("queue".into()), ..Target::default() };
    let target = Some(Box::new(target.into()));
    peer.send_header();
    peer.send_all([
        open("script").into(),
        begin(5, 100, 100).on(2),
        Attach { target, ..attach("link", 4, Role::Sender) }.on(2),
    ]);
    peer.expect_header();
    expect!(peer, Open { .. });
    expect!(peer, Begin { remote_channel: Some(2), .. });
    expect!(peer, Attach { role: Role::Receiver, .. });
    expect!(peer, Flow { link_credit: Some(1..), .. });
    peer.send(first(4, 0).on(2).with(&b"\x00\x53\x75\xa0\x05hello"[..]));
    peer.expect(settled(Role::Receiver, 0, DeliveryState::Accepted));
    peer.send(Close::default());
    peer.expect(Close::default());
    peer.expect_dropped();
}

/// Answers whatever the peer begins, and accepts every message: all that the script asks for.
fn obey(connection: &mut Connection) {
    while let Some(event) = connection.poll_event() {
        match event {
            Event::Opened => connection.open(),
            Event::SessionBegun(session) => {
                connection.session(session).unwrap().accept(SessionConfig::default()).unwrap();
            }
            Event::LinkAttached(link) => {
                let mut receiver = connection.receiver(link).unwrap();
                receiver.attach(LinkConfig::receiver("", "here")).unwrap();
                receiver.set_credit(10);
            }
            Event::Delivery(id) => {
                let mut receiver = connection.receiver(id.link()).unwrap();
                receiver.take(id).unwrap();
                receiver.accept(id).unwrap();
            }
            Event::Closed { .. } => connection.close(None),
            _ => {}
        }
    }
}

/// The least that a driver is: serves one connection on a blocking socket.
fn serve(mut stream: TcpStream) {
    let started = std::time::Instant::now();
    let now = || Instant::from_epoch(started.elapsed());
    let mut connection = Connection::new(Config::server("server"), now());
    let (mut input, mut buffer) = (BytesMut::new(), [0; 4_096]);
    while !connection.is_done() {
        obey(&mut connection);
        while let Some(mut transmit) = connection.poll_transmit(now()) {
            let written = stream.write(transmit.chunk()).unwrap();
            transmit.advance(written);
        }
        if connection.is_done() {
            return;
        }
        match stream.read(&mut buffer).unwrap() {
            0 => connection.handle_eof(now()),
            len => {
                input.extend_from_slice(&buffer[..len]);
                connection.handle_input(&mut input, now());
            }
        }
    }
}

/// A wire to an engine that obeys.
struct Obedient(Memory);

impl Wire for Obedient {
    fn send(&mut self, bytes: &[u8]) {
        self.0.send(bytes);
    }

    fn shut(&mut self) {
        self.0.shut();
    }

    fn receive(&mut self) -> Vec<u8> {
        obey(&mut self.0.engine);
        self.0.receive()
    }

    fn is_dropped(&mut self) -> bool {
        self.0.is_dropped()
    }
}

#[test]
fn a_script_runs_against_an_engine_in_memory() {
    for chunks in Chunks::all() {
        let memory = Memory::new(Config::server("server"), chunks, Default::default());
        script(&mut Peer::new(Obedient(memory)));
    }
}

#[test]
fn the_script_runs_against_an_engine_behind_a_socket() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || serve(listener.accept().unwrap().0));
    script(&mut Peer::new(Socket::connect(address)));
    server.join().unwrap();
}

/// A server of the std driver that listens, tells where, and leaves all else to the container.
struct Listener(mpsc::Sender<SocketAddr>);

impl Handler for Listener {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen("127.0.0.1:0".parse::<Url>().unwrap());
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        self.0.send(address.parse().unwrap()).unwrap();
    }
}

/// Where a server of the std driver listens. Its thread ends with the test program.
fn std_driver() -> SocketAddr {
    let (sender, address) = mpsc::channel();
    let mut container = Container::new(Listener(sender));
    thread::spawn(move || while container.process(None).unwrap() {});
    address.recv_timeout(Duration::from_secs(10)).unwrap()
}

#[test]
fn the_script_runs_against_the_std_driver() {
    script(&mut Peer::new(Socket::connect(std_driver())));
}

#[test]
fn the_script_runs_against_the_broker() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    script(&mut Peer::new(Socket::connect(broker.address().parse().unwrap())));
}

#[test]
fn m5_a_message_of_another_format_passes_the_broker_as_it_is_unless_it_must_say_where_to() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let mut peer = Peer::new(Socket::connect(broker.address().parse().unwrap()));
    let to = |address: Option<&'static str>| {
        Some(Box::new(Target { address: address.map(Into::into), ..Target::default() }.into()))
    };
    let from = Some(Box::new(Source { address: Some("q".into()), ..Source::default() }));
    peer.send_header();
    peer.send_all([
        open("script").into(),
        begin(0, 100, 100).into(),
        Attach { target: to(Some("q")), ..attach("named", 0, Role::Sender) }.into(),
        Attach { target: to(None), ..attach("relay", 1, Role::Sender) }.into(),
    ]);
    peer.expect_header();
    expect!(peer, Open { .. });
    expect!(peer, Begin { .. });
    for _ in 0..2 {
        expect!(peer, Attach { role: Role::Receiver, target: Some(_), .. });
        expect!(peer, Flow { link_credit: Some(1..), .. });
    }
    let other = |handle, id| Transfer { message_format: Some(7), ..first(handle, id) };
    peer.send(Frame::from(other(0, 0)).with("no message"));
    peer.expect(settled(Role::Receiver, 0, DeliveryState::Accepted));
    peer.send(Frame::from(other(1, 1)).with("no message"));
    let state = expect!(peer, Disposition { first, settled: true, state, .. } if first.get() == 1 => state);
    let Some(DeliveryState::Rejected(Some(error))) = state else { panic!("{state:?}") };
    assert_eq!(error.condition, condition::NOT_IMPLEMENTED);
    peer.send_all([
        Attach { source: from, ..attach("out", 2, Role::Receiver) }.into(),
        Flow {
            handle: Some(Handle(2)),
            link_credit: Some(1),
            next_incoming_id: Some(Serial::new(0)),
            ..flow(100, 2, 100)
        }
        .into(),
    ]);
    expect!(peer, Attach { role: Role::Sender, .. });
    let frame = peer.expect_frame("Transfer");
    assert!(
        matches!(&frame.performative, Performative::Transfer(transfer) if transfer.message_format == Some(7))
    );
    assert_eq!(frame.payload, "no message");
}

/// Bad input for any server, and the condition with which it closes the connection.
fn bad_input() -> Vec<(&'static str, Vec<u8>, Symbol)> {
    vec![
        ("f1", vec![0, 0, 0, 7], condition::CONNECTION_FRAMING_ERROR),
        ("f2", vec![0xff; 4], condition::CONNECTION_FRAMING_ERROR),
        ("f3", b"\0\0\0\x08\x01\0\0\0".to_vec(), condition::CONNECTION_FRAMING_ERROR),
        ("f5", b"\0\0\0\x08\x02\x01\0\0".to_vec(), condition::CONNECTION_FRAMING_ERROR),
        ("f7", frame_of(0, b"\xa1\x05hello"), condition::DECODE_ERROR),
        ("h6", b"AMQP\0\x01\0\0".to_vec(), condition::CONNECTION_FRAMING_ERROR),
        ("c2", Frame::from(open("again")).encode(), condition::NOT_ALLOWED),
        ("c5", begin(0, 1, 1).on(60_000).encode(), condition::CONNECTION_FRAMING_ERROR),
        ("c6", first(0, 0).on(9).encode(), condition::NOT_ALLOWED),
        ("n2", End::default().on(9).encode(), condition::NOT_ALLOWED),
        ("t16", frame_of(0, b"\x00\x53\x11\x45"), condition::DECODE_ERROR),
    ]
}

/// Bad input closes its connection with the right condition, and disturbs no other.
fn survives_bad_input(server: SocketAddr) {
    let mut bystander = Peer::new(Socket::connect(server));
    for (row, bytes, expected) in bad_input() {
        let mut peer = Peer::new(Socket::connect(server));
        peer.send_header();
        peer.send(open("bad"));
        peer.expect_header();
        expect!(peer, Open { .. });
        peer.send_raw(bytes);
        let condition = expect!(peer, Close { error: Some(error) } => error.condition);
        assert_eq!(condition, expected, "{row}");
        peer.shut();
        peer.expect_dropped();
    }
    script(&mut bystander);
}

#[test]
fn the_std_driver_survives_bad_input() {
    survives_bad_input(std_driver());
}

#[test]
fn the_broker_survives_bad_input() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    survives_bad_input(broker.address().parse().unwrap());
}
