//! Frames as text, in the style of Proton's frame trace: from raw bytes, so that a frame which is refused shows, too.

use core::fmt;

use crate::{
    codec::{Decode, DecodeError, DescribedRef, MAX_DEPTH, ValueRef, frame::FrameHeader},
    types::descriptor,
};

/// `0 @open(16) [container-id="x", channel-max=255]`.
///
/// The bytes may end where the payload begins: the size in their header tells how long that is. Payloads are not
/// shown, and of SASL frames only the fields that hold no secret.
pub(super) struct Description<'a>(pub(super) &'a [u8]);

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = self.0;
        let Some(header) = frame.first_chunk() else {
            return write!(f, "(malformed frame of {} bytes)", frame.len());
        };
        let FrameHeader { size, doff, frame_type, channel } = FrameHeader::parse(header);
        match (frame_type, frame.get(usize::from(doff) * 4..)) {
            (0, Some([])) => write!(f, "{channel} (empty frame)"),
            (0, Some(body)) => {
                write!(f, "{channel} ")?;
                performative(f, body, (size as usize).saturating_sub(frame.len()))
            }
            (1, Some(body)) => match ValueRef::decode(body) {
                Ok(ValueRef::Described(body))
                    if Composite::of(&body).is_some_and(|composite| composite.is_sasl()) =>
                {
                    write!(f, "{channel} ")?;
                    described(f, &body, 0)
                }
                _ => write!(f, "{channel} (malformed SASL frame of {size} bytes)"),
            },
            _ => {
                write!(f, "{channel} (malformed frame of {size} bytes, type {frame_type:#04x}, doff {doff})")
            }
        }
    }
}

/// `elsewhere` is the length of the payload that is not in `body`.
fn performative(f: &mut fmt::Formatter<'_>, body: &[u8], elsewhere: usize) -> fmt::Result {
    match ValueRef::parse(body) {
        Ok((payload, ValueRef::Described(performative))) => {
            described(f, &performative, 0)?;
            match payload.len() + elsewhere {
                0 => Ok(()),
                length => write!(f, " ({length})"),
            }
        }
        Ok(_) => write!(f, "(no performative in {} bytes)", body.len()),
        Err(error) => malformed(f, error.into()),
    }
}

fn described(f: &mut fmt::Formatter<'_>, described: &DescribedRef<'_>, depth: usize) -> fmt::Result {
    match (Composite::of(described), described.value()) {
        (Some(composite), Ok(ValueRef::List(list))) => composite.fmt(f, list.iter(), depth),
        (Some(composite), _) if composite.is_sasl() => {
            write!(f, "@{}({}) ***", composite.name, composite.code)
        }
        (_, Ok(content)) => {
            f.write_str("@")?;
            value(f, described.descriptor(), depth)?;
            f.write_str(" ")?;
            value(f, content, depth + 1)
        }
        (_, Err(error)) => malformed(f, error),
    }
}

