use std::{borrow::Cow, fmt};

use tower_layer::Layer;

use super::{Capacity, InFlight};
use crate::{
    guard::{GuardLayer, Guarded, Head},
    key::{Key, KeyWriter},
    rate_limit::{Limit, MissingKey},
};

/// Limits how many requests of each key are in flight. See the [module docs](crate::rate_limit::concurrency).
///
/// Clones, and all services that they make, count together. A setting makes a layer with counts of its own, so set
/// first and share then.
#[derive(Clone)]
pub struct ConcurrencyLimitLayer(GuardLayer<InFlight>);

impl ConcurrencyLimitLayer {
    /// Admits so many of each key at a time: a number, [`Plans`](crate::rate_limit::Plans) or a closure.
    pub fn new<C, K>(capacity: C, key: K) -> Self
    where
        C: Capacity + Send + Sync + 'static,
        K: Key + Send + Sync + 'static,
    {
        Self(GuardLayer::new(InFlight::new(capacity, key)))
    }

    /// Its name in refusals. Default: `concurrency`. Public.
    #[must_use]
    pub fn name(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.set(|limit| limit.name(name))
    }

    /// What happens to a request without a key. Default: [`MissingKey::Deny`].
    #[must_use]
    pub fn missing_key(self, missing: MissingKey) -> Self {
        self.set(|limit| limit.missing_key(missing))
    }

    /// Requests that are not counted. Default: none.
    #[must_use]
    pub fn exempt(self, exempt: impl Fn(Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.set(|limit| limit.exempt(exempt))
    }

    /// Admits whatever the answer is: see [`GuardLayer::report_only`].
    #[must_use]
    pub fn report_only(self) -> Self {
        Self(self.0.report_only())
    }

    /// How many requests of a key are in flight: `key` as the layer's [`Key`] writes it.
    pub fn in_flight(&self, key: &KeyWriter) -> usize {
        self.0.guard().of(key)
    }

    fn set(self, change: impl FnOnce(Limit) -> Limit) -> Self {
        let guard = self.0.guard().with_limit(change);
        Self(self.0.with_guard(guard))
    }
}

impl<S> Layer<S> for ConcurrencyLimitLayer {
    type Service = Guarded<S, InFlight>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}

impl fmt::Debug for ConcurrencyLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConcurrencyLimitLayer").field(self.0.guard()).finish()
    }
}
