//! Arbitrary values, for tests and fuzzing.

use alloc::vec::Vec;

use arbitrary::{Arbitrary, Result, Unstructured};

use super::{Array, Described, Descriptor, Fields, Map, Value};

/// How deep arbitrary values nest.
const DEPTH: usize = 4;

impl<'a> Arbitrary<'a> for Value {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        value(u, DEPTH)
    }
}

impl<'a> Arbitrary<'a> for Map {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        map(u, DEPTH)
    }
}

impl<'a> Arbitrary<'a> for Fields {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        map(u, DEPTH).map(Self::from)
    }
}

impl<'a> Arbitrary<'a> for Array {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        array(u, DEPTH)
    }
}

impl<'a> Arbitrary<'a> for Described {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        described(u, DEPTH)
    }
}

fn value(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let kinds = if depth == 0 { 20 } else { 24 };
    kind(u.int_in_range(0..=kinds)?, u, depth)
}

fn kind(kind: usize, u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    Ok(match kind {
        0 => Value::Null,
        1 => Value::Bool(u.arbitrary()?),
        2 => Value::Ubyte(u.arbitrary()?),
        3 => Value::Ushort(u.arbitrary()?),
        4 => Value::Uint(if u.arbitrary()? { u.arbitrary()? } else { u8::arbitrary(u)?.into() }),
        5 => Value::Ulong(if u.arbitrary()? { u.arbitrary()? } else { u8::arbitrary(u)?.into() }),
        6 => Value::Byte(u.arbitrary()?),
        7 => Value::Short(u.arbitrary()?),
        8 => Value::Int(if u.arbitrary()? { u.arbitrary()? } else { i8::arbitrary(u)?.into() }),
        9 => Value::Long(if u.arbitrary()? { u.arbitrary()? } else { i8::arbitrary(u)?.into() }),
        10 => Value::Float(u.arbitrary()?),
        11 => Value::Double(u.arbitrary()?),
        12 => Value::Decimal32(u.arbitrary()?),
        13 => Value::Decimal64(u.arbitrary()?),
        14 => Value::Decimal128(u.arbitrary()?),
        15 => Value::Char(u.arbitrary()?),
        16 => Value::Timestamp(u.arbitrary()?),
        17 => Value::Uuid(u.arbitrary()?),
        18 => Value::Binary(Vec::arbitrary(u)?.into()),
        19 => Value::String(u.arbitrary()?),
        20 => Value::Symbol(u.arbitrary()?),
        21 => {
            let len = u.int_in_range(0..=6)?;
            Value::List((0..len).map(|_| value(u, depth - 1)).collect::<Result<_>>()?)
        }
        22 => Value::Map(map(u, depth - 1)?),
        23 => Value::Array(array(u, depth - 1)?),
        _ => Value::Described(described(u, depth - 1)?),
    })
}

fn map(u: &mut Unstructured<'_>, depth: usize) -> Result<Map> {
    let len = u.int_in_range(0..=6)?;
    (0..len).map(|_| Ok((value(u, depth)?, value(u, depth)?))).collect()
}

fn array(u: &mut Unstructured<'_>, depth: usize) -> Result<Array> {
    let of = u.int_in_range(0..=if depth == 0 { 20 } else { 24 })?;
    let len = u.int_in_range(0..=6)?;
    let values: Vec<Value> = (0..len).map(|_| kind(of, u, depth)).collect::<Result<_>>()?;
    // Described values of one descriptor; those of several make no array.
    Ok(Array::new(values.iter().cloned())
        .or_else(|_| Array::new(values.into_iter().map(|value| Described::new(7u64, value))))
        .unwrap_or_default())
}

fn described(u: &mut Unstructured<'_>, depth: usize) -> Result<Described> {
    // Of a domain that is not AMQP's own (§1.3): with a descriptor of the specification it would be another type.
    let descriptor = if u.arbitrary()? {
        Descriptor::Code(u64::arbitrary(u)? | 1 << 32)
    } else {
        Descriptor::Name(u.arbitrary()?)
    };
    Ok(Described::new(descriptor, value(u, depth)?))
}

/// Values of a type that has [`Arbitrary`], for proptest.
#[cfg(test)]
pub(crate) fn arbitrary<T: for<'a> Arbitrary<'a> + core::fmt::Debug>()
-> impl proptest::strategy::Strategy<Value = T> {
    use proptest::prelude::{Strategy, any};
    proptest::collection::vec(any::<u8>(), 0..512).prop_filter_map("the bytes are not enough", |bytes| {
        T::arbitrary(&mut Unstructured::new(&bytes)).ok()
    })
}
