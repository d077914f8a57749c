//! Composite types (§1.3, §1.4): one table for struct, writer, reader, `Debug` and `Arbitrary`.

use alloc::vec::Vec;

use super::{
    Decode, DecodeError, DecodeErrorKind, Encode, Symbols, Value, code, error::Place, parse, write::Compound,
};
use crate::types::DeliveryState;

/// Declares composite types in the words of the specification.
///
/// ```text
/// composite! {
///     /// §2.7.7 Detach the link endpoint from the session.
///     pub Detach = 0x16 "amqp:detach:list" {
///         /// What the field is for.
///         handle: Handle = mandatory,      // pub handle: Handle
///         closed: bool = false,            // pub closed: bool; false is not written
///         error: Error,                    // pub error: Option<Error>
///     }
/// }
/// ```
///
/// Other kinds of fields: `boxed` is an optional field behind a `Box`; `multiple` are `Symbols` (§1.3);
/// `mandatory multiple` is one that may not be empty; `secret` and `mandatory secret` are not shown by `Debug`;
/// `outcome` is a delivery state that must be an outcome (§3.4).
///
/// `hot` behind the symbol: the type implements [`Hot`](super::hot::Hot), which is tried first.
///
/// A type without mandatory fields has `Default`, any other `new`, which takes them in order.
macro_rules! composite {
    ($(
        $(#[$doc:meta])*
        $vis:vis $name:ident = $code:literal $symbol:literal $($hot:ident)? {
            $( $(#[$field_doc:meta])* $field:ident: $type:ident $(= $kind:tt $($more:ident)?)? ),* $(,)?
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        $vis struct $name {
            $( $(#[$field_doc])* $vis $field: composite!(@type $type $($kind $($more)?)?), )*
        }

        impl $name {
            /// Numeric descriptor.
            pub(crate) const CODE: u64 = $code;
            /// Symbolic descriptor.
            pub(crate) const NAME: &'static str = $symbol;

            /// Reads the list that follows the descriptor, whatever the encoding.
            #[inline(never)]
            pub(crate) fn parse_fields(input: &[u8]) -> $crate::codec::parse::Parsed<'_, Self> {
                #[allow(unused_mut, reason = "a type without fields reads none")]
                let (rest, mut fields) = $crate::codec::composite::FieldReader::parse(input)?;
                let value = Self {
                    $( $field: composite!(@read fields $field $type $($kind $($more)?)?)?, )*
                };
                fields.finish().map_err(|error| error.at(composite!(@place)))?;
                Ok((rest, value))
            }
        }

        impl $crate::codec::Encode for $name {
            #[inline]
            fn encode(&self, out: &mut ::alloc::vec::Vec<u8>) {
                $( composite!(@$hot self $name out); )?
                self.encode_fields(out);
            }
        }

        impl $name {
            /// As [`encode`](crate::codec::Encode::encode), whatever is in the fields.
            #[inline(never)]
            pub(crate) fn encode_fields(&self, out: &mut ::alloc::vec::Vec<u8>) {
                #[allow(unused_mut, reason = "a type without fields writes none")]
                let mut list = $crate::codec::composite::FieldWriter::begin(out, $code);
                $( composite!(@write list self.$field, $type $($kind $($more)?)?); )*
                list.end();
            }
        }

        impl<'a> $crate::codec::Decode<'a> for $name {
            composite!(@parse_from $($hot)?);
            #[inline]
            fn parse(input: &'a [u8]) -> $crate::codec::parse::Parsed<'a, Self> {
                composite!(@parse $($hot)? $name input);
                match $crate::codec::parse::descriptor(input)? {
                    (list, Some(Self::CODE)) => Self::parse_fields(list),
                    _ => Err($crate::codec::error::DecodeError::new(
                        $crate::codec::DecodeErrorKind::UnknownDescriptor,
                    )
                    .at(composite!(@place))
                    .into()),
                }
            }
        }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #[allow(unused_mut, reason = "a type without fields shows none")]
                let mut shown = f.debug_struct(stringify!($name));
                $( composite!(@show shown $field self.$field, $type $($kind $($more)?)?); )*
                shown.finish()
            }
        }

        #[cfg(any(test, feature = "arbitrary"))]
        impl<'a> ::arbitrary::Arbitrary<'a> for $name {
            #[allow(unused_variables, reason = "a type without fields draws none")]
            fn arbitrary(u: &mut ::arbitrary::Unstructured<'a>) -> ::arbitrary::Result<Self> {
                Ok(Self { $( $field: composite!(@arbitrary u $type $($kind $($more)?)?), )* })
            }
        }

        composite!(@new $name [] [] $( $field: $type ($($kind $($more)?)?), )*);

        #[cfg(test)]
        impl $name {
            /// `(name, type, kind)` of every field, for the test against the specification.
            pub(crate) const FIELDS: &'static [(&'static str, &'static str, &'static str)] =
                &[$( (stringify!($field), stringify!($type), stringify!($($kind $($more)?)?)), )*];
        }
    )*};

    (@parse hot $name:ident $input:ident) => {
        let mut value = <$name as $crate::codec::hot::Hot>::unset();
        if let Some(rest) = $crate::codec::hot::Hot::read(&mut value, $input) {
            return Ok((rest, value));
        }
    };
    (@parse $name:ident $input:ident) => { };
    (@parse_from hot) => {
            #[inline]
            fn parse_from(&mut self, input: &'a [u8]) -> Result<&'a [u8], $crate::codec::DecodeError> {
                match $crate::codec::hot::Hot::read(self, input) {
                    Some(rest) => Ok(rest),
                    None => $crate::codec::general(self, input),
                }
            }
    };
    (@parse_from) => {};
    (@hot $self:ident $name:ident $out:ident) => {
        if <$name as $crate::codec::hot::Hot>::write($self, $out) {
            return;
        }
    };

    (@type $type:ident mandatory multiple) => { $crate::codec::Symbols };
    (@type $type:ident mandatory $($secret:ident)?) => { $type };
    (@type $type:ident multiple) => { $crate::codec::Symbols };
    (@type $type:ident boxed) => { Option<::alloc::boxed::Box<$type>> };
    (@type $type:ident secret) => { Option<$type> };
    (@type $type:ident outcome) => { Option<$type> };
    (@type $type:ident) => { Option<$type> };
    (@type $type:ident $default:tt) => { $type };

    (@read $fields:ident $field:ident $type:ident mandatory multiple) => {
        $fields.some_multiple(composite!(@place $field))
    };
    (@read $fields:ident $field:ident $type:ident mandatory $($secret:ident)?) => {
        $fields.mandatory(composite!(@place $field))
    };
    (@read $fields:ident $field:ident $type:ident multiple) => { $fields.multiple(composite!(@place $field)) };
    (@read $fields:ident $field:ident $type:ident outcome) => { $fields.outcome(composite!(@place $field)) };
    (@read $fields:ident $field:ident $type:ident boxed) => { $fields.optional(composite!(@place $field)) };
    (@read $fields:ident $field:ident $type:ident secret) => { $fields.optional(composite!(@place $field)) };
    (@read $fields:ident $field:ident $type:ident) => { $fields.optional(composite!(@place $field)) };
    (@read $fields:ident $field:ident $type:ident $default:tt) => {
        $fields.optional::<$type>(composite!(@place $field)).map(|value| value.unwrap_or($default))
    };
    (@place $($field:ident)?) => {
        const { &$crate::codec::error::Place { composite: Self::NAME, field: stringify!($($field)?) } }
    };

    (@write $list:ident $value:expr, $type:ident mandatory multiple) => { $list.array(&$value) };
    (@write $list:ident $value:expr, $type:ident mandatory $($secret:ident)?) => { $list.field(Some(&$value)) };
    (@write $list:ident $value:expr, $type:ident multiple) => { $list.multiple(&$value) };
    (@write $list:ident $value:expr, $type:ident boxed) => { $list.field($value.as_ref()) };
    (@write $list:ident $value:expr, $type:ident secret) => { $list.field($value.as_ref()) };
    (@write $list:ident $value:expr, $type:ident outcome) => { $list.field($value.as_ref()) };
    (@write $list:ident $value:expr, $type:ident) => { $list.field($value.as_ref()) };
    (@write $list:ident $value:expr, $type:ident $default:tt) => {
        $list.field(Some(&$value).filter(|value| **value != $default))
    };

    (@show $shown:ident $field:ident $value:expr, $type:ident mandatory multiple) => {
        $shown.field(stringify!($field), &$value)
    };
    (@show $shown:ident $field:ident $value:expr, $type:ident mandatory secret) => {
        $shown.field(stringify!($field), &format_args!("***"))
    };
    (@show $shown:ident $field:ident $value:expr, $type:ident secret) => {
        if $value.is_some() {
            $shown.field(stringify!($field), &format_args!("***"));
        }
    };
    (@show $shown:ident $field:ident $value:expr, $type:ident mandatory) => {
        $shown.field(stringify!($field), &$value)
    };
    (@show $shown:ident $field:ident $value:expr, $type:ident multiple) => {
        if !$value.is_empty() {
            $shown.field(stringify!($field), &$value);
        }
    };
    (@show $shown:ident $field:ident $value:expr, $type:ident boxed) => {
        composite!(@show $shown $field $value, $type)
    };
    (@show $shown:ident $field:ident $value:expr, $type:ident outcome) => {
        composite!(@show $shown $field $value, $type)
    };
    (@show $shown:ident $field:ident $value:expr, $type:ident) => {
        if let Some(value) = &$value {
            $shown.field(stringify!($field), value);
        }
    };
    (@show $shown:ident $field:ident $value:expr, $type:ident $default:tt) => {
        if $value != $default {
            $shown.field(stringify!($field), &$value);
        }
    };

    (@arbitrary $u:ident Bytes mandatory $($secret:ident)?) => {
        ::arbitrary::Arbitrary::arbitrary($u).map(<::alloc::vec::Vec<u8>>::into)?
    };
    (@arbitrary $u:ident Bytes $($secret:ident)?) => {
        <Option<::alloc::vec::Vec<u8>>>::arbitrary($u)?.map(Into::into)
    };
    (@arbitrary $u:ident Value) => {
        // A null value is written as no value.
        <Option<Value>>::arbitrary($u)?.filter(|value| !value.is_null())
    };
    (@arbitrary $u:ident $type:ident outcome) => {
        <Option<$type>>::arbitrary($u)?.filter($type::is_outcome)
    };
    (@arbitrary $u:ident $type:ident mandatory multiple) => {{
        let mut values = $crate::codec::Symbols::arbitrary($u)?;
        values.push($u.arbitrary()?);
        values
    }};
    (@arbitrary $u:ident $type:ident $($kind:tt)*) => { $u.arbitrary()? };

    // Sorts the fields into those that `new` takes and those that start unset.
    (@new $name:ident $args:tt [$($init:tt)*] $field:ident: $type:ident (), $($rest:tt)*) => {
        composite!(@new $name $args [$($init)* $field: None,] $($rest)*);
    };
    (@new $name:ident [$($args:tt)*] [$($init:tt)*] $field:ident: $type:ident (mandatory multiple), $($rest:tt)*) => {
        composite!(@new $name [$($args)* $field: ($crate::codec::Symbols),] [$($init)* $field,] $($rest)*);
    };
    (@new $name:ident [$($args:tt)*] [$($init:tt)*] $field:ident: Str (mandatory), $($rest:tt)*) => {
        composite!(@new $name [$($args)* $field: (impl Into<Str>),] [$($init)* $field: $field.into(),] $($rest)*);
    };
    (@new $name:ident [$($args:tt)*] [$($init:tt)*] $field:ident: $type:ident (mandatory $($secret:ident)?), $($rest:tt)*) => {
        composite!(@new $name [$($args)* $field: ($type),] [$($init)* $field,] $($rest)*);
    };
    (@new $name:ident $args:tt [$($init:tt)*] $field:ident: $type:ident (multiple), $($rest:tt)*) => {
        composite!(@new $name $args [$($init)* $field: $crate::codec::Symbols::new(),] $($rest)*);
    };
    (@new $name:ident $args:tt [$($init:tt)*] $field:ident: $type:ident (boxed), $($rest:tt)*) => {
        composite!(@new $name $args [$($init)* $field: None,] $($rest)*);
    };
    (@new $name:ident $args:tt [$($init:tt)*] $field:ident: $type:ident (secret), $($rest:tt)*) => {
        composite!(@new $name $args [$($init)* $field: None,] $($rest)*);
    };
    (@new $name:ident $args:tt [$($init:tt)*] $field:ident: $type:ident (outcome), $($rest:tt)*) => {
        composite!(@new $name $args [$($init)* $field: None,] $($rest)*);
    };
    (@new $name:ident $args:tt [$($init:tt)*] $field:ident: $type:ident ($default:tt), $($rest:tt)*) => {
        composite!(@new $name $args [$($init)* $field: $default,] $($rest)*);
    };
    (@new $name:ident [] [$($init:tt)*]) => {
        impl Default for $name {
            fn default() -> Self {
                Self { $($init)* }
            }
        }
    };
    (@new $name:ident [$($arg:ident: ($($type:tt)+),)+] [$($init:tt)*]) => {
        impl $name {
            /// With the mandatory fields; the others are unset.
            #[must_use]
            pub fn new($($arg: $($type)+),+) -> Self {
                Self { $($init)* }
            }
        }
    };
}

pub(crate) use composite;

/// Reads the fields of a composite one after the other.
pub(crate) struct FieldReader<'a> {
    left: u32,
    input: &'a [u8],
}

impl<'a> FieldReader<'a> {
    pub(crate) fn parse(input: &'a [u8]) -> parse::Parsed<'a, Self> {
        let (rest, list) = parse::list(input)?;
        Ok((rest, Self { left: list.count, input: list.items }))
    }

    /// Moves to the next field; whether it holds a value.
    fn advance(&mut self) -> Result<bool, DecodeError> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        match self.input {
            [code::NULL, rest @ ..] => {
                self.input = rest;
                Ok(false)
            }
            [] => Err(DecodeErrorKind::SizeMismatch.into()),
            _ => Ok(true),
        }
    }

    /// A field that may be null.
    #[inline(always)]
    pub(crate) fn optional<T: Decode<'a>>(
        &mut self,
        place: &'static Place,
    ) -> Result<Option<T>, DecodeError> {
        if !self.advance()? {
            return Ok(None);
        }
        self.value(T::parse, place).map(Some)
    }

    /// A field that may not be null.
    //= 1.3-01
    pub(crate) fn mandatory<T: Decode<'a>>(&mut self, place: &'static Place) -> Result<T, DecodeError> {
        match self.optional(place)? {
            Some(value) => Ok(value),
            None => Err(DecodeError::new(DecodeErrorKind::MissingField).at(place)),
        }
    }

    /// A field that is one value, an array of them, or null (§1.3).
    //= 1.3-02 1.4-X1
    pub(crate) fn multiple(&mut self, place: &'static Place) -> Result<Symbols, DecodeError> {
        if !self.advance()? {
            return Ok(Symbols::new());
        }
        self.value(Symbols::parse, place)
    }

    /// A multiple field that must have a value.
    pub(crate) fn some_multiple(&mut self, place: &'static Place) -> Result<Symbols, DecodeError> {
        let values = self.multiple(place)?;
        //= 1.3-04
        if values.is_empty() {
            return Err(DecodeError::new(DecodeErrorKind::MissingField).at(place));
        }
        Ok(values)
    }

    /// A delivery state that must be an outcome; so states do not nest.
    pub(crate) fn outcome(&mut self, place: &'static Place) -> Result<Option<DeliveryState>, DecodeError> {
        if !self.advance()? {
            return Ok(None);
        }
        self.value(DeliveryState::parse_outcome, place).map(Some)
    }

    #[inline(always)]
    fn value<T>(
        &mut self,
        parse: impl FnOnce(&'a [u8]) -> parse::Parsed<'a, T>,
        place: &'static Place,
    ) -> Result<T, DecodeError> {
        match parse(self.input) {
            Ok((rest, value)) => {
                self.input = rest;
                Ok(value)
            }
            Err(error) => Err(DecodeError::from(error).at(place)),
        }
    }

    /// After the last field that the type has.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.left != 0 {
            Err(DecodeErrorKind::TooManyFields.into())
        } else if !self.input.is_empty() {
            Err(DecodeErrorKind::SizeMismatch.into())
        } else {
            Ok(())
        }
    }
}

