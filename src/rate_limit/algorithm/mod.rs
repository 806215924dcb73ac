//! The algorithms: pure functions of a key's state, the time, the quota and a request's cost.
//!
//! A state is two words, and no state at all is two zeroes. The first word is always the time at which the state
//! says nothing any more that no state would not say: what the store needs to know in order to forget. All times
//! are nanoseconds on one monotonic line.

pub(super) mod fixed_window;
pub(super) mod leaky_bucket;
pub(super) mod penalty_box;
pub(super) mod sliding_log;
pub(super) mod sliding_window;
pub(super) mod token_bucket;

use super::quota::{Algorithm, Quota};
use sliding_log::Log;

/// What is remembered of one key under one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// When it is as good as no state.
    pub(super) rest: u64,
    /// What else the algorithm keeps.
    pub(super) word: u64,
}

/// When a decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The monotonic line, in nanoseconds; it began at the Unix time of its beginning.
    pub(super) now: u64,
    /// The wall clock, in nanoseconds since the epoch; for windows of the calendar.
    pub(super) unix: u64,
}

/// What an algorithm says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judgment {
    /// The state after it, if it is admitted.
    pub(super) verdict: Result<Admission, Refusal>,
    /// What is left: after it if it is admitted, else as it was.
    pub(super) remaining: u64,
    /// Nanoseconds until all is there again.
    pub(super) reset: u64,
}

/// It may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admission {
    pub(super) state: State,
    /// Nanoseconds that it has to wait for its turn.
    pub(super) delay: u64,
}

/// It may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Nanoseconds until the same request would be admitted; `None` for never.
    pub(super) wait: Option<u64>,
}

impl Judgment {
    fn admit(state: State, remaining: u64, reset: u64) -> Self {
        Self { verdict: Ok(Admission { state, delay: 0 }), remaining, reset }
    }

    /// The judgment where nobody can wait: refused if it would have to, until it would not.
    pub(super) fn at_once(self) -> Self {
        match self.verdict {
            Ok(Admission { delay: delay @ 1.., .. }) => {
                Self { verdict: Err(Refusal { wait: Some(delay) }), ..self }
            }
            _ => self,
        }
    }

    pub(super) fn refuse(wait: Option<u64>, remaining: u64, reset: u64) -> Self {
        Self { verdict: Err(Refusal { wait }), remaining, reset }
    }
}

/// The judgment on a request of this cost. A cost of 0 spends nothing and is admitted where a cost of 1 would be.
#[inline]
pub(super) fn judge(
    quota: Quota,
    state: State,
    log: Option<&Log>,
    at: Moment,
    cost: u64,
) -> Judgment {
    if quota.is_nothing() {
        return Judgment::refuse(None, 0, 0);
    }
    let (count, period, interval) = (quota.count(), quota.period(), quota.interval());
    match quota.algorithm() {
        Algorithm::Unlimited => Judgment::admit(state, u64::MAX, 0),
        Algorithm::TokenBucket { burst } => {
            token_bucket::judge(state, at.now, cost, interval, burst)
        }
        Algorithm::LeakyBucket { burst, undelayed } => {
            leaky_bucket::judge(state, at.now, cost, interval, burst, undelayed)
        }
        Algorithm::SlidingWindow => sliding_window::judge(state, at.now, cost, count, period),
        Algorithm::SlidingLog => sliding_log::judge(log, at.now, cost, count, period),
        Algorithm::FixedWindow { .. } | Algorithm::Month { .. } => {
            let left = quota.window_left(at.unix);
            fixed_window::judge(state, at.now, left, cost, count, period)
        }
        Algorithm::PenaltyBox { .. } => penalty_box::judge(state, at.now, count),
    }
}

/// What a key takes whether it is there or not. Logs keep their own: see [`Log::record`].
pub(super) fn charge(quota: Quota, state: State, at: Moment, units: u64) -> State {
    let (count, period, interval) = (quota.count(), quota.period(), quota.interval());
    match quota.algorithm() {
        Algorithm::Unlimited => state,
        Algorithm::TokenBucket { .. } | Algorithm::LeakyBucket { .. } => {
            token_bucket::charge(state, at.now, units, interval)
        }
        Algorithm::SlidingWindow => sliding_window::charge(state, at.now, units, period),
        Algorithm::SlidingLog => State { rest: at.now.saturating_add(period), word: 0 },
        Algorithm::FixedWindow { .. } | Algorithm::Month { .. } => {
            fixed_window::charge(state, at.now, quota.window_left(at.unix), units, period)
        }
        Algorithm::PenaltyBox { ban } => {
            penalty_box::charge(state, at.now, units, count, period, ban)
        }
    }
}

/// What is left when units are given back that were taken under this receipt. Logs keep their own: see
/// [`Log::refund`].
pub(super) fn refund(quota: Quota, state: State, at: Moment, units: u64, receipt: u64) -> State {
    match quota.algorithm() {
        Algorithm::TokenBucket { .. } | Algorithm::LeakyBucket { .. } => {
            token_bucket::refund(state, at.now, units, quota.interval(), receipt)
        }
        Algorithm::SlidingWindow => {
            sliding_window::refund(state, at.now, units, quota.period(), receipt)
        }
        Algorithm::FixedWindow { .. } | Algorithm::Month { .. } => {
            fixed_window::refund(state, units, receipt)
        }
        Algorithm::Unlimited | Algorithm::SlidingLog | Algorithm::PenaltyBox { .. } => state,
    }
}

/// The receipt of whatever was taken last.
pub(super) const LATEST: u64 = u64::MAX;

/// Under which what was just taken can be given back, by the state that it left: the window that it belongs to, or
/// when it will have refilled.
pub(super) fn receipt(quota: Quota, state: State, at: Moment) -> u64 {
    match quota.algorithm() {
        Algorithm::SlidingWindow => state.rest.saturating_sub(2 * quota.period()),
        Algorithm::FixedWindow { .. } | Algorithm::Month { .. } => state.rest,
        Algorithm::SlidingLog => at.now,
        Algorithm::TokenBucket { .. } | Algorithm::LeakyBucket { .. } => state.rest,
        Algorithm::Unlimited | Algorithm::PenaltyBox { .. } => 0,
    }
}
