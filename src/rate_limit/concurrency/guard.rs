use std::{fmt, sync::Arc, time::Duration};

use super::{
    Capacity,
    in_flight::{Counts, Held},
};
use crate::{
    body::Watch,
    guard::{Guard, Head, Pass, Verdict},
    key::KeyWriter,
    rate_limit::{Limit, Quota},
    rejection::{Reason, Rejection},
};

/// The guard of a [`ConcurrencyLimitLayer`](super::ConcurrencyLimitLayer): what is in flight.
#[derive(Clone)]
pub struct InFlight {
    /// Who is counted; its quota plays no part.
    limit: Limit,
    capacity: Arc<dyn Capacity + Send + Sync>,
    counts: Arc<Counts>,
}

impl InFlight {
    pub(super) fn new(
        capacity: impl Capacity + Send + Sync + 'static,
        key: impl crate::key::Key + Send + Sync + 'static,
    ) -> Self {
        Self {
            limit: Limit::new(Quota::unlimited(), key).name("concurrency"),
            capacity: Arc::new(capacity),
            counts: Arc::default(),
        }
    }

    /// Counts others, from none.
    pub(super) fn with_limit(&self, change: impl FnOnce(Limit) -> Limit) -> Self {
        let limit = change(self.limit.clone());
        Self { limit, capacity: Arc::clone(&self.capacity), counts: Arc::default() }
    }

    /// How many requests of a key are in flight: `key` as the layer's [`Key`](crate::key::Key) writes it.
    pub fn of(&self, key: &KeyWriter) -> usize {
        self.counts.of(Some(key.as_bytes()))
    }

    fn admit(&self, head: Head<'_>) -> Result<Permit, Rejection> {
        let Some(key) = self.limit.key(head)? else { return Ok(Permit(None)) };
        let held = self.counts.enter(key.bytes(), self.capacity.capacity(head));
        held.map(|held| Permit(Some(held))).ok_or_else(|| self.refusal())
    }

    fn refusal(&self) -> Rejection {
        Rejection::new(Reason::RateLimited, "Too many requests at a time; wait for one to end.")
            .retry_after(Duration::from_secs(1)) // the least that `Retry-After` can say
            .with_member("policy", self.limit.label())
    }
}

impl Guard for InFlight {
    const NAME: &'static str = "concurrency_limit";
    type Pass = Permit;

    fn check(&self, head: Head<'_>) -> Verdict<Permit> {
        Verdict::Now(self.admit(head))
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InFlight").field(&self.limit.label()).finish()
    }
}

/// A request that is in flight: given back when its response's body has ended, or it is dropped before.
pub struct Permit(Option<Held>);

impl Pass for Permit {
    fn watch(&mut self) -> Option<Box<dyn Watch>> {
        Some(Box::new(self.0.take()?))
    }
}

impl Watch for Held {}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}
