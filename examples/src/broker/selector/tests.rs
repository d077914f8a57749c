use amqp1_engine::{
    codec::{Encode, Symbol, Timestamp, Uuid, Value},
    message::{Message, MessageView},
};
use proptest::prelude::*;

use super::*;

/// Whether a selector selects a message.
fn selects(selector: &str, message: &Message) -> bool {
    let mut encoded = Vec::new();
    message.encode(&mut encoded);
    selector.parse::<Selector>().unwrap().selects(&MessageView::scan(&encoded).unwrap())
}

/// The truth of a condition on a message: false is where its contrary is true.
fn truth(condition: &str, message: &Message) -> Option<bool> {
    match (selects(condition, message), selects(&format!("NOT ({condition})"), message)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
        (true, true) => panic!("{condition} and its contrary"),
    }
}

fn fault(selector: &str) -> (usize, &'static str) {
    let fault = selector.parse::<Selector>().expect_err(selector);
    (fault.at, fault.expected)
}

fn message() -> Message {
    Message::from("body")
        .with_property("colour", "green")
        .with_property("size", 7_u8)
        .with_property("weight", 2.5_f64)
        .with_property("is_new", true)
        .with_property("sym", Symbol::from_static("symbolic"))
        .with_property("huge", u64::MAX)
        .with_property("blob", bytes::Bytes::from_static(b"\0"))
        .with_property("größe", 1_i32)
}

#[test]
fn conditions_are_true_false_or_unknown() {
    let message = message();
    for (condition, expected) in [
        ("colour = 'green'", Some(true)),
        ("colour <> 'green'", Some(false)),
        ("colour = 'Green'", Some(false)),
        ("missing = 'green'", None),
        ("missing <> 'green'", None),
        ("colour = 7", Some(false)),
        ("colour <> 7", Some(false)),
        ("colour < 'z'", Some(false)),
        ("sym = 'symbolic'", Some(true)),
        ("blob IS NULL", Some(true)),
        ("missing IS NULL", Some(true)),
        ("missing IS NOT NULL", Some(false)),
        ("colour IS NOT NULL", Some(true)),
        ("is_new", Some(true)),
        ("is_new = TRUE AND NOT is_new = FALSE", Some(true)),
        ("colour", None),
        ("7", None),
        ("TRUE", Some(true)),
        ("size = 7", Some(true)),
        ("weight = 2.5", Some(true)),
        ("size = 7 and weight = 2.5", Some(true)),
        ("size = 7.0", Some(true)),
        ("size > 6 AND size >= 7 AND size < 8 AND size <= 7", Some(true)),
        ("size BETWEEN 7 AND 9", Some(true)),
        ("size NOT BETWEEN 8 AND 9", Some(true)),
        ("size BETWEEN missing AND 6", Some(false)),
        ("size BETWEEN missing AND 8", None),
        ("missing BETWEEN 1 AND 2", None),
        ("colour IN ('red', 'green')", Some(true)),
        ("colour NOT IN ('red')", Some(true)),
        ("missing IN ('red')", None),
        ("size IN ('7')", Some(false)),
        ("colour LIKE 'gr__n'", Some(true)),
        ("colour LIKE 'gr%'", Some(true)),
        ("colour NOT LIKE '%red%'", Some(true)),
        ("colour LIKE 'gr\\%' ESCAPE '\\'", Some(false)),
        ("missing LIKE '%'", None),
        ("size LIKE '7'", Some(false)),
        ("size + 1 = 8 AND size - 1 = 6 AND size * 2 = 14 AND size / 2 = 3", Some(true)),
        ("weight * 2 = 5 AND size / 2.0 = 3.5", Some(true)),
        ("1 + 2 * 3 - 4 / 2 = 5", Some(true)),
        ("(1 + 2) * 3 = 9", Some(true)),
        ("-size = -7 AND - -size = +7", Some(true)),
        ("size / 0 = 1", None),
        ("1.0 / 0 > 9999999", Some(true)),
        ("colour + 1 = 2", None),
        ("-colour = 1", None),
        ("huge = 18446744073709551615", Some(true)),
        ("huge * huge * huge = 1", None),
        ("0x1F = 31 AND 7L = 7 AND 1e3 = 1000 AND .5 = 5e-1 AND 7. = 7.0f AND 2d = 2", Some(true)),
        ("größe = 1", Some(true)),
        ("'it''s' = 'it''s' AND 'it''s' <> 'its'", Some(true)),
    ] {
        assert_eq!(truth(condition, &message), expected, "{condition}");
    }
}

#[test]
fn names_of_jms_and_of_amqp_are_fields_of_the_message() {
    let mut message = message().with_id("id-1").with_subject("news").with_durable(true).with_to("there");
    message.header_mut().delivery_count = Some(2);
    message.header_mut().ttl = Some(1000);
    let properties = message.properties_mut();
    properties.correlation_id = Some(Uuid([0x11; 16]).into());
    properties.reply_to = Some("here".into());
    properties.user_id = Some(bytes::Bytes::from_static(b"guest"));
    properties.creation_time = Some(Timestamp(-5));
    properties.content_type = Some(Symbol::from_static("text/plain"));
    properties.group_id = Some("group".into());
    properties.group_sequence = Some(3.into());
    for condition in [
        "JMSMessageID = 'id-1' AND amqp.message_id = 'id-1'",
        "JMSType = 'news' AND amqp.subject = 'news'",
        "JMSDeliveryMode = 'PERSISTENT' AND amqp.durable",
        "JMSPriority = 4 AND amqp.priority = 4",
        "JMSXDeliveryCount = 3 AND amqp.delivery_count = 2 AND JMSRedelivered",
        "amqp.ttl = 1000 AND NOT amqp.first_acquirer",
        "JMSCorrelationID = '11111111-1111-1111-1111-111111111111'",
        "JMSReplyTo = 'here' AND JMSDestination = 'there'",
        "JMSXUserID = 'guest' AND JMSTimestamp = -5 AND JMSExpiration IS NULL",
        "amqp.content_type LIKE 'text/%' AND amqp.content_encoding IS NULL",
        "JMSXGroupID = 'group' AND JMSXGroupSeq = 3 AND amqp.reply_to_group_id IS NULL",
    ] {
        assert_eq!(truth(condition, &message), Some(true), "{condition}");
    }
    assert_eq!(
        truth("JMSDeliveryMode = 'NON_PERSISTENT' AND JMSMessageID IS NULL", &Message::from("")),
        Some(true)
    );
}

