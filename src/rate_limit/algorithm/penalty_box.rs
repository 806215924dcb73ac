//! The penalty box: who was refused too often is refused for a time, whatever there is.
//!
//! It spends nothing and counts refusals. The state is the end of the time in which they count, and how many there
//! were; or the end of the ban.

use super::{Judgment, State};

/// What the word of a ban is.
const BANNED: u64 = u64::MAX;

/// The judgment on any request: refused while the ban lasts.
pub(crate) fn judge(state: State, now: u64, count: u64) -> Judgment {
    match state.word {
        BANNED if state.rest > now => {
            let left = state.rest - now;
            Judgment::refuse(Some(left), 0, left)
        }
        refusals if state.rest > now => {
            Judgment::admit(state, count.saturating_sub(refusals), state.rest - now)
        }
        _ => Judgment::admit(state, count, 0),
    }
}

/// The state after so many more refusals: the `count`th within a `window` brings the ban.
pub(crate) fn charge(
    state: State,
    now: u64,
    refusals: u64,
    count: u64,
    window: u64,
    ban: u64,
) -> State {
    let (ends, so_far) = match state {
        State { rest, .. } if rest <= now => (now.saturating_add(window), 0),
        State { word: BANNED, .. } => return state,
        State { rest, word } => (rest, word),
    };
    let refusals = so_far.saturating_add(refusals).min(BANNED - 1);
    match refusals >= count {
        true => State { rest: now.saturating_add(ban), word: BANNED },
        false => State { rest: ends, word: refusals },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(times: &[u64]) -> State {
        times.iter().fold(State::default(), |state, &now| charge(state, now, 1, 3, 100, 500))
    }

    #[test]
    fn the_third_refusal_within_the_window_brings_the_ban() {
        assert!(judge(after(&[10, 20]), 30, 3).verdict.is_ok());
        let banned = after(&[10, 20, 109]);
        assert_eq!(judge(banned, 110, 3), Judgment::refuse(Some(499), 0, 499));
        assert!(judge(banned, 608, 3).verdict.is_err());
        assert!(judge(banned, 609, 3).verdict.is_ok());
        assert!(judge(after(&[10, 20, 110]), 111, 3).verdict.is_ok(), "a new window");
    }

    #[test]
    fn a_ban_is_not_prolonged_by_what_it_refuses() {
        let banned = after(&[1, 2, 3]);
        assert_eq!(charge(banned, 400, 50, 3, 100, 500), banned);
        assert_eq!(charge(banned, 503, 1, 3, 100, 500), State { rest: 603, word: 1 });
    }
}
