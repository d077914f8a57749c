//! The elements of an array: one constructor, then data without constructors (§1.2.4).

use alloc::vec::Vec;
use core::mem;

use super::{Described, Encode, MixedTypes, Value, code, write};

/// Appends the constructor of an array of these values to `constructor`, and their bytes to `data`.
pub(crate) fn write(
    values: &[Value],
    constructor: &mut Vec<u8>,
    data: &mut Vec<u8>,
) -> Result<(), MixedTypes> {
    let Some(first) = values.first() else {
        constructor.push(code::NULL);
        return Ok(());
    };
    if values.iter().any(|value| mem::discriminant(value) != mem::discriminant(first)) {
        return Err(MixedTypes);
    }
    if let Value::Described(first) = first {
        return write_described(first, values, constructor, data);
    }
    let wide = !values.iter().all(is_narrow);
    constructor.push(element_code(first, wide));
    values.iter().for_each(|value| write_data(value, wide, data));
    Ok(())
}

/// The elements share one descriptor; what they describe are the elements of an array in turn.
fn write_described(
    first: &Described,
    values: &[Value],
    constructor: &mut Vec<u8>,
    data: &mut Vec<u8>,
) -> Result<(), MixedTypes> {
    let mut inner = Vec::with_capacity(values.len());
    for value in values {
        match value {
            Value::Described(described) if described.descriptor() == first.descriptor() => {
                inner.push(described.value().to_value().map_err(|_| MixedTypes)?);
            }
            _ => return Err(MixedTypes),
        }
    }
    constructor.push(code::DESCRIBED);
    constructor.extend_from_slice(first.borrow().descriptor_bytes());
    write(&inner, constructor, data)
}

/// Whether the value fits the narrower of its type's encodings that take bytes.
fn is_narrow(value: &Value) -> bool {
    match value {
        Value::Uint(value) => u8::try_from(*value).is_ok(),
        Value::Ulong(value) => u8::try_from(*value).is_ok(),
        Value::Int(value) => i8::try_from(*value).is_ok(),
        Value::Long(value) => i8::try_from(*value).is_ok(),
        Value::Binary(bytes) => u8::try_from(bytes.len()).is_ok(),
        Value::String(text) => u8::try_from(text.len()).is_ok(),
        Value::Symbol(text) => u8::try_from(text.len()).is_ok(),
        Value::List(_) | Value::Map(_) | Value::Array(_) => {
            let mut encoded = Vec::new();
            value.encode(&mut encoded);
            encoded
                .first()
                .is_some_and(|code| matches!(*code, code::LIST0 | code::LIST8 | code::MAP8 | code::ARRAY8))
        }
        _ => true,
    }
}

fn element_code(value: &Value, wide: bool) -> u8 {
    let pick = |narrow, wider| if wide { wider } else { narrow };
    match value {
        Value::Null | Value::Described(_) => code::NULL,
        Value::Bool(_) => code::BOOLEAN,
        Value::Ubyte(_) => code::UBYTE,
        Value::Ushort(_) => code::USHORT,
        Value::Uint(_) => pick(code::SMALLUINT, code::UINT),
        Value::Ulong(_) => pick(code::SMALLULONG, code::ULONG),
        Value::Byte(_) => code::BYTE,
        Value::Short(_) => code::SHORT,
        Value::Int(_) => pick(code::SMALLINT, code::INT),
        Value::Long(_) => pick(code::SMALLLONG, code::LONG),
        Value::Float(_) => code::FLOAT,
        Value::Double(_) => code::DOUBLE,
        Value::Decimal32(_) => code::DECIMAL32,
        Value::Decimal64(_) => code::DECIMAL64,
        Value::Decimal128(_) => code::DECIMAL128,
        Value::Char(_) => code::CHAR,
        Value::Timestamp(_) => code::TIMESTAMP,
        Value::Uuid(_) => code::UUID,
        Value::Binary(_) => pick(code::BINARY8, code::BINARY32),
        Value::String(_) => pick(code::STRING8, code::STRING32),
        Value::Symbol(_) => pick(code::SYMBOL8, code::SYMBOL32),
        Value::List(_) => pick(code::LIST8, code::LIST32),
        Value::Map(_) => pick(code::MAP8, code::MAP32),
        Value::Array(_) => pick(code::ARRAY8, code::ARRAY32),
    }
}

/// The bytes that follow the constructor of [`element_code`].
fn write_data(value: &Value, wide: bool, out: &mut Vec<u8>) {
    match value {
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::Uint(value) => integer(value.to_be_bytes(), wide, out),
        Value::Ulong(value) => integer(value.to_be_bytes(), wide, out),
        Value::Int(value) => integer(value.to_be_bytes(), wide, out),
        Value::Long(value) => integer(value.to_be_bytes(), wide, out),
        Value::Binary(bytes) => write::variable_data(out, wide, bytes),
        Value::String(text) => write::variable_data(out, wide, text.as_bytes()),
        Value::Symbol(text) => write::variable_data(out, wide, text.as_bytes()),
        Value::List(_) | Value::Map(_) | Value::Array(_) => compound(value, wide, out),
        fixed => {
            let start = out.len();
            fixed.encode(out);
            out.remove(start);
        }
    }
}

/// All bytes, or the last.
fn integer<const N: usize>(bytes: [u8; N], wide: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if wide { &bytes } else { &bytes[N - 1..] });
}

fn compound(value: &Value, wide: bool, out: &mut Vec<u8>) {
    let mut encoded = Vec::new();
    value.encode(&mut encoded);
    let (count, items) = match encoded.as_slice() {
        [code::LIST0] => (0, &[][..]),
        [code::LIST8 | code::MAP8 | code::ARRAY8, _, count, items @ ..] => (u32::from(*count), items),
        [_, _, _, _, _, a, b, c, d, items @ ..] => (u32::from_be_bytes([*a, *b, *c, *d]), items),
        _ => unreachable!("a compound was written"),
    };
    if wide {
        out.extend_from_slice(&(items.len() as u32 + 4).to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
    } else {
        out.extend_from_slice(&[items.len() as u8 + 1, count as u8]);
    }
    out.extend_from_slice(items);
}
