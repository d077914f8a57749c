//! Takes N messages as a container, and accepts them: of who connects, or of the queue `bench` of a broker, into which
//! `std-send` sends.
//!
//! `std-recv --listen HOST:PORT --count N --credit C`
//! `std-recv --connect HOST:PORT --count N --credit C`

use std::{process::ExitCode, time::Instant};

use amqp1_driver::program::{
    BodyRef, ConnectionId, ContainerOptions, Context, Delivery, Error, Handler, Knobs, ListenerId, Url,
};

use crate::{Args, Report, finish};

/// The handler that receives.
pub struct Receive {
    address: Url,
    /// Connects instead of listening.
    connects: bool,
    credit: u32,
    count: u64,
    listener: Option<ListenerId>,
    received: u64,
    bytes: u64,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Handler for &mut Receive {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: self.credit, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        if self.connects {
            let connection = cx.connect(&self.address);
            cx.create_receiver(connection, "bench");
        } else {
            self.listener = Some(cx.listen(&self.address));
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        if self.first.is_none() {
            self.first = Some(Instant::now());
        }
        if let Ok(BodyRef::Data(data)) = delivery.message().map(|message| message.body()) {
            self.bytes += data.iter().map(|part| part.len() as u64).sum::<u64>();
        }
        self.received += 1;
        if self.received == self.count {
            self.last = Some(Instant::now());
            if self.connects {
                cx.close(delivery.connection());
            }
        }
    }

    fn on_connection_closed(&mut self, cx: &mut Context<'_>, _: ConnectionId) {
        if let Some(listener) = self.listener.take_if(|_| self.received >= self.count) {
            cx.close(listener);
        }
    }
}

/// The program, with the container of a driver.
pub fn main(container: impl FnOnce(&mut Receive, ContainerOptions) -> Result<(), Error>) -> ExitCode {
    finish(run(&Args::from_env(), container))
}

fn run(
    args: &Args,
    container: impl FnOnce(&mut Receive, ContainerOptions) -> Result<(), Error>,
) -> Result<bool, String> {
    let connects = args.get("--connect").is_some();
    let at = if connects { "--connect" } else { "--listen" };
    let mut receive = Receive {
        connects,
        address: args.parse(at, "127.0.0.1:5672".parse().map_err(|error| format!("{error}"))?)?,
        credit: args.parse("--credit", 100)?,
        count: args.parse("--count", 1)?,
        listener: None,
        received: 0,
        bytes: 0,
        first: None,
        last: None,
    };
    container(&mut receive, ContainerOptions::default()).map_err(|error| error.to_string())?;
    let seconds = match (receive.first, receive.last) {
        (Some(first), Some(last)) => (last - first).as_secs_f64(),
        _ => 0.0,
    };
    Report::new()
        .number("received", receive.received)
        .number("bytes", receive.bytes)
        .fraction("seconds", seconds, 6)
        .print();
    Ok(receive.received == receive.count)
}
