//! What our own attach may say of source and target (§3.5). What the peer's says is for the user to judge.

use crate::{
    LinkConfig,
    codec::{Fields, SymbolRef, ValueRef},
    types::{
        Declared, DeliveryState, LifetimePolicy, Modified, Role, Source, Target, TargetKind, descriptor,
        distribution_mode,
    },
};

/// Whether an attach in this role may have these termini.
pub(crate) fn are_valid(role: Role, config: &LinkConfig) -> bool {
    let target = match config.target.as_deref() {
        Some(TargetKind::Target(target)) => is_valid_target(role, target),
        _ => true,
    };
    target && config.source.as_deref().is_none_or(|source| is_valid_source(role, source))
}

fn is_valid_source(role: Role, source: &Source) -> bool {
    // The sender makes the node of a source, and tells its address.
    //= 3.5.3-01 3.5.3-02 3.5.3-05
    let address = !source.dynamic || source.address.is_some() == (role == Role::Sender);
    //= 3.5.3-08
    let properties = source.dynamic_node_properties.as_ref();
    address
        && properties.is_none_or(|properties| source.dynamic && are_valid_properties(properties))
        && source.filter.as_ref().is_none_or(is_valid_filter)
        && are_valid_outcomes(source)
}

fn is_valid_target(role: Role, target: &Target) -> bool {
    // The receiver makes the node of a target, and tells its address.
    //= 3.5.4-01 3.5.4-02 3.5.4-05
    let address = !target.dynamic || target.address.is_some() == (role == Role::Receiver);
    //= 3.5.4-08
    let properties = target.dynamic_node_properties.as_ref();
    address && properties.is_none_or(|properties| target.dynamic && are_valid_properties(properties))
}

/// Of the properties of a node that the specification defines (§3.5.9).
fn are_valid_properties(properties: &Fields) -> bool {
    properties.iter().all(|(key, value)| match key {
        ValueRef::Symbol(name) => match name.as_str() {
            //= 3.5.9-X1
            "lifetime-policy" => is_lifetime_policy(value),
            //= 3.5.9-03 3.5.9-04
            "supported-dist-modes" => are_modes(value),
            _ => true,
        },
        _ => false,
    })
}

fn is_lifetime_policy(value: ValueRef<'_>) -> bool {
    let ValueRef::Described(policy) = value else { return false };
    policy
        .number()
        .is_some_and(|number| LifetimePolicy::ALL.into_iter().any(|known| u64::from(known.code()) == number))
}

fn are_modes(value: ValueRef<'_>) -> bool {
    let is_mode = |name: SymbolRef<'_>| {
        [distribution_mode::MOVE, distribution_mode::COPY].iter().any(|mode| name == *mode)
    };
    match value {
        ValueRef::Symbol(mode) => is_mode(mode),
        ValueRef::Array(modes) => {
            !modes.is_empty()
                && modes.iter().all(|mode| matches!(mode, Ok(ValueRef::Symbol(mode)) if is_mode(mode)))
        }
        _ => false,
    }
}

//= 3.5.8-01
fn is_valid_filter(filter: &Fields) -> bool {
    filter.iter().all(|entry| matches!(entry, (ValueRef::Symbol(_), ValueRef::Null | ValueRef::Described(_))))
}

/// Outcomes that this crate does not know may be those of an extension.
fn are_valid_outcomes(source: &Source) -> bool {
    //= 3.5.3-12
    let default = source.default_outcome.as_ref().is_none_or(DeliveryState::is_outcome);
    //= 3.5.3-14
    let all = source.outcomes.iter().all(is_outcome);
    default && all
}

fn is_outcome(name: SymbolRef<'_>) -> bool {
    descriptor::number_of(name.as_str())
        .is_none_or(|number| matches!(number, 0x24..=Modified::CODE | Declared::CODE))
}

#[cfg(test)]
mod tests {
    use alloc::{boxed::Box, vec, vec::Vec};

    use super::*;
    use crate::{
        codec::{Array, Described, Symbol, Value},
        types::{Received, TransactionalState},
    };
    use Role::{Receiver, Sender};

    fn source(role: Role, source: Source) -> bool {
        are_valid(role, &LinkConfig { source: Some(Box::new(source)), ..LinkConfig::new("link") })
    }

    fn target(role: Role, target: Target) -> bool {
        are_valid(role, &LinkConfig { target: Some(Box::new(target.into())), ..LinkConfig::new("link") })
    }

    fn symbol(name: &'static str) -> Symbol {
        Symbol::from_static(name)
    }

    //= 3.5.3-01 3.5.3-02 3.5.3-05
    #[test]
    fn the_sender_tells_the_address_of_a_dynamic_source() {
        let dynamic = |address: Option<&str>| Source {
            dynamic: true,
            address: address.map(Into::into),
            ..Source::default()
        };
        assert!(source(Receiver, dynamic(None)));
        assert!(!source(Receiver, dynamic(Some("mine"))));
        assert!(source(Sender, dynamic(Some("made"))));
        assert!(!source(Sender, dynamic(None)));
        for role in [Sender, Receiver] {
            assert!(source(role, Source::default()));
            assert!(source(role, Source { dynamic: false, ..dynamic(Some("q")) }));
        }
    }

