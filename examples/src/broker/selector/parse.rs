//! From text to expressions.
//!
//! ```text
//! condition  = conjunction { OR conjunction }
//! conjunction = negation { AND negation }
//! negation   = NOT negation | predicate
//! predicate  = sum [ comparison sum | [NOT] BETWEEN sum AND sum | [NOT] IN (texts) | [NOT] LIKE text [ESCAPE text] | IS [NOT] NULL ]
//! sum        = product { + product | - product }
//! product    = signed { * signed | / signed }
//! signed     = + signed | - signed | ( condition ) | literal | name
//! ```

use std::borrow::Cow;

use nom::{
    Err, IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_while, take_while1},
    character::complete::{char, multispace0, one_of},
    combinator::{cut, map, opt, peek, recognize, value},
    error::{ErrorKind, ParseError},
    multi::{many0, separated_list1},
    sequence::{delimited, preceded, terminated},
};

use super::{
    Fault, MAX_DEPTH,
    eval::{Comparison, Expression, Operator, Value},
    facts::Field,
    like::Pattern,
};

type Parsed<'a, T> = IResult<&'a str, T, Unexpected<'a>>;

/// What stands where something else was expected.
#[derive(Clone, Copy, Debug)]
struct Unexpected<'a> {
    rest: &'a str,
    expected: &'static str,
}

/// Reads a whole text.
pub(super) fn selector(text: &str) -> Result<Expression, Fault> {
    let read = condition(text, 0).and_then(|(rest, read)| {
        let (rest, _) = multispace0(rest)?;
        if rest.is_empty() { Ok(read) } else { Err(unexpected(rest, "AND, OR or the end")) }
    });
    read.map_err(|error| match error {
        Err::Error(Unexpected { rest, expected }) | Err::Failure(Unexpected { rest, expected }) => {
            let rest = rest.trim_start();
            let at = text[..text.len() - rest.len()].chars().count() + 1;
            Fault { at, expected, found: rest.chars().take(16).collect() }
        }
        Err::Incomplete(_) => unreachable!("no streaming parser is used"),
    })
}

fn condition(input: &str, depth: usize) -> Parsed<'_, Expression> {
    chain(input, "OR", |input| conjunction(input, depth), Expression::Or)
}

fn conjunction(input: &str, depth: usize) -> Parsed<'_, Expression> {
    chain(input, "AND", |input| negation(input, depth), Expression::And)
}

/// One, or several with a word between them.
fn chain<'a>(
    input: &'a str,
    by: &'static str,
    mut one: impl FnMut(&'a str) -> Parsed<'a, Expression>,
    several: impl FnOnce(Vec<Expression>) -> Expression,
) -> Parsed<'a, Expression> {
    let (mut rest, first) = one(input)?;
    let mut all = Vec::new();
    while let (after, Some(())) = opt(word(by)).parse(rest)? {
        let (after, next) = one(after)?;
        all.push(next);
        rest = after;
    }
    if all.is_empty() {
        return Ok((rest, first));
    }
    all.insert(0, first);
    Ok((rest, several(all)))
}

fn negation(input: &str, depth: usize) -> Parsed<'_, Expression> {
    match opt(word("NOT")).parse(input)? {
        (rest, Some(())) => {
            let (rest, condition) = negation(rest, deeper(input, depth)?)?;
            Ok((rest, Expression::Not(Box::new(condition))))
        }
        (rest, None) => predicate(rest, depth),
    }
}

fn predicate(input: &str, depth: usize) -> Parsed<'_, Expression> {
    let (input, left) = sum(input, depth)?;
    let left = Box::new(left);
    if let (rest, Some(comparison)) = opt(comparison).parse(input)? {
        let (rest, right) = sum(rest, depth)?;
        return Ok((rest, Expression::Compare(left, comparison, Box::new(right))));
    }
    if let (rest, Some(())) = opt(word("IS")).parse(input)? {
        let (rest, negated) = opt(word("NOT")).parse(rest)?;
        let (rest, ()) = word("NULL").parse(rest)?;
        return Ok((rest, unless(negated, Expression::IsNull(left))));
    }
    let (rest, negated) = opt(word("NOT")).parse(input)?;
    if let (rest, Some(())) = opt(word("BETWEEN")).parse(rest)? {
        let (rest, low) = sum(rest, depth)?;
        let (rest, ()) = word("AND").parse(rest)?;
        let (rest, high) = sum(rest, depth)?;
        let between = Expression::Between { amount: left, low: Box::new(low), high: Box::new(high) };
        return Ok((rest, unless(negated, between)));
    }
    if let (rest, Some(())) = opt(word("IN")).parse(rest)? {
        let texts = separated_list1(symbol(",", "a comma"), cut(text));
        let (rest, texts) =
            delimited(symbol("(", "an opening parenthesis"), texts, symbol(")", "a closing parenthesis"))
                .parse(rest)?;
        return Ok((rest, unless(negated, Expression::In(left, texts))));
    }
    if let (rest, Some(())) = opt(word("LIKE")).parse(rest)? {
        let (rest, pattern) = pattern(rest)?;
        return Ok((rest, unless(negated, Expression::Like(left, pattern))));
    }
    match negated {
        Some(()) => Err(unexpected(rest, "BETWEEN, IN or LIKE")),
        None => Ok((input, *left)),
    }
}

