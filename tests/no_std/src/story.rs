//! What is driven: two connections, wired memory to memory, through the whole life of one message.

use amqp1_engine::{
    Config, Connection, Event, Instant, LinkConfig, Misuse, SendError, SessionConfig,
    message::Message,
    types::{DeliveryTag, Role},
};
use bytes::{Buf, BufMut, BytesMut};

const GREETING: &str = "Hello World!";

/// What went wrong.
pub enum Failure {
    /// A call was refused.
    Refused,
    /// The story came to its end without this.
    Missing(&'static str),
}

impl From<Misuse> for Failure {
    fn from(_: Misuse) -> Self {
        Self::Refused
    }
}

impl From<SendError> for Failure {
    fn from(_: SendError) -> Self {
        Self::Refused
    }
}

/// A client sends one message, a server accepts it, the client closes.
pub fn run() -> Result<(), Failure> {
    let now = Instant::ZERO;
    let mut client = Connection::new(Config::client("client"), now);
    let mut server = Connection::new(Config::server("server"), now);
    let mut told = Told::default();

    client.open();
    let session = client.begin(SessionConfig::default())?;
    client.session(session)?.attach_sender(LinkConfig::sender("greetings", "examples"))?;

    while !(client.is_done() && server.is_done()) {
        let moved = carry(&mut client, &mut server, now) | carry(&mut server, &mut client, now);
        while let Some(event) = client.poll_event() {
            told.client(&mut client, event)?;
        }
        while let Some(event) = server.poll_event() {
            told.server(&mut server, event)?;
        }
        if !moved {
            return Err(Failure::Missing("the end of both connections"));
        }
    }
    match told {
        Told { received: true, confirmed: true } => Ok(()),
        Told { received: false, .. } => Err(Failure::Missing("the message")),
        Told { .. } => Err(Failure::Missing("the outcome")),
    }
}

#[derive(Default)]
struct Told {
    received: bool,
    confirmed: bool,
}

impl Told {
    fn client(&mut self, client: &mut Connection, event: Event) -> Result<(), Failure> {
        match event {
            Event::Sendable(link) => {
                let mut sender = client.sender(link)?;
                sender.send_message(DeliveryTag::from(0), false, &Message::from(GREETING))?;
            }
            Event::Updated(delivery) => {
                client.sender(delivery.link())?.settle(delivery, None)?;
                self.confirmed = true;
                client.close(None);
            }
            _ => {}
        }
        Ok(())
    }

    fn server(&mut self, server: &mut Connection, event: Event) -> Result<(), Failure> {
        match event {
            Event::Opened => server.open(),
            Event::SessionBegun(session) => server.session(session)?.accept(SessionConfig::default())?,
            Event::LinkAttached(link) if server.role(link)? == Role::Receiver => {
                let mut receiver = server.receiver(link)?;
                receiver.attach(LinkConfig::receiver("", "examples"))?;
                receiver.add_credit(1);
            }
            Event::Delivery(delivery) => {
                let mut receiver = server.receiver(delivery.link())?;
                let payload = receiver.take(delivery)?.into_bytes();
                receiver.accept(delivery)?;
                let message = Message::decode(&payload);
                self.received = message.is_ok_and(|message| message.body.as_str() == Some(GREETING));
            }
            Event::Closed { .. } => server.close(None),
            _ => {}
        }
        Ok(())
    }
}

/// Whether there was anything to carry.
fn carry(from: &mut Connection, to: &mut Connection, now: Instant) -> bool {
    let mut wire = BytesMut::new();
    while let Some(mut transmit) = from.poll_transmit(now) {
        wire.put_slice(transmit.chunk());
        let written = transmit.chunk().len();
        transmit.advance(written);
    }
    let moved = !wire.is_empty();
    to.handle_input(&mut wire, now);
    moved
}
