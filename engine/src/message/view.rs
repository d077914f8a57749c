use alloc::vec::Vec;
use core::iter;

use super::{
    PropertiesRef,
    section::{self, Annotations, ApplicationProperties, Sections, up_to},
};
use crate::{
    codec::{
        Decode, DecodeError, DecodeErrorKind, Encode, ListRef, MapRef, ValueRef,
        parse::{self, Parsed},
    },
    types::Header,
};

/// An encoded message in place: where its sections are, each read when it is asked for, nothing copied.
///
/// [`scan`](Self::scan) finds the sections in one pass and refuses what is no message: sections out of order or
/// doubled, a body that is missing or of two kinds, bytes behind the last section (§3.2). It does not look inside
/// them, so what reads a section may fail; after [`validate`](Self::validate) nothing does.
///
/// ```
/// use amqp1_engine::{codec::Encode, message::{Message, MessageView}};
///
/// let mut encoded = Vec::new();
/// Message::from("Hello World!").with_subject("greeting").encode(&mut encoded);
///
/// let message = MessageView::scan(&encoded)?;
/// assert_eq!(message.properties()?.subject, Some("greeting".into()));
/// assert_eq!(message.body().to_string(), "Hello World!");
/// # Ok::<(), amqp1_engine::codec::DecodeError>(())
/// ```
#[derive(Clone, Copy)]
pub struct MessageView<'a> {
    /// The encoded list.
    pub(super) header: Option<&'a [u8]>,
    pub(super) delivery_annotations: Option<MapRef<'a>>,
    pub(super) message_annotations: Option<MapRef<'a>>,
    /// The encoded list.
    pub(super) properties: Option<&'a [u8]>,
    pub(super) application_properties: Option<MapRef<'a>>,
    pub(super) body: BodyRef<'a>,
    pub(super) footer: Option<MapRef<'a>>,
    /// From the properties to the body.
    bare: &'a [u8],
    encoded_body: &'a [u8],
}

/// The body of an encoded message in place.
///
/// `Display` shows it as [`Body`](super::Body) does.
#[derive(Clone, Copy)]
pub enum BodyRef<'a> {
    /// Binary data in one or more sections (§3.2.6).
    Data(DataRef<'a>),
    /// Structured data in one or more sections (§3.2.7).
    Sequence(SequenceRef<'a>),
    /// One value (§3.2.8).
    Value(ValueRef<'a>),
}

/// The data sections of an encoded message.
#[derive(Clone, Copy)]
pub struct DataRef<'a> {
    first: &'a [u8],
    more: &'a [u8],
}

/// The sequence sections of an encoded message.
#[derive(Clone, Copy)]
pub struct SequenceRef<'a> {
    first: ListRef<'a>,
    more: &'a [u8],
}

impl<'a> MessageView<'a> {
    /// Finds the sections of a message that takes all of `encoded`.
    ///
    /// # Errors
    ///
    /// When it is no message: a section is cut, unknown or where it may not be, or there is no body.
    #[inline(always)]
    pub fn scan(encoded: &'a [u8]) -> Result<Self, DecodeError> {
        let mut sections = Sections::new(encoded)?;
        let header = sections.optional(section::HEADER, list)?;
        let delivery_annotations = sections.optional(section::DELIVERY_ANNOTATIONS, MapRef::parse)?;
        let message_annotations = sections.optional(section::MESSAGE_ANNOTATIONS, MapRef::parse)?;
        let bare = sections.left();
        let properties = sections.optional(section::PROPERTIES, list)?;
        let application_properties = sections.optional(section::APPLICATION_PROPERTIES, MapRef::parse)?;
        let encoded_body = sections.left();
        let body = BodyRef::read(&mut sections)?;
        let encoded_body = up_to(encoded_body, sections.left());
        let bare = up_to(bare, sections.left());
        let footer = sections.optional(section::FOOTER, MapRef::parse)?;
        sections.finish()?;
        Ok(Self {
            header,
            delivery_annotations,
            message_annotations,
            properties,
            application_properties,
            body,
            footer,
            bare,
            encoded_body,
        })
    }