fn unless(negated: Option<()>, condition: Expression) -> Expression {
    match negated {
        Some(()) => Expression::Not(Box::new(condition)),
        None => condition,
    }
}

fn comparison(input: &str) -> Parsed<'_, Comparison> {
    let of = |text, comparison| value(comparison, symbol(text, "a comparison"));
    // The longer ones first.
    alt((
        of("=", Comparison::Equal),
        of("<>", Comparison::Unequal),
        of("<=", Comparison::LessOrEqual),
        of(">=", Comparison::GreaterOrEqual),
        of("<", Comparison::Less),
        of(">", Comparison::Greater),
    ))
    .parse(input)
}

fn pattern(input: &str) -> Parsed<'_, Pattern> {
    let (rest, pattern) = text(input)?;
    let (rest, escape) = match opt(word("ESCAPE")).parse(rest)? {
        (rest, Some(())) => {
            let (after, escape) = text(rest)?;
            let mut chars = escape.chars();
            match (chars.next(), chars.next()) {
                (Some(escape), None) => (after, Some(escape)),
                _ => return Err(unexpected(rest, "a text of one character")),
            }
        }
        (rest, None) => (rest, None),
    };
    match Pattern::new(&pattern, escape) {
        Some(pattern) => Ok((rest, pattern)),
        None => Err(unexpected(
            input,
            "a pattern of at most 127 characters that escapes only %, _ and its escape",
        )),
    }
}

fn sum(input: &str, depth: usize) -> Parsed<'_, Expression> {
    let plus = value(Operator::Plus, symbol("+", "a plus"));
    let minus = value(Operator::Minus, symbol("-", "a minus"));
    arithmetic(input, alt((plus, minus)), |input| product(input, depth))
}

fn product(input: &str, depth: usize) -> Parsed<'_, Expression> {
    let times = value(Operator::Times, symbol("*", "an asterisk"));
    let by = value(Operator::DividedBy, symbol("/", "a slash"));
    arithmetic(input, alt((times, by)), |input| signed(input, depth))
}

fn arithmetic<'a>(
    input: &'a str,
    mut operator: impl Parser<&'a str, Output = Operator, Error = Unexpected<'a>>,
    mut one: impl FnMut(&'a str) -> Parsed<'a, Expression>,
) -> Parsed<'a, Expression> {
    let (mut rest, first) = one(input)?;
    let mut more = Vec::new();
    while let Ok((after, operator)) = operator.parse(rest) {
        let (after, next) = one(after)?;
        more.push((operator, next));
        rest = after;
    }
    let read = if more.is_empty() { first } else { Expression::Chain(Box::new(first), more) };
    Ok((rest, read))
}

fn signed(input: &str, depth: usize) -> Parsed<'_, Expression> {
    if let (rest, Some(sign)) = opt(alt((symbol("-", "a sign"), symbol("+", "a sign")))).parse(input)? {
        let (rest, amount) = signed(rest, deeper(input, depth)?)?;
        return Ok((rest, if sign == "-" { Expression::Negative(Box::new(amount)) } else { amount }));
    }
    if let (rest, Some(_)) = opt(symbol("(", "a parenthesis")).parse(input)? {
        let inside = deeper(input, depth)?;
        return terminated(|input| condition(input, inside), symbol(")", "a closing parenthesis"))
            .parse(rest);
    }
    alt((map(literal, Expression::Literal), map(name, |name| Expression::Field(Field::named(name)))))
        .parse(input)
        .map_err(|_| unexpected(input, "a value"))
}

