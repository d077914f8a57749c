//! What is wrong between the rows and the sources.

use crate::{
    rows::{KINDS, Ledger, Row},
    source::{Source, Test},
};

/// What holds a row.
#[derive(Debug, Default)]
pub(crate) struct Holders<'a> {
    /// The files whose code implements it.
    pub(crate) code: Vec<&'a str>,
    /// The files and names of its tests.
    pub(crate) tests: Vec<(&'a str, &'a str)>,
}

/// What holds the row of this id.
pub(crate) fn holders<'a>(sources: &'a [Source], id: &str) -> Holders<'a> {
    let mut holders = Holders::default();
    for source in sources {
        if source.ids.iter().any(|other| other == id) {
            holders.code.push(&source.path);
        }
        let of_row = source.tests.iter().filter(|test| test.ids.iter().any(|other| other == id));
        holders.tests.extend(of_row.map(|test| (source.path.as_str(), test.name.as_str())));
    }
    holders
}

/// The tests, with their files, whose names start with this.
pub(crate) fn named<'a>(sources: &'a [Source], prefix: &str) -> Vec<(&'a str, &'a Test)> {
    let in_source = |source: &'a Source| source.tests.iter().map(|test| (source.path.as_str(), test));
    sources.iter().flat_map(in_source).filter(|(_, test)| test.name.starts_with(prefix)).collect()
}

/// All faults, a line each.
pub(crate) fn faults(ledger: &Ledger, sources: &[Source], least_share: usize) -> Vec<String> {
    let mut faults = Vec::new();
    faults.extend(marks(ledger, sources));
    faults.extend(exceptions(ledger, sources));
    faults.extend(ledger.rows.iter().filter_map(|row| gap(ledger, sources, row)));
    faults.extend(inputs(ledger, sources));
    let share = share(ledger, sources);
    if share.percent() < least_share {
        let missing = share.missing.join(" ");
        faults.push(format!(
            "{share}, fewer than {least_share} %; there is none for {missing}",
            share = share.text()
        ));
    }
    faults
}

/// How many of the rows that should be held, and of those which the text implies, have a test.
#[derive(Debug)]
pub(crate) struct Share {
    all: usize,
    missing: Vec<String>,
}

impl Share {
    pub(crate) fn percent(&self) -> usize {
        100 - (self.missing.len() * 100).div_ceil(self.all.max(1))
    }

    pub(crate) fn text(&self) -> String {
        let with = self.all - self.missing.len();
        format!("{with} of {} SHOULD and IMPLIED rows have a test: {} %", self.all, self.percent())
    }
}

/// The rows below MUST that are the engine's, but for those that are excepted.
pub(crate) fn share(ledger: &Ledger, sources: &[Source]) -> Share {
    let ours = |row: &&Row| ledger.exception(&row.id).is_none();
    let rows = ledger.rows.iter().filter(|row| row.is_should() && ledger.replacement(&row.id).is_none());
    let rows: Vec<_> = rows.filter(ours).collect();
    let without = rows.iter().filter(|row| holders(sources, &row.id).tests.is_empty());
    Share { all: rows.len(), missing: without.map(|row| row.id.clone()).collect() }
}

/// Ids that are none, that stand above nothing, or above a test that shows nothing.
fn marks(ledger: &Ledger, sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for Source { path, ids, tests, strays } in sources {
        faults.extend(strays.iter().map(|id| format!("{path}: {id} stands in test code above no test")));
        let of_tests = tests.iter().flat_map(|test| &test.ids);
        for id in ids.iter().chain(of_tests) {
            if !ledger.rows.iter().any(|row| row.id == *id) {
                faults.push(format!("{path}: there is no row {id}"));
            } else if let Some(row) = ledger.replacement(id) {
                faults.push(format!("{path}: {} stands in the place of {id}: name that", row.id));
            }
        }
        let named_for_input =
            |test: &&Test| ledger.inputs.iter().any(|input| test.name.starts_with(&input.prefix()));
        let blind =
            tests.iter().filter(|test| !test.judges && (!test.ids.is_empty() || named_for_input(test)));
        faults.extend(blind.map(|test| format!("{path}: {} asserts nothing", test.name)));
    }
    faults
}

/// Exceptions for what does not exist, or for what is held, or without a reason.
fn exceptions(ledger: &Ledger, sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, exception) in ledger.exceptions.iter().enumerate() {
        let id = &exception.id;
        let row = ledger.rows.iter().find(|row| row.id == *id);
        let input = ledger.inputs.iter().find(|input| input.id == *id);
        let held = if let Some(row) = row {
            let Holders { code, tests } = holders(sources, id);
            !tests.is_empty() && (!row.is_must() || !code.is_empty())
        } else if let Some(input) = input {
            !named(sources, &input.prefix()).is_empty()
        } else {
            faults.push(format!("exceptions.tsv: there is no row {id}"));
            continue;
        };
        if held {
            faults.push(format!("exceptions.tsv: {id} is held now: remove its line"));
        }
        if !KINDS.contains(&exception.kind.as_str()) {
            faults.push(format!(
                "exceptions.tsv: {id}: the kind is one of {KINDS:?}, not {:?}",
                exception.kind
            ));
        }
        if !exception.reason.ends_with('.') {
            faults.push(format!("exceptions.tsv: {id}: the reason is no sentence"));
        }
        if ledger.exceptions[..at].iter().any(|other| other.id == *id) {
            faults.push(format!("exceptions.tsv: {id} is there twice"));
        }
    }
    faults
}

/// A requirement that needs code and a test and has not both.
fn gap(ledger: &Ledger, sources: &[Source], row: &Row) -> Option<String> {
    if !row.is_must() || ledger.replacement(&row.id).is_some() || ledger.exception(&row.id).is_some() {
        return None;
    }
    let Holders { code, tests } = holders(sources, &row.id);
    let missing = match (code.as_slice(), tests.as_slice()) {
        ([], []) => "no code is marked, no test and no exception is there".to_owned(),
        ([], [(path, name), ..]) => format!("{name} in {path} tests it, no code is marked"),
        ([path, ..], []) => format!("code in {path}, no test"),
        _ => return None,
    };
    Some(format!("{row}: {missing}"))
}

/// Bad inputs without a test.
fn inputs(ledger: &Ledger, sources: &[Source]) -> Vec<String> {
    let open = ledger.inputs.iter().filter(|input| ledger.exception(&input.id).is_none());
    let open = open.filter(|input| named(sources, &input.prefix()).is_empty());
    open.map(|input| format!("{} ({}): no test is named {}...", input.id, input.input, input.prefix()))
        .collect()
}
