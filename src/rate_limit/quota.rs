//! How much is admitted: so many units in a time, and by which algorithm they are counted.

use std::{fmt, time::Duration};

use super::calendar;
use crate::{guard::Head, identity::Identity};

/// How much a key may take: a count for a period, and the algorithm that spreads it over time.
///
/// The constructors make a token bucket; the methods choose another algorithm, and the last one chosen holds.
/// From cold, a client that asks without pause is admitted
///
/// | quota | in the first instant | in the first minute | in any minute at most |
/// |---|---|---|---|
/// | `per_minute(60)`: token bucket of 60 | 60 | 119 | 119 |
/// | `per_minute(60).burst(10)`: token bucket of 10 | 10 | 69 | 69 |
/// | `per_minute(60).spike_arrest()` | 1 | 60 | 60 |
/// | `per_minute(60).sliding_log()` | 60 | **60** | **60** |
/// | `per_minute(60).sliding_window()` | 60 | **60** | 118, of who times it to harm; near 60 else |
/// | `per_minute(60).fixed_window()` | 60 | 60, or 120 across a full minute of the clock | 120 |
/// | `per_minute(60).leaky_bucket(10, 0)` | 1, and 10 that wait | 60, and 10 that wait | 60 |
///
/// A minute is the time from one request to just before 60 seconds later.
///
/// So who reads "60 per minute" as "never more than 60 in any minute" takes
/// [`sliding_log`](Self::sliding_log), which remembers each request; at a sixtieth of the memory
/// [`sliding_window`](Self::sliding_window) is close to it. The token bucket, which is the default, is what most
/// gateways mean: a rate, and a burst on top of it after a pause.
///
/// A quota of zero, or a burst of zero, admits nothing. Units are requests unless a limit has a
/// [`cost`](super::Limit::cost).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    count: u64,
    /// Nanoseconds; a month's are the fewest that it has.
    period: u64,
    algorithm: Algorithm,
}

/// How units are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Algorithm {
    Unlimited,
    TokenBucket { burst: u64 },
    LeakyBucket { burst: u64, undelayed: u64 },
    SlidingWindow,
    SlidingLog,
    FixedWindow { offset: u64 },
    Month { offset: u64 },
    PenaltyBox { ban: u64 },
}

/// What states can be read by each other: two quotas have one kind only if they are alike in all that it is made of.
/// The lowest bit is 0.
pub(super) type Kind = [u64; 2];

/// The longest that anything may take, 146 years in nanoseconds: sums of two such stay within 64 bits.
pub(super) const LONGEST: u64 = u64::MAX / 4;

/// The [kind](Quota::kind) of quotas whose states are a time and nothing else.
pub(super) const BUCKETS: Kind = [0, 0];

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 24 * 60 * 60 * SECOND;

impl Quota {
    /// `count` a second.
    pub const fn per_second(count: u64) -> Self {
        Self::bucket(count, SECOND)
    }

    /// `count` a minute.
    pub const fn per_minute(count: u64) -> Self {
        Self::bucket(count, 60 * SECOND)
    }

    /// `count` an hour.
    pub const fn per_hour(count: u64) -> Self {
        Self::bucket(count, 60 * 60 * SECOND)
    }

    /// `count` in 24 hours. For days of the calendar, see [`per_calendar_day`](Self::per_calendar_day).
    pub const fn per_day(count: u64) -> Self {
        Self::bucket(count, DAY)
    }

    /// `count` in a period of any length, from a nanosecond to 146 years; shorter and longer ones are cut to that.
    pub const fn per(count: u64, period: Duration) -> Self {
        let period = period.as_nanos();
        let period = if period > LONGEST as u128 { LONGEST } else { period as u64 };
        Self::bucket(count, if period == 0 { 1 } else { period })
    }

    /// `count` in each day of the calendar, UTC.
    pub const fn per_calendar_day(count: u64) -> Self {
        Self::per_day(count).fixed_window()
    }

    /// `count` in each week of the calendar, from Monday, UTC.
    pub const fn per_calendar_week(count: u64) -> Self {
        // The epoch was a Thursday.
        Self::bucket(count, 7 * DAY).with(Algorithm::FixedWindow { offset: 4 * DAY })
    }

