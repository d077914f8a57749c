//! What the benchmark programs share: their options, their one line of JSON, and the work of the codec cases.
//!
//! A program takes `--name value` options, ignores those it does not know, prints one JSON object on a line of its
//! own at the end, and exits 0 only when all that was asked for happened. So programs of different implementations
//! can be run side by side by one harness.

pub mod codec;
pub mod containers;
pub mod duplex;
pub mod load;
pub mod receive;
mod report;
pub use report::{Report, resident_kb};
pub mod scale;
pub mod send;

use std::{process::ExitCode, str::FromStr};

/// How a program ends: with success when all that was asked for happened, else with one line of why on the standard
/// error, if there is something to say.
#[must_use]
pub fn finish(result: Result<bool, String>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Lets this process have so many descriptors, where the system allows it to.
///
/// # Errors
/// A sentence for the user if the system does not.
pub fn raise_descriptor_limit(count: u64) -> Result<(), String> {
    use nix::sys::resource::{Resource::RLIMIT_NOFILE, getrlimit, setrlimit};

    let (soft, hard) = getrlimit(RLIMIT_NOFILE).map_err(|error| error.to_string())?;
    if soft >= count {
        return Ok(());
    }
    setrlimit(RLIMIT_NOFILE, count, hard.max(count))
        .map_err(|error| format!("{count} descriptors are needed and {soft} allowed: {error}"))
}

/// The monotonic clock that all processes of this machine share, in nanoseconds; `None` where there is none.
#[must_use]
pub fn monotonic_ns() -> Option<u64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).ok()?;
    u64::try_from(std::time::Duration::from(now).as_nanos()).ok()
}

/// The options a program was started with.
pub struct Args(Vec<String>);

impl Args {
    /// Those of this process.
    #[must_use]
    pub fn from_env() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// The value after `name`, if there is one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|arg| arg == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// The value after `name`, or `default` where the option is missing.
    ///
    /// # Errors
    ///
    /// A sentence for the user if the value is missing, or not a `T`.
    pub fn parse<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        let Some(text) = self.get(name) else {
            let is_last = self.0.last().is_some_and(|last| last == name);
            return if is_last { Err(format!("{name}: a value is missing")) } else { Ok(default) };
        };
        text.parse().map_err(|_| format!("{name}: cannot use {text:?}"))
    }
}

impl FromIterator<String> for Args {
    fn from_iter<I: IntoIterator<Item = String>>(args: I) -> Self {
        Self(args.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_by_name_and_unknown_ones_ignored() {
        let args: Args = ["--what", "ever", "--iters", "12", "--op"].map(String::from).into_iter().collect();
        assert_eq!(args.parse("--iters", 0), Ok(12));
        assert_eq!(args.parse("--count", 7), Ok(7));
        assert_eq!(args.get("--op"), None);
        assert_eq!(args.parse("--op", 0).unwrap_err(), "--op: a value is missing");
        assert_eq!(args.parse("--what", 0).unwrap_err(), r#"--what: cannot use "ever""#);
    }
}