    //= 3.5.4-01 3.5.4-02 3.5.4-05
    #[test]
    fn the_receiver_tells_the_address_of_a_dynamic_target() {
        let dynamic = |address: Option<&str>| Target {
            dynamic: true,
            address: address.map(Into::into),
            ..Target::default()
        };
        assert!(target(Sender, dynamic(None)));
        assert!(!target(Sender, dynamic(Some("mine"))));
        assert!(target(Receiver, dynamic(Some("made"))));
        assert!(!target(Receiver, dynamic(None)));
        for role in [Sender, Receiver] {
            assert!(target(role, Target::default()));
            assert!(target(role, Target { dynamic: false, ..dynamic(Some("q")) }));
        }
    }

    /// Whether a dynamic source and a dynamic target may have nodes of these properties.
    fn properties(properties: Fields) -> bool {
        let properties = Some(properties);
        let source = |dynamic| {
            let dynamic_node_properties = properties.clone();
            source(Receiver, Source { dynamic, dynamic_node_properties, ..Source::default() })
        };
        let target = |dynamic| {
            let dynamic_node_properties = properties.clone();
            target(Sender, Target { dynamic, dynamic_node_properties, ..Target::default() })
        };
        assert!(!source(false) && !target(false), "no node is made");
        assert_eq!(source(true), target(true));
        source(true)
    }

    //= 3.5.3-08 3.5.4-08
    #[test]
    fn properties_are_those_of_a_node_to_be_made() {
        assert!(properties(Fields::new()));
        assert!(properties(Fields::new().with(symbol("anything"), "else")));
        assert!(!properties(Fields::new().with("no symbol", "else")));
    }

    //= 3.5.9-X1
    #[test]
    fn a_lifetime_policy_is_one() {
        let lifetime = |policy: Value| properties(Fields::new().with(symbol("lifetime-policy"), policy));
        for policy in LifetimePolicy::ALL {
            assert!(lifetime(policy.into()));
        }
        let name = symbol("amqp:delete-on-no-links:list");
        assert!(lifetime(Described::new(name, Vec::<Value>::new()).into()));
        assert!(!lifetime(symbol("amqp:delete-on-no-links:list").into()));
        assert!(!lifetime(Described::new(0x2a_u64, Vec::<Value>::new()).into()));
    }

    //= 3.5.9-03 3.5.9-04
    #[test]
    fn distribution_modes_are_one_or_several() {
        let modes = |modes: Value| properties(Fields::new().with(symbol("supported-dist-modes"), modes));
        assert!(modes(distribution_mode::COPY.into()));
        assert!(modes(vec![distribution_mode::COPY, distribution_mode::MOVE].into()));
        assert!(!modes(Vec::<Symbol>::new().into()));
        assert!(!modes(symbol("share").into()));
        assert!(!modes(vec![distribution_mode::COPY, symbol("share")].into()));
        assert!(!modes(Array::new(["copy"]).unwrap().into()));
        assert!(!modes("copy".into()));
        assert!(!modes(vec![Value::from(distribution_mode::COPY)].into()));
    }

    //= 3.5.8-01
    #[test]
    fn filters_are_described_values_under_symbols() {
        let filter = |filter: Fields| source(Receiver, Source { filter: Some(filter), ..Source::default() });
        let selector = || Described::new(symbol("apache.org:selector-filter:string"), "colour = 'green'");
        assert!(filter(Fields::new().with(symbol("selector"), selector()).with(symbol("none"), Value::Null)));
        assert!(!filter(Fields::new().with("selector", selector())));
        assert!(!filter(Fields::new().with(symbol("selector"), "colour = 'green'")));
    }

    //= 3.5.3-12
    #[test]
    fn the_default_outcome_is_an_outcome() {
        let default = |state| source(Receiver, Source { default_outcome: Some(state), ..Source::default() });
        assert!(default(DeliveryState::Released));
        assert!(default(DeliveryState::Modified(Box::default())));
        assert!(!default(DeliveryState::Received(Received::new(0, 0))));
        assert!(!default(DeliveryState::Transactional(Box::new(TransactionalState::new("txn".into())))));
    }

    //= 3.5.3-14
    #[test]
    fn outcomes_are_the_names_of_outcomes() {
        let outcomes = |names: &[Symbol]| {
            source(Receiver, Source { outcomes: names.iter().cloned().collect(), ..Source::default() })
        };
        let names = ["accepted", "rejected", "released", "modified"];
        assert!(outcomes(&names.map(|name| Symbol::try_from(alloc::format!("amqp:{name}:list")).unwrap())));
        assert!(outcomes(&[symbol("vendor:retained:list")]));
        for name in ["amqp:received:list", "amqp:transactional-state:list", "amqp:source:list"] {
            assert!(!outcomes(&[symbol(name)]), "{name}");
        }
    }
}
