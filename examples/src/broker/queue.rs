//! One queue: no link, socket or clock in it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
};

use amqp1_engine::{
    Instant,
    codec::Fields,
    message::{MessageView, Relay},
    types::DeliveryState,
};
use bytes::Bytes;

use super::{Selector, numbered::Numbered};

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
    /// From when on it is of no use (§3.2.1 ttl).
    pub expires: Option<Instant>,
}

/// What a consumer wants of a queue: without more said, each message for itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interest {
    /// Only messages that this selects (§3.5.1).
    pub selector: Option<Selector>,
    /// Messages stay for the others: it browses (§3.5.7 copy). It sees each message once that waits or comes to wait,
    /// whatever it says of it.
    pub copies: bool,
}

/// What became of a message that was offered to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// Sent: the consumer will tell its outcome, by a number above those of what was sent to it before.
    Sent(u64),
    /// Sent, and gone from the queue.
    SentSettled,
    /// The consumer cannot take any message until it is [ready](Queue::ready) again.
    NotNow,
    /// The consumer can never take this message.
    Never,
}

/// From how many messages that are there a consumer may have barred itself: by refusing them for good, or because they are
/// longer than it takes.
pub(super) const MAX_BARRED: usize = 1_000;

/// The queue holds twice its bound: its producers do not heed their credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun;

/// Messages in the order of their arrival, and who consumes them.
///
/// A message that was sent stays until its consumer has told the outcome; until then it counts. What comes back goes before
/// all that was not sent yet, in the order of its return.
///
/// Each consumer walks the queue once, from the front: it remembers how far it has looked, and looks again only at what has
/// come back since. So a selector costs one look at each message, however few it selects.
#[derive(Debug)]
pub struct Queue<C> {
    bound: Bound,
    max_failures: u32,
    messages: usize,
    bytes: usize,
    arrived: u64,
    waiting: Numbered<Entry>,
    /// Places of those among them that came back, in the order of their return.
    returned: BTreeMap<u64, u64>,
    returns: u64,
    /// Those among them that expire, by moment and place.
    expiring: BTreeSet<(Instant, u64)>,
    consumers: BTreeMap<C, Consumer>,
    /// Consumers that are ready, and such that were; the first has its turn.
    turns: VecDeque<C>,
    /// Whether a message or a consumer has come since all who are ready were offered what there is.
    has_news: bool,
    /// Consumers that have barred themselves from too many messages, until somebody asks.
    excluded: Vec<C>,
    looks: u64,
}

/// A message that was sent to a consumer, while what becomes of it is not decided. It counts like one that waits.
#[derive(Debug)]
pub struct Held {
    place: u64,
    entry: Entry,
}

#[derive(Debug)]
struct Entry {
    stored: Stored,
    failures: u32,
    /// The number of its last return.
    returned: Option<u64>,
    /// Whether there is a consumer to which it must not go again.
    is_barred: bool,
}

#[derive(Debug)]
struct Consumer {
    interest: Interest,
    is_ready: bool,
    /// Whether it stands among those that have turns.
    has_turn: bool,
    unsettled: Numbered<Held>,
    /// It has looked at all places before this one, and at all returns before that one.
    next: u64,
    next_return: u64,
    /// Places of messages that must not come to it again.
    barred: BTreeSet<u64>,
}

impl<C: Copy + Ord> Queue<C> {
    /// An empty queue that nobody consumes. A message is dropped when its delivery fails more often than `max_failures`
    /// times.
    #[must_use]
    pub const fn new(bound: Bound, max_failures: u32) -> Self {
        Self {
            bound,
            max_failures,
            messages: 0,
            bytes: 0,
            arrived: 0,
            waiting: Numbered::new(),
            returned: BTreeMap::new(),
            returns: 0,
            expiring: BTreeSet::new(),
            consumers: BTreeMap::new(),
            turns: VecDeque::new(),
            has_news: false,
            excluded: Vec::new(),
            looks: 0,
        }
    }

    /// What it holds, what is out for delivery included.
    #[must_use]
    pub const fn size(&self) -> Bound {
        Bound { messages: self.messages, bytes: self.bytes }
    }

