//! Where to connect or listen, as users write it.

use std::{error::Error, fmt, str::FromStr};

use amqp1_engine::{
    container::{Address, Scheme, Where},
    sasl::Secret,
};
use percent_encoding::percent_decode_str;

/// A parsed `scheme://user:password@host:port/address`.
///
/// | part | |
/// | --- | --- |
/// | scheme | `amqp`, `amqps`, `ws` or `wss`; without one `amqp` is meant, as in `localhost:5672/examples` |
/// | user, password | percent-decoded; write `@`, `:`, `/` and `%` in them as `%40`, `%3A`, `%2F` and `%25` |
/// | host | a name, an IPv4 address, or an IPv6 address in brackets |
/// | port | 5672, 5671, 80 or 443 by scheme when there is none |
/// | address | everything after the first `/`, as written and not decoded; it may hold any character |
///
/// The host is read by the `url` crate, which knows names in every script and all forms of IP addresses. The
/// whole is not: that crate takes the `localhost:` of `localhost:5672` for a scheme, resolves `..` in the address
/// and encodes its spaces.
///
/// It is what the engine calls an [`Address`], and turns into one wherever one is taken. `Display` and `Debug` show
/// neither user nor password, so that a URL can be logged.
///
/// ```
/// use amqp1_driver::Url;
///
/// let url: Url = "amqp://guest:s%40crets@broker.example//queues/a%2Fb".parse()?;
/// assert_eq!((url.user(), url.password()), (Some("guest"), Some("s@crets")));
/// assert_eq!((url.host(), url.port()), ("broker.example", 5672));
/// assert_eq!(url.address(), Some("/queues/a%2Fb"));
/// assert_eq!(url.to_string(), "amqp://broker.example:5672//queues/a%2Fb");
/// # Ok::<(), amqp1_driver::UrlError>(())
/// ```
#[derive(Clone)]
pub struct Url(Address);

impl Url {
    /// The kind of byte stream.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// The user to authenticate as, percent-decoded.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.user.as_deref()
    }

    /// The password, percent-decoded.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.0.password.as_ref().map(Secret::expose)
    }

    /// The host's name or IP address, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The port, from the scheme when the URL has none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.0.port
    }

    /// The address of a node at the peer: what follows the first `/`, unless that is nothing.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.0.path.as_deref()
    }
}

impl From<Url> for Address {
    fn from(url: Url) -> Self {
        url.0
    }
}

impl From<&Url> for Address {
    fn from(url: &Url) -> Self {
        url.0.clone()
    }
}

impl From<Url> for Where {
    fn from(url: Url) -> Self {
        url.0.into()
    }
}

impl From<&Url> for Where {
    fn from(url: &Url) -> Self {
        url.0.clone().into()
    }
}

impl From<&Self> for Url {
    fn from(url: &Self) -> Self {
        url.clone()
    }
}

impl TryFrom<&str> for Url {
    type Error = UrlError;

