//! What the example programs share: their arguments, how they end, and the broker they talk to.

#![forbid(unsafe_code)]

use std::{
    error::Error as _,
    fmt::Display,
    io::{self, Write as _},
    process::{self, ExitCode},
    sync::OnceLock,
};

use amqp1_std::{
    Container, ContainerOptions, Context, Disconnected, Handler, Message, Str, Tracker, Url,
    types::{DeliveryState, Error},
};
use clap::{
    Args as _, FromArgMatches as _, Parser,
    error::{ContextKind, ErrorKind},
};

pub mod broker;
mod seen;
pub use seen::Seen;
mod tls;
pub use tls::Tls;

/// What the arguments say of TLS, for [`run`].
static TLS: OnceLock<Tls> = OnceLock::new();

/// Reads the program's arguments, and those that all programs have. If they are wrong, one line says so and the program
/// ends with exit code 2.
#[must_use]
pub fn arguments<A: Parser>() -> A {
    let parse = || {
        let matches = Tls::augment_args(A::command()).try_get_matches()?;
        Ok((A::from_arg_matches(&matches)?, Tls::from_arg_matches(&matches)?))
    };
    let (arguments, tls) = parse().unwrap_or_else(|error: clap::Error| {
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            error.exit();
        }
        eprintln!("error: {}; --help lists the options", complaint(&error));
        process::exit(2)
    });
    // They are the same each time.
    let _ = TLS.set(tls);
    arguments
}

/// What is wrong with the arguments, in one line. A value that cannot be read is not repeated: it may hold a password.
fn complaint(error: &clap::Error) -> String {
    if let (Some(option), Some(reason)) = (error.get(ContextKind::InvalidArg), error.source()) {
        return format!("{option}: {reason}");
    }
    let text = error.to_string();
    // A list, as of what is missing, comes in lines of its own.
    let lines: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

/// Runs a program until nothing is left to do. If that fails, one line says why.
///
/// A password in a URL is sent even where it can be read on the way: who writes one into an `amqp` URL asks for that.
pub fn run(program: impl Handler) -> ExitCode {
    run_with_failover(program, &[])
}

/// The same for a program whose peer is, when it is lost, found at one of these addresses, too.
pub fn run_with_failover(program: impl Handler, failover: &[Url]) -> ExitCode {
    let mut options = ContainerOptions::default();
    options.connection.allow_clear_text = true;
    options.connection.reconnect.failover = failover.iter().map(Into::into).collect();
    let tls = TLS.get().cloned().unwrap_or_default();
    match tls.set_up(Container::with_options(program, options)) {
        Ok(container) => container.run().map_or_else(fail, |()| ExitCode::SUCCESS),
        Err(error) => fail(error),
    }
}

/// Says why a connection is lost if it is made again; otherwise the program fails.
pub fn transport_error(cx: &mut Context<'_>, reason: &Disconnected) {
    if reason.reconnects {
        eprintln!("{}; connecting again", reason.description);
    } else {
        cx.fail(&reason.description);
    }
}

/// Says why the peer has ended a session or link that is made again.
pub fn recovering(error: &Error) {
    let description = error.description.as_ref().and_then(|text| text.as_str().lines().next());
    eprintln!("{}; attaching again", description.unwrap_or(error.condition.as_str()));
}

/// Prints a line. Where nobody reads on, as behind `| head`, the program ends.
pub fn print(line: impl Display) {
    if writeln!(io::stdout(), "{line}").is_err() {
        process::exit(0);
    }
}

/// Says in one line why the program fails.
pub fn fail(reason: impl Display) -> ExitCode {
    eprintln!("error: {reason}");
    ExitCode::FAILURE
}

/// Reads the address of a node: a URL with a path.
///
/// # Errors
///
/// What to write instead, for a person.
pub fn node(text: &str) -> Result<Url, String> {
    let url = host(text)?;
    match url.address() {
        Some(_) => Ok(url),
        None => Err("no queue: end it with one, as in localhost:5672/examples".into()),
    }
}

/// Reads the address of a host.
///
/// # Errors
///
/// What is wrong with it, for a person.
pub fn host(text: &str) -> Result<Url, String> {
    text.parse().map_err(|error: amqp1_std::UrlError| error.to_string())
}

/// Reads how many messages there are to be.
///
/// # Errors
///
/// What to write instead, for a person.
pub fn count(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "write a whole number, such as 100".into())
}

