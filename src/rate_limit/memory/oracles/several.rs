//! Several limits at once.

use proptest::prelude::*;

use super::{MILLI, START, Table, ask, at, take};
use crate::rate_limit::{quota::Quota, store::Answer};

fn quota() -> impl Strategy<Value = Quota> {
    (1u64..8, 1u64..8, 0u8..6).prop_map(|(count, burst, algorithm)| {
        let quota = Quota::per_second(count);
        match algorithm {
            0 => quota.burst(burst),
            1 => quota.sliding_window(),
            2 => quota.sliding_log(),
            3 => quota.fixed_window(),
            4 => quota.leaky_bucket(burst, burst / 2),
            _ => quota,
        }
    })
}

proptest! {
    #[test]
    fn a_denied_request_spends_from_none_and_an_admitted_one_from_all(
        quotas in prop::collection::vec(quota(), 1..5),
        steps in prop::collection::vec((0u64..400, 0u64..3, 0u64..4, any::<bool>()), 1..120),
    ) {
        let tables: Vec<_> = quotas.iter().map(|_| Table::new(10)).collect();
        let mut now = START;
        for (millis, key, cost, can_wait) in steps {
            now += millis * MILLI;
            let asks = || tables.iter().zip(&quotas).map(|(it, &quota)| ask(it, key, quota, cost));
            let read = || asks().map(|it| it.read(at(now))).collect::<Vec<Answer>>();
            let before = read();
            let ruling = take(&asks().collect::<Vec<_>>(), at(now), can_wait);
            let waits = |it: &Answer| it.verdict.is_ok_and(|grant| !grant.delay.is_zero());
            let each = |it: &Answer| it.verdict.is_ok() && (can_wait || !waits(it));
            prop_assert_eq!(ruling.refusal().is_none(), before.iter().all(each));
            match ruling.refusal() {
                Some(_) => {
                    prop_assert_eq!(read(), before, "nothing was spent");
                    // And those that would have admitted say so.
                    for (ask, said) in asks().zip(ruling.said()) {
                        if said.answer.verdict.is_ok() {
                            let left = super::Ask { cost: 0, ..ask }.read(at(now)).remaining();
                            prop_assert_eq!(said.answer.remaining(), left);
                        }
                    }
                }
                None => {
                    let said: Vec<_> = ruling.said().iter().map(|it| it.answer).collect();
                    prop_assert_eq!(&said, &before, "as was foretold");
                    // A cost of 0 shows what is left without taking any.
                    let left = asks().map(|it| super::Ask { cost: 0, ..it }.read(at(now)));
                    for (left, said) in left.zip(said) {
                        prop_assert_eq!(left.remaining(), said.remaining());
                    }
                }
            }
        }
    }
}
