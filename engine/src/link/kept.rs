//! An attach as a link keeps it: encoded, which takes a tenth of the memory of the struct.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    codec::{Decode, Encode, ValueRef},
    types::{Attach, Source, Target},
};

/// The `attach` that one side of a link sent (§2.7.3). It is read when somebody asks, which is seldom.
#[derive(Debug)]
pub(crate) struct KeptAttach(Box<[u8]>);

/// Room in which nearly every attach is encoded. Growing and shrinking to its size would leave holes in the heap behind
/// that are as large again.
const ROOM: usize = 512;

impl KeptAttach {
    pub(crate) fn new(attach: &Attach) -> Self {
        let mut bytes = Vec::with_capacity(ROOM);
        attach.encode(&mut bytes);
        Self(bytes.as_slice().into())
    }

    /// What was kept; nothing where our own user said what no peer could read, such as values nested too deep.
    pub(crate) fn read(&self) -> Option<Attach> {
        Attach::decode(&self.0).ok()
    }

    /// The address of the node that messages come from (§3.5.3), read in place.
    pub(crate) fn source_address(&self) -> Option<&str> {
        self.address(5, Source::CODE)
    }

    /// The address of the node that messages go to (§3.5.4), read in place.
    pub(crate) fn target_address(&self) -> Option<&str> {
        self.address(6, Target::CODE)
    }

    /// The first field of the terminus of this type that stands at this place of the attach.
    fn address(&self, place: usize, code: u64) -> Option<&str> {
        let terminus = field(ValueRef::decode(&self.0).ok()?, Attach::CODE, place)?;
        match field(terminus, code, 0)? {
            ValueRef::String(address) => Some(address.as_str()),
            _ => None,
        }
    }
}

impl Encode for KeptAttach {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

/// A field of a value, if that is a composite of this type.
fn field(value: ValueRef<'_>, code: u64, place: usize) -> Option<ValueRef<'_>> {
    let ValueRef::Described(described) = value else { return None };
    match described.value() {
        Ok(ValueRef::List(fields)) if described.descriptor() == ValueRef::Ulong(code) => {
            fields.iter().nth(place)?.ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use arbitrary::{Arbitrary, Unstructured};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        codec::{Described, Symbol},
        types::{Coordinator, Handle, Role, TargetKind},
    };

    fn attach() -> Attach {
        Attach::new("link", Handle(7), Role::Sender)
    }

    fn kept(source: Source, target: impl Into<TargetKind>) -> KeptAttach {
        let (source, target) = (Some(Box::new(source)), Some(Box::new(target.into())));
        KeptAttach::new(&Attach { source, target, ..attach() })
    }

    #[test]
    fn addresses_are_those_of_source_and_target() {
        let source = Source { address: Some("here".into()), ..Source::default() };
        let target = Target { address: Some("there".into()), ..Target::default() };
        let kept = kept(source, target);
        assert_eq!((kept.source_address(), kept.target_address()), (Some("here"), Some("there")));
    }

    #[test]
    fn a_terminus_may_have_no_address() {
        let none = KeptAttach::new(&attach());
        assert_eq!((none.source_address(), none.target_address()), (None, None));
        let capabilities = [Symbol::from_static("amqp:local-transactions")].into();
        let coordinator = TargetKind::Coordinator(Coordinator { capabilities });
        let unknown = TargetKind::Other(Described::new(0x7777_u64, vec!["no address".into()]));
        for target in [coordinator, unknown] {
            let kept = kept(Source::default(), target);
            assert_eq!((kept.source_address(), kept.target_address()), (None, None));
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read_again(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let attach = Attach::arbitrary(&mut Unstructured::new(&bytes)).unwrap();
            let kept = KeptAttach::new(&attach);
            let read = kept.read();
            prop_assert_eq!(read.as_ref(), Some(&attach));
            let source = attach.source.as_deref().and_then(|source| source.address.as_deref());
            prop_assert_eq!(kept.source_address(), source);
        }
    }
}
