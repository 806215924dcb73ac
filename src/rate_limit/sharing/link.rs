//! The way to the store: a deadline for each call, a bound on open calls, and a breaker over failures.
//!
//! Who wants a decision [`call`](Link::call)s, and its success or failure says how the store is. Who has a chore
//! (heartbeats, accounting) asks only while the store is well, and says nothing of it: a store that answers
//! heartbeats and fails decisions must not seem well.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{journal::Journal, nodes::Known};
use crate::{
    breaker::{Breaker, Era, Pauses},
    clock::{Clock, Sleep, within},
    guard::BoxFuture,
    rate_limit::store::{Store, StoreError},
};

/// How long a chore may take: nobody waits for it.
const CHORE: Duration = Duration::from_secs(1);

/// A store and how it is. Shared by all who ask it for one layer.
pub(in crate::rate_limit) struct Link {
    store: Arc<dyn Store>,
    clock: Clock,
    deadline: Duration,
    max_in_flight: usize,
    in_flight: AtomicUsize,
    health: Mutex<Health>,
    journal: Journal,
    pub(super) nodes: Known,
}

#[derive(Default)]
struct Health {
    breaker: Breaker,
    outage: Option<Outage>,
    outages: u64,
    /// Whether the breaker was seen open, which was told.
    told: bool,
}

/// A time without a success, from its first failure on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) number: u64,
    pub(super) since: Instant,
}

impl Link {
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        deadline: Duration,
        max_in_flight: usize,
        journal: Journal,
    ) -> Self {
        let pauses = Pauses {
            failures: 5,
            first: Duration::from_millis(100),
            longest: Duration::from_secs(1),
            probe: deadline.saturating_mul(2),
        };
        let health = Health { breaker: Breaker::new(pauses), ..Health::default() };
        Self {
            store,
            clock,
            deadline,
            max_in_flight,
            in_flight: AtomicUsize::new(0),
            health: Mutex::new(health),
            journal,
            nodes: Known::default(),
        }
    }

    /// Asks the store for what a decision needs; or an error at once, if it is known to be down or if too many
    /// calls are open. Dropping the future drops the call, and gives its place back.
    pub(in crate::rate_limit) fn call<T, F>(
        self: &Arc<Self>,
        ask: impl FnOnce(&dyn Store) -> F,
    ) -> Result<BoxFuture<Result<T, StoreError>>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        let place = self.place().inspect_err(|error| self.journal.failed(error))?;
        let era = self.health().breaker.admit(self.clock.now());
        let era =
            era.map_err(|_| StoreError::new("the last calls failed; none is made for now"))?;
        let (call, limit) = (ask(&*self.store), self.clock.sleep(self.deadline));
        Ok(Box::pin(async move {
            let outcome = in_time(limit, call).await;
            place.0.learn(era, outcome.as_ref().err());
            outcome
        }))
    }

    /// Asks the store for what no request waits for; an error at once unless the store is well.
    pub(in crate::rate_limit) async fn chore<T, F>(
        &self,
        ask: impl FnOnce(&dyn Store) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        if !self.is_well() {
            return Err(StoreError::new("the store is down"));
        }
        in_time(self.clock.sleep(CHORE.max(self.deadline)), ask(&*self.store)).await
    }

    /// What comes of a decision that takes several calls, within the time of one.
    pub(super) async fn in_time<T>(
        &self,
        decision: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        in_time(self.clock.sleep(self.deadline), decision).await
    }

    pub(in crate::rate_limit) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Whether calls are made as they come.
    pub(in crate::rate_limit) fn is_well(&self) -> bool {
        self.health().breaker.closed().is_some()
    }

    /// The outage, if the last call failed.
    pub(super) fn outage(&self) -> Option<Outage> {
        self.health().outage
    }

    /// When a call may be made again; a second at least.
    pub(super) fn retry_after(&self) -> Duration {
        self.health().breaker.wait(self.clock.now()).max(Duration::from_secs(1))
    }

    fn place(self: &Arc<Self>) -> Result<Place, StoreError> {
        let open = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(self));
        match open < self.max_in_flight {
            true => Ok(place),
            false => Err(StoreError::new("too many calls are open")),
        }
    }

    /// What the outcome of a call of this era says of the store.
    fn learn(&self, era: Era, error: Option<&StoreError>) {
        let now = self.clock.now();
        let news = match error {
            None => self.health().succeeded(era),
            Some(error) if error.is_of_key() => self.health().succeeded(era),
            Some(_) => self.health().failed(era, now),
        };
        match (news, error) {
            (Some(News::Down), Some(error)) => self.journal.down(self.nodes.count(), error),
            (Some(News::Up), _) => self.journal.up(),
            (_, Some(error)) => self.journal.failed(error),
            _ => {}
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is to tell after a call.
enum News {
    Down,
    Up,
}

impl Health {
    /// A call that was made before the breaker opened says nothing of what has been since.
    fn succeeded(&mut self, era: Era) -> Option<News> {
        if !self.breaker.is_current(era) {
            return None;
        }
        self.breaker.succeeded();
        self.outage = None;
        std::mem::take(&mut self.told).then_some(News::Up)
    }

    fn failed(&mut self, era: Era, now: Instant) -> Option<News> {
        if self.outage.is_none() {
            self.outages += 1;
            self.outage = Some(Outage { number: self.outages, since: now });
        }
        self.breaker.failed(era, now);
        let down = self.breaker.closed().is_none();
        (down && !std::mem::replace(&mut self.told, true)).then_some(News::Down)
    }
}

/// A place among the open calls, given back when it is dropped.
struct Place(Arc<Link>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The outcome of a call, or of its time.
async fn in_time<T>(
    time: Sleep,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    within(time, call)
        .await
        .unwrap_or_else(|| Err(StoreError::new("no answer within the deadline")))
}
