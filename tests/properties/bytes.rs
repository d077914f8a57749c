//! Whatever bytes come: no panic, no words without sense, and one end.

use amqp1_tests::prelude::*;
use proptest::prelude::*;

use crate::streams::{drain, items, obey, steps, stream};

/// What is done to a good stream.
#[derive(Clone, Debug)]
enum Damage {
    Replace { at: usize, with: u8 },
    Flip { at: usize, bit: u8 },
    Insert { at: usize, bytes: Vec<u8> },
    Remove { at: usize, len: usize },
    Repeat { at: usize, len: usize },
    Truncate { at: usize },
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<usize>();
    let some = proptest::collection::vec(any::<u8>(), 1..16);
    prop_oneof![
        4 => (at, any::<u8>()).prop_map(|(at, with)| Damage::Replace { at, with }),
        4 => (at, 0_u8..8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        2 => (at, some).prop_map(|(at, bytes)| Damage::Insert { at, bytes }),
        2 => (at, 1_usize..64).prop_map(|(at, len)| Damage::Remove { at, len }),
        2 => (at, 1_usize..256).prop_map(|(at, len)| Damage::Repeat { at, len }),
        1 => at.prop_map(|at| Damage::Truncate { at }),
    ]
}

impl Damage {
    /// Does it, behind the protocol header: most of what is interesting lies there.
    fn apply(&self, stream: &mut Vec<u8>) {
        let len = stream.len();
        let place = |at: usize| if len > 8 { 8 + at % (len - 8) } else { at % len.max(1) };
        match self {
            Self::Replace { at, with } => stream[place(*at)] = *with,
            Self::Flip { at, bit } => stream[place(*at)] ^= 1 << bit,
            Self::Insert { at, bytes } => {
                let at = place(*at);
                stream.splice(at..at, bytes.iter().copied());
            }
            Self::Remove { at, len: count } => {
                let at = place(*at);
                stream.drain(at..(at + count).min(len));
            }
            Self::Repeat { at, len: count } => {
                let at = place(*at);
                let again = stream[at..(at + count).min(len)].to_vec();
                stream.splice(at..at, again);
            }
            Self::Truncate { at } => stream.truncate(place(*at)),
        }
    }
}

/// An engine takes these bytes, then the end of the stream; its user obeys. What it writes makes sense, it tells of
/// one fault of the connection at most, and it comes to its end.
fn survives(mut engine: Connection, bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut input = BytesMut::new();
    let mut output = Vec::new();
    for piece in Chunks::Pieces(7).cut(bytes) {
        input.extend_from_slice(piece);
        engine.handle_input(&mut input, Instant::ZERO);
        obey(&mut engine, |_| {});
        output.extend(drain(&mut engine));
    }
    engine.handle_eof(Instant::ZERO);
    obey(&mut engine, |_| {});
    output.extend(drain(&mut engine));
    prop_assert!(engine.is_done());
    prop_assert_eq!(engine.poll_timeout(), None);
    let frames: Vec<_> = items(&output)
        .into_iter()
        .filter_map(|item| match item {
            Item::Frame(frame) => Some(frame.performative),
            Item::Malformed(reason, _) => panic!("the engine has written {reason}"),
            _ => None,
        })
        .collect();
    if let [first, rest @ ..] = frames.as_slice() {
        prop_assert!(matches!(first, Performative::Open(_)), "{:?} goes first", first);
        let again = rest.iter().filter(|frame| matches!(frame, Performative::Open(_))).count();
        prop_assert_eq!(again, 0, "a second open");
        let close = frames.iter().position(|frame| matches!(frame, Performative::Close(_)));
        prop_assert!(close.is_none_or(|at| at + 1 == frames.len()), "frames after the close");
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::cases(400))]

    #[test]
    fn a_damaged_stream_does_no_harm(
        steps in steps(),
        damages in proptest::collection::vec(damage(), 1..4),
    ) {
        let mut stream = stream(&steps);
        for damage in &damages {
            damage.apply(&mut stream);
        }
        survives(Connection::new(Config::server("server"), Instant::ZERO), &stream)?;
        let mut client = Connection::new(Config::client("client"), Instant::ZERO);
        client.open();
        survives(client, &stream)?;
    }

