//! One queue: no link, socket or clock in it.

use std::collections::{BTreeMap, VecDeque};

use amqp1_engine::{
    codec::Map,
    message::Relay,
    types::{DeliveryState, DeliveryTag},
};
use bytes::Bytes;

/// How much a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Messages, those that are out for delivery included.
    pub messages: usize,
    /// Bytes of their payloads.
    pub bytes: usize,
}

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The encoded message.
    pub payload: Bytes,
    /// What the bytes are: 0 for a message as in §3.2.
    pub message_format: u32,
}

/// What became of a message that was offered to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// Sent: the consumer will tell its outcome.
    Sent(DeliveryTag),
    /// Sent, and gone from the queue.
    SentSettled,
    /// The consumer cannot take any message until it is [ready](Queue::ready) again.
    NotNow,
    /// The consumer can never take this message.
    Never,
}

/// The queue holds twice its bound: its producers do not heed their credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun;

/// Messages in the order of their arrival, and who consumes them.
///
/// A message that was sent stays until its consumer has told the outcome; until then it counts. One that comes back
/// takes its old place, before all that arrived later.
#[derive(Debug)]
pub struct Queue<C> {
    bound: Bound,
    messages: usize,
    bytes: usize,
    arrived: u64,
    /// By place.
    waiting: BTreeMap<u64, Entry<C>>,
    consumers: BTreeMap<C, Consumer<C>>,
    /// Consumers that are ready; the first has its turn.
    turns: VecDeque<C>,
}

#[derive(Debug)]
struct Entry<C> {
    stored: Stored,
    /// Consumers to which it must not go again.
    barred: Vec<C>,
}

#[derive(Debug)]
struct Consumer<C> {
    is_ready: bool,
    unsettled: BTreeMap<DeliveryTag, (u64, Entry<C>)>,
    barred_from: usize,
}

impl<C: Copy + Ord> Queue<C> {
    /// An empty queue that nobody consumes.
    #[must_use]
    pub const fn new(bound: Bound) -> Self {
        Self {
            bound,
            messages: 0,
            bytes: 0,
            arrived: 0,
            waiting: BTreeMap::new(),
            consumers: BTreeMap::new(),
            turns: VecDeque::new(),
        }
    }

    /// Whether no message is here or out for delivery.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// How many more messages there is room for: with none, producers get no more credit.
    #[must_use]
    pub const fn room(&self) -> usize {
        if self.bytes >= self.bound.bytes { 0 } else { self.bound.messages.saturating_sub(self.messages) }
    }

    /// Whether half of the bound is free: producers that had to wait get credit again.
    #[must_use]
    pub const fn is_half_free(&self) -> bool {
        self.messages <= self.bound.messages / 2 && self.bytes <= self.bound.bytes / 2
    }

    /// Adds a message at the end. Credit granted before the queue was full may be used.
    ///
    /// # Errors
    ///
    /// [`Overrun`]: the message was not taken.
    pub fn push(&mut self, stored: Stored) -> Result<(), Overrun> {
        if self.messages >= self.bound.messages.saturating_mul(2)
            || self.bytes >= self.bound.bytes.saturating_mul(2)
        {
            return Err(Overrun);
        }
        self.messages += 1;
        self.bytes += stored.payload.len();
        self.waiting.insert(self.arrived, Entry { stored, barred: Vec::new() });
        self.arrived += 1;
        Ok(())
    }

    /// Adds a consumer that is not ready yet.
    pub fn subscribe(&mut self, id: C) {
        self.consumers.insert(id, Consumer { is_ready: false, unsettled: BTreeMap::new(), barred_from: 0 });
    }

    /// Removes a consumer. What it has not settled comes back as a failed delivery.
    pub fn unsubscribe(&mut self, id: C) {
        let Some(consumer) = self.consumers.remove(&id) else { return };
        if consumer.is_ready {
            self.turns.retain(|&turn| turn != id);
        }
        for (place, mut entry) in consumer.unsettled.into_values() {
            self.rewrite(&mut entry, true, None);
            self.waiting.insert(place, entry);
        }
    }

