//! A server with queues in memory, on any driver.

use std::{
    any::Any,
    collections::{BTreeMap, VecDeque},
    sync::mpsc,
    thread,
};

use amqp1_driver::program::{
    Bytes, ConnectionOptions, ContainerOptions, Context, Delivery, Handler, Injector, ListenerId, SenderId,
    TlsClient, TlsServer, Url,
};

use crate::{
    certificates::Authority,
    driver::{Driver, PATIENCE, Setup},
};

/// A server in a thread of its own; it stops when dropped.
pub struct Server {
    pub url: Url,
    injector: Injector,
}

struct Stop;

impl Server {
    pub fn start<D: Driver>() -> Self {
        Self::with::<D>(ConnectionOptions::default())
    }

    pub fn with<D: Driver>(connection: ConnectionOptions) -> Self {
        Self::serve::<D>(
            "amqp",
            Setup { options: ContainerOptions { connection, ..Default::default() }, ..Setup::default() },
        )
    }

    /// Over TLS, with a certificate that the client half trusts.
    pub fn over_tls<D: Driver>() -> (Self, TlsClient) {
        let (client, server) = tls();
        (Self::serve::<D>("amqps", Setup { tls: Some((client.clone(), server)), ..Setup::default() }), client)
    }

    fn serve<D: Driver>(scheme: &str, setup: Setup) -> Self {
        let (sender, port) = mpsc::channel();
        let (injectors, injector) = mpsc::channel();
        let listen = format!("{scheme}://localhost:0").parse().unwrap();
        let queues = Queues { listen, port: sender, queues: BTreeMap::new(), consumers: Vec::new() };
        thread::spawn(|| D::run(queues, Setup { injector: Some(injectors), ..setup }).unwrap());
        let address: Url = port.recv_timeout(PATIENCE).expect("the server listens").parse().unwrap();
        let url = format!("{scheme}://localhost:{}", address.port()).parse().unwrap();
        Self { url, injector: injector.recv_timeout(PATIENCE).unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.injector.inject(Stop);
    }
}

/// Both sides of TLS, with a certificate made for this.
pub fn tls() -> (TlsClient, TlsServer) {
    let authority = Authority::new("drivers");
    let files = authority.certify(&["localhost"], "server");
    let client = TlsClient::new().ca_file(authority.ca_file()).unwrap();
    (client, TlsServer::new(files.certificate, files.key).unwrap())
}

/// Keeps what is sent to an address for whoever receives from it.
struct Queues {
    listen: Url,
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
        cx.listen(&self.listen);
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        self.port.send(address.to_owned()).unwrap();
    }

    fn on_injected(&mut self, cx: &mut Context<'_>, _: Box<dyn Any + Send>) {
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
