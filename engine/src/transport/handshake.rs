//! Protocol headers (§2.2) and the SASL layer below AMQP (§5.3), in both roles.
//!
//! ```text
//! client                                   server
//! AMQP 3 1.0.0  ------------------------->             with SASL only
//!               <-------------------------  AMQP 3 1.0.0, sasl-mechanisms
//! sasl-init ..  <------------------------>  .. sasl-outcome
//! AMQP 0 1.0.0  ------------------------->             open may follow at once
//!               <-------------------------  AMQP 0 1.0.0
//! ```

use alloc::{boxed::Box, vec::Vec};

use bytes::Buf;

use super::{
    HandshakeError,
    trace::{Direction, Trace},
};
use crate::{
    codec::Str,
    sasl::{Channel, Exchange, Identity, Sasl},
};

const HEADER_LEN: usize = 8;
const AMQP: u8 = 0;
const SASL: u8 = 3;

/// Everything that precedes the first AMQP frame: protocol headers and, if configured, the SASL exchange.
#[derive(Debug)]
pub(crate) struct Handshake {
    side: Side,
    /// The exchange that a SASL header starts, until it has.
    exchange: Option<Box<Exchange>>,
    state: State,
    can_send: bool,
    identity: Option<Identity>,
}

#[derive(Debug)]
enum Side {
    Client,
    Server { sasl_is_optional: bool },
}

#[derive(Debug)]
enum State {
    /// The peer's header is to come.
    Header,
    Sasl(Box<Exchange>),
    Done,
    Failed(HandshakeError),
}

impl Handshake {
    /// The side that opened the socket; `hostname` goes into sasl-init.
    pub(crate) fn client(sasl: Option<&Sasl>, hostname: Option<&str>, channel: &Channel) -> Self {
        let exchange = match sasl {
            None => Ok(None),
            Some(Sasl::Client(config)) => {
                Ok(Some(Exchange::client(config, hostname.map(Str::from), channel)))
            }
            //= 5.3.2-03
            Some(Sasl::Server(_)) => Err(HandshakeError::WrongRole),
        };
        Self::new(Side::Client, exchange)
    }

    /// The side that accepted the socket.
    pub(crate) fn server(sasl: Option<&Sasl>, channel: &Channel) -> Self {
        let (exchange, sasl_is_optional) = match sasl {
            None => (Ok(None), true),
            Some(Sasl::Server(config)) => (Ok(Some(Exchange::server(config, channel))), config.is_optional()),
            //= 5.3.2-03
            Some(Sasl::Client(_)) => (Err(HandshakeError::WrongRole), false),
        };
        Self::new(Side::Server { sasl_is_optional }, exchange)
    }

    /// What the channel gives is known only now: whether that can still matter.
    pub(crate) fn secured(&mut self, sasl: Option<&Sasl>, channel: &Channel) -> bool {
        match (&self.side, &self.state, &mut self.exchange) {
            (Side::Client, State::Header, Some(exchange)) => exchange.secured(channel),
            (Side::Server { .. }, State::Header, _) if self.identity.is_none() => {
                *self = Self::server(sasl, channel);
                true
            }
            _ => false,
        }
    }

    /// One that says nothing of its own: see [`record`](crate::record).
    pub(crate) const fn replayed(can_send: bool) -> Self {
        let side = Side::Server { sasl_is_optional: false };
        Self { side, exchange: None, state: State::Header, can_send, identity: None }
    }

    fn new(side: Side, exchange: Result<Option<Exchange>, HandshakeError>) -> Self {
        let (exchange, state) = match exchange {
            Ok(exchange) => (exchange.map(Box::new), State::Header),
            Err(error) => (None, State::Failed(error)),
        };
        Self { side, exchange, state, can_send: false, identity: None }
    }