    /// `count` in each month of the calendar, UTC.
    pub const fn per_calendar_month(count: u64) -> Self {
        Self::bucket(count, 28 * DAY).with(Algorithm::Month { offset: 0 })
    }

    /// No limit: for a plan that has none. No `RateLimit` fields tell of it.
    pub const fn unlimited() -> Self {
        Self { count: u64::MAX, period: SECOND, algorithm: Algorithm::Unlimited }
    }

    /// A ban of so long for who is refused `count` times within the period.
    #[allow(dead_code)]
    pub(super) fn penalty_box(count: u64, period: Duration, ban: Duration) -> Self {
        let ban = u64::try_from(ban.as_nanos()).unwrap_or(LONGEST).min(LONGEST);
        Self::per(count.max(1), period).with(Algorithm::PenaltyBox { ban })
    }

    pub(super) fn is_penalty_box(self) -> bool {
        matches!(self.algorithm, Algorithm::PenaltyBox { .. })
    }

    pub(super) fn is_unlimited(self) -> bool {
        self.algorithm == Algorithm::Unlimited
    }

    /// Whether it is one number for clients that read one.
    pub(super) fn is_told(self) -> bool {
        !self.is_penalty_box() && !self.is_unlimited()
    }

    const fn bucket(count: u64, period: u64) -> Self {
        Self { count, period, algorithm: Algorithm::TokenBucket { burst: count } }
    }

