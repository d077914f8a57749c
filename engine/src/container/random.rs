//! Numbers from a seed, which is an argument like everything else that is not the same in every run.

/// Draws numbers that look unlike each other (SplitMix64): good enough to spread attempts in time, of no use for secrets.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

/// What SplitMix64 adds for each number: 2^64 by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn draw(&mut self) -> u64 {
        let drawn = scatter(self.0);
        self.0 = self.0.wrapping_add(STEP);
        drawn
    }
}

/// Makes near seeds look unlike (the finalizer of SplitMix64, which maps no two numbers to one).
pub(super) const fn scatter(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(STEP);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
