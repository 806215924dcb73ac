//! Who was admitted what in an outage, to be charged after it: pure, bounded, and without scans.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// How many old entries are looked at for one that needs no place any more.
const LOOKS: usize = 4;

/// Debtors in the order in which they came. At the bound, one whose debt has lapsed gives its place to a newcomer;
/// if none is found at once, the newcomer's admission is not remembered, and counted.
pub(super) struct Ledger<K, V> {
    most: usize,
    entries: HashMap<K, Entry<V>>,
    order: VecDeque<K>,
    dropped: u64,
}

/// What a debtor was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<V> {
    /// Whose it is.
    pub(super) who: V,
    pub(super) units: u64,
    /// When the debt has lapsed: the quota has refilled.
    pub(super) lapses: u64,
}

impl<K: Copy + Eq + Hash, V> Ledger<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, entries: HashMap::new(), order: VecDeque::new(), dropped: 0 }
    }

    /// Notes an admission; `who` is asked for if it is the first.
    pub(super) fn note(
        &mut self,
        key: K,
        units: u64,
        lapses: u64,
        now: u64,
        who: impl FnOnce() -> V,
    ) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.units = entry.units.saturating_add(units);
            entry.lapses = entry.lapses.max(lapses);
        } else if self.entries.len() < self.most || self.forget_lapsed(now) {
            self.insert(key, Entry { who: who(), units, lapses });
        } else {
            self.dropped += 1;
        }
    }

    /// Takes up to so many out, the oldest first.
    pub(super) fn take(&mut self, most: usize) -> Vec<(K, Entry<V>)> {
        let count = most.min(self.order.len());
        let keys = self.order.drain(..count);
        keys.filter_map(|key| Some((key, self.entries.remove(&key)?))).collect()
    }

    /// Notes again what could not be charged.
    pub(super) fn put_back(&mut self, entries: Vec<(K, Entry<V>)>, now: u64) {
        for (key, Entry { who, units, lapses }) in entries {
            self.note(key, units, lapses, now, || who);
        }
    }

    /// How many admissions were not remembered since this was last asked.
    pub(super) fn dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn insert(&mut self, key: K, entry: Entry<V>) {
        self.entries.insert(key, entry);
        self.order.push_back(key);
    }

    /// Makes a place free, if one of the oldest has lapsed.
    fn forget_lapsed(&mut self, now: u64) -> bool {
        for _ in 0..LOOKS.min(self.order.len()) {
            let Some(key) = self.order.pop_front() else { return false };
            if self.entries.get(&key).is_none_or(|it| it.lapses <= now) {
                self.entries.remove(&key);
                return true;
            }
            self.order.push_back(key);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(most: usize, notes: &[(u32, u64, u64)]) -> Ledger<u32, &'static str> {
        let mut ledger = Ledger::new(most);
        for &(key, units, lapses) in notes {
            ledger.note(key, units, lapses, 0, || "who");
        }
        ledger
    }

    fn entry(units: u64, lapses: u64) -> Entry<&'static str> {
        Entry { who: "who", units, lapses }
    }

    #[test]
    fn admissions_of_one_debtor_are_one_entry() {
        let mut ledger = ledger(10, &[(1, 1, 5), (2, 7, 8), (1, 2, 9), (1, u64::MAX, 3)]);
        assert_eq!(ledger.take(10), [(1, entry(u64::MAX, 9)), (2, entry(7, 8))]);
        assert_eq!((ledger.len(), ledger.dropped()), (0, 0));
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_once() {
        let mut ledger = ledger(2, &[(1, 1, 5), (2, 1, 5), (3, 1, 5), (4, 1, 5), (1, 1, 5)]);
        assert_eq!((ledger.len(), ledger.dropped(), ledger.dropped()), (2, 2, 0));
        assert_eq!(ledger.take(10), [(1, entry(2, 5)), (2, entry(1, 5))]);
        assert_eq!(self::ledger(0, &[(1, 1, 5)]).dropped(), 1);
    }

    #[test]
    fn a_lapsed_debt_makes_place_and_an_open_one_does_not() {
        let mut ledger = ledger(2, &[(1, 1, 50), (2, 1, 5)]);
        ledger.note(3, 1, 60, 5, || "who");
        assert_eq!(ledger.dropped(), 0);
        assert_eq!(ledger.take(10), [(1, entry(1, 50)), (3, entry(1, 60))]);
    }

    #[test]
    fn few_are_looked_at_and_in_turn() {
        let open: Vec<_> = (0..100).map(|key| (key, 1, if key == 99 { 5 } else { 50 })).collect();
        let mut ledger = ledger(100, &open);
        let mut tries = 0;
        while ledger.len() == 100 && !ledger.entries.contains_key(&1_000) {
            ledger.note(1_000, 1, 60, 10, || "who");
            tries += 1;
        }
        assert_eq!(tries, 100 / LOOKS);
        assert_eq!((ledger.len(), ledger.order.len()), (100, 100));
    }

    #[test]
    fn batches_are_taken_in_order_and_what_failed_is_put_back() {
        let mut ledger = ledger(10, &[(1, 1, 5), (2, 2, 5), (3, 3, 5)]);
        let batch = ledger.take(2);
        ledger.note(1, 10, 9, 0, || "who");
        ledger.put_back(batch, 0);
        assert_eq!(ledger.take(10), [(3, entry(3, 5)), (1, entry(11, 9)), (2, entry(2, 5))]);
    }
}
