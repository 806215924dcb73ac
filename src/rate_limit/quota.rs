//! How much is admitted: a rate and a burst, as numbers.

use std::{num::NonZeroU32, time::Duration};

/// A refill rate, and how many requests may come at once.
///
/// `Quota::per_second(10).burst(20)`: a bucket of 20 that refills by one each 100 ms. From a full bucket, the
/// first second admits 20 + 10; any later time `t` at most `20 + 10 t`.
///
/// Without [`burst`](Self::burst) the bucket holds one period's worth. So `Quota::per_minute(60)` admits 60 at
/// once and one each second after that: 60 in the first instant, up to 119 in the first minute from cold, 60 in
/// each minute from then on. For an even flow, with at most 60 in the first minute, write `.burst(1)`.
///
/// A quota of zero, or a burst of zero, admits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    count: u32,
    period: Duration,
    burst: u32,
}

/// The longest that a bucket may take to refill, 146 years in nanoseconds: sums of two such stay within 64 bits.
pub(super) const LONGEST: u64 = u64::MAX / 4;

impl Quota {
    /// Refills `count` a second.
    pub const fn per_second(count: u32) -> Self {
        Self::per(count, 1)
    }

    /// Refills `count` a minute.
    pub const fn per_minute(count: u32) -> Self {
        Self::per(count, 60)
    }

    /// Refills `count` an hour.
    pub const fn per_hour(count: u32) -> Self {
        Self::per(count, 60 * 60)
    }

    /// Refills `count` a day, steadily: this is no calendar day.
    pub const fn per_day(count: u32) -> Self {
        Self::per(count, 24 * 60 * 60)
    }

    const fn per(count: u32, seconds: u64) -> Self {
        Self { count, period: Duration::from_secs(seconds), burst: count }
    }

    /// How many may come at once after a pause. Cut to what refills in 146 years.
    #[must_use]
    pub const fn burst(mut self, burst: u32) -> Self {
        self.burst = burst;
        self
    }

    /// The time in which one request's worth refills, in nanoseconds, and how many the bucket holds; `None` when
    /// nothing is ever admitted.
    pub(super) fn bucket(self) -> Option<(u64, NonZeroU32)> {
        let period = self.period.as_secs() * 1_000_000_000;
        let count = NonZeroU32::new(self.count)?;
        // Rounded up: the rate is never exceeded by the rounding.
        let interval = period.div_ceil(u64::from(count.get()));
        let most = u32::try_from(LONGEST / interval).unwrap_or(u32::MAX);
        Some((interval, NonZeroU32::new(self.burst.min(most))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(quota: Quota) -> Option<(u64, u32)> {
        quota.bucket().map(|(interval, burst)| (interval, burst.get()))
    }

    #[test]
    fn a_rate_is_an_interval_rounded_up() {
        assert_eq!(bucket(Quota::per_second(10)), Some((100_000_000, 10)));
        assert_eq!(bucket(Quota::per_second(3)), Some((333_333_334, 3)));
        assert_eq!(bucket(Quota::per_minute(60)), Some((1_000_000_000, 60)));
        assert_eq!(bucket(Quota::per_hour(1).burst(2)), Some((3_600_000_000_000, 2)));
        assert_eq!(bucket(Quota::per_second(u32::MAX)), Some((1, u32::MAX)));
    }

    #[test]
    fn zero_admits_nothing() {
        assert_eq!(bucket(Quota::per_day(0)), None);
        assert_eq!(bucket(Quota::per_day(0).burst(7)), None);
        assert_eq!(bucket(Quota::per_day(7).burst(0)), None);
    }

    #[test]
    fn a_burst_that_would_overflow_the_clock_is_cut() {
        let (interval, burst) = bucket(Quota::per_day(1).burst(u32::MAX)).unwrap();
        assert!(interval * u64::from(burst) <= LONGEST);
        assert_eq!(burst, 53_375);
    }
}
