//! What is remembered of each key: bounded, without scans, and never to an offender's advantage.
//!
//! A fixed table of sets, each of [`WAYS`] slots. A key belongs to one set, by its hash, so that everything is
//! decided by looking at that set alone. A key's set stays locked while a decision is made about it: see [`Cell`].

use std::sync::{
    PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::{
    cell::Cell,
    fingerprint::{Fingerprint, Secret, scale},
    sets::{Sets, WAYS},
    sync::Mutex,
};
use crate::rate_limit::quota::Kind;

/// More would not fit into memory.
const MOST_KEYS: usize = 1 << 28;

/// The most that one lock covers is a 64th of the table. A power of two.
const SHARDS: usize = 64;

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

impl Table {
    /// Room for `max_keys` keys.
    pub(crate) fn new(max_keys: usize) -> Self {
        static RANKS: AtomicU64 = AtomicU64::new(0);
        let slots = 2 * max_keys.min(MOST_KEYS);
        let sets = slots.div_ceil(WAYS).max(1);
        let shards = 1 << sets.min(SHARDS).ilog2();
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
        // A power of two: the mask leaves one of them.
        let shard = &self.shards[key.choice(SHARDS) & (self.shards.len() - 1)].0;
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.is_empty() {
            *shard = Sets::with(self.sets_per_shard);
        }
        Cell::of(shard, scale(key.place(), self.sets_per_shard), key, kind, now)
    }
}

#[cfg(all(test, not(loom_store)))]
mod tests {
    use super::*;
    use crate::rate_limit::algorithm::{State, sliding_log::Log, token_bucket};

    /// Of keys in one set.
    fn print(key: u64) -> Fingerprint {
        Fingerprint([7, 2 + key])
    }

    /// Takes one from a bucket of `burst` with interval 10; when it is full after that, or `Err` when it is empty.
    fn take(table: &Table, key: u32, now: u64, burst: u64) -> Result<u64, ()> {
        take_as(table, print(u64::from(key)), now, burst)
    }

    fn take_as(table: &Table, key: Fingerprint, now: u64, burst: u64) -> Result<u64, ()> {
        let mut cell = table.lock(key, [0, 0], now);
        let judgment = token_bucket::judge(cell.state(), now, 1, 10, burst);
        let admission = judgment.verdict.map_err(|_| ())?;
        cell.write(admission.state);
        Ok(admission.state.rest)
    }

    fn table_bytes(table: &Table) -> [usize; 2] {
        Sets::bytes(table.shards.len() * table.sets_per_shard)
    }

    #[test]
    fn a_million_keys_take_less_than_a_hundred_mebibytes() {
        let table = Table::new(1_000_000);
        let [windows, buckets] = table_bytes(&table);
        assert!(buckets <= 36_100_000 && windows <= 52_100_000, "{buckets}, {windows}");
        let taken = table.shards.iter().any(|it| !it.0.lock().unwrap().is_empty());
        assert!(!taken, "memory is taken as keys come");
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
            let mut cell = table.lock(print(key), [2, 0], now);
            cell.write_log(State { rest: now + 10, word: 0 }, |log| log.record(now, 1));
        };
        let logs = || table.shards.iter().map(|it| it.0.lock().unwrap().logs.len()).sum::<usize>();
        (0..WAYS as u64).for_each(|key| record(key, 0));
        record(99, 5);
        assert_eq!(logs(), WAYS + 1, "one is the overflow cell's");
        record(99, 10);
        let log = table.lock(print(99), [2, 0], 10).log().cloned().unwrap();
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
        let stranger = |now| table.lock(print(100), OTHER, now);
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
        assert_eq!(table.lock(print(99), [0, 0], 19).closed_until(), Some(30));
        assert_eq!(stranger(19).state(), State { rest: 30, word: 1 });
        assert_eq!(table.lock(print(101), [0, 0], 20).closed_until(), None, "slots are free");
    }
}
