//! A key set that its issuer publishes, as readers see it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    key_set::KeySet,
    unknown::{Unknown, UnknownKid},
};
use crate::{clock::Clock, refreshing::Refreshing, rejection::Rejection};

/// A remote key set (RFC 7517 §5), read as a snapshot and refreshed by one task. Clones share it.
///
/// Requests with a known key never wait for it and never make it fetch. A token with an unknown `kid` asks for
/// one fetch out of turn, and many such tokens share it. There are two such fetches at once at most, and then one in
/// a cooldown; and a `kid` that was not in the set is asked for again only after 1, 2, 4 … cooldowns, up to five
/// minutes, unless the set changes before. Whoever is too early is refused at once. When the publisher fails, the last good set goes on serving, up to the maximum staleness; then, as when
/// no set was ever loaded, requests are answered `503`, since no token can be judged.
///
/// The task ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Jwks {
    keys: Refreshing<KeySet>,
    unknown: Arc<Mutex<Unknown>>,
    cooldown: Duration,
    clock: Clock,
}

/// How a remote key set fares.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct JwksHealth {
    /// The time since the last good fetch; `None` if there was none.
    pub age: Option<Duration>,
    /// What went wrong since the last good fetch.
    pub last_error: Option<String>,
    /// How many keys there are to verify with now; zero if requests are answered `503`.
    pub keys: usize,
    /// How many keys of the document cannot be used, and were left out.
    pub skipped: usize,
    /// Good fetches so far.
    pub refreshes: u64,
    /// Failed fetches so far.
    pub failures: u64,
}

impl Jwks {
    pub(super) fn of(keys: Refreshing<KeySet>, cooldown: Duration, clock: Clock) -> Self {
        Self { keys, unknown: Arc::default(), cooldown, clock }
    }

    /// Waits for the first fetch to end.
    ///
    /// # Errors
    ///
    /// When it failed: what requests are answered until a later one succeeds, with the reason as its cause.
    pub async fn ready(&self) -> Result<(), Rejection> {
        self.keys.tried().await;
        match &*self.current() {
            Some(_) => Ok(()),
            None => Err(self.unavailable()),
        }
    }

    /// How the keys fare: what to show where the health of the gateway is shown.
    pub fn health(&self) -> JwksHealth {
        let refreshing = self.keys.health();
        let current = self.current();
        let current = current.as_ref();
        JwksHealth {
            age: refreshing.age,
            last_error: refreshing.last_error,
            keys: current.map_or(0, |keys| keys.len()),
            skipped: current.map_or(0, |keys| keys.skipped().len()),
            refreshes: refreshing.refreshes,
            failures: refreshing.failures,
        }
    }

    /// How many keys there are to verify with now.
    pub fn len(&self) -> usize {
        self.current().as_ref().map_or(0, |keys| keys.len())
    }

    /// Whether there are none, so that requests are answered `503`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn current(&self) -> arc_swap::Guard<Option<Arc<KeySet>>> {
        self.keys.current()
    }

    /// A newer set, if one is to be had now; for the sake of this key, if the set lacks only that.
    pub(super) fn newer(
        &self,
        kid: Option<UnknownKid>,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let document = self.current().as_ref().and_then(|keys| keys.document());
        self.keys.newer_if(&|| {
            let now = self.clock.now();
            kid.is_none_or(|kid| self.unknown().ask(kid, document, self.cooldown, now))
        })
    }

    /// What a key that is not in the set is remembered by.
    pub(super) fn name(&self, kid: &str) -> UnknownKid {
        self.unknown().name(kid)
    }

    fn unknown(&self) -> MutexGuard<'_, Unknown> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// 503: a token cannot be judged without keys, which says nothing about the token.
    pub(super) fn unavailable(&self) -> Rejection {
        let no = Rejection::unavailable("Tokens cannot be verified for now.")
            .retry_after(self.keys.retry_in());
        match self.health().last_error {
            Some(cause) => no.caused_by(cause),
            None => no,
        }
    }
}
