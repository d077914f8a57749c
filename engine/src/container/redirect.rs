//! Where a peer points to (§2.8.16, §2.8.18).

use super::Address;
use crate::{
    codec::{Fields, Str, ValueRef},
    types::{Error, condition},
};

/// What the info of a redirect says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    /// What the open there is to name as its hostname.
    pub(super) hostname: Option<Str>,
    /// The host to connect to; for a link none where it is the present one.
    network_host: Option<Str>,
    port: Option<u16>,
    /// For a link, the node there.
    pub(super) address: Option<Str>,
}

impl Redirect {
    /// What an error says, if it is a redirect that says where to.
    pub(super) fn of(error: &Error) -> Option<Self> {
        if ![condition::CONNECTION_REDIRECT, condition::LINK_REDIRECT].contains(&error.condition) {
            return None;
        }
        let info = error.info.as_ref()?;
        let hostname = text(info, "hostname");
        let network_host = text(info, "network-host").or_else(|| hostname.clone());
        let address = text(info, "address").filter(|_| error.condition == condition::LINK_REDIRECT);
        network_host.as_ref().or(address.as_ref())?;
        // Peers write it in whatever type of number they like.
        let port = info.get("port").and_then(|port| port.to_u64()?.try_into().ok());
        Some(Self { hostname, network_host, port, address })
    }

    /// Whether that is where a connection with this address and, if one was told, this hostname leads.
    pub(super) fn leads_to(&self, present: &Address, hostname: Option<&Str>) -> bool {
        let Some(host) = &self.network_host else { return true };
        let names_it = |name: &Str| Some(name) == hostname || name.as_str() == present.host;
        host.as_str() == present.host
            && self.port_from(present) == present.port
            && self.hostname.as_ref().is_none_or(names_it)
    }

    /// The port to connect to.
    fn port_from(&self, present: &Address) -> u16 {
        self.port.unwrap_or_else(|| match self.network_host {
            Some(_) => present.scheme.default_port(),
            None => present.port,
        })
    }

    /// Where to connect, as the user of the present address and over the same kind of byte stream.
    pub(super) fn target(&self, present: &Address) -> Address {
        let host = self.network_host.as_ref().map(|host| host.as_str().into());
        Address {
            host: host.unwrap_or_else(|| present.host.clone()),
            port: self.port_from(present),
            path: self
                .address
                .as_ref()
                .map(|address| address.as_str().into())
                .or_else(|| present.path.clone()),
            ..present.clone()
        }
    }
}

fn text(info: &Fields, key: &str) -> Option<Str> {
    match info.get(key)? {
        ValueRef::String(text) if !text.is_empty() => Some(text.into()),
        _ => None,
    }
}
