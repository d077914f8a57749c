//! Events from other threads.

use std::{
    any::Any,
    collections::VecDeque,
    error::Error,
    fmt, io, mem,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use amqp1_engine::container::IoId;

/// What a host's name was found to mean.
pub type Found = io::Result<Vec<SocketAddr>>;

/// What other threads have for the container's thread.
pub enum Mail {
    /// An event of the application's.
    Event(Box<dyn Any + Send>),
    /// The addresses of the host that this byte stream is to go to.
    Found(IoId, Found),
}

/// Where other threads leave what they have for the container's thread.
pub struct Mailbox {
    queue: Mutex<Queue>,
    /// How many events may wait.
    capacity: usize,
    /// There is none before the container polls.
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct Queue {
    mail: VecDeque<Mail>,
    closed: bool,
}

impl Mailbox {
    /// An empty one for so many events.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { queue: Mutex::default(), capacity, wake: OnceLock::new() }
    }

    /// Wakes its taker from now on, and for what is here already. `wake` is called by any thread, whenever there is mail
    /// after there was none, and must not wait.
    pub fn open(&self, wake: impl Fn() + Send + Sync + 'static) {
        wake();
        self.wake.get_or_init(|| Box::new(wake));
    }

    fn put_event(&self, event: Box<dyn Any + Send>) -> Result<(), InjectError> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(InjectError::Stopped);
        }
        if queue.mail.len() >= self.capacity {
            return Err(InjectError::Full);
        }
        self.put(&mut queue, Mail::Event(event));
        Ok(())
    }

    /// Leaves the addresses of a host.
    pub fn put_found(&self, io: IoId, found: Found) {
        self.put(&mut self.lock(), Mail::Found(io, found));
    }

    fn put(&self, queue: &mut Queue, mail: Mail) {
        if queue.mail.is_empty() {
            self.wake();
        }
        queue.mail.push_back(mail);
    }

    /// Hands over the mail, oldest first, until one comes back: it stays, and wakes its taker again.
    pub fn take(&self, mut take: impl FnMut(Mail) -> Option<Mail>) {
        let mut queue = self.lock();
        while let Some(mail) = queue.mail.pop_front() {
            if let Some(mail) = take(mail) {
                queue.mail.push_front(mail);
                self.wake();
                break;
            }
        }
    }

    fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    /// Refuses events from now on and drops those that wait.
    pub fn close(&self) {
        let rest = mem::replace(&mut *self.lock(), Queue { closed: true, ..Queue::default() });
        // Events are dropped without the lock: their code is the application's.
        drop(rest);
    }

    /// What runs while the lock is held leaves the queue whole at every step, so that poison does not matter.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

/// Sends events of the application into a running container from any thread.
///
/// Each event arrives at [`Handler::on_injected`](amqp1_engine::container::Handler::on_injected), in the container's thread and in the order
/// of injection.
#[derive(Clone)]
pub struct Injector(Arc<Mailbox>);

impl Injector {
    /// One for the container that takes from this mailbox.
    #[must_use]
    pub const fn new(mailbox: Arc<Mailbox>) -> Self {
        Self(mailbox)
    }

    /// Queues an event and wakes the container. Never waits.
    ///
    /// # Errors
    /// [`InjectError::Full`] when as many events wait already as the container's
    /// [options](amqp1_engine::container::ContainerOptions::injected_events) allow, [`InjectError::Stopped`] when the
    /// container is gone.
    pub fn inject(&self, event: impl Any + Send) -> Result<(), InjectError> {
        self.0.put_event(Box::new(event))
    }
}

impl fmt::Debug for Injector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Injector").finish_non_exhaustive()
    }
}

/// Why an event was not injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InjectError {
    /// Too many events wait: try again when the container has handled some.
    Full,
    /// The container has stopped or is gone.
    Stopped,
}

impl fmt::Display for InjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too many events wait for the container",
            Self::Stopped => "the container has stopped",
        })
    }
}

impl Error for InjectError {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn take(mailbox: &Mailbox, count: usize) -> Vec<u32> {
        let mut events = Vec::new();
        mailbox.take(|mail| match mail {
            Mail::Event(event) if events.len() < count => {
                events.push(*event.downcast().unwrap());
                None
            }
            mail => Some(mail),
        });
        events
    }

    #[test]
    fn events_wait_in_order_and_wake_until_taken() {
        let injector = Injector(Arc::new(Mailbox::new(10)));
        injector.inject(0_u32).unwrap();
        let woken = Arc::new(AtomicBool::new(false));
        let is_woken = || woken.swap(false, Ordering::Relaxed);
        let wakes = Arc::clone(&woken);
        injector.0.open(move || wakes.store(true, Ordering::Relaxed));
        assert!(is_woken(), "it was injected before anybody polled");
        assert_eq!(take(&injector.0, 1), [0]);
        assert!(!is_woken());
        for event in 1..=3_u32 {
            injector.clone().inject(event).unwrap();
        }
        assert!(is_woken());
        assert_eq!(take(&injector.0, 2), [1, 2]);
        assert!(is_woken(), "one came back");
        assert_eq!(take(&injector.0, 2), [3]);
        assert!(!is_woken());
    }

    #[test]
    fn a_full_or_stopped_container_refuses() {
        let injector = Injector(Arc::new(Mailbox::new(2)));
        injector.inject(1_u32).unwrap();
        injector.inject(2_u32).unwrap();
        assert_eq!(injector.inject(3_u32), Err(InjectError::Full));
        injector.0.close();
        assert_eq!(injector.inject(4_u32), Err(InjectError::Stopped));
    }
}
