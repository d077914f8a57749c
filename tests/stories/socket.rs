//! The same script over memory and over a socket.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use amqp1_tests::{Socket, Wire, prelude::*};
use bytes::Buf;

/// What a script asks of any server that answers a peer's open, begin and attach, and accepts messages.
fn script(peer: &mut Peer<impl Wire>) {
    peer.send_header();
    peer.send_all([open("script").into(), begin(5, 100, 100).on(2), attach("link", 4, Role::Sender).on(2)]);
    peer.expect_header();
    expect!(peer, Open { .. });
    expect!(peer, Begin { remote_channel: Some(2), .. });
    expect!(peer, Attach { role: Role::Receiver, .. });
    expect!(peer, Flow { link_credit: Some(1..), .. });
    peer.send(first(4, 0).on(2).with("hello"));
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
fn the_same_script_runs_over_a_socket() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || serve(listener.accept().unwrap().0));
    script(&mut Peer::new(Socket::connect(address)));
    server.join().unwrap();
}
