//! The brokers that programs are tried with, ours among them.

use std::net::SocketAddr;

use crate::{
    process::{Program, await_listener, example, free_address},
    proton::peer,
    rabbitmq::Rabbit,
};

/// A broker that runs.
pub(crate) struct Broker {
    /// `HOST:PORT`.
    pub(crate) address: String,
    kind: Kind,
}

enum Kind {
    /// Makes a queue when somebody attaches to it.
    Making,
    /// Knows only queues that were declared.
    Rabbit(Rabbit),
    /// As the first, and ends with this.
    Ours(#[expect(dead_code, reason = "it is held until its end")] Program),
}

impl Broker {
    /// The one among the examples, of its own.
    pub(crate) fn ours() -> Self {
        let address: SocketAddr = free_address();
        let address = address.to_string();
        let program = example("broker", ["-a", &address]);
        await_listener(address.parse().expect("it was one"));
        Self { address, kind: Kind::Ours(program) }
    }

    /// That of Proton's Python examples.
    pub(crate) fn proton() -> Option<Self> {
        Some(Self { address: peer("AMQP1_PROTON_BROKER")?, kind: Kind::Making })
    }

    pub(crate) fn activemq() -> Option<Self> {
        Some(Self { address: peer("AMQP1_ACTIVEMQ")?, kind: Kind::Making })
    }

    pub(crate) fn rabbitmq() -> Option<Self> {
        let rabbit = Rabbit::is_up()?;
        Some(Self { address: rabbit.address.clone(), kind: Kind::Rabbit(rabbit) })
    }

    /// The URL of a queue of this name that nobody else uses, and that is empty.
    pub(crate) fn queue(&self, name: &str) -> String {
        match &self.kind {
            Kind::Rabbit(rabbit) => {
                format!("amqp://guest:guest@{}/{}", self.address, rabbit.queue(name, "classic"))
            }
            // What an earlier run has left behind stays there.
            _ => format!("amqp://{}/{name}-{}", self.address, std::process::id()),
        }
    }
}
