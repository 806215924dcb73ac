//! What is remembered of each key: bounded, without scans, and never to an offender's advantage.
//!
//! A fixed table of sets, each of [`WAYS`] slots. A key belongs to one set, by its hash, so that everything is
//! decided by looking at that set alone. A key's set stays locked while a decision is made about it: see [`Cell`].

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::rate_limit::algorithm::{State, sliding_log::Log};

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
const OVERFLOW: usize = WAYS;

/// A slot whose state is at rest says nothing that a new slot would not say, and is free; one never used is at
/// rest since the beginning.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: Fingerprint,
    state: State,
}

/// The states of the keys that are not at rest.
pub(crate) struct Table {
    /// In which order the tables of several limits are locked.
    rank: u64,
    secrets: [RandomState; 2],
    shards: Box<[Shard]>,
    sets_per_shard: usize,
}

/// On a cache line of its own. Its memory is taken when its first key comes.
#[derive(Default)]
#[repr(align(64))]
struct Shard(Mutex<Sets>);

#[derive(Default)]
struct Sets {
    tags: Vec<Tags>,
    slots: Vec<Set>,
    /// Of the keys whose quota keeps a log.
    logs: HashMap<Fingerprint, Log>,
}

/// A key, as the table knows it: 128 bits under two secrets, so that nobody can make two keys meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u64; 2]);

impl Fingerprint {
    /// Bits that do not choose the set.
    fn tag(&self) -> u16 {
        self.0[1] as u16
    }
}

impl Table {
    /// Room for `max_keys` keys.
    pub(crate) fn new(max_keys: usize) -> Self {
        static RANKS: AtomicU64 = AtomicU64::new(0);
        let slots = 2 * max_keys.min(MOST_KEYS);
        let sets = slots.div_ceil(WAYS).max(1);
        let shards = sets.min(SHARDS);
        Self {
            rank: RANKS.fetch_add(1, Ordering::Relaxed),
            secrets: Default::default(),
            shards: (0..shards).map(|_| Shard::default()).collect(),
            sets_per_shard: sets.div_ceil(shards),
        }
    }

    /// The fingerprint of a key under quotas of one kind; of those who have no key, for `None`.
    pub(crate) fn fingerprint(&self, kind: u64, key: Option<&[u8]>) -> Fingerprint {
        Fingerprint(self.secrets.each_ref().map(|secret| secret.hash_one((kind, key))))
    }

    /// Who locks several tables at once locks the lower ranks first.
    pub(crate) fn rank(&self) -> u64 {
        self.rank
    }

    /// Locks the key's set.
    pub(crate) fn lock(&self, key: Fingerprint) -> Cell<'_> {
        let sets = self.shards.len() * self.sets_per_shard;
        let set = scale(key.0[0], sets);
        let shard = &self.shards[set % self.shards.len()].0;
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.slots.is_empty() {
            // Zeroed pages: touched set by set.
            shard.tags = vec![[0; WAYS]; self.sets_per_shard];
            shard.slots = vec![[Slot::default(); WAYS + 1]; self.sets_per_shard];
        }
        let set = set / self.shards.len();
        let slot = slot_of(&shard.tags[set], &shard.slots[set], key);
        Cell { sets: shard, set, slot, key }
    }
}

/// The hash as a number below `end`.
fn scale(hash: u64, end: usize) -> usize {
    ((u128::from(hash) * end as u128) >> 64) as usize
}

fn slot_of(tags: &Tags, slots: &Set, key: Fingerprint) -> Option<usize> {
    let tag = key.tag();
    (0..WAYS).find(|&slot| tags[slot] == tag && slots[slot].key == key)
}

/// What is known of a key, while nobody else can change it.
pub(crate) struct Cell<'a> {
    sets: MutexGuard<'a, Sets>,
    set: usize,
    /// Where the key is; `None` for a newcomer, who may have been here before, in the overflow cell.
    slot: Option<usize>,
    key: Fingerprint,
}

