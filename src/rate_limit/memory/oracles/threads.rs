//! Many at once.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{START, Table, ask, at, one, take};
use crate::rate_limit::quota::Quota;

/// Does this in 64 threads, and says how many of all attempts were admitted.
fn admitted(attempts: u64, attempt: impl Fn(u64) -> bool + Sync) -> u64 {
    let admitted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..64 {
            let (attempt, admitted) = (&attempt, &admitted);
            scope.spawn(move || {
                let yes = (0..attempts).filter(|n| attempt(thread * attempts + n)).count();
                admitted.fetch_add(yes as u64, Ordering::Relaxed);
            });
        }
    });
    admitted.into_inner()
}

fn all_kinds(count: u64) -> [Quota; 5] {
    let quota = Quota::per_hour(count);
    [
        quota,
        quota.sliding_window(),
        quota.sliding_log(),
        quota.fixed_window(),
        quota.leaky_bucket(count - 1, count),
    ]
}

#[test]
fn on_one_key_exactly_the_quota_is_admitted() {
    for quota in all_kinds(500) {
        let table = Table::new(100);
        let attempt = |_| one(&table, 1, quota, 1, START).verdict.is_ok();
        assert_eq!(admitted(40, attempt), 500, "{quota:?}");
    }
}

#[test]
fn on_a_million_keys_exactly_the_quota_of_each_is_admitted() {
    // Room for all of them; each is asked for three times, by three threads or four.
    const KEYS: u64 = 1_000_000;
    let table = Table::new(2 * KEYS as usize);
    let quota = Quota::per_hour(2);
    let attempt = |n: u64| one(&table, n % KEYS, quota, 1, START).verdict.is_ok();
    assert_eq!(admitted(3 * KEYS / 64, attempt), 2 * KEYS);
}

#[test]
fn limits_in_opposite_orders_do_not_wait_for_each_other() {
    let (one, other, quota) = (Table::new(1), Table::new(1), Quota::per_hour(300));
    let attempt = |n: u64| {
        let (one, other) = (ask(&one, 1, quota, 1), ask(&other, 1, quota, 1));
        let asks = if n.is_multiple_of(2) { [one, other] } else { [other, one] };
        take(&asks, at(START), true).refusal().is_none()
    };
    assert_eq!(admitted(50, attempt), 300);
}
