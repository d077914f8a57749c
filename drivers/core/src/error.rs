//! Why a container stopped.

use std::{error, fmt, io};

use amqp1_engine::container::Failure;

/// Why a container stopped, in one line for a person.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Something that this side began has failed, and no handler took care of it.
    Unhandled(Failure),
    /// The operating system has no descriptor left to begin with.
    System(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unhandled(failure) => failure.fmt(f),
            Self::System(error) => write!(f, "cannot start: {error}"),
        }
    }
}

impl error::Error for Error {}
