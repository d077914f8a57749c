//! A few thousand inputs for each target, without a fuzzer: noise, and the files of the corpora with changes.
//!
//! What fails prints the seed that makes it the first case: `AMQP1_SEED=42` draws from there on, `AMQP1_CASES=20` twenty
//! times as many.

use std::{fs, path::Path};

use amqp1_engine::{codec::Encode, types::Performative};
use amqp1_fuzz::mutate;
use amqp1_tests::Rng;
use arbitrary::{Arbitrary, Unstructured};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Calls `case` with numbers of a seed of its own, so many times or `AMQP1_CASES` times as many.
fn cases(count: u64, mut case: impl FnMut(&mut Rng)) {
    struct OnPanic(u64);
    impl Drop for OnPanic {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("    AMQP1_SEED={}", self.0);
            }
        }
    }
    let first = setting("AMQP1_SEED", 0x0a4d_5150);
    for seed in first..first + count * setting("AMQP1_CASES", 1) {
        let _report = OnPanic(seed);
        case(&mut Rng::new(seed));
    }
}

fn noise(rng: &mut Rng, len: usize) -> Vec<u8> {
    (0..len).map(|_| rng.draw() as u8).collect()
}

/// As many of `target`'s own kind of input, drawn from noise.
fn drawn<T: for<'a> Arbitrary<'a>>(count: u64, len: usize, target: fn(&T)) {
    cases(count, |rng| {
        let noise = noise(rng, len);
        if let Ok(input) = T::arbitrary(&mut Unstructured::new(&noise)) {
            target(&input);
        }
    });
}

fn corpus(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(folder);
    let entries = fs::read_dir(folder).expect("the corpora are in the repository");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("the file can be read")).collect()
}

/// Changes some bytes of the first `size`, or how many there are; at most `max_size`.
fn change(data: &mut [u8], mut size: usize, max_size: usize, rng: &mut Rng) -> usize {
    for _ in 0..=rng.below(3) {
        let at = rng.below(size.max(1));
        match rng.below(4) {
            0 if size < max_size => {
                data.copy_within(at..size, at + 1);
                data[at] = rng.draw() as u8;
                size += 1;
            }
            1 if at < size => {
                data.copy_within(at + 1..size, at);
                size -= 1;
            }
            2 if at < size => data[at] ^= 1 << rng.below(8),
            _ if at < size => data[at] = [0, 1, 0x40, 0x43, 0x7f, 0x80, 0xff][rng.below(7)],
            _ => {}
        }
    }
    size
}

/// The files of a corpus, each changed in its bytes.
fn changed(count: u64, folder: &str, target: fn(&[u8])) {
    let corpus = corpus(folder);
    cases(count, |rng| {
        let mut data = corpus[rng.below(corpus.len())].clone();
        let size = data.len();
        data.resize(size + 64, 0);
        let size = change(&mut data, size, size + 64, rng);
        target(&data[..size]);
    });
}

/// The streams of a corpus, each changed as the fuzzer does it.
fn altered(count: u64, folder: &str, target: fn(&[u8])) {
    let corpus = corpus(folder);
    cases(count, |rng| {
        let mut data = corpus[rng.below(corpus.len())].clone();
        let mut size = data.len();
        let room = size + 1_024;
        data.resize(room, 0);
        for _ in 0..=rng.below(3) {
            let seed = rng.draw() as u32;
            size = mutate(&mut data, size, room, seed, |data, size, max_size| {
                change(data, size, max_size, &mut Rng::new(seed.into()))
            });
        }
        target(&data[..size]);
    });
}

#[test]
fn values() {
    cases(2_000, |rng| {
        let len = rng.below(40);
        amqp1_fuzz::value(&noise(rng, len));
    });
    changed(1_000, "value", amqp1_fuzz::value);
}

#[test]
fn messages() {
    changed(2_000, "message", amqp1_fuzz::message);
    changed(1_000, "value", amqp1_fuzz::message);
}

#[test]
fn frames() {
    drawn(2_000, 300, |performative: &Performative| {
        let mut body = Vec::new();
        performative.encode(&mut body);
        amqp1_fuzz::frame(&body);
        let mut rng = Rng::new(body.len() as u64);
        let size = body.len();
        let size = change(&mut body, size, size, &mut rng);
        amqp1_fuzz::frame(&body[..size]);
    });
    changed(1_000, "frame", amqp1_fuzz::frame);
}

#[test]
fn hot_performatives() {
    changed(10_000, "hot", amqp1_fuzz::hot);
}

#[test]
fn serials() {
    drawn(10_000, 8, |(origin, steps)| amqp1_fuzz::serial(*origin, *steps));
}

#[test]
fn sasl_frames() {
    changed(1_000, "sasl", amqp1_fuzz::sasl);
}

#[test]
fn streams_to_a_server() {
    altered(1_000, "server", amqp1_fuzz::server);
}

#[test]
fn streams_to_a_client() {
    altered(1_000, "client", amqp1_fuzz::client);
}

#[test]
fn users() {
    drawn(1_000, 400, amqp1_fuzz::ops);
}

#[test]
fn unsettled_deliveries() {
    drawn(1_000, 150, amqp1_fuzz::unsettled);
}
