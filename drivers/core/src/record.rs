//! Where recordings of connections go.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
};

pub use amqp1_engine::record::{Record, ReplayError, Replayed, replay, replay_shown};

/// Has connections recorded, each to a new file in a folder: what arrived and left, when, and what was called.
///
/// A recording is replayed without the program and without its peer, by [`replay`] or by the example of that name;
/// [`amqp1_engine::record`] describes the format. **It holds every message of the connection**, but no password unless
/// [`record.secrets`](Record::secrets) asks for it.
///
/// ```
/// use amqp1_driver::record::{Record, Recorder};
///
/// let mut recorder = Recorder::new("/var/tmp/recordings");
/// recorder.record = Record { limit: 1024 * 1024, ..Record::default() };
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    /// Where the files go; it is made when it is not there.
    pub folder: PathBuf,
    /// What is recorded, and how much of it.
    pub record: Record,
}

impl Recorder {
    /// Recordings of the default length into this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), record: Record::default() }
    }

    /// Begins the file of one connection. It has the process's id and a number in its name, and ends in `.rec`.
    #[must_use]
    pub fn begin(&self) -> RecordingFile {
        let file = self.create();
        if let Err(error) = &file {
            report(&self.folder, error);
        }
        RecordingFile(file.ok())
    }

    fn create(&self) -> io::Result<(PathBuf, File)> {
        fs::create_dir_all(&self.folder)?;
        let mut number = 1;
        loop {
            let path = self.folder.join(format!("{}-{number}.rec", process::id()));
            match File::create_new(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// The file of one connection. What goes wrong with it is told on the standard error and ends the recording, not the
/// connection.
#[derive(Debug, Default)]
pub struct RecordingFile(Option<(PathBuf, File)>);

impl RecordingFile {
    /// Where it is, unless it could not be written.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.as_ref().map(|(path, _)| path.as_path())
    }

    /// Adds what the engine has recorded.
    pub fn write(&mut self, recording: &str) {
        if let Some((path, file)) = &mut self.0
            && let Err(error) = file.write_all(recording.as_bytes())
        {
            report(path, &error);
            self.0 = None;
        }
    }
}

fn report(path: &Path, error: &io::Error) {
    eprintln!("cannot record to {}: {error}", path.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_a_file_and_failures_are_survived() {
        let folder = std::env::temp_dir().join(format!("amqp1-recorder-{}", process::id()));
        let recorder = Recorder::new(folder.join("made"));
        let (mut first, mut second) = (recorder.begin(), recorder.begin());
        first.write("one\n");
        second.write("two\n");
        first.write("more\n");
        assert_eq!(fs::read_to_string(first.path().unwrap()).unwrap(), "one\nmore\n");
        assert_eq!(fs::read_to_string(second.path().unwrap()).unwrap(), "two\n");

        let mut nowhere = Recorder::new(first.path().unwrap()).begin();
        nowhere.write("lost\n");
        assert_eq!(nowhere.path(), None);
        fs::remove_dir_all(folder).unwrap();
    }
}
