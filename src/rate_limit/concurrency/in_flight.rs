//! How many requests of each key are in flight.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::rate_limit::{
    memory::fingerprint::{Fingerprint, Secret, scale},
    quota::Kind,
};

/// Keys of different shards do not wait for each other.
const SHARDS: usize = 32;

type Shard = HashMap<Fingerprint, usize>;

/// The counts of all keys that have any: one of none is not there.
#[derive(Default)]
pub(super) struct Counts {
    secret: Secret,
    shards: [Mutex<Shard>; SHARDS],
}

/// One that is in flight, until it is dropped.
pub(super) struct Held {
    counts: Arc<Counts>,
    key: Fingerprint,
}

impl Counts {
    /// One more, if there are fewer than `most`.
    pub(super) fn enter(self: &Arc<Self>, key: Option<&[u8]>, most: usize) -> Option<Held> {
        let key = self.secret.fingerprint(Kind::default(), key);
        let mut shard = self.shard(key);
        match shard.entry(key) {
            Entry::Occupied(mut count) if *count.get() < most => *count.get_mut() += 1,
            Entry::Vacant(none) if most > 0 => _ = none.insert(1),
            _ => return None,
        }
        Some(Held { counts: Arc::clone(self), key })
    }

    /// How many there are.
    pub(super) fn of(&self, key: Option<&[u8]>) -> usize {
        let key = self.secret.fingerprint(Kind::default(), key);
        self.shard(key).get(&key).copied().unwrap_or(0)
    }

    fn leave(&self, key: Fingerprint) {
        if let Entry::Occupied(mut count) = self.shard(key).entry(key) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    fn shard(&self, key: Fingerprint) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[scale(key.place(), SHARDS)];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counts.leave(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(counts: &Counts) -> usize {
        counts.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn a_key_has_so_many_and_is_forgotten_with_the_last() {
        let counts = Arc::new(Counts::default());
        let held: Vec<_> = (0..5).map_while(|_| counts.enter(Some(b"a"), 3)).collect();
        assert_eq!((held.len(), counts.of(Some(b"a")), counts.of(Some(b"b"))), (3, 3, 0));
        assert!(counts.enter(Some(b"b"), 3).is_some());
        assert!(counts.enter(None, 0).is_none());
        drop(held);
        assert_eq!((counts.of(Some(b"a")), keys(&counts)), (0, 0));
    }

    #[test]
    fn a_limit_that_was_lowered_is_met_as_requests_end() {
        let counts = Arc::new(Counts::default());
        let mut held: Vec<_> = (0..5).filter_map(|_| counts.enter(Some(b"a"), 5)).collect();
        held.truncate(2);
        assert!(counts.enter(Some(b"a"), 2).is_none());
        held.pop();
        assert!(counts.enter(Some(b"a"), 2).is_some());
    }
}
