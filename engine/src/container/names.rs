//! Names that do not repeat.

use alloc::{format, string::String};

use super::random::scatter;
use crate::codec::Str;

/// Makes names from a seed and a counter: two containers with different seeds never make the same one.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
    made: u64,
}

impl Names {
    pub(super) fn new(seed: u64) -> Self {
        Self { prefix: base36(scatter(seed)), made: 0 }
    }

    pub(super) fn container_id(&self) -> Str {
        format!("amqp1-{}", self.prefix).into()
    }

    pub(super) fn link(&mut self) -> Str {
        self.made += 1;
        format!("{}-{}", self.prefix, self.made).into()
    }
}

fn base36(mut number: u64) -> String {
    let mut text = String::new();
    while number > 0 {
        text.push(
            char::from_digit((number % 36) as u32, 36).expect("a remainder by 36 is a digit in base 36"),
        );
        number /= 36;
    }
    text
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn c_07_names_repeat_neither_in_a_container_nor_in_another() {
        let mut names = BTreeSet::new();
        for seed in 0..100 {
            let mut maker = Names::new(seed);
            assert!(names.insert(maker.container_id()));
            for _ in 0..100 {
                assert!(names.insert(maker.link()));
            }
        }
    }
}
