//! One monotonic line of nanoseconds, which begins at the Unix time of its beginning.

use std::time::{Duration, Instant};

use super::{algorithm::Moment, quota::LONGEST};
use crate::clock::Clock;

#[derive(Clone, Debug)]
pub(super) struct Timeline {
    clock: Clock,
    start: Instant,
    origin: u64,
}

impl Timeline {
    pub(super) fn of(clock: Clock) -> Self {
        Self { start: clock.now(), origin: nanos(clock.unix()), clock }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Now; the wall clock is read if somebody wants it.
    #[inline]
    pub(super) fn moment(&self, wall: bool) -> Moment {
        let elapsed = self.clock.now().saturating_duration_since(self.start);
        let unix = if wall { nanos(self.clock.unix()) } else { 0 };
        Moment { now: (self.origin + nanos(elapsed)).min(2 * LONGEST), unix }
    }
}

/// At most [`LONGEST`].
#[inline]
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(LONGEST).min(LONGEST)
}
