//! Patterns of `LIKE`.

/// The most characters of a pattern, so that a set of places in it is one number.
pub(super) const MAX_TOKENS: usize = 127;

/// A pattern, as a machine whose states are the places in it: it walks a text once, with a bit for each place where it may
/// be by now. Place *n* is before the *n*th character of the pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Characters, each with the places before it.
    literals: Vec<(char, u128)>,
    /// Places before a `_`.
    any: u128,
    /// Places at a `%`: it may stay there.
    loops: u128,
    /// The place at the end.
    end: u128,
}

impl Pattern {
    /// Reads a pattern; nothing if it is too long, or its escape character stands before none that it may escape.
    pub(super) fn new(text: &str, escape: Option<char>) -> Option<Self> {
        let mut pattern = Self { literals: Vec::new(), any: 0, loops: 0, end: 1 };
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            let literal = match char {
                _ if Some(char) == escape => {
                    let escaped = chars.next()?;
                    if !(matches!(escaped, '%' | '_') || Some(escaped) == escape) {
                        return None;
                    }
                    escaped
                }
                '%' => {
                    pattern.loops |= pattern.end;
                    continue;
                }
                '_' => {
                    pattern.any |= pattern.end;
                    pattern.step()?;
                    continue;
                }
                literal => literal,
            };
            match pattern.literals.iter_mut().find(|(known, _)| *known == literal) {
                Some((_, places)) => *places |= pattern.end,
                None => pattern.literals.push((literal, pattern.end)),
            }
            pattern.step()?;
        }
        Some(pattern)
    }

    fn step(&mut self) -> Option<()> {
        if self.end == 1 << MAX_TOKENS {
            return None;
        }
        self.end <<= 1;
        Some(())
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let places = text.chars().fold(1, |places, char| {
            let literal = self.literals.iter().find(|(known, _)| *known == char);
            let forth = places & (self.any | literal.map_or(0, |(_, places)| *places));
            (forth << 1) | (places & self.loops)
        });
        places & self.end != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by trying.
    fn matches(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|skipped| matches(rest, &text[skipped..])),
            ['_', rest @ ..] => !text.is_empty() && matches(rest, &text[1..]),
            [first, rest @ ..] => text.first() == Some(first) && matches(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_trying_matches(pattern in "[ab%_]{0,8}", text in "[abä]{0,8}") {
            let naive = matches(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(Pattern::new(&pattern, None).unwrap().matches(&text), naive);
        }
    }

    #[test]
    fn an_escaped_character_stands_for_itself() {
        let pattern = Pattern::new(r"10\%\_\\%", Some('\\')).unwrap();
        assert!(pattern.matches(r"10%_\ and more"));
        assert!(!pattern.matches(r"10x_\"));
        assert_eq!(Pattern::new(r"a\b", Some('\\')), None);
        assert_eq!(Pattern::new(r"a\", Some('\\')), None);
    }

    #[test]
    fn a_pattern_has_a_longest_length() {
        let longest = "a".repeat(MAX_TOKENS);
        assert!(Pattern::new(&longest, None).unwrap().matches(&longest));
        assert!(Pattern::new(&format!("%{longest}%"), None).unwrap().matches(&"a".repeat(1_000)));
        assert_eq!(Pattern::new(&"a".repeat(MAX_TOKENS + 1), None), None);
    }
}
