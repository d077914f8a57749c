use std::fmt::{Display, Write};
use std::fs;

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};

/// The one line of JSON a program ends with.
#[must_use]
pub struct Report(String);

impl Report {
    /// An object without a field.
    #[expect(clippy::new_without_default, reason = "an empty report is of no use by default")]
    pub fn new() -> Self {
        Self("{".into())
    }

    /// Adds a field with a text; `text` needs no escaping.
    pub fn text(self, name: &str, text: &str) -> Self {
        self.raw(name, format_args!("{text:?}"))
    }

    /// Adds a field with a whole number.
    pub fn number(self, name: &str, number: impl Into<i128>) -> Self {
        self.raw(name, number.into())
    }

    /// Adds a field with a fraction, rounded to `digits` places.
    pub fn fraction(self, name: &str, value: f64, digits: usize) -> Self {
        // What was divided by nothing is no number, and JSON has no name for it.
        if value.is_finite() {
            self.raw(name, format_args!("{value:.digits$}"))
        } else {
            self.raw(name, format_args!("null"))
        }
    }

    /// Adds the fields every program ends with, processor time and peak memory of this process, and prints the line.
    pub fn print(self) {
        let (user, system) = match getrusage(UsageWho::RUSAGE_SELF) {
            Ok(usage) => (seconds(usage.user_time()), seconds(usage.system_time())),
            Err(_) => (-1.0, -1.0),
        };
        let peak = status_kb("VmHWM:").unwrap_or(-1);
        let all = self.fraction("user", user, 6).fraction("sys", system, 6).number("maxrss_kb", peak);
        println!("{}}}", all.0);
    }

    fn raw(mut self, name: &str, value: impl Display) -> Self {
        let comma = if self.0.len() == 1 { "" } else { "," };
        let _ = write!(self.0, "{comma}\"{name}\":{value}");
        self
    }
}

/// Memory this process holds now, in KiB; `None` where the system does not tell.
#[must_use]
pub fn resident_kb() -> Option<i64> {
    status_kb("VmRSS:")
}

fn status_kb(field: &str) -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "the seconds of a run are few")]
fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_separated_by_commas() {
        let report = Report::new().text("case", "map").number("iters", 3_u64).fraction("ns_per_op", 1.25, 1);
        assert_eq!(report.0, r#"{"case":"map","iters":3,"ns_per_op":1.2"#);
    }

    #[test]
    fn memory_is_known_on_linux() {
        if cfg!(target_os = "linux") {
            assert!(resident_kb().unwrap() > 0);
            assert!(status_kb("VmHWM:").unwrap() > 0);
        }
    }
}
