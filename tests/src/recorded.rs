//! The recordings of the engines in tests: replayed where a test has passed, kept where it has failed.

use std::{
    env, fmt, fs, io,
    path::{Path, PathBuf},
    thread,
};

use amqp1_engine::{
    Config, Connection,
    record::{Record, replay},
};

/// The recording of an engine under test. When it is dropped it is replayed, or written to a file if the test fails.
pub(crate) struct Recorded {
    text: String,
    /// Which engine it is.
    name: &'static str,
}

impl Recorded {
    /// Has an engine recorded if it `is_wanted`, unless the test sees to that itself.
    pub(crate) fn new(config: Config, name: &'static str, is_wanted: bool) -> (Self, Config) {
        let record = is_wanted.then_some(Record { limit: 32 * 1024 * 1024, secrets: false });
        (Self { text: String::new(), name }, Config { record: config.record.or(record), ..config })
    }

    /// Takes what the engine has recorded: how much that is.
    pub(crate) fn drain(&mut self, engine: &mut Connection) -> usize {
        let text = engine.poll_recording().unwrap_or_default();
        self.text += &text;
        text.len()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        // A test may have taken the beginning for itself.
        if !self.text.starts_with("amqp1 recording") {
            return;
        }
        let keep = || match keep(&self.text, self.name) {
            Ok(path) => format!("cargo run -q -p amqp1-driver --example replay {}", path.display()),
            Err(error) => format!("it cannot be written: {error}"),
        };
        if thread::panicking() {
            eprintln!("recording of the {}:\n    {}", self.name, keep());
        } else if let Err(error) = replay(self.text.as_bytes()) {
            panic!(
                "the recording of the {} is not replayed to the same, {error}:\n    {}",
                self.name,
                keep()
            );
        }
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorded")
    }
}

/// The folder in which tests that fail leave their recordings.
#[must_use]
pub fn recordings() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a member");
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join("recordings")
}

/// Writes a recording to a new file.
fn keep(recording: &str, name: &str) -> io::Result<PathBuf> {
    let folder = recordings();
    fs::create_dir_all(&folder)?;
    let test = thread::current().name().unwrap_or("test").replace("::", "-");
    let mut number = 1;
    loop {
        let path = folder.join(format!("{test}-{name}-{number}.rec"));
        match fs::File::create_new(&path) {
            Ok(_) => return fs::write(&path, recording).map(|()| path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}
