//! The sliding window that remembers each request: exact, and as large as its quota.

use std::collections::VecDeque;

use super::{Judgment, LATEST, State};

/// When the requests of a key were admitted, and what each took; the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    entries: VecDeque<(u64, u64)>,
    /// What all entries took.
    total: u64,
}

impl Log {
    /// Forgets what is a period old.
    pub(crate) fn forget(&mut self, now: u64, period: u64) {
        while let Some(&(at, units)) = self.entries.front()
            && at.saturating_add(period) <= now
        {
            self.entries.pop_front();
            self.total -= units;
        }
    }

    /// Remembers what was taken.
    pub(crate) fn record(&mut self, now: u64, units: u64) {
        let units = units.min(u64::MAX - self.total);
        if units == 0 {
            return;
        }
        self.total += units;
        match self.entries.back_mut() {
            Some((at, taken)) if *at >= now => *taken += units,
            _ => self.entries.push_back((now, units)),
        }
    }

    /// Gives back what was taken at this time, or the last of it.
    pub(crate) fn refund(&mut self, taken_at: u64, units: u64) {
        if taken_at == LATEST {
            return self.refund_latest(units);
        }
        let Ok(index) = self.entries.binary_search_by_key(&taken_at, |(at, _)| *at) else { return };
        let (_, taken) = &mut self.entries[index];
        let back = units.min(*taken);
        *taken -= back;
        self.total -= back;
        // What took nothing is not remembered: or who is given all back would fill the memory.
        if *taken == 0 {
            self.entries.remove(index);
        }
    }

    fn refund_latest(&mut self, mut units: u64) {
        while units > 0
            && let Some(&(at, taken)) = self.entries.back()
        {
            self.refund(at, units);
            units = units.saturating_sub(taken);
        }
    }

    /// When its last entry is forgotten.
    pub(crate) fn rest(&self, period: u64) -> u64 {
        self.entries.back().map_or(0, |(at, _)| at.saturating_add(period))
    }

    /// What counts at this time.
    fn used(&self, now: u64, period: u64) -> u64 {
        let old = self.entries.iter().take_while(|(at, _)| at.saturating_add(period) <= now);
        self.total - old.map(|(_, units)| units).sum::<u64>()
    }

    /// When what counts has fallen to `room`.
    fn falls_to(&self, room: u64, period: u64) -> u64 {
        let mut left = self.total;
        let enough = self.entries.iter().find(|(_, units)| {
            left -= units;
            left <= room
        });
        enough.map_or(0, |(at, _)| at.saturating_add(period))
    }
}

/// The judgment on a request of `cost`. The state says when the log is empty; what was admitted is still to be
/// [recorded](Log::record).
pub(crate) fn judge(log: Option<&Log>, now: u64, cost: u64, count: u64, period: u64) -> Judgment {
    let used = log.map_or(0, |log| log.used(now, period));
    let rest = log.map_or(0, |log| log.rest(period));
    let needed = cost.max(1);
    let reset = rest.saturating_sub(now);
    if needed > count.saturating_sub(used) {
        let falls = |room| log.map_or(0, |log| log.falls_to(room, period)).saturating_sub(now);
        let wait = (needed <= count).then(|| falls(count - needed));
        return Judgment::refuse(wait, count.saturating_sub(used), reset);
    }
    match cost {
        0 => Judgment::admit(State { rest, word: 0 }, count - used, reset),
        _ => {
            let rest = now.saturating_add(period);
            Judgment::admit(State { rest, word: 0 }, count - used - cost, period)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &[(u64, u64)]) -> Log {
        let mut log = Log::default();
        entries.iter().for_each(|&(at, units)| log.record(at, units));
        log
    }

    #[test]
    fn no_period_admits_more_than_the_count() {
        let log = log(&[(10, 1), (20, 2)]);
        let wait = |now, cost| judge(Some(&log), now, cost, 3, 100).verdict.map_err(|it| it.wait);
        assert_eq!(wait(30, 1), Err(Some(80)));
        assert_eq!(wait(109, 1), Err(Some(1)));
        assert!(wait(110, 1).is_ok());
        assert_eq!(wait(110, 2), Err(Some(10)));
        assert!(wait(120, 3).is_ok());
        assert_eq!(wait(120, 4), Err(None));
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut log = log(&[(10, 1), (20, 2), (20, 1), (30, 0)]);
        assert_eq!((log.entries.len(), log.total, log.rest(100)), (2, 4, 120));
        log.forget(110, 100);
        assert_eq!(log, self::log(&[(20, 3)]));
        log.refund(20, 2);
        assert_eq!(log.total, 1);
        log.refund(10, 2);
        assert_eq!(log.total, 1, "that one is forgotten");
        log.record(40, 3);
        log.refund(LATEST, 2);
        assert_eq!(log.total, 2, "of the last");
        log.refund(LATEST, u64::MAX);
        assert_eq!(log.total, 0);
        log.forget(u64::MAX, 100);
        assert_eq!(log, Log::default());
    }

    #[test]
    fn what_is_given_back_leaves_no_trace() {
        let mut log = Log::default();
        for now in 0..10_000 {
            log.record(now, 2);
            log.refund(now, 1);
            log.refund(now, u64::MAX);
        }
        assert_eq!(log, Log::default());
    }

    #[test]
    fn a_cost_of_nothing_spends_nothing_where_one_is_left() {
        assert!(judge(Some(&log(&[(10, 2)])), 20, 0, 3, 100).verdict.is_ok());
        assert!(judge(Some(&log(&[(10, 3)])), 20, 0, 3, 100).verdict.is_err());
    }
}
