//! What is remembered of each key: bounded, without scans, and never to an offender's advantage.
//!
//! A fixed table of sets, each of [`WAYS`] slots. A key belongs to one set, by its hash, so that everything is
//! decided by looking at that set alone. A key's set stays locked while a decision is made about it: see [`Cell`].

use std::{
    collections::HashMap,
    sync::{
        PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    cell::Cell,
    fingerprint::{Fingerprint, Secret, scale},
    sync::Mutex,
};
use crate::rate_limit::{
    algorithm::{State, sliding_log::Log},
    quota::Kind,
};

/// Slots in a set. With twice as many slots as keys, one key in 50,000 finds its set full.
pub(super) const WAYS: usize = 32;

/// More would not fit into memory.
const MOST_KEYS: usize = 1 << 28;

/// The most that one lock covers is a 64th of the table.
const SHARDS: usize = 64;

/// Sixteen bits of each slot's key, so that a look-up reads one line of memory to find a slot that is not the key's
/// first choice. For a slot never used they are 0, which is wrong as often as any other guess: the slot itself decides.
type Tags = [u16; WAYS];

/// Its slots, and behind them the overflow cell, which belongs to no key.
pub(super) type Set = [Slot; WAYS + 1];
pub(super) const OVERFLOW: usize = WAYS;

/// On one line of memory. A slot whose state is at rest says nothing that a new slot would not say, and is free; one never used is at
/// rest since the beginning.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
pub(super) struct Slot {
    /// Of the overflow cell, the kind of its keys' quotas: states of other kinds would be misread.
    key: Fingerprint,
    pub(super) state: State,
}

impl Slot {
    pub(super) fn kind(&self) -> Kind {
        self.key.0
    }

    pub(super) fn set_kind(&mut self, kind: Kind) {
        self.key = Fingerprint(kind);
    }
}

/// The states of the keys that are not at rest.
pub(crate) struct Table {
    /// In which order the tables of several limits are locked.
    rank: u64,
    secret: Secret,
    shards: Box<[Shard]>,
    sets_per_shard: usize,
}

/// On a cache line of its own. Its memory is taken when its first key comes.
#[derive(Default)]
#[repr(align(64))]
struct Shard(Mutex<Sets>);

#[derive(Default)]
pub(super) struct Sets {
    tags: Vec<Tags>,
    pub(super) slots: Vec<Set>,
    /// Of the keys whose quota keeps a log.
    pub(super) logs: HashMap<Fingerprint, Log>,
}

impl Sets {
    /// Zeroed pages: touched set by set.
    fn with(sets: usize) -> Self {
        Self {
            tags: vec![[0; WAYS]; sets],
            slots: vec![[Slot::default(); WAYS + 1]; sets],
            logs: HashMap::new(),
        }
    }

    /// The key's slot: its first choice, most often.
    #[inline]
    pub(super) fn find(&self, set: usize, key: Fingerprint) -> Option<usize> {
        let (first, slots) = (key.first_choice(WAYS), &self.slots[set]);
        if slots[first].key == key {
            return Some(first);
        }
        let (tag, tags) = (key.tag(), &self.tags[set]);
        (0..WAYS).find(|&slot| tags[slot] == tag && slots[slot].key == key)
    }

    /// A slot that is at rest: the key's first choice, if it can be.
    pub(super) fn free(&self, set: usize, key: Fingerprint, now: u64) -> Option<usize> {
        let (first, slots) = (key.first_choice(WAYS), &self.slots[set]);
        let rests = |slot: &usize| slots[*slot].state.rest <= now;
        Some(first).filter(rests).or_else(|| (0..WAYS).find(rests))
    }

    /// Gives a slot to a key; whose it was.
    pub(super) fn give(&mut self, set: usize, slot: usize, key: Fingerprint) -> Fingerprint {
        self.tags[set][slot] = key.tag();
        std::mem::replace(&mut self.slots[set][slot].key, key)
    }

    /// Forgets a log.
    pub(super) fn forget(&mut self, log: &Fingerprint) {
        if !self.logs.is_empty() {
            self.logs.remove(log);
        }
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
            secret: Secret::default(),
            shards: (0..shards).map(|_| Shard::default()).collect(),
            sets_per_shard: sets.div_ceil(shards),
        }
    }

    /// The fingerprint of a key under quotas of one kind; of those who have no key, for `None`.
    #[inline]
    pub(crate) fn fingerprint(&self, kind: Kind, key: Option<&[u8]>) -> Fingerprint {
        self.secret.fingerprint(kind, key)
    }

    /// Who locks several tables at once locks the lower ranks first.
    pub(crate) fn rank(&self) -> u64 {
        self.rank
    }

    /// Locks the set of a key under quotas of this kind.
    #[inline]
    pub(crate) fn lock(&self, key: Fingerprint, kind: Kind, now: u64) -> Cell<'_> {
        let sets = self.shards.len() * self.sets_per_shard;
        let set = scale(key.place(), sets);
        let shard = &self.shards[set % self.shards.len()].0;
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.slots.is_empty() {
            *shard = Sets::with(self.sets_per_shard);
        }
        Cell::of(shard, set / self.shards.len(), key, kind, now)
    }
}