#[test]
fn the_place_of_a_fault_is_told() {
    for (selector, expected) in [
        ("", (1, "a value")),
        ("   ", (4, "a value")),
        ("colour =", (9, "a value")),
        ("colour = = 'green'", (10, "a value")),
        ("colour = 'green", (10, "a value")),
        ("colour = 'green' size", (18, "AND, OR or the end")),
        ("a = b = c", (7, "AND, OR or the end")),
        ("(a = b", (7, "a closing parenthesis")),
        ("a = b)", (6, "AND, OR or the end")),
        ("a = 1 AND", (10, "a value")),
        ("a = 1 OR OR b = 1", (10, "a value")),
        ("a IS 1", (6, "NULL")),
        ("a NOT 1", (7, "BETWEEN, IN or LIKE")),
        ("a BETWEEN 1 OR 2", (13, "AND")),
        ("a IN 'x'", (6, "an opening parenthesis")),
        ("a IN ()", (7, "a text in single quotes")),
        ("a IN ('x',)", (11, "a text in single quotes")),
        ("a LIKE b", (8, "a text in single quotes")),
        ("a LIKE 'x' ESCAPE 'ab'", (19, "a text of one character")),
        ("größe = 1x", (9, "a value")),
        ("a = 99999999999999999999", (5, "a value")),
        ("and = 1", (1, "a value")),
        ("a = #", (5, "a value")),
    ] {
        assert_eq!(fault(selector), expected, "{selector}");
    }
    let fault = "colour = = 'green'".parse::<Selector>().unwrap_err();
    let words = "the selector cannot be read from character 10 on: expected a value, found \"= 'green'\"";
    assert_eq!(fault.to_string(), words);
}

#[test]
fn depth_and_length_have_limits_and_chains_are_not_deep() {
    let nested = |depth: usize| format!("{}a = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(nested(MAX_DEPTH).parse::<Selector>().is_ok());
    assert_eq!(fault(&nested(MAX_DEPTH + 1)), (MAX_DEPTH + 1, "less nesting"));
    for deep in ["(", "NOT ", "-", "- (NOT "] {
        assert_eq!(fault(&deep.repeat(500)).1, "less nesting", "{deep}");
    }
    let long = vec!["a = 1"; 400].join(" OR ");
    assert!(long.len() < MAX_LENGTH && selects(&format!("{long} OR TRUE"), &message()));
    assert!(selects(&format!("{} = 1001", vec!["1"; 1001].join("+")), &message()));
    assert_eq!(fault(&"x".repeat(MAX_LENGTH + 1)).0, MAX_LENGTH);
}

/// A condition in words, and its truth.
fn condition() -> impl Strategy<Value = (String, Option<bool>)> {
    let leaf = prop_oneof![
        Just(("is_new".to_owned(), Some(true))),
        Just(("is_new = FALSE".to_owned(), Some(false))),
        Just(("missing = 1".to_owned(), None)),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|(text, truth)| (format!("NOT ({text})"), truth.map(|truth| !truth))),
            (inner.clone(), inner.clone()).prop_map(|((left, one), (right, two))| {
                let both = match (one, two) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                };
                (format!("({left}) AND ({right})"), both)
            }),
            (inner.clone(), inner).prop_map(|((left, one), (right, two))| {
                let either = match (one, two) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                };
                (format!("({left}) or ({right})"), either)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn conditions_combine_as_the_tables_of_sql_say((text, expected) in condition()) {
        prop_assert_eq!(truth(&text, &message()), expected);
    }

    #[test]
    fn any_text_is_a_selector_or_has_a_fault_in_it(text in ".{0,60}") {
        match text.parse::<Selector>() {
            Ok(selector) => drop(format!("{selector:?}")),
            Err(fault) => prop_assert!((1..=text.chars().count() + 1).contains(&fault.at)),
        }
    }

    #[test]
    fn words_of_the_language_in_any_order_do_no_harm(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "a", "size", "=", "<>", "<", "(", ")", "AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "BETWEEN", "'x'",
                "1", "2.5", "+", "-", "*", "/", ",", "ESCAPE", "TRUE",
            ]),
            0..20,
        )
    ) {
        let text = words.join(" ");
        if let Ok(selector) = text.parse::<Selector>() {
            let mut encoded = Vec::new();
            message().encode(&mut encoded);
            let view = MessageView::scan(&encoded).unwrap();
            prop_assert_eq!(selector.selects(&view), selector.selects(&view));
        }
    }

    #[test]
    fn integers_are_compared_as_integers(left in any::<i64>(), right in any::<i64>()) {
        let message = Message::from("").with_property("l", left).with_property("r", Value::Long(right));
        prop_assert_eq!(selects("l < r", &message), left < right);
        prop_assert_eq!(selects("l = r", &message), left == right);
        prop_assert_eq!(selects("l - r >= 0", &message), left >= right);
    }
}
