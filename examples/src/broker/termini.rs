//! What a link's termini ask for, and what the broker says is in force.

use amqp1_engine::{
    codec::{Decode as _, DescribedRef, Encode as _, Fields, Str, Symbol, Symbols, ValueRef},
    container::{Context, Link, LinkSettings},
    types::{
        DeliveryState, Error, LifetimePolicy, Modified, Source, Target, TargetKind, TerminusDurability,
        TerminusExpiryPolicy, capability, condition, distribution_mode,
    },
};

use super::{
    Interest, Selector,
    topics::{Terms, is_topic},
};

/// The type of filters that are selectors, by name and by number.
const SELECTOR: (Symbol, u64) =
    (Symbol::from_static("apache.org:selector-filter:string"), 0x0000_468c_0000_0004);
/// The property of a node that tells how long it lives (§3.5.9).
const LIFETIME_POLICY: &str = "lifetime-policy";

/// The node that a peer's attach is for.
pub(super) enum Wanted {
    /// The queue of this address.
    Queue(Str),
    /// A queue to be made that lives so long.
    Dynamic(LifetimePolicy),
    /// Every queue: each message tells its own.
    Any,
}

/// What a peer's attach asks for.
pub(super) struct Asked {
    pub(super) node: Wanted,
    /// For a consumer.
    pub(super) interest: Interest,
    /// The filters that are in force.
    pub(super) filter: Option<Fields>,
    /// For a consumer of a topic.
    pub(super) terms: Terms,
}

impl Asked {
    /// What a link that a peer attached is for, or why it cannot be had (§3.5.3, §3.5.4).
    pub(super) fn of(cx: &Context<'_>, link: Link) -> Result<Self, Error> {
        let attach = cx.remote_attach(link);
        let (address, dynamic, properties, interest, filter, terms) = match link {
            Link::Sender(_) => {
                let mut source = attach.and_then(|attach| attach.source).ok_or_else(no_terminus)?;
                let (selector, filter) = selector(source.filter.take())?;
                let copies = source.distribution_mode == Some(distribution_mode::COPY);
                let interest = Interest { selector, copies };
                let terms = Terms::of(&source);
                (source.address, source.dynamic, source.dynamic_node_properties, interest, filter, terms)
            }
            Link::Receiver(_) => {
                let target = match attach.and_then(|attach| attach.target).map(|target| *target) {
                    Some(TargetKind::Target(target)) => target,
                    None => return Err(no_terminus()),
                    Some(_) => {
                        return Err(error(condition::NOT_IMPLEMENTED, "only queues can be targets here"));
                    }
                };
                let interest = Interest::default();
                let terms = Terms::default();
                (target.address, target.dynamic, target.dynamic_node_properties, interest, None, terms)
            }
        };
        let node = match (address.filter(|address| !address.is_empty()), dynamic) {
            (Some(_), true) => {
                return Err(error(condition::INVALID_FIELD, "a dynamic terminus gets its address from here"));
            }
            (Some(address), false) => Wanted::Queue(address),
            (None, true) => Wanted::Dynamic(lifetime_policy(properties.as_ref())?),
            (None, false) if link.receiver().is_some() => Wanted::Any,
            (None, false) => return Err(error(condition::NOT_FOUND, "the source names no queue")),
        };
        Ok(Self { node, interest, filter, terms })
    }

    /// Answers a consumer with what is in force.
    //= 2.6.3-10 3.5.8-04
    pub(super) fn source(self, address: Str) -> impl FnOnce(&mut LinkSettings) {
        let outcomes =
            ["amqp:accepted:list", "amqp:rejected:list", "amqp:released:list", "amqp:modified:list"];
        let failed = Modified { delivery_failed: Some(true), ..Modified::default() };
        let mode = if self.interest.copies { distribution_mode::COPY } else { distribution_mode::MOVE };
        let terms = if is_topic(&address) { self.terms } else { Terms::default() };
        let expiry_policy = match terms.is_durable {
            true => TerminusExpiryPolicy::Never,
            false => TerminusExpiryPolicy::LinkDetach,
        };
        move |link| {
            link.source = Source {
                address: Some(address),
                expiry_policy,
                capabilities: terms.capabilities(),
                dynamic: self.is_dynamic(),
                dynamic_node_properties: self.properties(),
                //= 3.5.3-09
                distribution_mode: Some(mode),
                default_outcome: Some(DeliveryState::Modified(Box::new(failed))),
                outcomes: outcomes.map(Symbol::from_static).into(),
                filter: self.filter,
                ..Source::default()
            };
        }
    }

