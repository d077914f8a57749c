//! Which values are the same, and an order by which equal map keys are found without comparing all with all.

use core::cmp::Ordering;

use smallvec::SmallVec;

use super::{ArrayRef, DecodeError, DecodeErrorKind, DescribedRef, MapRef, ValueRef, code};

/// Orders values: first by type, then by what they mean, however they are encoded. Floats go by their bits, so
/// that NaN equals itself. Stops at what is malformed; whether anything is, callers find out by themselves.
pub(crate) fn compare(a: &ValueRef<'_>, b: &ValueRef<'_>) -> Ordering {
    use ValueRef as V;
    match (a, b) {
        (V::Bool(a), V::Bool(b)) => a.cmp(b),
        (V::Ubyte(a), V::Ubyte(b)) => a.cmp(b),
        (V::Ushort(a), V::Ushort(b)) => a.cmp(b),
        (V::Uint(a), V::Uint(b)) => a.cmp(b),
        (V::Ulong(a), V::Ulong(b)) => a.cmp(b),
        (V::Byte(a), V::Byte(b)) => a.cmp(b),
        (V::Short(a), V::Short(b)) => a.cmp(b),
        (V::Int(a), V::Int(b)) => a.cmp(b),
        (V::Long(a), V::Long(b)) => a.cmp(b),
        (V::Float(a), V::Float(b)) => a.to_bits().cmp(&b.to_bits()),
        (V::Double(a), V::Double(b)) => a.to_bits().cmp(&b.to_bits()),
        (V::Decimal32(a), V::Decimal32(b)) => a.cmp(b),
        (V::Decimal64(a), V::Decimal64(b)) => a.cmp(b),
        (V::Decimal128(a), V::Decimal128(b)) => a.cmp(b),
        (V::Char(a), V::Char(b)) => a.cmp(b),
        (V::Timestamp(a), V::Timestamp(b)) => a.cmp(b),
        (V::Uuid(a), V::Uuid(b)) => a.cmp(b),
        (V::Binary(a), V::Binary(b)) => a.cmp(b),
        (V::String(a), V::String(b)) => a.cmp(b),
        (V::Symbol(a), V::Symbol(b)) => a.cmp(b),
        (V::List(a), V::List(b)) => sequences(a.iter(), b.iter()),
        //= 1.6.23-03
        (V::Map(a), V::Map(b)) => sequences(flatten(a), flatten(b)),
        (V::Array(a), V::Array(b)) => arrays(a, b),
        (V::Described(a), V::Described(b)) => described(a, b),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// Up to so many keys are sorted as they were read. More would take a multiple of the memory that they were sent in, and
/// are read again for each comparison.
const FEW: usize = 256;

/// Refuses a map with two equal keys: n log n comparisons at worst, none to speak of when the keys are sorted.
//= 1.6.23-02
pub(crate) fn check_distinct(map: &MapRef<'_>) -> Result<(), DecodeError> {
    let keys = || map.iter().map_while(|entry| entry.ok().map(|(key, _)| key));
    if keys().is_sorted_by(|a, b| compare(a, b).is_lt()) {
        return Ok(());
    }
    let distinct = if map.len() <= FEW {
        let mut sorted: SmallVec<[ValueRef<'_>; 16]> = keys().collect();
        sorted.sort_unstable_by(compare);
        sorted.is_sorted_by(|a, b| compare(a, b).is_lt())
    } else {
        let mut sorted = map.places();
        let key = |place: &u32| map.entry_at(*place).map_or(ValueRef::Null, |(key, _)| key);
        sorted.sort_unstable_by(|a, b| compare(&key(a), &key(b)));
        sorted.is_sorted_by(|a, b| compare(&key(a), &key(b)).is_lt())
    };
    if distinct { Ok(()) } else { Err(DecodeErrorKind::DuplicateKey.into()) }
}

fn sequences<'a>(
    a: impl Iterator<Item = Result<ValueRef<'a>, DecodeError>>,
    b: impl Iterator<Item = Result<ValueRef<'a>, DecodeError>>,
) -> Ordering {
    let (mut a, mut b) = (a.map_while(Result::ok), b.map_while(Result::ok));
    loop {
        match (a.next(), b.next()) {
            (Some(a), Some(b)) => match compare(&a, &b) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
            (a, b) => return a.is_some().cmp(&b.is_some()),
        }
    }
}

fn flatten<'a>(map: &MapRef<'a>) -> impl Iterator<Item = Result<ValueRef<'a>, DecodeError>> {
    map.iter().flat_map(|entry| match entry {
        Ok((key, value)) => [Ok(key), Ok(value)],
        Err(error) => [Err(error), Err(error)],
    })
}

/// What describes the elements is compared once, elements without bytes are, too.
fn arrays(a: &ArrayRef<'_>, b: &ArrayRef<'_>) -> Ordering {
    if a.is_empty() || b.is_empty() {
        return a.len().cmp(&b.len());
    }
    constructors(a.constructor(), b.constructor()).then_with(|| {
        if a.is_zero_width() && b.is_zero_width() {
            sequences(a.undescribed().take(1), b.undescribed().take(1)).then(a.len().cmp(&b.len()))
        } else {
            sequences(a.undescribed(), b.undescribed())
        }
    })
}

fn described(a: &DescribedRef<'_>, b: &DescribedRef<'_>) -> Ordering {
    compare(&a.descriptor(), &b.descriptor()).then_with(|| match (a.value(), b.value()) {
        (Ok(a), Ok(b)) => compare(&a, &b),
        (a, b) => a.is_ok().cmp(&b.is_ok()),
    })
}

/// Compares the descriptors of two constructors.
fn constructors(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        match (next_descriptor(&mut a), next_descriptor(&mut b)) {
            (Some(a), Some(b)) => match compare(&a, &b) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
            (a, b) => return a.is_some().cmp(&b.is_some()),
        }
    }
}

fn next_descriptor<'a>(constructor: &mut &'a [u8]) -> Option<ValueRef<'a>> {
    *constructor = constructor.strip_prefix(&[code::DESCRIBED])?;
    ValueRef::read_descriptor(constructor).ok()
}

/// The type's place in §1.6; described values come last.
const fn rank(value: &ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Null => 1,
        ValueRef::Bool(_) => 2,
        ValueRef::Ubyte(_) => 3,
        ValueRef::Ushort(_) => 4,
        ValueRef::Uint(_) => 5,
        ValueRef::Ulong(_) => 6,
        ValueRef::Byte(_) => 7,
        ValueRef::Short(_) => 8,
        ValueRef::Int(_) => 9,
        ValueRef::Long(_) => 10,
        ValueRef::Float(_) => 11,
        ValueRef::Double(_) => 12,
        ValueRef::Decimal32(_) => 13,
        ValueRef::Decimal64(_) => 14,
        ValueRef::Decimal128(_) => 15,
        ValueRef::Char(_) => 16,
        ValueRef::Timestamp(_) => 17,
        ValueRef::Uuid(_) => 18,
        ValueRef::Binary(_) => 19,
        ValueRef::String(_) => 20,
        ValueRef::Symbol(_) => 21,
        ValueRef::List(_) => 22,
        ValueRef::Map(_) => 23,
        ValueRef::Array(_) => 24,
        ValueRef::Described(_) => 25,
    }
}
