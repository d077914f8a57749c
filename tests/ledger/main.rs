//! The ledger of requirements: every sentence of the specification that binds us names the code that implements it and
//! a test that holds it, or says why not.
//!
//! `requirements.tsv` holds the sentences, `inputs.tsv` what peers do wrong, `exceptions.tsv` what nothing holds and why.
//! Code and tests name their rows in a comment of this form; a test's stands right above its attributes:
//!
//! ```text
//! //= 2.7.1-05 2.8.15-14
//! ```
//!
//! A bad input is held by the tests whose names start with its id: `f2_an_oversized_frame_closes`.

mod check;
mod faults;
mod page;
mod rows;
mod source;

use std::{env, fs, path::Path};

use rows::Ledger;
use source::Source;

/// How many of a hundred SHOULD and IMPLIED rows need a test.
const LEAST_SHARE: usize = 90;

#[test]
fn each_row_is_held_or_excepted() {
    let faults = check::faults(&ledger(), &sources(), LEAST_SHARE);
    assert!(faults.is_empty(), "{} faults:\n{}\n", faults.len(), faults.join("\n"));
}

#[test]
fn the_page_shows_the_ledger() {
    let path = root().join("docs/SPEC.md");
    let page = page::page(&ledger(), &sources());
    if env::var_os("AMQP1_WRITE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let same = fs::read_to_string(&path).is_ok_and(|written| written == page);
    assert!(
        same,
        "docs/SPEC.md is old; make it again: AMQP1_WRITE=1 cargo test -p amqp1-tests --test ledger"
    );
}

fn ledger() -> Ledger {
    let tables = ["requirements", "inputs", "exceptions"].map(|name| {
        let path = root().join(format!("tests/ledger/{name}.tsv"));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    Ledger::read(&tables[0], &tables[1], &tables[2])
}

fn sources() -> Vec<Source> {
    source::read_all(root(), &["engine", "drivers", "examples", "tests"])
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is around it")
}
