//! The fixed window: counts from zero when a window of the wall clock begins.
//!
//! The state is when its window ends, on the monotonic line, and what it has counted. So a wall clock that is set
//! back opens no new window; one that is set forward by more than half a period does.

use super::{Judgment, LATEST, State};

/// The judgment on a request of `cost`, where the wall clock's window has `left` nanoseconds to go.
pub(crate) fn judge(
    state: State,
    now: u64,
    left: u64,
    cost: u64,
    count: u64,
    period: u64,
) -> Judgment {
    let State { rest, word: used } = current(state, now, left, period);
    let reset = if used == 0 { 0 } else { rest - now };
    let room = count.saturating_sub(used);
    let needed = cost.max(1);
    if needed > room {
        let wait = (needed <= count).then_some(rest - now);
        return Judgment::refuse(wait, room, reset);
    }
    match cost {
        0 => Judgment::admit(state, room, reset),
        _ => Judgment::admit(State { rest, word: used + cost }, room - cost, rest - now),
    }
}

/// The window that runs: the state's own, or a new one.
fn current(state: State, now: u64, left: u64, period: u64) -> State {
    let ends = now.saturating_add(left);
    let runs = state.rest > now && ends <= state.rest.saturating_add(period / 2);
    if runs { state } else { State { rest: ends, word: 0 } }
}

/// The state after `units` more were taken, whether they were there or not.
pub(crate) fn charge(state: State, now: u64, left: u64, units: u64, period: u64) -> State {
    let State { rest, word } = current(state, now, left, period);
    State { rest, word: word.saturating_add(units) }
}

/// The state after `units`, taken in the window that ends at `end`, were given back.
pub(crate) fn refund(state: State, units: u64, end: u64) -> State {
    match state.rest == end || end == LATEST {
        true => State { word: state.word.saturating_sub(units), ..state },
        false => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_admits_its_count_and_the_next_begins_at_zero() {
        let mut state = State::default();
        for left in [2, 1, 0] {
            let judgment = judge(state, 130, 70, 1, 3, 100);
            assert_eq!((judgment.remaining, judgment.reset), (left, 70));
            state = judgment.verdict.unwrap().state;
        }
        assert_eq!(judge(state, 150, 50, 1, 3, 100), Judgment::refuse(Some(50), 0, 50));
        let next = judge(state, 200, 100, 1, 3, 100);
        assert_eq!(next, Judgment::admit(State { rest: 300, word: 1 }, 2, 100));
    }

    #[test]
    fn a_wall_clock_that_is_set_back_opens_no_window() {
        let state = State { rest: 200, word: 3 };
        assert!(judge(state, 150, 90, 1, 3, 100).verdict.is_err(), "40 back");
        assert!(judge(state, 150, 10, 1, 3, 100).verdict.is_err(), "into the window before");
        assert!(judge(state, 110, 100, 1, 3, 100).verdict.is_err(), "a small step forward");
        assert!(judge(state, 160, 95, 1, 3, 100).verdict.is_ok(), "half a window forward");
    }

    #[test]
    fn what_is_given_back_belongs_to_its_window() {
        let state = State { rest: 200, word: 3 };
        assert_eq!(refund(state, 2, 200).word, 1);
        assert_eq!(refund(state, 9, 200).word, 0);
        assert_eq!(refund(state, 2, 100), state);
        assert_eq!(refund(state, 2, LATEST).word, 1, "whichever it is");
        assert_eq!(charge(state, 150, 50, 9, 100), State { rest: 200, word: 12 });
    }
}
