//! One SASL exchange in either role, and its frames (§5.3.1).

use alloc::vec::Vec;

use bytes::Buf;

use super::{Channel, Client, Identity, SaslError, Server, client::ClientExchange, server::ServerExchange};
use crate::{
    codec::{
        Decode, DecodeError, DecodeErrorKind, Encode, FRAME_HEADER_LEN, Str,
        frame::{FrameHeader, begin_sasl_frame, descriptor, end_frame},
    },
    transport::trace::{Direction, Trace},
    types::{SaslChallenge, SaslInit, SaslMechanisms, SaslOutcome, SaslResponse},
};

const SASL_FRAME: u8 = 1;

/// What both roles have in common: frames in, frames out, until there is an identity or an error.
#[derive(Debug)]
pub(crate) struct Exchange {
    role: Role,
    frame_limit: u32,
}

#[derive(Debug)]
enum Role {
    Client(ClientExchange),
    Server(ServerExchange),
}

impl Exchange {
    pub(crate) fn client(config: &Client, hostname: Option<Str>, channel: &Channel) -> Self {
        let frame_limit = config.limits.frame_size;
        Self {
            role: Role::Client(ClientExchange::new(config.clone(), hostname, channel.clone())),
            frame_limit,
        }
    }

    pub(crate) fn server(config: &Server, channel: &Channel) -> Self {
        let frame_limit = config.limits.frame_size;
        Self { role: Role::Server(ServerExchange::new(config, channel)), frame_limit }
    }

    /// What the channel gives is known only now: whether that can still matter, as it does before the mechanism is chosen.
    pub(crate) fn secured(&mut self, channel: &Channel) -> bool {
        match &mut self.role {
            Role::Client(client) => client.secured(channel),
            // What it offers is chosen when it is made.
            Role::Server(_) => false,
        }
    }

    /// Writes what this side says unasked, right behind its protocol header.
    pub(crate) fn start(&mut self, out: &mut Vec<u8>, trace: &mut Trace) -> Result<(), SaslError> {
        match &self.role {
            Role::Client(_) => Ok(()),
            Role::Server(server) => server.start(&mut Writer { out, trace, limit: self.frame_limit }),
        }
    }

    /// Consumes whole frames until the exchange is over or the input is.
    pub(crate) fn handle_input(
        &mut self,
        input: &mut dyn Buf,
        out: &mut Vec<u8>,
        trace: &mut Trace,
    ) -> Result<Option<Identity>, SaslError> {
        while let Some(frame) = read(input, self.frame_limit, trace)? {
            let mut writer = Writer { out, trace, limit: self.frame_limit };
            let identity = match &mut self.role {
                Role::Client(client) => client.handle(frame, &mut writer)?,
                Role::Server(server) => server.handle(frame, &mut writer)?,
            };
            if identity.is_some() {
                return Ok(identity);
            }
        }
        Ok(None)
    }
}

/// The body of a SASL frame.
pub(super) enum Frame {
    Mechanisms(SaslMechanisms),
    Init(SaslInit),
    Challenge(SaslChallenge),
    Response(SaslResponse),
    Outcome(SaslOutcome),
}

impl Frame {
    /// The whole body is one of the five.
    //= 5.3.1-X1
    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        match descriptor(body)? {
            (SaslMechanisms::CODE, _) => SaslMechanisms::decode(body).map(Self::Mechanisms),
            (SaslInit::CODE, _) => SaslInit::decode(body).map(Self::Init),
            (SaslChallenge::CODE, _) => SaslChallenge::decode(body).map(Self::Challenge),
            (SaslResponse::CODE, _) => SaslResponse::decode(body).map(Self::Response),
            (SaslOutcome::CODE, _) => SaslOutcome::decode(body).map(Self::Outcome),
            _ => Err(DecodeErrorKind::UnknownDescriptor.into()),
        }
    }

    pub(super) const fn unexpected(&self) -> SaslError {
        SaslError::Unexpected(match self {
            Self::Mechanisms(_) => "sasl-mechanisms",
            Self::Init(_) => "sasl-init",
            Self::Challenge(_) => "sasl-challenge",
            Self::Response(_) => "sasl-response",
            Self::Outcome(_) => "sasl-outcome",
        })
    }
}

