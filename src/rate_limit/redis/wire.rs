//! What is said to the script, and what it says: pure.
//!
//! The script decides and keeps; it tells the state that it has found. What is left and how long to wait follow
//! from that by the same functions that decide in memory.

use super::failure::Failure;
use crate::rate_limit::{
    algorithm::{self, Judgment, Moment, State, sliding_log},
    quota::{Algorithm, LONGEST, Quota},
    store::{Answer, Demand, Receipt},
};

const SECOND: u64 = 1_000_000_000;

/// The most that Lua counts without gaps. Counts and costs beyond it are cut to that.
const MOST: u64 = 1 << 53;

/// How the script marks a ban.
const BANNED: u64 = MOST;

/// Seconds, and the nanoseconds beyond.
type Pair = [u64; 2];

fn pair(nanos: u64) -> Pair {
    [nanos / SECOND, nanos % SECOND]
}

fn nanos([seconds, nanos]: Pair) -> u64 {
    seconds.saturating_mul(SECOND).saturating_add(nanos)
}

/// A time, as the script reads it.
pub(super) fn time(at: Moment) -> Vec<u8> {
    doubles([pair(at.now), pair(at.unix)].concat())
}

/// A demand, as the script reads it: to be judged.
pub(super) fn demand(demand: &Demand) -> Vec<u8> {
    let interval = demand.quota().interval();
    let cost = interval.saturating_mul(demand.units().max(1));
    numbers(demand, cost, interval)
}

/// A demand, as the script reads it: to be given back.
pub(super) fn refund(demand: &Demand, receipt: Receipt) -> Vec<u8> {
    let cost = demand.quota().interval().saturating_mul(demand.units());
    numbers(demand, cost, receipt.word())
}

/// Twelve numbers; what the last three times mean is the algorithm's.
fn numbers(demand: &Demand, cost: u64, last: u64) -> Vec<u8> {
    let quota = demand.quota();
    let (code, count, one, two) = match quota.algorithm() {
        Algorithm::Unlimited => (0, MOST, 0, 0),
        Algorithm::TokenBucket { burst } => (1, MOST, capacity(quota, burst), cost),
        Algorithm::LeakyBucket { burst, .. } => {
            (1, MOST, capacity(quota, burst.saturating_add(1)), cost)
        }
        Algorithm::SlidingWindow => (2, quota.count().min(u32::MAX.into()), 0, 0),
        Algorithm::SlidingLog => (3, quota.count(), 0, 0),
        Algorithm::FixedWindow { offset } => {
            (4, quota.count(), offset % quota.period(), quota.period() / 2)
        }
        Algorithm::Month { offset } => (5, quota.count(), offset, quota.period() / 2),
        Algorithm::PenaltyBox { ban } => (6, quota.count(), ban, 0),
    };
    let counts = [code, demand.is_enforced().into(), demand.units().min(MOST), count.min(MOST)];
    let times = [quota.period(), one, two, last].map(pair);
    doubles([&counts, times.as_flattened()].concat())
}

/// How long an empty bucket takes to be full.
fn capacity(quota: Quota, burst: u64) -> u64 {
    let interval = quota.interval();
    if quota.is_nothing() { 0 } else { interval * burst.min(LONGEST / interval) }
}

/// Each is at most 2⁵³, and so exact.
fn doubles(numbers: Vec<u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(|it| (it as f64).to_le_bytes()).collect()
}

/// What the script says to a request: the time, and of each demand the verdict and the state before.
pub(super) struct Reply {
    now: u64,
    found: Vec<Found>,
}

/// What was found under a demand's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    admitted: bool,
    rest: u64,
    counts: [u64; 3],
    units: u64,
}

impl Reply {
    /// Reads the script's numbers.
    pub(super) fn read(said: redis::Value) -> Result<Self, Failure> {
        let said: Vec<i64> = redis::from_redis_value(said).map_err(|_| Failure::Garbage)?;
        let said: Result<Vec<u64>, _> = said.into_iter().map(u64::try_from).collect();
        let said = said.map_err(|_| Failure::Garbage)?;
        let (now, found) = said.split_first_chunk().ok_or(Failure::Garbage)?;
        let (found, rest) = found.as_chunks();
        match rest {
            [] => Ok(Self { now: nanos(*now), found: found.iter().map(Found::read).collect() }),
            _ => Err(Failure::Garbage),
        }
    }

    /// What it means to these demands. `unix` is the wall clock that the script went by; the server's, for `None`.
    pub(super) fn answers(
        &self,
        demands: &[Demand],
        unix: Option<u64>,
    ) -> Result<Vec<Answer>, Failure> {
        if demands.len() != self.found.len() {
            return Err(Failure::Garbage);
        }
        let at = Moment { now: self.now, unix: unix.unwrap_or(self.now) };
        demands.iter().zip(&self.found).map(|(demand, it)| it.answer(demand, at)).collect()
    }
}

impl Found {
    fn read(&[admitted, seconds, nanos, one, two, three, units]: &[u64; 7]) -> Self {
        let rest = self::nanos([seconds, nanos]);
        Self { admitted: admitted == 1, rest, counts: [one, two, three], units }
    }

    fn answer(&self, demand: &Demand, at: Moment) -> Result<Answer, Failure> {
        let quota = demand.quota();
        let at = Moment { now: self.now(quota, at.now), ..at };
        let units = self.units_of(demand);
        let judgment = self.judge(quota, at, units);
        // Who decides has also spent: never say anything else than the script.
        if judgment.verdict.is_ok() != self.admitted {
            return Err(Failure::Garbage);
        }
        Ok(Answer::of(quota, judgment, at, units))
    }

    /// What was judged: all that was asked for, as far as Lua counts, or the part that was lent.
    fn units_of(&self, demand: &Demand) -> u64 {
        if self.units == demand.units().min(MOST) { demand.units() } else { self.units }
    }

    /// When the script has judged: clients' clocks differ, and for no key does time go back.
    fn now(&self, quota: Quota, now: u64) -> u64 {
        match quota.algorithm() {
            Algorithm::SlidingWindow => now.max(self.rest.saturating_sub(2 * quota.period())),
            Algorithm::SlidingLog => now.max(self.rest.saturating_sub(quota.period())),
            _ => now,
        }
    }

    fn judge(&self, quota: Quota, at: Moment, units: u64) -> Judgment {
        let [one, two, _] = self.counts;
        let word = match quota.algorithm() {
            Algorithm::SlidingLog => return self.judge_log(quota, at, units),
            Algorithm::SlidingWindow => (two << 32) | (one & u64::from(u32::MAX)),
            Algorithm::PenaltyBox { .. } if one == BANNED => u64::MAX,
            _ => one,
        };
        algorithm::judge(quota, State { rest: self.rest, word }, None, at, units)
    }

    fn judge_log(&self, quota: Quota, at: Moment, units: u64) -> Judgment {
        let [used, falls @ ..] = self.counts;
        let (count, period) = (quota.count(), quota.period());
        sliding_log::rule(used, self.rest, |_| nanos(falls), at.now, units, count, period)
    }
}