    /// Checks everything inside the sections, so that reading them cannot fail any more.
    ///
    /// # Errors
    ///
    /// When anything is malformed, or a key or value of a type that its section does not allow (§3.2.5, §3.2.10).
    pub fn validate(&self) -> Result<(), DecodeError> {
        self.header()?;
        self.properties()?;
        for annotations in
            [self.delivery_annotations, self.message_annotations, self.footer].into_iter().flatten()
        {
            Annotations(annotations).validate()?;
        }
        if self.application_properties.is_some() {
            self.application_properties().validate()?;
        }
        self.body.validate()
    }

    /// The header; with its defaults where the message has none (§3.2.1).
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn header(&self) -> Result<Header, DecodeError> {
        //= 3.2.1-01
        let Some(list) = self.header else { return Ok(Header::default()) };
        let (_, header) = Header::parse_fields(list)?;
        Ok(header)
    }

    /// What concerns this delivery alone (§3.2.2).
    #[must_use]
    pub fn delivery_annotations(&self) -> Annotations<'a> {
        Annotations(self.delivery_annotations.unwrap_or_default())
    }

    /// What the infrastructure has to say of the message (§3.2.3).
    #[must_use]
    pub fn message_annotations(&self) -> Annotations<'a> {
        Annotations(self.message_annotations.unwrap_or_default())
    }

    /// The properties; all unset where the message has none.
    ///
    /// # Errors
    ///
    /// When they are malformed.
    pub fn properties(&self) -> Result<PropertiesRef<'a>, DecodeError> {
        let Some(list) = self.properties else { return Ok(PropertiesRef::default()) };
        let (_, properties) = PropertiesRef::parse_fields(list)?;
        Ok(properties)
    }

    /// What the application has to say beside the body (§3.2.5).
    #[must_use]
    pub fn application_properties(&self) -> ApplicationProperties<'a> {
        ApplicationProperties(self.application_properties.unwrap_or_default())
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> BodyRef<'a> {
        self.body
    }

    /// What could be said only after the rest: hashes, signatures (§3.2.9).
    #[must_use]
    pub fn footer(&self) -> Annotations<'a> {
        Annotations(self.footer.unwrap_or_default())
    }

    /// The bytes of properties, application properties and body, which no node on the way may change (§3.2).
    #[must_use]
    pub const fn bare(&self) -> &'a [u8] {
        self.bare
    }

    /// The bytes of all sections of the body, descriptors included.
    #[must_use]
    pub const fn encoded_body(&self) -> &'a [u8] {
        self.encoded_body
    }
}

/// The bytes of a list.
#[inline]
fn list(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (rest, _) = parse::list(input)?;
    Ok((rest, up_to(input, rest)))
}

impl<'a> BodyRef<'a> {
    #[inline(always)]
    fn read(sections: &mut Sections<'a>) -> Result<Self, DecodeError> {
        Ok(match sections.code() {
            section::DATA => {
                let first = sections.read(<&[u8]>::parse)?;
                let more = sections.skip_all(section::DATA, <&[u8]>::parse)?;
                Self::Data(DataRef { first, more })
            }
            section::SEQUENCE => {
                let first = sections.read(ListRef::parse)?;
                let more = sections.skip_all(section::SEQUENCE, ListRef::parse)?;
                Self::Sequence(SequenceRef { first, more })
            }
            section::VALUE => Self::Value(sections.read(ValueRef::parse)?),
            section::END | section::FOOTER => return Err(DecodeErrorKind::MissingBody.into()),
            _ => return Err(DecodeErrorKind::MisplacedSection.into()),
        })
    }

    /// Checks everything inside, so that walking it cannot fail any more.
    ///
    /// # Errors
    ///
    /// As [`ValueRef::validate`].
    pub fn validate(&self) -> Result<(), DecodeError> {
        match self {
            Self::Data(_) => Ok(()),
            Self::Sequence(sections) => sections.iter().try_for_each(|list| ValueRef::List(list).validate()),
            Self::Value(value) => value.validate(),
        }
    }

