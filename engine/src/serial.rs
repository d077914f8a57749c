//! Serial numbers of RFC 1982, as §2.8.10 asks.

use core::fmt;

/// A 32-bit serial number: delivery ids, transfer ids and delivery counts (§2.8.10).
///
/// It wraps at 2³², so it has no `Ord`: whether one number comes before another is asked by
/// [`precedes`](Self::precedes), how far they lie apart by [`distance_from`](Self::distance_from).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
pub struct Serial(u32);

impl Serial {
    /// The number with this value on the wire.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The value on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The number `count` steps further on.
    #[must_use]
    pub const fn plus(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// How many steps lead from `origin` to this number: negative when this number lies before it.
    ///
    /// RFC 1982 leaves two numbers 2³¹ apart without an order; here the answer is then negative.
    #[must_use]
    pub const fn distance_from(self, origin: Self) -> i32 {
        self.0.wrapping_sub(origin.0) as i32
    }

    /// Whether this number comes before `other`.
    #[must_use]
    pub const fn precedes(self, other: Self) -> bool {
        self.distance_from(other) < 0
    }
}

impl From<u32> for Serial {
    fn from(value: u32) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    //= 2.8.10-01 2.8.10-02
    #[test]
    fn order_holds_across_the_wrap() {
        let last = Serial::new(u32::MAX);
        assert!(last.precedes(last.next()));
        assert!(!last.next().precedes(last));
        assert_eq!(last.next(), Serial::new(0));
        assert_eq!(last.plus(3).distance_from(last), 3);
        assert_eq!(last.distance_from(last.plus(3)), -3);
    }

    proptest! {
        /// The slow model: count the steps one by one in 64 bits.
        //= 2.8.10-01 2.8.10-02
        #[test]
        fn distance_is_the_number_of_steps(start: u32, steps in -0x7fff_ffff_i64..0x7fff_ffff) {
            let end = (i64::from(start) + steps).rem_euclid(1 << 32) as u32;
            prop_assert_eq!(i64::from(Serial::new(end).distance_from(Serial::new(start))), steps);
        }
    }
}
