//! The rows: what is to be held, and what is excepted.

use std::fmt;

/// A requirement of the specification, in `requirements.tsv`.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The section and a number in it; X numbers are those which the OASIS Standard adds.
    pub(crate) id: String,
    pub(crate) level: String,
    /// Whom it binds: the engine, or the node behind it.
    pub(crate) scope: String,
    /// The title of the section, and the field.
    pub(crate) section: String,
    /// As much of the sentence as lets one know it again.
    pub(crate) quote: String,
    /// The row in whose place this one stands.
    pub(crate) replaces: String,
}

impl Row {
    /// Whether it needs code and a test, or an exception.
    pub(crate) fn is_must(&self) -> bool {
        matches!(self.level.as_str(), "MUST" | "MUST NOT" | "REQUIRED")
    }

    /// Whether it is of those of which most need a test.
    pub(crate) fn is_should(&self) -> bool {
        let level = matches!(self.level.as_str(), "SHOULD" | "SHOULD NOT" | "RECOMMENDED" | "IMPLIED");
        level && self.scope == "engine"
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({}: {})", self.id, self.level, self.section, self.quote)
    }
}

/// A bad input, in `inputs.tsv`.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) id: String,
    pub(crate) input: String,
}

impl Input {
    /// What the names of its tests start with.
    pub(crate) fn prefix(&self) -> String {
        format!("{}_", self.id.to_lowercase())
    }
}

/// Why nothing holds a row, in `exceptions.tsv`.
#[derive(Debug, Clone)]
pub(crate) struct Exception {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) reason: String,
}

/// What an exception can be: what is missing, and what is the business of the engine's user or of the network below.
pub(crate) const KINDS: [&str; 2] = ["not yet", "not ours"];

/// All that is to be held.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) rows: Vec<Row>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) exceptions: Vec<Exception>,
}

impl Ledger {
    /// Reads the three tables.
    pub(crate) fn read(requirements: &str, inputs: &str, exceptions: &str) -> Self {
        let rows = table(requirements).map(|[id, level, scope, section, quote, replaces]| Row {
            id,
            level,
            scope,
            section,
            quote,
            replaces,
        });
        let inputs = table(inputs).map(|[id, input]| Input { id, input });
        let exceptions = table(exceptions).map(|[id, kind, reason]| Exception { id, kind, reason });
        Self { rows: rows.collect(), inputs: inputs.collect(), exceptions: exceptions.collect() }
    }

    /// The row that stands in the place of this one.
    pub(crate) fn replacement(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.replaces == id)
    }

    pub(crate) fn exception(&self, id: &str) -> Option<&Exception> {
        self.exceptions.iter().find(|exception| exception.id == id)
    }
}

/// The lines of a table but for the first, which names the columns.
fn table<const N: usize>(text: &str) -> impl Iterator<Item = [String; N]> {
    text.lines().skip(1).map(|line| {
        let cells: Vec<_> = line.split('\t').map(str::to_owned).collect();
        cells.try_into().unwrap_or_else(|_| panic!("not {N} columns: {line}"))
    })
}
