//! The store and its algorithms against others that are simpler, or of somebody else's making.

mod governor;
mod several;
mod small_table;
mod threads;
mod windows;

use super::{Ask, Table, take};
use crate::rate_limit::{
    algorithm::Moment,
    quota::Quota,
    store::{Answer, Grant},
};

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;

/// A time at which a window of any usual length begins.
const START: u64 = 2_000_000_000 / 86_400 * 86_400 * SECOND;

fn at(now: u64) -> Moment {
    Moment { now, unix: now }
}

fn ask(table: &Table, key: u64, quota: Quota, cost: u64) -> Ask<'_> {
    let key = table.fingerprint(quota.kind(), Some(&key.to_be_bytes()));
    Ask { table, key, quota, cost, enforced: true }
}

/// One limit, and one request of this cost.
fn one(table: &Table, key: u64, quota: Quota, cost: u64, now: u64) -> Answer {
    take(&[ask(table, key, quota, cost)], at(now), true).said()[0].answer
}

/// When it may go on, if it is admitted.
fn turn(table: &Table, key: u64, quota: Quota, now: u64) -> Option<u64> {
    let Grant { delay, .. } = one(table, key, quota, 1, now).verdict.ok()?;
    Some(now + u64::try_from(delay.as_nanos()).unwrap())
}

/// The most that any period, which begins with one of these and ends before the next begins, has of them.
fn most_in_any(period: u64, times: &[u64]) -> u64 {
    let within = |(n, first): (usize, &u64)| times[n..].partition_point(|it| it - first < period);
    times.iter().enumerate().map(within).max().unwrap_or(0) as u64
}