    /// Writes what this side says unasked: a client its first header, a server nothing.
    ///
    /// # Errors
    ///
    /// The configuration cannot work; nothing was written.
    pub(crate) fn start(&mut self, out: &mut Vec<u8>, trace: &mut Trace) -> Result<(), HandshakeError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        if matches!(self.side, Side::Client) {
            //= 2.2-01 2.2-05 2.2-07
            let id = self.preferred();
            self.send_header(id, out, trace);
            self.can_send = id == AMQP;
        }
        Ok(())
    }

    /// Consumes headers and SASL frames, whole ones only, and writes the answers. What follows the peer's AMQP header
    /// stays in `input`.
    ///
    /// # Errors
    ///
    /// The reason to drop the socket, again at each call; what must still be sent is in `out`.
    pub(crate) fn handle_input(
        &mut self,
        input: &mut dyn Buf,
        out: &mut Vec<u8>,
        trace: &mut Trace,
    ) -> Result<(), HandshakeError> {
        loop {
            let progress = match &mut self.state {
                State::Header => self.negotiate(input, out, trace),
                State::Sasl(exchange) => match exchange.handle_input(input, out, trace) {
                    Ok(Some(identity)) => {
                        self.authenticated(identity, out, trace);
                        Ok(Progress::Made)
                    }
                    Ok(None) => Ok(Progress::NeedsInput),
                    Err(error) => Err(error.into()),
                },
                State::Done => return Ok(()),
                State::Failed(error) => return Err(error.clone()),
            };
            match progress {
                Ok(Progress::Made) => {}
                Ok(Progress::NeedsInput) => return Ok(()),
                Err(error) => self.state = State::Failed(error),
            }
        }
    }

    /// Our AMQP header is written: frames may follow it.
    pub(crate) const fn can_send(&self) -> bool {
        self.can_send && !matches!(self.state, State::Failed(_))
    }

    /// The peer's AMQP header arrived, too: what follows in the input are AMQP frames.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Who the peer is (server) or by which mechanism we authenticated (client), once SASL has succeeded.
    pub(crate) const fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The protocol id to ask for, or to answer with where the peer's does not do.
    const fn preferred(&self) -> u8 {
        if self.exchange.is_some() { SASL } else { AMQP }
    }

    const fn accepts(&self, id: u8) -> bool {
        let sasl_is_skipped = id == AMQP && matches!(self.side, Side::Server { sasl_is_optional: true });
        id == self.preferred() || sasl_is_skipped
    }

    fn negotiate(
        &mut self,
        input: &mut dyn Buf,
        out: &mut Vec<u8>,
        trace: &mut Trace,
    ) -> Result<Progress, HandshakeError> {
        let is_server = matches!(self.side, Side::Server { .. });
        let Header { id, version } = match Header::read(input, trace) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(Progress::NeedsInput),
            Err(byte) => {
                // A frame where the header after SASL belongs is no attempt at negotiation: not worth an answer.
                let is_frame = byte == 0 && self.identity.is_some();
                //= 2.2-12
                if is_server && !is_frame {
                    self.send_header(self.preferred(), out, trace);
                }
                return Err(HandshakeError::NotAmqp { byte });
            }
        };
        let accepted = self.accepts(id);
        if is_server {
            //= 2.2-01 2.2-08 2.2-09 2.2-13
            self.send_header(if accepted { id } else { self.preferred() }, out, trace);
        }
        //= 2.2-03 2.2-04
        if version != Header::VERSION {
            let [major, minor, revision] = version;
            return Err(HandshakeError::Version { major, minor, revision });
        }
        //= 2.2-04
        if !accepted {
            return Err(HandshakeError::Protocol { expected: self.preferred(), received: id });
        }
        match self.exchange.take() {
            Some(mut exchange) if id == SASL => {
                exchange.start(out, trace)?;
                self.state = State::Sasl(exchange);
            }
            _ => {
                self.can_send = true;
                self.state = State::Done;
            }
        }
        Ok(Progress::Made)
    }

    //= 5.3.3.5-01
    fn authenticated(&mut self, identity: Identity, out: &mut Vec<u8>, trace: &mut Trace) {
        self.identity = Some(identity);
        self.state = State::Header;
        if matches!(self.side, Side::Client) {
            self.send_header(AMQP, out, trace);
            self.can_send = true;
        }
    }

    //= 5.3-01 5.3-02
    fn send_header(&self, id: u8, out: &mut Vec<u8>, trace: &mut Trace) {
        let [major, minor, revision] = Header::VERSION;
        let header = [b'A', b'M', b'Q', b'P', id, major, minor, revision];
        out.extend_from_slice(&header);
        trace.header(Direction::Out, &header);
    }
}

enum Progress {
    Made,
    NeedsInput,
}

struct Header {
    id: u8,
    version: [u8; 3],
}

impl Header {
    const VERSION: [u8; 3] = [1, 0, 0];