    #[test]
    fn random_bytes_do_no_harm(
        header in any::<bool>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut stream = if header { b"AMQP\x00\x01\x00\x00".to_vec() } else { Vec::new() };
        stream.extend(bytes);
        survives(Connection::new(Config::server("server"), Instant::ZERO), &stream)?;
        survives(Connection::new(Config::client("client"), Instant::ZERO), &stream)?;
    }

    #[test]
    fn random_frames_do_no_harm(
        bodies in proptest::collection::vec(
            (0_u16..3, 0x10_u8..0x1a, proptest::collection::vec(field(), 0..12)),
            0..30,
        ),
    ) {
        let mut stream = b"AMQP\x00\x01\x00\x00".to_vec();
        stream.extend(Frame::from(open("peer")).encode());
        stream.extend(Frame::from(begin(0, 100, 100)).encode());
        stream.extend(Frame::from(attach("link", 0, Role::Sender)).encode());
        stream.extend(Frame::from(attach("back", 1, Role::Receiver)).encode());
        for (channel, code, fields) in &bodies {
            let items = fields.concat();
            let mut body = vec![0, 0x53, *code, 0xd0];
            body.extend((items.len() as u32 + 4).to_be_bytes());
            body.extend((fields.len() as u32).to_be_bytes());
            body.extend(items);
            stream.extend(frame_of(*channel, &body));
        }
        survives(Connection::new(Config::server("server"), Instant::ZERO), &stream)?;
    }
}

/// A connection with something of everything, in few bytes.
fn short_stream() -> Vec<u8> {
    let mut stream = b"AMQP\x00\x01\x00\x00".to_vec();
    let frames: [Frame; 13] = [
        Open { hostname: Some("h".into()), ..open("c") }.into(),
        begin(7, 10, 10).into(),
        attach("a", 0, Role::Sender).into(),
        attach("b", 1, Role::Receiver).into(),
        Flow { handle: Some(Handle(1)), link_credit: Some(3), echo: true, ..flow(10, 7, 10) }.into(),
        Transfer { settled: Some(true), ..first(0, 0) }.with("xyz"),
        Transfer { more: true, ..first(0, 1) }.with("x"),
        transfer(0).with("y"),
        Transfer { aborted: true, ..first(0, 2) }.into(),
        Disposition { last: Some(Serial::new(2)), ..settled(Role::Sender, 0, DeliveryState::Accepted) }
            .into(),
        Detach { closed: true, error: Some(Error::new(condition::INTERNAL_ERROR)), ..detach(1) }.into(),
        End::default().into(),
        Close::default().into(),
    ];
    stream.extend(frames.iter().flat_map(Frame::encode));
    stream
}

#[test]
fn every_change_of_a_single_byte_does_no_harm() {
    let stream = short_stream();
    for at in 0..stream.len() {
        for with in [0, 1, 2, 0x40, 0x43, 0x45, 0x70, 0xa1, 0xc0, 0xd0, 0xff]
            .into_iter()
            .chain((0..8).map(|bit| stream[at] ^ 1 << bit))
        {
            let mut changed = stream.clone();
            changed[at] = with;
            let server = Connection::new(Config::server("server"), Instant::ZERO);
            if let Err(error) = survives(server, &changed) {
                panic!("byte {at} made {with:#04x}: {error}");
            }
        }
    }
}

#[test]
fn every_cut_of_a_stream_does_no_harm() {
    let stream = short_stream();
    for len in 0..=stream.len() {
        let server = Connection::new(Config::server("server"), Instant::ZERO);
        if let Err(error) = survives(server, &stream[..len]) {
            panic!("cut after {len} bytes: {error}");
        }
    }
}

/// A field that a performative may well have, so that many frames are valid.
fn field() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(vec![0x40]),
        3 => Just(vec![0x43]),
        2 => Just(vec![0x41]),
        2 => Just(vec![0x42]),
        4 => (0_u8..4).prop_map(|n| vec![0x52, n]),
        1 => any::<u32>().prop_map(|n| [vec![0x70], n.to_be_bytes().to_vec()].concat()),
        1 => (0_u8..3).prop_map(|n| vec![0x50, n]),
        2 => (0_u8..4).prop_map(|n| vec![0xa0, 1, n]),
        1 => Just(b"\xa1\x04link".to_vec()),
        1 => Just(b"\x00\x53\x24\x45".to_vec()),
        1 => Just(b"\x00\x53\x28\x45".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..6),
    ]
}
