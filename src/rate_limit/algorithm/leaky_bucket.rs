//! The leaky bucket with delay, as nginx's `limit_req`: what comes too soon waits for its turn.
//!
//! The state is that of a token bucket one larger: `burst` units may be ahead of the rate. Who is `undelayed` units
//! ahead or less goes on at once; who is further ahead waits until it is so. So the queue is as long as `burst`, and
//! who leaves it early has taken its turn nonetheless.

use super::{Judgment, State, token_bucket};

/// The judgment on a request of `cost`.
pub(crate) fn judge(
    state: State,
    now: u64,
    cost: u64,
    interval: u64,
    burst: u64,
    undelayed: u64,
) -> Judgment {
    let mut judgment = token_bucket::judge(state, now, cost, interval, burst.saturating_add(1));
    if let Ok(admission) = &mut judgment.verdict {
        let ahead = admission.state.rest.saturating_sub(now).saturating_sub(interval);
        admission.delay = ahead.saturating_sub(interval.saturating_mul(undelayed));
    }
    judgment
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The delays of requests that come at once, and `None` for refusals.
    fn delays(burst: u64, undelayed: u64) -> Vec<Option<u64>> {
        let mut state = State::default();
        let mut one = || {
            let admission = judge(state, 1_000, 1, 100, burst, undelayed).verdict.ok()?;
            state = admission.state;
            Some(admission.delay)
        };
        (0..8).map(|_| one()).collect()
    }

    #[test]
    fn as_nginx_delays_and_refuses() {
        // rate=10r/s; burst=4
        let each = [Some(0), Some(100), Some(200), Some(300), Some(400), None, None, None];
        assert_eq!(delays(4, 0), each);
        // burst=4 delay=2
        let two_stage = [Some(0), Some(0), Some(0), Some(100), Some(200), None, None, None];
        assert_eq!(delays(4, 2), two_stage);
        // burst=4 nodelay
        let none = [Some(0), Some(0), Some(0), Some(0), Some(0), None, None, None];
        assert_eq!(delays(4, 4), none);
        // no burst
        assert_eq!(delays(0, 0)[..2], [Some(0), None]);
    }

    #[test]
    fn what_waits_goes_on_at_the_rate() {
        let mut state = State::default();
        let mut turns = Vec::new();
        for now in (0..2_000).step_by(7) {
            if let Ok(admission) = judge(state, now, 1, 100, 5, 0).verdict {
                state = admission.state;
                turns.push(now + admission.delay);
            }
        }
        assert!(turns.windows(2).all(|it| it[1] - it[0] >= 100), "{turns:?}");
    }
}
