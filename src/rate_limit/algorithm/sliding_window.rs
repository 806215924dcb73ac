//! The sliding window by two counters: an estimate of what the last period admitted.
//!
//! Windows of one period follow each other from a key's first request. The estimate is the count of the window
//! that runs, and of the one before it the part that the last period still covers, as if it had come evenly. The
//! state's word holds both counts; its `rest` is two periods after the running window began.
//!
//! Only admitted requests count, so a client that never pauses is admitted its quota. The estimate is wrong by as
//! much as the window before was uneven: at worst, all of it came at its end, and a period that begins there
//! admits up to twice the count, less two: the first request of that window came at its beginning, and not all of it
//! is out of the estimate before the next one ends.

use super::{Judgment, LATEST, State};

/// The most that is counted.
const MOST: u64 = u32::MAX as u64;

/// The two counts, and when the running window began.
#[derive(Clone, Copy)]
struct Windows {
    start: u64,
    before: u64,
    running: u64,
}

impl Windows {
    /// As the state says at this time.
    fn of(state: State, now: u64, period: u64) -> Self {
        let (before, running) = (state.word >> 32, state.word & MOST);
        let start = state.rest.saturating_sub(2 * period).min(now);
        match now {
            _ if state.rest <= now => Self { start: now, before: 0, running: 0 },
            _ if now - start >= period => {
                Self { start: start + period, before: running, running: 0 }
            }
            _ => Self { start, before, running },
        }
    }

    fn state(self, period: u64) -> State {
        let word = (self.before << 32) | self.running.min(MOST);
        State { rest: self.start.saturating_add(2 * period), word }
    }

    /// What counts at this time, rounded up.
    fn used(&self, now: u64, period: u64) -> u64 {
        let covered = period - (now - self.start).min(period);
        share(self.before, covered, period) + self.running
    }

    /// When nothing of this counts any more.
    fn over_in(&self, now: u64, period: u64) -> u64 {
        match (self.running, self.before) {
            (0, 0) => 0,
            (0, _) => (self.start + period).saturating_sub(now),
            _ => (self.start.saturating_add(2 * period)).saturating_sub(now),
        }
    }
}

/// `count × part / whole`, rounded up.
fn share(count: u64, part: u64, whole: u64) -> u64 {
    (u128::from(count) * u128::from(part)).div_ceil(u128::from(whole)) as u64
}

/// The judgment on a request of `cost`.
pub(crate) fn judge(state: State, now: u64, cost: u64, count: u64, period: u64) -> Judgment {
    let count = count.min(MOST);
    let mut windows = Windows::of(state, now, period);
    let used = windows.used(now, period);
    let needed = cost.max(1);
    if used.saturating_add(needed) > count {
        let wait = (needed <= count).then(|| wait(windows, now, count - needed, period));
        return Judgment::refuse(wait, count.saturating_sub(used), windows.over_in(now, period));
    }
    windows.running += cost;
    let state = if cost == 0 { state } else { windows.state(period) };
    Judgment::admit(state, count - used - cost, windows.over_in(now, period))
}

/// How long until the estimate is at most `room`.
fn wait(windows: Windows, now: u64, room: u64, period: u64) -> u64 {
    let into = now - windows.start;
    if windows.running <= room {
        return falls_to(windows.before, room - windows.running, period).saturating_sub(into);
    }
    (period - into).saturating_add(falls_to(windows.running, room, period))
}

/// How far into the next window a count has fallen to `room`.
fn falls_to(count: u64, room: u64, period: u64) -> u64 {
    if count <= room {
        return 0;
    }
    let covered = u128::from(room) * u128::from(period) / u128::from(count);
    period - covered as u64
}

/// The state after `units` more were taken, whether they were there or not.
pub(crate) fn charge(state: State, now: u64, units: u64, period: u64) -> State {
    let mut windows = Windows::of(state, now, period);
    windows.running = windows.running.saturating_add(units).min(MOST);
    windows.state(period)
}

/// The state after `units`, taken in the window that began at `start`, were given back.
pub(crate) fn refund(state: State, now: u64, units: u64, period: u64, start: u64) -> State {
    let mut windows = Windows::of(state, now, period);
    if start == LATEST {
        let more = units.saturating_sub(windows.running);
        windows.running = windows.running.saturating_sub(units);
        windows.before = windows.before.saturating_sub(more);
    } else if windows.start == start {
        windows.running = windows.running.saturating_sub(units);
    } else if windows.start == start.saturating_add(period) {
        windows.before = windows.before.saturating_sub(units);
    }
    windows.state(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what it can at these times, and says how many each time.
    fn taken(count: u64, times: &[(u64, u64)]) -> Vec<u64> {
        let mut state = State::default();
        let mut one = |now| {
            let admission = judge(state, now, 1, count, 100).verdict.ok()?;
            state = admission.state;
            Some(())
        };
        let at = |&(now, attempts)| (0..attempts).map_while(|_| one(now)).count() as u64;
        times.iter().map(at).collect()
    }

    #[test]
    fn the_first_period_admits_the_count() {
        assert_eq!(taken(10, &[(1_007, 4), (1_050, 100), (1_106, 100)]), [4, 6, 0]);
    }

    #[test]
    fn the_window_before_counts_for_the_part_that_is_still_in() {
        assert_eq!(taken(10, &[(1_000, 10), (1_100, 1), (1_110, 9), (1_150, 9)]), [10, 0, 1, 4]);
        assert_eq!(taken(10, &[(1_000, 10), (1_199, 99), (1_200, 99)]), [10, 9, 1]);
        assert_eq!(taken(10, &[(1_000, 10), (1_300, 99)]), [10, 10], "two periods later");
    }

    #[test]
    fn who_waits_as_told_is_admitted_and_not_sooner() {
        for (spent, now) in [(10, 1_000), (10, 1_130), (7, 1_199), (10, 1_250)] {
            let state = charge(State::default(), 1_000, spent, 100);
            for cost in 1..=10 {
                let Err(refusal) = judge(state, now, cost, 10, 100).verdict else { continue };
                let wait = refusal.wait.unwrap();
                assert!(judge(state, now + wait, cost, 10, 100).verdict.is_ok());
                assert!(judge(state, now + wait - 1, cost, 10, 100).verdict.is_err());
            }
        }
        assert_eq!(judge(State::default(), 5, 11, 10, 100), Judgment::refuse(None, 10, 0));
    }

    #[test]
    fn what_is_given_back_is_given_to_the_window_it_was_taken_from() {
        let state = charge(State::default(), 1_000, 10, 100);
        let left = |now, start| {
            let state = refund(state, now, 4, 100, start);
            judge(state, now, 0, 10, 100).remaining
        };
        assert_eq!(left(1_000, 1_000), 4);
        assert_eq!(left(1_150, 1_000), 10 - 3);
        assert_eq!(left(1_150, 900), 10 - 5, "that window is gone");
    }

    #[test]
    fn nothing_overflows() {
        for now in [0, 1, u64::MAX / 2, u64::MAX] {
            for word in [0, u64::MAX] {
                let state = State { rest: now.saturating_add(5), word };
                for period in [1, u64::MAX / 4] {
                    judge(state, now, u64::MAX, u64::MAX, period);
                    refund(charge(state, now, u64::MAX, period), now, 1, period, now);
                }
            }
        }
    }
}