    /// Whether no message is here or out for delivery.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// How many more messages there is room for: with none, producers get no more credit.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.bound.room(self.size())
    }

    /// Whether half of the bound is free: producers that had to wait get credit again.
    #[must_use]
    pub const fn is_half_free(&self) -> bool {
        self.bound.is_half_free(self.size())
    }

    /// Whether it holds twice its bound, and takes no more.
    #[must_use]
    pub const fn is_overrun(&self) -> bool {
        self.bound.is_overrun(self.size())
    }

    /// Adds a message at the end. Credit granted before the queue was full may be used.
    ///
    /// # Errors
    ///
    /// [`Overrun`]: the message was not taken.
    pub fn push(&mut self, stored: Stored) -> Result<(), Overrun> {
        self.reserve(&stored)?;
        self.publish(stored);
        Ok(())
    }

    /// Keeps room for a message that may be [published](Self::publish) or [given up](Self::give_up) later.
    ///
    /// # Errors
    ///
    /// [`Overrun`]: there is no room.
    pub fn reserve(&mut self, stored: &Stored) -> Result<(), Overrun> {
        if self.is_overrun() {
            return Err(Overrun);
        }
        self.messages += 1;
        self.bytes += stored.payload.len();
        Ok(())
    }

    /// Adds a message for which there is room at the end.
    pub fn publish(&mut self, stored: Stored) {
        let place = self.arrived;
        self.arrived += 1;
        self.wait(place, Entry { stored, failures: 0, returned: None, is_barred: false });
    }

    /// Gives the room for a message back.
    pub fn give_up(&mut self, stored: &Stored) {
        self.messages -= 1;
        self.bytes -= stored.payload.len();
    }

    /// Drops what is of no use any more of that which waits: whether there was anything. What is out for delivery is dropped
    /// when it comes back.
    //= 3.2.1-12
    pub fn expire(&mut self, now: Instant) -> bool {
        let before = self.waiting.len();
        while let Some(&(expires, place)) = self.expiring.first()
            && expires <= now
        {
            if let Some(entry) = self.take(place) {
                self.forget(place, &entry);
            }
        }
        self.waiting.len() < before
    }

    /// When the first message that waits is of no use any more.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        self.expiring.first().map(|&(expires, _)| expires)
    }

    /// Adds a consumer that is not ready yet.
    pub fn subscribe(&mut self, id: C, interest: Interest) {
        let consumer = Consumer {
            interest,
            is_ready: false,
            has_turn: false,
            unsettled: Numbered::new(),
            next: 0,
            next_return: self.returns,
            barred: BTreeSet::new(),
        };
        self.consumers.insert(id, consumer);
    }

    /// Removes a consumer. What it has not settled comes back as a failed delivery.
    pub fn unsubscribe(&mut self, id: C) {
        let Some(consumer) = self.consumers.remove(&id) else { return };
        if consumer.has_turn {
            self.turns.retain(|&turn| turn != id);
        }
        let mut unsettled: Vec<Held> = consumer.unsettled.into_items().collect();
        unsettled.sort_unstable_by_key(|held| held.place);
        for Held { place, entry } in unsettled {
            self.put_back(place, entry, true, None);
        }
    }

    /// The consumer can take messages: it gets its turn after those that are ready already.
    pub fn ready(&mut self, id: C) {
        self.has_news = true;
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.is_ready = true;
            if !mem::replace(&mut consumer.has_turn, true) {
                self.turns.push_back(id);
            }
        }
    }

    /// The consumer cannot take any message until it is [ready](Self::ready) again.
    pub fn rest(&mut self, id: C) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.is_ready = false;
        }
    }

    /// Offers messages to the consumers that are ready, one to each in turn, until there are no more of either: whether there
    /// was anything new to offer, or to offer to.
    pub fn deliver(&mut self, mut offer: impl FnMut(C, &Stored) -> Offered) -> bool {
        if !mem::take(&mut self.has_news) {
            return false;
        }
        let mut in_vain = 0;
        while in_vain < self.turns.len() && !self.waiting.is_empty() {
            let Some(id) = self.turns.pop_front() else { break };
            let Some(place) = self.find(id) else {
                self.turns.push_back(id);
                in_vain += 1;
                continue;
            };
            let (Some(consumer), Some(entry)) = (self.consumers.get_mut(&id), self.waiting.get_mut(place))
            else {
                continue;
            };
            if !consumer.is_ready {
                consumer.has_turn = false;
                continue;
            }
            match offer(id, &entry.stored) {
                Offered::NotNow => {
                    (consumer.is_ready, consumer.has_turn) = (false, false);
                    continue;
                }
                Offered::Never => {
                    entry.is_barred = true;
                    if consumer.bar(place) {
                        (consumer.is_ready, consumer.has_turn) = (false, false);
                        self.excluded.push(id);
                    } else {
                        self.turns.push_front(id);
                    }
                    continue;
                }
                _ if consumer.interest.copies => consumer.next = place + 1,
                Offered::Sent(number) => {
                    if let Some(entry) = self.take(place)
                        && let Some(consumer) = self.consumers.get_mut(&id)
                    {
                        consumer.unsettled.insert(number, Held { place, entry });
                    }
                }
                Offered::SentSettled => {
                    if let Some(entry) = self.take(place) {
                        self.forget(place, &entry);
                    }
                }
            }
            self.turns.push_back(id);
            in_vain = 0;
        }
        true
    }

    /// Whether a message waits that may go to this consumer.
    #[must_use]
    pub fn has_for(&mut self, id: C) -> bool {
        self.find(id).is_some()
    }

    /// Whether a consumer takes messages for itself.
    #[must_use]
    pub fn acquires(&self, id: C) -> bool {
        self.consumers.get(&id).is_some_and(|consumer| !consumer.interest.copies)
    }

    /// How many messages wait for a consumer; nothing if it selects or browses, for whom nobody has counted.
    #[must_use]
    pub fn available(&self, id: C) -> Option<usize> {
        let consumer = self.consumers.get(&id)?;
        (consumer.interest == Interest::default()).then_some(self.waiting.len())
    }

    /// Consumers that have barred themselves from more messages than they may, a thousand, since this was asked last: it is time
    /// that they go.
    pub fn take_excluded(&mut self) -> Vec<C> {
        mem::take(&mut self.excluded)
    }

    /// How often a consumer has looked at a message so far, to take it or to pass on.
    #[must_use]
    pub const fn looks(&self) -> u64 {
        self.looks
    }

    /// Takes the outcome of a message that was sent (§3.4). Without one, a failed delivery is meant.
    pub fn settle(&mut self, id: C, number: u64, outcome: Option<&DeliveryState>) {
        if let Some(held) = self.hold(id, number) {
            self.apply(id, held, outcome);
        }
    }

    /// Takes a message that was sent to a consumer out of its hands, until its outcome [applies](Self::apply) or it is
    /// [restored](Self::restore).
    pub fn hold(&mut self, id: C, number: u64) -> Option<Held> {
        self.consumers.get_mut(&id)?.unsettled.remove(number)
    }

    /// Puts a message back into the hands of its consumer; where that is gone, its delivery has failed.
    pub fn restore(&mut self, id: C, number: u64, held: Held) {
        match self.consumers.get_mut(&id) {
            Some(consumer) => consumer.unsettled.insert(number, held),
            None => self.apply(id, held, None),
        }
    }

    /// Does what an outcome says of a message that was sent to a consumer (§3.4). Without one, a failed delivery is meant.
    pub fn apply(&mut self, id: C, held: Held, outcome: Option<&DeliveryState>) {
        let Held { place, mut entry } = held;
        match outcome {
            //= 3.4.3-03 3.5.2-02
            Some(DeliveryState::Accepted | DeliveryState::Rejected(_)) => self.forget(place, &entry),
            //= 3.4.4-01 3.4.4-02
            Some(DeliveryState::Released) => self.put_back(place, entry, false, None),
            Some(DeliveryState::Modified(modified)) => {
                //= 3.4.5-07
                if modified.undeliverable_here.unwrap_or(false)
                    && let Some(consumer) = self.consumers.get_mut(&id)
                {
                    entry.is_barred = true;
                    if consumer.bar(place) {
                        self.excluded.push(id);
                    }
                }
                //= 3.4.5-06
                let failed = modified.delivery_failed.unwrap_or(false);
                self.put_back(place, entry, failed, modified.message_annotations.as_ref());
            }
            _ => self.put_back(place, entry, true, None),
        }
    }

    /// The next message for a consumer, of those that came back first. What it does not want it does not look at again.
    fn find(&mut self, id: C) -> Option<u64> {
        let consumer = self.consumers.get_mut(&id)?;
        let (mut looks, mut found) = (0, None);
        // What a browser has passed it has seen, or somebody else has had it by then.
        //= 3.5.2-04
        let from = if consumer.interest.copies { self.returns } else { consumer.next_return };
        for (&number, &place) in self.returned.range(from..) {
            // What is still ahead comes in its place.
            if place < consumer.next {
                looks += 1;
                if self.waiting.get(place).is_some_and(|entry| consumer.wants(place, entry)) {
                    found = Some(place);
                    break;
                }
            }
            consumer.next_return = number + 1;
        }
        if found.is_none() {
            for (place, entry) in self.waiting.from(consumer.next) {
                looks += 1;
                consumer.next = place;
                if consumer.wants(place, entry) {
                    found = Some(place);
                    break;
                }
                consumer.next = place + 1;
            }
        }
        self.looks += looks;
        found
    }

    /// Puts a message among those that wait.
    fn wait(&mut self, place: u64, entry: Entry) {
        if let Some(expires) = entry.stored.expires {
            self.expiring.insert((expires, place));
        }
        self.waiting.insert(place, entry);
        self.has_news = true;
    }

    /// Takes a message from those that wait.
    fn take(&mut self, place: u64) -> Option<Entry> {
        let entry = self.waiting.remove(place)?;
        if let Some(number) = entry.returned {
            self.returned.remove(&number);
        }
        if let Some(expires) = entry.stored.expires {
            self.expiring.remove(&(expires, place));
        }
        Some(entry)
    }

    /// A message comes back to its place, unless its delivery has failed too often.
    fn put_back(&mut self, place: u64, mut entry: Entry, failed: bool, annotations: Option<&Fields>) {
        entry.failures = entry.failures.saturating_add(failed.into());
        if entry.failures > self.max_failures {
            return self.forget(place, &entry);
        }
        self.rewrite(&mut entry, failed, annotations);
        entry.returned = Some(self.returns);
        self.returned.insert(self.returns, place);
        self.returns += 1;
        self.wait(place, entry);
    }

    /// Writes the head of a message that comes back anew, where it has to say something else: somebody acquired the
    /// message. What is no message as in §3.2 stays as it is.
    fn rewrite(&mut self, entry: &mut Entry, failed: bool, annotations: Option<&Fields>) {
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
            let _ = relay.annotate(annotations);
        }
        self.bytes -= entry.stored.payload.len();
        entry.stored.payload = relay.payload().into_bytes();
        self.bytes += entry.stored.payload.len();
    }

    fn forget(&mut self, place: u64, entry: &Entry) {
        self.messages -= 1;
        self.bytes -= entry.stored.payload.len();
        if entry.is_barred {
            for consumer in self.consumers.values_mut() {
                consumer.barred.remove(&place);
            }
        }
    }
}

