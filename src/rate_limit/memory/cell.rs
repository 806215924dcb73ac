//! What is known of one key, while nobody else can change it.

use super::{
    fingerprint::Fingerprint,
    sets::{LogKey, Sets},
    sync::MutexGuard,
};
use crate::rate_limit::{
    algorithm::{State, sliding_log::Log},
    quota::{BUCKETS, Kind},
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
        let shared = sets.overflow(set);
        let (active, same) = (shared.state.rest > now, shared.kind == kind);
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
        matches!(self.place, Place::Closed).then(|| self.sets.overflow(self.set).state.rest)
    }

    /// Whether the state is this key's alone.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.place, Place::Own(_))
    }

    /// The key's state.
    #[inline]
    pub(crate) fn state(&self) -> State {
        match self.place {
            Place::Own(slot) => self.sets.state(self.set, slot, self.is_wide()),
            _ if self.inherits => self.sets.overflow(self.set).state,
            _ => State::default(),
        }
    }

    /// The key's log, if it has one.
    pub(crate) fn log(&self) -> Option<&Log> {
        let has_one = self.is_own() || self.inherits;
        has_one.then(|| self.sets.logs.get(&self.log_key())).flatten()
    }

    /// Keeps the state: in the key's slot, or in one that is at rest, or else in the overflow cell. What is written
    /// where the overflow cell is closed is lost: such a key is refused for so long.
    #[inline]
    pub(crate) fn write(&mut self, state: State) {
        self.settle();
        let (set, wide) = (self.set, self.is_wide());
        match self.place {
            Place::Own(slot) => self.sets.write(set, slot, wide, state),
            Place::Overflow => self.sets.overflow_mut(set).state = state,
            Place::Free(_) | Place::Closed => {}
        }
    }

    /// The log to write into; `state` says when it will be empty.
    pub(crate) fn write_log(&mut self, state: State, write: impl FnOnce(&mut Log)) {
        let mut log = match self.place {
            Place::Free(_) => self.log().cloned(), // out of the overflow cell, with its debt
            _ => None,
        };
        self.write(state);
        if !matches!(self.place, Place::Closed) {
            let key = self.log_key();
            write(self.sets.logs.entry(key).or_insert_with(|| log.take().unwrap_or_default()));
        }
    }

    /// Makes the place this key's, or the overflow cell that of its kind.
    #[inline]
    fn settle(&mut self) {
        match self.place {
            Place::Free(slot) => {
                self.sets.give(self.set, slot, self.key);
                self.place = Place::Own(slot);
            }
            Place::Overflow if !self.inherits => {
                let log = self.log_key();
                self.sets.forget(log);
                self.sets.overflow_mut(self.set).kind = self.kind;
                self.inherits = true;
            }
            _ => {}
        }
    }

    /// Its own log, or that of the overflow cell.
    fn log_key(&self) -> LogKey {
        (self.set, self.is_own().then(|| self.key.whose()))
    }

    /// Whether its state has a second word.
    #[inline]
    fn is_wide(&self) -> bool {
        self.kind != BUCKETS
    }
}
