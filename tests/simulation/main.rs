//! A sender and a receiver, each a container, and the broker between them, on a virtual clock and over a network that stalls,
//! fragments and cuts. For exactly once there is no broker: one of the two connects to the other. A ledger of every message
//! tells whether the guarantee holds: none is lost where it says so, none doubled where it says so, none stuck.
//!
//! The ordinary tests draw 1,000 seeds. A hundred times as many:
//!
//! ```sh
//! AMQP1_CASES=100 cargo test --release -p amqp1-tests --test simulation
//! ```
//!
//! What fails prints the command that replays it.

mod consumer;
mod ledger;
mod producer;

use std::thread;

use amqp1_engine::{
    Instant,
    container::{Address, ConnectionOptions, ContainerOptions, Reconnect},
};
use amqp1_examples::broker::Broker;
use amqp1_tests::{Rng, World};

use consumer::Consumer;
use ledger::{Guarantee, Ledger};
use producer::Producer;

/// Seeds of an ordinary run.
const SEEDS: u64 = 1_000;

/// When a world must have come to rest at the latest: no run takes a tenth of it.
const END: Instant = Instant::from_millis(60 * 60 * 1_000);

/// Where the broker is.
fn broker() -> Address {
    Address::new("broker", 5672).with_path("queue")
}

fn options(seed: u64) -> ContainerOptions {
    let reconnect = Reconnect { from_start: true, ..Reconnect::default() };
    // Now and then too small for what an attach has to name.
    let max_frame_size = if seed.is_multiple_of(4) { 512 } else { 4_096 };
    let connection = ConnectionOptions { reconnect, max_frame_size, ..ConnectionOptions::default() };
    ContainerOptions { seed, connection, suspended_links: 1, ..ContainerOptions::default() }
}

/// What a run was about, for the account of all.
#[derive(Debug, Default)]
struct Account {
    messages: usize,
    in_doubt: usize,
    /// The same where the link was resumed.
    resumed: usize,
    doubled: usize,
    lost: usize,
    cut: u32,
}

fn simulate(seed: u64) -> Account {
    let told = Told(seed);
    let mut rng = Rng::new(seed);
    let guarantee = Guarantee::ALL[rng.below(Guarantee::ALL.len())];
    let (is_rough, cuts) = (!rng.one_in(8), if rng.one_in(8) { 0 } else { rng.below(12) as u32 });
    let total = rng.below(60) + 1;
    let ledger = Ledger::new(guarantee, total);

    let mut world = World::new(rng.draw(), is_rough, cuts);
    let has_broker = guarantee != Guarantee::ExactlyOnce;
    let producer_listens = !has_broker && rng.one_in(2);
    let consumer_listens = !has_broker && !producer_listens;
    let broker = has_broker.then(|| world.add(Broker::new(broker()), options(3 * seed)));
    let producer = world.add(Producer::new(&ledger, rng.draw(), producer_listens), options(3 * seed + 1));
    let consumer = world.add(Consumer::new(&ledger, rng.draw(), consumer_listens), options(3 * seed + 2));
    let (server, clients) = match broker {
        Some(broker) => (broker, vec![producer, consumer]),
        None if producer_listens => (producer, vec![consumer]),
        None => (consumer, vec![producer]),
    };
    let has_ended = world.run(&clients, END);
    let mut account = ledger.borrow().check(has_ended, cuts);
    account.cut = cuts - world.cuts_left();
    world.container(server).stop();
    assert!(world.run(&[server], END), "the server does not stop");
    drop(told);
    account
}

/// Tells how to replay a seed if a panic drops it.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if thread::panicking() {
            let Self(seed) = self;
            eprintln!("replay it: AMQP1_SEED={seed} cargo test -p amqp1-tests --test simulation");
        }
    }
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn n_04_each_guarantee_holds_over_a_network_that_fails() {
    let seeds = match number("AMQP1_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..SEEDS * number("AMQP1_CASES").unwrap_or(1) + 1,
    };
    let count = seeds.clone().count();
    let mut all = Account::default();
    for seed in seeds {
        let Account { messages, in_doubt, resumed, doubled, lost, cut } = simulate(seed);
        all.messages += messages;
        all.in_doubt += in_doubt;
        all.resumed += resumed;
        all.doubled += doubled;
        all.lost += lost;
        all.cut += cut;
    }
    println!("{count} seeds: {all:?}");
    // A network that harms nobody proves nothing.
    if count as u64 >= SEEDS {
        assert!(all.cut as usize > 2 * count && all.in_doubt > count && all.doubled > count / 4, "{all:?}");
        assert!(all.lost > count / 20 && all.resumed > count / 4, "{all:?}");
    }
}

#[test]
fn n_04_a_seed_runs_the_same_each_time() {
    for seed in 1..20 {
        assert_eq!(format!("{:?}", simulate(seed)), format!("{:?}", simulate(seed)));
    }
}
