//! Programs that a test starts: they end with it, and nothing waits for them without end.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long a program may take for anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs.
pub(crate) struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) lines: Vec<String>,
    pub(crate) errors: String,
}

impl Program {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut errors = child.stderr.take().expect("it is piped");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let errors = thread::spawn(move || {
            let mut text = String::new();
            // What is no text is left out: this is for the report of a failure.
            let _ = errors.read_to_string(&mut text);
            text
        });
        Self { name, child, lines, errors: Some(errors) }
    }

    /// The next line that it prints.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(reason) => {
                let errors = self.kill();
                panic!("{} printed nothing: {reason}\n{errors}", self.name)
            }
        }
    }

    /// The next line that it prints, if it does so in this time.
    pub(crate) fn prints_within(&self, time: Duration) -> Result<String, RecvTimeoutError> {
        self.lines.recv_timeout(time)
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let errors = self.kill();
                    panic!("{} does not end; it printed {lines:?}\n{errors}", self.name)
                }
            }
        }
        let status = self.child.wait().expect("it was started here");
        Ended { status, lines, errors: self.errors() }
    }

    /// Waits until it ends by itself, which it must with success: the lines that it printed.
    #[track_caller]
    pub(crate) fn succeed(self) -> Vec<String> {
        let name = self.name.clone();
        let Ended { status, lines, errors } = self.end();
        assert!(status.success(), "{name}: {status}\nprinted {lines:?}\n{errors}");
        lines
    }

    fn kill(&mut self) -> String {
        // Fails only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.errors()
    }

    fn errors(&mut self) -> String {
        self.errors.take().map_or_else(String::new, |errors| errors.join().unwrap_or_default())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let errors = self.kill();
        if thread::panicking() && !errors.is_empty() {
            eprintln!("{} said:\n{errors}", self.name);
        }
    }
}

/// One of the project's example programs.
pub(crate) fn example(name: &str, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Program {
    static FOLDER: OnceLock<std::path::PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // Cargo builds the examples for the tests of their own package only. After `scripts/test` there is nothing to do.
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "--workspace", "--all-features", "--examples"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().is_ok_and(|status| status.success()), "the examples cannot be built");
        let test = std::env::current_exe().expect("a test knows its own path");
        // target/debug/deps/interop-0123456789abcdef
        test.ancestors().nth(2).expect("Cargo puts tests two folders deep").join("examples")
    });
    Program::start(Command::new(folder.join(name)).args(arguments))
}

/// An address on loopback where nobody listens, for a program that cannot choose one itself.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it is bound")
}

/// Waits until somebody listens.
#[track_caller]
pub(crate) fn await_listener(address: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nobody listens at {address}");
        thread::sleep(Duration::from_millis(20));
    }
}
