//! When to fetch, decided purely: the schedule, and what is known of the fetches so far.

use std::time::{Duration, Instant};

/// The first pause after a failed fetch; it doubles up to [`MAX_BACK_OFF`].
const BACK_OFF: Duration = Duration::from_secs(1);
pub(super) const MAX_BACK_OFF: Duration = Duration::from_secs(60);

/// So many fetches can be asked for at once, after a time without any.
const BURST: u32 = 2;

/// When to fetch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// The longest lifetime of a value, and the lifetime of one whose source states none.
    pub(crate) every: Duration,
    /// The shortest lifetime of a value, whatever its source states.
    pub(crate) at_least: Duration,
    /// The age at which a value that could not be refreshed is withdrawn.
    pub(crate) max_staleness: Duration,
    /// How often a fetch can be asked for: once in this time, and [`BURST`] at once.
    pub(crate) cooldown: Duration,
    /// The time that one fetch may take.
    pub(crate) timeout: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(600),
            at_least: Duration::from_secs(30),
            max_staleness: Duration::from_secs(24 * 3600),
            cooldown: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
        }
    }
}

impl Schedule {
    /// How long to wait after a success: nine tenths of the lifetime, less `spread` (0 to 1) of another tenth, so
    /// that those who have started together do not ask together ever after.
    pub(super) fn until_refresh(&self, max_age: Option<Duration>, spread: f64) -> Duration {
        let lifetime = max_age.unwrap_or(self.every);
        let tenth = lifetime.max(self.at_least).min(self.every) / 10;
        tenth * 9 - tenth.mul_f64(spread.clamp(0.0, 1.0))
    }

    /// How long to wait after `failures` in a row.
    pub(super) fn until_retry(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(6);
        (BACK_OFF * (1 << doublings)).min(MAX_BACK_OFF)
    }
}

/// What the task and those who ask it know of the fetches.
pub(super) struct Book {
    pub(super) in_flight: bool,
    pub(super) asked: bool,
    pub(super) loaded: Option<Instant>,
    pub(super) due: Instant,
    /// Until when the fetches that were asked for have used up the allowance.
    spent: Instant,
    pub(super) last_error: Option<String>,
    pub(super) failures_in_a_row: u32,
    pub(super) refreshes: u64,
    pub(super) failures: u64,
}

impl Book {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            in_flight: true, // the task begins with a fetch
            asked: false,
            loaded: None,
            due: now,
            spent: now,
            last_error: None,
            failures_in_a_row: 0,
            refreshes: 0,
            failures: 0,
        }
    }

    /// Whether whoever asks now will see a fetch end: one that is under way, or a new one, if it is `worth` that and
    /// within the allowance.
    pub(super) fn claim(
        &mut self,
        now: Instant,
        schedule: &Schedule,
        worth: impl FnOnce() -> bool,
    ) -> bool {
        if self.in_flight || self.asked {
            return true;
        }
        let spent = self.spent.max(now);
        let is_allowed = spent <= now + schedule.cooldown * (BURST - 1);
        if is_allowed && worth() {
            self.asked = true;
            self.spent = spent + schedule.cooldown;
        }
        self.asked
    }

    pub(super) fn begin(&mut self) {
        self.in_flight = true;
        self.asked = false;
    }

    /// Notes how a fetch ended.
    pub(super) fn end(
        &mut self,
        now: Instant,
        spread: f64,
        schedule: &Schedule,
        outcome: Result<Option<Duration>, String>,
    ) {
        self.in_flight = false;
        let pause = match outcome {
            Ok(max_age) => {
                self.loaded = Some(now);
                self.last_error = None;
                self.failures_in_a_row = 0;
                self.refreshes += 1;
                schedule.until_refresh(max_age, spread)
            }
            Err(error) => {
                self.last_error = Some(error);
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                self.failures += 1;
                schedule.until_retry(self.failures_in_a_row)
            }
        };
        self.due = now + pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn schedule() -> Schedule {
        Schedule::default()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A book in which each claim leads to a fetch that ends at once.
    struct Asking(Book, Instant);

    impl Asking {
        fn new() -> Self {
            let start = Clock::system().now();
            let mut book = Book::new(start);
            book.end(start, 0.0, &schedule(), Ok(None));
            Self(book, start)
        }

        fn asks(&mut self, at: Duration, worth: bool) -> bool {
            let now = self.1 + at;
            let claimed = self.0.claim(now, &schedule(), || worth);
            if claimed {
                self.0.begin();
                self.0.end(now, 0.0, &schedule(), Err("down".into()));
            }
            claimed
        }
    }

    #[test]
    fn two_at_once_and_then_one_in_a_cooldown() {
        let mut asking = Asking::new();
        let table = [
            (0, true),
            (0, true),
            (0, false),
            (9, false),
            (10, true),
            (11, false),
            (19, false),
            (20, true),
            (39, true),
            (40, true),
            (41, false),
            (1_000, true),
            (1_000, true),
            (1_000, false),
        ];
        for (at, claimed) in table {
            assert_eq!(asking.asks(seconds(at), true), claimed, "at {at} s");
        }
    }

    #[test]
    fn who_asks_all_the_time_gets_one_fetch_in_a_cooldown() {
        let mut asking = Asking::new();
        let fetches = (0..100_000).filter(|it| asking.asks(Duration::from_millis(*it), true));
        assert_eq!(fetches.count(), 2 + 9);
    }

    #[test]
    fn what_is_not_worth_a_fetch_spends_nothing_and_joins_one() {
        let mut asking = Asking::new();
        assert!(!asking.asks(seconds(0), false));
        assert!(asking.asks(seconds(0), true) && asking.asks(seconds(0), true));
        let Asking(book, start) = &mut asking;
        book.begin();
        assert!(book.claim(*start, &schedule(), || false), "one is under way");
    }

    #[test]
    fn what_the_source_states_counts_within_bounds() {
        let after = |max_age, spread| schedule().until_refresh(max_age, spread).as_secs();
        assert_eq!(after(None, 0.0), 540);
        assert_eq!(after(Some(seconds(100)), 0.0), 90);
        assert_eq!(after(Some(Duration::ZERO), 0.0), 27);
        assert_eq!(after(Some(Duration::MAX), 0.0), 540);
        // and not all at the same time
        assert_eq!(after(None, 0.5), 510);
        assert_eq!(after(None, 0.999_999_999), 480);
        assert_eq!(after(Some(Duration::ZERO), f64::INFINITY), 24);
    }

    #[test]
    fn failures_are_tried_again_ever_more_rarely() {
        let retries = [1, 2, 3, 6, 7, 8, u32::MAX].map(|n| schedule().until_retry(n).as_secs());
        assert_eq!(retries, [1, 2, 4, 32, 60, 60, 60]);
    }
}
