use std::fmt;

use tower_layer::Layer;

use super::{
    book::{Book, Terms},
    guard::Limits,
    handle::LimitsHandle,
    limit::Limit,
    quota::QuotaSource,
    sharing::Sharing,
};
use crate::{
    clock::Clock,
    guard::{GuardLayer, Guarded},
    key::Key,
};

/// Limits how much each key is admitted. See the [module docs](crate::rate_limit).
///
/// Clones, and all services that they make, count together. A setting makes a layer with counters of its own, so
/// set first and share then.
#[derive(Clone)]
pub struct RateLimitLayer {
    settings: Settings,
    guard: GuardLayer<Limits>,
}

#[derive(Clone, Debug)]
struct Settings {
    limits: Vec<Limit>,
    terms: Terms,
    sharing: Option<Sharing>,
    clock: Clock,
}

impl RateLimitLayer {
    /// One limit: a quota for each key. Its other settings are those of [`Limit`]: see [`of`](Self::of).
    pub fn new<Q, K>(quota: Q, key: K) -> Self
    where
        Q: QuotaSource + Send + Sync + 'static,
        K: Key + Send + Sync + 'static,
    {
        Self::of(Limit::new(quota, key))
    }

    /// This limit.
    pub fn of(limit: Limit) -> Self {
        let settings = Settings {
            limits: vec![limit],
            terms: Terms::default(),
            sharing: None,
            clock: Clock::default(),
        };
        let guard = GuardLayer::new(settings.guard());
        Self { settings, guard }
    }

    /// This limit too. All limits of a layer are checked together and spend together: a request that one of them
    /// refuses spends from none.
    #[must_use]
    pub fn and(self, limit: Limit) -> Self {
        self.set(|it| it.limits.push(limit))
    }

    /// How many keys each limit keeps apart. Default: 1,000,000, which take 50 MiB once they have come. At most 2²⁸.
    #[must_use]
    pub fn max_keys(self, max_keys: usize) -> Self {
        self.set(|it| it.terms.max_keys = max_keys)
    }

    /// How many requests may wait for their turn at a [leaky bucket](super::Quota::leaky_bucket), over all limits and
    /// keys. Default: 10,000. One more is refused with 429 where it would have to wait, and spends nothing; where the
    /// limits are [shared](Self::shared), its turn is spent, because the store has said yes before.
    #[must_use]
    pub fn max_waiting(self, max_waiting: usize) -> Self {
        self.set(|it| it.terms.max_waiting = max_waiting)
    }

    /// Shares all limits of this layer with other nodes. Default: each process counts for itself.
    #[must_use]
    pub fn shared(self, sharing: Sharing) -> Self {
        self.set(|it| it.sharing = Some(sharing))
    }

    /// Sends no `RateLimit` fields, for those who would rather not tell. `Retry-After` stays.
    #[must_use]
    pub fn hide_fields(self) -> Self {
        self.set(|it| it.terms.fields = false)
    }

    /// Sends `X-RateLimit-Limit`, `-Remaining` and `-Reset` too, for clients that know nothing newer: what the limit
    /// says of which the least is left. The reset is in seconds from now, as in draft-ietf-httpapi-ratelimit-headers-03
    /// and with Envoy and Kong, and not a date. Of several layers in a stack, the one with less left has its say.
    #[must_use]
    pub fn legacy_fields(self) -> Self {
        self.set(|it| it.terms.legacy = true)
    }

    /// The clock by which time passes. Default: the system's.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|it| it.clock = clock)
    }

    /// Counts, and admits whatever the answer is: see [`GuardLayer::report_only`]. For one limit of several, see
    /// [`Limit::report_only`].
    #[must_use]
    pub fn report_only(self) -> Self {
        let this = self.set(|it| it.terms.report_only = true);
        Self { guard: this.guard.report_only(), ..this }
    }

    /// For administrators and tests: what keys have left, credit and bans; and to replace the limits while requests
    /// are served. Of this layer as it is now, of its clones and of all services that they make.
    pub fn handle(&self) -> LimitsHandle {
        LimitsHandle::new(self.guard.guard().book())
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        let guard = self.guard.with_guard(self.settings.guard());
        Self { guard, ..self }
    }
}

impl Settings {
    fn guard(&self) -> Limits {
        let Self { limits, terms, sharing, clock } = self.clone();
        Limits::new(Book::new(limits, terms, sharing.as_ref(), clock))
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = Guarded<S, Limits>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}

impl fmt::Debug for RateLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RateLimitLayer").field(&self.settings).finish()
    }
}
