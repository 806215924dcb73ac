//! What is remembered of each key: bounded, without scans, and never to an offender's advantage.
//!
//! A fixed table of sets, each of [`WAYS`] slots. A key belongs to one set, by its hash, so that everything is
//! decided by looking at that set alone.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use governor::{nanos::Nanos, state::StateStore};

/// Slots in a set. With twice as many slots as keys, one key in 50,000 finds its set full.
const WAYS: usize = 32;

/// More would not fit into memory.
const MOST_KEYS: usize = 1 << 28;

/// The most that one lock covers is a 64th of the table.
const SHARDS: usize = 64;

/// Sixteen bits of each slot's key, so that a look-up reads one line of memory to find its slot. For a slot never
/// used they are 0, which is wrong as often as any other guess: the slot itself decides.
type Tags = [u16; WAYS];

/// Its slots, and behind them the overflow cell, which belongs to no key.
type Set = [Slot; WAYS + 1];

/// Two words of its key's fingerprint and one of state: the time (nanoseconds on the limiter's clock) at which the
/// bucket is full again. So a slot whose state has passed says nothing that a new slot would not say, and is
/// free; one never used, 0, is free too.
type Slot = [u64; 3];
const STATE: usize = 2;
const OVERFLOW: usize = WAYS;

/// The states of the keys that are not at rest.
pub(super) struct Store {
    shards: Box<[Shard]>,
    sets_per_shard: usize,
    /// What one request adds to a state.
    interval: u64,
}

/// On a cache line of its own. Its memory is taken when its first key comes.
#[derive(Default)]
#[repr(align(64))]
struct Shard(Mutex<Sets>);

#[derive(Default)]
struct Sets {
    tags: Vec<Tags>,
    slots: Vec<Set>,
}

/// A key, as the store knows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u64; 2]);

impl Fingerprint {
    /// Bits that do not choose the set.
    fn tag(&self) -> u16 {
        self.0[1] as u16
    }
}

/// Makes fingerprints: 128 bits under two secrets, so that nobody can make two keys meet.
#[derive(Default)]
pub(super) struct Fingerprints([RandomState; 2]);

impl Fingerprints {
    /// The fingerprint of a key; of those who have none, for `None`.
    pub(super) fn of(&self, key: Option<&[u8]>) -> Fingerprint {
        Fingerprint(self.0.each_ref().map(|secret| secret.hash_one(key)))
    }
}

impl Store {
    /// Room for `max_keys` keys, in buckets that refill by one each `interval` nanoseconds.
    pub(super) fn new(max_keys: usize, interval: u64) -> Self {
        let slots = 2 * max_keys.min(MOST_KEYS);
        let sets = slots.div_ceil(WAYS).max(1);
        let shards = sets.min(SHARDS);
        Self {
            shards: (0..shards).map(|_| Shard::default()).collect(),
            sets_per_shard: sets.div_ceil(shards),
            interval,
        }
    }

    /// The key's shard, locked, and the number of its set.
    fn locate(&self, key: &Fingerprint) -> (MutexGuard<'_, Sets>, usize) {
        let sets = self.shards.len() * self.sets_per_shard;
        let set = scale(key.0[0], sets);
        let shard = &self.shards[set % self.shards.len()].0;
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.slots.is_empty() {
            // Zeroed pages: touched set by set.
            shard.tags = vec![[0; WAYS]; self.sets_per_shard];
            shard.slots = vec![[[0; STATE + 1]; WAYS + 1]; self.sets_per_shard];
        }
        (shard, set / self.shards.len())
    }
}

/// The hash as a number below `end`.
fn scale(hash: u64, end: usize) -> usize {
    ((u128::from(hash) * end as u128) >> 64) as usize
}

impl StateStore for Store {
    type Key = Fingerprint;