    /// Answers a producer with what is in force.
    pub(super) fn target(self, address: Str) -> impl FnOnce(&mut LinkSettings) {
        move |link| {
            link.target = Target {
                address: Some(address),
                expiry_policy: TerminusExpiryPolicy::LinkDetach,
                dynamic: self.is_dynamic(),
                dynamic_node_properties: self.properties(),
                ..Target::default()
            };
        }
    }

    const fn is_dynamic(&self) -> bool {
        matches!(self.node, Wanted::Dynamic(_))
    }

    /// Those of a node that is made: of what was asked for, what is known here.
    fn properties(&self) -> Option<Fields> {
        match self.node {
            Wanted::Dynamic(policy) => Some(Fields::new().with(Symbol::from_static(LIFETIME_POLICY), policy)),
            _ => None,
        }
    }
}

impl Terms {
    fn of(source: &Source) -> Self {
        let asks_for = |capability: Symbol| source.capabilities.contains(&capability);
        Self {
            is_durable: source.durable != TerminusDurability::None
                || source.expiry_policy == TerminusExpiryPolicy::Never,
            is_shared: asks_for(capability::SHARED),
            is_global: asks_for(capability::GLOBAL),
        }
    }

    fn capabilities(self) -> Symbols {
        let known = [(self.is_shared, capability::SHARED), (self.is_global, capability::GLOBAL)];
        known.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, capability)| capability).collect()
    }
}

/// The first selector among the filters of a source, and the filters without all others: those are not in force.
fn selector(filter: Option<Fields>) -> Result<(Option<Selector>, Option<Fields>), Error> {
    let mut in_force = filter.unwrap_or_default();
    let mut selector = None;
    in_force.retain(|_, filter| match filter {
        ValueRef::Described(described) if selector.is_none() && is_selector(&described) => {
            selector = Some(parse_selector(&described));
            true
        }
        _ => false,
    });
    Ok(match selector {
        Some(selector) => (Some(selector?), Some(in_force)),
        None => (None, None),
    })
}

fn is_selector(described: &DescribedRef<'_>) -> bool {
    let (name, number) = SELECTOR;
    match described.descriptor() {
        ValueRef::Symbol(descriptor) => descriptor == name,
        descriptor => descriptor == ValueRef::Ulong(number),
    }
}

fn parse_selector(described: &DescribedRef<'_>) -> Result<Selector, Error> {
    let Ok(ValueRef::String(text)) = described.value() else {
        return Err(error(condition::INVALID_FIELD, "a selector is a string"));
    };
    text.as_str().parse().map_err(|fault: super::Fault| error(condition::INVALID_FIELD, fault.to_string()))
}

/// When a node is to be deleted: with its link, unless another policy is asked for.
fn lifetime_policy(properties: Option<&Fields>) -> Result<LifetimePolicy, Error> {
    match properties.and_then(|properties| properties.get(LIFETIME_POLICY)) {
        None | Some(ValueRef::Null) => Ok(LifetimePolicy::DeleteOnClose),
        Some(policy) => {
            let mut encoded = Vec::new();
            policy.encode(&mut encoded);
            LifetimePolicy::decode(&encoded).map_err(|_| unknown_policy())
        }
    }
}

fn unknown_policy() -> Error {
    error(condition::INVALID_FIELD, "the lifetime-policy is none of those of the specification")
}

fn no_terminus() -> Error {
    error(condition::NOT_FOUND, "the link names no terminus here")
}

pub(super) fn error(condition: Symbol, description: impl Into<Str>) -> Error {
    Error { condition, description: Some(description.into()), info: None }
}
