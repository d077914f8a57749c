//! What the codec allocates, in a test program of its own: the allocator that counts is the whole program's.

use std::alloc::System;

use amqp1_benches::codec::Case;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often `work` allocates.
fn allocations(work: impl FnOnce()) -> usize {
    let region = Region::new(GLOBAL);
    work();
    let change = region.change();
    change.allocations + change.reallocations
}

/// One test, since tests of one program run side by side and would count each other's allocations.
#[test]
fn the_codec_allocates_nothing_but_what_a_message_owns() {
    for case in Case::ALL {
        let mut codec = case.prepare();
        let mut encoded = Vec::new();
        codec.encode(1, &mut encoded);
        codec.decode(&encoded).unwrap();

        let decoding = allocations(|| assert!(codec.decode(&encoded).is_ok()));
        assert_eq!(decoding, 0, "decoding, {case:?}");

        encoded.clear();
        let encoding = allocations(|| codec.encode(2, &mut encoded));
        // A message is built for each encoding: its application properties are a list.
        assert_eq!(encoding, usize::from(case == Case::Message), "encoding, {case:?}");
    }
}
