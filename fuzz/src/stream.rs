//! Bytes to a connection, from a peer that says anything.

use amqp1_engine::{
    Config, Connection, ConnectionState, Event, Instant, LinkConfig, Misuse, SendError, SessionConfig,
    message::Message,
    sasl::{Refusal, Sasl},
    types::{DeliveryTag, Role},
};
use bytes::{Buf, BytesMut};

use crate::mutate::pieces;

/// A stream that reaches a server.
pub fn server(input: &[u8]) {
    feed(input, || Connection::new(Config::server("fuzz"), Instant::ZERO));
    talk(input, || Connection::new(narrow(Config::server("fuzz")), Instant::ZERO));
    feed(input, || {
        let sasl = Sasl::server().anonymous().plain(|_, _| Ok(()));
        Connection::new(Config { sasl: Some(sasl.into()), ..Config::server("fuzz") }, Instant::ZERO)
    });
}

/// A stream that reaches a client, which wants to send and to receive.
pub fn client(input: &[u8]) {
    feed(input, || begin(Config::client("fuzz")));
    talk(input, || begin(narrow(Config::client("fuzz"))));
    feed(input, || {
        let sasl = Sasl::client().plain("guest", "guest").anonymous().allow_clear_text();
        begin(Config { sasl: Some(sasl.into()), ..Config::client("fuzz") })
    });
}

/// The bodies of SASL frames, each behind a byte with its length, to a server and a client; then the peer acts as if
/// authentication had succeeded. A server that accepts nobody is not taken in.
pub fn sasl(input: &[u8]) {
    let mut stream = b"AMQP\x03\x01\x00\x00".to_vec();
    let mut input = input;
    while let [length, rest @ ..] = input {
        let (body, rest) = rest.split_at(rest.len().min((*length).into()));
        stream.extend_from_slice(&(body.len() as u32 + 8).to_be_bytes());
        stream.extend_from_slice(&[2, 1, 0, 0]);
        stream.extend_from_slice(body);
        input = rest;
    }
    stream.extend_from_slice(b"AMQP\x00\x01\x00\x00");
    stream.extend_from_slice(b"\0\0\0\x11\x02\0\0\0\0\x53\x10\xc0\x04\x01\xa1\x01\x78");
    server(&stream);
    client(&stream);

    let refusing = || {
        let sasl = Sasl::server().plain(|_, _| Err(Refusal::Credentials));
        Connection::new(Config { sasl: Some(sasl.into()), ..Config::server("fuzz") }, Instant::ZERO)
    };
    let taken_in = |event: &Event| matches!(event, Event::Authenticated | Event::Opened);
    assert!(!listen(refusing(), [&*stream]).events.iter().any(taken_in));
}

/// Limits that few frames reach.
fn narrow(config: Config) -> Config {
    let mut limits = config.limits.clone();
    (limits.unsettled, limits.unread_bytes, limits.events) = (3, 200, 4);
    let session = SessionConfig { incoming_window: 2, handle_max: 2, ..SessionConfig::default() };
    Config { max_frame_size: 512, channel_max: 1, session, limits, ..config }
}

fn begin(config: Config) -> Connection {
    let session = config.session.clone();
    let mut connection = Connection::new(config, Instant::ZERO);
    connection.open();
    let session = connection.begin(session).expect("nothing was begun yet");
    let mut session = connection.session(session).expect("it was begun");
    session.attach_sender(LinkConfig::sender("sender", "q")).expect("no link has this name");
    let receiver =
        session.attach_receiver(LinkConfig::receiver("receiver", "q")).expect("no link has this name");
    connection.receiver(receiver).expect("it was attached").add_credit(10);
    connection
}

/// A user who does nothing sees the same however the stream is cut.
fn feed(input: &[u8], make: impl Fn() -> Connection) {
    let whole = listen(make(), [input]);
    assert_eq!(listen(make(), input.chunks(1)), whole);
    talk(input, make);
}

/// A user who answers everything, and looks after some frames each, sees and says the same however they are cut, and
/// comes to an end.
fn talk(input: &[u8], make: impl Fn() -> Connection) {
    let frames = 1 + input.len() % 5;
    assert_eq!(converse(make(), input, frames, 5), converse(make(), input, frames, usize::MAX));
}

/// What a user sees who does nothing.
#[derive(Debug, PartialEq)]
struct Seen {
    events: Vec<Event>,
    state: ConnectionState,
}

/// What a user sees who answers, and what the connection has written.
#[derive(Debug, PartialEq)]
struct Said {
    events: Vec<Event>,
    written: Vec<u8>,
}