    const fn with(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// A token bucket that holds `burst`: so many may come at once after a pause, while the rate stays. The
    /// algorithm is GCRA. Without this a bucket holds one period's count. Cut to what refills in 146 years.
    #[must_use]
    pub const fn burst(self, burst: u64) -> Self {
        self.with(Algorithm::TokenBucket { burst })
    }

    /// No burst at all: `per_minute(30)` is one in each two seconds (Apigee's spike arrest). A token bucket of one.
    #[must_use]
    pub const fn spike_arrest(self) -> Self {
        self.burst(1)
    }

    /// A leaky bucket: what comes faster than the rate waits for its turn, and what does not fit into the queue is
    /// refused. As nginx's `limit_req burst=… delay=…`: `burst` may exceed the rate, the first `undelayed` of
    /// them at once. With `undelayed` 0 each waits; for `nodelay` write [`burst`](Self::burst)`(burst + 1)`.
    #[must_use]
    pub const fn leaky_bucket(self, burst: u64, undelayed: u64) -> Self {
        self.with(Algorithm::LeakyBucket { burst, undelayed })
    }

    /// A sliding window by two counters: what the window before admitted counts in proportion to its part in the
    /// last period. The first window begins with a key's first request. Counts up to 4,294,967,295.
    ///
    /// It is an estimate: no period admits more than twice the count less two (or one, if that is more), which takes
    /// a client that times its bursts; under traffic that comes evenly it admits what the exact log admits, within
    /// 1 % for a count of 100. It rounds up: of a client that never pauses, each period after the first admits one
    /// less than the count, and a count of 1 only every other. For small counts take
    /// [`sliding_log`](Self::sliding_log).
    #[must_use]
    pub const fn sliding_window(self) -> Self {
        self.with(Algorithm::SlidingWindow)
    }

    /// A sliding window that remembers when each request came, and is exact: never more than the count in any
    /// period. For small counts: a key takes up to 16 bytes for each request of its quota.
    #[must_use]
    pub const fn sliding_log(self) -> Self {
        self.with(Algorithm::SlidingLog)
    }

    /// A fixed window: counts from zero at each multiple of the period since the epoch, on the full minute or hour
    /// of the clock, UTC. Two bursts may meet at the border of two windows.
    #[must_use]
    pub const fn fixed_window(self) -> Self {
        self.with(Algorithm::FixedWindow { offset: 0 })
    }

    /// Begins fixed and calendar windows so much later: `per_calendar_day(5).starting(9 hours)` at nine o'clock
    /// UTC, `per_calendar_month(5).starting(14 days)` on the fifteenth. Other algorithms have no windows that
    /// begin at a time, and it changes nothing for them.
    #[must_use]
    pub const fn starting(self, offset: Duration) -> Self {
        let later = offset.as_nanos();
        let later = if later > LONGEST as u128 { LONGEST } else { later as u64 };
        match self.algorithm {
            Algorithm::FixedWindow { offset } => {
                self.with(Algorithm::FixedWindow { offset: (offset + later) % self.period })
            }
            Algorithm::Month { .. } => self.with(Algorithm::Month { offset: later }),
            _ => self,
        }
    }

    /// The part of one of so many nodes, rounded up. Of a bucket the rate is divided exactly, since it goes on for
    /// long; only its size is rounded. States of the one can be read by the other.
    pub(super) fn share(self, nodes: u32) -> Self {
        let nodes = u64::from(nodes.max(1));
        let part = |whole: u64| whole.div_ceil(nodes);
        let slower = Self { period: self.period.saturating_mul(nodes).min(LONGEST), ..self };
        match self.algorithm {
            Algorithm::Unlimited | Algorithm::PenaltyBox { .. } => self,
            Algorithm::TokenBucket { burst } => slower.burst(part(burst)),
            Algorithm::LeakyBucket { burst, undelayed } => {
                slower.leaky_bucket(part(burst), part(undelayed))
            }
            _ => Self { count: part(self.count), ..self },
        }
    }

    pub(super) const fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    pub(super) const fn count(self) -> u64 {
        self.count
    }

    pub(super) const fn period(self) -> u64 {
        self.period
    }

    /// The time of one unit, in nanoseconds: rounded up, so that the rate is never exceeded by the rounding.
    #[inline]
    pub(super) const fn interval(self) -> u64 {
        self.period.div_ceil(if self.count == 0 { 1 } else { self.count })
    }

    /// Whether nothing is ever admitted.
    pub(super) fn is_nothing(self) -> bool {
        self.count == 0 || matches!(self.algorithm, Algorithm::TokenBucket { burst: 0 })
    }

    /// Nanoseconds from this moment of the wall clock to the end of its window; 0 for who has no such window.
    pub(super) fn window_left(self, unix: u64) -> u64 {
        match self.algorithm {
            Algorithm::FixedWindow { offset } => calendar::left(unix, self.period, offset),
            Algorithm::Month { offset } => calendar::left_of_month(unix, offset),
            _ => 0,
        }
    }

    /// Whether it lets requests wait for their turn.
    pub(super) fn delays(self) -> bool {
        matches!(self.algorithm, Algorithm::LeakyBucket { burst, undelayed } if undelayed < burst)
    }

    /// Whether its windows begin by the wall clock.
    pub(super) fn reads_the_wall(self) -> bool {
        matches!(self.algorithm, Algorithm::FixedWindow { .. } | Algorithm::Month { .. })
    }

    /// What states of it can be read by another quota: those of the same kind. A bucket's state is a time, which
    /// any rate can go on from; a window's belongs to its period.
    #[inline]
    pub(super) fn kind(self) -> Kind {
        let (tag, period, offset) = match self.algorithm {
            Algorithm::Unlimited
            | Algorithm::TokenBucket { .. }
            | Algorithm::LeakyBucket { .. } => (0, 0, 0),
            Algorithm::SlidingWindow => (1, self.period, 0),
            Algorithm::SlidingLog => (2, self.period, 0),
            Algorithm::FixedWindow { offset } => (3, self.period, offset),
            Algorithm::Month { offset } => (4, 0, offset),
            Algorithm::PenaltyBox { .. } => (5, 0, 0),
        };
        // Side by side: no time has more than 62 bits, and so none runs into another's.
        [period << 2 | tag & 3, offset << 2 | (tag >> 2) << 1]
    }

    /// The most that is admitted at once, and the time after which as much is again: `q` and `w` of
    /// `RateLimit-Policy`. A month has no length to tell.
    pub(super) fn policy(self) -> (u64, Option<Duration>) {
        let (size, window) = match self.algorithm {
            _ if self.is_nothing() => return (0, None),
            Algorithm::TokenBucket { burst } => (burst, self.interval().saturating_mul(burst)),
            Algorithm::LeakyBucket { burst, .. } => {
                (burst.saturating_add(1), self.interval().saturating_mul(burst.saturating_add(1)))
            }
            Algorithm::Month { .. } | Algorithm::Unlimited => return (self.count, None),
            _ => (self.count, self.period),
        };
        (size, Some(Duration::from_nanos(window)))
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = Duration::from_nanos(self.period);
        write!(f, "Quota({} per {period:?}, {:?})", self.count, self.algorithm)
    }
}

/// Which quota a request is under. A [`Quota`] is the same for all; [`Plans`] go by the identity's plan; a closure
/// goes by whatever stands in the request. Write the type of the closure's argument; without it the compiler finds it
/// "not general enough".
///
/// ```
/// use tower_gateway::{guard::Head, rate_limit::{Quota, QuotaSource}};
///
/// let uploads_are_dear = |head: Head<'_>| match head.method().as_str() {
///     "GET" => Quota::per_second(100),
///     _ => Quota::per_second(5),
/// };
/// # fn is_source(_: impl QuotaSource) {}
/// # is_source(uploads_are_dear);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` says no quota",
    label = "not a `Quota`, `Plans` of quotas, or closure from `Head<'_>` to `Quota`",
    note = "a number needs its time: `Quota::per_minute(60)`; a `Limit` goes to `RateLimitLayer::of` and `and`"
)]
pub trait QuotaSource {
    /// The quota of the request with this head.
    fn quota(&self, head: Head<'_>) -> Quota;

    /// The quota where no request is at hand, as when an administrator asks what is left. Default: none is known.
    fn usual(&self) -> Option<Quota> {
        None
    }
}

impl QuotaSource for Quota {
    fn quota(&self, _: Head<'_>) -> Quota {
        *self
    }

