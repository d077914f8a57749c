//! Transactions (§4): messages and outcomes that count all together or not at all.
//!
//! The side that wants a transaction is its *controller*: it attaches a control link to the peer's *coordinator* and
//! sends it messages that declare and discharge transactions. The other side is the *resource*, whose queues change when
//! a transaction commits. [`Controller`] and [`Resource`] are the books of either, of one control link and of one
//! session; neither sends or receives anything itself. A [container](crate::container) keeps the controller's:
//! [`Context::declare_transaction`](crate::container::Context::declare_transaction).
//!
//! Within a transaction, a controller sends by [`Sender::post`](crate::Sender::post), receives by
//! [`Receiver::acquire`](crate::Receiver::acquire) and tells outcomes as [`TxnId::state`]. The resource answers what was posted
//! by [`DeliveryMut::presume`](crate::DeliveryMut::presume), and sends what is acquired by `post`, too.

use alloc::{boxed::Box, format, vec::Vec};
use core::fmt;

use bytes::Bytes;

use crate::{
    codec::{Decode, DecodeError, Encode, Symbol, code, parse},
    message::{BodyRef, MessageView},
    types::{Declare, DeliveryState, DeliveryTag, Discharge, Error, TransactionalState, condition},
};

mod controller;
pub use controller::{Answer, Controller};
mod resource;
pub use resource::{Bounds, Discharged, Refusal, Resource};

/// The resource's name for a transaction: up to 32 bytes (§4.5.4).
//= 4.5.4-01
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TxnId(DeliveryTag);

impl TxnId {
    /// How many bytes a txn-id may have.
    pub const MAX: usize = DeliveryTag::MAX;

    /// The id of these bytes; none when there are more than 32.
    #[must_use]
    pub fn new(id: &[u8]) -> Option<Self> {
        DeliveryTag::new(id).ok().map(Self)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The state of a delivery whose `outcome` takes effect if this transaction commits (§4.5.6); without an outcome that
    /// of a message posted.
    #[must_use]
    pub fn state(&self, outcome: Option<DeliveryState>) -> DeliveryState {
        let txn_id = Bytes::copy_from_slice(self.as_bytes());
        DeliveryState::Transactional(Box::new(TransactionalState { txn_id, outcome }))
    }

    /// Whether a delivery in this state belongs to this transaction.
    #[must_use]
    pub fn holds(&self, state: &DeliveryState) -> bool {
        matches!(state, DeliveryState::Transactional(state) if state.txn_id == self.as_bytes())
    }
}

impl fmt::Debug for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TxnId(")?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A message to a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Begin a transaction (§4.5.2).
    Declare(Declare),
    /// Commit a transaction or roll it back (§4.5.3).
    Discharge(Discharge),
}

impl Request {
    /// Reads a message that came over a control link.
    ///
    /// # Errors
    ///
    /// What to reject it with: it is no message, or one of another kind.
    pub fn read(message: Result<MessageView<'_>, DecodeError>) -> Result<Self, Error> {
        let malformed = |error: DecodeError| {
            error_of(condition::DECODE_ERROR, format!("this is no message to a coordinator: {error}"))
        };
        let message = message.map_err(malformed)?;
        let unknown =
            || error_of(condition::NOT_IMPLEMENTED, "a coordinator takes nothing but declare and discharge");
        //= 4.2-04
        let BodyRef::Value(_) = message.body() else { return Err(unknown()) };
        let (value, _) = parse::descriptor(message.encoded_body()).map_err(|_| unknown())?;
        match parse::descriptor(value) {
            Ok((_, Some(Declare::CODE))) => Declare::decode(value).map(Self::Declare).map_err(malformed),
            Ok((_, Some(Discharge::CODE))) => {
                Discharge::decode(value).map(Self::Discharge).map_err(malformed)
            }
            _ => Err(unknown()),
        }
    }

    /// The message, encoded: the request in a single amqp-value section.
    //= 4.2-03
    #[must_use]
    pub fn payload(&self) -> Bytes {
        let mut payload = Vec::from([code::DESCRIBED, code::SMALLULONG, 0x77]);
        match self {
            Self::Declare(declare) => declare.encode(&mut payload),
            Self::Discharge(discharge) => discharge.encode(&mut payload),
        }
        payload.into()
    }
}

fn error_of(condition: Symbol, description: impl Into<crate::codec::Str>) -> Error {
    Error { description: Some(description.into()), ..Error::new(condition) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec::Value,
        message::{Body, Message},
    };

    fn read(payload: &[u8]) -> Result<Request, Symbol> {
        Request::read(MessageView::scan(payload)).map_err(|error| error.condition)
    }

    fn encoded(message: &Message) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    //= 4.2-03
    #[test]
    fn a_request_is_a_single_value() {
        let declare = Request::Declare(Declare::default());
        assert_eq!(declare.payload(), b"\0\x53\x77\0\x53\x31\x45"[..]);
        let discharge = Request::Discharge(Discharge { fail: Some(true), ..Discharge::new("txn".into()) });
        assert_eq!(discharge.payload(), b"\0\x53\x77\0\x53\x32\xc0\x07\x02\xa0\x03txn\x41"[..]);
        for request in [declare, discharge] {
            assert_eq!(read(&request.payload()), Ok(request));
        }
    }

    //= 4.2-04
    #[test]
    fn other_sections_of_a_request_are_ignored() {
        let declare = Request::Declare(Declare::default());
        let mut message = encoded(&Message::from(Body::Value(Value::Null)).with_durable(true).with_id(7u64));
        let at = message.len() - 4;
        message.splice(at.., declare.payload());
        assert_eq!(read(&message), Ok(declare));
    }

    #[test]
    fn m6_a_body_that_is_no_request_is_refused() {
        let not_implemented = Err(condition::NOT_IMPLEMENTED);
        assert_eq!(read(&encoded(&Message::from("declare"))), not_implemented);
        assert_eq!(read(&encoded(&Message::from(Body::data("declare")))), not_implemented);
        let declared = b"\0\x53\x77\0\x53\x33\xc0\x04\x01\xa0\x01t";
        assert_eq!(read(declared), not_implemented);
        let decode = Err(condition::DECODE_ERROR);
        assert_eq!(read(b"\0\x53\x77\0\x53\x32\x45"), decode, "a discharge of nothing");
        assert_eq!(read(b"\0\x53\x77\0\x53\x31\xc0\x03\x02\x40\x40"), decode, "a field too many");
        assert_eq!(read(b"\0\x53\x77\0\x53"), decode);
        assert_eq!(read(b""), decode);
    }

    //= 4.5.4-01
    #[test]
    fn m7_an_id_has_up_to_32_bytes() {
        assert_eq!(TxnId::new(&[7; 32]).unwrap().as_bytes(), [7; 32]);
        assert_eq!(TxnId::new(&[7; 33]), None);
        assert!(TxnId::new(b"a").unwrap().holds(&TxnId::new(b"a").unwrap().state(None)));
        assert!(!TxnId::new(b"a").unwrap().holds(&TxnId::new(b"b").unwrap().state(None)));
        assert!(!TxnId::new(b"a").unwrap().holds(&DeliveryState::Accepted));
        assert_eq!(format!("{:?}", TxnId::new(b"\x01\xab").unwrap()), "TxnId(01ab)");
    }
}