fn listen<'a>(mut connection: Connection, pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut events: Vec<Event> = Vec::new();
    let mut input = BytesMut::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        connection.handle_input(&mut input, Instant::ZERO);
        while let Some(event) = connection.poll_event() {
            // How often more of a delivery, another flow or another drain is told of depends on the cuts.
            let merges = matches!(event, Event::Delivery(_) | Event::LinkFlow(_) | Event::Drain(_));
            let again = merges && events.contains(&event);
            if !again {
                events.push(event);
            }
        }
    }
    // Not before: what counts as too late depends on what was written.
    drain(&mut connection);
    events.extend(std::iter::from_fn(|| connection.poll_event()));
    let state = connection.state();
    if state == ConnectionState::End {
        stays_over(connection);
    }
    Seen { events, state }
}

/// Once it is over, a connection has nothing more to say.
fn stays_over(mut connection: Connection) {
    connection.handle_input(&mut BytesMut::from(&b"AMQP\x00\x01\x00\x00"[..]), Instant::ZERO);
    connection.handle_eof(Instant::ZERO);
    assert_eq!(connection.poll_event(), None);
    assert!(connection.poll_transmit(Instant::ZERO).is_none());
    assert!(connection.is_done());
}

/// Gives the connection so many frames at a time, cut into pieces of `len` bytes, and does what its events ask for.
fn converse(mut connection: Connection, stream: &[u8], frames: usize, len: usize) -> Said {
    let mut said = Said { events: Vec::new(), written: Vec::new() };
    // What a client says first waits for nothing.
    while respond(&mut connection, &mut said) {}
    let mut input = BytesMut::new();
    let mut pieces = pieces(stream);
    let mut rest = stream;
    while !rest.is_empty() {
        let block;
        (block, rest) = rest.split_at(pieces.by_ref().take(frames).map(<[u8]>::len).sum());
        for piece in block.chunks(len) {
            input.extend_from_slice(piece);
            connection.handle_input(&mut input, Instant::ZERO);
        }
        while respond(&mut connection, &mut said) {}
    }
    connection.handle_eof(Instant::ZERO);
    while respond(&mut connection, &mut said) {}
    assert!(
        connection.is_done(),
        "after the end of the stream: {:?}, {:?}",
        said.events.last(),
        connection.state()
    );
    said
}

/// Answers the next events, and has the answers written: whether there was anything.
fn respond(connection: &mut Connection, said: &mut Said) -> bool {
    let before = (said.events.len(), said.written.len());
    while let Some(event) = connection.poll_event() {
        // A peer may have undone what the event is about before it was told: a refusal is all that may come of it.
        let _ = answer(connection, &event);
        said.events.push(event);
    }
    while let Some(mut transmit) = connection.poll_transmit(Instant::ZERO) {
        let chunk = transmit.chunk();
        said.written.extend_from_slice(chunk);
        let len = chunk.len();
        transmit.advance(len);
    }
    before != (said.events.len(), said.written.len())
}

/// Does what an eager user would do.
fn answer(connection: &mut Connection, event: &Event) -> Result<(), SendError> {
    match event {
        Event::Opened => connection.open(),
        Event::Closed { .. } => connection.close(None),
        Event::SessionBegun(session) => connection.session(*session)?.accept(SessionConfig::default())?,
        Event::SessionEnded { session, .. } => connection.session(*session)?.end(None)?,
        Event::LinkAttached(link) => match connection.role(*link)? {
            Role::Sender => connection.sender(*link)?.attach(LinkConfig::sender("", "q"))?,
            Role::Receiver => {
                let mut receiver = connection.receiver(*link)?;
                receiver.attach(LinkConfig::receiver("", "q"))?;
                receiver.add_credit(10);
            }
        },
        Event::LinkDetached { link, .. } => match connection.role(*link)? {
            Role::Sender => connection.sender(*link)?.close(None)?,
            Role::Receiver => connection.receiver(*link)?.close(None)?,
        },
        Event::Sendable(link) | Event::LinkFlow(link) => {
            let tag = DeliveryTag::from(connection.sender(*link)?.unsettled() as u64);
            connection.sender(*link)?.send_message(tag, false, &Message::from("fuzz"))?;
        }
        Event::Drain(link) => connection.sender(*link)?.drained(),
        Event::Delivery(id) => {
            let mut receiver = connection.receiver(id.link())?;
            let payload = receiver.take(*id)?.into_bytes();
            if receiver.delivery(*id).is_ok_and(|delivery| delivery.is_complete()) {
                let _ = Message::decode(&payload);
                receiver.accept(*id)?;
            }
        }
        Event::Updated(id) => settle(connection, *id)?,
        _ => {}
    }
    Ok(())
}

fn settle(connection: &mut Connection, id: amqp1_engine::DeliveryId) -> Result<(), Misuse> {
    match connection.role(id.link())? {
        Role::Sender => connection.sender(id.link())?.settle(id, None).map(drop),
        Role::Receiver => connection.receiver(id.link())?.settle(id),
    }
}

fn drain(connection: &mut Connection) {
    while let Some(mut transmit) = connection.poll_transmit(Instant::ZERO) {
        transmit.advance(transmit.remaining());
    }
}
