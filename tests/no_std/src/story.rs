//! What is driven: whatever the engine offers without `std`.

use core::time::Duration;

use amqp1_engine::{Instant, Serial};

/// The first step that went wrong is the error.
pub fn run() -> Result<(), &'static str> {
    time()?;
    serial_numbers()
}

fn time() -> Result<(), &'static str> {
    let later = Instant::from_millis(1_000) + Duration::from_millis(500);
    check(later.duration_since(Instant::ZERO) == Duration::from_millis(1_500), "time")
}

fn serial_numbers() -> Result<(), &'static str> {
    let last = Serial::new(u32::MAX);
    check(last.precedes(last.next()) && last.next().distance_from(last) == 1, "serial numbers")
}

fn check(holds: bool, step: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(step) }
}
