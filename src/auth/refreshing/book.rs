//! When to fetch, decided purely: the schedule, and what is known of the fetches so far.

use std::time::{Duration, Instant};

/// The first pause after a failed fetch; it doubles up to [`MAX_BACK_OFF`].
const BACK_OFF: Duration = Duration::from_secs(1);
pub(super) const MAX_BACK_OFF: Duration = Duration::from_secs(60);

/// When to fetch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// The longest lifetime of a value, and the lifetime of one whose source states none.
    pub(crate) every: Duration,
    /// The shortest lifetime of a value, whatever its source states.
    pub(crate) at_least: Duration,
    /// The age at which a value that could not be refreshed is withdrawn.
    pub(crate) max_staleness: Duration,
    /// The pause after a fetch before another can be asked for.
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
    /// How long to wait after a success.
    pub(super) fn until_refresh(&self, max_age: Option<Duration>) -> Duration {
        let lifetime = max_age.unwrap_or(self.every);
        lifetime.max(self.at_least).min(self.every) / 10 * 9
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
    pub(super) cool: Instant,
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
            cool: now,
            last_error: None,
            failures_in_a_row: 0,
            refreshes: 0,
            failures: 0,
        }
    }

    /// Whether whoever asks now will see a fetch end.
    pub(super) fn claim(&mut self, now: Instant) -> bool {
        if self.in_flight || self.asked {
            return true;
        }
        self.asked = now >= self.cool;
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
        schedule: &Schedule,
        outcome: Result<Option<Duration>, String>,
    ) {
        self.in_flight = false;
        self.cool = now + schedule.cooldown;
        let pause = match outcome {
            Ok(max_age) => {
                self.loaded = Some(now);
                self.last_error = None;
                self.failures_in_a_row = 0;
                self.refreshes += 1;
                schedule.until_refresh(max_age)
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
