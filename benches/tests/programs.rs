//! What the programs do with options that they cannot use: one line of why, no result, and an exit code.

use std::process::{Command, Stdio};

/// A program, and what it is asked for in vain.
const IN_VAIN: [(&str, &str); 25] = [
    (env!("CARGO_BIN_EXE_engine"), "--count x"),
    (env!("CARGO_BIN_EXE_engine"), "--count"),
    (env!("CARGO_BIN_EXE_engine"), "--count -1"),
    (env!("CARGO_BIN_EXE_engine"), "--mode weird"),
    (env!("CARGO_BIN_EXE_engine"), "--size 99999999999999999999"),
    (env!("CARGO_BIN_EXE_engine"), "--links many"),
    (env!("CARGO_BIN_EXE_engine"), "--unsettled -1"),
    (env!("CARGO_BIN_EXE_codec"), "--case nope"),
    (env!("CARGO_BIN_EXE_codec"), "--op nope"),
    (env!("CARGO_BIN_EXE_codec"), "--iters 1.5"),
    (env!("CARGO_BIN_EXE_std-send"), "--connect http://localhost"),
    (env!("CARGO_BIN_EXE_std-send"), "--connect 127.0.0.1:1"),
    (env!("CARGO_BIN_EXE_std-send"), "--connect"),
    (env!("CARGO_BIN_EXE_std-send"), "--settled perhaps"),
    (env!("CARGO_BIN_EXE_std-recv"), "--listen localhost:99999999"),
    (env!("CARGO_BIN_EXE_std-recv"), "--listen 192.0.2.1:5672"),
    (env!("CARGO_BIN_EXE_std-recv"), "--count many"),
    (env!("CARGO_BIN_EXE_std-scale"), ""),
    (env!("CARGO_BIN_EXE_std-scale"), "neither"),
    (env!("CARGO_BIN_EXE_std-scale"), "client --kind neither"),
    (env!("CARGO_BIN_EXE_std-scale"), "client --connect 127.0.0.1:1"),
    (env!("CARGO_BIN_EXE_mio-send"), "--connect 127.0.0.1:1"),
    (env!("CARGO_BIN_EXE_mio-load"), "--rate much"),
    (env!("CARGO_BIN_EXE_tokio-send"), "--connect 127.0.0.1:1"),
    (env!("CARGO_BIN_EXE_async-std-send"), "--connect 127.0.0.1:1"),
];

#[test]
fn options_that_cannot_be_used_are_refused_in_one_line() {
    for (program, options) in IN_VAIN {
        let output =
            Command::new(program).args(options.split_whitespace()).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{program} {options}: {said}");
        assert!(said.lines().count() == 1 && !said.contains("panicked"), "{program} {options}: {said}");
        assert!(output.stdout.is_empty(), "{program} {options}");
    }
}

/// Ten minutes of it, as fast as it is meant to be, is `cargo run --release -p amqp1-benches --bin mio-load -- --seconds 600`.
#[test]
fn a_load_on_a_thousand_connections_is_acknowledged_in_whole() {
    // Without optimization and beside other tests, a tenth of it.
    let rate = if cfg!(debug_assertions) { "2000" } else { "20000" };
    let mut load = Command::new(env!("CARGO_BIN_EXE_mio-load"));
    let output = load.args(["--connections", "1000", "--rate", rate, "--seconds", "10"]).output().unwrap();
    let (report, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{report} {said}");
}

#[test]
fn nothing_to_do_is_done_and_reported() {
    let mut engine = Command::new(env!("CARGO_BIN_EXE_engine"));
    let output = engine.args(["--count", "0"]).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && report.contains(r#""ns_per_message":null"#), "{report}");
}