    fn try_from(text: &str) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl TryFrom<&String> for Url {
    type Error = UrlError;

    fn try_from(text: &String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = split_scheme(text)?;
        let (authority, address) = match rest.split_once('/') {
            Some((authority, address)) => (authority, Some(address).filter(|address| !address.is_empty())),
            None => (rest, None),
        };
        let (user_info, host_and_port) = match authority.rsplit_once('@') {
            Some((user_info, host_and_port)) => (Some(user_info), host_and_port),
            None => (None, authority),
        };
        let (user, password) = user_info.map_or(Ok((None, None)), split_user_info)?;
        let (host, port) = split_host(host_and_port)?;
        Ok(Self(Address {
            scheme,
            host,
            port: port.unwrap_or_else(|| scheme.default_port()),
            user,
            password: password.map(Secret::from),
            path: address.map(str::to_owned),
        }))
    }
}

/// `amqp://rest`, or the rest alone. A `://` that belongs to the address has a `/` or `:` before it.
fn split_scheme(text: &str) -> Result<(Scheme, &str), UrlError> {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    match text.split_once("://") {
        Some((name, rest)) if is_scheme(name) => [Scheme::Amqp, Scheme::Amqps, Scheme::Ws, Scheme::Wss]
            .into_iter()
            .find(|scheme| scheme.as_str().eq_ignore_ascii_case(name))
            .map(|scheme| (scheme, rest))
            .ok_or_else(|| UrlError(Fault::UnknownScheme(name.to_owned()))),
        _ => Ok((Scheme::Amqp, text)),
    }
}

/// `user` or `user:password`.
fn split_user_info(user_info: &str) -> Result<(Option<String>, Option<String>), UrlError> {
    let (user, password) = match user_info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (user_info, None),
    };
    if user.is_empty() {
        return Err(UrlError(Fault::NoUser));
    }
    Ok((Some(decode(user)?), password.map(decode).transpose()?))
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_host(host_and_port: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, port) = match host_and_port.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (host_and_port, None),
    };
    if host.is_empty() {
        return Err(UrlError(Fault::NoHost));
    }
    if host.contains(':') && !host.starts_with('[') {
        return Err(UrlError(Fault::TooManyColons));
    }
    let host = match ::url::Host::parse(host).map_err(|_| UrlError(Fault::BadHost))? {
        ::url::Host::Domain(name) => name,
        ::url::Host::Ipv4(address) => address.to_string(),
        ::url::Host::Ipv6(address) => address.to_string(),
    };
    let port = match port {
        // `u16::from_str` takes a sign.
        Some(port) if port.starts_with('+') => return Err(UrlError(Fault::BadPort)),
        Some(port) => Some(port.parse().map_err(|_| UrlError(Fault::BadPort))?),
        None => None,
    };
    Ok((host, port))
}

fn decode(text: &str) -> Result<String, UrlError> {
    let is_escape = |tail: &str| tail.len() >= 2 && tail.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
    if !text.split('%').skip(1).all(is_escape) {
        return Err(UrlError(Fault::BadEscape));
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| UrlError(Fault::NotUtf8))?;
    Ok(decoded.into_owned())
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// Why a text is no [`Url`]; the message says what to write instead and shows no part of the user info.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlError(Fault);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    UnknownScheme(String),
    NoUser,
    NoHost,
    BadHost,
    TooManyColons,
    BadPort,
    BadEscape,
    NotUtf8,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Fault::UnknownScheme(scheme) => {
                write!(f, "unknown scheme `{scheme}`: write amqp, amqps, ws or wss, or none for amqp")
            }
            Fault::NoUser => f.write_str("no user before the password: write user:password@host"),
            Fault::NoHost => f.write_str("no host: write host:port/address, such as localhost:5672/examples"),
            Fault::BadHost => f.write_str(
                "bad host: write a name or an IP address, an IPv6 address in brackets as in [::1]:5672/examples",
            ),
            Fault::TooManyColons => f.write_str(
                "more than one `:` before the address: write an IPv6 address in brackets as in \
                 [::1]:5672/examples, and a `/` in a password as %2F",
            ),
            Fault::BadPort => f.write_str(
                "bad port: write a number from 0 to 65535 after the host, as in localhost:5672/examples, \
                 and a `/` in a password as %2F",
            ),
            Fault::BadEscape => {
                f.write_str("bad `%` in user or password: write a percent sign as %25, others as % and two hex digits")
            }
            Fault::NotUtf8 => f.write_str("user or password is not UTF-8 after percent-decoding"),
        }
    }
}

