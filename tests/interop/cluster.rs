//! A RabbitMQ cluster of three nodes that loses the node in use: first the sender's, then the receiver's.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use amqp1_engine::types::{DeliveryState, Error, MessageId};
use amqp1_std::{
    Address, AtLeastOnce, ConnectionId, ConnectionOptions, Container, ContainerOptions, Context, Delivery,
    Disconnected, Handler, Knobs, Message, Object, SenderId, TaskId, Tracker, Url,
};

use crate::{proton::peer, rabbitmq::Rabbit};

const MESSAGES: u64 = 20_000;

/// How long the whole may take.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn r_02_every_message_arrives_though_the_node_in_use_is_killed_twice() {
    let Some(cluster) = Cluster::up() else { return };
    let rabbit = Rabbit::at(cluster.addresses[0].clone());
    let queue = rabbit.queue("cluster", "quorum");
    assert_eq!(rabbit.replicas(&queue), 3, "each node has a copy of the queue");

    let [first, second, third] = [0, 1, 2].map(|node| {
        let url = format!("amqp://guest:guest@{}/{queue}", cluster.addresses[node]);
        url.parse::<Url>().expect("it is a URL")
    });
    let mut sender = container(Sending::to([first.clone(), second.clone(), third.clone()]));
    let mut receiver = container(Receiving::from([second, third, first]));

    // What is killed when so many messages are confirmed, to be started again a second later. The last quarter is not sent
    // before both were.
    let mut kills =
        [(MESSAGES / 4, Victim::OfSender), (MESSAGES / 2, Victim::OfReceiver)].into_iter().peekable();
    let mut dead: Option<Dead> = None;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sends = sender.process(Duration::from_millis(1)).unwrap();
        let receives = receiver.process(Duration::from_millis(1)).unwrap();
        if !sends && !receives {
            break;
        }
        let confirmed = sender.handler().confirmed;
        if let Some((_, victim)) = kills.next_if(|(at, _)| dead.is_none() && confirmed >= *at) {
            let port = match victim {
                Victim::OfSender => sender.handler().port,
                Victim::OfReceiver => receiver.handler().port,
            };
            let node = cluster.node_at(port);
            cluster.kill(node);
            dead = Some(Dead { node, since: Instant::now(), start: None });
            if kills.len() == 0 {
                sender.handler().limit = MESSAGES;
            }
        }
        if dead.as_mut().is_some_and(|dead| dead.is_back(&cluster)) {
            dead = None;
        }
        let (sending, arrived) = (sender.handler(), receiver.handler().times.len());
        assert!(Instant::now() < deadline, "not done after {PATIENCE:?}: {sending:?}, {arrived} arrived");
    }
    assert_eq!(kills.len(), 0, "no node is left to be killed");

    let (sending, receiving) = (sender.handler(), receiver.handler());
    assert_eq!(sending.confirmed, MESSAGES);
    assert!(sending.losses > 0 && receiving.losses > 0, "both have lost their connections");
    assert!((1..=MESSAGES).all(|id| receiving.times.contains_key(&id)), "every message arrived");
    let duplicates: u64 = receiving.times.values().map(|times| times - 1).sum();
    println!(
        "{MESSAGES} messages confirmed and received, {duplicates} duplicates; {} sends were in doubt, of which {} with a \
        session or link alone; sessions and links were made again {} times",
        sending.in_doubt,
        sending.in_doubt_alone,
        sending.renewals + receiving.renewals,
    );
}

enum Victim {
    OfSender,
    OfReceiver,
}

/// A node that was killed.
struct Dead {
    node: usize,
    since: Instant,
    /// The command that starts it again.
    start: Option<Child>,
}

impl Dead {
    /// Starts it when it has been away long enough; whether it serves again.
    fn is_back(&mut self, cluster: &Cluster) -> bool {
        match &mut self.start {
            None => {
                if self.since.elapsed() > Duration::from_secs(1) {
                    self.start = Some(cluster.start(self.node));
                }
                false
            }
            Some(start) => match start.try_wait().expect("it is a child of ours") {
                None => false,
                Some(status) => {
                    assert!(status.success(), "the node does not come back");
                    true
                }
            },
        }
    }
}

/// A container that shows its password to who listens here.
fn container<H: Handler>(handler: H) -> Container<H> {
    let mut options = ContainerOptions::default();
    options.connection.allow_clear_text = true;
    Container::with_options(handler, options)
}

/// Connects with the first node, and with the next whenever one does not answer.
fn connect(cx: &mut Context<'_>, nodes: &[Url; 3]) -> ConnectionId {
    let mut options = ConnectionOptions { allow_clear_text: true, ..ConnectionOptions::default() };
    options.reconnect.failover = nodes[1..].iter().map(Address::from).collect();
    cx.connect_with(&nodes[0], options)
}

/// The port of the node that a connection is with.
fn port(cx: &Context<'_>, connection: ConnectionId) -> u16 {
    cx.dialed(connection).expect("it is dialed from here").port
}

