//! What a link's termini ask for, and what the broker says is in force.

use amqp1_engine::{
    codec::{Map, Str, Symbol},
    container::{Context, Link, LinkSettings},
    types::{
        DeliveryState, Error, LifetimePolicy, Modified, Source, Target, TargetKind, TerminusExpiryPolicy,
        condition, distribution_mode,
    },
};

/// The node that a peer's attach is for.
pub(super) enum Wanted {
    /// The queue of this address.
    Queue(Str),
    /// A queue to be made, for as long as the link lives.
    Dynamic,
    /// Every queue: each message tells its own.
    Any,
}

impl Wanted {
    /// What a link that a peer attached is for, or why it cannot be had (§3.5.3, §3.5.4).
    pub(super) fn of(cx: &Context<'_>, link: Link) -> Result<Self, Error> {
        let attach = cx.remote_attach(link);
        let terminus = match link {
            Link::Sender(_) => {
                let source = attach.and_then(|attach| attach.source);
                source.map(|source| (source.address, source.dynamic))
            }
            Link::Receiver(_) => match attach.and_then(|attach| attach.target).map(|target| *target) {
                Some(TargetKind::Target(target)) => Some((target.address, target.dynamic)),
                None => None,
                Some(_) => return Err(error(condition::NOT_IMPLEMENTED, "only queues can be targets here")),
            },
        };
        let Some((address, dynamic)) = terminus else {
            return Err(error(condition::NOT_FOUND, "the link names no terminus here"));
        };
        match (address.filter(|address| !address.is_empty()), dynamic) {
            (Some(_), true) => {
                Err(error(condition::INVALID_FIELD, "a dynamic terminus gets its address from here"))
            }
            (Some(address), false) => Ok(Self::Queue(address)),
            (None, true) => Ok(Self::Dynamic),
            (None, false) if link.receiver().is_some() => Ok(Self::Any),
            (None, false) => Err(error(condition::NOT_FOUND, "the source names no queue")),
        }
    }
}

/// Answers a consumer with what is in force: no filters, no copies, no durability.
//= 2.6.3-10
pub(super) fn queue_source(address: Str, dynamic: bool) -> impl FnOnce(&mut LinkSettings) {
    let outcomes = ["amqp:accepted:list", "amqp:rejected:list", "amqp:released:list", "amqp:modified:list"];
    let failed = Modified { delivery_failed: Some(true), ..Modified::default() };
    move |link| {
        link.source = Source {
            address: Some(address),
            expiry_policy: TerminusExpiryPolicy::LinkDetach,
            dynamic,
            dynamic_node_properties: dynamic.then(delete_on_close),
            //= 3.5.3-09
            distribution_mode: Some(distribution_mode::MOVE),
            default_outcome: Some(DeliveryState::Modified(Box::new(failed))),
            outcomes: outcomes.map(Symbol::from_static).into(),
            ..Source::default()
        };
    }
}

/// Answers a producer with what is in force.
pub(super) fn queue_target(address: Str, dynamic: bool) -> impl FnOnce(&mut LinkSettings) {
    move |link| {
        link.target = Target {
            address: Some(address),
            expiry_policy: TerminusExpiryPolicy::LinkDetach,
            dynamic,
            dynamic_node_properties: dynamic.then(delete_on_close),
            ..Target::default()
        };
    }
}

fn delete_on_close() -> Map {
    Map::new().with(Symbol::from_static("lifetime-policy"), LifetimePolicy::DeleteOnClose)
}

pub(super) fn error(condition: Symbol, description: impl Into<Str>) -> Error {
    Error { condition, description: Some(description.into()), info: None }
}