    /// The consumer can take messages: it gets its turn after those that are ready already.
    pub fn ready(&mut self, id: C) {
        if let Some(consumer) = self.consumers.get_mut(&id)
            && !consumer.is_ready
        {
            consumer.is_ready = true;
            self.turns.push_back(id);
        }
    }

    /// Offers messages to the consumers that are ready, one to each in turn, until there are no more of either.
    pub fn deliver(&mut self, mut offer: impl FnMut(C, &Stored) -> Offered) {
        let mut in_vain = 0;
        while in_vain < self.turns.len() && !self.waiting.is_empty() {
            let Some(id) = self.turns.pop_front() else { break };
            let Some(consumer) = self.consumers.get_mut(&id) else { continue };
            let Some((&place, entry)) =
                self.waiting.iter_mut().find(|(_, entry)| !entry.barred.contains(&id))
            else {
                self.turns.push_back(id);
                in_vain += 1;
                continue;
            };
            match offer(id, &entry.stored) {
                Offered::NotNow => consumer.is_ready = false,
                Offered::Never => {
                    entry.barred.push(id);
                    consumer.barred_from += 1;
                    self.turns.push_front(id);
                }
                offered => {
                    let entry = self.waiting.remove(&place).expect("it was found there");
                    match offered {
                        Offered::Sent(tag) => drop(consumer.unsettled.insert(tag, (place, entry))),
                        _ => self.forget(entry),
                    }
                    self.turns.push_back(id);
                    in_vain = 0;
                }
            }
        }
    }

    /// Whether a message waits that may go to this consumer.
    #[must_use]
    pub fn has_for(&self, id: C) -> bool {
        self.waiting.values().any(|entry| !entry.barred.contains(&id))
    }

    /// How many messages wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// From how many of the queue's messages a consumer is barred.
    #[must_use]
    pub fn barred_from(&self, id: C) -> usize {
        self.consumers.get(&id).map_or(0, |consumer| consumer.barred_from)
    }

    /// Takes the outcome of a message that was sent (§3.4). Without one, a failed delivery is meant.
    pub fn settle(&mut self, id: C, tag: DeliveryTag, outcome: Option<&DeliveryState>) {
        let Some(consumer) = self.consumers.get_mut(&id) else { return };
        let Some((place, mut entry)) = consumer.unsettled.remove(&tag) else { return };
        match outcome {
            //= 3.4.3-03 3.5.2-02
            Some(DeliveryState::Accepted | DeliveryState::Rejected(_)) => return self.forget(entry),
            //= 3.4.4-01 3.4.4-02
            Some(DeliveryState::Released) => self.rewrite(&mut entry, false, None),
            Some(DeliveryState::Modified(modified)) => {
                //= 3.4.5-07
                if modified.undeliverable_here.unwrap_or(false) {
                    entry.barred.push(id);
                    consumer.barred_from += 1;
                }
                //= 3.4.5-06
                let failed = modified.delivery_failed.unwrap_or(false);
                self.rewrite(&mut entry, failed, modified.message_annotations.as_ref());
            }
            _ => self.rewrite(&mut entry, true, None),
        }
        self.waiting.insert(place, entry);
    }

    /// Writes the head of a message that comes back anew, where it has to say something else: somebody acquired the
    /// message. What is no message as in §3.2 stays as it is.
    fn rewrite(&mut self, entry: &mut Entry<C>, failed: bool, annotations: Option<&Map>) {
        if entry.stored.message_format != 0 {
            return;
        }
        let Ok(mut relay) = Relay::new(&entry.stored.payload) else { return };
        let says_first = relay.header.first_acquirer == Some(true);
        if !says_first && !failed && annotations.is_none() {
            return;
        }
        if says_first {
            relay.header.first_acquirer = Some(false);
        }
        if failed {
            relay.header.count_failed_delivery();
        }
        if let Some(annotations) = annotations {
            // Fails where they are none, or those of the message: then the message keeps what it has.
            let _ = relay.annotate(annotations.clone());
        }
        self.bytes -= entry.stored.payload.len();
        entry.stored.payload = relay.payload().into_bytes();
        self.bytes += entry.stored.payload.len();
    }

