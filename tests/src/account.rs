//! How much memory an engine under test holds, however many tests run beside it.

use std::{
    alloc::System,
    cell::RefCell,
    fmt,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tracking_allocator::{
    AllocationGroupId, AllocationGroupToken, AllocationRegistry, AllocationTracker, Allocator,
};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

/// How many engines may live at a time in one test program.
const ACCOUNTS: usize = 4_096;

/// What was allocated in the calls of one engine.
struct Page {
    /// Bytes that are not freed yet, by whomever.
    held: AtomicUsize,
    /// The most that were held since the last look.
    peak: AtomicUsize,
    allocations: AtomicUsize,
}

static BOOK: [Page; ACCOUNTS] = [const {
    Page { held: AtomicUsize::new(0), peak: AtomicUsize::new(0), allocations: AtomicUsize::new(0) }
}; ACCOUNTS];

struct Bookkeeper;

impl Bookkeeper {
    fn page(group: &AllocationGroupId) -> Option<&'static Page> {
        if *group == AllocationGroupId::ROOT { None } else { BOOK.get(group.as_usize().get()) }
    }
}

impl AllocationTracker for Bookkeeper {
    fn allocated(&self, _: usize, size: usize, _: usize, group: AllocationGroupId) {
        if let Some(page) = Self::page(&group) {
            let held = page.held.fetch_add(size, Relaxed) + size;
            page.peak.fetch_max(held, Relaxed);
            page.allocations.fetch_add(1, Relaxed);
        }
    }

    fn deallocated(&self, _: usize, size: usize, _: usize, from: AllocationGroupId, _: AllocationGroupId) {
        if let Some(page) = Self::page(&from) {
            page.held.fetch_sub(size, Relaxed);
        }
    }
}

/// What a piece of work cost.
#[derive(Debug)]
pub struct Cost {
    /// The most bytes that were held at a time, with those held before.
    pub peak: usize,
    /// How often it allocated.
    pub allocations: usize,
}

/// The account of one engine, charged with what is allocated within [`charge`](Self::charge) until that is freed,
/// by whomever.
pub(crate) struct Account {
    /// `None` while it is dropped.
    token: Option<AllocationGroupToken>,
    page: &'static Page,
}

thread_local! {
    /// Of accounts of this thread whose engines are gone.
    static CLOSED: RefCell<Vec<AllocationGroupToken>> = const { RefCell::new(Vec::new()) };
    /// The account of work that is not that of one engine.
    static HERE: RefCell<Account> = RefCell::new(Account::open());
}

/// Does a piece of work at the cost of this thread's account.
pub fn charge<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    HERE.with_borrow_mut(|account| account.charge(work))
}

/// The bytes charged to this thread's account that are not freed yet.
#[must_use]
pub fn held() -> usize {
    HERE.with_borrow(Account::held)
}

impl Account {
    /// An account that holds nothing.
    pub(crate) fn open() -> Self {
        let reused = CLOSED.with_borrow_mut(|closed| {
            let at = closed.iter().position(|token| page_of(token).held.load(Relaxed) == 0)?;
            Some(closed.swap_remove(at))
        });
        let token = reused.unwrap_or_else(Self::register);
        Self { page: page_of(&token), token: Some(token) }
    }

    fn register() -> AllocationGroupToken {
        static START: Once = Once::new();
        START.call_once(|| {
            AllocationRegistry::set_global_tracker(Bookkeeper).expect("set here alone");
            AllocationRegistry::enable_tracking();
        });
        AllocationGroupToken::register().expect("ids do not run out")
    }

    /// Does a piece of work at the cost of this account.
    pub(crate) fn charge<T>(&mut self, work: impl FnOnce() -> T) -> (T, Cost) {
        let page = self.page;
        page.peak.store(self.held(), Relaxed);
        let before = page.allocations.load(Relaxed);
        let result = {
            let _guard = self.token.as_mut().map(AllocationGroupToken::enter);
            work()
        };
        let allocations = page.allocations.load(Relaxed) - before;
        (result, Cost { peak: page.peak.load(Relaxed), allocations })
    }

    /// The bytes charged to it that are not freed yet.
    pub(crate) fn held(&self) -> usize {
        self.page.held.load(Relaxed)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            // Fails where the thread ends, and the account with it.
            let _ = CLOSED.try_with(|closed| closed.borrow_mut().push(token));
        }
    }
}

fn page_of(token: &AllocationGroupToken) -> &'static Page {
    BOOK.get(token.id().as_usize().get()).expect("fewer engines than accounts")
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.held())
    }
}

/// The bytes that engines of this thread took, which are gone, and nobody has freed.
pub(crate) fn left_behind() -> usize {
    CLOSED.with_borrow(|closed| closed.iter().map(|token| page_of(token).held.load(Relaxed)).sum())
}

#[test]
fn what_is_freed_elsewhere_is_credited_to_the_account_that_was_charged() {
    let (mut ours, mut other) = (Account::open(), Account::open());
    let (mut kept, cost) = ours.charge(|| {
        drop(Vec::<u8>::with_capacity(50_000));
        vec![1_u8; 1_000]
    });
    assert_eq!((ours.held(), cost.peak, cost.allocations), (1_000, 50_000, 2));
    assert_eq!(other.held(), 0);
    other.charge(|| kept.reserve_exact(9_000));
    assert_eq!((ours.held(), other.held()), (0, 10_000));
    drop(other);
    assert_eq!(left_behind(), 10_000);
    std::thread::spawn(move || drop(kept)).join().expect("it only frees");
    assert_eq!(left_behind(), 0);
}
