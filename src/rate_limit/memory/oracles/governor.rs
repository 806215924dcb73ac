//! The token bucket against the `governor` crate's own limiter.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    RateLimiter,
    clock::{Clock as _, FakeRelativeClock},
    middleware::StateInformationMiddleware,
};
use proptest::prelude::*;

use super::{MILLI, START, Table, one};
use crate::rate_limit::quota::Quota;

proptest! {
    #[test]
    fn decides_as_governors_own_limiter_does(
        count in 1u32..50,
        burst in 1u32..50,
        steps in prop::collection::vec((0u64..4, 0u64..400, 1u32..6), 1..300),
    ) {
        let quota = Quota::per_second(count.into()).burst(burst.into());
        let table = Table::new(100);
        let interval = Duration::from_nanos(1_000_000_000_u64.div_ceil(count.into()));
        let peer = governor::Quota::with_period(interval).unwrap();
        let peer = peer.allow_burst(NonZeroU32::new(burst).unwrap());
        let clock = FakeRelativeClock::default();
        let peer = RateLimiter::hashmap_with_clock(peer, clock.clone())
            .with_middleware::<StateInformationMiddleware>();
        let mut now = START;
        for (key, millis, cost) in steps {
            now += millis * MILLI;
            clock.advance(Duration::from_millis(millis));
            let ours = one(&table, key, quota, cost.into(), now);
            match (ours.verdict, peer.check_key_n(&key, NonZeroU32::new(cost).unwrap())) {
                (Ok(_), Ok(Ok(snapshot))) => {
                    let left = u64::from(snapshot.remaining_burst_capacity());
                    prop_assert_eq!(ours.remaining(), left);
                }
                (Err(wait), Ok(Err(until))) => {
                    prop_assert_eq!(wait, Some(until.wait_time_from(clock.now())));
                }
                (Err(None), Err(_)) => prop_assert!(cost > burst, "more than ever fits"),
                (ours, peers) => prop_assert!(false, "{:?} against {:?}", ours, peers),
            }
        }
    }
}
