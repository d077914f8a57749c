//! Both ends of a link in one process, wired memory to memory: what the protocol itself costs.
//!
//! `engine --count N --size B --credit C --settled 0|1 --mode raw|msg [--links K] [--turn N] [--unsettled K]`. In mode
//! `raw` the message is encoded once and handed over as bytes, and is not decoded on arrival; in mode `msg` it is encoded
//! for each send and decoded on each arrival. With `--links` so many links take turns, each of as many messages as it has
//! credit for, or of `--turn`; with `--unsettled` the receiver leaves so many deliveries unsettled, and settles the
//! oldest of more.

use std::{process::ExitCode, time::Instant};

use amqp1_benches::{
    Args, Report,
    duplex::{Duplex, Work},
    finish,
};

fn main() -> ExitCode {
    finish(run(&Args::from_env()))
}

fn run(args: &Args) -> Result<bool, String> {
    let default = Work::default();
    let work = Work {
        count: args.parse("--count", default.count)?,
        size: args.parse("--size", default.size)?,
        credit: args.parse("--credit", default.credit)?,
        settled: args.parse("--settled", 0_u8)? != 0,
        raw: match args.get("--mode") {
            Some("raw") => true,
            Some("msg") | None => false,
            Some(other) => return Err(format!("--mode: cannot use {other:?}, only raw and msg")),
        },
        links: args.parse("--links", default.links)?,
        turn: args.parse("--turn", default.turn)?,
        unsettled: args.parse("--unsettled", default.unsettled)?,
        ..default
    };
    let mut duplex = Duplex::new(&work);
    let mut start = None;
    let mut before = Instant::now();
    while work.count > 0 && duplex.pass() {
        if start.is_none() {
            start = (duplex.sent() > 0).then_some(before);
            before = Instant::now();
        }
    }
    let nanos = start.map_or(0.0, |start| start.elapsed().as_secs_f64() * 1e9);
    Report::new()
        .number("sent", duplex.sent())
        .number("acked", duplex.acked())
        .number("received", duplex.received())
        .number("bytes", duplex.bytes())
        .fraction("ns_per_message", nanos / work.count as f64, 1)
        .print();
    Ok(duplex.received() == work.count && duplex.done() == work.count)
}
