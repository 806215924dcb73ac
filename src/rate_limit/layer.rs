use std::fmt;

use tower_layer::Layer;

use super::{
    guard::{Kept, Limits},
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
    max_keys: usize,
    fields: bool,
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
            max_keys: 1_000_000,
            fields: true,
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

    /// How many keys each limit keeps apart. Default: 1,000,000, which take 68 MiB once they have come. At most 2²⁸.
    #[must_use]
    pub fn max_keys(self, max_keys: usize) -> Self {
        self.set(|it| it.max_keys = max_keys)
    }

    /// Shares all limits of this layer with other nodes. Default: each process counts for itself.
    #[must_use]
    pub fn shared(self, sharing: Sharing) -> Self {
        self.set(|it| it.sharing = Some(sharing))
    }

    /// Sends no `RateLimit` fields, for those who would rather not tell. `Retry-After` stays.
    #[must_use]
    pub fn hide_fields(self) -> Self {
        self.set(|it| it.fields = false)
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
        Self { guard: self.guard.report_only(), ..self }
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        let guard = self.guard.with_guard(self.settings.guard());
        Self { guard, ..self }
    }
}

impl Settings {
    fn guard(&self) -> Limits {
        let mut names = Vec::new();
        let kept = self.limits.iter().map(|limit| {
            let limit = limit.clone().name(unique(limit.label(), &mut names));
            Kept::new(limit, self.max_keys, self.fields)
        });
        let start = |it: &Sharing| it.start(self.limits.iter(), self.max_keys, &self.clock);
        let shared = self.sharing.as_ref().map(start);
        Limits::new(kept.collect(), shared, self.clock.clone())
    }
}

/// The name, or one that no other limit of the layer has.
fn unique(name: &str, taken: &mut Vec<String>) -> String {
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    let free = names.find(|it| !taken.contains(it)).expect("there is always another number");
    taken.push(free.clone());
    free
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
