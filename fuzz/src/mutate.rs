//! How the fuzzer changes a stream: frame by frame, since a byte put in anywhere leaves no frame whole behind it.

use amqp1_engine::{
    Serial,
    codec::Encode,
    types::{Attach, Begin, DeliveryTag, Disposition, Flow, Handle, Performative, Role, Transfer},
};
use amqp1_tests::{Frame, Rng, frame_of};
use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;

/// The protocol headers and frames of a stream, each for itself; what cannot be cut comes last, as one.
pub(crate) fn pieces(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = stream;
    std::iter::from_fn(move || {
        let size = match rest {
            [] => return None,
            [b'A', b'M', b'Q', b'P', ..] => 8,
            [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
            _ => rest.len(),
        };
        let size = if size < 8 || size > rest.len() { rest.len() } else { size };
        let (piece, tail) = rest.split_at(size);
        rest = tail;
        Some(piece)
    })
}

/// A custom mutator of libFuzzer: changes the stream that is the first `size` bytes of `data` and gives its new size, at
/// most `max_size`. `change` is the one that knows nothing of frames.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    change: impl Fn(&mut [u8], usize, usize) -> usize,
) -> usize {
    let mut rng = Rng::new(seed.into());
    if rng.one_in(8) {
        return change(data, size, max_size);
    }
    let mut stream: Vec<Vec<u8>> = pieces(&data[..size]).map(<[u8]>::to_vec).collect();
    for _ in 0..=rng.below(3) {
        alter(&mut stream, &mut rng, &change);
    }
    if rng.one_in(2) {
        renumber(&mut stream);
    }
    let mut len = 0;
    for piece in stream {
        let Some(room) = data[..max_size].get_mut(len..len + piece.len()) else { break };
        room.copy_from_slice(&piece);
        len += piece.len();
    }
    len
}

fn alter(stream: &mut Vec<Vec<u8>>, rng: &mut Rng, change: impl Fn(&mut [u8], usize, usize) -> usize) {
    let at = rng.below(stream.len() + 1);
    match (rng.below(11), stream.get_mut(at)) {
        (0..=3, _) | (_, None) => stream.insert(at, frame(rng)),
        (4, Some(_)) => drop(stream.remove(at)),
        (5, Some(piece)) => {
            let piece = piece.clone();
            stream.insert(rng.below(stream.len() + 1), piece);
        }
        (10, Some(piece)) => {
            let run = vec![piece.clone(); rng.below(12)];
            stream.splice(at..at, run);
        }
        (6, Some(_)) => {
            let other = rng.below(stream.len());
            stream.swap(at, other);
        }
        (7, Some(piece)) if piece.len() >= 8 => piece[7] = rng.below(4) as u8,
        (_, Some(piece)) if piece.len() > 8 => {
            let len = piece.len();
            piece.resize(2 * len + 16, 0);
            let room = piece.len() - 8;
            let len = 8 + change(&mut piece[8..], len - 8, room);
            piece.truncate(len);
            piece[..4].copy_from_slice(&(len as u32).to_be_bytes());
        }
        _ => {}
    }
}

/// Has the deliveries of each channel follow each other, each with a tag of its own, as they must.
fn renumber(stream: &mut [Vec<u8>]) {
    let mut next = [None; 4];
    for piece in stream {
        let Some(head) = piece.first_chunk::<8>().filter(|head| head[4..7] == [2, 0, 0] && head[7] < 4)
        else {
            continue;
        };
        let next = &mut next[usize::from(head[7])];
        let Ok((Performative::Transfer(mut transfer), payload)) = Performative::decode(&piece[8..]) else {
            continue;
        };
        let Some(id) = transfer.delivery_id else { continue };
        let id = next.unwrap_or(id);
        *next = Some(id.next());
        transfer.delivery_id = Some(id);
        transfer.delivery_tag = Some(DeliveryTag::from(u64::from(id.get())));
        let payload = Bytes::copy_from_slice(payload);
        *piece = Frame { channel: head[7].into(), performative: (*transfer).into(), payload }.encode();
    }
}

