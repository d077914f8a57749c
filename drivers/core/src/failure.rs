//! What a driver tells its user when a socket fails.

use std::{error::Error, fmt, io, io::ErrorKind, sync::Arc};

use amqp1_engine::container::Address;

/// A socket that could not be opened: where, why, and what to do about it, in one line.
///
/// ```
/// use amqp1_driver::{Failure, Url};
/// use std::io::ErrorKind::ConnectionRefused;
///
/// let url: Url = "localhost:5672/examples".parse()?;
/// assert_eq!(
///     Failure::connect(&url.into(), ConnectionRefused.into()).to_string(),
///     "cannot connect to localhost:5672: connection refused; check that a broker listens there"
/// );
/// # Ok::<(), amqp1_driver::UrlError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    task: Task,
    place: String,
    cause: Arc<io::Error>,
}

#[derive(Clone, Copy, Debug)]
enum Task {
    Resolve,
    Connect,
    Listen,
}

impl Failure {
    /// The host's name has no address.
    #[must_use]
    pub fn resolve(address: &Address, cause: io::Error) -> Self {
        Self::new(Task::Resolve, address, cause)
    }

    /// None of the host's addresses answered; `cause` is what the last one said.
    #[must_use]
    pub fn connect(address: &Address, cause: io::Error) -> Self {
        Self::new(Task::Connect, address, cause)
    }

    /// No connections can be accepted there.
    #[must_use]
    pub fn listen(address: &Address, cause: io::Error) -> Self {
        Self::new(Task::Listen, address, cause)
    }

    fn new(task: Task, address: &Address, cause: io::Error) -> Self {
        let Address { host, port, .. } = address;
        let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Self { task, place, cause: Arc::new(cause) }
    }

    /// The kind of the error that the operating system gave, such as [`ErrorKind::AddrInUse`].
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.cause.kind()
    }

    /// The second half of the line: what went wrong and what to do about it, without the place.
    #[must_use]
    pub fn reason(&self) -> String {
        match self.reason_and_advice() {
            Some((reason, advice)) => format!("{reason}; {advice}"),
            None => self.cause.to_string(),
        }
    }

    fn reason_and_advice(&self) -> Option<(&'static str, &'static str)> {
        Some(match (self.task, self.kind()) {
            (Task::Resolve, ErrorKind::TimedOut) => {
                ("looking up the host's name takes too long", "try again")
            }
            (Task::Resolve, _) => ("the host's name is unknown", "check its spelling"),
            (Task::Connect, ErrorKind::ConnectionRefused) => {
                ("connection refused", "check that a broker listens there")
            }
            (Task::Connect, ErrorKind::TimedOut) => {
                ("no answer", "check host and port, and the firewalls on the way")
            }
            (Task::Connect, ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
                ("there is no way to that host", "check the host and this machine's network")
            }
            (Task::Listen, ErrorKind::AddrInUse) => {
                ("the port is in use", "stop the program that uses it or choose another port")
            }
            (Task::Listen, ErrorKind::PermissionDenied) => {
                ("not permitted", "choose a port above 1023 or run with more rights")
            }
            (Task::Listen, ErrorKind::AddrNotAvailable) => {
                ("this machine has no such address", "use localhost, 0.0.0.0 or an address of this machine")
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = match self.task {
            Task::Resolve | Task::Connect => "connect to",
            Task::Listen => "listen at",
        };
        write!(f, "cannot {task} {}: {}", self.place, self.reason())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_to_do_and_keeps_its_cause() {
        let address = Address::new("::1", 80).with_user("scott", "tiger").with_path("q");
        let failure = Failure::listen(&address, ErrorKind::PermissionDenied.into());
        let text =
            "cannot listen at [::1]:80: not permitted; choose a port above 1023 or run with more rights";
        assert_eq!(failure.to_string(), text);
        assert_eq!(failure.kind(), ErrorKind::PermissionDenied);
        assert!(failure.source().is_some());
        assert!(!format!("{failure:?}").contains("scott"));
    }

    #[test]
    fn a_rare_failure_is_told_in_the_words_of_the_system() {
        let failure = Failure::connect(&Address::new("h", 1), io::Error::other("out of tin"));
        assert_eq!(failure.to_string(), "cannot connect to h:1: out of tin");
    }
}
