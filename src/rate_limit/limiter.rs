//! GCRA by the `governor` crate, over our store and our clock.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use governor::{
    RateLimiter,
    clock::{Clock as _, Reference},
    middleware::StateInformationMiddleware,
    nanos::Nanos,
};

use super::{
    quota::{LONGEST, Quota},
    store::{Fingerprint, Fingerprints, Store},
};
use crate::clock::Clock;

/// One quota over many keys.
pub(super) struct Limiter {
    fingerprints: Fingerprints,
    /// None where nothing is ever admitted.
    buckets: Option<Buckets>,
}

struct Buckets {
    governor: RateLimiter<Fingerprint, Store, Ticks, StateInformationMiddleware>,
    interval: u64,
    burst: NonZeroU32,
}

/// What a limit says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It has taken one.
    Admitted(Standing),
    /// It has taken nothing; there will be one after `wait`, or never.
    Refused { wait: Option<Duration>, standing: Standing },
}

/// What is left in the bucket, and when it is full again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) remaining: u32,
    pub(super) full_in: Duration,
}

impl Limiter {
    pub(super) fn new(quota: Quota, max_keys: usize, clock: Clock) -> Self {
        let buckets = quota.bucket().and_then(|(interval, burst)| {
            let quota = governor::Quota::with_period(Duration::from_nanos(interval))?;
            let store = Store::new(max_keys, interval);
            Some(Buckets {
                governor: RateLimiter::<_, _, _, StateInformationMiddleware>::new(
                    quota.allow_burst(burst),
                    store,
                    Ticks::of(clock),
                ),
                interval,
                burst,
            })
        });
        Self { fingerprints: Fingerprints::default(), buckets }
    }

    /// Takes one for this key, or for those without a key.
    pub(super) fn take(&self, key: Option<&[u8]>) -> Decision {
        match &self.buckets {
            Some(buckets) => buckets.take(self.fingerprints.of(key)),
            None => Decision::Refused {
                wait: None,
                standing: Standing { remaining: 0, full_in: Duration::ZERO },
            },
        }
    }

    /// The bucket's size, and the time in which it refills.
    pub(super) fn policy(&self) -> (u32, Duration) {
        match &self.buckets {
            Some(buckets) => (buckets.burst.get(), buckets.refill(buckets.burst.get())),
            None => (0, Duration::ZERO),
        }
    }
}

impl Buckets {
    fn take(&self, key: Fingerprint) -> Decision {
        match self.governor.check_key(&key) {
            Ok(snapshot) => {
                let remaining = snapshot.remaining_burst_capacity();
                Decision::Admitted(Standing {
                    remaining,
                    full_in: self.refill(self.burst.get() - remaining.min(self.burst.get())),
                })
            }
            Err(until) => {
                let wait = until.wait_time_from(self.governor.clock().now());
                // All but one are still to come once the first is there.
                let full_in = wait + self.refill(self.burst.get() - 1);
                Decision::Refused { wait: Some(wait), standing: Standing { remaining: 0, full_in } }
            }
        }
    }

    /// The time in which so many refill.
    fn refill(&self, count: u32) -> Duration {
        Duration::from_nanos(self.interval * u64::from(count))
    }
}

/// Our clock as `governor` reads it: nanoseconds since the limiter was made.
struct Ticks {
    clock: Clock,
    start: Instant,
}

impl Ticks {
    fn of(clock: Clock) -> Self {
        let start = clock.now();
        Self { clock, start }
    }
}

impl governor::clock::Clock for Ticks {
    type Instant = Tick;

