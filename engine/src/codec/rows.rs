//! Rows T1 to T15 of the robustness checklist: malformed, unusual and hostile values.

use alloc::{format, vec, vec::Vec};
use core::iter;

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    Array, Decimal32, Decimal64, Decimal128, Decode, DecodeErrorKind, Described, Encode, Fields, MAX_DEPTH,
    MAX_ZERO_WIDTH, Map, Symbol, Timestamp, Uuid, Value, ValueRef, code, sample::arbitrary,
};
use DecodeErrorKind as Kind;

fn encoded(value: &(impl Encode + ?Sized)) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// What decoding says; the owned and the borrowed form agree whether it is a value.
#[track_caller]
fn decoded(bytes: &[u8]) -> Result<Value, Kind> {
    let owned = Value::decode(bytes).map_err(|error| error.kind());
    let borrowed = ValueRef::decode(bytes).and_then(|value| value.validate());
    assert_eq!(owned.is_ok(), borrowed.is_ok());
    owned
}

#[track_caller]
fn refused(bytes: &[u8], kind: Kind) {
    assert_eq!(decoded(bytes), Err(kind), "{bytes:02x?}");
}

#[track_caller]
fn means(bytes: &[u8], value: impl Into<Value>) {
    assert_eq!(decoded(bytes), Ok(value.into()), "{bytes:02x?}");
}

/// A head with widths of four bytes, and what it encloses.
fn wide(constructor: u8, size: u32, count: u32, items: &[u8]) -> Vec<u8> {
    [&[constructor][..], &size.to_be_bytes(), &count.to_be_bytes(), items].concat()
}

proptest! {
    //= 1.2-02 1.2-03 1.2-04
    #[test]
    fn every_value_comes_back(value in arbitrary::<Value>()) {
        let bytes = encoded(&value);
        prop_assert_eq!(decoded(&bytes), Ok(value.clone()));
        let borrowed = ValueRef::decode(&bytes).unwrap();
        prop_assert_eq!(borrowed, ValueRef::decode(&bytes).unwrap());
        prop_assert_eq!(encoded(&borrowed.to_value().unwrap()), bytes);
    }

    #[test]
    fn t1_a_value_cut_anywhere_is_refused(value in arbitrary::<Value>()) {
        let bytes = encoded(&value);
        for end in 0..bytes.len() {
            prop_assert!(decoded(&bytes[..end]).is_err(), "{value:?} cut at {end}");
        }
    }

    #[test]
    fn any_bytes_are_judged_alike_and_without_panic(bytes in prop::collection::vec(hostile_byte(), 0..64)) {
        if let Ok(value) = decoded(&bytes) {
            let again = encoded(&value);
            prop_assert_eq!(decoded(&again), Ok(value));
        }
    }

    /// Taken out or not, a map is judged alike, and means the same.
    #[test]
    fn a_map_is_what_fields_are(content in prop::collection::vec(hostile_byte(), 0..40)) {
        let bytes = [&[code::MAP8, content.len() as u8][..], &content].concat();
        match (Fields::decode(&bytes), Map::decode(&bytes)) {
            (Ok(fields), Ok(map)) => {
                prop_assert_eq!(&fields, &Fields::from(&map));
                prop_assert_eq!(fields.borrow().to_map(), Ok(map));
            }
            (fields, map) => prop_assert!(fields.is_err() && map.is_err()),
        }
    }

    /// An order: antisymmetric, and equal only what is equal.
    #[test]
    fn the_order_of_values_is_one(a in arbitrary::<Value>(), b in arbitrary::<Value>()) {
        let (bytes_a, bytes_b) = (encoded(&a), encoded(&b));
        let (ref_a, ref_b) = (ValueRef::decode(&bytes_a).unwrap(), ValueRef::decode(&bytes_b).unwrap());
        prop_assert_eq!(super::order::compare(&ref_a, &ref_b), super::order::compare(&ref_b, &ref_a).reverse());
        prop_assert_eq!(ref_a == ref_b, a == b);
    }
}

/// Constructors and small numbers more often than other bytes.
fn hostile_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        3 => (0u8..=u8::MAX).prop_filter("a constructor", |code| code::is_known(*code)),
        3 => 0u8..8,
        1 => any::<u8>(),
    ]
}

