//! A container that sends and one that receives in one process, wired memory to memory: what handlers, and keeping what is to
//! be sent again, cost on top of the protocol.

use amqp1_engine::{
    Instant,
    container::{
        Action, Address, AtLeastOnce, ConnectionOptions, Container, ContainerOptions, Context, Delivery,
        Handler, IoId, Knobs, Reconnect, SenderId, Tracker,
    },
    message::Message,
};
use bytes::{Buf, Bytes, BytesMut};

/// What a socket would take or give at once.
const SOCKET: usize = 64 * 1024;

/// What is sent, and how.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Messages.
    pub count: u64,
    /// Bytes of the one data section of each.
    pub size: usize,
    /// Credit of the link.
    pub credit: u32,
    /// Whether the connection would be made again, so that messages are kept until they are confirmed.
    pub reconnect: bool,
}

struct Sending {
    exchange: Exchange,
    body: Bytes,
    sent: u64,
    accepted: u64,
}

impl Handler for Sending {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let reconnect = if self.exchange.reconnect { Reconnect::default() } else { Reconnect::off() };
        let options = ConnectionOptions { reconnect, ..ConnectionOptions::default() };
        let connection = cx.connect_with(Address::new("there", 5672), options);
        cx.create_sender(connection, ("bench", AtLeastOnce));
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while self.sent < self.exchange.count && cx.credit(sender) > 0 {
            if cx.send(sender, &Message::new(self.body.clone())).is_err() {
                return;
            }
            self.sent += 1;
        }
    }

    fn on_accepted(&mut self, _: &mut Context<'_>, _: &Tracker) {
        self.accepted += 1;
    }
}

struct Receiving {
    credit: u32,
    received: u64,
}

impl Handler for Receiving {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: self.credit, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen(Address::new("here", 5672));
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        if delivery.message().is_ok() {
            self.received += 1;
        }
    }
}

/// Has all messages sent: how many were accepted, and how many received.
#[must_use]
pub fn run(exchange: &Exchange) -> (u64, u64) {
    let body = Bytes::from(vec![b'x'; exchange.size]);
    let mut sending = Sending { exchange: exchange.clone(), body, sent: 0, accepted: 0 };
    let mut receiving = Receiving { credit: exchange.credit, received: 0 };
    let [mut here, mut there] = [1, 2].map(|seed| {
        let mut container = Container::new(ContainerOptions { seed, ..ContainerOptions::default() });
        container.start();
        container
    });
    here.dispatch(&mut sending, Instant::ZERO);
    there.dispatch(&mut receiving, Instant::ZERO);
    let (Some(Action::Connect { io, .. }), Some(Action::Listen { listener, .. })) =
        (here.poll_action(), there.poll_action())
    else {
        return (0, 0);
    };
    let Some(accepted) = there.accepted(listener, Instant::ZERO) else { return (0, 0) };
    here.connected(io, Instant::ZERO);
    let mut wires = [BytesMut::new(), BytesMut::new()];
    // Passes in a row in which nothing moved.
    let mut idle = 0;
    while sending.accepted < exchange.count && idle < 3 {
        let mut is_busy = here.dispatch(&mut sending, Instant::ZERO);
        is_busy |= shovel((&mut here, io), (&mut there, accepted), &mut wires[0]);
        is_busy |= there.dispatch(&mut receiving, Instant::ZERO);
        is_busy |= shovel((&mut there, accepted), (&mut here, io), &mut wires[1]);
        idle = if is_busy { 0 } else { idle + 1 };
    }
    (sending.accepted, receiving.received)
}

/// Moves what one container has to write to the other, no more than a socket takes: whether there was anything.
fn shovel(from: (&mut Container, IoId), to: (&mut Container, IoId), wire: &mut BytesMut) -> bool {
    while from.0.poll_dirty_io().is_some() {}
    let Some(mut transmit) = from.0.poll_transmit(from.1, Instant::ZERO) else { return false };
    wire.reserve(SOCKET);
    let mut room = SOCKET;
    while room > 0 && transmit.has_remaining() {
        let chunk = transmit.chunk();
        let step = chunk.len().min(room);
        wire.extend_from_slice(&chunk[..step]);
        transmit.advance(step);
        room -= step;
    }
    to.0.received(to.1, wire, Instant::ZERO);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_arrives_and_is_confirmed() {
        for reconnect in [false, true] {
            for (size, credit) in [(100, 1_000), (5_000, 7), (0, 1)] {
                let exchange = Exchange { count: 3_000, size, credit, reconnect };
                assert_eq!(run(&exchange), (3_000, 3_000), "{exchange:?}");
            }
        }
    }
}