    fn measure_and_replace<T, F, E>(&self, key: &Fingerprint, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (mut shard, number) = self.locate(key);
        let Sets { tags, slots } = &mut *shard;
        let (tags, slots) = (&mut tags[number], &mut slots[number]);
        if let Some(slot) = slot_of(tags, slots, key) {
            let (answer, state) = measure(Some(Nanos::new(slots[slot][STATE])))?;
            slots[slot][STATE] = state.as_u64();
            return Ok(answer);
        }
        // A newcomer may have been here before, in the overflow cell: it goes on from there.
        let (answer, state) = measure(Some(Nanos::new(slots[OVERFLOW][STATE])))?;
        // The first request of a bucket at rest leaves `now + interval`: so it tells the time of measurement.
        let now = measure(None)?.1.as_u64().saturating_sub(self.interval);
        match slots[..WAYS].iter().position(|slot| slot[STATE] <= now) {
            Some(slot) => {
                tags[slot] = key.tag();
                slots[slot] = [key.0[0], key.0[1], state.as_u64()];
            }
            None => slots[OVERFLOW][STATE] = state.as_u64(),
        }
        Ok(answer)
    }
}

fn slot_of(tags: &Tags, slots: &Set, key: &Fingerprint) -> Option<usize> {
    let tag = key.tag();
    (0..WAYS).find(|&slot| tags[slot] == tag && slots[slot][..STATE] == key.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one from a bucket of `burst` with interval 10; the state after it, or `Err` when it is empty.
    fn take(store: &Store, key: u32, now: u64, burst: u64) -> Result<u64, ()> {
        take_as(store, Fingerprint([7, u64::from(key)]), now, burst)
    }

    fn take_as(store: &Store, key: Fingerprint, now: u64, burst: u64) -> Result<u64, ()> {
        store.measure_and_replace(&key, |state| {
            let state = state.map_or(now, Nanos::as_u64).max(now);
            match state + 10 <= now + 10 * burst {
                true => Ok((state + 10, Nanos::new(state + 10))),
                false => Err(()),
            }
        })
    }

    fn table_bytes(store: &Store) -> usize {
        store.shards.len() * store.sets_per_shard * (size_of::<Tags>() + size_of::<Set>())
    }

    #[test]
    fn a_million_keys_take_less_than_a_hundred_mebibytes() {
        let store = Store::new(1_000_000, 10);
        assert!(table_bytes(&store) <= 54_000_000, "{}", table_bytes(&store));
        let taken =
            |store: &Store| store.shards.iter().any(|it| it.0.lock().unwrap().slots.capacity() > 0);
        assert!(!taken(&store), "memory is taken as keys come");
    }

    #[test]
    fn nearly_every_key_of_the_maximum_has_a_bucket_of_its_own() {
        let (store, fingerprints) = (Store::new(100_000, 10), Fingerprints::default());
        let take = |key: u32| take_as(&store, fingerprints.of(Some(&key.to_be_bytes())), 0, 2);
        for key in 0..100_000 {
            take(key).unwrap_or_default();
        }
        let own = (0..100_000).filter(|&key| take(key) == Ok(20));
        assert!(own.count() > 99_950);
    }

    #[test]
    fn a_full_table_forgets_no_offender_and_lets_no_newcomer_through_for_nothing() {
        let store = Store::new(1, 10);
        let known: Vec<u32> = (0..WAYS as u32).collect();
        for &key in &known {
            assert_eq!(take(&store, key, 0, 1), Ok(10));
        }
        assert_eq!(take(&store, 1_000, 0, 1), Ok(10), "the overflow cell");
        for newcomer in 1_001..2_000 {
            assert_eq!(take(&store, newcomer, 0, 1), Err(()));
        }
        for &key in &known {
            assert_eq!(take(&store, key, 9, 1), Err(()), "still limited");
        }
    }

    #[test]
    fn who_leaves_the_overflow_cell_takes_its_debt_along() {
        let store = Store::new(1, 10);
        for key in 0..WAYS as u32 {
            take(&store, key, 0, 5).unwrap();
        }
        for _ in 0..5 {
            take(&store, 99, 0, 5).unwrap();
        }
        assert_eq!(take(&store, 99, 0, 5), Err(()));
        // Now the others are at rest, and there is a slot: it has regained one request, not five.
        assert_eq!(take(&store, 99, 10, 5), Ok(60));
        assert_eq!(take(&store, 99, 10, 5), Err(()));
    }

    #[test]
    fn a_key_at_rest_gives_way() {
        let store = Store::new(1, 10);
        for key in 0..1_000 {
            assert_eq!(take(&store, key, u64::from(key) * 10, 1), Ok(u64::from(key) * 10 + 10));
        }
    }
}