//= 1.2-03
#[test]
fn t2_every_format_code_is_a_type_or_refused() {
    for code in 1..=u8::MAX {
        let bytes = [&[code][..], &[0; 20]].concat();
        match ValueRef::parse(&bytes) {
            Ok(_) => assert!(code::is_known(code), "{code:#04x}"),
            Err(error) if code::is_known(code) => {
                // A size of zero has no room for the count.
                assert!(code >= code::LIST8, "{code:#04x}: {error:?}");
            }
            Err(error) => assert_eq!(super::DecodeError::from(error).kind(), Kind::UnknownFormatCode(code)),
        }
        let element = [code::ARRAY8, 22, 1, code];
        let array = [&element[..], &[0; 20]].concat();
        if !code::is_known(code) {
            refused(&array, Kind::UnknownFormatCode(code));
        }
    }
}

#[test]
fn t3_a_size_beyond_the_bytes_is_refused() {
    for code in [code::BINARY8, code::STRING8, code::SYMBOL8] {
        refused(&[code, 2, b'x'], Kind::Truncated);
        refused(&[code, 255], Kind::Truncated);
    }
    for code in [code::BINARY32, code::STRING32, code::SYMBOL32] {
        refused(&[code, 0, 0, 0, 2, b'x'], Kind::Truncated);
        refused(&[code, 0xff, 0xff, 0xff, 0xff, b'x'], Kind::Truncated);
    }
}

#[test]
fn t4_a_compound_size_that_is_too_large_or_too_small_is_refused() {
    for code in [code::LIST8, code::MAP8, code::ARRAY8] {
        refused(&[code, 3, 0], Kind::Truncated);
        refused(&[code, 0, 0], Kind::SizeMismatch);
    }
    for code in [code::LIST32, code::MAP32, code::ARRAY32] {
        refused(&wide(code, u32::MAX, 0, &[]), Kind::Truncated);
        for size in 0..4 {
            refused(&wide(code, size, 0, &[]), Kind::SizeMismatch);
        }
    }
}

//= 1.2.4-01
#[test]
fn t5_a_count_beyond_the_bytes_is_refused() {
    refused(&[code::LIST8, 2, 2, code::NULL], Kind::SizeMismatch);
    refused(&wide(code::LIST32, 5, u32::MAX, &[code::NULL]), Kind::SizeMismatch);
    refused(&wide(code::MAP32, 6, u32::MAX - 1, &[code::NULL, code::NULL]), Kind::SizeMismatch);
    refused(&wide(code::ARRAY32, 6, u32::MAX, &[code::UBYTE, 0]), Kind::SizeMismatch);
    refused(&wide(code::ARRAY32, 6, u32::MAX, &[code::BINARY8, 0]), Kind::SizeMismatch);
    refused(
        &wide(code::ARRAY32, 13, 0x2000_0001, &[code::ULONG, 0, 0, 0, 0, 0, 0, 0, 0]),
        Kind::SizeMismatch,
    );
}

#[test]
fn t6_elements_that_do_not_fill_the_size_are_refused() {
    refused(&[code::LIST8, 3, 1, code::NULL, code::NULL], Kind::SizeMismatch);
    refused(&[code::LIST8, 2, 0, code::NULL], Kind::SizeMismatch);
    refused(&[code::MAP8, 4, 2, code::NULL, code::NULL, code::NULL], Kind::SizeMismatch);
    refused(&[code::ARRAY8, 4, 1, code::UBYTE, 1, 2], Kind::SizeMismatch);
    refused(&[code::ARRAY8, 5, 1, code::BINARY8, 1, 2, 3], Kind::SizeMismatch);
    // The last element runs past the size, though not past the bytes.
    refused(&[code::LIST8, 7, 2, code::LIST8, 3, 1, code::BINARY8, 1, code::NULL], Kind::Truncated);
    refused(&[code::LIST8, 7, 2, code::ARRAY8, 3, 1, code::BINARY8, 1, code::NULL], Kind::Truncated);
    refused(&[code::ARRAY8, 1, 0], Kind::SizeMismatch);
    refused(&[code::NULL, code::NULL], Kind::TrailingBytes);
}

