use std::{fmt, io, sync::mpsc, thread};

use amqp1_std::{Container, Error, Injector, Url};

use super::Broker;

/// Tells a broker to stop.
pub(super) struct Stop;

/// A broker that runs in a thread of its own until it is stopped or dropped.
///
/// ```
/// use amqp1_examples::broker::Broker;
///
/// let broker = Broker::start("localhost:0")?;
/// let connection = amqp1_std::connect(broker.address())?;
/// # drop(connection);
/// broker.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RunningBroker {
    address: String,
    injector: Injector,
    thread: Option<thread::JoinHandle<Result<(), Error>>>,
}

impl Broker {
    /// Starts a broker at an address; port 0 lets the system choose one.
    ///
    /// # Errors
    ///
    /// The address is none, or one where nobody can listen.
    pub fn start(address: &str) -> io::Result<RunningBroker> {
        let url: Url = address.parse().map_err(io::Error::other)?;
        Self::new(url).spawn()
    }

    /// Starts this broker in a thread of its own.
    ///
    /// # Errors
    ///
    /// Nobody can listen at its address.
    pub fn spawn(self) -> io::Result<RunningBroker> {
        let (listening, heard) = mpsc::channel();
        let broker = self.when_listening(move |address| {
            // Nobody listens only if the thread below is lost, and with it this one's work.
            let _ = listening.send(address.to_owned());
        });
        let container = Container::new(broker);
        let injector = container.injector();
        let thread = thread::Builder::new().name("broker".into()).spawn(move || container.run())?;
        match heard.recv() {
            Ok(address) => Ok(RunningBroker { address, injector, thread: Some(thread) }),
            Err(_) => Err(match thread.join() {
                Ok(Err(failure)) => io::Error::other(failure),
                _ => io::Error::other("the broker's thread has ended"),
            }),
        }
    }
}

impl RunningBroker {
    /// Where it listens: `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Closes all its connections and waits until they are.
    pub fn stop(self) {}
}

impl Drop for RunningBroker {
    fn drop(&mut self) {
        // Fails where it has ended by itself.
        let _ = self.injector.inject(Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for RunningBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningBroker").field("address", &self.address).finish_non_exhaustive()
    }
}
