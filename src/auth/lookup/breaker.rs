//! When not to ask at all: a circuit breaker over failures in a row.

use std::time::{Duration, Instant};

/// So many failures in a row open it.
const FAILURES: u32 = 5;

/// The first pause; it doubles with each probe that fails, up to [`LONGEST`].
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// How long a probe may keep others out: longer than any question takes that is going to be answered.
const PROBE: Duration = Duration::from_secs(60);

/// Closed, open until a time, or half open while one probe flies.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
    /// Whether that is the time of a probe.
    probing: bool,
}

impl Breaker {
    /// Whether a question may be asked now; else how long to wait.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self.open_until {
            Some(until) if now < until => Err(until - now),
            Some(_) => {
                // One probe: until it lands, nobody else asks.
                (self.open_until, self.probing) = (Some(now + PROBE), true);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Notes a success, after which nobody has to wait.
    pub(super) fn succeeded(&mut self) -> Duration {
        *self = Self::default();
        Duration::ZERO
    }

    /// Notes a failure; says how long nobody asks, which is zero while it is closed.
    pub(super) fn failed(&mut self, now: Instant) -> Duration {
        // Of the questions that were under way when it opened, each says the same once more.
        if let (Some(until), false) = (self.open_until, self.probing) {
            return until.saturating_duration_since(now);
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES {
            return Duration::ZERO;
        }
        let pause = (PAUSE * (1 << (self.failures - FAILURES).min(5))).min(LONGEST);
        (self.open_until, self.probing) = (Some(now + pause), false);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // any instant will do
    fn opens_after_failures_in_a_row_and_probes_once_after_each_pause() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            assert_eq!(breaker.failed(start), Duration::ZERO);
        }
        breaker.succeeded();
        for _ in 0..4 {
            assert!(breaker.admit(start).is_ok());
            breaker.failed(start);
        }
        assert_eq!(breaker.failed(start), Duration::from_secs(1));
        assert_eq!(breaker.admit(start), Err(Duration::from_secs(1)));
        assert!(breaker.admit(at(1)).is_ok(), "a probe");
        assert!(breaker.admit(at(1)).is_err(), "and only one");
        assert_eq!(breaker.failed(at(1)), Duration::from_secs(2));
        assert!(breaker.admit(at(2)).is_err() && breaker.admit(at(3)).is_ok());
        breaker.succeeded();
        assert!(breaker.admit(at(3)).is_ok() && breaker.admit(at(3)).is_ok());
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn questions_that_fail_together_are_one_reason_to_pause() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::default();
        for _ in 0..64 {
            breaker.failed(start);
        }
        assert_eq!(breaker.admit(start), Err(Duration::from_secs(1)));
        assert!(breaker.admit(at(1)).is_ok(), "a probe");
        assert_eq!(breaker.failed(at(1)), Duration::from_secs(2), "which doubles it");
        assert_eq!(breaker.failed(at(1)), Duration::from_secs(2), "and no straggler does");
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn pauses_are_bounded_and_a_lost_probe_does_not_close_it_for_ever() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        let mut later = start;
        for _ in 0..100 {
            assert!(breaker.admit(later).is_ok());
            let pause = breaker.failed(later);
            assert!(pause <= LONGEST);
            later += pause;
        }
        assert_eq!(breaker.admit(later - LONGEST), Err(LONGEST));
        assert!(breaker.admit(later).is_ok());
        assert!(breaker.admit(later + PROBE).is_ok());
    }
}
