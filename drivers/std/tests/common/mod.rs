//! A server with queues in memory, for the tests of both interfaces.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::{
    collections::{BTreeMap, VecDeque},
    sync::mpsc,
    thread,
    time::Duration,
};

use amqp1_std::{
    ConnectionOptions, Container, ContainerOptions, Context, Delivery, Handler, Injector, ListenerId,
    SenderId, Url,
};
use bytes::Bytes;

/// No test takes longer, whatever goes wrong.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Runs something that might hang: fails loudly instead.
pub fn within_patience<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, result) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _ = sender.send(run());
    });
    match result.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("took longer than {PATIENCE:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("the result was sent"),
        },
    }
}

/// A server in a thread of its own; it stops when dropped.
pub struct Server {
    pub url: Url,
    injector: Injector,
}

struct Stop;

impl Server {
    pub fn start() -> Self {
        Self::with(ConnectionOptions::default())
    }

    pub fn with(connection: ConnectionOptions) -> Self {
        Self::at("127.0.0.1:0", connection, |container| container)
    }

    pub fn at(
        url: &str,
        connection: ConnectionOptions,
        set_up: impl FnOnce(Container<Queues>) -> Container<Queues>,
    ) -> Self {
        let (sender, port) = mpsc::channel();
        let options = ContainerOptions { connection, ..ContainerOptions::default() };
        let at = url.parse().unwrap();
        let queues = Queues { at, port: sender, queues: BTreeMap::new(), consumers: Vec::new() };
        let container = set_up(Container::with_options(queues, options));
        let injector = container.injector();
        thread::spawn(move || container.run().unwrap());
        let url = port.recv_timeout(PATIENCE).expect("the server listens").parse().unwrap();
        Self { url, injector }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.injector.inject(Stop);
    }
}

/// Keeps what is sent to an address for whoever receives from it.
pub struct Queues {
    at: Url,
    port: mpsc::Sender<String>,
    queues: BTreeMap<String, VecDeque<Bytes>>,
    consumers: Vec<SenderId>,
}

impl Queues {
    fn serve(&mut self, cx: &mut Context<'_>, consumer: SenderId) {
        let Some(address) = cx.remote_source(consumer).and_then(|source| source.address) else {
            return;
        };
        let Some(queue) = self.queues.get_mut(address.as_str()) else { return };
        while cx.credit(consumer) > 0
            && let Some(message) = queue.pop_front()
        {
            cx.send_payload(consumer, &message, 0).expect("there is credit");
        }
    }
}

impl Handler for Queues {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen(&self.at);
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        self.port.send(address.to_owned()).unwrap();
    }

    fn on_injected(&mut self, cx: &mut Context<'_>, _: Box<dyn std::any::Any + Send>) {
        cx.stop();
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        let address = cx.remote_address(delivery.receiver()).expect("a target").to_owned();
        self.queues.entry(address).or_default().push_back(delivery.payload().clone().into_bytes());
        for consumer in self.consumers.clone() {
            self.serve(cx, consumer);
        }
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        if !self.consumers.contains(&sender) {
            self.consumers.push(sender);
        }
        self.serve(cx, sender);
    }
}