#[test]
fn t7_elements_without_bytes_are_limited() {
    for code in [code::NULL, code::TRUE, code::FALSE, code::UINT0, code::ULONG0, code::LIST0] {
        refused(&wide(code::ARRAY32, 5, 1 << 31, &[code]), Kind::TooManyElements);
        refused(&wide(code::ARRAY32, 5, MAX_ZERO_WIDTH + 1, &[code]), Kind::TooManyElements);
        let bytes = wide(code::ARRAY32, 5, MAX_ZERO_WIDTH, &[code]);
        let Ok(Value::Array(array)) = decoded(&bytes) else { panic!("{code:#04x} is within the limit") };
        assert_eq!(array.iter().count(), MAX_ZERO_WIDTH as usize);
        assert_eq!(encoded(&array), bytes);
    }
    refused(
        &wide(code::ARRAY32, 8, 1 << 31, &[code::DESCRIBED, code::SMALLULONG, 1, code::NULL]),
        Kind::TooManyElements,
    );
}

/// Encloses a value in another.
type Head<'a> = &'a dyn Fn(usize, &[u8]) -> Vec<u8>;

/// Heads that enclose each other, and what is in the innermost.
fn nested(depth: usize, head: impl Fn(usize, &[u8]) -> Vec<u8>) -> Vec<u8> {
    (0..depth).fold(vec![code::NULL], |inner, level| head(level, &inner))
}

