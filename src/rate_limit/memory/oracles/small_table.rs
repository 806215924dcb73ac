//! Eighty keys in a table of 32 slots: some share the overflow cell, slots change hands, kinds of quotas meet.

use proptest::prelude::*;

use super::{MILLI, SECOND, START, Table, most_in_any, turn};
use crate::rate_limit::quota::Quota;

/// Quotas of a second, and the most that any second admits of each.
fn quotas(count: u64, burst: u64) -> [(Quota, u64); 6] {
    let quota = Quota::per_second(count);
    [
        (quota.burst(burst), burst + count),
        (quota.sliding_log(), count),
        (quota.sliding_window(), 2 * count - 1),
        (quota.fixed_window(), 2 * count),
        (quota.leaky_bucket(burst, burst), burst + 1 + count),
        (quota.leaky_bucket(burst, 0), count + 1),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_second_admits_a_key_more_than_its_quota(
        count in 1u64..20,
        burst in 1u64..20,
        mixed in any::<bool>(),
        algorithm in 0usize..6,
        steps in prop::collection::vec((0u64..100, 0u64..80, 1usize..20), 1..400),
    ) {
        let (table, mut now) = (Table::new(1), START);
        let quotas = quotas(count, burst);
        let of = |key: u64| quotas[if mixed { key as usize % 6 } else { algorithm }];
        let mut turns = vec![Vec::new(); 80];
        for (millis, key, attempts) in steps {
            now += millis * MILLI / 10;
            let taken = (0..attempts).map_while(|_| turn(&table, key, of(key).0, now));
            turns[key as usize].extend(taken);
        }
        for (key, turns) in (0..).zip(&mut turns) {
            let (quota, most) = of(key);
            turns.sort_unstable();
            prop_assert!(most_in_any(SECOND, turns) <= most, "{:?}: {:?}", quota, turns);
        }
    }
}