impl Cell<'_> {
    /// The key's state. A newcomer goes on from the overflow cell, whose debt may be its own.
    pub(crate) fn state(&self) -> State {
        self.slots()[self.slot.unwrap_or(OVERFLOW)].state
    }

    /// The key's log, if it has one.
    pub(crate) fn log(&self) -> Option<&Log> {
        self.sets.logs.get(&self.log_key())
    }

    /// Keeps the state: in the key's slot, or in one that is at rest, or else in the overflow cell.
    pub(crate) fn write(&mut self, state: State, now: u64) {
        let slot = self.settle(now);
        self.sets.slots[self.set][slot].state = state;
    }

    /// The log to write into; `state` says when it will be empty.
    pub(crate) fn write_log(&mut self, state: State, now: u64, write: impl FnOnce(&mut Log)) {
        let from = self.log_key();
        let slot = self.settle(now);
        let (key, sets) = (self.log_key(), &mut *self.sets);
        if key != from
            && let Some(log) = sets.logs.get(&from).cloned()
        {
            sets.logs.insert(key, log); // out of the overflow cell, with its debt
        }
        write(sets.logs.entry(key).or_default());
        sets.slots[self.set][slot].state = state;
    }

    /// The slot to write into, which is the key's from now on unless it is the overflow cell.
    fn settle(&mut self, now: u64) -> usize {
        if let Some(slot) = self.slot {
            return slot;
        }
        let free = self.slots()[..WAYS].iter().position(|slot| slot.state.rest <= now);
        let Some(slot) = free else { return OVERFLOW };
        let (key, sets) = (self.key, &mut *self.sets);
        let old = std::mem::replace(&mut sets.slots[self.set][slot].key, key);
        sets.tags[self.set][slot] = key.tag();
        if !sets.logs.is_empty() {
            sets.logs.remove(&old);
        }
        self.slot = Some(slot);
        slot
    }

    /// Whose log it is: the key's, or the overflow cell's.
    fn log_key(&self) -> Fingerprint {
        match self.slot {
            Some(_) => self.key,
            None => Fingerprint([u64::MAX, self.set as u64]),
        }
    }

    fn slots(&self) -> &Set {
        &self.sets.slots[self.set]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::algorithm::token_bucket;

    /// Takes one from a bucket of `burst` with interval 10; when it is full after that, or `Err` when it is empty.
    fn take(table: &Table, key: u32, now: u64, burst: u64) -> Result<u64, ()> {
        take_as(table, Fingerprint([7, u64::from(key)]), now, burst)
    }

    fn take_as(table: &Table, key: Fingerprint, now: u64, burst: u64) -> Result<u64, ()> {
        let mut cell = table.lock(key);
        let judgment = token_bucket::judge(cell.state(), now, 1, 10, burst);
        let admission = judgment.verdict.map_err(|_| ())?;
        cell.write(admission.state, now);
        Ok(admission.state.rest)
    }

    fn table_bytes(table: &Table) -> usize {
        table.shards.len() * table.sets_per_shard * (size_of::<Tags>() + size_of::<Set>())
    }

    #[test]
    fn a_million_keys_take_less_than_a_hundred_mebibytes() {
        let table = Table::new(1_000_000);
        assert!(table_bytes(&table) <= 71_000_000, "{}", table_bytes(&table));
        let taken =
            |table: &Table| table.shards.iter().any(|it| it.0.lock().unwrap().slots.capacity() > 0);
        assert!(!taken(&table), "memory is taken as keys come");
    }

    #[test]
    fn nearly_every_key_of_the_maximum_has_a_bucket_of_its_own() {
        let table = Table::new(100_000);
        let fingerprint = |key: u32| table.fingerprint(0, Some(&key.to_be_bytes()));
        let take = |key: u32| take_as(&table, fingerprint(key), 0, 2);
        for key in 0..100_000 {
            take(key).unwrap_or_default();
        }
        let own = (0..100_000).filter(|&key| take(key) == Ok(20));
        assert!(own.count() > 99_950);
    }

    #[test]
    fn a_full_table_forgets_no_offender_and_lets_no_newcomer_through_for_nothing() {
        let table = Table::new(1);
        let known: Vec<u32> = (0..WAYS as u32).collect();
        for &key in &known {
            assert_eq!(take(&table, key, 0, 1), Ok(10));
        }
        assert_eq!(take(&table, 1_000, 0, 1), Ok(10), "the overflow cell");
        for newcomer in 1_001..2_000 {
            assert_eq!(take(&table, newcomer, 0, 1), Err(()));
        }
        for &key in &known {
            assert_eq!(take(&table, key, 9, 1), Err(()), "still limited");
        }
    }

    #[test]
    fn who_leaves_the_overflow_cell_takes_its_debt_along() {
        let table = Table::new(1);
        for key in 0..WAYS as u32 {
            take(&table, key, 0, 5).unwrap();
        }
        for _ in 0..5 {
            take(&table, 99, 0, 5).unwrap();
        }
        assert_eq!(take(&table, 99, 0, 5), Err(()));
        // Now the others are at rest, and there is a slot: it has regained one request, not five.
        assert_eq!(take(&table, 99, 10, 5), Ok(60));
        assert_eq!(take(&table, 99, 10, 5), Err(()));
    }

    #[test]
    fn a_key_at_rest_gives_way() {
        let table = Table::new(1);
        for key in 0..1_000 {
            assert_eq!(take(&table, key, u64::from(key) * 10, 1), Ok(u64::from(key) * 10 + 10));
        }
    }

    #[test]
    fn a_log_goes_with_its_key_and_is_forgotten_with_it() {
        let table = Table::new(1);
        let record = |key: u64, now: u64| {
            let mut cell = table.lock(Fingerprint([7, key]));
            cell.write_log(State { rest: now + 10, word: 0 }, now, |log| log.record(now, 1));
        };
        let logs = || table.shards.iter().map(|it| it.0.lock().unwrap().logs.len()).sum::<usize>();
        (0..WAYS as u64).for_each(|key| record(key, 0));
        record(99, 0);
        assert_eq!(logs(), WAYS + 1, "one is the overflow cell's");
        record(99, 10);
        let log = table.lock(Fingerprint([7, 99])).log().cloned().unwrap();
        let mut both = Log::default();
        both.record(0, 1);
        both.record(10, 1);
        assert_eq!(log, both, "it took the overflow cell's along");
        (100..5_000).for_each(|key| record(key, key * 10));
        assert!(logs() <= WAYS + 1);
    }
}
