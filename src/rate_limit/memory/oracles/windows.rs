//! The windows against logs that are counted anew each time.

use std::time::Duration;

use proptest::prelude::*;

use super::{MILLI, SECOND, START, Table, most_in_any, one, turn};
use crate::rate_limit::quota::Quota;

/// What was admitted, and when.
type Log = Vec<(u64, u64)>;

fn sum(log: &Log, counts: impl Fn(u64) -> bool) -> u64 {
    log.iter().filter(|(at, _)| counts(*at)).map(|(_, units)| units).sum()
}

/// Steps of a key's life: milliseconds later, a request of this cost.
fn steps() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((prop_oneof![0u64..60, 0u64..1_500], 1u64..4), 1..300)
}

proptest! {
    #[test]
    fn the_sliding_log_is_exact(count in 1u64..30, steps in steps()) {
        let (table, mut log, mut now) = (Table::new(10), Log::new(), START);
        let quota = Quota::per_second(count).sliding_log();
        for (millis, cost) in steps {
            now += millis * MILLI;
            let used = sum(&log, |at| at + SECOND > now);
            let answer = one(&table, 1, quota, cost, now);
            prop_assert_eq!(answer.verdict.is_ok(), used + cost <= count);
            match answer.verdict {
                Ok(_) => log.push((now, cost)),
                Err(None) => prop_assert!(cost > count),
                Err(Some(wait)) => {
                    let then = now + wait.as_nanos() as u64;
                    let used = |now| sum(&log, |at| at + SECOND > now);
                    prop_assert!(used(then) + cost <= count && used(then - 1) + cost > count);
                }
            }
        }
    }

    #[test]
    fn the_fixed_window_counts_each_window_for_itself(
        count in 1u64..30,
        offset in 0u64..1_000,
        steps in steps(),
    ) {
        let (table, mut log, mut now) = (Table::new(10), Log::new(), START);
        let quota = Quota::per_second(count).fixed_window();
        let quota = quota.starting(Duration::from_millis(offset));
        for (millis, cost) in steps {
            now += millis * MILLI;
            let window = |at: u64| (at - offset * MILLI) / SECOND;
            let used = sum(&log, |at| window(at) == window(now));
            let answer = one(&table, 1, quota, cost, now);
            prop_assert_eq!(answer.verdict.is_ok(), used + cost <= count);
            match answer.verdict {
                Ok(_) => log.push((now, cost)),
                Err(None) => prop_assert!(cost > count),
                Err(Some(wait)) => {
                    let then = now + wait.as_nanos() as u64;
                    prop_assert_eq!(window(then), window(then - 1) + 1);
                }
            }
        }
    }

    // What is refused was refused for what the last two periods admitted, and no period admits twice the count.
    #[test]
    fn the_sliding_window_estimates_within_its_bound(count in 1u64..30, steps in steps()) {
        let (table, mut log, mut now) = (Table::new(10), Log::new(), START);
        let quota = Quota::per_second(count).sliding_window();
        let mut start = None;
        for (millis, cost) in steps {
            now += millis * MILLI;
            // Windows follow each other from the first request, and from the first after a pause of two.
            let mut begins = *start.get_or_insert(now);
            if now - begins >= 2 * SECOND {
                begins = now;
            } else if now - begins >= SECOND {
                begins += SECOND;
            }
            let before = sum(&log, |at| (begins - SECOND..begins).contains(&at));
            let running = sum(&log, |at| at >= begins);
            let covered = SECOND - (now - begins);
            let before = (u128::from(before) * u128::from(covered)).div_ceil(u128::from(SECOND));
            let estimate = running + before as u64;
            let answer = one(&table, 1, quota, cost, now);
            prop_assert_eq!(answer.verdict.is_ok(), estimate + cost <= count);
            if answer.verdict.is_ok() {
                log.push((now, cost));
                start = Some(begins);
            } else {
                prop_assert!(sum(&log, |at| at + 2 * SECOND > now) + cost > count);
            }
            if log.is_empty() {
                start = None;
            }
        }
        for &(first, _) in &log {
            prop_assert!(sum(&log, |at| at >= first && at < first + SECOND) < 2 * count);
        }
    }
}

