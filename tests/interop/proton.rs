//! Qpid Proton for Python as `scripts/peers` installs it, and what both peers share: being absent.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::Duration,
};

use amqp1_std::blocking::{Connection, Error, Options};

use crate::process::Program;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What an environment variable of `scripts/peers` tells. When it tells nothing, a line says so, once.
pub(crate) fn peer(variable: &'static str) -> Option<String> {
    static MISSING: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        let reason = format!("{variable} is not set: run the tests by `scripts/peers with cargo test`");
        assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "{reason}");
        if MISSING.lock().is_ok_and(|mut missing| missing.insert(variable)) {
            // Not by `eprintln!`, which the test harness keeps to itself.
            let _ = writeln!(std::io::stderr(), "== SKIPPED interop tests: {reason}");
        }
    }
    value
}

/// Python with Proton.
#[derive(Clone)]
pub(crate) struct Proton {
    python: PathBuf,
    examples: PathBuf,
}

impl Proton {
    pub(crate) fn installed() -> Option<Self> {
        let python = peer("AMQP1_PROTON_PYTHON")?.into();
        let examples = peer("AMQP1_PROTON_EXAMPLES")?.into();
        Some(Self { python, examples })
    }

    /// A listener of `python/listener.py`.
    pub(crate) fn listener(&self, options: &[&str]) -> ProtonListener {
        let mut program = Program::start(self.script("listener.py").args(options));
        let port = program.line();
        ProtonListener { program, address: format!("127.0.0.1:{port}") }
    }

    /// A client of `python/client.py`.
    pub(crate) fn client(&self, words: impl IntoIterator<Item: AsRef<std::ffi::OsStr>>) -> Program {
        Program::start(self.script("client.py").args(words))
    }

    /// One of Proton's own examples. Those that take no address have `replace` put another in place of theirs.
    pub(crate) fn example(&self, name: &str, arguments: &[String], replace: Option<(&str, &str)>) -> Program {
        let path = self.examples.join(name);
        let mut command = self.python();
        match replace {
            None => command.arg(path),
            Some((theirs, ours)) => {
                let source = std::fs::read_to_string(&path).expect("Proton's examples are installed");
                assert!(source.contains(theirs), "{name} has no {theirs}");
                command.arg("-c").arg(source.replace(theirs, ours))
            }
        };
        Program::start(command.args(arguments))
    }

    /// A program given as its text.
    pub(crate) fn code(&self, code: &str) -> Program {
        Program::start(self.python().arg("-c").arg(code))
    }

    fn script(&self, name: &str) -> Command {
        let mut command = self.python();
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name));
        command
    }

    fn python(&self) -> Command {
        let mut command = Command::new(&self.python);
        // Python runs with its output unbuffered, and leaves no files in the source tree.
        command.env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        command.env_remove("PN_TRACE_FRM");
        // Users that Proton's server knows: guest.
        let sasl = self.examples.with_file_name("sasl");
        if sasl.exists() {
            command.env("PN_SASL_CONFIG_PATH", sasl);
        }
        command
    }
}

/// A Proton listener with nodes that do what their addresses say.
pub(crate) struct ProtonListener {
    pub(crate) program: Program,
    pub(crate) address: String,
}

impl ProtonListener {
    /// Connects the blocking interface to it.
    pub(crate) fn connect(&self) -> Connection {
        connect(&self.address, |_| {})
    }
}

/// Connects the blocking interface, with some options changed.
pub(crate) fn connect(url: &str, change: impl FnOnce(&mut Options)) -> Connection {
    try_connect(url, change).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// As [`connect`], where that may fail.
pub(crate) fn try_connect(url: &str, change: impl FnOnce(&mut Options)) -> Result<Connection, Error> {
    let mut options = Options { timeout: TIMEOUT, ..Options::default() };
    options.connection.allow_clear_text = true;
    change(&mut options);
    options.connect(url)
}
