//! Keys that are held elsewhere: in a database, behind a service.

use std::{fmt, sync::Arc, time::Duration};

use super::{digest::KeyDigest, key::Key, record::KeyRecord};
use crate::{
    BoxError,
    auth::lookup::{Answer, Known, Lookup, Settings, Undecided},
    clock::Clock,
    config_error::ConfigError,
    event,
    guard::BoxFuture,
};

/// Where keys are stored. It is asked through [`StoredKeys`].
///
/// ```
/// use std::sync::Arc;
/// use tower_gateway::{
///     BoxError,
///     auth::api_key::{KeyDigest, KeyRecord, KeyStore},
///     guard::BoxFuture,
/// };
/// # #[derive(Clone)] struct Pool;
/// # impl Pool { async fn query_opt(&self, _: &str, _: &[&str]) -> Result<Option<String>, BoxError> { Ok(None) } }
///
/// struct Postgres(Pool);
///
/// impl KeyStore for Postgres {
///     fn find(&self, digest: &KeyDigest) -> BoxFuture<Result<Option<KeyRecord>, BoxError>> {
///         let (pool, digest) = (self.0.clone(), digest.to_string());
///         Box::pin(async move {
///             let row = pool.query_opt("SELECT record FROM api_keys WHERE digest = $1", &[&digest]).await?;
///             Ok(row.map(|json| serde_json::from_str(&json)).transpose()?)
///         })
///     }
/// }
/// ```
pub trait KeyStore: Send + Sync + 'static {
    /// The record of the key with this digest; `None` if there is no such key.
    ///
    /// An error says that the store cannot tell. After several in a row it is not asked for a while.
    fn find(&self, digest: &KeyDigest) -> BoxFuture<Result<Option<KeyRecord>, BoxError>>;
}

/// The keys of a [`KeyStore`], and a memory of what it said.
///
/// 1. A key is asked about once, however many requests present it meanwhile.
/// 2. What the store says is remembered: for 30 s if it has the key, for 5 s if not; 10,000 of each.
/// 3. No more than 64 questions are open at a time, and each for no more than 3 s.
/// 4. When the store cannot tell, requests are answered 503, but for keys that are still remembered; after five
///    failures in a row it is not asked for a while.
///
/// Dates, networks and the flag `revoked` of a remembered record are compared at each request. What is changed in the
/// store is seen when the memory of it ends, or when it is told to [`forget`](Self::forget).
///
/// Clones are handles of the same memory; settings are made before there are any.
///
/// ```
/// # use tower_gateway::{BoxError, auth::api_key::{ApiKeyLayer, KeyDigest, KeyRecord, KeyStore, StoredKeys}, guard::BoxFuture};
/// # struct Postgres;
/// # impl KeyStore for Postgres {
/// #     fn find(&self, _: &KeyDigest) -> BoxFuture<Result<Option<KeyRecord>, BoxError>> { Box::pin(async { Ok(None) }) }
/// # }
/// use std::time::Duration;
///
/// let keys = StoredKeys::new(Postgres).ttl(Duration::from_secs(10));
/// let layer = ApiKeyLayer::new(keys.clone());
/// // when the store says that something has changed
/// keys.forget_all();
/// ```
#[derive(Clone)]
pub struct StoredKeys {
    store: Arc<dyn KeyStore>,
    settings: Settings,
    clock: Clock,
    lookup: Lookup<Arc<Key>>,
}

impl StoredKeys {
    /// Asks this store.
    pub fn new(store: impl KeyStore) -> Self {
        let (settings, clock) = (Settings::default(), Clock::system());
        let lookup = Lookup::new(NAME, settings, clock.clone());
        Self { store: Arc::new(store), settings, clock, lookup }
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        Self { lookup: Lookup::new(NAME, self.settings, self.clock.clone()), ..self }
    }

    /// How long a key is remembered that the store has. Default: 30 s; zero asks for each request.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        self.set(|it| it.ttl = ttl)
    }

    /// How long it is remembered that the store has not a key. Default: 5 s; zero asks for each request.
    #[must_use]
    pub fn negative_ttl(self, ttl: Duration) -> Self {
        self.set(|it| it.negative_ttl = ttl)
    }

    /// How many keys are remembered that the store has, and how many that it has not. A record of more than 4 KiB takes
    /// the place of several. Default: 10,000.
    #[must_use]
    pub fn capacity(self, keys: usize) -> Self {
        self.set(|it| it.capacity = keys)
    }

    /// How many questions may be open at a time; what would be another is answered 503. Default: 64; at least 1.
    #[must_use]
    pub fn max_in_flight(self, questions: usize) -> Self {
        self.set(|it| it.max_in_flight = questions.max(1))
    }

    /// How long the store may take to tell. Default: 3 s.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|it| it.timeout = timeout)
    }

    /// For how long a key that was good serves beyond its time while the store cannot tell. Default: zero, never. A
    /// key that is revoked meanwhile serves too.
    #[must_use]
    pub fn stale_if_error(self, longest: Duration) -> Self {
        self.set(|it| it.stale_if_error = longest)
    }

    /// The clock of the memory and of the time limit. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }.set(|_| {})
    }

    /// Forgets what the store said of this key, so that the next request asks.
    pub fn forget(&self, digest: &KeyDigest) {
        self.lookup.forget(&digest.remembered());
    }

    /// Forgets all that the store said.
    pub fn forget_all(&self) {
        self.lookup.forget_all();
    }

    /// What is remembered.
    pub(super) fn known(&self, digest: &KeyDigest) -> Option<Known<Arc<Key>>> {
        self.lookup.known(&digest.remembered())
    }

    /// What the store says.
    pub(super) fn ask(
        &self,
        digest: KeyDigest,
    ) -> impl Future<Output = Result<Known<Arc<Key>>, Undecided>> + Send + use<> {
        let store = Arc::clone(&self.store);
        self.lookup.ask(digest.remembered(), move || async move {
            let record = store.find(&digest).await?;
            Ok(record.map_or(Answer::Bad, |record| answer(&digest, record)))
        })
    }
}

const NAME: &str = "api_key";

/// A record that cannot be used is not the store's failure: one bad row must not stop all questions.
fn answer(asked: &KeyDigest, record: KeyRecord) -> Answer<Arc<Key>> {
    let key = match record.digest() == asked {
        true => Key::new(record),
        false => Err(ConfigError::new(NAME, "the store told of another key than it was asked for")),
    };
    match key {
        Ok(key) => Answer::Good { value: Arc::new(key), until: None },
        Err(mistakes) => {
            event::warning(NAME, "the record of a key cannot be used", &mistakes);
            Answer::Bad
        }
    }
}

impl fmt::Debug for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKeys").field("settings", &self.settings).finish_non_exhaustive()
    }
}