    fn now(&self) -> Tick {
        let elapsed = self.clock.now().saturating_duration_since(self.start);
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(LONGEST);
        Tick(nanos.min(LONGEST)) // leaves room above: governor's sums are unchecked
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
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    fn limiter(quota: Quota) -> (Limiter, crate::clock::ManualClock) {
        let (clock, time) = Clock::manual();
        (Limiter::new(quota, 1_000, clock), time)
    }

    fn admitted(limiter: &Limiter, key: &str) -> bool {
        matches!(limiter.take(Some(key.as_bytes())), Decision::Admitted(_))
    }

    /// How many of many attempts in each millisecond of this time are admitted.
    fn admitted_in(quota: Quota, millis: u64) -> usize {
        let (limiter, time) = limiter(quota);
        let attempt = |_| {
            let here = (0..200).take_while(|_| admitted(&limiter, "a")).count();
            time.advance(Duration::from_millis(1));
            here
        };
        (0..millis).map(attempt).sum()
    }

    #[test]
    fn what_the_first_period_admits_from_cold() {
        assert_eq!(admitted_in(Quota::per_second(10).burst(20), 1_000), 20 + 9);
        assert_eq!(admitted_in(Quota::per_minute(60), 60_000), 60 + 59);
        assert_eq!(admitted_in(Quota::per_minute(60).burst(1), 60_000), 60);
        assert_eq!(admitted_in(Quota::per_second(0).burst(5), 10), 0);
    }

    #[test]
    fn who_waits_as_told_is_admitted_and_not_sooner() {
        let (limiter, time) = limiter(Quota::per_second(3));
        while admitted(&limiter, "a") {}
        let Decision::Refused { wait, .. } = limiter.take(Some(b"a")) else {
            panic!("the bucket is empty");
        };
        time.advance(wait.unwrap() - Duration::from_nanos(1));
        assert!(!admitted(&limiter, "a"));
        time.advance(Duration::from_nanos(1));
        assert!(admitted(&limiter, "a"));
    }

    #[test]
    fn a_standing_tells_what_is_left() {
        let (limiter, time) = limiter(Quota::per_second(10).burst(20));
        let standing =
            |remaining, millis| Standing { remaining, full_in: Duration::from_millis(millis) };
        assert_eq!(limiter.take(None), Decision::Admitted(standing(19, 100)));
        assert_eq!(limiter.take(None), Decision::Admitted(standing(18, 200)));
        time.advance(Duration::from_secs(9));
        for _ in 0..20 {
            limiter.take(None);
        }
        let wait = Some(Duration::from_millis(100));
        let standing = standing(0, 2_000);
        assert_eq!(limiter.take(None), Decision::Refused { wait, standing });
        assert_eq!(limiter.policy(), (20, Duration::from_secs(2)));
    }

    #[test]
    fn extreme_quotas_and_times_overflow_nothing() {
        let quotas = [
            Quota::per_day(1).burst(u32::MAX),
            Quota::per_day(u32::MAX),
            Quota::per_second(u32::MAX),
            Quota::per_second(1).burst(u32::MAX),
        ];
        for quota in quotas {
            let (limiter, time) = limiter(quota);
            assert!(admitted(&limiter, "a"));
            time.advance(Duration::from_secs(300 * 365 * 86_400));
            for _ in 0..100 {
                limiter.take(Some(b"a"));
                limiter.take(Some(b"b"));
            }
        }
    }

    #[test]
    fn threads_that_race_are_admitted_exactly_the_burst() {
        let (limiter, _time) = limiter(Quota::per_second(1).burst(500));
        let admitted = std::thread::scope(|scope| {
            let thread = || (0..400).filter(|_| admitted(&limiter, "a")).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(thread)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).sum::<usize>()
        });
        assert_eq!(admitted, 500);
    }

    proptest! {
        #[test]
        fn decides_as_governors_own_limiter_does(
            count in 1u32..50,
            burst in 1u32..50,
            steps in prop::collection::vec((0u8..4, 0u64..400), 1..300),
        ) {
            let (ours, time) = limiter(Quota::per_second(count).burst(burst));
            let interval = Duration::from_nanos(1_000_000_000_u64.div_ceil(count.into()));
            let quota = governor::Quota::with_period(interval).unwrap();
            let quota = quota.allow_burst(NonZeroU32::new(burst).unwrap());
            let clock = FakeRelativeClock::default();
            let peer = RateLimiter::hashmap_with_clock(quota, clock.clone())
                .with_middleware::<StateInformationMiddleware>();
            for (key, millis) in steps {
                time.advance(Duration::from_millis(millis));
                clock.advance(Duration::from_millis(millis));
                match (ours.take(Some(&[key])), peer.check_key(&key)) {
                    (Decision::Admitted(standing), Ok(snapshot)) => {
                        prop_assert_eq!(standing.remaining, snapshot.remaining_burst_capacity());
                    }
                    (Decision::Refused { wait, .. }, Err(until)) => {
                        prop_assert_eq!(wait, Some(until.wait_time_from(clock.now())));
                    }
                    (ours, peers) => prop_assert!(false, "{:?} against {:?}", ours, peers),
                }
            }
        }

        // Eighty keys in a table of 32 slots: some share the overflow cell, and slots change hands.
        #[test]
        fn no_window_admits_a_key_more_than_the_burst_and_its_refill(
            count in 1u32..50,
            burst in 1u32..20,
            steps in prop::collection::vec((0u64..100_000_000, 0u8..80, 1usize..20), 1..400),
        ) {
            let (clock, time) = Clock::manual();
            let limiter = Limiter::new(Quota::per_second(count).burst(burst), 1, clock);
            let mut now = 0_u64;
            let mut times = vec![Vec::new(); 80];
            for (nanos, key, attempts) in steps {
                time.advance(Duration::from_nanos(nanos / 10));
                now += nanos / 10;
                let taken = (0..attempts)
                    .filter(|_| matches!(limiter.take(Some(&[key])), Decision::Admitted(_)))
                    .count();
                times[usize::from(key)].extend(std::iter::repeat_n(now, taken));
            }
            for times in times {
                for (first, start) in times.iter().enumerate() {
                    for (last, end) in times.iter().enumerate().skip(first) {
                        let refill = u64::from(count) * (end - start) / 1_000_000_000;
                        prop_assert!((last - first) as u64 <= u64::from(burst) - 1 + refill);
                    }
                }
            }
        }
    }
}
