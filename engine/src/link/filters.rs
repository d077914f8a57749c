//! Which of the filters that a receiver asked for are in force (§3.5.1).

use alloc::vec::Vec;

use crate::{
    codec::{Symbol, ValueRef},
    types::Source,
};

/// The names of those filters that the sending side left out of its source, or has put others in the place of.
///
/// A filter counts as the same whichever of its two descriptors, name or number, the peer writes.
//= 3.5.3-11
pub(crate) fn dropped(asked: &Source, in_force: Option<&Source>) -> Vec<Symbol> {
    let in_force = in_force.and_then(|source| source.filter.as_ref());
    let Some(asked) = &asked.filter else { return Vec::new() };
    let is_dropped = |name: &ValueRef<'_>, filter: ValueRef<'_>| {
        described(filter).is_some()
            && in_force.and_then(|filters| filters.get_value(name)).and_then(described) != described(filter)
    };
    asked
        .iter()
        .filter(|(name, filter)| is_dropped(name, *filter))
        .filter_map(|(name, _)| match name {
            ValueRef::Symbol(name) => Some(name.into()),
            _ => None,
        })
        .collect()
}

/// What a filter says; none for no filter.
fn described(filter: ValueRef<'_>) -> Option<ValueRef<'_>> {
    match filter {
        ValueRef::Described(filter) => filter.value().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Described, Fields, Value};

    fn source(filter: Option<Fields>) -> Source {
        Source { filter, ..Source::default() }
    }

    fn name(name: &'static str) -> Symbol {
        Symbol::from_static(name)
    }

    fn filter(text: &str) -> Described {
        Described::new(name("apache.org:selector-filter:string"), text)
    }

    //= 3.5.3-11
    #[test]
    fn l_02_a_filter_that_is_missing_or_another_is_told() {
        let asked = Fields::new()
            .with(name("kept"), filter("a = 1"))
            .with(name("missing"), filter("b = 2"))
            .with(name("null"), filter("c = 3"))
            .with(name("other"), filter("d = 4"))
            .with(name("none"), Value::Null);
        let answer = Fields::new()
            .with(name("kept"), Described::new(0x0000_468c_0000_0004_u64, "a = 1"))
            .with(name("null"), Value::Null)
            .with(name("other"), filter("d = 5"));
        let expected = ["missing", "null", "other"].map(name);
        assert_eq!(dropped(&source(Some(asked.clone())), Some(&source(Some(answer)))), expected);
        let all = ["kept", "missing", "null", "other"].map(name);
        for answer in [None, Some(&source(None))] {
            assert_eq!(dropped(&source(Some(asked.clone())), answer), all);
        }
        assert!(dropped(&source(None), Some(&source(Some(asked)))).is_empty());
    }
}
