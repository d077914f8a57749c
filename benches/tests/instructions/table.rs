//! The tables: lines of fields with tabs between them, behind lines of comment.

use std::fmt::{self, Display};

/// `instructions.tsv`.
#[derive(Debug)]
pub(crate) struct Table {
    /// The compiler's version and its target.
    pub(crate) compiler: [String; 2],
    pub(crate) rows: Vec<Row>,
}

/// A piece of work.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Which table of the page shows it.
    pub(crate) group: String,
    pub(crate) work: String,
    /// The program and its options, without the number of messages or operations.
    pub(crate) command: String,
    /// The numbers of a short and a long run.
    pub(crate) runs: [u64; 2],
    /// The instructions by which the long run exceeds the short one, for each message or operation.
    pub(crate) instructions: u64,
}

impl Row {
    /// So many of a hundred more than here.
    pub(crate) const fn and(&self, percent: u64) -> u64 {
        self.instructions + self.instructions * percent / 100
    }
}

/// What another implementation takes for a piece of work.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) work: String,
    /// Those of each peer.
    pub(crate) instructions: Vec<Option<u64>>,
}

const COMPILER: &str = "# compiler\t";
const TARGET: &str = "# target\t";
const HEAD: &str = "group\twork\tcommand\tshort\tlong\tinstructions";

impl Table {
    pub(crate) fn read(text: &str) -> Self {
        let after = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default();
        let rows = fields(text).map(|fields| {
            let [group, work, command, short, long, instructions] = fields[..] else { panic!("{fields:?}") };
            Row {
                group: group.into(),
                work: work.into(),
                command: command.into(),
                runs: [short, long].map(|run| run.parse().unwrap()),
                instructions: instructions.parse().unwrap(),
            }
        });
        Self { compiler: [COMPILER, TARGET].map(|start| after(start).into()), rows: rows.collect() }
    }

    /// Reads `peers.tsv`.
    pub(crate) fn read_peers(text: &str) -> Vec<Peer> {
        let peer = |fields: Vec<&str>| Peer {
            work: fields[0].into(),
            instructions: fields[1..].iter().map(|field| field.parse().ok()).collect(),
        };
        fields(text).map(peer).collect()
    }

    #[track_caller]
    pub(crate) fn row(&self, work: &str) -> &Row {
        self.rows.iter().find(|row| row.work == work).unwrap_or_else(|| panic!("no row is named {work}"))
    }
}

/// The fields of each row behind the names of the columns.
fn fields(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.starts_with('#')).skip(1).map(|line| line.split('\t').collect())
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [compiler, target] = &self.compiler;
        writeln!(f, "{COMPILER}{compiler}\n{TARGET}{target}\n{HEAD}")?;
        for Row { group, work, command, runs: [short, long], instructions } in &self.rows {
            writeln!(f, "{group}\t{work}\t{command}\t{short}\t{long}\t{instructions}")?;
        }
        Ok(())
    }
}
