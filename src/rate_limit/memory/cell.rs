//! What is known of one key, while nobody else can change it.

use super::{
    fingerprint::Fingerprint,
    sync::MutexGuard,
    table::{OVERFLOW, Set, Sets},
};
use crate::rate_limit::{
    algorithm::{State, sliding_log::Log},
    quota::Kind,
};

/// A key's place in its set, locked.
pub(crate) struct Cell<'a> {
    sets: MutexGuard<'a, Sets>,
    set: usize,
    place: Place,
    key: Fingerprint,
    kind: Kind,
    /// Whether a newcomer goes on from the overflow cell: it may have been here before, and its debt lies there.
    inherits: bool,
}

#[derive(Clone, Copy)]
enum Place {
    /// The key has this slot.
    Own(usize),
    /// A newcomer, who can have this slot.
    Free(usize),
    /// A newcomer, for whom there is none: it shares the overflow cell.
    Overflow,
    /// As `Overflow`, but keys under quotas of another kind are in there, whose state says nothing about this one.
    Closed,
}

impl<'a> Cell<'a> {
    /// The cell of this key, of this set, at this time.
    #[inline]
    pub(super) fn of(
        sets: MutexGuard<'a, Sets>,
        set: usize,
        key: Fingerprint,
        kind: Kind,
        now: u64,
    ) -> Self {
        if let Some(slot) = sets.find(set, key) {
            return Self { sets, set, place: Place::Own(slot), key, kind, inherits: false };
        }
        let shared = &sets.slots[set][OVERFLOW];
        let (active, same) = (shared.state.rest > now, shared.kind() == kind);
        let place = match sets.free(set, key, now) {
            Some(slot) => Place::Free(slot),
            None if active && !same => Place::Closed,
            None => Place::Overflow,
        };
        Self { sets, set, place, key, kind, inherits: active && same }
    }

    /// Until when the key is refused whatever its quota says, because there is no place for it.
    #[inline]
    pub(crate) fn closed_until(&self) -> Option<u64> {
        matches!(self.place, Place::Closed).then(|| self.slots()[OVERFLOW].state.rest)
    }

    /// Whether the state is this key's alone.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.place, Place::Own(_))
    }

    /// The key's state.
    #[inline]
    pub(crate) fn state(&self) -> State {
        match self.place {
            Place::Own(slot) => self.slots()[slot].state,
            _ if self.inherits => self.slots()[OVERFLOW].state,
            _ => State::default(),
        }
    }

    /// The key's log, if it has one.
    pub(crate) fn log(&self) -> Option<&Log> {
        match self.place {
            Place::Own(_) => self.sets.logs.get(&self.key),
            _ if self.inherits => self.sets.logs.get(&self.shared_log()),
            _ => None,
        }
    }

    /// Keeps the state: in the key's slot, or in one that is at rest, or else in the overflow cell. What is written
    /// where the overflow cell is closed is lost: such a key is refused for so long.
    #[inline]
    pub(crate) fn write(&mut self, state: State) {
        if let Some(slot) = self.settle() {
            self.sets.slots[self.set][slot].state = state;
        }
    }

    /// The log to write into; `state` says when it will be empty.
    pub(crate) fn write_log(&mut self, state: State, write: impl FnOnce(&mut Log)) {
        let mut log = match self.place {
            Place::Free(_) => self.log().cloned(), // out of the overflow cell, with its debt
            _ => None,
        };
        let Some(slot) = self.settle() else { return };
        let key = if self.is_own() { self.key } else { self.shared_log() };
        let sets = &mut *self.sets;
        write(sets.logs.entry(key).or_insert_with(|| log.take().unwrap_or_default()));
        sets.slots[self.set][slot].state = state;
    }

    /// The slot to write into, which is the key's from now on unless it is the overflow cell.
    #[inline]
    fn settle(&mut self) -> Option<usize> {
        let (key, set) = (self.key, self.set);
        match self.place {
            Place::Own(slot) => Some(slot),
            Place::Free(slot) => {
                let old = self.sets.give(set, slot, key);
                self.sets.forget(&old);
                self.place = Place::Own(slot);
                Some(slot)
            }
            Place::Overflow => {
                if !self.inherits {
                    let log = self.shared_log();
                    self.sets.forget(&log);
                    self.sets.slots[set][OVERFLOW].set_kind(self.kind);
                    self.inherits = true;
                }
                Some(OVERFLOW)
            }
            Place::Closed => None,
        }
    }

    /// Whose log the overflow cell's is.
    fn shared_log(&self) -> Fingerprint {
        Fingerprint([u64::MAX, self.set as u64])
    }

    fn slots(&self) -> &Set {
        &self.sets.slots[self.set]
    }
}