/// Numbers that look random, the same each time.
fn random(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

/// Under traffic that comes evenly, the sliding window admits within 1 % of what the exact log admits.
#[test]
fn under_even_traffic_the_estimate_is_right_within_one_percent() {
    for (load, seed) in [(2, 1), (3, 2), (10, 3)] {
        let (window, log) =
            (Quota::per_second(100).sliding_window(), Quota::per_second(100).sliding_log());
        let (table, mut random, mut now) = (Table::new(10), random(seed), START);
        let mut admitted = [0_u64; 2];
        while now < START + 60 * SECOND {
            now += random(2 * 10 * MILLI / load);
            for (admitted, quota) in admitted.iter_mut().zip([window, log]) {
                *admitted += u64::from(turn(&table, 1, quota, now).is_some());
            }
        }
        let off = admitted[0].abs_diff(admitted[1]) as f64 / admitted[1] as f64;
        assert!(off < 0.01, "load {load}: {admitted:?}, {:.2} %", off * 100.0);
    }
}

/// What is asked for without a pause: each period after the first admits one less than the count.
#[test]
fn under_pressure_the_sliding_window_admits_its_count_but_for_the_rounding() {
    for (count, a_hundred_periods) in [(1, 50), (2, 101), (10, 901), (60, 5_901)] {
        let (table, quota) = (Table::new(1), Quota::per_second(count).sliding_window());
        let attempts = (0..100_000).filter(|n| turn(&table, 1, quota, START + n * MILLI).is_some());
        assert_eq!(attempts.count(), a_hundred_periods, "{count}");
    }
}

/// What a minute admits at most, of who times requests to harm; `Quota`'s docs have the same table.
#[test]
fn no_minute_admits_more_than_the_table_says_and_some_minute_does() {
    let minute = Quota::per_minute(60);
    let table = [
        (minute, 119),
        (minute.burst(10), 69),
        (minute.spike_arrest(), 60),
        (minute.sliding_log(), 60),
        (minute.sliding_window(), 118),
        (minute.fixed_window(), 120),
        (minute.leaky_bucket(10, 0), 60),
    ];
    for (quota, most) in table {
        assert_eq!(worst(quota), most, "{quota:?}");
    }
}

/// The most that a minute has, of many schedules: some at first, then none for a time, then all that there are.
fn worst(quota: Quota) -> u64 {
    let first = [(1, 0), (0, 17_300), (1, 300), (60, 0), (30, 59_900), (59, 1)];
    let pauses = [0, 500, 30_000, 58_950, 59_000, 59_900, 59_999, 89_000, 119_000, 119_999];
    let ends = [59_000, 60_000, 61_000, 119_000, 119_999, 120_000, 121_000];
    let mut most = 0;
    for (count, begin) in first {
        for pause in pauses {
            for end in ends {
                most = most.max(admitted(quota, begin, count, pause, end));
            }
        }
    }
    most
}

/// The fullest minute of four: `count` at `begin`; all that are admitted from `pause` to `end`, and from `end` on.
fn admitted(quota: Quota, begin: u64, count: u64, pause: u64, end: u64) -> u64 {
    let (table, mut turns) = (Table::new(1), Vec::new());
    let mut attempts = |millis: u64, most: u64| {
        let now = START + millis * MILLI;
        turns.extend((0..most).map_while(|_| turn(&table, 1, quota, now)));
    };
    attempts(begin, count);
    for from in [pause, end] {
        // A burst at the border, then an attempt whenever there may be one more.
        (0..130).for_each(|n| attempts(begin + from + n * 500, 100));
        if end <= pause {
            break;
        }
    }
    turns.sort_unstable();
    most_in_any(60 * SECOND, &turns)
}