/// Takes one frame off the input once it is whole; its header is judged as soon as that is.
fn read(input: &mut dyn Buf, limit: u32, trace: &mut Trace) -> Result<Option<Frame>, SaslError> {
    let bytes = input.chunk();
    let Some(header) = bytes.first_chunk::<FRAME_HEADER_LEN>() else {
        return Ok(None);
    };
    let FrameHeader { size, doff, frame_type, .. } = FrameHeader::parse(header);
    if header.starts_with(b"AMQP") || frame_type != SASL_FRAME {
        return Err(SaslError::NotSasl);
    }
    if size > limit {
        return Err(SaslError::FrameTooLarge { size, limit });
    }
    let (size, body) = (size as usize, usize::from(doff) * 4);
    if body < FRAME_HEADER_LEN || size <= body {
        return Err(SaslError::MalformedFrame);
    }
    if bytes.len() < size {
        return Ok(None);
    }
    trace.frame(Direction::In, &bytes[..size]);
    let frame = Frame::decode(&bytes[body..size]).map_err(SaslError::MalformedBody)?;
    input.advance(size);
    Ok(Some(frame))
}

/// The way out for one exchange's frames.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    trace: &'a mut Trace,
    limit: u32,
}

impl Writer<'_> {
    /// Writes the frame, or nothing if it is above the limit.
    pub(super) fn send(&mut self, body: &impl Encode) -> Result<(), SaslError> {
        let start = begin_sasl_frame(self.out);
        body.encode(self.out);
        let size = self.out.len() - start;
        if size > self.limit as usize {
            self.out.truncate(start);
            return Err(SaslError::TooLargeToSend { size, limit: self.limit });
        }
        end_frame(self.out, start);
        self.trace.frame(Direction::Out, &self.out[start..]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use bytes::BytesMut;

    use super::*;
    use crate::{
        codec::Symbol,
        sasl::{
            MechanismError, Refusal, Sasl,
            fixture::{
                binary, challenge, counting_client, counting_server, frame, init, mechanisms, null, outcome,
                plain_client, plain_server, raw_frame, response, string, symbol,
            },
        },
    };

    type Outcome = (Result<Option<Identity>, SaslError>, Vec<u8>);

    /// Feeds `input` in pieces of `step` bytes; what comes back is how it ended and what was written.
    fn feed(mut exchange: Exchange, input: &[u8], step: usize) -> Outcome {
        let mut trace = Trace::new(false);
        let (mut out, mut buffer) = (Vec::new(), BytesMut::new());
        if let Err(error) = exchange.start(&mut out, &mut trace) {
            return (Err(error), out);
        }
        for piece in input.chunks(step) {
            buffer.extend_from_slice(piece);
            match exchange.handle_input(&mut buffer, &mut out, &mut trace) {
                Ok(None) => {}
                end => return (end, out),
            }
        }
        (Ok(None), out)
    }

    fn both_ways(exchange: impl Fn() -> Exchange, input: &[u8]) -> Outcome {
        let whole = feed(exchange(), input, usize::MAX);
        assert_eq!(feed(exchange(), input, 1), whole, "byte by byte");
        whole
    }

    fn client_over(config: &Client, encrypted: bool, input: &[Vec<u8>]) -> Outcome {
        let channel = Channel { encrypted, ..Channel::default() };
        both_ways(|| Exchange::client(config, Some(Str::from_static("h")), &channel), &input.concat())
    }

    fn channel_of(peer: Option<&'static str>) -> Channel {
        Channel { encrypted: peer.is_some(), peer: peer.map(Str::from_static), ..Channel::default() }
    }

    fn client(config: &Client, input: &[Vec<u8>]) -> Outcome {
        client_over(config, false, input)
    }

    /// What the server wrote comes back without its sasl-mechanisms.
    fn server_over(config: &Server, peer: Option<&'static str>, input: &[Vec<u8>]) -> Outcome {
        let channel = channel_of(peer);
        let (end, out) = both_ways(|| Exchange::server(config, &channel), &input.concat());
        let (_, offer) = feed(Exchange::server(config, &channel), &[], 1);
        (end, out[offer.len()..].to_vec())
    }

    fn server(config: &Server, input: &[Vec<u8>]) -> Outcome {
        server_over(config, None, input)
    }

    fn identity(user: Option<&'static str>, mechanism: &'static str) -> Result<Option<Identity>, SaslError> {
        Ok(Some(Identity { user: user.map(Str::from_static), mechanism: Symbol::from_static(mechanism) }))
    }

    /// What the client writes of its own choosing.
    fn client_init(mechanism: &str, initial_response: &[u8]) -> Vec<u8> {
        frame(0x41, &[symbol(mechanism), binary(initial_response), string("h")])
    }

    //= 5.3.1-01 5.3.1-03 5.3.2-02 5.3.3.2-04
    #[test]
    fn built_in_mechanisms_authenticate_a_client() {
        let all = Sasl::client().external().plain("alice", "sesame").anonymous();
        for (name, initial_response) in
            [("EXTERNAL", &b""[..]), ("PLAIN", b"\0alice\0sesame"), ("ANONYMOUS", b"")]
        {
            let (end, out) = client_over(&all, true, &[mechanisms(&[name]), outcome(0)]);
            assert_eq!(end, identity(None, name));
            assert_eq!(out, client_init(name, initial_response));
        }
    }

    //= 5.3.2-02 5.3.3.2-02
    #[test]
    fn the_clients_order_decides() {
        let config = Sasl::client().external().anonymous();
        let (end, _) = client(&config, &[mechanisms(&["ANONYMOUS", "X-OTHER", "EXTERNAL"]), outcome(0)]);
        assert_eq!(end, identity(None, "EXTERNAL"));
    }

    #[test]
    fn a_client_uses_external_by_itself_only_where_the_channel_shows_who_it_is() {
        let config = Sasl::client().external_if_shown().anonymous();
        let offer = mechanisms(&["EXTERNAL", "ANONYMOUS"]);
        for (shows_us, expected) in [(true, "EXTERNAL"), (false, "ANONYMOUS")] {
            let told = || {
                let mut exchange = Exchange::client(&config, None, &Channel::default());
                assert!(exchange.secured(&Channel { shows_us, ..Channel::default() }));
                exchange
            };
            let (end, _) = both_ways(told, &[offer.clone(), outcome(0)].concat());
            assert_eq!(end, identity(None, expected));
        }
        let (mut exchange, mut out) = (Exchange::client(&config, None, &Channel::default()), Vec::new());
        exchange.handle_input(&mut &offer[..], &mut out, &mut Trace::new(false)).unwrap();
        assert!(!exchange.secured(&Channel::default()), "it has chosen");
    }

    #[test]
    fn mechanisms_come_in_every_encoding() {
        let one = |name: Vec<u8>| frame(0x40, &[name]);
        let array32 = b"\xf0\0\0\0\x12\0\0\0\x01\xb3\0\0\0\x09ANONYMOUS".to_vec();
        let list32 = [&b"\0\x53\x40\xd0\0\0\0\x1b\0\0\0\x01"[..], &array32].concat();
        let symbol32 = b"\xb3\0\0\0\x09ANONYMOUS".to_vec();
        let wide_descriptor = b"\0\x80\0\0\0\0\0\0\0\x40\xc0\x0c\x01\xa3\x09ANONYMOUS";
        let by_name = b"\0\xa3\x19amqp:sasl-mechanisms:list\xc0\x0c\x01\xa3\x09ANONYMOUS";
        for offer in [
            mechanisms(&["ANONYMOUS"]),
            mechanisms(&["PLAIN", "ANONYMOUS"]),
            one(symbol("ANONYMOUS")),
            one(symbol32),
            one(array32),
            raw_frame(1, &list32),
            raw_frame(1, wide_descriptor),
            raw_frame(1, by_name),
        ] {
            let (end, out) = client(&Sasl::client().anonymous(), &[offer, outcome(0)]);
            assert_eq!(end, identity(None, "ANONYMOUS"));
            assert_eq!(out, client_init("ANONYMOUS", b""));
        }
    }

    //= 5.3.1-02
    #[test]
    fn extended_header_and_channel_of_a_sasl_frame_are_ignored() {
        let mut offer = mechanisms(&["ANONYMOUS"]);
        offer[3] += 4;
        offer[4] = 3;
        offer[6..8].fill(0xff);
        offer.splice(8..8, *b"junk");
        assert_eq!(client(&Sasl::client().anonymous(), &[offer, outcome(0)]).0, identity(None, "ANONYMOUS"));
    }

    //= 5.3.2-01
    #[test]
    fn a_server_offers_what_the_channel_allows_in_its_order() {
        let config = plain_server().external().anonymous();
        let offer = |peer: Option<&'static str>| {
            let channel = channel_of(peer);
            feed(Exchange::server(&config, &channel), &[], 1).1
        };
        assert_eq!(offer(Some("CN=alice")), mechanisms(&["PLAIN", "EXTERNAL", "ANONYMOUS"]));
        assert_eq!(offer(None), mechanisms(&["PLAIN", "ANONYMOUS"]));
        assert_eq!(server(&Sasl::server().external(), &[]), (Err(SaslError::NothingToOffer), vec![]));
    }

    #[test]
    fn built_in_mechanisms_authenticate_to_a_server() {
        let config = plain_server().external().anonymous();
        let (plain, dn) = (&b"\0alice\0sesame"[..], Some("CN=alice"));
        for (inits, user) in [
            (init("PLAIN", plain), Some("alice")),
            (init("PLAIN", b"alice\0alice\0sesame"), Some("alice")),
            (init("EXTERNAL", b""), dn),
            (init("EXTERNAL", b"CN=alice"), dn),
            (frame(0x41, &[symbol("EXTERNAL")]), dn),
            (init("ANONYMOUS", b""), None),
            (init("ANONYMOUS", b"somebody@example.com"), None),
            (frame(0x41, &[symbol("ANONYMOUS"), null(), string("host")]), None),
        ] {
            let (end, out) = server_over(&config, dn, &[inits]);
            assert_eq!(end.unwrap().unwrap().user(), user);
            assert_eq!(out, outcome(0));
        }
        let (end, out) = server(&config, &[frame(0x41, &[symbol("PLAIN")]), response(plain)]);
        assert_eq!(end, identity(Some("alice"), "PLAIN"), "the server speaks first if it must");
        assert_eq!(out, [challenge(b""), outcome(0)].concat());
        let (end, out) = server_over(&config, dn, &[init("EXTERNAL", b"CN=bob")]);
        assert_eq!((end, out), (Err(SaslError::Refused(Refusal::Credentials)), outcome(1)));
    }

    #[test]
    fn custom_mechanisms_take_many_steps_in_both_roles() {
        let offer = mechanisms(&["X-COUNTING"]);
        let done = frame(0x44, &[vec![0x50, 0], binary(&[4])]);
        let (end, out) =
            client(&counting_client(4), &[offer, challenge(&[1]), challenge(&[3]), done.clone()]);
        assert_eq!(end, identity(None, "X-COUNTING"));
        let chosen = frame(0x41, &[symbol("X-COUNTING"), null(), string("h")]);
        assert_eq!(out, [chosen, response(&[2]), response(&[4])].concat());

        let chosen = frame(0x41, &[symbol("X-COUNTING")]);
        let (end, out) = server(&counting_server(4), &[chosen, response(&[2]), response(&[4])]);
        assert_eq!(end, identity(Some("counter"), "X-COUNTING"));
        assert_eq!(out, [challenge(&[1]), challenge(&[3]), done].concat());
    }

    //= 5.3.1-04
    #[test]
    fn s1_a_frame_above_the_limit() {
        let too_large = SaslError::FrameTooLarge { size: 513, limit: 512 };
        let mut header = init("ANONYMOUS", &[0; 600]);
        header[..4].copy_from_slice(&513u32.to_be_bytes());
        header.truncate(8);
        assert_eq!(server(&plain_server(), &[header.clone()]), (Err(too_large.clone()), vec![]));
        assert_eq!(client(&plain_client(), &[header]), (Err(too_large), vec![]));

        let long = init("ANONYMOUS", &[b'x'; 600]);
        let config = Sasl::server().anonymous().frame_limit(8_192);
        assert_eq!(server(&config, &[long]).0, identity(None, "ANONYMOUS"));
    }

    //= 5.3.1-06
    #[test]
    fn s1_an_empty_frame() {
        assert_eq!(server(&plain_server(), &[raw_frame(1, b"")]), (Err(SaslError::MalformedFrame), vec![]));
        assert_eq!(client(&plain_client(), &[raw_frame(1, b"")]), (Err(SaslError::MalformedFrame), vec![]));
    }

    #[test]
    fn s1_a_frame_header_that_contradicts_itself() {
        for header in [*b"\0\0\0\x07\x02\x01\0\0", *b"\0\0\0\x0c\x01\x01\0\0", *b"\0\0\0\x0c\x04\x01\0\0"] {
            assert_eq!(server(&plain_server(), &[header.to_vec()]), (Err(SaslError::MalformedFrame), vec![]));
        }
    }

    //= 5.3.1-X1
    #[test]
    fn s1_two_values_in_a_frame() {
        let body = [&init("ANONYMOUS", b"")[8..], b"\x40"].concat();
        let (end, out) = server(&Sasl::server().anonymous(), &[raw_frame(1, &body)]);
        let Err(SaslError::MalformedBody(error)) = end else { panic!("{end:?}") };
        assert_eq!((error.kind(), out), (DecodeErrorKind::TrailingBytes, vec![]));
    }

    //= 5.3.1-X1
    #[test]
    fn s2_an_amqp_frame_before_the_outcome() {
        let open = raw_frame(0, b"\0\x53\x10\xc0\x04\x01\xa1\x01x");
        assert_eq!(server(&plain_server(), core::slice::from_ref(&open)), (Err(SaslError::NotSasl), vec![]));
        assert_eq!(client(&plain_client(), &[open]), (Err(SaslError::NotSasl), vec![]));
        let composite = raw_frame(1, b"\0\x53\x10\xc0\x04\x01\xa1\x01x");
        let (end, out) = server(&plain_server(), &[composite]);
        let Err(SaslError::MalformedBody(error)) = end else { panic!("{end:?}") };
        assert_eq!((error.kind(), out), (DecodeErrorKind::UnknownDescriptor, vec![]));
    }

    //= 5.3.2-03
    #[test]
    fn s2_frames_of_the_other_role() {
        for (frame, name) in [
            (mechanisms(&["PLAIN"]), "sasl-mechanisms"),
            (challenge(b""), "sasl-challenge"),
            (outcome(0), "sasl-outcome"),
        ] {
            assert_eq!(server(&plain_server(), &[frame]), (Err(SaslError::Unexpected(name)), vec![]));
        }
        for (frame, name) in [(init("PLAIN", b""), "sasl-init"), (response(b""), "sasl-response")] {
            assert_eq!(client(&plain_client(), &[frame]), (Err(SaslError::Unexpected(name)), vec![]));
        }
    }

    #[test]
    fn s2_a_second_init() {
        let chosen = frame(0x41, &[symbol("X-COUNTING")]);
        let (end, out) = server(&counting_server(9), &[chosen.clone(), chosen]);
        assert_eq!((end, out), (Err(SaslError::Unexpected("sasl-init")), challenge(&[1])));
    }

    #[test]
    fn s2_a_second_offer() {
        let offer = mechanisms(&["PLAIN"]);
        let (end, _) = client(&plain_client(), &[offer.clone(), offer]);
        assert_eq!(end, Err(SaslError::Unexpected("sasl-mechanisms")));
    }

    #[test]
    fn s2_a_response_without_a_challenge() {
        let (end, out) = server(&plain_server(), &[response(b"\0alice\0sesame")]);
        assert_eq!((end, out), (Err(SaslError::Unexpected("sasl-response")), vec![]));
    }

    //= 5.3.3.2-01
    #[test]
    fn s3_a_mechanism_that_is_not_offered() {
        for name in ["SCRAM-SHA-1", "plain", "", "EXTERNAL"] {
            let (end, out) = server(&plain_server().external(), &[init(name, b"\0alice\0sesame")]);
            let mechanism = Symbol::from_static(name);
            assert_eq!((end, out), (Err(SaslError::NotOffered { mechanism }), outcome(1)));
        }
    }

    #[test]
    fn s4_wrong_credentials() {
        for (credentials, refusal, code) in [
            (&b"\0alice\0wrong"[..], Refusal::Credentials, 1),
            (b"\0eve\0sesame", Refusal::Credentials, 1),
            (b"\0bob\0sesame", Refusal::SystemTemporary, 4),
        ] {
            let (end, out) = server(&plain_server(), &[init("PLAIN", credentials)]);
            assert_eq!((end, out), (Err(SaslError::Refused(refusal)), outcome(code)));
        }
    }

    #[test]
    fn s6_malformed_plain() {
        let config = Sasl::server().plain(|_, _| Ok(())).frame_limit(100_000);
        for credentials in [
            &b""[..],
            b"alice",
            b"alice\0sesame",
            b"\0alice\0ses\0ame",
            b"\0alice\0sesame\0",
            b"\0\0sesame",
            b"\0alice\0",
            b"\0al\xffice\0sesame",
            b"root\0alice\0sesame",
        ] {
            let (end, out) = server(&config, &[init("PLAIN", credentials)]);
            assert_eq!(
                (end, out),
                (Err(SaslError::Refused(Refusal::Credentials)), outcome(1)),
                "{credentials:?}"
            );
        }
        let (end, out) = server(&plain_server().frame_limit(100_000), &[init("PLAIN", &[b'a'; 65_536])]);
        assert_eq!((end, out), (Err(SaslError::Refused(Refusal::Credentials)), outcome(1)));
    }

    //= 5.3.3.1-02 1.3-04
    #[test]
    fn s7_no_mechanism_offered() {
        for nothing in [frame(0x40, &[]), frame(0x40, &[null()]), mechanisms(&[])] {
            let (end, out) = client(&plain_client(), &[nothing]);
            let Err(SaslError::MalformedBody(error)) = end else { panic!("{end:?}") };
            assert_eq!((error.kind(), out), (DecodeErrorKind::MissingField, vec![]));
        }
    }

    //= 5.3.2-02
    #[test]
    fn s7_no_mechanism_that_the_user_allowed() {
        let offered = [Symbol::from_static("ANONYMOUS")].into();
        let (end, out) = client(&plain_client(), &[mechanisms(&["ANONYMOUS"])]);
        assert_eq!((end, out), (Err(SaslError::NoCommonMechanism { offered }), vec![]));
    }

    #[test]
    fn s7_plain_in_clear_text_is_not_allowed_unless_asked_for() {
        let config = Sasl::client().plain("alice", "sesame");
        let mechanism = Symbol::from_static("PLAIN");
        let (end, out) = client(&config, &[mechanisms(&["PLAIN", "ANONYMOUS"])]);
        assert_eq!((end, out), (Err(SaslError::ClearText { mechanism }), vec![]));
        let (end, out) = client(&config.clone().anonymous(), &[mechanisms(&["PLAIN", "ANONYMOUS"])]);
        assert_eq!((end, out), (Ok(None), client_init("ANONYMOUS", b"")));
        let (end, out) = client_over(&config, true, &[mechanisms(&["PLAIN"])]);
        assert_eq!((end, out), (Ok(None), client_init("PLAIN", b"\0alice\0sesame")));
    }

    #[test]
    fn s7_credentials_that_plain_cannot_carry() {
        for (user, password) in [("", "x"), ("x", ""), ("a\0b", "x"), ("x", "a\0b")] {
            let config = Sasl::client().plain(user, password).allow_clear_text();
            let (end, out) = client(&config, &[mechanisms(&["PLAIN"])]);
            assert!(matches!(end, Err(SaslError::Mechanism(_))), "{end:?}");
            assert_eq!(out, vec![]);
        }
    }

    #[test]
    fn s8_success_out_of_turn() {
        assert_eq!(
            client(&plain_client(), &[outcome(0)]),
            (Err(SaslError::Unexpected("sasl-outcome")), vec![])
        );
        let (end, _) =
            client(&counting_client(4), &[mechanisms(&["X-COUNTING"]), challenge(&[1]), outcome(0)]);
        let reason = MechanismError::new("the server did not count to the end");
        assert_eq!(end, Err(SaslError::Mechanism(reason)));
    }

    #[test]
    fn s8_a_challenge_that_the_mechanism_refuses() {
        let (end, out) = client(&plain_client(), &[mechanisms(&["PLAIN"]), challenge(b"more?")]);
        assert!(matches!(end, Err(SaslError::Mechanism(_))), "{end:?}");
        assert_eq!(out, client_init("PLAIN", b"\0alice\0sesame"));
        let (end, _) = client(&counting_client(9), &[mechanisms(&["X-COUNTING"]), challenge(b"12")]);
        assert!(matches!(end, Err(SaslError::Mechanism(_))), "{end:?}");
    }

    #[test]
    fn s9_challenges_without_end() {
        let endless: Vec<_> =
            core::iter::once(mechanisms(&["X-COUNTING"])).chain((0..17).map(|n| challenge(&[n]))).collect();
        let too_many = SaslError::TooManyRounds { limit: 16 };
        assert_eq!(client(&counting_client(0), &endless).0, Err(too_many.clone()));
        assert_eq!(client(&counting_client(0), &endless[..17]).0, Ok(None));
        assert_eq!(client(&counting_client(0).round_limit(17), &endless).0, Ok(None));

        let endless: Vec<_> = core::iter::once(frame(0x41, &[symbol("X-COUNTING"), binary(&[0])]))
            .chain((0..16).map(|n| response(&[n])))
            .collect();
        assert_eq!(server(&counting_server(99), &endless).0, Err(too_many));
        assert_eq!(server(&counting_server(99), &endless[..16]).0, Ok(None));
    }

    //= 5.3.3.6-02 5.3.3.6-03 5.3.3.6-04 5.3.3.6-05
    #[test]
    fn s10_each_refusal_is_told_apart() {
        for (code, refusal) in [
            (1, Refusal::Credentials),
            (2, Refusal::System),
            (3, Refusal::SystemPermanent),
            (4, Refusal::SystemTemporary),
        ] {
            let (end, _) = client(&plain_client(), &[mechanisms(&["PLAIN"]), outcome(code)]);
            assert_eq!(end, Err(SaslError::Refused(refusal)));
        }
    }

    #[test]
    fn s10_a_code_that_is_none() {
        for code in [5, 6, 255] {
            let (end, _) = client(&plain_client(), &[mechanisms(&["PLAIN"]), outcome(code)]);
            let Err(SaslError::MalformedBody(error)) = end else { panic!("{end:?}") };
            assert_eq!(error.kind(), DecodeErrorKind::UnknownChoice);
        }
    }

    #[test]
    fn s12_no_secret_shows() {
        let config = Sasl::client().plain("alice", "sesame");
        let text = format!("{config:?} {:?}", Exchange::client(&config, None, &Channel::default()));
        assert!(text.contains("PLAIN") && !text.contains("sesame"), "{text}");

        let mut trace = Trace::new(true);
        let mut input = BytesMut::from(&init("PLAIN", b"\0alice\0sesame")[..]);
        let mut exchange = Exchange::server(&plain_server(), &Channel::default());
        exchange.handle_input(&mut input, &mut Vec::new(), &mut trace).unwrap();
        assert_eq!(trace.pop().unwrap(), "<- 0 @sasl-init(65) [mechanism=:PLAIN, initial-response=***]");
        assert_eq!(trace.pop().unwrap(), "-> 0 @sasl-outcome(68) [code=0]");
    }

    //= 5.3.1-04
    #[test]
    fn a_frame_that_we_may_not_send_is_not_sent() {
        let token = "t".repeat(600);
        let config = Sasl::client().plain("alice", token.as_str()).allow_clear_text();
        let (end, out) = client(&config, &[mechanisms(&["PLAIN"])]);
        assert!(matches!(end, Err(SaslError::TooLargeToSend { limit: 512, .. })), "{end:?}");
        assert_eq!(out, vec![]);
        let (end, out) = client(&config.frame_limit(8_192), &[mechanisms(&["PLAIN"]), outcome(0)]);
        assert_eq!(end, identity(None, "PLAIN"));
        // One that is as long as may be is sent.
        let longest = 512 - (out.len() - 600);
        for (length, is_sent) in [(longest, true), (longest + 1, false)] {
            let config = Sasl::client().plain("alice", "t".repeat(length)).allow_clear_text();
            assert_eq!(client(&config, &[mechanisms(&["PLAIN"])]).0.is_ok(), is_sent);
        }
    }
}
