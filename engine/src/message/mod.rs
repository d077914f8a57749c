//! Messages (§3.2): what an application says, and what is said about it on the way.
//!
//! - [`Message`] owns its parts: build one to send it, or decode one to keep it.
//! - [`MessageRef`] borrows its parts: build one to write it without an allocation.
//! - [`MessageView`] reads an encoded message in place, section by section, and copies nothing.
//! - [`Payload`] is the encoded message as the frames brought it; it may also be of a format that only the
//!   application knows.
//! - [`Relay`] passes an encoded message on: it writes the head anew and leaves the rest untouched.
//!
//! ```
//! use amqp1_engine::{codec::{Encode, Map}, message::Message};
//!
//! let message = Message::new(Map::new().with("sequence", 1u64)).with_id(1u64).with_property("colour", "green");
//! let mut encoded = Vec::new();
//! message.encode(&mut encoded);
//! assert_eq!(Message::decode(&encoded.into())?, message);
//! assert_eq!(message.body.to_string(), "{'sequence': 1}");
//! # Ok::<(), amqp1_engine::codec::DecodeError>(())
//! ```

mod body;
pub use body::{Body, Data};
mod display;
mod header;
#[expect(clippy::module_inception, reason = "the type that the module is named for")]
mod message;
pub use message::Message;
mod message_ref;
pub use message_ref::MessageRef;
mod payload;
pub use payload::Payload;
mod position;
mod properties;
pub use properties::{MessageIdRef, PropertiesRef};
mod relay;
pub use relay::Relay;
mod section;
pub use section::{Annotations, ApplicationProperties};
mod view;
pub use view::{BodyRef, DataRef, MessageView, SequenceRef};

/// The message-format of the messages of this module (§3.2.16), as a transfer names it.
pub const MESSAGE_FORMAT: u32 = 0;