impl Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn parts(text: &str) -> (&'static str, String, u16, Option<String>) {
        let url = url(text);
        (url.scheme().as_str(), url.host().to_owned(), url.port(), url.address().map(str::to_owned))
    }

    fn fault(text: &str) -> Fault {
        text.parse::<Url>().expect_err(text).0
    }

    #[test]
    fn without_a_scheme_amqp_is_meant() {
        let examples = Some("examples".to_owned());
        assert_eq!(parts("localhost:5672/examples"), ("amqp", "localhost".into(), 5672, examples.clone()));
        assert_eq!(parts("127.0.0.1:5673"), ("amqp", "127.0.0.1".into(), 5673, None));
        assert_eq!(parts("broker/examples"), ("amqp", "broker".into(), 5672, examples));
        assert_eq!(parts("amqp"), ("amqp", "amqp".into(), 5672, None));
        assert_eq!(parts("host/a://b").3.as_deref(), Some("a://b"));
        assert_eq!(parts("host:1/amqp://b"), ("amqp", "host".into(), 1, Some("amqp://b".into())));
    }

    #[test]
    fn the_port_comes_from_the_scheme() {
        assert_eq!(parts("amqp://h").2, 5672);
        assert_eq!(parts("AMQPS://h").2, 5671);
        assert_eq!(parts("ws://h").2, 80);
        assert_eq!(parts("wss://h").2, 443);
        assert_eq!(parts("wss://h:0").2, 0);
    }

    #[test]
    fn the_address_is_as_written() {
        for address in ["/queues/a%2Fb", "a/../b", " a b ", "q?x=y#z", "%zz", "a@b:c", "日本", "//"] {
            assert_eq!(url(&format!("localhost/{address}")).address(), Some(address));
            assert_eq!(url(&format!("amqp://u:p@localhost:1/{address}")).address(), Some(address));
        }
        assert_eq!(url("localhost/").address(), None);
    }

    #[test]
    fn user_and_password_are_decoded() {
        let user_info =
            |text: &str| (url(text).user().map(str::to_owned), url(text).password().map(str::to_owned));
        assert_eq!(user_info("u:p@h"), (Some("u".into()), Some("p".into())));
        assert_eq!(user_info("u@h/a@b"), (Some("u".into()), None));
        assert_eq!(user_info("u:@h"), (Some("u".into()), Some(String::new())));
        assert_eq!(user_info("amqp://a%40b:c%3Ad%2Fe%25@h"), (Some("a@b".into()), Some("c:d/e%".into())));
        assert_eq!(user_info("amqp://a:b@c:d@h"), (Some("a".into()), Some("b@c:d".into())));
        assert_eq!(user_info("%E6%97%A5:x@h").0.as_deref(), Some("日"));
    }

    #[test]
    fn hosts_of_all_kinds() {
        assert_eq!(parts("[::1]:5673/q"), ("amqp", "::1".into(), 5673, Some("q".into())));
        assert_eq!(parts("amqps://[2001:DB8::1]"), ("amqps", "2001:db8::1".into(), 5671, None));
        assert_eq!(parts("my_broker:1").1, "my_broker");
        assert_eq!(parts("bücher.example").1, "xn--bcher-kva.example");
        assert_eq!(url("u:p@[::1]").to_string(), "amqp://[::1]:5672");
    }

    #[test]
    fn errors_tell_what_to_write() {
        assert_eq!(fault("http://localhost"), Fault::UnknownScheme("http".into()));
        for text in ["", "/examples", "amqp://", ":5672", "u:p@", "amqp:///examples"] {
            assert_eq!(fault(text), Fault::NoHost, "{text}");
        }
        for text in ["a b", " localhost", "h?x", "h#x", "[::1", "[::g]", "h\\x", "300.1.2.3"] {
            assert_eq!(fault(text), Fault::BadHost, "{text}");
        }
        for text in ["h:", "h:x", "h:65536", "h:-1", "h:+1", "h: 1", "amqp:/localhost"] {
            assert_eq!(fault(text), Fault::BadPort, "{text}");
        }
        assert_eq!(fault("::1"), Fault::TooManyColons);
        assert_eq!(fault(":p@h"), Fault::NoUser);
        assert_eq!(fault("@h"), Fault::NoUser);
        for text in ["u:%@h", "u:%4@h", "u:%+1@h", "u:%4é@h"] {
            assert_eq!(fault(text), Fault::BadEscape, "{text}");
        }
        assert_eq!(fault("u:%ff@h"), Fault::NotUtf8);
    }

    #[test]
    fn secrets_are_masked_everywhere() {
        let url = url("amqp://scott:tiger@h/q");
        for text in [url.to_string(), format!("{url:?}")] {
            assert!(!text.contains("scott") && !text.contains("tiger"), "{text}");
        }
        for text in ["scott:ti/ger@h", "scott:t:i/ger@h", "scott:%ti@h", "scott:tiger@h:x", "scott:tiger@a b"]
        {
            let error = text.parse::<Url>().expect_err(text);
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.contains("scott") && !shown.contains("ti@") && !shown.contains("tiger"),
                "{shown}"
            );
        }
    }
}
