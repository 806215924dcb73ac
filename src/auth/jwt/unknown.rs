//! Names of keys that the issuer was asked for in vain.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::BuildHasher,
    time::{Duration, Instant},
};

use crate::auth::crypto::Digest;

/// More names than this are forgotten, all of them: each may then cause one more fetch, within the allowance.
const CAPACITY: usize = 1_024;

/// The longest time for which a name is not asked for again.
const LONGEST: Duration = Duration::from_secs(300);

/// A `kid`, as the memory knows it. Nobody outside can choose two that are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct UnknownKid(u64);

/// What was asked for and was not in the set. A name may be asked for again after 1, 2, 4 … cooldowns, up to five
/// minutes: its key may have been used before it was published. All are forgotten when the set changes.
#[derive(Default)]
pub(super) struct Unknown {
    asked: HashMap<UnknownKid, Asked>,
    spread: RandomState,
    /// The set in which they were not.
    document: Option<Digest>,
}

struct Asked {
    again: Instant,
    pause: Duration,
}

impl Unknown {
    pub(super) fn name(&self, kid: &str) -> UnknownKid {
        UnknownKid(self.spread.hash_one(kid))
    }

    /// Whether the key may be asked for now; if so, notes that it was.
    pub(super) fn ask(
        &mut self,
        kid: UnknownKid,
        document: Option<Digest>,
        cooldown: Duration,
        now: Instant,
    ) -> bool {
        if self.document != document || self.asked.len() >= CAPACITY {
            self.asked.clear();
            self.document = document;
        }
        let pause = match self.asked.get(&kid) {
            None => cooldown,
            Some(asked) if now < asked.again => return false,
            Some(asked) => (asked.pause * 2).min(LONGEST.max(cooldown)),
        };
        self.asked.insert(kid, Asked { again: now + pause, pause });
        true
    }
}

impl fmt::Debug for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unknown({})", self.asked.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const COOLDOWN: Duration = Duration::from_secs(10);

    #[test]
    fn a_name_is_asked_for_ever_more_rarely() {
        let (mut unknown, start) = (Unknown::default(), Clock::system().now());
        let kid = unknown.name("a");
        let mut asked =
            |second| unknown.ask(kid, None, COOLDOWN, start + Duration::from_secs(second));
        let seconds: Vec<_> = (0..2_000).filter(|it| asked(*it)).collect();
        assert_eq!(seconds, [0, 10, 30, 70, 150, 310, 610, 910, 1210, 1510, 1810]);
    }

    #[test]
    fn names_are_apart_and_forgotten_when_the_set_changes() {
        let (mut unknown, now) = (Unknown::default(), Clock::system().now());
        let (a, b) = (unknown.name("a"), unknown.name("b"));
        let (old, new) = (Some(Digest([1; 32])), Some(Digest([2; 32])));
        let table =
            [(a, old, true), (a, old, false), (b, old, true), (a, new, true), (a, new, false)];
        for (kid, document, asks) in table {
            assert_eq!(unknown.ask(kid, document, COOLDOWN, now), asks);
        }
    }

    #[test]
    fn the_memory_is_bounded() {
        let (mut unknown, now) = (Unknown::default(), Clock::system().now());
        for n in 0..10_000 {
            let kid = unknown.name(&n.to_string());
            assert!(unknown.ask(kid, None, COOLDOWN, now));
            assert!(unknown.asked.len() <= CAPACITY);
        }
    }
}
