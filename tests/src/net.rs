//! A simulated network: one direction of a byte stream that fragments, coalesces, delays, stalls and is cut.

use std::{collections::VecDeque, time::Duration};

use amqp1_engine::Instant;

use crate::Rng;

/// What the network between two engines does to their bytes. TCP loses nothing: a loss is a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    /// What is written arrives as it is, at once.
    Whole,
    /// It arrives byte by byte.
    Bytes,
    /// It arrives late, in pieces or joined with others, and now and then the socket takes little or nothing. All of
    /// it is drawn from this seed.
    Rough(u64),
}

impl Net {
    /// One of each, and a few rough ones; `AMQP1_SEED` replaces the first seed of those.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let seed = std::env::var("AMQP1_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        let rough = (seed..seed + 6).map(Self::Rough);
        [Self::Whole, Self::Bytes].into_iter().chain(rough).collect()
    }
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Pipe {
    net: Net,
    rng: Rng,
    /// Pieces on their way, in order, and when they arrive.
    pieces: VecDeque<(Instant, Vec<u8>)>,
    /// No byte is taken before this moment.
    stalled: Instant,
    /// After so many more bytes the connection is cut.
    cut_after: Option<usize>,
}

/// The most that lies between two engines on a rough network: a small socket buffer.
const ROUGH_CAPACITY: usize = 8 * 1024;

impl Pipe {
    pub(crate) fn new(net: Net, direction: u64) -> Self {
        let seed = if let Net::Rough(seed) = net { seed } else { 0 };
        let rng = Rng::new(seed.wrapping_mul(2).wrapping_add(direction));
        Self { net, rng, pieces: VecDeque::new(), stalled: Instant::ZERO, cut_after: None }
    }

    /// Cuts the connection once this many more bytes were taken.
    pub(crate) fn cut_after(&mut self, bytes: usize) {
        self.cut_after = Some(bytes);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut_after == Some(0)
    }

    /// Takes bytes, perhaps not all: how many.
    pub(crate) fn write(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut len = bytes.len().min(self.room(now));
        if let Some(left) = &mut self.cut_after {
            len = len.min(*left);
            *left -= len;
        }
        let mut rest = &bytes[..len];
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(self.piece().min(rest.len()));
            let arrival = now + self.delay();
            let last = self.pieces.back().map_or(arrival, |(at, _)| *at);
            self.pieces.push_back((arrival.max(last), piece.to_vec()));
            rest = tail;
        }
        len
    }

    /// How many bytes the socket takes now.
    fn room(&mut self, now: Instant) -> usize {
        let Net::Rough(_) = self.net else { return usize::MAX };
        if now < self.stalled {
            return 0;
        }
        if self.rng.one_in(8) {
            self.stalled = now + Duration::from_millis(self.rng.below(30) as u64 + 1);
            return 0;
        }
        let waiting: usize = self.pieces.iter().map(|(_, piece)| piece.len()).sum();
        let room = ROUGH_CAPACITY.saturating_sub(waiting);
        if self.rng.one_in(3) { room.min(self.rng.below(64) + 1) } else { room }
    }

    fn piece(&mut self) -> usize {
        match self.net {
            Net::Whole => usize::MAX,
            Net::Bytes => 1,
            Net::Rough(_) if self.rng.one_in(2) => self.rng.below(16) + 1,
            Net::Rough(_) => self.rng.below(4_000) + 1,
        }
    }

    fn delay(&mut self) -> Duration {
        match self.net {
            Net::Rough(_) if self.rng.one_in(4) => Duration::from_millis(self.rng.below(20) as u64),
            _ => Duration::ZERO,
        }
    }

    /// What has arrived: one piece, or on a rough network perhaps several joined.
    pub(crate) fn read(&mut self, now: Instant) -> Option<Vec<u8>> {
        let mut bytes = self.arrived(now)?;
        while matches!(self.net, Net::Rough(_)) && !self.rng.one_in(3) {
            let Some(piece) = self.arrived(now) else { break };
            bytes.extend(piece);
        }
        Some(bytes)
    }

    fn arrived(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.pieces.front().filter(|(at, _)| *at <= now)?;
        self.pieces.pop_front().map(|(_, piece)| piece)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Forgets what is on its way: the connection is gone.
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
    }

    /// When something changes by itself: bytes arrive, or the socket takes some again.
    pub(crate) fn next_change(&self, now: Instant) -> Option<Instant> {
        let arrival = self.pieces.front().map(|(at, _)| *at);
        let stalled = Some(self.stalled).filter(|at| *at > now);
        arrival.into_iter().chain(stalled).min()
    }
}
