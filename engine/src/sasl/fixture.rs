//! SASL frames byte by byte, and mechanisms, for tests.

use alloc::{boxed::Box, string::String, vec::Vec};

use super::{Client, ClientMechanism, MechanismError, Refusal, Sasl, Server, ServerMechanism, ServerStep};
use crate::codec::Symbol;

/// A SASL frame around a composite of the given descriptor and encoded fields.
pub(crate) fn frame(descriptor: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    let items = fields.concat();
    let mut body = alloc::vec![0, 0x53, descriptor];
    match u8::try_from(items.len() + 1) {
        Ok(size) => body.extend([0xc0, size, fields.len() as u8]),
        Err(_) => {
            body.push(0xd0);
            body.extend((items.len() as u32 + 4).to_be_bytes());
            body.extend((fields.len() as u32).to_be_bytes());
        }
    }
    body.extend(items);
    raw_frame(1, &body)
}

pub(crate) fn raw_frame(frame_type: u8, body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u32 + 8).to_be_bytes();
    [&size, &[2, frame_type, 0, 0][..], body].concat()
}

pub(crate) fn null() -> Vec<u8> {
    alloc::vec![0x40]
}

pub(crate) fn symbol(text: &str) -> Vec<u8> {
    [&[0xa3, text.len() as u8], text.as_bytes()].concat()
}

pub(crate) fn string(text: &str) -> Vec<u8> {
    [&[0xa1, text.len() as u8], text.as_bytes()].concat()
}

pub(crate) fn binary(bytes: &[u8]) -> Vec<u8> {
    match u8::try_from(bytes.len()) {
        Ok(size) => [&[0xa0, size], bytes].concat(),
        Err(_) => [&[0xb0], &(bytes.len() as u32).to_be_bytes()[..], bytes].concat(),
    }
}

/// An array8 of symbols.
pub(crate) fn mechanisms(names: &[&str]) -> Vec<u8> {
    let items: Vec<u8> =
        names.iter().flat_map(|name| [&[name.len() as u8], name.as_bytes()].concat()).collect();
    frame(0x40, &[[&[0xe0, items.len() as u8 + 2, names.len() as u8, 0xa3], &items[..]].concat()])
}

pub(crate) fn init(mechanism: &str, response: &[u8]) -> Vec<u8> {
    frame(0x41, &[symbol(mechanism), binary(response)])
}

pub(crate) fn challenge(bytes: &[u8]) -> Vec<u8> {
    frame(0x42, &[binary(bytes)])
}

pub(crate) fn response(bytes: &[u8]) -> Vec<u8> {
    frame(0x43, &[binary(bytes)])
}

pub(crate) fn outcome(code: u8) -> Vec<u8> {
    frame(0x44, &[alloc::vec![0x50, code]])
}

pub(crate) fn plain_client() -> Client {
    Sasl::client().plain("alice", "sesame").allow_clear_text()
}

/// Lets alice in by her password and says of bob that he may come back later.
pub(crate) fn plain_server() -> Server {
    Sasl::server().plain(|user, password| match (user, password) {
        ("alice", "sesame") => Ok(()),
        ("bob", _) => Err(Refusal::SystemTemporary),
        _ => Err(Refusal::Credentials),
    })
}

pub(crate) const COUNTING: Symbol = Symbol::from_static("X-COUNTING");

/// A mechanism in many steps, in both roles: each message is one higher than the last, and the side that knows `last`
/// ends it.
pub(crate) struct Counting {
    pub(crate) last: u8,
    pub(crate) heard: u8,
}

impl Counting {
    pub(crate) const fn until(last: u8) -> Self {
        Self { last, heard: 0 }
    }
}

impl ClientMechanism for Counting {
    fn needs_encryption(&self) -> bool {
        false
    }

    fn start(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        Ok(None)
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, MechanismError> {
        match challenge {
            [byte] if *byte >= self.heard => {
                self.heard = *byte;
                Ok(alloc::vec![byte.wrapping_add(1)])
            }
            _ => Err(MechanismError::new("not a number that follows")),
        }
    }

    fn finish(&mut self, additional_data: Option<&[u8]>) -> Result<(), MechanismError> {
        if additional_data == Some(&[self.last][..]) {
            Ok(())
        } else {
            Err(MechanismError::new("the server did not count to the end"))
        }
    }
}

impl ServerMechanism for Counting {
    fn start(&mut self, initial_response: Option<&[u8]>) -> ServerStep {
        ServerMechanism::respond(self, initial_response.unwrap_or(&[0]))
    }

    fn respond(&mut self, response: &[u8]) -> ServerStep {
        match response {
            [byte] if *byte >= self.last => {
                let data = alloc::vec![*byte];
                ServerStep::Accepted { user: Some(String::from("counter")), additional_data: Some(data) }
            }
            [byte] => ServerStep::Challenge(alloc::vec![byte + 1]),
            _ => ServerStep::Refused(Refusal::Credentials),
        }
    }
}

pub(crate) fn counting_client(last: u8) -> Client {
    Sasl::client().mechanism(COUNTING, move || Box::new(Counting::until(last)))
}

pub(crate) fn counting_server(last: u8) -> Server {
    Sasl::server().mechanism(COUNTING, move || Box::new(Counting::until(last)))
}