    /// Takes a header off the input once it is whole; fails with the first byte that no header has.
    fn read(input: &mut dyn Buf, trace: &mut Trace) -> Result<Option<Self>, u8> {
        let bytes = input.chunk();
        if let Some((&byte, _)) = bytes.iter().zip(b"AMQP").find(|(byte, expected)| byte != expected) {
            return Err(byte);
        }
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        trace.header(Direction::In, header);
        let [_, _, _, _, id, version @ ..] = *header;
        input.advance(HEADER_LEN);
        Ok(Some(Self { id, version }))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use bytes::BytesMut;
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::sasl::{
        Client, Refusal, SaslError, Server,
        fixture::{
            binary, frame, init, mechanisms, outcome, plain_client, plain_server, raw_frame, string, symbol,
        },
    };

    const AMQP_HEADER: &[u8] = b"AMQP\0\x01\0\0";
    const SASL_HEADER: &[u8] = b"AMQP\x03\x01\0\0";
    const TLS_HEADER: &[u8] = b"AMQP\x02\x01\0\0";

    #[derive(Debug, PartialEq)]
    struct Outcome {
        end: Result<(), HandshakeError>,
        out: Vec<u8>,
        /// What was not consumed, of a connection that goes on.
        left: Vec<u8>,
        can_send: bool,
        is_done: bool,
        identity: Option<Identity>,
    }

    impl Outcome {
        fn user(&self) -> Option<&str> {
            self.identity.as_ref()?.user()
        }
    }

    fn feed(mut handshake: Handshake, input: &[u8], step: usize) -> Outcome {
        let mut trace = Trace::new(false);
        let (mut out, mut buffer) = (Vec::new(), BytesMut::new());
        let mut end = handshake.start(&mut out, &mut trace);
        for piece in input.chunks(step) {
            buffer.extend_from_slice(piece);
            end = handshake.handle_input(&mut buffer, &mut out, &mut trace);
        }
        if end.is_err() {
            buffer.clear();
        }
        let (can_send, is_done) = (handshake.can_send(), handshake.is_done());
        Outcome {
            end,
            out,
            left: buffer.to_vec(),
            can_send,
            is_done,
            identity: handshake.identity().cloned(),
        }
    }

    fn both_ways(handshake: impl Fn() -> Handshake, input: &[&[u8]]) -> Outcome {
        let input = input.concat();
        let whole = feed(handshake(), &input, usize::MAX);
        assert_eq!(feed(handshake(), &input, 1), whole, "byte by byte");
        whole
    }

    fn client(config: Option<Client>, input: &[&[u8]]) -> Outcome {
        let sasl = config.map(Sasl::from);
        both_ways(|| Handshake::client(sasl.as_ref(), Some("h"), &Channel::default()), input)
    }

    fn server(config: Option<Server>, input: &[&[u8]]) -> Outcome {
        let sasl = config.map(Sasl::from);
        both_ways(|| Handshake::server(sasl.as_ref(), &Channel::default()), input)
    }

    fn open() -> Vec<u8> {
        raw_frame(0, b"\0\x53\x10\xc0\x04\x01\xa1\x01x")
    }

    /// The connection ended, having written this.
    #[track_caller]
    fn assert_failed(outcome: &Outcome, error: HandshakeError, out: &[u8]) {
        assert_eq!(outcome.end, Err(error));
        assert_eq!(outcome.out, out);
        assert!(!outcome.can_send && !outcome.is_done);
    }

    //= 2.2-01 2.2-02 2.2-05 2.2-07 2.4.2-02
    #[test]
    fn a_client_says_its_header_at_once_and_may_pipeline_its_open() {
        let started = client(None, &[]);
        assert_eq!(started.out, AMQP_HEADER);
        assert!(started.can_send && !started.is_done);
        let done = client(None, &[AMQP_HEADER, &open()]);
        assert_eq!((done.end, done.is_done, done.left), (Ok(()), true, open()));
    }

    //= 2.2-01 2.2-02 2.2-06 2.2-08
    #[test]
    fn a_server_waits_for_the_clients_header() {
        let started = server(None, &[]);
        assert!(started.out.is_empty() && !started.can_send && !started.is_done);
        let done = server(None, &[AMQP_HEADER, &open()]);
        assert_eq!(done.out, AMQP_HEADER);
        assert!(done.can_send && done.is_done);
        assert_eq!((done.left, done.identity), (open(), None));
    }

    //= 5.3-01 5.3-02 5.3.3.5-01
    #[test]
    fn a_client_authenticates_before_it_says_amqp() {
        let offer = mechanisms(&["PLAIN"]);
        let chosen = frame(0x41, &[symbol("PLAIN"), binary(b"\0alice\0sesame"), string("h")]);
        let asked = client(Some(plain_client()), &[SASL_HEADER, &offer]);
        assert_eq!(asked.out, [SASL_HEADER, &chosen].concat());
        assert!(!asked.can_send && asked.identity.is_none());
        let accepted = client(Some(plain_client()), &[SASL_HEADER, &offer, &outcome(0)]);
        assert_eq!(accepted.out, [SASL_HEADER, &chosen, AMQP_HEADER].concat());
        assert!(accepted.can_send && !accepted.is_done);
        let done = client(Some(plain_client()), &[SASL_HEADER, &offer, &outcome(0), AMQP_HEADER, &open()]);
        assert!(done.is_done);
        assert_eq!((done.left, done.identity.unwrap().mechanism()), (open(), "PLAIN"));
    }

    #[test]
    fn a_server_with_optional_sasl_takes_clients_that_skip_it() {
        let config = plain_server().optional();
        let skipped = server(Some(config.clone()), &[AMQP_HEADER, &open()]);
        assert_eq!((&skipped.out[..], skipped.is_done), (AMQP_HEADER, true));
        assert_eq!(skipped.identity, None);
        let used = server(Some(config), &[SASL_HEADER, &init("PLAIN", b"\0alice\0sesame"), AMQP_HEADER]);
        assert!(used.is_done);
        assert_eq!(used.user(), Some("alice"));
    }

    #[test]
    fn a_server_learns_late_who_the_channel_proves_the_client_to_be() {
        let sasl = Sasl::from(Sasl::server().external());
        let channel = Channel { encrypted: true, peer: Some(Str::from_static("CN=alice")), shows_us: false };
        let told = || {
            let mut handshake = Handshake::server(Some(&sasl), &Channel::default());
            assert!(handshake.secured(Some(&sasl), &channel));
            handshake
        };
        let done = both_ways(told, &[SASL_HEADER, &init("EXTERNAL", b""), AMQP_HEADER]);
        assert_eq!(done.user(), Some("CN=alice"));

        let (mut handshake, mut out, mut trace) = (told(), Vec::new(), Trace::new(false));
        handshake.handle_input(&mut &SASL_HEADER[..], &mut out, &mut trace).unwrap();
        assert!(!handshake.secured(Some(&sasl), &Channel::default()), "once it was heard it is too late");
        let mut client = Handshake::client(None, None, &Channel::default());
        assert!(!client.secured(None, &channel), "without SASL it does not matter");
    }

    //= 2.2-12
    #[test]
    fn h1_first_bytes_that_are_no_header() {
        for garbage in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\0\x01\0\x01\xfc", b"\0", b"amqp\0\x01\0\0"]
        {
            let error = HandshakeError::NotAmqp { byte: garbage[0] };
            assert_failed(&server(None, &[garbage]), error.clone(), AMQP_HEADER);
            assert_failed(&server(Some(plain_server()), &[garbage]), error.clone(), SASL_HEADER);
            assert_failed(&client(None, &[garbage]), error.clone(), AMQP_HEADER);
            assert_failed(&client(Some(plain_client()), &[garbage]), error, SASL_HEADER);
        }
        assert_failed(&server(None, &[b"AMQX"]), HandshakeError::NotAmqp { byte: b'X' }, AMQP_HEADER);
    }

    //= 2.2-03 2.2-04 2.2-09 2.2-10 2.2-11
    #[test]
    fn h2_another_version() {
        for version in [[0, 9, 1], [1, 1, 0], [1, 0, 1], [2, 0, 0]] {
            let [major, minor, revision] = version;
            let error = HandshakeError::Version { major, minor, revision };
            let amqp = [&b"AMQP\0"[..], &version].concat();
            assert_failed(&server(None, &[&amqp]), error.clone(), AMQP_HEADER);
            assert_failed(&client(None, &[&amqp]), error.clone(), AMQP_HEADER);
            assert_failed(&server(Some(plain_server()), &[&amqp]), error.clone(), SASL_HEADER);
            let sasl = [&b"AMQP\x03"[..], &version].concat();
            assert_failed(&server(Some(plain_server()), &[&sasl]), error.clone(), SASL_HEADER);
            assert_failed(&client(Some(plain_client()), &[&sasl]), error, SASL_HEADER);
        }
    }

    #[test]
    fn h2_amqp_0_9_1() {
        let error = HandshakeError::Version { major: 0, minor: 9, revision: 1 };
        assert_failed(&server(Some(plain_server()), &[b"AMQP\0\0\x09\x01"]), error, SASL_HEADER);
    }

    //= 2.2-13 2.2-14 5.2-02
    #[test]
    fn h3_an_id_that_is_unknown_or_not_offered() {
        let protocol = |expected, received| HandshakeError::Protocol { expected, received };
        let unknown = b"AMQP\x07\x01\0\0";
        assert_failed(&server(None, &[unknown]), protocol(0, 7), AMQP_HEADER);
        assert_failed(&server(Some(plain_server()), &[unknown]), protocol(3, 7), SASL_HEADER);
        assert_failed(&server(None, &[SASL_HEADER]), protocol(0, 3), AMQP_HEADER);
        assert_failed(&server(None, &[TLS_HEADER]), protocol(0, 2), AMQP_HEADER);
        assert_failed(&server(Some(plain_server().optional()), &[TLS_HEADER]), protocol(3, 2), SASL_HEADER);
        assert_failed(&client(None, &[SASL_HEADER]), protocol(0, 3), AMQP_HEADER);
    }

    //= 2.2-13
    #[test]
    fn h3_amqp_where_sasl_is_required() {
        let error = HandshakeError::Protocol { expected: 3, received: 0 };
        assert_failed(&server(Some(plain_server()), &[AMQP_HEADER]), error, SASL_HEADER);
    }

    #[test]
    fn h4_a_header_glued_to_the_frames_that_follow() {
        let two = [open(), open()].concat();
        assert_eq!(server(None, &[AMQP_HEADER, &two]).left, two);
        assert_eq!(client(None, &[AMQP_HEADER, &two]).left, two);
    }

    #[test]
    fn h5_a_part_of_a_header_is_waited_on() {
        for length in 1..8 {
            let waiting = server(None, &[&AMQP_HEADER[..length]]);
            assert_eq!((waiting.end, waiting.out.len(), waiting.is_done), (Ok(()), 0, false));
            assert_eq!(waiting.left, AMQP_HEADER[..length]);
        }
    }

    #[test]
    fn h6_amqp_before_sasl_is_done() {
        let error = HandshakeError::Sasl(SaslError::NotSasl);
        let failed = server(Some(plain_server()), &[SASL_HEADER, AMQP_HEADER, &open()]);
        assert_failed(&failed, error.clone(), &[SASL_HEADER, &mechanisms(&["PLAIN"])].concat());
        assert_failed(&client(Some(plain_client()), &[SASL_HEADER, AMQP_HEADER]), error, SASL_HEADER);
    }

    //= 5.3.3.5-01
    #[test]
    fn h6_sasl_a_second_time() {
        let error = HandshakeError::Protocol { expected: 0, received: 3 };
        let login = init("PLAIN", b"\0alice\0sesame");
        let failed = server(Some(plain_server()), &[SASL_HEADER, &login, SASL_HEADER]);
        let out = [SASL_HEADER, &mechanisms(&["PLAIN"]), &outcome(0), AMQP_HEADER].concat();
        assert_failed(&failed, error, &out);
    }

    #[test]
    fn h7_a_downgrade_is_refused_before_credentials_are_sent() {
        let error = HandshakeError::Protocol { expected: 3, received: 0 };
        let downgraded = client(Some(plain_client()), &[AMQP_HEADER, &mechanisms(&["PLAIN"])]);
        assert_failed(&downgraded, error, SASL_HEADER);
    }

    //= 5.3.3.5-01
    #[test]
    fn s2_a_second_init_after_success() {
        let login = init("PLAIN", b"\0alice\0sesame");
        let failed = server(Some(plain_server()), &[SASL_HEADER, &login, &login]);
        let out = [SASL_HEADER, &mechanisms(&["PLAIN"]), &outcome(0)].concat();
        assert_failed(&failed, HandshakeError::NotAmqp { byte: 0 }, &out);
    }

    #[test]
    fn s4_what_follows_wrong_credentials_is_never_accepted() {
        let login = init("PLAIN", b"\0alice\0wrong");
        let error = HandshakeError::Sasl(SaslError::Refused(Refusal::Credentials));
        let failed = server(Some(plain_server()), &[SASL_HEADER, &login, AMQP_HEADER, &open()]);
        assert_failed(&failed, error, &[SASL_HEADER, &mechanisms(&["PLAIN"]), &outcome(1)].concat());
        assert_eq!(failed.identity, None);
    }

    #[test]
    fn s5_open_with_no_sasl_where_it_is_required() {
        let failed = server(Some(plain_server()), &[AMQP_HEADER, &open()]);
        assert_failed(&failed, HandshakeError::Protocol { expected: 3, received: 0 }, SASL_HEADER);
    }

    //= 5.3-01 5.3-02 5.3.3.5-01
    #[test]
    fn s11_header_init_header_open_in_one_write() {
        let login = init("PLAIN", b"\0alice\0sesame");
        let done = server(Some(plain_server()), &[SASL_HEADER, &login, AMQP_HEADER, &open()]);
        assert_eq!(done.out, [SASL_HEADER, &mechanisms(&["PLAIN"]), &outcome(0), AMQP_HEADER].concat());
        assert_eq!((done.end.clone(), done.is_done, done.user()), (Ok(()), true, Some("alice")));
        assert_eq!(done.left, open());
    }

    proptest! {
        #[test]
        fn any_change_to_the_bytes_ends_the_same_whole_and_byte_by_byte(
            flips in vec((0usize..200, any::<u8>()), 0..4),
            length in 0usize..200,
        ) {
            let login = init("PLAIN", b"\0alice\0sesame");
            let to_server = [SASL_HEADER, &login, AMQP_HEADER, &open()].concat();
            let offer = mechanisms(&["ANONYMOUS", "PLAIN"]);
            let to_client = [SASL_HEADER, &offer, &outcome(0), AMQP_HEADER, &open()].concat();
            let changed = |mut bytes: Vec<u8>| {
                for &(at, byte) in &flips {
                    let at = at % bytes.len();
                    bytes[at] = byte;
                }
                bytes.truncate(length);
                bytes
            };
            server(Some(plain_server().optional()), &[&changed(to_server)]);
            client(Some(plain_client()), &[&changed(to_client)]);
        }
    }

    //= 5.3.2-03
    #[test]
    fn a_configuration_for_the_other_side_fails_before_anything_is_sent() {
        let (for_client, for_server) = (Sasl::from(plain_client()), Sasl::from(plain_server()));
        let channel = Channel::default();
        let client = both_ways(|| Handshake::client(Some(&for_server), None, &channel), &[AMQP_HEADER]);
        assert_failed(&client, HandshakeError::WrongRole, &[]);
        let server = both_ways(|| Handshake::server(Some(&for_client), &channel), &[AMQP_HEADER]);
        assert_failed(&server, HandshakeError::WrongRole, &[]);
    }

    #[test]
    fn s12_debug_and_trace_show_no_secret() {
        let config = Sasl::from(plain_client());
        let mut handshake = Handshake::client(Some(&config), None, &Channel::default());
        let (mut out, mut trace) = (Vec::new(), Trace::new(true));
        handshake.start(&mut out, &mut trace).unwrap();
        let mut input = BytesMut::from(&[SASL_HEADER, &mechanisms(&["PLAIN"])].concat()[..]);
        handshake.handle_input(&mut input, &mut out, &mut trace).unwrap();
        assert!(!format!("{handshake:?}").contains("sesame"));
        let lines: Vec<_> = core::iter::from_fn(|| trace.pop()).collect();
        assert_eq!(
            lines,
            [
                "-> AMQP 3 1.0.0",
                "<- AMQP 3 1.0.0",
                "<- 0 @sasl-mechanisms(64) [sasl-server-mechanisms=@[:PLAIN]]",
                "-> 0 @sasl-init(65) [mechanism=:PLAIN, initial-response=***]",
            ]
        );
    }

    #[test]
    fn a_handshake_that_is_over_is_small() {
        assert!(size_of::<Handshake>() <= 160, "{}", size_of::<Handshake>());
    }
}