fn deeper(input: &str, depth: usize) -> Result<usize, Err<Unexpected<'_>>> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(unexpected(input, "less nesting")) }
}

fn literal(input: &str) -> Parsed<'_, Value<'static>> {
    alt((
        map(text, |text| Value::Text(Cow::Owned(text))),
        value(Value::Bool(true), word("TRUE")),
        value(Value::Bool(false), word("FALSE")),
        number,
    ))
    .parse(input)
}

/// In quotes; a quote in it is doubled.
fn text(input: &str) -> Parsed<'_, String> {
    let piece = alt((value("'", tag("''")), take_while1(|char| char != '\'')));
    let quoted = delimited(char('\''), many0(piece), char('\''));
    preceded(multispace0, map(quoted, |pieces: Vec<&str>| pieces.concat()))
        .parse(input)
        .map_err(|_: Err<Unexpected<'_>>| unexpected(input, "a text in single quotes"))
}

/// `7`, `7L`, `0x1f`, `7.5`, `.5`, `7.`, `7e3`, `7.5f`. What goes on as none of these is no number.
fn number(input: &str) -> Parsed<'_, Value<'static>> {
    let (start, _) = multispace0(input)?;
    peek(one_of("0123456789.")).parse(start)?;
    let is_hexadecimal = start.starts_with("0x") || start.starts_with("0X");
    let mut before = ' ';
    let end = start.find(|char| {
        let is_sign = matches!(char, '+' | '-') && matches!(before, 'e' | 'E') && !is_hexadecimal;
        before = char;
        !(is_in_name(char) || is_sign)
    });
    let (digits, rest) = start.split_at(end.unwrap_or(start.len()));
    let number = if is_hexadecimal {
        let digits = digits[2..].trim_end_matches(['l', 'L']);
        i64::from_str_radix(digits, 16).ok().map(|number| Value::Int(number.into()))
    } else if digits.contains(['.', 'e', 'E', 'f', 'F', 'd', 'D']) {
        digits.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(digits).parse().ok().map(Value::Float)
    } else {
        // Up to the greatest of AMQP's ulong.
        let digits = digits.strip_suffix(['l', 'L']).unwrap_or(digits);
        digits.parse::<u64>().ok().map(|number| Value::Int(number.into()))
    };
    match number {
        Some(number) => Ok((rest, number)),
        None => Err(unexpected(start, "a number")),
    }
}

/// Words that are no names.
const RESERVED: [&str; 11] =
    ["AND", "BETWEEN", "ESCAPE", "FALSE", "IN", "IS", "LIKE", "NOT", "NULL", "OR", "TRUE"];

fn name(input: &str) -> Parsed<'_, &str> {
    let (start, _) = multispace0(input)?;
    let (rest, name) = recognize((take_while1(begins_name), take_while(is_in_name))).parse(start)?;
    if RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name)) {
        return Err(unexpected(start, "a name"));
    }
    Ok((rest, name))
}

fn begins_name(char: char) -> bool {
    char.is_alphabetic() || matches!(char, '_' | '$')
}

fn is_in_name(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '$' | '.')
}

/// A word of the language, in capitals or not, which does not go on as a name.
fn word<'a>(word: &'static str) -> impl Parser<&'a str, Output = (), Error = Unexpected<'a>> {
    move |input: &'a str| {
        let start = input.trim_start();
        let is_end = |rest: &str| !rest.starts_with(is_in_name);
        match start.split_at_checked(word.len()) {
            Some((found, rest)) if found.eq_ignore_ascii_case(word) && is_end(rest) => Ok((rest, ())),
            _ => Err(unexpected(input, word)),
        }
    }
}

/// A sign of the language.
fn symbol<'a>(
    text: &'static str,
    expected: &'static str,
) -> impl Parser<&'a str, Output = &'a str, Error = Unexpected<'a>> {
    move |input: &'a str| {
        preceded(multispace0, tag(text))
            .parse(input)
            .map_err(|_: Err<Unexpected<'_>>| unexpected(input, expected))
    }
}

const fn unexpected<'a>(rest: &'a str, expected: &'static str) -> Err<Unexpected<'a>> {
    Err::Error(Unexpected { rest, expected })
}

impl<'a> ParseError<&'a str> for Unexpected<'a> {
    fn from_error_kind(rest: &'a str, _: ErrorKind) -> Self {
        Self { rest, expected: "a value" }
    }

    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }
}