    fn forget(&mut self, entry: Entry<C>) {
        self.messages -= 1;
        self.bytes -= entry.stored.payload.len();
        for id in entry.barred {
            if let Some(consumer) = self.consumers.get_mut(&id) {
                consumer.barred_from -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use amqp1_engine::{
        codec::{Encode, Symbol, Value},
        message::{Message, MessageView},
        types::{Header, Modified},
    };

    use super::*;

    const AMPLE: Bound = Bound { messages: 1_000, bytes: 1_000_000 };

    fn stored(text: &str) -> Stored {
        let mut payload = Vec::new();
        Message::from(text).encode(&mut payload);
        Stored { payload: payload.into(), message_format: 0 }
    }

    fn queue_of(texts: &[&str]) -> Queue<char> {
        let mut queue = Queue::new(AMPLE);
        for text in texts {
            queue.push(stored(text)).unwrap();
        }
        queue
    }

    fn text(stored: &Stored) -> String {
        MessageView::scan(&stored.payload).unwrap().body().to_string()
    }

    fn failures(stored: &Stored) -> Option<u32> {
        MessageView::scan(&stored.payload).unwrap().header().unwrap().delivery_count
    }

    /// Delivers to consumers that take so many messages each; tags count from 0. Tells who got what.
    fn deliver(
        queue: &mut Queue<char>,
        credit: &mut BTreeMap<char, u32>,
        next_tag: &mut u64,
    ) -> Vec<(char, String)> {
        let mut got = Vec::new();
        queue.deliver(|id, stored| {
            let left = credit.entry(id).or_default();
            if *left == 0 {
                return Offered::NotNow;
            }
            *left -= 1;
            got.push((id, text(stored)));
            *next_tag += 1;
            Offered::Sent((*next_tag - 1).into())
        });
        got
    }

    fn sent(got: &[(char, &str)]) -> Vec<(char, String)> {
        got.iter().map(|&(id, text)| (id, text.to_owned())).collect()
    }

    fn subscribe(queue: &mut Queue<char>, ids: &[char]) {
        for &id in ids {
            queue.subscribe(id);
            queue.ready(id);
        }
    }

    #[test]
    fn consumers_with_credit_take_turns() {
        let mut queue = queue_of(&["1", "2", "3", "4", "5", "6"]);
        subscribe(&mut queue, &['a', 'b', 'c']);
        let mut credit = BTreeMap::from([('a', 1), ('c', 3)]);
        let got = deliver(&mut queue, &mut credit, &mut 0);
        assert_eq!(got, sent(&[('a', "1"), ('c', "2"), ('c', "3"), ('c', "4")]));
        credit.insert('b', 9);
        assert_eq!(deliver(&mut queue, &mut credit, &mut 4), [], "'b' has not told that it is ready");
        queue.ready('b');
        assert_eq!(deliver(&mut queue, &mut credit, &mut 4), sent(&[('b', "5"), ('b', "6")]));
    }

    #[test]
    fn what_comes_back_takes_its_old_place() {
        let mut queue = queue_of(&["1", "2", "3", "4"]);
        subscribe(&mut queue, &['a', 'b']);
        let mut credit = BTreeMap::from([('a', 2), ('b', 1)]);
        assert_eq!(deliver(&mut queue, &mut credit, &mut 0), sent(&[('a', "1"), ('b', "2"), ('a', "3")]));
        queue.settle('a', 2.into(), Some(&DeliveryState::Released));
        queue.settle('b', 1.into(), Some(&DeliveryState::Accepted));
        queue.unsubscribe('a');
        credit.insert('b', 9);
        queue.ready('b');
        let mut seen = Vec::new();
        queue.deliver(|_, stored| {
            seen.push((text(stored), failures(stored)));
            Offered::SentSettled
        });
        let expected =
            [("1", Some(1)), ("3", None), ("4", None)].map(|(text, count)| (text.to_owned(), count));
        assert_eq!(seen, expected);
        assert!(queue.is_empty());
        assert_eq!(queue.bytes, 0);
    }

    //= 3.3.1-02 3.4.2-01 3.4.3-03 3.4.4-01 3.4.4-02 3.4.5-01 3.4.5-06 3.5.2-02
    #[test]
    fn every_outcome_has_its_effect() {
        let modified = |modified| Some(DeliveryState::Modified(Box::new(modified)));
        let failed = modified(Modified { delivery_failed: Some(true), ..Modified::default() });
        let outcomes = [
            (Some(DeliveryState::Accepted), None),
            (Some(DeliveryState::Rejected(None)), None),
            (Some(DeliveryState::Released), Some(None)),
            (modified(Modified::default()), Some(None)),
            (failed, Some(Some(1))),
            (None, Some(Some(1))),
        ];
        for (outcome, expected) in outcomes {
            let mut queue = queue_of(&["once more"]);
            subscribe(&mut queue, &['a']);
            queue.deliver(|_, _| Offered::Sent(7.into()));
            queue.settle('a', 8.into(), Some(&DeliveryState::Accepted));
            assert!(!queue.is_empty(), "no such tag");
            queue.settle('a', 7.into(), outcome.as_ref());
            let mut again = None;
            queue.deliver(|_, stored| {
                again = Some(failures(stored));
                Offered::SentSettled
            });
            assert_eq!(again, expected, "{outcome:?}");
            assert_eq!((queue.messages, queue.bytes), (0, 0), "{outcome:?}");
        }
    }

    //= 3.2-05 3.2.3-02 3.2.4-01
    #[test]
    fn an_annotation_is_added_and_the_bare_message_kept() {
        let mut queue = queue_of(&["kept"]);
        let before = queue.waiting[&0].stored.clone();
        subscribe(&mut queue, &['a']);
        queue.deliver(|_, _| Offered::Sent(0.into()));
        let seen = Symbol::from_static("x-opt-seen");
        let annotations = [(Value::Symbol(seen), Value::Bool(true))].into_iter().collect();
        let modified = Modified { message_annotations: Some(annotations), ..Modified::default() };
        queue.settle('a', 0.into(), Some(&DeliveryState::Modified(Box::new(modified))));
        let after = MessageView::scan(&queue.waiting[&0].stored.payload).unwrap();
        assert!(after.message_annotations().get("x-opt-seen").unwrap().is_some());
        assert_eq!(after.header().unwrap(), Header::default());
        assert_eq!(after.bare(), MessageView::scan(&before.payload).unwrap().bare());
        assert_eq!(queue.bytes, queue.waiting[&0].stored.payload.len());
    }

    //= 3.4.5-06
    #[test]
    fn a_failed_delivery_counts_whatever_else_the_consumer_asks_for() {
        let mut queue = queue_of(&["kept"]);
        subscribe(&mut queue, &['a']);
        queue.deliver(|_, _| Offered::Sent(0.into()));
        let no_annotations = [(Value::from("no symbol"), Value::Bool(true))].into_iter().collect();
        let modified = Modified {
            delivery_failed: Some(true),
            message_annotations: Some(no_annotations),
            ..Modified::default()
        };
        queue.settle('a', 0.into(), Some(&DeliveryState::Modified(Box::new(modified))));
        let stored = &queue.waiting[&0].stored;
        assert_eq!(failures(stored), Some(1));
        assert_eq!(MessageView::scan(&stored.payload).unwrap().validate(), Ok(()));
    }

    #[test]
    fn who_gets_what_another_had_is_not_its_first_acquirer() {
        let outcomes = [None, Some(DeliveryState::Released), Some(DeliveryState::Modified(Box::default()))];
        for outcome in outcomes {
            let mut message = Message::from("again");
            message.header_mut().first_acquirer = Some(true);
            let mut payload = Vec::new();
            message.encode(&mut payload);
            let mut queue = Queue::new(AMPLE);
            queue.push(Stored { payload: payload.into(), message_format: 0 }).unwrap();
            subscribe(&mut queue, &['a']);
            let mut first = Vec::new();
            for tag in 0..2 {
                queue.deliver(|_, stored| {
                    let header = MessageView::scan(&stored.payload).unwrap().header().unwrap();
                    first.push(header.first_acquirer.unwrap());
                    Offered::Sent(tag.into())
                });
                queue.settle('a', tag.into(), outcome.as_ref());
            }
            assert_eq!(first, [true, false], "{outcome:?}");
            assert_eq!(queue.bytes, queue.waiting[&0].stored.payload.len());
        }
    }

    //= 3.4.5-07
    #[test]
    fn what_is_undeliverable_at_one_consumer_goes_to_another() {
        let mut queue = queue_of(&["1", "2"]);
        subscribe(&mut queue, &['a']);
        let mut credit = BTreeMap::from([('a', 1)]);
        deliver(&mut queue, &mut credit, &mut 0);
        let not_here = Modified { undeliverable_here: Some(true), ..Modified::default() };
        queue.settle('a', 0.into(), Some(&DeliveryState::Modified(Box::new(not_here))));
        assert_eq!(queue.barred_from('a'), 1);
        credit.insert('a', 9);
        queue.ready('a');
        assert_eq!(deliver(&mut queue, &mut credit, &mut 1), sent(&[('a', "2")]));
        assert!(!queue.has_for('a'));
        assert_eq!(queue.waiting(), 1);
        subscribe(&mut queue, &['b']);
        credit.insert('b', 9);
        assert_eq!(deliver(&mut queue, &mut credit, &mut 0), sent(&[('b', "1")]));
        queue.settle('b', 0.into(), Some(&DeliveryState::Accepted));
        assert_eq!(queue.barred_from('a'), 0, "the message is gone");
    }

    #[test]
    fn a_message_that_a_consumer_can_never_take_does_not_stop_the_others() {
        let mut queue = queue_of(&["too long for 'a'", "2"]);
        subscribe(&mut queue, &['a', 'b']);
        let mut got = Vec::new();
        queue.deliver(|id, stored| {
            if id == 'a' && stored.payload.len() > 10 {
                return Offered::Never;
            }
            got.push((id, text(stored)));
            Offered::SentSettled
        });
        assert_eq!(got, sent(&[('a', "2"), ('b', "too long for 'a'")]));
    }

    #[test]
    fn the_bound_is_of_messages_and_of_bytes() {
        let mut queue = Queue::new(Bound { messages: 4, ..AMPLE });
        subscribe(&mut queue, &['a']);
        for n in 0..8 {
            assert_eq!(queue.room(), 4_usize.saturating_sub(n));
            assert_eq!(queue.is_half_free(), n <= 2);
            queue.push(stored("m")).unwrap();
        }
        assert_eq!(queue.push(stored("m")), Err(Overrun));
        let mut tag = 0;
        queue.deliver(|_, _| {
            tag += 1;
            Offered::Sent(tag.into())
        });
        assert_eq!(queue.room(), 0, "what is out for delivery counts");
        for tag in 1..=6 {
            queue.settle('a', tag.into(), Some(&DeliveryState::Accepted));
        }
        assert!(queue.is_half_free());

        let mut queue = Queue::<char>::new(Bound { bytes: 10, ..AMPLE });
        queue.push(stored("a message of more than ten bytes")).unwrap();
        assert_eq!(queue.room(), 0);
        assert_eq!(queue.push(stored("m")), Err(Overrun));
    }

    #[test]
    fn bytes_of_an_unknown_format_are_never_changed() {
        let odd = Stored { payload: Bytes::from_static(b"\0odd"), message_format: 9 };
        let mut queue = Queue::new(AMPLE);
        queue.push(odd.clone()).unwrap();
        subscribe(&mut queue, &['a']);
        queue.deliver(|_, _| Offered::Sent(0.into()));
        queue.settle('a', 0.into(), None);
        assert_eq!(queue.waiting[&0].stored, odd);
    }
}
