//! Connects and sends N messages as a container, each encoded anew.
//!
//! `std-send --connect HOST:PORT --count N --size B --settled 0|1`

use std::{process::ExitCode, time::Instant};

use amqp1_driver::program::{
    AtLeastOnce, AtMostOnce, Body, ConnectionId, ContainerOptions, Context, Error, Handler, Message,
    SenderId, Tracker, Url,
};
use bytes::Bytes;

use crate::{Args, Report, finish, monotonic_ns};

/// The handler that sends.
pub struct Send {
    address: Url,
    settled: bool,
    count: u64,
    body: Bytes,
    connection: Option<ConnectionId>,
    sent: u64,
    acked: u64,
    start: Option<Instant>,
    end: Option<Instant>,
    first_ack_ns: Option<u64>,
}

impl Send {
    fn close(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = self.connection.take() {
            cx.close(connection);
        }
    }
}

impl Handler for &mut Send {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect(&self.address);
        if self.settled {
            cx.create_sender(connection, ("bench", AtMostOnce));
        } else {
            cx.create_sender(connection, ("bench", AtLeastOnce));
        }
        self.connection = Some(connection);
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        if self.start.is_none() {
            self.start = Some(Instant::now());
        }
        while self.sent < self.count && cx.credit(sender) > 0 {
            if cx.send(sender, &Message::new(Body::data(self.body.clone()))).is_err() {
                return;
            }
            self.sent += 1;
        }
        if self.settled && self.sent == self.count {
            self.close(cx);
        }
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, _: &Tracker) {
        if self.first_ack_ns.is_none() {
            self.first_ack_ns = monotonic_ns();
        }
        self.acked += 1;
        if self.acked == self.count {
            self.end = Some(Instant::now());
            self.close(cx);
        }
    }

    fn on_connection_closed(&mut self, _: &mut Context<'_>, _: ConnectionId) {
        self.end.get_or_insert_with(Instant::now);
    }
}

/// The program, with the container of a driver.
pub fn main(container: impl FnOnce(&mut Send, ContainerOptions) -> Result<(), Error>) -> ExitCode {
    finish(run(&Args::from_env(), container))
}

fn run(
    args: &Args,
    container: impl FnOnce(&mut Send, ContainerOptions) -> Result<(), Error>,
) -> Result<bool, String> {
    let mut send = Send {
        address: args.parse("--connect", "127.0.0.1:5672".parse().map_err(|error| format!("{error}"))?)?,
        settled: args.parse("--settled", 0_u8)? != 0,
        count: args.parse("--count", 1)?,
        body: vec![b'x'; args.parse("--size", 100)?].into(),
        connection: None,
        sent: 0,
        acked: 0,
        start: None,
        end: None,
        first_ack_ns: None,
    };
    container(&mut send, ContainerOptions::default()).map_err(|error| error.to_string())?;
    let seconds = match (send.start, send.end) {
        (Some(start), Some(end)) => (end - start).as_secs_f64(),
        _ => 0.0,
    };
    let report =
        Report::new().number("sent", send.sent).number("acked", send.acked).fraction("seconds", seconds, 6);
    match send.first_ack_ns {
        Some(ns) => report.number("first_ack_mono_ns", ns).print(),
        None => report.print(),
    }
    Ok(send.sent == send.count && (send.settled || send.acked == send.count))
}