/// Reads how many messages there are to be, at least one.
///
/// # Errors
///
/// What to write instead, for a person.
pub fn positive(text: &str) -> Result<u64, String> {
    match count(text)? {
        0 => Err("write at least 1".into()),
        count => Ok(count),
    }
}

/// Says why the receiver has not accepted a message.
#[must_use]
pub fn refusal(tracker: &Tracker) -> String {
    match tracker.state().and_then(DeliveryState::outcome) {
        Some(DeliveryState::Rejected(Some(error))) => match &**error {
            Error { condition, description: Some(text), .. } => {
                format!("a message was rejected: {text} ({condition})")
            }
            Error { condition, .. } => format!("a message was rejected: {condition}"),
        },
        Some(DeliveryState::Rejected(None)) => "a message was rejected".into(),
        Some(DeliveryState::Released | DeliveryState::Modified(_)) => {
            "a message was given back: nobody takes it at this address".into()
        }
        _ => "a message was settled without an outcome".into(),
    }
}

/// The response to a request, and the address that it is for: the text of the request in upper case. Nothing for a request
/// that names no address.
#[must_use]
pub fn response(request: &Message) -> Option<(Str, Message)> {
    let address = request.reply_to()?.clone();
    let text = match request.body.as_str() {
        Some(text) => text.to_uppercase(),
        None => request.body.to_string().to_uppercase(),
    };
    let mut response = Message::from(text).with_to(address.clone());
    if let Some(id) = request.correlation_id().or_else(|| request.id()) {
        response = response.with_correlation_id(id.clone());
    }
    Some((address, response))
}

/// The programs of the read me, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct ReadMe;

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn a_node_has_a_host_and_an_address() {
        assert_eq!(node("localhost:5672/examples").unwrap().address(), Some("examples"));
        let error = node("localhost:5672").unwrap_err();
        assert_eq!(error, "no queue: end it with one, as in localhost:5672/examples");
        assert!(node("http://localhost/examples").is_err());
    }

    #[test]
    fn a_count_is_a_whole_number() {
        assert_eq!(count("0"), Ok(0));
        for text in ["", "ten", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(count(text), Err("write a whole number, such as 100".into()), "{text:?}");
        }
    }

    #[test]
    fn a_response_answers_its_request() {
        let request = Message::from("straße").with_id(7_u64).with_reply_to("here");
        let (address, response) = response(&request).unwrap();
        assert_eq!((address.as_str(), response.to().map(Str::as_str)), ("here", Some("here")));
        assert_eq!(response.body.as_str(), Some("STRASSE"));
        assert_eq!(response.correlation_id(), request.id());
        let request = request.with_correlation_id("question");
        assert_eq!(super::response(&request).unwrap().1.correlation_id(), request.correlation_id());
        assert_eq!(super::response(&Message::from("nobody waits")), None);
    }

    #[test]
    fn a_complaint_is_one_line_without_the_password() {
        #[derive(Debug, Parser)]
        struct Options {
            #[arg(short, long, value_name = "URL", value_parser = node)]
            address: Option<Url>,
        }
        let complaint = |arguments: &[&str]| {
            let arguments = ["program"].iter().chain(arguments);
            super::complaint(&Options::try_parse_from(arguments).unwrap_err())
        };
        assert_eq!(
            complaint(&["-a", "amqp://scott:tiger@h/"]),
            "--address <URL>: no queue: end it with one, as in localhost:5672/examples"
        );
        let bad_port = complaint(&["-a", "amqp://scott:tiger@h:\nx/q"]);
        assert!(bad_port.starts_with("--address <URL>: bad port: write a number"), "{bad_port}");
        assert_eq!(complaint(&["--foo"]), "unexpected argument '--foo' found");
        assert!(complaint(&["-a"]).starts_with("a value is required for '--address <URL>'"));
        let missing = Tls::augment_args(Options::command()).try_get_matches_from(["program", "--cert", "x"]);
        assert_eq!(
            super::complaint(&missing.unwrap_err()),
            "the following required arguments were not provided: --key <FILE>"
        );
    }
}
