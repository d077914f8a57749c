//! Values in one line, to be read by people.
//!
//! As Python writes them: `{'sequence': 1, 'ready': True, 'tag': b'\x00ab', 'parent': None}`.

use core::fmt::{self, Display, Formatter, Write};

use super::{
    Array, ArrayRef, DecodeError, Described, DescribedRef, ListRef, MAX_DEPTH, Map, MapRef, Value, ValueRef,
};

/// In one line, as Python writes it; a text stands for itself, and in quotes where it is part of something or `#`
/// asks for it. Symbols and chars count as texts, a timestamp as its milliseconds; a described value is shown as
/// `@descriptor value`.
impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        show(self, Texts::of(f), f)
    }
}

/// As for [`Value`]; what is malformed shows up as the error in angle brackets.
impl Display for ValueRef<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        show_ref(*self, Texts::of(f), 0, f)
    }
}

/// As for [`Value`].
impl Display for Map {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        joined(f, '{', self.iter(), '}', |(key, value), f| {
            show(key, Texts::Quoted, f)?;
            f.write_str(": ")?;
            show(value, Texts::Quoted, f)
        })
    }
}

/// As for [`ValueRef`].
impl Display for MapRef<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        show_map(self, 0, f)
    }
}

/// As for [`Value`].
impl Display for Array {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        show_array(self.borrow(), 0, f)
    }
}

/// As for [`Value`].
impl Display for Described {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        show_described(self.borrow(), 0, f)
    }
}

/// Octets as Python writes them.
pub(crate) struct Octets<'a>(pub(crate) &'a [u8]);

impl Display for Octets<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("b'")?;
        self.0.iter().try_for_each(|octet| match octet {
            b'\'' | b'\\' => write!(f, "\\{}", char::from(*octet)),
            b' '..=b'~' => f.write_char(char::from(*octet)),
            b'\n' => f.write_str("\\n"),
            b'\r' => f.write_str("\\r"),
            b'\t' => f.write_str("\\t"),
            _ => write!(f, "\\x{octet:02x}"),
        })?;
        f.write_char('\'')
    }
}

/// Whether texts stand in quotes.
#[derive(Clone, Copy)]
enum Texts {
    Bare,
    Quoted,
}

impl Texts {
    fn of(f: &Formatter<'_>) -> Self {
        if f.alternate() { Self::Quoted } else { Self::Bare }
    }

    fn show(self, text: &str, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare => f.write_str(text),
            Self::Quoted => quoted(text, f),
        }
    }
}

/// Shows what does not contain other values: the same words for owned and borrowed values.
macro_rules! show_simple {
    ($kind:ident, $value:expr, $texts:ident, $f:ident, { $($compound:tt)* }) => {
        match $value {
            $kind::Null => $f.write_str("None"),
            $kind::Bool(true) => $f.write_str("True"),
            $kind::Bool(false) => $f.write_str("False"),
            $kind::Ubyte(value) => write!($f, "{value}"),
            $kind::Ushort(value) => write!($f, "{value}"),
            $kind::Uint(value) => write!($f, "{value}"),
            $kind::Ulong(value) => write!($f, "{value}"),
            $kind::Byte(value) => write!($f, "{value}"),
            $kind::Short(value) => write!($f, "{value}"),
            $kind::Int(value) => write!($f, "{value}"),
            $kind::Long(value) => write!($f, "{value}"),
            // With a point even when nothing follows it, so that a float shows as one.
            $kind::Float(value) => write!($f, "{value:?}"),
            $kind::Double(value) => write!($f, "{value:?}"),
            $kind::Decimal32(value) => write!($f, "{value:?}"),
            $kind::Decimal64(value) => write!($f, "{value:?}"),
            $kind::Decimal128(value) => write!($f, "{value:?}"),
            $kind::Char(value) => $texts.show(value.encode_utf8(&mut [0; 4]), $f),
            $kind::Timestamp(value) => write!($f, "{value}"),
            $kind::Uuid(value) => write!($f, "{value}"),
            $kind::Binary(value) => write!($f, "{}", Octets(value)),
            $kind::String(value) => $texts.show(value.as_str(), $f),
            $kind::Symbol(value) => $texts.show(value.as_str(), $f),
            $($compound)*
        }
    };
}

fn show(value: &Value, texts: Texts, f: &mut Formatter<'_>) -> fmt::Result {
    show_simple!(Value, value, texts, f, {
        Value::List(items) => joined(f, '[', items, ']', |item, f| show(item, Texts::Quoted, f)),
        Value::Map(map) => write!(f, "{map}"),
        Value::Array(array) => write!(f, "{array}"),
        Value::Described(described) => write!(f, "{described}"),
    })
}

fn show_ref(value: ValueRef<'_>, texts: Texts, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    show_simple!(ValueRef, value, texts, f, {
        ValueRef::List(list) => show_list(list, depth, f),
        ValueRef::Map(map) => show_map(&map, depth, f),
        ValueRef::Array(array) => show_array(array, depth, f),
        ValueRef::Described(described) => show_described(described, depth, f),
    })
}

