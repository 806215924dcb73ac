//! The token bucket, as GCRA (ATM Forum TM 4.0 §4.4.2): one time says how full the bucket is.
//!
//! The state is the *theoretical arrival time*: when the bucket will be full again. A unit takes `interval`
//! to refill; a bucket of `burst` units is empty when the state lies `burst × interval` ahead.

use super::{Judgment, State};
use crate::rate_limit::quota::LONGEST;

/// The judgment on a request of `cost`.
#[inline]
pub(crate) fn judge(state: State, now: u64, cost: u64, interval: u64, burst: u64) -> Judgment {
    let burst = burst.min(LONGEST / interval);
    let full_at = state.rest.max(now);
    let empty_at = now.saturating_add(interval * burst);
    let room = empty_at.saturating_sub(full_at);
    let needed = interval.saturating_mul(cost.max(1));
    if needed > room {
        let wait = needed.saturating_sub(room);
        // What is more than the bucket can hold never comes.
        let wait = (cost.max(1) <= burst).then(|| match full_at > empty_at {
            true => wait.saturating_add(full_at - empty_at),
            false => wait,
        });
        return Judgment::refuse(wait, room / interval, full_at - now);
    }
    let rest = full_at + interval * cost;
    let state = State { rest, word: 0 };
    Judgment::admit(state, (empty_at - rest) / interval, rest - now)
}

/// The state after `units` more were taken, whether they were there or not: what is not there becomes a debt.
pub(crate) fn charge(state: State, now: u64, units: u64, interval: u64) -> State {
    let debt = interval.saturating_mul(units).min(LONGEST);
    State {
        rest: state.rest.max(now).saturating_add(debt).min(now.saturating_add(LONGEST)),
        word: 0,
    }
}

/// The state after `units` were given back, of those that will have refilled at `refilled`; a bucket is never more than
/// full.
///
/// What has refilled meanwhile is not given back: the bucket would have been full without it, and who holds many
/// reservations would save up bursts without end. (One burst can be saved up nonetheless, by giving back what was taken
/// before in between.)
pub(crate) fn refund(state: State, now: u64, units: u64, interval: u64, refilled: u64) -> State {
    let back = interval.saturating_mul(units).min(refilled.saturating_sub(now));
    State { rest: state.rest.saturating_sub(back), word: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::algorithm::LATEST;

    fn rest(rest: u64) -> State {
        State { rest, word: 0 }
    }

    #[test]
    fn a_full_bucket_admits_its_size_and_no_more() {
        let mut state = State::default();
        for left in (0..5).rev() {
            let judgment = judge(state, 1_000, 1, 10, 5);
            assert_eq!((judgment.remaining, judgment.reset), (left, 10 * (5 - left)));
            state = judgment.verdict.unwrap().state;
        }
        assert_eq!(judge(state, 1_000, 1, 10, 5), Judgment::refuse(Some(10), 0, 50));
        assert_eq!(judge(state, 1_009, 1, 10, 5), Judgment::refuse(Some(1), 0, 41));
        assert!(judge(state, 1_010, 1, 10, 5).verdict.is_ok());
    }

    #[test]
    fn a_cost_is_taken_whole_or_not_at_all() {
        assert_eq!(judge(State::default(), 100, 5, 10, 5), Judgment::admit(rest(150), 0, 50));
        assert_eq!(judge(rest(130), 100, 3, 10, 5), Judgment::refuse(Some(10), 2, 30));
        assert_eq!(judge(rest(130), 100, 2, 10, 5), Judgment::admit(rest(150), 0, 50));
        assert_eq!(judge(State::default(), 100, 6, 10, 5), Judgment::refuse(None, 5, 0));
    }

    #[test]
    fn a_cost_of_nothing_spends_nothing_where_one_is_left() {
        assert_eq!(judge(rest(140), 100, 0, 10, 5), Judgment::admit(rest(140), 1, 40));
        assert_eq!(judge(rest(141), 100, 0, 10, 5), Judgment::refuse(Some(1), 0, 41));
    }

    #[test]
    fn a_debt_is_paid_before_anything_is_admitted() {
        let state = charge(State::default(), 100, 8, 10);
        assert_eq!(judge(state, 100, 1, 10, 5), Judgment::refuse(Some(40), 0, 80));
        assert!(judge(state, 139, 1, 10, 5).verdict.is_err());
        assert!(judge(state, 140, 1, 10, 5).verdict.is_ok());
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_never_more_than_the_bucket_holds() {
        assert_eq!(refund(rest(150), 100, 2, 10, 150), rest(130));
        let refunded = refund(rest(150), 100, 100, 10, LATEST);
        assert_eq!(judge(refunded, 100, 1, 10, 5).remaining, 4);
    }

    #[test]
    fn what_has_refilled_is_not_given_back() {
        let later = rest(190); // others have taken since
        assert_eq!(refund(later, 110, 5, 10, 150), rest(150), "40 of its 50 are still out");
        assert_eq!(refund(later, 130, 1, 10, 150), rest(180));
        assert_eq!(refund(later, 150, 5, 10, 150), later);
        assert_eq!(refund(later, 151, 5, 10, LATEST), rest(140));
    }

    #[test]
    fn reservations_that_are_held_and_come_back_at_once_are_no_more_than_a_bucket() {
        let take = |state: State, now, cost| judge(state, now, cost, 10, 5).verdict.ok();
        let (mut state, mut held) = (State::default(), Vec::new());
        for now in (0..10_000).step_by(50) {
            state = take(state, now, 5).unwrap().state;
            held.push(state.rest);
        }
        let mut admitted = 0;
        for refilled in held {
            state = refund(state, 10_000, 5, 10, refilled);
            while let Some(admission) = take(state, 10_000, 1) {
                (state, admitted) = (admission.state, admitted + 1);
            }
        }
        assert_eq!(admitted, 5);
    }

    #[test]
    fn nothing_overflows() {
        for now in [0, 1, u64::MAX / 2, u64::MAX] {
            for interval in [1, 1_000, LONGEST] {
                for units in [0, 1, u64::MAX] {
                    let state = charge(rest(u64::MAX / 3), now, units, interval);
                    for burst in [1, u64::MAX] {
                        let state = refund(state, now, units, interval, now);
                        judge(state, now, units, interval, burst);
                    }
                }
            }
        }
    }

    proptest::proptest! {
        // Who takes and gives back as he likes saves up one burst at most.
        #[test]
        fn no_window_spends_more_than_two_bursts_and_its_refill_whatever_is_given_back(
            steps in proptest::collection::vec((0u64..60, 1u64..4, 0usize..3), 1..200),
        ) {
            let (interval, burst) = (10, 5);
            let (mut now, mut state) = (1_000, State::default());
            let mut taken: Vec<(u64, u64, u64)> = Vec::new(); // when, units, receipt
            for (pause, units, back) in steps {
                now += pause;
                if let Ok(admission) = judge(state, now, units, interval, burst).verdict {
                    state = admission.state;
                    taken.push((now, units, state.rest));
                }
                if back > 0 && taken.len() > back {
                    let (_, units, receipt) = taken.remove(taken.len() - 1 - back);
                    state = refund(state, now, units, interval, receipt);
                }
            }
            for (first, (start, ..)) in taken.iter().enumerate() {
                let mut spent = 0;
                for (end, units, _) in &taken[first..] {
                    spent += units;
                    proptest::prop_assert!(spent <= 2 * burst + (end - start) / interval);
                }
            }
        }
    }
}