/// Sends `MESSAGES` at least once.
#[derive(Debug)]
struct Sending {
    nodes: [Url; 3],
    sender: Option<SenderId>,
    /// How many may be sent for now.
    limit: u64,
    sent: u64,
    confirmed: u64,
    in_doubt: usize,
    in_doubt_alone: usize,
    losses: usize,
    /// How many times the node has ended the session or link alone.
    renewals: usize,
    port: u16,
}

impl Sending {
    const fn to(nodes: [Url; 3]) -> Self {
        Self {
            nodes,
            sender: None,
            limit: MESSAGES / 4 * 3,
            sent: 0,
            confirmed: 0,
            in_doubt: 0,
            in_doubt_alone: 0,
            losses: 0,
            renewals: 0,
            port: 0,
        }
    }
}

impl Handler for Sending {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = connect(cx, &self.nodes);
        self.sender = Some(cx.create_sender(connection, (self.nodes[0].address(), AtLeastOnce)));
    }

    fn on_connection_opened(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        self.port = port(cx, connection);
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while self.sent < self.limit && cx.credit(sender) > 0 {
            self.sent += 1;
            cx.send(sender, &Message::from("x").with_id(self.sent)).expect("there is credit");
        }
        if self.sent == self.limit && self.sent < MESSAGES {
            cx.set_timer(Duration::from_millis(50));
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, _: TaskId) {
        self.on_sendable(cx, self.sender.expect("it is created at the start"));
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.confirmed += 1;
        if self.confirmed == MESSAGES {
            cx.close(cx.connection_of(tracker.sender()).expect("a sender has a connection"));
        }
    }

    fn on_settled(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        assert_eq!(tracker.state(), Some(&DeliveryState::Accepted));
    }

    fn on_disconnected(&mut self, cx: &mut Context<'_>, _: ConnectionId, reason: &Disconnected) {
        assert!(reason.reconnects, "{reason}");
        self.losses += 1;
        self.in_doubt += self.sender.map_or(0, |sender| cx.unsettled(sender));
    }

    fn on_recovering(&mut self, cx: &mut Context<'_>, _: Object, _: &Error) {
        self.renewals += 1;
        let in_doubt = self.sender.map_or(0, |sender| cx.unsettled(sender));
        self.in_doubt += in_doubt;
        self.in_doubt_alone += in_doubt;
    }
}

/// Receives until every message has come.
struct Receiving {
    nodes: [Url; 3],
    /// How many times each has come.
    times: BTreeMap<u64, u64>,
    losses: usize,
    renewals: usize,
    port: u16,
}

impl Receiving {
    const fn from(nodes: [Url; 3]) -> Self {
        Self { nodes, times: BTreeMap::new(), losses: 0, renewals: 0, port: 0 }
    }
}

impl Handler for Receiving {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: 200, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = connect(cx, &self.nodes);
        cx.create_receiver(connection, self.nodes[0].address());
    }

    fn on_connection_opened(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        self.port = port(cx, connection);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        let message = delivery.decode().expect("it is as it was sent");
        let Some(&MessageId::Ulong(id)) = message.id() else { panic!("another id: {message:?}") };
        *self.times.entry(id).or_default() += 1;
        if self.times.len() as u64 == MESSAGES {
            cx.close(delivery.connection());
        }
    }

    fn on_disconnected(&mut self, _: &mut Context<'_>, _: ConnectionId, reason: &Disconnected) {
        assert!(reason.reconnects, "{reason}");
        self.losses += 1;
    }

    fn on_recovering(&mut self, _: &mut Context<'_>, _: Object, _: &Error) {
        self.renewals += 1;
    }
}

/// Three nodes; they end with this.
struct Cluster {
    /// The folder of the peers.
    peers: String,
    addresses: [String; 3],
}

impl Cluster {
    fn up() -> Option<Self> {
        let peers = peer("AMQP1_RABBITMQ_CLUSTER")?;
        let mut cluster = Self { peers, addresses: Default::default() };
        let output = cluster.command(&["up"]).stdout(Stdio::piped()).output().expect("there is a shell");
        let text = String::from_utf8(output.stdout).expect("it prints addresses");
        assert!(output.status.success(), "the cluster does not come up: {text}");
        let mut lines = text.lines();
        cluster.addresses.fill_with(|| lines.next().expect("three addresses are printed").to_owned());
        Some(cluster)
    }

    /// Which node listens at a port.
    fn node_at(&self, port: u16) -> usize {
        let found = self.addresses.iter().position(|address| address.ends_with(&format!(":{port}")));
        found.expect("it is the port of a node")
    }

    fn kill(&self, node: usize) {
        let killed = self.command(&["kill", &(node + 1).to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "the node is not killed");
    }

    fn start(&self, node: usize) -> Child {
        self.command(&["start", &(node + 1).to_string()]).spawn().expect("there is a shell")
    }

    fn command(&self, words: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/peers");
        let mut command = Command::new(script);
        command.arg("cluster").args(words).env("AMQP1_PEERS", &self.peers);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What it says of a failure is seen; there is nothing to be done about it.
        let _ = self.command(&["down"]).status();
    }
}