fn show_list(list: ListRef<'_>, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    joined(f, '[', list, ']', |item, f| show_part(item, depth, f))
}

fn show_map(map: &MapRef<'_>, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    joined(f, '{', map, '}', |entry, f| match entry {
        Ok((key, value)) => {
            show_part(Ok(key), depth, f)?;
            f.write_str(": ")?;
            show_part(Ok(value), depth, f)
        }
        Err(error) => show_part(Err(error), depth, f),
    })
}

fn show_array(array: ArrayRef<'_>, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    joined(f, '[', array, ']', |item, f| show_part(item, depth, f))
}

fn show_described(described: DescribedRef<'_>, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('@')?;
    show_part(Ok(described.descriptor()), depth, f)?;
    f.write_char(' ')?;
    show_part(described.value(), depth, f)
}

/// What is inside another value, which stands at `depth`.
fn show_part(part: Result<ValueRef<'_>, DecodeError>, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    match part {
        Ok(value) if depth < MAX_DEPTH => show_ref(value, Texts::Quoted, depth + 1, f),
        Ok(_) => f.write_str("..."),
        Err(error) => write!(f, "<{error}>"),
    }
}

fn joined<T>(
    f: &mut Formatter<'_>,
    open: char,
    items: impl IntoIterator<Item = T>,
    close: char,
    mut show: impl FnMut(T, &mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    f.write_char(open)?;
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        show(item, f)?;
    }
    f.write_char(close)
}

fn quoted(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('\'')?;
    text.chars().try_for_each(|char| match char {
        '\'' | '\\' => write!(f, "\\{char}"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        char if char.is_control() => write!(f, "\\x{:02x}", u32::from(char)),
        char => f.write_char(char),
    })?;
    f.write_char('\'')
}

#[cfg(test)]
mod tests {
    use alloc::{
        string::{String, ToString},
        vec,
        vec::Vec,
    };

    use super::*;
    use crate::codec::{Decode, Encode, Symbol, Timestamp, Uuid};

    /// How a value prints, which is the same in its encoded bytes.
    fn print(value: impl Into<Value>) -> String {
        let value = value.into();
        let mut encoded = Vec::new();
        value.encode(&mut encoded);
        let borrowed = ValueRef::decode(&encoded).unwrap();
        assert_eq!(borrowed.to_string(), value.to_string());
        value.to_string()
    }

    #[test]
    fn simple_values_print_as_python_prints_them() {
        assert_eq!(print(Value::Null), "None");
        assert_eq!([print(true), print(false)], ["True", "False"]);
        assert_eq!([print(255u8), print(-1i64), print(1.0f32), print(0.1f64)], ["255", "-1", "1.0", "0.1"]);
        assert_eq!(
            [print('é'), print("it's"), print(Symbol::from_static("amqp:open"))],
            ["é", "it's", "amqp:open"]
        );
        assert_eq!(print(Timestamp(-5)), "-5");
        assert_eq!(print(Uuid([0x11; 16])), "11111111-1111-1111-1111-111111111111");
        assert_eq!(print(Vec::from(*b"a'\\\0\n~\x7f")), r"b'a\'\\\x00\n~\x7f'");
    }

    #[test]
    fn texts_inside_others_stand_in_quotes() {
        let list = Value::List(vec![
            "it's\t\\".into(),
            'c'.into(),
            Symbol::from_static("s").into(),
            "\u{1}é".into(),
        ]);
        assert_eq!(print(list), r"['it\'s\t\\', 'c', 's', '\x01é']");
        assert_eq!(print(Map::new().with("sequence", 1u64)), "{'sequence': 1}");
        assert_eq!(
            print(Map::new().with("a", Map::new()).with(1u8, Value::List(vec![]))),
            "{'a': {}, 1: []}"
        );
        assert_eq!(print(Value::array([1i32, 2]).unwrap()), "[1, 2]");
        assert_eq!(print(Described::new(0x24u64, Value::List(vec![]))), "@36 []");
        assert_eq!(print(Described::new(Symbol::from_static("a:b"), "text")), "@'a:b' 'text'");
        let text = Value::from("text");
        assert_eq!(alloc::format!("{text:#}"), "'text'");
    }

    #[test]
    fn t8_what_is_malformed_or_too_deep_prints_as_such() {
        let malformed = ValueRef::decode(&[0xc0, 3, 2, 0x41, 0x99]).unwrap();
        assert_eq!(malformed.to_string(), "[True, <no type has the format code 0x99>]");

        let nested = (0..1000).fold(vec![0x45], |inner, _| {
            [&[0xd0][..], &(inner.len() as u32 + 4).to_be_bytes(), &[0, 0, 0, 1], &inner].concat()
        });
        let text = ValueRef::decode(&nested).unwrap().to_string();
        assert_eq!(text, "[".repeat(MAX_DEPTH + 1) + "..." + &"]".repeat(MAX_DEPTH + 1));
    }
}
