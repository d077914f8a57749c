//! Messages as of §3.2: sections that annotate, describe and hold what an application says to another.

mod payload;
pub use payload::Payload;
