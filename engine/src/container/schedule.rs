//! Tasks in the order of their time.

use alloc::collections::BTreeMap;

use super::TaskId;
use crate::{
    Instant,
    arena::{Arena, Key},
};

/// What waits for its moment; of two with the same moment, the one scheduled first comes first.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    tasks: Arena<Entry<T>>,
    order: BTreeMap<(Instant, u64), Key>,
    scheduled: u64,
}

#[derive(Debug)]
struct Entry<T> {
    place: (Instant, u64),
    task: T,
}

impl<T> Schedule<T> {
    pub(super) const fn new() -> Self {
        Self { tasks: Arena::new(), order: BTreeMap::new(), scheduled: 0 }
    }

    pub(super) fn add(&mut self, at: Instant, task: T) -> TaskId {
        let place = (at, self.scheduled);
        self.scheduled += 1;
        let key = self.tasks.insert(Entry { place, task });
        self.order.insert(place, key);
        TaskId(key)
    }

    pub(super) fn cancel(&mut self, id: TaskId) -> Option<T> {
        let entry = self.tasks.remove(id.0)?;
        self.order.remove(&entry.place);
        Some(entry.task)
    }

    pub(super) fn clear(&mut self) {
        while let Some((_, key)) = self.order.pop_first() {
            self.tasks.remove(key);
        }
    }

    /// Takes the next task whose moment has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(TaskId, T)> {
        let (&(at, _), &key) = self.order.first_key_value()?;
        if at > now {
            return None;
        }
        self.order.pop_first();
        let entry = self.tasks.remove(key)?;
        Some((TaskId(key), entry.task))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.order.first_key_value().map(|(&(at, _), _)| at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_come_in_the_order_of_their_time_and_then_of_their_making() {
        let at = Instant::from_millis;
        let mut schedule = Schedule::new();
        schedule.add(at(20), "second");
        schedule.add(at(10), "first");
        schedule.add(at(20), "third");
        assert_eq!(schedule.deadline(), Some(at(10)));
        assert_eq!(schedule.pop_due(at(9)), None);
        assert_eq!(schedule.pop_due(at(30)).map(|due| due.1), Some("first"));
        assert_eq!(schedule.pop_due(at(30)).map(|due| due.1), Some("second"));
        assert_eq!(schedule.pop_due(at(30)).map(|due| due.1), Some("third"));
        assert!(schedule.is_empty());
    }

    #[test]
    fn a_cancelled_task_never_comes_and_its_id_is_stale() {
        let mut schedule = Schedule::new();
        let id = schedule.add(Instant::ZERO, ());
        assert_eq!(schedule.cancel(id), Some(()));
        assert_eq!(schedule.cancel(id), None);
        let other = schedule.add(Instant::ZERO, ());
        assert_eq!(schedule.cancel(id), None);
        assert_ne!(id, other);
        assert_eq!(schedule.deadline(), Some(Instant::ZERO));
    }
}