impl Consumer {
    /// Bars it from a message: whether that is one too many.
    fn bar(&mut self, place: u64) -> bool {
        self.barred.insert(place);
        self.barred.len() > MAX_BARRED
    }

    fn wants(&self, place: u64, entry: &Entry) -> bool {
        if self.barred.contains(&place) {
            return false;
        }
        //= 3.5.1-02
        let Some(selector) = &self.interest.selector else { return true };
        entry.stored.is_selected(selector)
    }
}

impl Stored {
    /// Whether a selector selects it. Bytes of an application's own format have nothing that it could ask for.
    #[must_use]
    pub fn is_selected(&self, selector: &Selector) -> bool {
        self.message_format == 0
            && MessageView::scan(&self.payload).is_ok_and(|message| selector.selects(&message))
    }
}

impl Bound {
    /// How many more messages there is room for, if they are as long as those that are there on an average.
    pub(super) const fn room(self, held: Self) -> usize {
        let messages = self.messages.saturating_sub(held.messages);
        let bytes = self.bytes.saturating_sub(held.bytes);
        if messages == 0 || bytes == 0 || held.messages == 0 || held.bytes == 0 {
            return if bytes == 0 { 0 } else { messages };
        }
        // One at least: its length is not known.
        let average = held.bytes.div_ceil(held.messages);
        let fit = bytes / average;
        if fit == 0 {
            1
        } else if fit < messages {
            fit
        } else {
            messages
        }
    }