    /// The value, if the body is one.
    #[must_use]
    pub const fn as_value(&self) -> Option<ValueRef<'a>> {
        match self {
            Self::Value(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if the body is a value that is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::Value(ValueRef::String(text)) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The octets, if the body is one data section, or a value that is binary.
    #[must_use]
    pub const fn as_binary(&self) -> Option<&'a [u8]> {
        match self {
            Self::Data(DataRef { first, more: [] }) => Some(first),
            Self::Value(ValueRef::Binary(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

/// Binary data in one section.
impl<'a> From<&'a [u8]> for BodyRef<'a> {
    fn from(data: &'a [u8]) -> Self {
        Self::Data(DataRef { first: data, more: &[] })
    }
}

/// A value that is a string.
impl<'a> From<&'a str> for BodyRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::Value(ValueRef::String(text.into()))
    }
}

impl<'a> From<ValueRef<'a>> for BodyRef<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        Self::Value(value)
    }
}

impl Encode for BodyRef<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Data(data) => data.iter().for_each(|part| section::write_data(out, part)),
            Self::Sequence(lists) => {
                lists.iter().for_each(|list| section::write(out, section::SEQUENCE, &ValueRef::List(list)));
            }
            Self::Value(value) => section::write(out, section::VALUE, value),
        }
    }
}

impl<'a> DataRef<'a> {
    /// The octets of each section, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        iter::once(self.first).chain(section::repeated(self.more, <&[u8]>::parse))
    }
}

