//! The instructions that a message or an operation takes, which repeat where times do not: none may take more than
//! `instructions.tsv` says, and neither links nor unsettled deliveries may make a message dearer.
//!
//! Valgrind counts them in programs built as a release is. Counts of another compiler are others, so with one, or without
//! valgrind, nothing is counted, unless the environment says `CI=true`. `AMQP1_WRITE=1` writes the table and the tables of
//! `docs/PERFORMANCE.md` again.

mod count;
mod page;
mod table;

use std::{env, fs, io::Write, path::Path, sync::LazyLock};

use table::{Row, Table};

/// By how much of a hundred a count may lie above that of the table, or above that of the same work on fewer things.
const TOLERANCE: u64 = 5;
const FLAT: u64 = 10;

/// The rows that must take the same: on few links and on many, with few unsettled deliveries and with many, with messages that
/// are kept until they are confirmed and with messages that are not.
const PAIRS: [[&str; 2]; 5] = [
    ["1 link, turns of 20", "10,000 links, turns of 20"],
    ["100 links, turns of 1", "10,000 links, turns of 1"],
    ["1 unsettled", "10,000 unsettled"],
    ["100 B, not kept", "100 B, kept to be sent again"],
    ["1 KiB, not kept", "1 KiB, kept to be sent again"],
];

/// The rows with what was counted today, which has taken the place of the table if that is wanted; `None` where nothing can
/// be counted.
static COUNTED: LazyLock<Option<Table>> = LazyLock::new(|| {
    let table = Table::read(&read("benches/instructions.tsv"));
    let (must, compiler) = (writes() || env::var("CI").is_ok_and(|ci| ci == "true"), count::compiler());
    let reason = match count::has_valgrind() {
        false => Some("there is no valgrind".into()),
        true if compiler != table.compiler => Some(format!("the table is of {}", table.compiler.join(", "))),
        true => None,
    };
    if let (Some(reason), false) = (reason, must) {
        // Past the capture of the tests' output.
        let _ = writeln!(std::io::stderr(), "== SKIPPED the counts of instructions: {reason}");
        return None;
    }
    assert!(count::has_valgrind(), "there is no valgrind to count with");
    let programs = count::Programs::build();
    let rows =
        table.rows.iter().map(|row| Row { instructions: programs.count(row), ..row.clone() }).collect();
    let counted = Table { compiler, rows };
    if writes() {
        fs::write(root().join("benches/instructions.tsv"), counted.to_string()).unwrap();
    }
    Some(counted)
});

#[test]
fn no_work_takes_more_than_it_did() {
    let Some(counted) = &*COUNTED else { return };
    let table = Table::read(&read("benches/instructions.tsv"));
    assert!(table.rows.len() >= 20);
    let risen = table.rows.iter().zip(&counted.rows).filter(|(was, is)| is.instructions > was.and(TOLERANCE));
    let risen: Vec<_> = risen
        .map(|(was, is)| {
            format!("{} -> {}: {} ({})", was.instructions, is.instructions, was.work, was.command)
        })
        .collect();
    assert!(
        risen.is_empty(),
        "more than {TOLERANCE} % above benches/instructions.tsv, which is of {}; this is {}:\n{}\n\
         if it must be, write it again: {COMMAND}",
        table.compiler.join(", "),
        counted.compiler.join(", "),
        risen.join("\n"),
    );
}

#[test]
fn a_message_takes_the_same_however_many_links_and_unsettled_deliveries_there_are() {
    let Some(counted) = &*COUNTED else { return };
    for pair in PAIRS {
        let [few, many] = pair.map(|work| counted.row(work));
        assert!(many.instructions <= few.and(FLAT), "{few:?}\n{many:?}");
    }
}

/// What makes the table and the page again.
const COMMAND: &str = "AMQP1_WRITE=1 cargo test -p amqp1-benches --test instructions";

#[test]
fn the_page_shows_the_table() {
    if writes() {
        LazyLock::force(&COUNTED);
    }
    let table = Table::read(&read("benches/instructions.tsv"));
    let peers = Table::read_peers(&read("benches/peers.tsv"));
    let page = read("docs/PERFORMANCE.md");
    let expected = page::with_tables(&page, &table, &peers);
    if writes() {
        fs::write(root().join("docs/PERFORMANCE.md"), &expected).unwrap();
    } else {
        assert!(page == expected, "docs/PERFORMANCE.md is old; make it again: {COMMAND}");
    }
}

fn writes() -> bool {
    env::var_os("AMQP1_WRITE").is_some()
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is around it")
}
