use std::collections::{HashSet, VecDeque};

use amqp1_std::types::MessageId;

/// How many ids are remembered: more than can come twice in a row, and a bound for a receiver without end.
const REMEMBERED: usize = 10_000;

/// The ids of the messages seen last, to tell those that come again.
#[derive(Debug, Default)]
pub struct Seen {
    ids: HashSet<MessageId>,
    order: VecDeque<MessageId>,
}

impl Seen {
    /// Whether this id was seen before; from now on it was.
    pub fn before(&mut self, id: &MessageId) -> bool {
        if !self.ids.insert(id.clone()) {
            return true;
        }
        self.order.push_back(id.clone());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_comes_again_is_told_and_old_ones_are_forgotten() {
        let mut seen = Seen::default();
        let id = |n: usize| MessageId::Ulong(n as u64);
        for n in 0..=REMEMBERED {
            assert!(!seen.before(&id(n)));
        }
        assert!(seen.before(&id(1)));
        assert!(!seen.before(&id(0)), "forgotten by now");
        assert_eq!(seen.ids.len(), REMEMBERED);
    }
}