fn value(f: &mut fmt::Formatter<'_>, value: ValueRef<'_>, depth: usize) -> fmt::Result {
    if depth > MAX_DEPTH {
        return f.write_str("..");
    }
    match value {
        ValueRef::Null => f.write_str("null"),
        ValueRef::Bool(value) => write!(f, "{value}"),
        ValueRef::Ubyte(value) => write!(f, "{value}"),
        ValueRef::Ushort(value) => write!(f, "{value}"),
        ValueRef::Uint(value) => write!(f, "{value}"),
        ValueRef::Ulong(value) => write!(f, "{value}"),
        ValueRef::Byte(value) => write!(f, "{value}"),
        ValueRef::Short(value) => write!(f, "{value}"),
        ValueRef::Int(value) => write!(f, "{value}"),
        ValueRef::Long(value) => write!(f, "{value}"),
        ValueRef::Float(value) => write!(f, "{value:?}"),
        ValueRef::Double(value) => write!(f, "{value:?}"),
        ValueRef::Decimal32(value) => write!(f, "{value:?}"),
        ValueRef::Decimal64(value) => write!(f, "{value:?}"),
        ValueRef::Decimal128(value) => write!(f, "{value:?}"),
        ValueRef::Char(value) => write!(f, "{value:?}"),
        ValueRef::Timestamp(value) => write!(f, "{value}"),
        ValueRef::Uuid(value) => write!(f, "{value}"),
        ValueRef::Binary(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
        ValueRef::String(text) => write!(f, "{text:?}"),
        ValueRef::Symbol(text) => write!(f, ":{}", text.as_str().escape_debug()),
        ValueRef::List(list) => {
            f.write_str("[")?;
            separated(f, list.iter(), |f, item| self::value(f, item, depth + 1))?;
            f.write_str("]")
        }
        // However many there are, they take no bytes.
        ValueRef::Array(array) if array.is_zero_width() && array.len() > 1 => {
            f.write_str("@[")?;
            separated(f, array.iter().take(1), |f, item| self::value(f, item, depth + 1))?;
            write!(f, "; {}]", array.len())
        }
        ValueRef::Array(array) => {
            f.write_str("@[")?;
            separated(f, array.iter(), |f, item| self::value(f, item, depth + 1))?;
            f.write_str("]")
        }
        ValueRef::Map(map) => {
            f.write_str("{")?;
            separated(f, map.iter(), |f, (key, item)| {
                self::value(f, key, depth + 1)?;
                f.write_str("=")?;
                self::value(f, item, depth + 1)
            })?;
            f.write_str("}")
        }
        ValueRef::Described(content) => described(f, &content, depth),
    }
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = Result<T, DecodeError>>,
    mut show: impl FnMut(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        match item {
            Ok(item) => show(f, item)?,
            Err(error) => malformed(f, error)?,
        }
    }
    Ok(())
}

fn malformed(f: &mut fmt::Formatter<'_>, error: DecodeError) -> fmt::Result {
    write!(f, "<{error}>")
}

/// A composite type as the specification names it.
struct Composite {
    code: u64,
    name: &'static str,
}

impl Composite {
    fn of(described: &DescribedRef<'_>) -> Option<Self> {
        let (symbol, code) = match described.descriptor() {
            ValueRef::Ulong(code) => descriptor::ALL.iter().find(|(_, known)| *known == code)?,
            ValueRef::Symbol(symbol) => descriptor::ALL.iter().find(|(known, _)| symbol == *known)?,
            _ => return None,
        };
        Some(Self { code: *code, name: symbol.strip_prefix("amqp:")?.strip_suffix(":list")? })
    }

    const fn is_sasl(&self) -> bool {
        matches!(self.code, 0x40..=0x44)
    }

    /// The names of the fields in order.
    const fn fields(&self) -> &'static str {
        match self.code {
            0x10 => {
                "container-id hostname max-frame-size channel-max idle-time-out outgoing-locales \
                 incoming-locales offered-capabilities desired-capabilities properties"
            }
            0x11 => {
                "remote-channel next-outgoing-id incoming-window outgoing-window handle-max \
                 offered-capabilities desired-capabilities properties"
            }
            0x12 => {
                "name handle role snd-settle-mode rcv-settle-mode source target unsettled \
                 incomplete-unsettled initial-delivery-count max-message-size offered-capabilities \
                 desired-capabilities properties"
            }
            0x13 => {
                "next-incoming-id incoming-window next-outgoing-id outgoing-window handle delivery-count \
                 link-credit available drain echo properties"
            }
            0x14 => {
                "handle delivery-id delivery-tag message-format settled more rcv-settle-mode state resume \
                 aborted batchable"
            }
            0x15 => "role first last settled state batchable",
            0x16 => "handle closed error",
            0x17 => "error",
            0x18 => "error",
            0x1d => "condition description info",
            0x23 => "section-number section-offset",
            0x25 => "error",
            0x27 => "delivery-failed undeliverable-here message-annotations",
            0x28 => {
                "address durable expiry-policy timeout dynamic dynamic-node-properties distribution-mode \
                 filter default-outcome outcomes capabilities"
            }
            0x29 => "address durable expiry-policy timeout dynamic dynamic-node-properties capabilities",
            0x30 => "capabilities",
            0x31 => "global-id",
            0x32 => "txn-id fail",
            0x33 => "txn-id",
            0x34 => "txn-id outcome",
            0x40 => "sasl-server-mechanisms",
            0x41 => "mechanism initial-response hostname",
            0x42 => "challenge",
            0x43 => "response",
            0x44 => "code additional-data",
            _ => "",
        }
    }

    fn fmt<'a>(
        &self,
        f: &mut fmt::Formatter<'_>,
        items: impl Iterator<Item = Result<ValueRef<'a>, DecodeError>>,
        depth: usize,
    ) -> fmt::Result {
        write!(f, "@{}({}) [", self.name, self.code)?;
        let names = self.fields().split_ascii_whitespace().chain(core::iter::repeat("?"));
        let set = items.zip(names).filter(|(item, _)| !matches!(item, Ok(ValueRef::Null)));
        separated(f, set.map(|(item, name)| Ok((item?, name))), |f, (item, name)| {
            write!(f, "{name}=")?;
            if self.is_sasl() && !PUBLIC_SASL_FIELDS.contains(&name) {
                return f.write_str("***");
            }
            value(f, item, depth + 1)
        })?;
        f.write_str("]")
    }
}

