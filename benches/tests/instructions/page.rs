//! `docs/PERFORMANCE.md`: its tables of instructions.

use std::fmt::Write;

use crate::table::{Peer, Row, Table};

/// What stands before and behind a table of the page, with the name of its group between.
const BEGIN: &str = "<!-- instructions ";
const END: &str = "<!-- end -->";

/// The page with its tables made anew.
pub(crate) fn with_tables(page: &str, table: &Table, peers: &[Peer]) -> String {
    let mut parts = page.split(BEGIN);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (group, rest) = part.split_once(" -->").expect("the comment ends");
        let (_, rest) = rest.split_once(END).expect("the table ends");
        let rows: Vec<_> = table.rows.iter().filter(|row| row.group == group).collect();
        assert!(!rows.is_empty(), "no row is of the group {group}");
        let _ = write!(out, "{BEGIN}{group} -->\n\n{}\n{END}{rest}", rows_as_table(&rows, peers));
    }
    out
}

fn rows_as_table(rows: &[&Row], peers: &[Peer]) -> String {
    let has_peers = rows.iter().any(|row| peer(peers, row).is_some());
    let mut out = "| work | command | amqp1 |".to_owned();
    let mut line = "|---|---|---:|".to_owned();
    if has_peers {
        out += " Proton C | fe2o3-amqp |";
        line += "---:|---:|";
    }
    let _ = writeln!(out, "\n{line}");
    for row in rows {
        let _ = write!(out, "| {} | `{}` | {} |", row.work, row.command, grouped(row.instructions));
        if has_peers {
            for index in 0..2 {
                let count = peer(peers, row).and_then(|peer| peer.instructions[index]);
                let _ = match count {
                    Some(count) => {
                        write!(out, " {} ({}) |", grouped(count), times(count, row.instructions))
                    }
                    None => write!(out, " |"),
                };
            }
        }
        out.push('\n');
    }
    out
}

fn peer<'a>(peers: &'a [Peer], row: &Row) -> Option<&'a Peer> {
    peers.iter().find(|peer| peer.work == row.work)
}

/// How many times as much it is, to a tenth.
fn times(count: u64, ours: u64) -> String {
    let tenths = (count * 10 + ours / 2) / ours.max(1);
    format!("{}.{}x", tenths / 10, tenths % 10)
}

/// The number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
