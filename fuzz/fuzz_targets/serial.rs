//! Serial numbers against their definition: `steps` lead from `origin` to `origin.plus(steps)`.
#![no_main]

use amqp1_engine::Serial;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Serial, u32)| {
    let (origin, steps) = input;
    let end = origin.plus(steps);
    assert_eq!(end.distance_from(origin), steps as i32);
    assert_eq!(origin.precedes(end), (1..=1 << 31).contains(&steps));
});