const PUBLIC_SASL_FIELDS: [&str; 4] = ["sasl-server-mechanisms", "mechanism", "hostname", "code"];

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec::Vec};

    use super::*;
    use crate::types;

    fn frame(frame_type: u8, channel: u8, body: &[u8]) -> Vec<u8> {
        [&[0, 0, 0, 8 + body.len() as u8, 2, frame_type, 0, channel][..], body].concat()
    }

    fn composite(code: u8, fields: &[&[u8]]) -> Vec<u8> {
        let items = fields.concat();
        [&[0, 0x53, code, 0xc0, items.len() as u8 + 1, fields.len() as u8], &items[..]].concat()
    }

    fn describe(frame_type: u8, channel: u8, body: &[u8]) -> alloc::string::String {
        Description(&frame(frame_type, channel, body)).to_string()
    }

    #[test]
    fn fields_have_the_names_of_their_types() {
        macro_rules! check {
            ($($type:ident)*) => {$(
                let names: Vec<_> = types::$type::FIELDS.iter().map(|(name, ..)| name.replace('_', "-")).collect();
                let composite = Composite { code: types::$type::CODE, name: "" };
                assert_eq!(composite.fields().split_ascii_whitespace().collect::<Vec<_>>(), names);
            )*};
        }
        check!(Open Begin Attach Flow Transfer Disposition Detach End Close Error);
        check!(Received Modified Source Target);
        check!(Coordinator Declare Discharge Declared TransactionalState);
        check!(SaslMechanisms SaslInit SaslChallenge SaslResponse SaslOutcome);
    }

    #[test]
    fn fields_that_are_set_are_named() {
        let open =
            composite(0x10, &[b"\xa1\x01x", b"\x40", b"\x40", b"\x60\0\xff", b"\x40", b"\xb3\0\0\0\x02en"]);
        assert_eq!(
            describe(0, 0, &open),
            r#"0 @open(16) [container-id="x", channel-max=255, outgoing-locales=:en]"#
        );
    }

    #[test]
    fn a_symbolic_descriptor_means_the_same() {
        assert_eq!(describe(0, 3, b"\0\xa3\x0damqp:end:list\x45"), "3 @end(23) []");
    }

    #[test]
    fn values_inside_are_shown_each_in_its_way() {
        let info = b"\xc1\x12\x04\xa3\x01k\xe0\x04\x02\x50\x01\x02\xa3\x01d\0\xa3\x01z\x41";
        let error = composite(0x1d, &[b"\xa3\x03a:b", b"\xa1\x04\"x\"\n", info]);
        assert_eq!(
            describe(0, 0, &composite(0x18, &[&error])),
            r#"0 @close(24) [error=@error(29) [condition=:a:b, description="\"x\"\n", info={:k=@[1, 2], :d=@:z true}]]"#
        );
        let info = b"\xc1\x08\x02\xa3\x01k\xe0\x02\x03\x40";
        let error = composite(0x1d, &[b"\xa3\x01e", b"\x40", info]);
        let shown = describe(0, 0, &composite(0x18, &[&error]));
        assert_eq!(shown, "0 @close(24) [error=@error(29) [condition=:e, info={:k=@[null; 3]}]]");
        let unsettled = composite(
            0x12,
            &[
                b"\xa1\0",
                b"\x43",
                b"\x41",
                b"\x40",
                b"\x40",
                b"\x40",
                b"\x40",
                b"\xc1\x08\x02\xa0\x01\xff\0\x53\x24\x45",
            ],
        );
        assert_eq!(
            describe(0, 0, &unsettled),
            r#"0 @attach(18) [name="", handle=0, role=true, unsettled={b"\xff"=@accepted(36) []}]"#
        );
    }

    #[test]
    fn a_payload_is_counted_wherever_it_lies() {
        let head = b"\0\x53\x14\xc0\x06\x03\x43\x43\xa0\x01\x07";
        let whole = frame(0, 1, &[&head[..], b"secret"].concat());
        let expected = r#"1 @transfer(20) [handle=0, delivery-id=0, delivery-tag=b"\x07"] (6)"#;
        assert_eq!(Description(&whole).to_string(), expected);
        assert_eq!(Description(&whole[..whole.len() - 6]).to_string(), expected);
    }

    #[test]
    fn s12_sasl_shows_what_is_public() {
        let init = composite(0x41, &[b"\xa3\x05PLAIN", b"\xa0\x07\0a\0hush", b"\xa1\x01h"]);
        assert_eq!(
            describe(1, 0, &init),
            r#"0 @sasl-init(65) [mechanism=:PLAIN, initial-response=***, hostname="h"]"#
        );
        for (code, expected) in
            [(0x42, "0 @sasl-challenge(66) [challenge=***]"), (0x43, "0 @sasl-response(67) [response=***]")]
        {
            assert_eq!(describe(1, 0, &[0, 0x53, code, 0xc0, 5, 1, 0xa0, 2, b'h', b'u']), expected);
        }
        let outcome = composite(0x44, &[b"\x50\x01", b"\xa0\x03huh"]);
        assert_eq!(describe(1, 0, &outcome), "0 @sasl-outcome(68) [code=1, additional-data=***]");
        let mechanisms = composite(0x40, &[b"\xe0\x07\x02\xa3\x01A\x02BC"]);
        assert_eq!(describe(1, 0, &mechanisms), "0 @sasl-mechanisms(64) [sasl-server-mechanisms=@[:A, :BC]]");
    }

    #[test]
    fn s12_nothing_of_a_malformed_sasl_frame_is_shown() {
        for body in [
            &b"\0\x53\x41\xa0\x04hush"[..],
            b"\0\xa3\x13amqp:sasl-init:list\xa0\x04hush",
            b"\0\x53\x41\xc0\x09\x04\x40\x40\x40\xa0\x04hush",
            b"\0\x53\x77\xa1\x04hush",
            b"\xa1\x04hush",
            b"\0\x53\x43\xc0\x07\x01\xa0\x04hush\x40",
            b"hush",
        ] {
            let text = describe(1, 0, body);
            assert!(!text.contains("hush"), "{text}");
        }
    }

    #[test]
    fn whatever_is_malformed_is_told() {
        assert_eq!(Description(b"\0\0").to_string(), "(malformed frame of 2 bytes)");
        assert_eq!(describe(0, 0, b""), "0 (empty frame)");
        assert_eq!(describe(9, 0, b"x"), "0 (malformed frame of 9 bytes, type 0x09, doff 2)");
        assert_eq!(describe(0, 0, b"\x43"), "0 (no performative in 1 bytes)");
        assert_eq!(describe(0, 0, b"\0\x53\x18"), "0 <the bytes end inside a value>");
        assert_eq!(
            describe(0, 0, b"\0\x53\x18\xc0\x03\x02\x43\x01"),
            "0 @close(24) [error=0, <no type has the format code 0x01>]"
        );
    }

    #[test]
    fn depth_is_bounded() {
        let mut body = b"\0\x53\x18".to_vec();
        let mut nested = alloc::vec![0x45];
        while nested.len() < 200 {
            nested = [&[0xc0, nested.len() as u8 + 1, 1], &nested[..]].concat();
        }
        body.extend(nested);
        assert!(describe(0, 0, &body).contains("[[.."), "{}", describe(0, 0, &body));
    }
}
