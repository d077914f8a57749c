//! What an idle connection and an idle link hold in memory, both ends in one container over real sockets. A test program
//! of its own: the allocator that counts is the whole program's.

use std::alloc::System;

use amqp1_driver::program::{
    ConnectionId, ConnectionOptions, ContainerOptions, Context, Error, Handler, Knobs, Link, ListenerId,
    Name, Url,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What an allocator takes for each block besides what was asked for: its own note of the size, and rounding.
const OVERHEAD: isize = 16;

/// What is held: the bytes asked for and not given back, and the allocator's own.
fn held(region: &Region<'_, System>) -> isize {
    let change = region.change();
    let blocks = change.allocations as isize - change.deallocations as isize;
    change.bytes_allocated as isize - change.bytes_deallocated as isize + blocks * OVERHEAD
}

/// Connections with themselves, and links on the first of them.
struct Idle<'a> {
    region: Region<'a, System>,
    connections: u32,
    links: u32,
    /// Ends of connections and links that are not open yet.
    missing: u32,
    before: isize,
    held: isize,
}

impl Idle<'_> {
    /// What both ends hold of so many connections, or of so many links on one.
    fn all(run: Run, connections: u32, links: u32) -> isize {
        let region = Region::new(GLOBAL);
        let missing = 2 * connections;
        let mut idle = Self { region, connections, links, missing, before: 0, held: 0 };
        let mut connection = ConnectionOptions::default();
        connection.session.handle_max = links;
        let options = ContainerOptions { connection, ..ContainerOptions::default() };
        run(&mut idle, options).unwrap();
        assert_eq!(idle.missing, 0);
        idle.held - idle.before
    }

    fn one_more(&mut self, cx: &mut Context<'_>) {
        self.missing -= 1;
        if self.missing == 0 {
            self.held = held(&self.region);
            cx.stop();
        }
    }
}

impl Handler for &mut Idle<'_> {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: 0, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen("amqp://127.0.0.1:0".parse::<Url>().unwrap());
    }

    fn on_listening(&mut self, cx: &mut Context<'_>, _: ListenerId, address: &str) {
        let address: Url = address.parse().unwrap();
        self.before = held(&self.region);
        for _ in 0..self.connections {
            cx.connect(&address);
        }
    }

    fn on_connection_opened(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        if self.links > 0 && self.missing == 1 {
            self.missing = 2 * self.links + 1;
            self.before = held(&self.region);
            let session = cx.create_session(connection);
            for link in 0..self.links {
                cx.create_sender(session, ("queue", Name(format!("link-{link}"))));
            }
        }
        self.one_more(cx);
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, _: Link) {
        self.one_more(cx);
    }
}

/// The container of a driver.
type Run = fn(&mut Idle<'_>, ContainerOptions) -> Result<(), Error>;

fn std(idle: &mut Idle<'_>, options: ContainerOptions) -> Result<(), Error> {
    amqp1_std::Container::with_options(idle, options).run()
}

fn mio(idle: &mut Idle<'_>, options: ContainerOptions) -> Result<(), Error> {
    amqp1_mio::Container::with_options(idle, options).run()
}

fn tokio(idle: &mut Idle<'_>, options: ContainerOptions) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(Error::System)?
        .block_on(async { amqp1_tokio::Container::with_options(idle, options).run().await })
}

/// What one more costs each of two ends, from `few` to `many`: both just below powers of two, where tables that double
/// are nearly full.
fn one_more(all: impl Fn(u32) -> isize, few: u32, many: u32) -> isize {
    (all(many) - all(few)) / (2 * (many - few)) as isize
}

/// A link's name at each end: in the link, its text of 9 bytes in a block of its own with two counts, an entry of the map of
/// names, whose nodes are three quarters full, and the text in both attaches.
const NAME: isize = 24 + (16 + 9 + OVERHEAD) + 52 + 2 * 9;

/// One test, since tests of one program run side by side and would count each other's memory.
#[test]
fn d_idle_connections_and_links_are_small() {
    for (name, run) in [("std", std as Run), ("mio", mio), ("tokio", tokio)] {
        let connection = one_more(|count| Idle::all(run, count, 0), 125, 250);
        println!("{name}: {connection} bytes for an idle connection");
        assert!((1_000..4 * 1024).contains(&connection), "{name}: {connection} bytes for an idle connection");
    }
    let link = one_more(|count| Idle::all(std, 1, count), 2_000, 4_000);
    println!("{link} bytes for an idle link with {NAME} for its name");
    assert!((200..500 + NAME).contains(&link), "{link} bytes for an idle link");
}