/// Writes the fields of a composite one after the other, and nulls only in front of what is not null.
pub(crate) struct FieldWriter<'a> {
    out: &'a mut Vec<u8>,
    list: Compound,
    /// Fields that were written.
    count: usize,
    /// Nulls behind them.
    nulls: usize,
}

impl<'a> FieldWriter<'a> {
    #[inline]
    pub(crate) fn begin(out: &'a mut Vec<u8>, code: u8) -> Self {
        out.extend_from_slice(&[code::DESCRIBED, code::SMALLULONG, code]);
        let list = Compound::begin(out, code::LIST8);
        Self { out, list, count: 0, nulls: 0 }
    }

    #[inline]
    pub(crate) fn field<T: Encode>(&mut self, value: Option<&T>) {
        let Some(value) = value else {
            self.nulls += 1;
            return;
        };
        self.written(|out| value.encode(out));
    }

    #[inline]
    fn written(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.nulls > 0 {
            self.write_nulls();
        }
        write(self.out);
        self.count += 1;
    }

    #[inline(never)]
    fn write_nulls(&mut self) {
        self.out.resize(self.out.len() + self.nulls, code::NULL);
        self.count += self.nulls;
        self.nulls = 0;
    }

    /// None is null, one stands for itself, more are an array.
    pub(crate) fn multiple(&mut self, values: &Symbols) {
        if values.is_empty() {
            self.field::<Value>(None);
        } else {
            self.written(|out| values.encode(out));
        }
    }

    /// An array also of one.
    pub(crate) fn array(&mut self, values: &Symbols) {
        self.written(|out| values.encode_array(out));
    }

    #[inline]
    pub(crate) fn end(self) {
        self.list.end_list(self.out, self.count);
    }
}
