//! How a table lies in memory, so that a decision about a key that is known reads one line of it.
//!
//! A set has [`WAYS`] slots in lines of [`LINE`], and a head. A key's slot is most often in the line that its hash
//! names; else, when that line was full as it came, in another of its set, where the head's tags find it.

use std::collections::HashMap;

use super::fingerprint::Fingerprint;
use crate::rate_limit::{
    algorithm::{State, sliding_log::Log},
    quota::Kind,
};

/// Slots in a set. With twice as many slots as keys, one key in 50,000 finds its set full.
pub(super) const WAYS: usize = 32;

/// Slots on a line of memory.
const LINE: usize = 4;

/// Whose a slot is, and when its state is at rest: one that is says nothing that a new slot would not say, and is free.
/// One never used is nobody's, and at rest since the beginning. The set and the first word make 80 bits of hash, so
/// that two of a million keys share a slot in one process of 2⁴¹. Two numbers, which the allocator hands out as
/// zeroed pages.
type Slot = [u64; 2];

/// The second word of a slot's state stands apart: buckets never touch it, and so it takes no memory for them.
type Word = u64;

/// What a set has beside its slots, on a line of its own: who is not in its own line asks here.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Head {
    /// Eight bits of each slot's key. They may be wrong: the slot itself decides.
    tags: [u8; WAYS],
    overflow: Overflow,
}

/// What the keys share that have no slot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overflow {
    /// The kind of their quotas: states of other kinds would be misread.
    pub(super) kind: Kind,
    pub(super) state: State,
}

/// Whose a log is: this slot key's of this set, or the overflow cell's.
pub(super) type LogKey = (usize, Option<u64>);

/// The sets of a shard.
#[derive(Default)]
pub(super) struct Sets {
    heads: Vec<Head>,
    slots: Vec<Slot>,
    /// The first slot on a line that begins with it: allocators align numbers to less.
    first: usize,
    words: Vec<Word>,
    /// Of the keys whose quota keeps a log.
    pub(super) logs: HashMap<LogKey, Log>,
}

impl Sets {
    /// Zeroed pages, which take memory as they are touched.
    pub(super) fn with(sets: usize) -> Self {
        let slots = vec![Slot::default(); sets * WAYS + LINE - 1];
        Self {
            heads: vec![Head::default(); sets],
            first: slots.as_ptr().align_offset(LINE * size_of::<Slot>()).min(LINE - 1),
            slots,
            words: vec![0; sets * WAYS],
            logs: HashMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The key's slot.
    #[inline]
    pub(super) fn find(&self, set: usize, key: Fingerprint) -> Option<usize> {
        let (line, slots) = (line(key), self.slots(set));
        let own = (line..line + LINE).find(|&slot| slots[slot][0] == key.whose());
        own.or_else(|| self.find_elsewhere(set, key))
    }

    fn find_elsewhere(&self, set: usize, key: Fingerprint) -> Option<usize> {
        let (tags, slots) = (&self.heads[set].tags, self.slots(set));
        (0..WAYS).find(|&slot| tags[slot] == key.tag() && slots[slot][0] == key.whose())
    }

    /// A slot that is at rest: in the key's own line, if one there is.
    pub(super) fn free(&self, set: usize, key: Fingerprint, now: u64) -> Option<usize> {
        let (line, slots) = (line(key), self.slots(set));
        let rests = |slot: &usize| slots[*slot][1] <= now;
        (line..line + LINE).find(rests).or_else(|| (0..WAYS).find(rests))
    }

    /// Gives a slot to a key, and forgets the log of whose it was.
    pub(super) fn give(&mut self, set: usize, slot: usize, key: Fingerprint) {
        self.heads[set].tags[slot] = key.tag();
        let old = std::mem::replace(&mut self.slots_mut(set)[slot][0], key.whose());
        self.forget((set, Some(old)));
    }

    /// The state in a slot; of both words, if `wide`.
    #[inline]
    pub(super) fn state(&self, set: usize, slot: usize, wide: bool) -> State {
        let word = if wide { self.words[set * WAYS + slot] } else { 0 };
        State { rest: self.slots(set)[slot][1], word }
    }

    #[inline]
    pub(super) fn write(&mut self, set: usize, slot: usize, wide: bool, state: State) {
        self.slots_mut(set)[slot][1] = state.rest;
        if wide {
            self.words[set * WAYS + slot] = state.word;
        }
    }

    pub(super) fn overflow(&self, set: usize) -> &Overflow {
        &self.heads[set].overflow
    }

    pub(super) fn overflow_mut(&mut self, set: usize) -> &mut Overflow {
        &mut self.heads[set].overflow
    }

    /// Forgets a log.
    pub(super) fn forget(&mut self, log: LogKey) {
        if !self.logs.is_empty() {
            self.logs.remove(&log);
        }
    }

    #[inline]
    fn slots(&self, set: usize) -> &[Slot] {
        &self.slots[self.first + set * WAYS..][..WAYS]
    }

    #[inline]
    fn slots_mut(&mut self, set: usize) -> &mut [Slot] {
        &mut self.slots[self.first + set * WAYS..][..WAYS]
    }

    /// What it takes in the end; the second for buckets alone.
    #[cfg(test)]
    pub(super) fn bytes(sets: usize) -> [usize; 2] {
        let narrow = sets * (size_of::<Head>() + WAYS * size_of::<Slot>());
        [narrow + sets * WAYS * size_of::<Word>(), narrow]
    }
}

/// The first slot of the key's own line.
#[inline]
fn line(key: Fingerprint) -> usize {
    key.line(WAYS / LINE) * LINE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_slots_is_a_line_of_memory_and_so_is_a_head() {
        for sets in [1, 7, 1_000] {
            let sets = Sets::with(sets);
            assert_eq!(sets.slots(0).as_ptr() as usize % 64, 0);
            assert_eq!(size_of::<Head>(), 64);
        }
    }
}
