//! Many connections that share a steady load: does all arrive, and is all that arrived acknowledged?
//!
//! `mio-load --connections 1000 --rate 20000 --seconds 600`
//!
//! Server and client run in a thread each. The client sends so many messages a second in all, over its connections in turn, for
//! so many seconds; then it waits for what is not acknowledged yet.

use std::{
    process::ExitCode,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use amqp1_driver::program::{
    ConnectionId, ContainerOptions, Context, Delivery, Error, Handler, Link, ListenerId, Message, SenderId,
    TaskId, Tracker, Url,
};

use crate::{Args, Report, finish, raise_descriptor_limit};

/// How often the client sends.
const TICK: Duration = Duration::from_millis(5);

/// Takes what comes, until all connections are closed.
pub struct Server {
    address: mpsc::Sender<String>,
    listener: Option<ListenerId>,
    open: u32,
    received: u64,
}

impl Handler for &mut Server {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        if let Ok(local) = "127.0.0.1:0".parse::<Url>() {
            self.listener = Some(cx.listen(local));
        }
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        // The client has given up if nobody listens.
        let _ = self.address.send(address.to_owned());
    }

    fn on_connection_opened(&mut self, _: &mut Context<'_>, _: ConnectionId) {
        self.open += 1;
    }

    fn on_message(&mut self, _: &mut Context<'_>, _: &Delivery<'_>) {
        self.received += 1;
    }

    fn on_connection_closed(&mut self, cx: &mut Context<'_>, _: ConnectionId) {
        self.open -= 1;
        if self.open == 0 {
            self.listener.take().into_iter().for_each(|listener| cx.close(listener));
        }
    }
}

/// Sends at a steady rate.
pub struct Client {
    server: Url,
    connections: u32,
    /// Messages a second.
    rate: u64,
    time: Duration,
    senders: Vec<SenderId>,
    /// Those whose links are not open yet.
    missing: u32,
    start: Option<Instant>,
    next: usize,
    sent: u64,
    acked: u64,
    is_over: bool,
}

impl Client {
    fn tick(&mut self, cx: &mut Context<'_>) {
        let Some(start) = self.start else { return };
        let elapsed = start.elapsed().min(self.time);
        let due =
            u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).saturating_mul(self.rate) / 1_000_000;
        let mut refused = 0;
        while self.sent < due && refused < self.senders.len() {
            let sender = self.senders[self.next];
            self.next = (self.next + 1) % self.senders.len();
            if cx.credit(sender) > 0 && cx.send(sender, &Message::from("some bytes of a load")).is_ok() {
                self.sent += 1;
                refused = 0;
            } else {
                refused += 1;
            }
        }
        self.is_over = elapsed == self.time;
        if !self.is_over {
            cx.set_timer(TICK);
        }
        self.end(cx);
    }

    fn end(&mut self, cx: &mut Context<'_>) {
        if self.is_over && self.acked == self.sent {
            for sender in self.senders.drain(..) {
                cx.connection_of(sender).into_iter().for_each(|connection| cx.close(connection));
            }
        }
    }
}

impl Handler for &mut Client {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        for _ in 0..self.connections {
            let connection = cx.connect(&self.server);
            self.senders.push(cx.create_sender(connection, "load"));
        }
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, _: Link) {
        self.missing -= 1;
        if self.missing == 0 {
            self.start = Some(Instant::now());
            cx.set_timer(TICK);
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, _: TaskId) {
        self.tick(cx);
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, _: &Tracker) {
        self.acked += 1;
        self.end(cx);
    }
}

/// The program, with the containers of a driver: one for the server, one for the client.
pub fn main(
    server: impl FnOnce(&mut Server, ContainerOptions) -> Result<(), Error> + Send,
    client: impl FnOnce(&mut Client, ContainerOptions) -> Result<(), Error>,
) -> ExitCode {
    finish(run(&Args::from_env(), server, client))
}

fn run(
    args: &Args,
    server: impl FnOnce(&mut Server, ContainerOptions) -> Result<(), Error> + Send,
    client: impl FnOnce(&mut Client, ContainerOptions) -> Result<(), Error>,
) -> Result<bool, String> {
    let connections = args.parse("--connections", 1_000)?;
    let (rate, seconds) = (args.parse("--rate", 20_000)?, args.parse("--seconds", 10)?);
    // Both ends of each connection are in this process.
    raise_descriptor_limit(2 * u64::from(connections) + 100)?;
    let (address, listening) = mpsc::channel();
    let mut receiving = Server { address, listener: None, open: 0, received: 0 };
    thread::scope(|scope| {
        let serving = scope.spawn(|| server(&mut receiving, ContainerOptions::default()));
        let address = listening.recv().map_err(|_| "the server does not listen")?;
        let mut sending = Client {
            server: address.parse().map_err(|error| format!("{error}"))?,
            connections,
            rate,
            time: Duration::from_secs(seconds),
            senders: Vec::new(),
            missing: connections,
            start: None,
            next: 0,
            sent: 0,
            acked: 0,
            is_over: false,
        };
        client(&mut sending, ContainerOptions::default()).map_err(|error| error.to_string())?;
        let elapsed = sending.start.map_or(0.0, |start| start.elapsed().as_secs_f64());
        match serving.join() {
            Ok(served) => served.map_err(|error| error.to_string())?,
            Err(_) => return Err("the server panicked".into()),
        }
        Ok((sending.sent, sending.acked, elapsed))
    })
    .map(|(sent, acked, elapsed)| {
        #[expect(clippy::cast_precision_loss, reason = "it is shown with few digits")]
        let rate = acked as f64 / elapsed;
        Report::new()
            .number("connections", connections)
            .number("sent", sent)
            .number("received", receiving.received)
            .number("acked", acked)
            .fraction("seconds", elapsed, 3)
            .fraction("rate", rate, 0)
            .print();
        sent > 0 && sent == acked && acked == receiving.received
    })
}
