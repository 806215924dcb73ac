//! What is revoked, by name: read without a lock, written by one at a time.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use smallvec::SmallVec;

use super::TokenId;
use crate::auth::terms::MAX_LEEWAY;

/// A writer copies one part of the list, so that readers never wait.
const PARTS: usize = 64;

/// By what tokens are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Token,
    Subject,
    Issuer,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Token, Self::Subject, Self::Issuer];
}

/// Which tokens of a name are revoked, and how long that is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Those that were issued by this time.
    pub(super) issued_by: Duration,
    pub(super) until: Duration,
}

impl Rule {
    pub(super) fn concerns(self, token: &TokenId<'_>) -> bool {
        token.issued_at().is_none_or(|issued| issued <= self.issued_by)
    }

    /// Whether no token that it concerns can be accepted any more.
    fn is_over(self, now: Duration) -> bool {
        now > self.until.saturating_add(MAX_LEEWAY)
    }

    fn and(self, other: Self) -> Self {
        let issued_by = self.issued_by.max(other.issued_by);
        Self { issued_by, until: self.until.max(other.until) }
    }
}

type Part = HashMap<Arc<[u8]>, Rule>;

pub(super) struct Rules {
    parts: [ArcSwap<Part>; PARTS],
    spread: RandomState,
    /// Of each kind: a reader looks up none of which there is none.
    counts: [AtomicUsize; 3],
    writer: Mutex<()>,
}

/// Room for the usual name, on the stack.
pub(super) type Name = SmallVec<[u8; 256]>;

/// One spelling for each kind, issuer and name: the issuer's length says where it ends.
pub(super) fn name(kind: Kind, iss: &str, id: &str) -> Name {
    let mut name = Name::new();
    name.push(kind as u8);
    name.extend_from_slice(&iss.len().to_le_bytes());
    name.extend_from_slice(iss.as_bytes());
    name.extend_from_slice(id.as_bytes());
    name
}

impl Rules {
    pub(super) fn new() -> Self {
        Self {
            parts: std::array::from_fn(|_| ArcSwap::default()),
            spread: RandomState::new(),
            counts: Default::default(),
            writer: Mutex::new(()),
        }
    }

    /// Held by the one who writes.
    pub(super) fn writer(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        self.counts[kind as usize].load(Ordering::SeqCst)
    }

    pub(super) fn get(&self, kind: Kind, iss: &str, id: &str) -> Option<Rule> {
        if self.count(kind) == 0 {
            return None;
        }
        let name = name(kind, iss, id);
        self.part(&name).load().get(&name[..]).copied()
    }

    pub(super) fn knows(&self, name: &Name) -> bool {
        self.part(name).load().contains_key(&name[..])
    }

    fn part(&self, name: &Name) -> &ArcSwap<Part> {
        &self.parts[self.spread.hash_one(name) as usize % PARTS]
    }

    /// Adds the rule, or widens the one of this name. For the one writer.
    pub(super) fn set(&self, kind: Kind, name: &Name, rule: Rule) {
        let part = self.part(name);
        let mut new = Part::clone(&part.load());
        let known = new.get(&name[..]).copied();
        new.insert(Arc::from(&name[..]), known.map_or(rule, |known| known.and(rule)));
        part.store(Arc::new(new));
        if known.is_none() {
            self.counts[kind as usize].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Drops what concerns no token any more. For the one writer.
    pub(super) fn forget(&self, now: Duration) {
        for part in &self.parts {
            let mut new = Part::clone(&part.load());
            for kind in Kind::ALL {
                let before = new.len();
                new.retain(|name, rule| name[0] != kind as u8 || !rule.is_over(now));
                self.counts[kind as usize].fetch_sub(before - new.len(), Ordering::SeqCst);
            }
            part.store(Arc::new(new));
        }
    }
}