    fn usual(&self) -> Option<Quota> {
        Some(*self)
    }
}

impl<F> QuotaSource for F
where
    F: Fn(Head<'_>) -> Quota,
{
    fn quota(&self, head: Head<'_>) -> Quota {
        self(head)
    }
}

/// Quotas by the plan that the [`Identity`] is on, and one for everybody else. Or whatever else depends on a plan:
/// how many requests may be [in flight](super::concurrency), say.
///
/// ```
/// use tower_gateway::rate_limit::{Plans, Quota};
///
/// let plans = Plans::otherwise(Quota::per_minute(10))
///     .plan("pro", Quota::per_minute(1_000))
///     .plan("internal", Quota::unlimited());
/// ```
#[derive(Clone, Debug)]
pub struct Plans<T = Quota> {
    otherwise: T,
    plans: Vec<(Box<str>, T)>,
}

impl<T> Plans<T> {
    /// The quota of who is on no plan, or on one that is not named here.
    pub fn otherwise(quota: T) -> Self {
        Self { otherwise: quota, plans: Vec::new() }
    }

    /// The quota of a plan; the last one given for it holds.
    #[must_use]
    pub fn plan(mut self, plan: impl Into<Box<str>>, quota: T) -> Self {
        let plan = plan.into();
        self.plans.retain(|(known, _)| *known != plan);
        self.plans.push((plan, quota));
        self
    }

    /// That of the request with this head.
    pub(super) fn of(&self, head: Head<'_>) -> &T {
        let of = |plan: &str| self.plans.iter().find(|(known, _)| **known == *plan);
        let plan = head.get::<Identity>().and_then(Identity::plan);
        plan.and_then(of).map_or(&self.otherwise, |(_, quota)| quota)
    }
}

impl QuotaSource for Plans {
    fn quota(&self, head: Head<'_>) -> Quota {
        *self.of(head)
    }

    fn usual(&self) -> Option<Quota> {
        Some(self.otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn a_rate_is_an_interval_rounded_up() {
        assert_eq!(Quota::per_second(10).interval(), 100_000_000);
        assert_eq!(Quota::per_second(3).interval(), 333_333_334);
        assert_eq!(Quota::per_minute(60).interval(), 1_000_000_000);
        assert_eq!(Quota::per_hour(1).interval(), 3_600_000_000_000);
        assert_eq!(Quota::per_second(u64::MAX).interval(), 1);
        assert_eq!(Quota::per(5, Duration::ZERO).interval(), 1);
        assert_eq!(Quota::per(1, Duration::MAX).interval(), LONGEST);
    }

    #[test]
    fn a_share_is_a_part_rounded_up_and_never_nothing() {
        let minute = Quota::per_minute(10);
        let bucket = minute.burst(10).share(4);
        assert_eq!(bucket.algorithm(), Algorithm::TokenBucket { burst: 3 });
        assert_eq!(bucket.interval(), 4 * minute.interval(), "the rate is exact");
        let leaky = minute.leaky_bucket(5, 0).share(4);
        assert_eq!(leaky.algorithm(), Algorithm::LeakyBucket { burst: 2, undelayed: 0 });
        for quota in [minute.sliding_window(), minute.sliding_log(), minute.fixed_window()] {
            assert_eq!([1, 3, 4, 1_000].map(|nodes| quota.share(nodes).count()), [10, 4, 3, 1]);
            assert_eq!(quota.share(4).kind(), quota.kind());
        }
        assert_eq!(minute.share(0), minute);
        assert_eq!(Quota::unlimited().share(9), Quota::unlimited());
        assert!(Quota::per_day(0).share(9).is_nothing());
        assert!(!Quota::per(u64::MAX, Duration::MAX).share(u32::MAX).is_nothing());
    }

    #[test]
    fn zero_admits_nothing() {
        let nothing = [Quota::per_day(0), Quota::per_day(0).burst(7), Quota::per_day(7).burst(0)];
        assert!(nothing.into_iter().all(Quota::is_nothing));
        assert!(!Quota::per_day(1).leaky_bucket(0, 0).is_nothing());
    }

    #[test]
    fn windows_of_other_periods_and_algorithms_are_of_another_kind() {
        let kinds = [
            Quota::per_minute(1),
            Quota::per_minute(1).sliding_window(),
            Quota::per_hour(1).sliding_window(),
            Quota::per_minute(1).sliding_log(),
            Quota::per_minute(1).fixed_window(),
            Quota::per_minute(1).fixed_window().starting(Duration::from_secs(1)),
            Quota::per_calendar_month(1),
        ];
        for (n, one) in kinds.iter().enumerate() {
            assert!(kinds[..n].iter().all(|it| it.kind() != one.kind()), "{one:?}");
        }
        assert_eq!(Quota::per_hour(5).burst(1).kind(), Quota::per_day(9).kind());
    }

    #[test]
    fn no_period_and_offset_make_the_kind_of_another_quota() {
        let nanos = Duration::from_nanos;
        let fixed =
            |period, offset| Quota::per(1, nanos(period)).fixed_window().starting(nanos(offset));
        let month = |offset| Quota::per_calendar_month(1).starting(nanos(offset));
        let quotas = [
            fixed(1 << 40, 0),
            fixed((1 << 40) + 1, 1 << 35),
            fixed(LONGEST, 0),
            fixed(LONGEST, LONGEST - 1),
            fixed(LONGEST - 1, LONGEST - 2),
            month(0),
            month(1 << 40),
            month(LONGEST),
            Quota::per(1, nanos(LONGEST)).sliding_window(),
            Quota::per(1, nanos(LONGEST)).sliding_log(),
            Quota::penalty_box(1, nanos(1), nanos(1)),
            Quota::per_minute(1),
        ];
        for (n, one) in quotas.iter().enumerate() {
            assert_eq!(one.kind()[1] & 1, 0);
            assert!(quotas[..n].iter().all(|it| it.kind() != one.kind()), "{one:?}");
        }
    }

    #[test]
    fn a_plan_has_its_quota_and_everybody_else_theirs() {
        let pro = Quota::per_second(100);
        let plans = Plans::otherwise(Quota::per_second(1)).plan("pro", Quota::unlimited());
        let plans = plans.plan("pro", pro);
        let quota = |who: Option<Identity>| {
            let mut request = Request::new(());
            who.map(|who| request.extensions_mut().insert(who));
            plans.quota(Head::of(&request))
        };
        let alice = || Identity::new("api_key", "alice");
        assert_eq!(quota(Some(alice().with_plan("pro"))), pro);
        for other in [None, Some(alice()), Some(alice().with_plan("Pro"))] {
            assert_eq!(quota(other), Quota::per_second(1));
        }
    }
}
