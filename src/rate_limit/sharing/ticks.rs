//! What is told at most so often: by `governor`, over our clock.

use std::time::{Duration, Instant};

use governor::{
    Quota, RateLimiter,
    clock::Reference,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};

use crate::{
    clock::Clock,
    rate_limit::{quota::LONGEST, timeline::nanos},
};

/// Says yes once in a period.
pub(super) struct Seldom(RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Tick>>);

impl Seldom {
    pub(super) fn once_in(period: Duration, clock: Clock) -> Self {
        let quota = Quota::with_period(period).expect("the period is not zero");
        Self(RateLimiter::direct_with_clock(quota, Ticks { start: clock.now(), clock }))
    }

    pub(super) fn now(&self) -> bool {
        self.0.check().is_ok()
    }
}

/// Our clock as `governor` reads it: nanoseconds since the limiter was made.
#[derive(Clone)]
struct Ticks {
    clock: Clock,
    start: Instant,
}

impl governor::clock::Clock for Ticks {
    type Instant = Tick;

    fn now(&self) -> Tick {
        let elapsed = self.clock.now().saturating_duration_since(self.start);
        Tick(nanos(elapsed).min(LONGEST)) // leaves room above: governor's sums are unchecked
    }
}

/// A reading of [`Ticks`]; its sums saturate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(u64);

impl std::ops::Add<Nanos> for Tick {
    type Output = Self;

    fn add(self, nanos: Nanos) -> Self {
        Self(self.0.saturating_add(nanos.as_u64()))
    }
}

impl Reference for Tick {
    fn duration_since(&self, earlier: Self) -> Nanos {
        Nanos::new(self.0.saturating_sub(earlier.0))
    }

    fn saturating_sub(&self, nanos: Nanos) -> Self {
        Self(self.0.saturating_sub(nanos.as_u64()))
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;

    #[test]
    fn is_said_once_in_a_period() {
        let (clock, time) = Clock::manual();
        let seldom = Seldom::once_in(Duration::from_secs(10), clock);
        assert_eq!([seldom.now(), seldom.now()], [true, false]);
        time.advance(Duration::from_millis(9_999));
        assert!(!seldom.now());
        time.advance(Duration::from_millis(1));
        assert_eq!([seldom.now(), seldom.now()], [true, false]);
    }
}
