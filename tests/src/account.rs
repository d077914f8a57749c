//! How much memory an engine under test holds, however many tests run beside it.

use std::{
    alloc::System,
    cell::RefCell,
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

/// Accounts of a test program: one for each of its threads, and each test has a thread.
const ACCOUNTS: usize = 4_096;

/// What was allocated within [`charge`] by one thread.
struct Account {
    /// Bytes that are not freed yet, by whomever.
    held: AtomicUsize,
    /// The most that were ever held since the last look.
    peak: AtomicUsize,
    allocations: AtomicUsize,
}

static BOOKS: [Account; ACCOUNTS] = [const {
    Account { held: AtomicUsize::new(0), peak: AtomicUsize::new(0), allocations: AtomicUsize::new(0) }
}; ACCOUNTS];

struct Bookkeeper;

impl Bookkeeper {
    fn account(group: &AllocationGroupId) -> Option<&'static Account> {
        if *group == AllocationGroupId::ROOT { None } else { BOOKS.get(group.as_usize().get()) }
    }
}

impl AllocationTracker for Bookkeeper {
    fn allocated(&self, _: usize, size: usize, _: usize, group: AllocationGroupId) {
        if let Some(account) = Self::account(&group) {
            let held = account.held.fetch_add(size, Relaxed) + size;
            account.peak.fetch_max(held, Relaxed);
            account.allocations.fetch_add(1, Relaxed);
        }
    }

    fn deallocated(&self, _: usize, size: usize, _: usize, from: AllocationGroupId, _: AllocationGroupId) {
        if let Some(account) = Self::account(&from) {
            account.held.fetch_sub(size, Relaxed);
        }
    }
}

thread_local! {
    static TOKEN: RefCell<AllocationGroupToken> = RefCell::new(register());
}

fn register() -> AllocationGroupToken {
    static START: Once = Once::new();
    START.call_once(|| {
        AllocationRegistry::set_global_tracker(Bookkeeper).expect("set here alone");
        AllocationRegistry::enable_tracking();
    });
    let token = AllocationGroupToken::register().expect("ids do not run out");
    assert!(token.id().as_usize().get() < ACCOUNTS, "more threads than accounts");
    token
}

fn account() -> &'static Account {
    TOKEN.with_borrow(|token| &BOOKS[token.id().as_usize().get()])
}

/// What a piece of work cost.
#[derive(Debug)]
pub struct Cost {
    /// The most bytes that were held at a time, with those held before.
    pub peak: usize,
    /// How often it allocated.
    pub allocations: usize,
}

/// Does a piece of work, and charges the thread's account with what it allocates.
pub fn charge<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let account = account();
    account.peak.store(account.held.load(Relaxed), Relaxed);
    let before = account.allocations.load(Relaxed);
    let result = TOKEN.with_borrow_mut(|token| {
        let _guard = token.enter();
        work()
    });
    let allocations = account.allocations.load(Relaxed) - before;
    (result, Cost { peak: account.peak.load(Relaxed), allocations })
}

/// The bytes charged to this thread that are not freed yet.
pub fn held() -> usize {
    account().held.load(Relaxed)
}

#[test]
fn what_is_freed_elsewhere_is_credited_to_whom_allocated_it() {
    let before = held();
    let (mut kept, cost) = charge(|| {
        drop(Vec::<u8>::with_capacity(50_000));
        vec![1_u8; 1_000]
    });
    assert_eq!((held() - before, cost.peak - before, cost.allocations), (1_000, 50_000, 2));
    kept.reserve_exact(9_000);
    assert_eq!(held(), before, "what the test itself allocates is not charged");
    drop(kept);
    let (kept, _) = charge(|| vec![1_u8; 1_000]);
    std::thread::spawn(move || drop(kept)).join().expect("it only frees");
    assert_eq!(held(), before);
}
