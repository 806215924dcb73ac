//! Whether a connection still answers.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::clock::Clock;

/// Since when a connection owes an answer: since the first call after the last answer.
pub(super) struct Silence {
    begin: Instant,
    /// Nanoseconds since the beginning, and one more; 0 if it owes none.
    since: AtomicU64,
}

impl Silence {
    pub(super) fn new() -> Self {
        Self { begin: Clock::system().now(), since: AtomicU64::new(0) }
    }

    pub(super) fn lasts(&self) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_nanos(self.now().saturating_sub(since)),
        }
    }

    fn now(&self) -> u64 {
        let elapsed = Clock::system().now().saturating_duration_since(self.begin);
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }

    pub(super) fn asked(&self) {
        let now = self.now();
        let _ = self.since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn ends(&self) {
        self.since.store(0, Ordering::Relaxed);
    }
}
