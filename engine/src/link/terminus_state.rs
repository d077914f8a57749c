//! What is left of a link while it is suspended (§2.6.3).

use alloc::vec::Vec;

use super::{
    IncomingDelivery, UnsettledMap,
    attach::{attach_of, config_of},
};
use crate::{
    Connection, LinkConfig,
    arena::Key,
    codec::{Decode, DecodeErrorKind, Encode, parse},
    types::{Attach, DeliveryState, Role},
};

/// All that one end of a link needs to be resumed: by another connection, or by another process (§2.6.3).
///
/// A [`Sender`](crate::Sender) or [`Receiver`](crate::Receiver) [gives](crate::Sender::terminus_state) it at any time, also when its connection is
/// gone. `config` is what the link is attached with again, in a new session or in answer to a peer that attaches it. Its
/// encoding is that of an `attach`, to be kept where it outlives the process.
///
/// ```
/// use amqp1_engine::{LinkConfig, TerminusState, UnsettledMap, codec::{Decode, Encode}, types::{DeliveryTag, Role}};
///
/// let unsettled = UnsettledMap::from_iter([(DeliveryTag::from(7), None)]);
/// let config = LinkConfig { unsettled: Some(unsettled), ..LinkConfig::sender("orders", "queue") };
/// let mut bytes = Vec::new();
/// TerminusState { role: Role::Sender, config }.encode(&mut bytes);
///
/// let state = TerminusState::decode(&bytes)?;
/// assert!(state.config.unsettled.is_some_and(|map| map.contains(&DeliveryTag::from(7))));
/// # Ok::<(), amqp1_engine::codec::DecodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct TerminusState {
    /// Which end of the link this is.
    pub role: Role,
    /// What the link was attached with, and the deliveries that are not settled.
    pub config: LinkConfig,
}

impl Encode for TerminusState {
    fn encode(&self, out: &mut Vec<u8>) {
        attach_of(self.config.name.clone(), self.role, self.config.clone()).encode(out);
    }
}

impl Decode<'_> for TerminusState {
    fn parse(input: &[u8]) -> parse::Parsed<'_, Self> {
        let (rest, attach) = Attach::parse(input)?;
        let role = attach.role;
        match config_of(attach) {
            Ok(config) => Ok((rest, Self { role, config })),
            Err(_) => parse::fail(DecodeErrorKind::InvalidEntry),
        }
    }
}

impl Connection {
    /// What a link that we have attached says of itself when it is resumed.
    pub(crate) fn terminus_state(&self, key: Key) -> Option<TerminusState> {
        let link = self.links.get(key)?;
        let attach = link.local_attach.as_ref()?.read()?;
        let config = config_of(Attach { unsettled: None, ..attach }).ok()?;
        let config = LinkConfig { unsettled: Some(self.unsettled_of(key)), ..config };
        Some(TerminusState { role: link.role(), config })
    }

    /// The deliveries of a link that it would go on with.
    pub(crate) fn unsettled_of(&self, key: Key) -> UnsettledMap {
        let Some(link) = self.links.get(key) else { return UnsettledMap::new() };
        let mut unsettled = match self.common.recoveries.get(&key) {
            Some(recovery) => recovery.unsettled().clone(),
            None => UnsettledMap::new(),
        };
        let Some(session) = self.sessions.get(link.session).filter(|_| link.live > 0) else {
            return unsettled;
        };
        match link.role() {
            Role::Sender => {
                let sent = session.outgoing.iter().filter(|(_, delivery)| delivery.link == key);
                unsettled.extend(sent.filter_map(|(_, delivery)| {
                    // The receiver will not need what it has reached an outcome of.
                    //= 3.4.6-18
                    let outcome = delivery.remote_state().filter(|state| state.is_terminal());
                    let is_open = outcome.is_some() || !delivery.remote_settled;
                    is_open.then(|| (delivery.tag, outcome.cloned()))
                }));
            }
            Role::Receiver => {
                let arrived = session.incoming.iter().filter(|(_, delivery)| delivery.link == key);
                let is_open =
                    |delivery: &IncomingDelivery| !delivery.remote_settled && !delivery.arrival.is_unwanted();
                let open = arrived.filter(|(_, delivery)| is_open(delivery));
                unsettled.extend(open.filter_map(|(_, delivery)| {
                    // What the user has said nothing of is as if it had not arrived.
                    //= 3.4.6-11
                    let state = delivery.state().filter(|state| !is_provisional(state))?;
                    Some((delivery.tag, Some(state.clone())))
                }));
            }
        }
        unsettled
    }
}

/// Whether a state depends on a transaction, which goes with the link to its coordinator.
const fn is_provisional(state: &DeliveryState) -> bool {
    matches!(state, DeliveryState::Transactional(_))
}
