//! Where a peer points to (§2.8.16, §2.8.18).

use super::Address;
use crate::{
    codec::{Map, Str, Value},
    types::{Error, condition},
};

/// What the info of a redirect says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    /// What the open there is to name as its hostname.
    pub(super) hostname: Option<Str>,
    /// The host to connect to.
    network_host: Str,
    port: Option<u16>,
    /// For a link, the node there.
    pub(super) address: Option<Str>,
}

impl Redirect {
    /// What an error says, if it is a redirect that names a host.
    pub(super) fn of(error: &Error) -> Option<Self> {
        if ![condition::CONNECTION_REDIRECT, condition::LINK_REDIRECT].contains(&error.condition) {
            return None;
        }
        let info = error.info.as_ref()?;
        let hostname = text(info, "hostname");
        let network_host = text(info, "network-host").or_else(|| hostname.clone())?;
        // Peers write it in whatever type of number they like.
        let port = info.get("port").and_then(|port| port.to_u64()?.try_into().ok());
        Some(Self { hostname, network_host, port, address: text(info, "address") })
    }

    /// Where to connect, as the user of the present address and over the same kind of byte stream.
    pub(super) fn target(&self, present: &Address) -> Address {
        Address {
            host: self.network_host.as_str().into(),
            port: self.port.unwrap_or_else(|| present.scheme.default_port()),
            path: self
                .address
                .as_ref()
                .map(|address| address.as_str().into())
                .or_else(|| present.path.clone()),
            ..present.clone()
        }
    }
}

fn text(info: &Map, key: &str) -> Option<Str> {
    match info.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}