    pub(super) const fn is_half_free(self, held: Self) -> bool {
        held.messages <= self.messages / 2 && held.bytes <= self.bytes / 2
    }

    pub(super) const fn is_overrun(self, held: Self) -> bool {
        held.messages >= self.messages.saturating_mul(2) || held.bytes >= self.bytes.saturating_mul(2)
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
        Stored { payload: payload.into(), message_format: 0, expires: None }
    }

    fn queue_of(texts: &[&str]) -> Queue<char> {
        let mut queue = Queue::new(AMPLE, 9);
        for text in texts {
            queue.push(stored(text)).unwrap();
        }
        queue
    }

    fn oldest(queue: &Queue<char>) -> &Entry {
        queue.waiting.get(0).unwrap()
    }

    fn barred(queue: &Queue<char>) -> usize {
        queue.consumers[&'a'].barred.len()
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
            Offered::Sent(*next_tag - 1)
        });
        got
    }

    fn sent(got: &[(char, &str)]) -> Vec<(char, String)> {
        got.iter().map(|&(id, text)| (id, text.to_owned())).collect()
    }

    fn subscribe(queue: &mut Queue<char>, ids: &[char]) {
        for &id in ids {
            queue.subscribe(id, Interest::default());
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
    fn what_comes_back_goes_before_what_was_never_sent() {
        let mut queue = queue_of(&["1", "2", "3", "4"]);
        subscribe(&mut queue, &['a', 'b']);
        let mut credit = BTreeMap::from([('a', 2), ('b', 1)]);
        assert_eq!(deliver(&mut queue, &mut credit, &mut 0), sent(&[('a', "1"), ('b', "2"), ('a', "3")]));
        queue.settle('a', 2, Some(&DeliveryState::Released));
        queue.settle('b', 1, Some(&DeliveryState::Accepted));
        queue.unsubscribe('a');
        credit.insert('b', 9);
        queue.ready('b');
        let mut seen = Vec::new();
        queue.deliver(|_, stored| {
            seen.push((text(stored), failures(stored)));
            Offered::SentSettled
        });
        let expected =
            [("3", None), ("1", Some(1)), ("4", None)].map(|(text, count)| (text.to_owned(), count));
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
            queue.deliver(|_, _| Offered::Sent(7));
            queue.settle('a', 8, Some(&DeliveryState::Accepted));
            assert!(!queue.is_empty(), "no such tag");
            queue.settle('a', 7, outcome.as_ref());
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
        let before = oldest(&queue).stored.clone();
        subscribe(&mut queue, &['a']);
        queue.deliver(|_, _| Offered::Sent(0));
        let seen = Symbol::from_static("x-opt-seen");
        let annotations = [(Value::Symbol(seen), Value::Bool(true))].into_iter().collect();
        let modified = Modified { message_annotations: Some(annotations), ..Modified::default() };
        queue.settle('a', 0, Some(&DeliveryState::Modified(Box::new(modified))));
        let after = MessageView::scan(&oldest(&queue).stored.payload).unwrap();
        assert!(after.message_annotations().get("x-opt-seen").unwrap().is_some());
        assert_eq!(after.header().unwrap(), Header::default());
        assert_eq!(after.bare(), MessageView::scan(&before.payload).unwrap().bare());
        assert_eq!(queue.bytes, oldest(&queue).stored.payload.len());
    }

    //= 3.4.5-06
    #[test]
    fn a_failed_delivery_counts_whatever_else_the_consumer_asks_for() {
        let mut queue = queue_of(&["kept"]);
        subscribe(&mut queue, &['a']);
        queue.deliver(|_, _| Offered::Sent(0));
        let no_annotations = [(Value::from("no symbol"), Value::Bool(true))].into_iter().collect();
        let modified = Modified {
            delivery_failed: Some(true),
            message_annotations: Some(no_annotations),
            ..Modified::default()
        };
        queue.settle('a', 0, Some(&DeliveryState::Modified(Box::new(modified))));
        let stored = &oldest(&queue).stored;
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
            let mut queue = Queue::new(AMPLE, 9);
            queue.push(Stored { payload: payload.into(), message_format: 0, expires: None }).unwrap();
            subscribe(&mut queue, &['a']);
            let mut first = Vec::new();
            for tag in 0..2 {
                queue.deliver(|_, stored| {
                    let header = MessageView::scan(&stored.payload).unwrap().header().unwrap();
                    first.push(header.first_acquirer.unwrap());
                    Offered::Sent(tag)
                });
                queue.settle('a', tag, outcome.as_ref());
            }
            assert_eq!(first, [true, false], "{outcome:?}");
            assert_eq!(queue.bytes, oldest(&queue).stored.payload.len());
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
        queue.settle('a', 0, Some(&DeliveryState::Modified(Box::new(not_here))));
        assert_eq!(barred(&queue), 1);
        credit.insert('a', 9);
        queue.ready('a');
        assert_eq!(deliver(&mut queue, &mut credit, &mut 1), sent(&[('a', "2")]));
        assert!(!queue.has_for('a'));
        assert_eq!(queue.waiting.len(), 1);
        subscribe(&mut queue, &['b']);
        credit.insert('b', 9);
        assert_eq!(deliver(&mut queue, &mut credit, &mut 0), sent(&[('b', "1")]));
        queue.settle('b', 0, Some(&DeliveryState::Accepted));
        assert_eq!(barred(&queue), 0, "the message is gone");
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
    fn a_consumer_that_can_take_nothing_is_not_asked_for_ever() {
        let mut queue = Queue::new(Bound { messages: 5_000, bytes: 1_000_000 }, 9);
        (0..5_000).for_each(|_| queue.push(stored("long")).unwrap());
        subscribe(&mut queue, &['a']);
        let mut asked = 0;
        queue.deliver(|_, _| {
            asked += 1;
            Offered::Never
        });
        assert_eq!((asked, queue.take_excluded()), (MAX_BARRED + 1, vec!['a']));
        assert_eq!((queue.take_excluded(), barred(&queue)), (vec![], MAX_BARRED + 1));
        queue.unsubscribe('a');
        subscribe(&mut queue, &['b']);
        queue.deliver(|_, _| Offered::SentSettled);
        assert!(queue.is_empty(), "another gets them all");
    }

    #[test]
    fn nobody_is_asked_again_while_nothing_is_new() {
        let mut queue = queue_of(&["a", "b"]);
        let red = Interest { selector: Some("colour = 'red'".parse().unwrap()), copies: false };
        queue.subscribe('s', red);
        queue.ready('s');
        assert!(queue.deliver(|_, _| Offered::Never), "it selects neither");
        subscribe(&mut queue, &['a']);
        let mut number = 0;
        let mut send = |_, _: &Stored| {
            number += 1;
            Offered::Sent(number)
        };
        assert!(queue.deliver(&mut send));
        queue.settle('a', 1, Some(&DeliveryState::Accepted));
        assert!(!queue.deliver(&mut send), "an outcome that takes a message away is no news");
        queue.settle('a', 2, Some(&DeliveryState::Released));
        assert!(queue.deliver(&mut send), "one that comes back is");
        queue.ready('a');
        assert!(queue.deliver(&mut send), "and so is a consumer");
    }

    #[test]
    fn the_bound_is_of_messages_and_of_bytes() {
        let mut queue = Queue::new(Bound { messages: 4, ..AMPLE }, 9);
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
            Offered::Sent(tag)
        });
        assert_eq!(queue.room(), 0, "what is out for delivery counts");
        for tag in 1..=6 {
            queue.settle('a', tag, Some(&DeliveryState::Accepted));
        }
        assert!(queue.is_half_free());

        let mut queue = Queue::<char>::new(Bound { bytes: 10, ..AMPLE }, 9);
        queue.push(stored("a message of more than ten bytes")).unwrap();
        assert_eq!(queue.room(), 0);
        assert_eq!(queue.push(stored("m")), Err(Overrun));
    }

    #[test]
    fn room_is_for_messages_as_long_as_those_that_are_there() {
        let bound = Bound { messages: 100, bytes: 1_000 };
        for (messages, bytes, room) in [
            (0, 0, 100),
            (1, 10, 99),
            (1, 100, 9),
            (3, 500, 2),
            (1, 999, 1),
            (1, 1_000, 0),
            (100, 0, 0),
            (7, 0, 93),
        ] {
            assert_eq!(bound.room(Bound { messages, bytes }), room, "{messages} of {bytes}");
        }
    }

    #[test]
    fn bytes_of_an_unknown_format_are_never_changed() {
        let odd = Stored { payload: Bytes::from_static(b"\0odd"), message_format: 9, expires: None };
        let mut queue = Queue::new(AMPLE, 9);
        queue.push(odd.clone()).unwrap();
        subscribe(&mut queue, &['a']);
        queue.deliver(|_, _| Offered::Sent(0));
        queue.settle('a', 0, None);
        assert_eq!(oldest(&queue).stored, odd);
    }

    /// A message whose text is its colour, too.
    fn coloured(colour: &str) -> Stored {
        let mut payload = Vec::new();
        Message::from(colour).with_property("colour", colour).encode(&mut payload);
        Stored { payload: payload.into(), message_format: 0, expires: None }
    }

    fn selecting(selector: &str) -> Interest {
        Interest { selector: Some(selector.parse().unwrap()), copies: false }
    }

    const BROWSING: Interest = Interest { selector: None, copies: true };

    /// Delivers all it can to consumers that settle at once, and tells who got what.
    fn deliver_all(queue: &mut Queue<char>) -> Vec<(char, String)> {
        let mut got = Vec::new();
        queue.deliver(|id, stored| {
            got.push((id, text(stored)));
            Offered::SentSettled
        });
        got
    }

    //= 3.5.8-03
    #[test]
    fn a_selector_leaves_the_rest_to_the_others() {
        let mut queue = Queue::new(AMPLE, 9);
        for colour in ["green", "red", "green", "blue", "red"] {
            queue.push(coloured(colour)).unwrap();
        }
        queue.push(Stored { message_format: 9, ..coloured("red") }).unwrap();
        queue.subscribe('a', selecting("colour = 'red'"));
        queue.ready('a');
        assert_eq!(deliver_all(&mut queue), sent(&[('a', "red"), ('a', "red")]));
        assert!(!queue.has_for('a'));
        queue.push(coloured("red")).unwrap();
        assert_eq!(deliver_all(&mut queue), sent(&[('a', "red")]));
        subscribe(&mut queue, &['b']);
        let rest = deliver_all(&mut queue);
        assert_eq!(rest, sent(&[('b', "green"), ('b', "green"), ('b', "blue"), ('b', "red")]));
        assert!(queue.is_empty());
    }

    //= 3.5.1-02
    #[test]
    fn a_selector_looks_at_each_message_once_however_few_it_selects() {
        const MESSAGES: u64 = 100_000;
        let mut queue = Queue::new(Bound { messages: MESSAGES as usize, bytes: 1 << 30 }, 9);
        let (red, green) = (coloured("red"), coloured("green"));
        for n in 0..MESSAGES {
            queue.push(if n % 100 == 99 { green.clone() } else { red.clone() }).unwrap();
        }
        queue.subscribe('a', selecting("colour = 'green'"));
        let (mut received, mut tag) = (0, 0);
        while received < MESSAGES / 100 {
            let mut credit = 10;
            queue.ready('a');
            queue.deliver(|_, _| {
                if credit == 0 {
                    return Offered::NotNow;
                }
                (credit, received, tag) = (credit - 1, received + 1, tag + 1);
                Offered::Sent(tag - 1)
            });
            if received == 10 {
                assert!(queue.looks() <= 1_100, "it begins where the first ones are: {}", queue.looks());
            }
            for settled in tag - 10..tag {
                queue.settle('a', settled, Some(&DeliveryState::Accepted));
            }
        }
        // One that there is no credit for is looked at again once there is.
        assert!(queue.looks() <= MESSAGES + MESSAGES / 1_000, "{}", queue.looks());
        queue.ready('a');
        assert!(deliver_all(&mut queue).is_empty());
        let before = queue.looks();
        queue.push(red).unwrap();
        assert!(deliver_all(&mut queue).is_empty());
        assert_eq!(queue.looks(), before + 1);
    }

    #[test]
    fn what_comes_back_is_seen_by_those_who_had_passed_it() {
        let mut queue = Queue::new(AMPLE, 9);
        for colour in ["red", "green", "red"] {
            queue.push(coloured(colour)).unwrap();
        }
        subscribe(&mut queue, &['a']);
        let mut credit = BTreeMap::from([('a', 2)]);
        deliver(&mut queue, &mut credit, &mut 0);
        queue.subscribe('b', selecting("colour = 'green'"));
        queue.ready('b');
        assert!(deliver_all(&mut queue).is_empty());
        let looks = queue.looks();
        queue.settle('a', 0, Some(&DeliveryState::Released));
        queue.settle('a', 1, None);
        assert_eq!(deliver_all(&mut queue), sent(&[('b', "green")]));
        assert_eq!(queue.looks(), looks + 2, "what came back, and nothing else");
        assert!(queue.returned.len() == 1 && queue.waiting.len() == 2);
    }

    //= 3.5.2-04 3.5.7-02
    #[test]
    fn a_browser_sees_each_message_once_and_takes_none() {
        let mut queue = queue_of(&["1", "2", "3"]);
        subscribe(&mut queue, &['a']);
        let mut credit = BTreeMap::from([('a', 1)]);
        deliver(&mut queue, &mut credit, &mut 0);
        queue.subscribe('b', BROWSING);
        queue.ready('b');
        let mut tag = 10;
        let mut seen = Vec::new();
        queue.deliver(|id, stored| {
            assert_eq!(id, 'b', "the other has no credit");
            seen.push(text(stored));
            tag += 1;
            Offered::Sent(tag)
        });
        assert_eq!(seen, ["2", "3"], "one is out");
        for (tag, outcome) in [(11, Some(DeliveryState::Accepted)), (12, None)] {
            queue.settle('b', tag, outcome.as_ref());
        }
        queue.settle('a', 0, Some(&DeliveryState::Released));
        assert!(!queue.has_for('b'));
        queue.push(stored("4")).unwrap();
        assert!(queue.has_for('b'));
        queue.unsubscribe('b');
        queue.ready('a');
        assert_eq!(deliver_all(&mut queue).len(), 4, "all are there still");
    }

    #[test]
    fn a_browser_may_select() {
        let mut queue = Queue::new(AMPLE, 9);
        for colour in ["red", "green"] {
            queue.push(coloured(colour)).unwrap();
        }
        queue.subscribe('a', Interest { copies: true, ..selecting("colour = 'green'") });
        queue.ready('a');
        assert_eq!(deliver_all(&mut queue), sent(&[('a', "green")]));
        assert_eq!(queue.size().messages, 2);
    }

    //= 3.2.1-12
    #[test]
    fn m4_what_has_expired_is_dropped_wherever_it_is() {
        let moment = Instant::from_millis;
        let mut queue = queue_of(&["stays"]);
        for expires in [5, 7, 9] {
            queue.push(Stored { expires: Some(moment(expires)), ..stored("goes") }).unwrap();
        }
        assert_eq!(queue.next_expiry(), Some(moment(5)));
        queue.expire(moment(4));
        assert_eq!(queue.size().messages, 4);
        queue.expire(moment(5));
        assert_eq!(queue.size().messages, 3);
        subscribe(&mut queue, &['a']);
        let mut credit = BTreeMap::from([('a', 3)]);
        deliver(&mut queue, &mut credit, &mut 0);
        queue.expire(moment(20));
        assert_eq!((queue.size().messages, queue.next_expiry()), (3, None), "it may be on its way");
        queue.unsubscribe('a');
        queue.expire(moment(20));
        assert_eq!(queue.size().messages, 1);
        subscribe(&mut queue, &['b']);
        assert_eq!(deliver_all(&mut queue), sent(&[('b', "stays")]));
        assert_eq!(queue.size(), Bound { messages: 0, bytes: 0 });
    }

    #[test]
    fn a_message_whose_delivery_fails_too_often_is_dropped() {
        let mut queue = Queue::new(AMPLE, 2);
        queue.push(stored("poison")).unwrap();
        queue.push(Stored { message_format: 9, ..stored("poison of another format") }).unwrap();
        subscribe(&mut queue, &['a']);
        let mut delivered = 0;
        for _ in 0..10 {
            let mut tags = Vec::new();
            queue.deliver(|_, _| {
                tags.push(delivered);
                delivered += 1;
                Offered::Sent(delivered - 1)
            });
            for (n, tag) in tags.into_iter().enumerate() {
                // Released is not failed.
                let released = (n == 0 && tag == 0).then_some(DeliveryState::Released);
                queue.settle('a', tag, released.as_ref());
            }
        }
        assert_eq!(delivered, 1 + 2 * 3);
        assert_eq!(queue.size(), Bound { messages: 0, bytes: 0 });
    }

    #[test]
    fn a_consumer_that_leaves_takes_its_bars_along() {
        let mut queue = queue_of(&["1"]);
        for _ in 0..3 {
            subscribe(&mut queue, &['a']);
            queue.deliver(|_, _| Offered::Never);
            assert_eq!(barred(&queue), 1);
            queue.unsubscribe('a');
        }
        subscribe(&mut queue, &['a']);
        assert_eq!(deliver_all(&mut queue), sent(&[('a', "1")]));
    }
}
