//! `docs/SPEC.md`: the ledger to be read.

use std::fmt::Write;

use crate::{
    check::{Holders, holders, named, share},
    rows::{Exception, KINDS, Ledger, Row},
    source::Source,
};

/// What precedes the tables.
const HEAD: &str = "\
# The specification, row by row

Made from `tests/ledger` and the comments `//= ID` in the sources; `AMQP1_WRITE=1 cargo test -p amqp1-tests --test ledger`
makes it again. A row is a sentence of the specification that binds, by the number of its section and its place in it; an X
row is one that the OASIS Standard of 2012 adds to the text of 2011 or puts in the place of one. What only informs is not here.

";

/// The page.
pub(crate) fn page(ledger: &Ledger, sources: &[Source]) -> String {
    let mut page = HEAD.to_owned();
    let musts = ledger.rows.iter().filter(|row| row.is_must() && ledger.replacement(&row.id).is_none());
    let musts: Vec<_> = musts.collect();
    let inputs = ledger.inputs.len();
    let untested = ledger.inputs.iter().filter(|input| ledger.exception(&input.id).is_some()).count();
    let lines = [
        format!("{} MUST rows have code and a test; {}", held(ledger, &musts), excepted(ledger, &musts)),
        format!("{}; {}", share(ledger, sources).text(), excepted(ledger, &shoulds(ledger))),
        format!("{} of {inputs} bad inputs have a test", inputs - untested),
    ];
    for line in lines {
        let _ = writeln!(page, "- {line}.");
    }
    requirements(&mut page, ledger, sources);
    bad_inputs(&mut page, ledger, sources);
    page
}

/// How many of these rows are not excepted: all of them are held.
fn held(ledger: &Ledger, rows: &[&Row]) -> usize {
    rows.iter().filter(|row| ledger.exception(&row.id).is_none()).count()
}

/// How many of these rows are excepted, by the kind of exception.
fn excepted(ledger: &Ledger, rows: &[&Row]) -> String {
    let count = |kind: &str| {
        let of_kind = |row: &&&Row| ledger.exception(&row.id).is_some_and(|exception| exception.kind == kind);
        rows.iter().filter(of_kind).count()
    };
    let kinds = KINDS.map(|kind| format!("*{kind}*: {}", count(kind)));
    format!("excepted: {}", kinds.join(", "))
}

fn shoulds(ledger: &Ledger) -> Vec<&Row> {
    ledger.rows.iter().filter(|row| row.is_should() && ledger.replacement(&row.id).is_none()).collect()
}

fn requirements(page: &mut String, ledger: &Ledger, sources: &[Source]) {
    let mut last = "";
    for row in &ledger.rows {
        let section = row.id.rsplit_once('-').map_or(row.id.as_str(), |(section, _)| section);
        let (title, field) = row.section.split_once(" / ").unwrap_or((&row.section, ""));
        if section != last {
            last = section;
            let _ = write!(
                page,
                "\n## {section} {title}\n\n| id | level | | code | tests |\n| --- | --- | --- | --- | --- |\n"
            );
        }
        let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
        let quote = row.quote.replace('|', "\\|");
        let (code, tests) = cells(ledger, sources, row);
        let _ = writeln!(page, "| {} | {} | {field}{quote} | {code} | {tests} |", row.id, row.level);
    }
}

/// The code and the tests of a row, or why there are none.
fn cells(ledger: &Ledger, sources: &[Source], row: &Row) -> (String, String) {
    if let Some(other) = ledger.replacement(&row.id) {
        return (String::new(), format!("see {}", other.id));
    }
    let Holders { code, tests } = holders(sources, &row.id);
    let reason = ledger.exception(&row.id).map(told);
    let tests = tests.into_iter().map(|(path, name)| cell(path, name)).chain(reason);
    (code.join("<br>"), tests.collect::<Vec<_>>().join("<br>"))
}

fn bad_inputs(page: &mut String, ledger: &Ledger, sources: &[Source]) {
    page.push_str("\n## Bad inputs\n\n| id | input | tests |\n| --- | --- | --- |\n");
    for input in &ledger.inputs {
        let tests = named(sources, &input.prefix());
        let tests = tests.into_iter().map(|(path, test)| cell(path, &test.name));
        let tests = tests.chain(ledger.exception(&input.id).map(told)).collect::<Vec<_>>().join("<br>");
        let _ = writeln!(page, "| {} | {} | {tests} |", input.id, input.input.replace('|', "\\|"));
    }
}

fn cell(path: &str, name: &str) -> String {
    format!("{path}: `{name}`")
}

fn told(exception: &Exception) -> String {
    format!("*{}*: {}", exception.kind, exception.reason)
}
