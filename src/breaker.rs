//! When not to ask at all: a circuit breaker over failures in a row.

use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    /// So many failures in a row open it.
    pub(crate) failures: u32,
    /// The first pause; it doubles with each probe that fails.
    pub(crate) first: Duration,
    /// The longest pause.
    pub(crate) longest: Duration,
    /// How long a probe may keep others out: longer than any question takes that is going to be answered.
    pub(crate) probe: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            failures: 5,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            probe: Duration::from_secs(60),
        }
    }
}

/// Closed, open until a time, or half open while one probe flies.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    pauses: Pauses,
    failures: u32,
    open_until: Option<Instant>,
    era: Era,
}

/// The time between two openings. Many questions that were open together fail together: only the first of them
/// count, since the others were asked before it was known that none should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Era(u64);

impl Breaker {
    #[allow(dead_code, reason = "who asks about credentials takes the default")]
    pub(crate) fn new(pauses: Pauses) -> Self {
        Self { pauses, ..Self::default() }
    }

    /// The era, if questions are asked; `None` while it is open or half open. For who does not want to probe.
    #[allow(dead_code, reason = "which concerns have such questions depends on the features")]
    pub(crate) fn closed(&self) -> Option<Era> {
        self.open_until.is_none().then_some(self.era)
    }

    /// How long nobody asks.
    #[allow(dead_code, reason = "as `closed`")]
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        self.open_until.map_or(Duration::ZERO, |it| it.saturating_duration_since(now))
    }

    /// Whether a question of this era was asked after the last opening.
    #[allow(dead_code, reason = "as `closed`")]
    pub(crate) fn is_current(&self, era: Era) -> bool {
        era == self.era
    }

    /// Whether a question may be asked now, and in which era it is; else how long to wait.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Era, Duration> {
        match self.open_until {
            Some(until) if now < until => return Err(until - now),
            // One probe: until it lands, nobody else asks.
            Some(_) => self.open_until = Some(now + self.pauses.probe),
            None => {}
        }
        Ok(self.era)
    }

    /// Notes a success, after which nobody has to wait.
    pub(crate) fn succeeded(&mut self) -> Duration {
        (self.failures, self.open_until) = (0, None);
        Duration::ZERO
    }

    /// Notes the failure of a question of this era; says how long nobody asks, which is zero while it is closed.
    pub(crate) fn failed(&mut self, era: Era, now: Instant) -> Duration {
        if era != self.era {
            return self.wait(now);
        }
        self.failures = self.failures.saturating_add(1);
        let Pauses { failures, first, longest, .. } = self.pauses;
        if self.failures < failures {
            return Duration::ZERO;
        }
        let pause = (first * (1 << (self.failures - failures).min(5))).min(longest);
        self.open_until = Some(now + pause);
        self.era.0 += 1;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const PAUSE: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(30);
    const PROBE: Duration = Duration::from_secs(60);

    /// A question fails that was asked just now.
    fn fail(breaker: &mut Breaker, now: Instant) -> Duration {
        breaker.failed(breaker.era, now)
    }

    #[test]
    fn opens_after_failures_in_a_row_and_probes_once_after_each_pause() {
        let start = Clock::system().now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            assert_eq!(fail(&mut breaker, start), Duration::ZERO);
        }
        breaker.succeeded();
        for _ in 0..4 {
            assert!(breaker.admit(start).is_ok());
            fail(&mut breaker, start);
        }
        assert_eq!(fail(&mut breaker, start), Duration::from_secs(1));
        assert_eq!(breaker.admit(start), Err(Duration::from_secs(1)));
        assert!(breaker.admit(at(1)).is_ok(), "a probe");
        assert!(breaker.admit(at(1)).is_err(), "and only one");
        assert_eq!(fail(&mut breaker, at(1)), Duration::from_secs(2));
        assert!(breaker.admit(at(2)).is_err() && breaker.admit(at(3)).is_ok());
        breaker.succeeded();
        assert!(breaker.admit(at(3)).is_ok() && breaker.admit(at(3)).is_ok());
    }

    #[test]
    fn pauses_are_bounded_and_a_lost_probe_does_not_close_it_for_ever() {
        let start = Clock::system().now();
        let mut breaker = Breaker::default();
        let longest = (0..100).map(|_| fail(&mut breaker, start)).max();
        assert_eq!(longest, Some(LONGEST));
        let later = start + LONGEST;
        assert!(breaker.admit(later).is_ok());
        assert!(breaker.admit(later + PROBE).is_ok());
    }

    #[test]
    fn questions_that_were_open_together_fail_as_one() {
        let start = Clock::system().now();
        let mut breaker = Breaker::default();
        let together: Vec<Era> = (0..64).map(|_| breaker.admit(start).unwrap()).collect();
        for era in &together {
            breaker.failed(*era, start);
        }
        assert_eq!(breaker.admit(start), Err(PAUSE), "the first pause, not the longest");
        let probe = breaker.admit(start + PAUSE).unwrap();
        breaker.failed(together[0], start + PAUSE);
        assert_eq!(breaker.failed(probe, start + PAUSE), PAUSE * 2, "the probe alone counts");
    }
}
