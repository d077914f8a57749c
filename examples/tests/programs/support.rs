//! Starting programs, within a time.

use std::{
    env,
    io::Read,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// No program may take longer.
const LIMIT: Duration = Duration::from_secs(60);

/// A program that runs; dropping it kills it.
pub(crate) struct Running {
    child: Child,
    out: Printed,
    err: Printed,
}

/// What a program has left behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// None if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// The end of a program that prints this and nothing else.
    pub(crate) fn well(out: &str) -> Self {
        Self { code: Some(0), out: out.to_owned(), err: String::new() }
    }
}

/// Starts an example.
pub(crate) fn start(name: &str, arguments: &[&str]) -> Running {
    let mut child = Command::new(path(name))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("AMQP1_TRACE")
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{name}: {error}; `cargo build -p amqp1-examples --examples` makes it")
        });
    let out = collect(child.stdout.take().unwrap());
    let err = collect(child.stderr.take().unwrap());
    Running { child, out, err }
}

/// Runs an example to its end.
pub(crate) fn run(name: &str, arguments: &[&str]) -> Ended {
    start(name, arguments).end()
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub(crate) fn output(&self) -> String {
        self.out.so_far()
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => break None,
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        self.child.kill().ok();
        let (out, err) = (self.out.end(), self.err.end());
        let Some(status) = status else { panic!("it does not end; so far it printed {out:?} and {err:?}") };
        Ended { code: status.code(), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The example beside this test: `target/debug/examples` is a sibling of `target/debug/deps`.
fn path(name: &str) -> PathBuf {
    let mut path = env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples").join(name).with_extension(env::consts::EXE_EXTENSION)
}

/// What comes out of a pipe.
struct Printed {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Printed {
    fn so_far(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }

    fn end(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.so_far()
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> Printed {
    let text = Arc::new(Mutex::new(Vec::new()));
    let gathered = Arc::clone(&text);
    let reader = thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut piece) {
            gathered.lock().unwrap().extend_from_slice(&piece[..length]);
        }
    });
    Printed { text, reader: Some(reader) }
}

/// An address with a port where nobody listens, unless somebody else on this machine is very quick.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Waits until somebody listens.
pub(crate) fn await_listener(address: &str) {
    let deadline = Instant::now() + LIMIT;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nobody listens at {address}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a program has printed this.
pub(crate) fn await_output(program: &Running, text: &str) {
    let deadline = Instant::now() + LIMIT;
    while !program.output().contains(text) {
        assert!(Instant::now() < deadline, "no {text:?} in {:?}", program.output());
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a receiver of messages `first..=last` prints.
pub(crate) fn sequence(first: u64, last: u64) -> String {
    (first..=last).map(|n| format!("{{'sequence': {n}}}\n")).collect()
}
