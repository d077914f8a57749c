//! Replays recordings of connections, and shows what happens: `replay FILE...`.
//!
//! The exit code is 1 when an engine of this version does something else than the recorded one did.

use std::{
    env, fs,
    io::{self, Write},
    process::ExitCode,
};

use amqp1_driver::record::{Replayed, replay_shown};

fn main() -> ExitCode {
    let files: Vec<String> = env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: replay FILE...");
        return ExitCode::from(2);
    }
    let same = files.iter().filter(|file| is_same(file)).count();
    if same == files.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn is_same(file: &str) -> bool {
    let recording = match fs::read(file) {
        Ok(recording) => recording,
        Err(error) => {
            eprintln!("{file}: {error}");
            return false;
        }
    };
    let mut out = io::stdout().lock();
    // Whoever reads this may have seen enough.
    let result = replay_shown(&recording, |line| drop(writeln!(out, "{line}")));
    match result {
        Ok(Replayed { events, calls, received, sent, is_limited, .. }) => {
            let end = if is_limited { "; the rest was beyond its limit" } else { "" };
            let _ = writeln!(
                out,
                "{file}: the same, {events} events, {calls} calls, {received} bytes in, {sent} out{end}"
            );
            true
        }
        Err(error) => {
            eprintln!("{file}: {error}");
            false
        }
    }
}
