//! What a selector means: expressions over values, in the logic of three truth values.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    facts::{Facts, Field},
    like::Pattern,
};

/// A value of the language. Null, and the truth value unknown, are the `None` of an `Option`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Bool(bool),
    /// Holds each integer of AMQP.
    Int(i128),
    Float(f64),
    Text(Cow<'a, str>),
}

/// A condition or an amount. It is as deep as the text nests, however long: chains of one operator are lists.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Literal(Value<'static>),
    Field(Field),
    Or(Vec<Self>),
    And(Vec<Self>),
    Not(Box<Self>),
    Compare(Box<Self>, Comparison, Box<Self>),
    Between {
        amount: Box<Self>,
        low: Box<Self>,
        high: Box<Self>,
    },
    In(Box<Self>, Vec<String>),
    Like(Box<Self>, Pattern),
    IsNull(Box<Self>),
    Negative(Box<Self>),
    /// From left to right.
    Chain(Box<Self>, Vec<(Operator, Self)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Plus,
    Minus,
    Times,
    DividedBy,
}

impl Expression {
    /// Whether it holds; unknown where it depends on what the message does not have, and for what is no condition.
    pub(super) fn truth(&self, facts: &Facts<'_>) -> Option<bool> {
        match self.value(facts)? {
            Value::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    fn value<'a>(&'a self, facts: &'a Facts<'_>) -> Option<Value<'a>> {
        let truth = match self {
            Self::Literal(value) => return Some(value.borrowed()),
            Self::Field(field) => return facts.value(field),
            Self::Negative(amount) => return amount.value(facts)?.negative(),
            Self::Chain(first, rest) => {
                return rest.iter().try_fold(first.value(facts)?, |sum, (operator, next)| {
                    operator.apply(&sum, &next.value(facts)?)
                });
            }
            // Unknown gives way to true in one, to false in the other.
            Self::Or(conditions) => until(conditions, facts, true),
            Self::And(conditions) => until(conditions, facts, false),
            Self::Not(condition) => condition.truth(facts).map(|truth| !truth),
            Self::Compare(left, comparison, right) => {
                Some(comparison.holds(&left.value(facts)?, &right.value(facts)?))
            }
            Self::Between { amount, low, high } => {
                let amount = amount.value(facts)?;
                // As two comparisons joined by AND.
                let above = low.value(facts).map(|low| Comparison::GreaterOrEqual.holds(&amount, &low));
                let below = high.value(facts).map(|high| Comparison::LessOrEqual.holds(&amount, &high));
                match (above, below) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (above, below) => above.and(below),
                }
            }
            Self::In(text, texts) => match text.value(facts)? {
                Value::Text(text) => Some(texts.iter().any(|known| *known == text)),
                _ => Some(false),
            },
            Self::Like(text, pattern) => match text.value(facts)? {
                Value::Text(text) => Some(pattern.matches(&text)),
                _ => Some(false),
            },
            Self::IsNull(value) => Some(value.value(facts).is_none()),
        };
        truth.map(Value::Bool)
    }
}

/// `decisive` if one of the conditions is that; its contrary if all are the contrary; else unknown.
fn until(conditions: &[Expression], facts: &Facts<'_>, decisive: bool) -> Option<bool> {
    let mut is_known = true;
    for condition in conditions {
        match condition.truth(facts) {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => is_known = false,
        }
    }
    is_known.then_some(!decisive)
}

impl Comparison {
    /// Values of different types are unequal, and neither is less; only numbers have an order.
    fn holds(self, left: &Value<'_>, right: &Value<'_>) -> bool {
        match self {
            Self::Equal => left.equals(right),
            Self::Unequal => left.is_like(right) && !left.equals(right),
            Self::Less => left.order(right).is_some_and(Ordering::is_lt),
            Self::LessOrEqual => left.order(right).is_some_and(Ordering::is_le),
            Self::Greater => left.order(right).is_some_and(Ordering::is_gt),
            Self::GreaterOrEqual => left.order(right).is_some_and(Ordering::is_ge),
        }
    }
}

impl Operator {
    /// Null where a side is no number, an integer overflows or is divided by zero.
    fn apply(self, left: &Value<'_>, right: &Value<'_>) -> Option<Value<'static>> {
        if let (Value::Int(left), Value::Int(right)) = (left, right) {
            let result = match self {
                Self::Plus => left.checked_add(*right),
                Self::Minus => left.checked_sub(*right),
                Self::Times => left.checked_mul(*right),
                Self::DividedBy => left.checked_div(*right),
            };
            return result.map(Value::Int);
        }
        let (left, right) = (left.to_f64()?, right.to_f64()?);
        Some(Value::Float(match self {
            Self::Plus => left + right,
            Self::Minus => left - right,
            Self::Times => left * right,
            Self::DividedBy => left / right,
        }))
    }
}

impl Value<'_> {
    const fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Float(_))
    }

    /// Whether both can be compared.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(_), Self::Bool(_)) | (Self::Text(_), Self::Text(_)) => true,
            _ => self.is_number() && other.is_number(),
        }
    }

    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Text(left), Self::Text(right)) => left == right,
            _ => self.order(other).is_some_and(Ordering::is_eq),
        }
    }

    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(right)),
            _ => self.to_f64()?.partial_cmp(&other.to_f64()?),
        }
    }

    fn to_f64(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }

    fn negative(&self) -> Option<Value<'static>> {
        match self {
            Self::Int(value) => value.checked_neg().map(Value::Int),
            Self::Float(value) => Some(Value::Float(-value)),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }

    fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Float(value) => Value::Float(*value),
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
        }
    }
}