/// Any frame whose numbers are likely to name something.
fn frame(rng: &mut Rng) -> Vec<u8> {
    let noise: Vec<u8> = (0..24).flat_map(|_| rng.draw().to_le_bytes()).collect();
    let mut noise = Unstructured::new(&noise);
    let performative = match rng.below(20) {
        0 => Begin::arbitrary(&mut noise).map(|begin| tame_begin(begin, rng).into()),
        1..=4 => Attach::arbitrary(&mut noise).map(|attach| tame_attach(attach, rng).into()),
        5..=8 => Flow::arbitrary(&mut noise).map(|flow| tame_flow(flow, rng).into()),
        9..=13 => Transfer::arbitrary(&mut noise).map(|transfer| tame_transfer(transfer, rng).into()),
        14..=17 => {
            Disposition::arbitrary(&mut noise).map(|disposition| tame_disposition(disposition, rng).into())
        }
        _ => Performative::arbitrary(&mut noise).map(|mut performative| {
            if let Performative::Detach(detach) = &mut performative {
                detach.handle = handle(rng);
            }
            performative
        }),
    };
    let performative: Performative = performative.expect("what the noise lacks is taken as zeros");
    let mut body = Vec::new();
    performative.encode(&mut body);
    if let Performative::Transfer(_) = performative {
        body.resize(body.len() + rng.below(40), 7);
    }
    frame_of(if rng.one_in(8) { rng.below(4) as u16 } else { 0 }, &body)
}

/// Mostly small, now and then just below the wrap, seldom anything.
fn number(rng: &mut Rng) -> u32 {
    match rng.below(16) {
        0 => rng.draw() as u32,
        1 => u32::MAX - rng.below(4) as u32,
        _ => rng.below(8) as u32,
    }
}

fn handle(rng: &mut Rng) -> Handle {
    Handle(if rng.one_in(16) { number(rng) } else { rng.below(4) as u32 })
}

fn serial(rng: &mut Rng) -> Option<Serial> {
    (!rng.one_in(16)).then(|| Serial::new(number(rng)))
}

fn tame_begin(begin: Begin, rng: &mut Rng) -> Begin {
    Begin {
        remote_channel: rng.one_in(2).then(|| rng.below(4) as u16),
        next_outgoing_id: Serial::new(number(rng)),
        incoming_window: number(rng),
        outgoing_window: number(rng),
        handle_max: 255,
        ..begin
    }
}

fn tame_attach(attach: Attach, rng: &mut Rng) -> Attach {
    Attach {
        name: ["sender", "receiver", "a", "b"][rng.below(4)].into(),
        handle: handle(rng),
        initial_delivery_count: serial(rng).filter(|_| attach.role == Role::Sender || rng.one_in(16)),
        max_message_size: attach.max_message_size.map(|_| u64::from(number(rng))),
        ..attach
    }
}

fn tame_flow(flow: Flow, rng: &mut Rng) -> Flow {
    let handle = (!rng.one_in(4)).then(|| handle(rng));
    let link = handle.is_some() || rng.one_in(16);
    Flow {
        next_incoming_id: serial(rng),
        incoming_window: number(rng),
        next_outgoing_id: Serial::new(number(rng)),
        outgoing_window: number(rng),
        handle,
        delivery_count: serial(rng).filter(|_| link),
        link_credit: link.then(|| number(rng)),
        available: flow.available.filter(|_| link),
        drain: flow.drain && link,
        ..flow
    }
}

fn tame_transfer(transfer: Transfer, rng: &mut Rng) -> Transfer {
    let goes_on = rng.one_in(4);
    Transfer {
        handle: handle(rng),
        delivery_id: serial(rng).filter(|_| !goes_on),
        delivery_tag: (!goes_on).then(|| DeliveryTag::from(u64::from(number(rng)))),
        message_format: (!goes_on).then_some(0),
        more: rng.one_in(3),
        aborted: rng.one_in(8),
        resume: rng.one_in(16),
        state: transfer.state.filter(|_| rng.one_in(4)),
        ..transfer
    }
}

fn tame_disposition(disposition: Disposition, rng: &mut Rng) -> Disposition {
    let first = Serial::new(number(rng));
    Disposition { first, last: rng.one_in(2).then(|| first.plus(number(rng))), ..disposition }
}
