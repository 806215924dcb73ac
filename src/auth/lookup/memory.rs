//! What was answered, for as long as it holds.

use std::time::{Duration, Instant};

use quick_cache::{Weighter, sync::Cache};

use super::{Answer, Known, Settings, Shared, Size};
use crate::{auth::crypto::Digest, clock::Clock};

/// Good and bad credentials apart: whoever presents bad ones cannot push out a good one.
pub(super) struct Memory<V> {
    good: Cache<Digest, Good<V>, Pages>,
    bad: Cache<Digest, Instant>,
    settings: Settings,
}

#[derive(Clone)]
struct Good<V> {
    value: V,
    fresh_until: Instant,
    /// When the credential itself ends, by the wall clock.
    until: Option<Duration>,
}

/// What is larger than this takes the place of several.
const PAGE: usize = 4096;

/// Weighs in pages.
#[derive(Clone)]
struct Pages;

impl<V: Size> Weighter<Digest, Good<V>> for Pages {
    fn weight(&self, _: &Digest, good: &Good<V>) -> u64 {
        (good.value.size().div_ceil(PAGE).max(1)) as u64
    }
}

impl<V> Good<V> {
    fn has_ended(&self, clock: &Clock) -> bool {
        self.until.is_some_and(|until| clock.unix() >= until)
    }
}

impl<V: Size> Memory<V> {
    pub(super) fn new(settings: &Settings) -> Self {
        let capacity = settings.capacity.max(1);
        let good = Cache::with_weighter(capacity, capacity as u64, Pages);
        Self { good, bad: Cache::new(capacity), settings: *settings }
    }

    pub(super) fn recall(&self, credential: &Digest, clock: &Clock) -> Option<Known<V>> {
        if let Some(good) = self.good.get(credential) {
            // A credential that has ended is known to be bad, whatever its source would say.
            return match (good.has_ended(clock), clock.now() < good.fresh_until) {
                (true, _) => Some(Known::Bad),
                (false, true) => Some(Known::Good(good.value)),
                (false, false) => None,
            };
        }
        self.bad.get(credential).filter(|until| clock.now() < *until).map(|_| Known::Bad)
    }

    pub(super) fn remember(
        &self,
        credential: Digest,
        answer: Answer<V>,
        clock: &Clock,
    ) -> Known<V> {
        let Settings { ttl, negative_ttl, .. } = self.settings;
        let until = answer.until();
        let known = answer.known(clock);
        match &known {
            Known::Good(value) => {
                self.bad.remove(&credential);
                if !ttl.is_zero() {
                    let (value, fresh_until) = (value.clone(), clock.now() + ttl);
                    self.good.insert(credential, Good { value, fresh_until, until });
                }
            }
            Known::Bad => {
                self.good.remove(&credential);
                if !negative_ttl.is_zero() {
                    self.bad.insert(credential, clock.now() + negative_ttl);
                }
            }
        }
        known
    }

    /// A good answer whose time is over, but not for long, and whose credential has not ended.
    pub(super) fn stale(&self, credential: &Digest, shared: &Shared<V>) -> Option<Known<V>> {
        let good = self.good.get(credential)?;
        let stale_until = good.fresh_until + self.settings.stale_if_error;
        let serves = shared.clock.now() < stale_until && !good.has_ended(&shared.clock);
        serves.then_some(Known::Good(good.value))
    }

    pub(super) fn forget(&self, credential: &Digest) {
        self.good.remove(credential);
        self.bad.remove(credential);
    }

    pub(super) fn forget_all(&self) {
        self.good.clear();
        self.bad.clear();
    }
}
