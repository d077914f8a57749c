//! What an idle connection, or an idle link, costs a container in memory.
//!
//! `std-scale server|client --listen|--connect HOST:PORT --kind conns|links --count K`

use std::{process::ExitCode, time::Duration};

use amqp1_driver::program::{
    ConnectionId, ConnectionOptions, ContainerOptions, Context, Error, Handler, Knobs, Link, Name, Url,
};

use crate::{Args, Report, finish, raise_descriptor_limit, resident_kb};

/// How long a side keeps what it has once all is there, so that the other can measure too.
const LINGER: Duration = Duration::from_millis(600);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Conns,
    Links,
}

/// The handler that opens, or lets open, what is to be measured.
pub struct Scale {
    address: Url,
    is_server: bool,
    kind: Kind,
    count: u32,
    have: u32,
    before: i64,
}

impl Scale {
    fn one_more(&mut self, cx: &mut Context<'_>) {
        self.have += 1;
        if self.have == self.count {
            let after = resident_kb().unwrap_or_default();
            Report::new()
                .text("side", if self.is_server { "server" } else { "client" })
                .number("count", self.count)
                .number("rss_before_kb", self.before)
                .number("rss_after_kb", after)
                .number("bytes_each", (after - self.before) * 1024 / i64::from(self.count))
                .print();
            cx.schedule(LINGER, |cx| cx.stop());
        }
    }

    fn measure(&mut self) {
        self.before = resident_kb().unwrap_or_default();
    }
}

impl Handler for &mut Scale {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: 0, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.measure();
        if self.is_server {
            cx.listen(&self.address);
            return;
        }
        let connections = if self.kind == Kind::Conns { self.count } else { 1 };
        for _ in 0..connections {
            cx.connect(&self.address);
        }
    }

    fn on_connection_opened(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        if self.kind == Kind::Conns {
            return self.one_more(cx);
        }
        self.measure();
        if !self.is_server {
            let session = cx.create_session(connection);
            for link in 0..self.count {
                cx.create_sender(session, ("bench", Name(format!("link-{link}"))));
            }
        }
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, _: Link) {
        if self.kind == Kind::Links {
            self.one_more(cx);
        }
    }
}

/// The program, with the container of a driver.
pub fn main(container: impl FnOnce(&mut Scale, ContainerOptions) -> Result<(), Error>) -> ExitCode {
    finish(run(&Args::from_env(), container))
}

fn run(
    args: &Args,
    container: impl FnOnce(&mut Scale, ContainerOptions) -> Result<(), Error>,
) -> Result<bool, String> {
    let is_server = match std::env::args().nth(1).as_deref() {
        Some("server") => true,
        Some("client") => false,
        _ => return Err("say which side: std-scale server|client --kind conns|links --count K".into()),
    };
    let kind = match args.get("--kind") {
        Some("conns") => Kind::Conns,
        Some("links") | None => Kind::Links,
        Some(other) => return Err(format!("--kind: cannot use {other:?}, only conns and links")),
    };
    let local: Url = "127.0.0.1:5672".parse().map_err(|error| format!("{error}"))?;
    let address = args.parse(if is_server { "--listen" } else { "--connect" }, local)?;
    let count = args.parse("--count", 10_000)?;
    if kind == Kind::Conns {
        raise_descriptor_limit(u64::from(count) + 100)?;
    }
    let mut scale = Scale { address, is_server, kind, count, have: 0, before: 0 };
    let mut connection = ConnectionOptions::default();
    connection.session.handle_max = count;
    let options = ContainerOptions { connection, ..ContainerOptions::default() };
    container(&mut scale, options).map_err(|error| error.to_string())?;
    Ok(scale.have == count)
}