#[test]
fn t8_nesting_is_limited() {
    let size = |inner: &[u8], more: u32| inner.len() as u32 + more;
    let list = |inner: &[u8]| wide(code::LIST32, size(inner, 4), 1, inner);
    let map = |inner: &[u8]| wide(code::MAP32, size(inner, 5), 2, &[&[code::NULL], inner].concat());
    let key = |inner: &[u8]| wide(code::MAP32, size(inner, 5), 2, &[inner, &[code::NULL]].concat());
    let array = |inner: &[u8]| wide(code::ARRAY32, size(inner, 4), 1, inner);
    let described = |inner: &[u8]| [&[code::DESCRIBED, code::SMALLULONG, 7], inner].concat();
    let mixed = |level: usize, inner: &[u8]| match level % 5 {
        0 => list(inner),
        1 => described(inner),
        2 => array(inner),
        3 => key(inner),
        _ => map(inner),
    };
    let heads: [Head<'_>; 6] =
        [&|_, i| list(i), &|_, i| map(i), &|_, i| key(i), &|_, i| array(i), &|_, i| described(i), &mixed];
    for (index, head) in heads.into_iter().enumerate() {
        let deepest = nested(MAX_DEPTH, head);
        let value = decoded(&deepest).unwrap_or_else(|error| panic!("head {index}: {error}"));
        assert_eq!(decoded(&encoded(&value)), Ok(value));
        refused(&nested(MAX_DEPTH + 1, head), Kind::TooDeep);
    }
}

#[test]
fn t8_100_000_levels_do_not_end_the_stack() {
    const LEVELS: u32 = 100_000;
    for code in [code::LIST32, code::ARRAY32] {
        let heads = (0..LEVELS).rev().flat_map(|inside| wide(code, inside * 9 + 1 + 4, 1, &[]));
        let bytes: Vec<u8> = heads.chain([code::NULL]).collect();
        assert_eq!(bytes.len() as u32, LEVELS * 9 + 1);
        refused(&bytes, Kind::TooDeep);
    }
    for code in [code::MAP32, code::LIST32] {
        let heads = (0..LEVELS).rev().flat_map(|inside| wide(code, inside * 10 + 2 + 4, 2, &[code::NULL]));
        refused(&heads.chain([code::NULL]).collect::<Vec<u8>>(), Kind::TooDeep);
    }
    let descriptors = iter::repeat_n([code::DESCRIBED, code::ULONG0], LEVELS as usize).flatten();
    refused(&descriptors.chain([code::NULL]).collect::<Vec<u8>>(), Kind::TooDeep);
}

//= 1.5-01
#[test]
fn t9_a_descriptor_is_neither_described_nor_compound() {
    let descriptors: [&[u8]; 7] = [
        &[code::DESCRIBED, code::ULONG0, code::ULONG0],
        &[code::LIST0],
        &[code::LIST8, 1, 0],
        &wide(code::LIST32, 4, 0, &[]),
        &[code::MAP8, 1, 0],
        &wide(code::MAP32, 4, 0, &[]),
        &[code::ARRAY8, 2, 0, code::NULL],
    ];
    for descriptor in descriptors {
        let bytes = [&[code::DESCRIBED], descriptor, &[code::NULL]].concat();
        refused(&bytes, Kind::InvalidDescriptor);
        let items = [&[code::DESCRIBED], descriptor, &[code::UBYTE, 1]].concat();
        refused(&wide(code::ARRAY32, items.len() as u32 + 4, 1, &items), Kind::InvalidDescriptor);
    }
    // Reserved (§1.5), but values all the same.
    let reserved = [code::DESCRIBED, code::SMALLINT, 1, code::NULL];
    let Ok(Value::Described(described)) = decoded(&reserved) else {
        panic!("a reserved descriptor is a value")
    };
    assert_eq!(described.descriptor(), ValueRef::Int(1));
}

//= 1.6.23-01 1.6.23-02
#[test]
fn t10_a_map_has_pairs_with_distinct_keys() {
    refused(&[code::MAP8, 2, 1, code::NULL], Kind::OddMap);
    refused(&[code::MAP8, 5, 4, code::NULL, code::TRUE, code::NULL, code::FALSE], Kind::DuplicateKey);
    // Equal however encoded.
    refused(
        &[code::MAP8, 6, 4, code::UINT0, code::TRUE, code::SMALLUINT, 0, code::FALSE],
        Kind::DuplicateKey,
    );
    refused(&[code::MAP8, 7, 4, code::LIST0, code::TRUE, code::LIST8, 1, 0, code::TRUE], Kind::DuplicateKey);
    // An uint is not an ulong, a string not a symbol.
    let bytes = [
        &[code::MAP8, 11, 8][..],
        &[code::UINT0, code::TRUE, code::ULONG0, code::TRUE],
        &[code::STRING8, 0, code::TRUE, code::SYMBOL8, 0, code::TRUE],
    ];
    let map = Map::new().with(0u32, true).with(0u64, true).with("", true).with(Symbol::from_static(""), true);
    means(&bytes.concat(), map);
}

//= 1.6.23-03
#[test]
fn t10_the_order_of_a_map_counts() {
    let (one, other) = ([code::MAP8, 5, 4, code::UINT0, code::TRUE], [code::ULONG0, code::FALSE]);
    let ordered = [&one[..], &other].concat();
    let reversed = [&one[..3], &other, &one[3..]].concat();
    let [a, b] = [&ordered, &reversed].map(|bytes| decoded(bytes).unwrap());
    assert_ne!(a, b);
    assert_ne!(ValueRef::decode(&ordered), ValueRef::decode(&reversed));
    assert_eq!((encoded(&a), encoded(&b)), (ordered, reversed));
    assert_eq!(a, Value::from(Map::new().with(0u32, true).with(0u64, false)));
    let nested = |map: &Value| Value::from(vec![map.clone()]);
    assert_ne!(nested(&a), nested(&b));
    assert_ne!(Map::new().with(a.clone(), true), Map::new().with(b, true), "keys differ, too");
}

/// A map of these keys, each with the value null.
fn map_of(keys: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut count = 0;
    let mut items = Vec::new();
    for key in keys {
        items.extend_from_slice(&key);
        items.push(code::NULL);
        count += 2;
    }
    wide(code::MAP32, items.len() as u32 + 4, count, &items)
}

/// Were every key compared with every other, this would take hours.
#[test]
fn t11_many_keys_take_no_quadratic_time() {
    /// All numbers below 2^32 in an order that looks like none.
    fn mixed(number: u32) -> u32 {
        number.wrapping_mul(0x9e37_79b1)
    }
    type Key<'a> = &'a dyn Fn(u32) -> Vec<u8>;
    let kinds: [(u32, Key<'_>); 5] = [
        (10_000, &|number| encoded(&number)),
        (100_000, &|number| encoded(&mixed(number))),
        (10_000, &|number| encoded(&format!("key-{}", mixed(number)))),
        // All NaN.
        (10_000, &|number| encoded(&f64::from_bits(0x7ff8_0000_0000_0000 | u64::from(mixed(number))))),
        (10_000, &|number| {
            encoded(&vec![Value::from("shared"), Value::from(vec![Value::from(mixed(number))])])
        }),
    ];
    for (count, key) in kinds {
        let keys = || (0..count).map(key);
        assert!(decoded(&map_of(keys())).is_ok());
        refused(&map_of(keys().chain([key(count / 2)])), Kind::DuplicateKey);
    }
}

/// Keys that are costly to compare: long arrays without bytes, and elements that share a long descriptor.
#[test]
fn t11_costly_keys_take_no_quadratic_time() {
    let zero_width = |count: u32| wide(code::ARRAY32, 5, MAX_ZERO_WIDTH - count, &[code::NULL]);
    assert!(decoded(&map_of((0..10_000).map(zero_width))).is_ok());
    refused(&map_of((0..10_000).chain([77]).map(zero_width)), Kind::DuplicateKey);

    let descriptor = encoded(&Symbol::try_from("x".repeat(200_000)).unwrap());
    let described = |last: u8| {
        let items = [&[code::DESCRIBED][..], &descriptor, &[code::UBYTE], &[7; 200_000], &[last]].concat();
        wide(code::ARRAY32, items.len() as u32 + 4, 200_001, &items)
    };
    assert!(decoded(&map_of((0..4).map(described))).is_ok());
    refused(&map_of([1, 0, 1].into_iter().map(described)), Kind::DuplicateKey);
}

#[test]
fn t12_a_string_is_utf8() {
    let broken: [&[u8]; 7] = [
        &[0xc0, 0x80],
        &[0xe0, 0x80, 0x80],
        &[0xed, 0xa0, 0x80],
        &[0xf4, 0x90, 0x80, 0x80],
        &[0xe2, 0x82],
        &[b'a', 0xff],
        &[0x80],
    ];
    for text in broken {
        refused(&[&[code::STRING8, text.len() as u8], text].concat(), Kind::InvalidUtf8);
        refused(&[&[code::STRING32, 0, 0, 0, text.len() as u8], text].concat(), Kind::InvalidUtf8);
        let long = [&[b'x'; 40], text].concat();
        refused(&[&[code::STRING8, long.len() as u8], &long[..]].concat(), Kind::InvalidUtf8);
        let element =
            [&[code::ARRAY8, text.len() as u8 + 3, 1, code::STRING8, text.len() as u8], text].concat();
        refused(&element, Kind::InvalidUtf8);
    }
    means(&[&[code::STRING8, 10], "aé€😀".as_bytes()].concat(), "aé€😀");
}

#[test]
fn t13_symbols_chars_and_booleans_are_checked() {
    refused(&[code::SYMBOL8, 2, b'a', 0x80], Kind::InvalidSymbol);
    refused(&[code::SYMBOL8, 2, 0xc3, 0xa9], Kind::InvalidSymbol);
    refused(&[code::SYMBOL32, 0, 0, 0, 1, 0xff], Kind::InvalidSymbol);
    means(&[code::SYMBOL8, 1, 0x7f], Symbol::from_static("\x7f"));
    for char in [0x0011_0000u32, 0xd800, 0xdfff, u32::MAX] {
        refused(&[&[code::CHAR][..], &char.to_be_bytes()].concat(), Kind::InvalidChar);
        refused(&[&[code::ARRAY8, 6, 1, code::CHAR][..], &char.to_be_bytes()].concat(), Kind::InvalidChar);
    }
    for octet in 2..=u8::MAX {
        refused(&[code::BOOLEAN, octet], Kind::InvalidBoolean);
        refused(&[code::ARRAY8, 3, 1, code::BOOLEAN, octet], Kind::InvalidBoolean);
    }
}

#[test]
fn t14_bits_are_kept_exactly() {
    let nan = 0x7ff8_dead_beef_0001;
    let values = [
        Value::from(Timestamp(i64::MIN)),
        Value::from(Timestamp(i64::MAX)),
        Value::from(f64::from_bits(nan)),
        Value::from(f32::from_bits(0xffc1_2345)),
        Value::from(-0.0f64),
        Value::from(Decimal32([0xff; 4])),
        Value::from(Decimal64([0x78; 8])),
        Value::from(Decimal128([0x01; 16])),
        Value::from(Uuid([0xfe; 16])),
    ];
    for value in values {
        assert_eq!(decoded(&encoded(&value)), Ok(value));
    }
    assert_eq!(encoded(&f64::from_bits(nan))[1..], nan.to_be_bytes());
    assert_ne!(Value::from(0.0f64), Value::from(-0.0f64));
    assert_eq!(Timestamp(i64::MIN).since_epoch(), None);
    assert!(Timestamp(i64::MAX).since_epoch().is_some());
    assert_eq!(Timestamp::from_epoch(core::time::Duration::MAX), Timestamp(i64::MAX));
}

#[test]
fn t15_every_longer_encoding_of_a_small_value_is_read() {
    means(&[code::BOOLEAN, 0], false);
    means(&[code::BOOLEAN, 1], true);
    means(&[code::SMALLUINT, 0], 0u32);
    means(&[code::UINT, 0, 0, 0, 0], 0u32);
    means(&[code::UINT, 0, 0, 0, 7], 7u32);
    means(&[code::SMALLULONG, 0], 0u64);
    means(&[code::ULONG, 0, 0, 0, 0, 0, 0, 0, 0], 0u64);
    means(&[code::ULONG, 0, 0, 0, 0, 0, 0, 0, 7], 7u64);
    means(&[code::INT, 0xff, 0xff, 0xff, 0xff], -1i32);
    means(&[code::LONG, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -1i64);
    means(&[code::BINARY32, 0, 0, 0, 1, b'x'], Bytes::from_static(b"x"));
    means(&[code::STRING32, 0, 0, 0, 1, b'x'], "x");
    means(&[code::SYMBOL32, 0, 0, 0, 1, b'x'], Symbol::from_static("x"));
    means(&[code::LIST8, 1, 0], Vec::<Value>::new());
    means(&wide(code::LIST32, 4, 0, &[]), Vec::<Value>::new());
    means(&wide(code::LIST32, 5, 1, &[code::TRUE]), vec![Value::from(true)]);
    means(&wide(code::MAP32, 4, 0, &[]), Map::new());
    means(&wide(code::MAP32, 6, 2, &[code::UINT0, code::TRUE]), Map::new().with(0u32, true));
    means(&wide(code::ARRAY32, 6, 1, &[code::UBYTE, 9]), Array::new([9u8]).unwrap());
    means(&wide(code::ARRAY32, 9, 1, &[code::UINT, 0, 0, 0, 9]), Array::new([9u32]).unwrap());
    means(&[code::ARRAY8, 4, 2, code::BOOLEAN, 1, 0], Array::new([true, false]).unwrap());
    means(&[code::DESCRIBED, code::ULONG, 0, 0, 0, 0, 0, 0, 0, 7, code::TRUE], Described::new(7u64, true));
}

//= 1.2-06
#[test]
fn the_shortest_encoding_is_written() {
    let cases: [(Value, &[u8]); 22] = [
        (Value::Null, &[0x40]),
        (true.into(), &[0x41]),
        (false.into(), &[0x42]),
        (0u32.into(), &[0x43]),
        (255u32.into(), &[0x52, 255]),
        (256u32.into(), &[0x70, 0, 0, 1, 0]),
        (0u64.into(), &[0x44]),
        (255u64.into(), &[0x53, 255]),
        (256u64.into(), &[0x80, 0, 0, 0, 0, 0, 0, 1, 0]),
        (127i32.into(), &[0x54, 127]),
        ((-128i32).into(), &[0x54, 0x80]),
        (128i32.into(), &[0x71, 0, 0, 0, 128]),
        ((-128i64).into(), &[0x55, 0x80]),
        ((-129i64).into(), &[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ('é'.into(), &[0x73, 0, 0, 0, 0xe9]),
        ("é".into(), &[0xa1, 2, 0xc3, 0xa9]),
        (Symbol::from_static("s").into(), &[0xa3, 1, b's']),
        (Bytes::from_static(b"").into(), &[0xa0, 0]),
        (Vec::<Value>::new().into(), &[0x45]),
        (Map::new().into(), &[0xc1, 1, 0]),
        (Array::new([1u32, 2]).unwrap().into(), &[0xe0, 4, 2, 0x52, 1, 2]),
        (Vec::<Symbol>::new().into(), &[0xe0, 2, 0, 0xa3]),
    ];
    for (value, bytes) in cases {
        assert_eq!(encoded(&value), bytes, "{value:?}");
    }
}

#[test]
fn widths_change_at_256() {
    for len in [0usize, 1, 127, 252, 253, 254, 255, 256, 257, 65_535, 65_536] {
        let text = "x".repeat(len);
        for value in [
            Value::from(text.as_str()),
            Value::from(Symbol::try_from(text.as_str()).unwrap()),
            Value::from(text.clone().into_bytes()),
            Value::from(vec![Value::Null; len]),
            Value::from((0..len as u32).map(|key| (key, Value::Null)).collect::<Map>()),
            Value::from(Array::new(vec![7u8; len]).unwrap()),
            Value::from(Array::new([text.as_str(), "short"]).unwrap()),
            Value::from(Array::new([vec![Value::from(true); len], vec![]]).unwrap()),
        ] {
            assert_eq!(decoded(&encoded(&value)), Ok(value), "{len}");
        }
    }
}

//= 1.2.4-01
#[test]
fn arrays_keep_their_constructor() {
    let described = |value: &str| Described::new(Symbol::from_static("x:y"), value);
    let cases: [(Array, &[u8]); 5] = [
        (Array::new([300u32, 1]).unwrap(), &[0xe0, 10, 2, 0x70, 0, 0, 1, 44, 0, 0, 0, 1]),
        (Array::new([true, true]).unwrap(), &[0xe0, 4, 2, 0x56, 1, 1]),
        (Array::new([Value::Null, Value::Null]).unwrap(), &[0xe0, 2, 2, 0x40]),
        (
            Array::new([described("a"), described("bc")]).unwrap(),
            b"\xe0\x0d\x02\x00\xa3\x03x:y\xa1\x01a\x02bc",
        ),
        (
            Array::new([Array::new([1u8]).unwrap(), Array::new([2u8, 3]).unwrap()]).unwrap(),
            &[0xe0, 11, 2, 0xe0, 3, 1, 0x50, 1, 4, 2, 0x50, 2, 3],
        ),
    ];
    for (array, bytes) in cases {
        assert_eq!(encoded(&array), bytes, "{array:?}");
        means(bytes, array);
    }
    assert!(Array::new([Value::from(1u32), Value::from(1u64)]).is_err());
    assert!(Array::new([Described::new(1u64, true), Described::new(2u64, true)]).is_err());
    let elements = Array::new([described("a"), described("bc")]).unwrap();
    let values: Vec<Value> = elements.iter().map(|element| element.to_value().unwrap()).collect();
    assert_eq!(values, [Value::from(described("a")), Value::from(described("bc"))]);
}

//= 1.2-04
#[test]
fn an_unknown_described_value_comes_back_byte_for_byte() {
    // Wide forms all over.
    let bytes = b"\x00\xb3\0\0\0\x03a:b\xd0\0\0\0\x0b\0\0\0\x01\xb1\0\0\0\x02hi";
    let Ok(Value::Described(described)) = decoded(bytes) else { panic!("it is a described value") };
    assert_eq!(encoded(&described), bytes);
    assert_eq!(described.descriptor(), ValueRef::Symbol("a:b".try_into().unwrap()));
    assert_eq!(described, Described::new(Symbol::from_static("a:b"), vec![Value::from("hi")]));
    let ValueRef::List(list) = described.value() else { panic!("it describes a list") };
    assert_eq!(list.iter().next(), Some(Ok(ValueRef::String("hi".into()))));
}
