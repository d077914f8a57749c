//! What holds for any input, however it is cut, and whatever users do.

mod bytes;
mod recordings;
mod splits;
mod streams;
mod users;

/// So many cases, or `AMQP1_CASES` times as many. What fails is printed with its input, and shrunk.
fn cases(cases: u32) -> proptest::test_runner::Config {
    let times = std::env::var("AMQP1_CASES").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    proptest::test_runner::Config { cases: cases * times, failure_persistence: None, ..Default::default() }
}
