//! How a stream of bytes is cut on its way, and the numbers that decide it.

/// How the bytes that a peer sends arrive at the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunks {
    /// All that was sent at once.
    Whole,
    /// Byte by byte.
    Bytes,
    /// In pieces of random length, drawn from this seed.
    Pieces(u64),
}

impl Chunks {
    /// One of each; `AMQP1_SEED` replaces the seed of the random pieces.
    #[must_use]
    pub fn all() -> [Self; 3] {
        let seed = std::env::var("AMQP1_SEED").ok().and_then(|seed| seed.parse().ok());
        [Self::Whole, Self::Bytes, Self::Pieces(seed.unwrap_or(0x0a4d_5150))]
    }

    /// Cuts `bytes`.
    pub fn cut(self, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rng = Rng::new(if let Self::Pieces(seed) = self { seed } else { 0 });
        let mut rest = bytes;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let len = match self {
                Self::Whole => rest.len(),
                Self::Bytes => 1,
                // Short pieces find what goes wrong inside a frame, long ones what goes wrong between frames.
                Self::Pieces(_) if rng.one_in(2) => rng.below(12) + 1,
                Self::Pieces(_) => rng.below(600) + 1,
            };
            let (piece, tail) = rest.split_at(len.min(rest.len()));
            rest = tail;
            Some(piece)
        })
    }
}

/// SplitMix64: small, and the same numbers everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Numbers that follow from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound as u64) as usize
    }

    /// True once in `times` times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
