//! However a stream is cut, the outcome is the same.

use amqp1_tests::prelude::*;
use proptest::prelude::*;

use crate::streams::{drain, items, obey, steps, stream};

/// Cuts `bytes` at places drawn by `lens`.
fn pieces<'a>(bytes: &'a [u8], lens: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let mut lens = lens.iter().cycle();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let len = (*lens.next()?).clamp(1, rest.len());
        let (piece, tail) = rest.split_at(len);
        rest = tail;
        Some(piece)
    })
}

fn server() -> Connection {
    Connection::new(Config { max_frame_size: 1_024, ..Config::server("server") }, Instant::ZERO)
}

/// A server that is given all pieces before its user looks: its events and its bytes.
fn at_the_end<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Vec<u8>) {
    let mut server = server();
    let mut input = BytesMut::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        server.handle_input(&mut input, Instant::ZERO);
    }
    assert!(input.is_empty(), "{} bytes were not taken", input.len());
    let events = std::iter::from_fn(|| server.poll_event()).collect();
    (events, drain(&mut server))
}

/// A server that is given frame by frame, each in pieces, and whose user obeys after each piece: the messages that
/// arrive, the server's bytes, and its state at the end.
fn frame_by_frame(stream: &[u8], lens: &[usize]) -> (Vec<(u32, Bytes)>, Vec<u8>, ConnectionState) {
    let mut server = server();
    let mut input = BytesMut::new();
    let (mut messages, mut output) = (Vec::new(), Vec::new());
    for frame in frames(stream) {
        for piece in pieces(frame, lens) {
            input.extend_from_slice(piece);
            server.handle_input(&mut input, Instant::ZERO);
            obey(&mut server, |message| messages.push(message));
            output.extend(drain(&mut server));
        }
    }
    (messages, output, server.state())
}

/// The protocol header and the frames of a stream.
fn frames(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = stream;
    std::iter::from_fn(move || {
        let len =
            if rest.starts_with(b"AMQP") { 8 } else { u32::from_be_bytes(*rest.first_chunk()?) as usize };
        let (frame, tail) = rest.split_at(len);
        rest = tail;
        Some(frame)
    })
}

proptest! {
    #![proptest_config(crate::cases(200))]

    //= 2.4.2-05
    #[test]
    fn a_good_stream_has_one_outcome(
        steps in steps(),
        lens in proptest::collection::vec(prop_oneof![3 => 1_usize..20, 1 => 1_usize..2_000], 1..40),
    ) {
        let stream = stream(&steps);

        let whole = at_the_end(std::iter::once(&stream[..]));
        for (events, bytes) in [at_the_end(pieces(&stream, &lens)), at_the_end(stream.chunks(1))] {
            prop_assert_eq!(&whole.0, &events);
            prop_assert_eq!(items(&whole.1), items(&bytes));
        }

        let whole = frame_by_frame(&stream, &[usize::MAX]);
        prop_assert_eq!(whole.2, ConnectionState::End);
        let faults = |item: &Item| matches!(item, Item::Frame(Frame { performative: Performative::Close(close), .. }) if close.error.is_some());
        prop_assert!(!items(&whole.1).iter().any(faults), "{:?}", items(&whole.1));
        for (messages, bytes, state) in [frame_by_frame(&stream, &lens), frame_by_frame(&stream, &[1])] {
            prop_assert_eq!(&whole.0, &messages);
            prop_assert_eq!(items(&whole.1), items(&bytes));
            prop_assert_eq!(whole.2, state);
        }
    }
}