impl<'a> SequenceRef<'a> {
    /// The list of each section, in order.
    pub fn iter(&self) -> impl Iterator<Item = ListRef<'a>> + use<'a> {
        iter::once(self.first).chain(section::repeated(self.more, ListRef::parse))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::*;

    /// The shortest section of each kind.
    const SECTIONS: [&[u8]; 9] = [
        &[0x00, 0x53, 0x70, 0x45],
        &[0x00, 0x53, 0x71, 0xc1, 1, 0],
        &[0x00, 0x53, 0x72, 0xc1, 1, 0],
        &[0x00, 0x53, 0x73, 0x45],
        &[0x00, 0x53, 0x74, 0xc1, 1, 0],
        &[0x00, 0x53, 0x75, 0xa0, 0],
        &[0x00, 0x53, 0x76, 0x45],
        &[0x00, 0x53, 0x77, 0x40],
        &[0x00, 0x53, 0x78, 0xc1, 1, 0],
    ];

    fn kind(encoded: &[u8]) -> Option<DecodeErrorKind> {
        MessageView::scan(encoded).and_then(|view| view.validate()).err().map(|error| error.kind())
    }

    /// A message whose body is null, with one more section in front.
    fn with_section(section: &[u8]) -> Vec<u8> {
        [section, SECTIONS[7]].concat()
    }

    /// The rule of §3.2, said another way: `h?d?m?p?a?(b+|s+|v)f?`.
    fn is_message(sections: &[usize]) -> bool {
        let rest =
            (0..5).fold(sections, |rest, code| if rest.first() == Some(&code) { &rest[1..] } else { rest });
        let Some(&body) = rest.first() else { return false };
        let same = rest.iter().take_while(|code| **code == body).count();
        let footers = rest[same..].iter().filter(|code| **code == 8).count();
        (5..8).contains(&body) && (body != 7 || same == 1) && footers < 2 && same + footers == rest.len()
    }

    //= 3.2-02 3.2-03 3.2-06 3.2-07
    #[test]
    fn m1_sections_stand_in_order_and_only_data_and_sequences_repeat() {
        let mut chosen = vec![Vec::new()];
        for _ in 0..5 {
            let longer: Vec<Vec<usize>> = chosen
                .iter()
                .flat_map(|front: &Vec<usize>| (0..9).map(move |code| [&front[..], &[code]].concat()))
                .collect();
            for sections in &longer {
                let encoded = sections.iter().map(|code| SECTIONS[*code]).collect::<Vec<_>>().concat();
                let error = kind(&encoded);
                assert_eq!(error.is_none(), is_message(sections), "{sections:?}");
                let expected =
                    [None, Some(DecodeErrorKind::MisplacedSection), Some(DecodeErrorKind::MissingBody)];
                assert!(expected.contains(&error), "{sections:?}: {error:?}");
            }
            chosen = longer;
        }
    }

    #[test]
    fn m1_no_body_is_refused() {
        assert_eq!(kind(b""), Some(DecodeErrorKind::MissingBody));
        assert_eq!(kind(SECTIONS[0]), Some(DecodeErrorKind::MissingBody));
        assert_eq!(kind(&[SECTIONS[3], SECTIONS[8]].concat()), Some(DecodeErrorKind::MissingBody));
    }

    #[test]
    fn m1_an_unknown_section_is_refused() {
        for section in [&[0x00, 0x53, 0x6f, 0x45][..], &[0x00, 0x53, 0x79, 0x45], b"\x00\xa3\x03foo\x45"] {
            assert_eq!(kind(&with_section(section)), Some(DecodeErrorKind::UnknownDescriptor));
        }
    }

    #[test]
    fn m1_bytes_behind_the_last_section_are_refused() {
        let footer = [SECTIONS[7], SECTIONS[8], &[0x40]].concat();
        assert_eq!(kind(&footer), Some(DecodeErrorKind::UnexpectedType(0x40)));
        assert_eq!(kind(&[SECTIONS[7], SECTIONS[8], &[0x00]].concat()), Some(DecodeErrorKind::Truncated));
    }

    #[test]
    fn m1_a_section_of_another_type_is_refused() {
        for code in 0x70..=0x78 {
            let section = [0x00, 0x53, code, 0x41];
            let encoded = if code < 0x75 { with_section(&section) } else { [SECTIONS[7], &section].concat() };
            match code {
                0x75..=0x77 => assert_eq!(kind(&section).is_none(), code == 0x77),
                _ => assert_eq!(kind(&encoded), Some(DecodeErrorKind::UnexpectedType(0x41)), "{code:#x}"),
            }
        }
    }

    //= 3.2.5-02
    #[test]
    fn m2_application_properties_have_names_and_simple_values() {
        let refused: [&[u8]; 6] = [
            &[0xa3, 1, b'k', 0x40],             // symbol key
            &[0x40, 0x40],                      // null key
            &[0xa1, 1, b'k', 0x45],             // list
            &[0xa1, 1, b'k', 0xc1, 1, 0],       // map
            &[0xa1, 1, b'k', 0xe0, 2, 0, 0x40], // array
            &[0xa1, 1, b'k', 0x00, 0x44, 0x45], // described list
        ];
        for entry in refused {
            assert_eq!(kind(&with_map(0x74, entry)), Some(DecodeErrorKind::InvalidEntry), "{entry:x?}");
        }
        assert_eq!(kind(&with_map(0x74, &[0xa1, 1, b'k', 0x00, 0x44, 0x41])), None);
        assert_eq!(kind(&with_map(0x74, &[0xa1, 1, b'k', 0x40])), None);
    }

    //= 3.2.10-01 3.2.10-02
    #[test]
    fn m2_annotations_have_symbols_or_numbers_as_keys() {
        for code in [0x71, 0x72, 0x78] {
            for (entry, expected) in [
                (&[0xa3, 1, b'k', 0x45][..], None),
                (&[0x44, 0x40], None),
                (&[0xa1, 1, b'k', 0x40], Some(DecodeErrorKind::InvalidEntry)),
                (&[0x43, 0x40], Some(DecodeErrorKind::InvalidEntry)),
                (&[0x40, 0x40], Some(DecodeErrorKind::InvalidEntry)),
            ] {
                assert_eq!(kind(&with_map(code, entry)), expected, "{code:#x} {entry:x?}");
            }
        }
    }

    //= 3.2.10-X1 3.2.10-X2
    #[test]
    fn m3_what_may_be_ignored_is_told_apart() {
        let keys = ["x-opt-a", "x-opt", "x-b", "c", "x-opt-"].map(crate::codec::Symbol::from_static);
        let annotations = keys.into_iter().map(|key| (key, true)).collect::<crate::codec::Map>();
        let mut message = crate::message::Message::from("body");
        message.message_annotations = Some(annotations.with(7u64, true));
        let mut encoded = Vec::new();
        crate::codec::Encode::encode(&message, &mut encoded);
        let view = MessageView::scan(&encoded).unwrap();
        let binding: Vec<_> = view.message_annotations().binding().map(|entry| entry.unwrap().0).collect();
        let expected = ["x-opt", "x-b", "c"].map(|name| ValueRef::Symbol(name.try_into().unwrap()));
        assert_eq!(binding, [&expected[..], &[ValueRef::Ulong(7)]].concat());

        let malformed = with_map(0x72, &[0xa1, 1, b'k', 0x40]);
        let view = MessageView::scan(&malformed).unwrap();
        assert!(view.message_annotations().binding().any(|entry| entry.is_err()));
    }

    //= 3.2.1-01
    #[test]
    fn a_message_without_a_header_has_the_defaults() {
        for encoded in [SECTIONS[7].to_vec(), with_section(SECTIONS[0])] {
            let header = MessageView::scan(&encoded).unwrap().header().unwrap();
            assert_eq!(header, Header::default());
            assert_eq!((header.is_durable(), header.priority_or_normal()), (false, 4));
            assert_eq!((header.time_to_live(), header.failed_deliveries()), (None, 0));
        }
    }

    #[test]
    fn t10_equal_keys_are_refused() {
        let twice = [0xa1, 1, b'k', 0x40, 0xa1, 1, b'k', 0x41];
        assert_eq!(kind(&with_map(0x74, &twice)), Some(DecodeErrorKind::DuplicateKey));
    }

    /// A message with one map whose entries are as given, behind its body if it is a footer.
    fn with_map(code: u8, entries: &[u8]) -> Vec<u8> {
        let count = entries.iter().filter(|byte| **byte == b'k').count().max(1) as u8 * 2;
        let head = [0x00, 0x53, code, 0xc1, entries.len() as u8 + 1, count];
        let section = [&head, entries].concat();
        if code == 0x78 { [SECTIONS[7], &section].concat() } else { with_section(&section) }
    }

    #[test]
    fn f8_symbolic_and_long_descriptors_name_sections_too() {
        let encoded = [
            &b"\x00\xa3\x10amqp:header:list\xc0\x02\x01\x41"[..],
            &[0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x73, 0xd0, 0, 0, 0, 4, 0, 0, 0, 0],
            b"\x00\xb3\0\0\0\x10amqp:data:binary\xb0\0\0\0\x01x",
        ];
        let encoded = encoded.concat();
        let view = MessageView::scan(&encoded).unwrap();
        assert_eq!(view.header().unwrap().durable, Some(true));
        assert_eq!(view.body().as_binary(), Some(&b"x"[..]));
        assert_eq!(view.bare().len(), encoded.len() - 23);
    }

    #[test]
    fn m_07_the_body_is_found_without_reading_what_is_before_it() {
        // The properties hold a list of one field that is malformed.
        let properties = [0x00, 0x53, 0x73, 0xc0, 2, 1, 0x99];
        let encoded = [&properties[..], SECTIONS[5], SECTIONS[5], SECTIONS[8]].concat();
        let view = MessageView::scan(&encoded).unwrap();
        assert_eq!(view.encoded_body(), [SECTIONS[5], SECTIONS[5]].concat());
        assert_eq!(view.bare(), &encoded[..encoded.len() - 6]);
        assert_eq!(view.properties().unwrap_err().kind(), DecodeErrorKind::UnknownFormatCode(0x99));
        assert!(view.validate().is_err());
    }

    #[test]
    fn annotations_are_found_by_symbol_and_properties_by_name() {
        let symbol = with_map(0x72, &[0xa3, 1, b'k', 0x54, 5]);
        let view = MessageView::scan(&symbol).unwrap();
        assert_eq!(view.message_annotations().get("k"), Ok(Some(ValueRef::Int(5))));
        assert_eq!(view.message_annotations().get("x"), Ok(None));
        assert_eq!(view.delivery_annotations().get("k"), Ok(None));
        assert_eq!(view.message_annotations().to_map().unwrap().get("k").unwrap().to_i64(), Some(5));
        let string = with_map(0x74, &[0xa1, 1, b'k', 0x54, 5]);
        let view = MessageView::scan(&string).unwrap();
        assert_eq!(view.application_properties().get("k"), Ok(Some(ValueRef::Int(5))));
    }
}
