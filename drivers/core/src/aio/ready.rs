//! Which of the many things that one task waits for has happened.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Mail,
    /// By its place in the table, as all below.
    Stream(usize),
    Dial(usize),
    Listener(usize),
}

/// The places that were woken and not looked at since. So a task polls what is ready and nothing else, however much there
/// is.
#[derive(Debug, Default)]
pub(super) struct Ready(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    places: Vec<Arc<PlaceWaker>>,
    /// The task, while it sleeps.
    task: Option<Waker>,
}

#[derive(Debug)]
struct PlaceWaker {
    place: Place,
    is_queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Ready {
    /// What wakes this place.
    pub(super) fn waker(self: &Arc<Self>, place: Place) -> Waker {
        Arc::new(PlaceWaker { place, is_queued: AtomicBool::new(false), ready: Arc::clone(self) }).into()
    }

    /// Takes what was woken, in that order. What is woken from now on is there the next time.
    pub(super) fn take(&self, places: &mut Vec<Place>) {
        let woken = {
            let mut queue = self.lock();
            queue.task = None;
            mem::take(&mut queue.places)
        };
        places.clear();
        for waker in &woken {
            waker.is_queued.store(false, Ordering::Release);
            places.push(waker.place);
        }
        self.recycle(woken);
    }

    /// Keeps the memory of the list.
    fn recycle(&self, mut woken: Vec<Arc<PlaceWaker>>) {
        woken.clear();
        let mut queue = self.lock();
        if queue.places.is_empty() && queue.places.capacity() < woken.capacity() {
            queue.places = woken;
        }
    }

    /// Has the task woken when something is woken, unless that is so already.
    pub(super) fn sleep(&self, task: &Waker) -> bool {
        let mut queue = self.lock();
        let sleeps = queue.places.is_empty();
        queue.task = sleeps.then(|| task.clone());
        sleeps
    }

    /// Nothing that runs under the lock panics.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for PlaceWaker {
    fn wake(self: Arc<Self>) {
        if self.is_queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let ready = Arc::clone(&self.ready);
        let task = {
            let mut queue = ready.lock();
            queue.places.push(self);
            queue.task.take()
        };
        task.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_place_is_told_once_and_wakes_a_task_that_sleeps() {
        let (ready, flag, mut places) = (Arc::new(Ready::default()), Arc::new(Flag::default()), Vec::new());
        let task = Waker::from(Arc::clone(&flag));
        let woken = || flag.0.swap(false, Ordering::Relaxed);
        let (first, second) = (ready.waker(Place::Stream(1)), ready.waker(Place::Dial(2)));
        second.wake_by_ref();
        first.wake_by_ref();
        second.wake_by_ref();
        assert!(!ready.sleep(&task), "there is something to do");
        ready.take(&mut places);
        assert_eq!(places, [Place::Dial(2), Place::Stream(1)]);
        assert!(!woken(), "it did not sleep");

        assert!(ready.sleep(&task));
        first.wake_by_ref();
        assert!(woken());
        second.wake();
        assert!(!woken(), "it is awake already");
        ready.take(&mut places);
        assert_eq!(places, [Place::Stream(1), Place::Dial(2)]);
        ready.take(&mut places);
        assert_eq!(places, []);
    }
}