#[cfg(all(test, not(loom_store)))]
mod tests {
    use super::*;
    use crate::rate_limit::algorithm::token_bucket;

    /// Takes one from a bucket of `burst` with interval 10; when it is full after that, or `Err` when it is empty.
    fn take(table: &Table, key: u32, now: u64, burst: u64) -> Result<u64, ()> {
        take_as(table, Fingerprint([7, u64::from(key)]), now, burst)
    }

    fn take_as(table: &Table, key: Fingerprint, now: u64, burst: u64) -> Result<u64, ()> {
        let mut cell = table.lock(key, [0, 0], now);
        let judgment = token_bucket::judge(cell.state(), now, 1, 10, burst);
        let admission = judgment.verdict.map_err(|_| ())?;
        cell.write(admission.state);
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
        let fingerprint = |key: u32| table.fingerprint([0, 0], Some(&key.to_be_bytes()));
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
            let mut cell = table.lock(Fingerprint([7, key]), [2, 0], now);
            cell.write_log(State { rest: now + 10, word: 0 }, |log| log.record(now, 1));
        };
        let logs = || table.shards.iter().map(|it| it.0.lock().unwrap().logs.len()).sum::<usize>();
        (0..WAYS as u64).for_each(|key| record(key, 0));
        record(99, 5);
        assert_eq!(logs(), WAYS + 1, "one is the overflow cell's");
        record(99, 10);
        let log = table.lock(Fingerprint([7, 99]), [2, 0], 10).log().cloned().unwrap();
        let mut both = Log::default();
        both.record(5, 1);
        both.record(10, 1);
        assert_eq!(log, both, "it took the overflow cell's along");
        (100..5_000).for_each(|key| record(key, key * 10));
        assert!(logs() <= WAYS + 1);
    }

    #[test]
    fn the_overflow_cell_holds_one_kind_of_state_at_a_time() {
        const OTHER: Kind = [8, 2];
        let table = Table::new(1);
        for key in 0..WAYS as u32 {
            take(&table, key, 0, 1).unwrap();
        }
        assert_eq!(take(&table, 99, 0, 1), Ok(10), "of kind 0");
        let stranger = |now| table.lock(Fingerprint([7, 100]), OTHER, now);
        let mut refused = stranger(9);
        assert_eq!(refused.closed_until(), Some(10));
        assert_eq!(refused.state(), State::default());
        refused.write(State { rest: 500, word: 1 });
        drop(refused);
        assert_eq!(take(&table, 99, 9, 1), Err(()), "it was not written over");

        let again = |key: u32| take(&table, key, 10, 1);
        assert!((0..WAYS as u32).all(|key| again(key).is_ok()), "all but the overflow cell");
        let mut cell = stranger(10);
        assert_eq!((cell.closed_until(), cell.state()), (None, State::default()));
        cell.write(State { rest: 30, word: 1 });
        drop(cell);
        assert_eq!(table.lock(Fingerprint([7, 99]), [0, 0], 19).closed_until(), Some(30));
        assert_eq!(stranger(19).state(), State { rest: 30, word: 1 });
        assert_eq!(
            table.lock(Fingerprint([7, 101]), [0, 0], 20).closed_until(),
            None,
            "slots are free"
        );
    }
}
