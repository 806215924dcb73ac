//! Limits that several nodes share: who is asked, how, and what happens when nobody answers.
//!
//! A *mode* makes rulings with the help of a store, which it reaches by a *link*: a deadline for each call, a bound
//! on open calls, and a breaker. Where the mode has only an error, the *ladder* rules, by each limit's
//! [`Fallback`]; what it admits stands in a *ledger*, and is *replayed* when the store is back. Heartbeats say
//! how many *nodes* there are, and the *journal* tells operators of each change. Rule and bounds: see [`Sharing`].

mod exact;
mod fallback;
mod journal;
mod ladder;
mod lease;
mod leased;
mod ledger;
pub(super) mod link;
mod nodes;
mod replay;
mod ticks;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use self::{journal::Journal, ladder::Ladder, leased::Leased, link::Link};
use super::{
    ruling::Ruling,
    store::{Answer, Demand, Receipt, Store, StoreError},
};
use crate::{clock::Clock, guard::BoxFuture, rejection::Rejection};

pub use fallback::{Fallback, FirstFallback};
pub(super) use ladder::Steps;

/// How the limits of a layer are shared between nodes, and what holds while the store fails.
///
/// ```
/// use std::time::Duration;
/// use tower_gateway::{
///     key,
///     rate_limit::{Fallback, Limit, MemoryStore, Quota, RateLimitLayer, Sharing},
/// };
///
/// let store = MemoryStore::new(); // or one that others reach too
/// let fair = Limit::new(Quota::per_second(100), key::client_ip());
/// let paid = Limit::new(Quota::per_calendar_month(10_000), key::subject()).name("paid");
/// let paid = paid.on_store_failure(Fallback::local_share().at_most(Duration::from_secs(600)).then_open());
/// let layer = RateLimitLayer::of(fair).and(paid).shared(Sharing::exact(store).name("limits"));
/// ```
///
/// # When the store fails
///
/// A decision that has no answer within the [`deadline`](Self::deadline), that is answered with an error, or that
/// comes while [`max_in_flight`](Self::max_in_flight) calls are open, is made in this process: each limit goes by its
/// [fallback](super::Limit::on_store_failure), and as ever the request takes from all or from none. After five failures in
/// a row nobody asks, nor waits, for 100 ms; then one request tries, and with each try that fails the pause doubles,
/// up to one second. The first success ends the outage.
///
/// By default a node admits its share: the limit divided by the number of nodes that live. Each says so to the store
/// once a second from its first request on, and is counted for five seconds; while the store is gone, the number is
/// the last that it told, and 1 if it never did. The rate of a bucket is divided exactly; its size, and the count of
/// a window, are rounded up.
///
/// # What that admits
///
/// Of a limit *L*, *N* nodes that know of each other admit together at most *N* × ⌈*L* / *N*⌉, which is less than
/// *L* + *N*, where one counter would admit *L*. To this come, once for each outage,
///
/// - at its beginning, what the store had admitted already: up to *L*. The shares begin unspent;
/// - at its end, what the store admits before it is charged: up to *L*. Nodes begin within half a second, and
///   charge 100 keys at a time.
///
/// Where nodes know of *K* < *N* only, since others have come within the last second or were silent for five,
/// it is *N* × ⌈*L* / *K*⌉. And it may be less: a call that was given up may have been counted by the store, and is
/// counted by the share as well.
///
/// # After the outage
///
/// What a share has admitted and would still remember is charged to the store, once; what has been refilled
/// meanwhile is not. So a key that has spent its share begins with a bucket that is as empty as it would be. A charge
/// whose answer is lost is repeated, and may count twice. Who was admitted by an open limit is charged a share at
/// most. Up to [`max_debtors`](Self::max_debtors) keys are remembered; at the bound one that owes nothing any more makes
/// place, and else a newcomer's admissions are not charged, but told of. Refusals of penalty boxes stay where they
/// were counted.
///
/// # What operators see
///
/// Events with target `tower_gateway::store`, and with feature `metrics` a count in
/// `tower_gateway_store_transitions_total{store, step}`, one for each change and none for a request: `down`, `up`, a
/// limit's step to `open` or `closed` when its time is over, `replayed`, `dropped`. Single failures are told once
/// in ten seconds.
#[derive(Clone)]
pub struct Sharing {
    mode: Mode,
    store: Arc<dyn Store>,
    name: Cow<'static, str>,
    node: Arc<str>,
    deadline: Duration,
    max_in_flight: usize,
    max_debtors: usize,
}

/// Who decides, as long as the store answers.
#[derive(Clone, Debug)]
enum Mode {
    Exact,
    Leased(leased::Settings),
}

impl Sharing {
    /// Each request asks the store: exact, and one round trip.
    pub fn exact(store: impl Store) -> Self {
        Self::with(Mode::Exact, Arc::new(store))
    }

    /// Each node borrows some of a key's units, and spends them without asking: see the
    /// [guide](crate::docs::distributed_rate_limits) for what that may admit too much, and too little.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_gateway::{key, rate_limit::{MemoryStore, Quota, RateLimitLayer, Sharing}};
    ///
    /// let edge = Sharing::leased(MemoryStore::new())
    ///     .sync_interval(Duration::from_millis(250))
    ///     .max_lease(100);
    /// let layer = RateLimitLayer::new(Quota::per_second(2_000), key::client_ip()).shared(edge);
    /// ```
    pub fn leased(store: impl Store) -> Self {
        Self::with(Mode::Leased(leased::Settings::default()), Arc::new(store))
    }

    /// How long borrowed units last before they are given back: counted from when they were asked for. A longer one
    /// asks the store less often, and may admit more too early: the quota of one such interval. Default: 500 ms. It
    /// should be several times the [deadline](Self::deadline), and is never less than 1 ms. Changes nothing for [`exact`](Self::exact).
    #[must_use]
    pub fn sync_interval(self, interval: Duration) -> Self {
        self.set_leased(|leased| leased.life = interval)
    }

    /// How many units of a key a node may hold at a time. A request that costs more asks the store. Default: a tenth
    /// of what the quota admits at once, at least 1. Changes nothing for [`exact`](Self::exact).
    #[must_use]
    pub fn max_lease(self, units: u64) -> Self {
        self.set_leased(|leased| leased.most = Some(units))
    }

    /// Of how many keys a node may hold units at a time, in each layer; about 500 bytes each, taken as they come.
    /// Requests of others ask the store, as [`exact`](Self::exact) does. A key is forgotten when nobody has asked
    /// for it for a sync interval. Default: 65,536.
    #[must_use]
    pub fn max_leases(self, keys: usize) -> Self {
        self.set_leased(|leased| leased.keys = keys)
    }

    fn set_leased(mut self, set: impl FnOnce(&mut leased::Settings)) -> Self {
        if let Mode::Leased(settings) = &mut self.mode {
            set(settings);
        }
        self
    }

    fn with(mode: Mode, store: Arc<dyn Store>) -> Self {
        Self {
            mode,
            store,
            name: Cow::Borrowed("store"),
            node: nodes::this_process(),
            deadline: Duration::from_millis(50),
            max_in_flight: 1_024,
            max_debtors: 10_000,
        }
    }

    /// The store's name in events and metrics. Default: `store`.
    #[must_use]
    pub fn name(self, name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// This node's name among those that share the store. Default: a random one for the process.
    #[must_use]
    pub fn node(self, node: impl Into<Arc<str>>) -> Self {
        Self { node: node.into(), ..self }
    }

    /// How long a decision waits for the store before it falls back; at most a minute. Default: 50 ms.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline: deadline.min(Duration::from_secs(60)), ..self }
    }

    /// How many calls to the store may be open; a decision beyond falls back at once. Default: 1,024.
    #[must_use]
    pub fn max_in_flight(self, calls: usize) -> Self {
        Self { max_in_flight: calls, ..self }
    }

    /// Of how many keys it is remembered what they were admitted in an outage, to be charged after it; others' is
    /// not charged. Default: 10,000, of each layer.
    #[must_use]
    pub fn max_debtors(self, keys: usize) -> Self {
        Self { max_debtors: keys, ..self }
    }

    /// At work for these limits.
    pub(super) fn start(&self, steps: Steps, max_keys: usize, clock: &Clock) -> Shared {
        let journal = Journal::new(self.name.clone(), clock.clone());
        let store = Arc::clone(&self.store);
        let link = Link::new(store, clock.clone(), self.deadline, self.max_in_flight, journal);
        let link = Arc::new(link);
        let ladder = Ladder::new(steps, max_keys, self.max_debtors, Arc::clone(&link));
        let taker = match self.mode {
            Mode::Exact => Taker::Exact,
            Mode::Leased(settings) => Taker::Leased(Leased::new(Arc::clone(&link), settings)),
        };
        Shared { taker, ladder: Arc::new(ladder), link, node: Arc::clone(&self.node) }
    }
}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing")
            .field("mode", &self.mode)
            .field("name", &self.name)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// The sharing of one layer, at work.
pub(super) struct Shared {
    taker: Taker,
    link: Arc<Link>,
    ladder: Arc<Ladder>,
    node: Arc<str>,
}

/// A [`Mode`] at work.
enum Taker {
    Exact,
    Leased(Leased),
}

impl Shared {
    /// Takes from all demands, or from none. What comes of it goes through [`settle`](Self::settle).
    pub(super) fn take(&self, demands: &[Demand]) -> Taken {
        nodes::beat(&self.link, &self.node);
        match &self.taker {
            Taker::Exact => exact::take(&self.link, demands),
            Taker::Leased(leased) => leased.take(demands),
        }
    }

    /// Other limits from now on. What those of the same name have admitted in an outage stays.
    pub(super) fn replace(&self, steps: Steps) {
        self.ladder.replace(steps);
    }

    /// The ruling: the mode's, or the ladder's where the store has failed.
    pub(super) fn settle(
        &self,
        demands: &[Demand],
        outcome: Result<Ruling, StoreError>,
    ) -> Result<Ruling, Rejection> {
        match outcome {
            Ok(ruling) => {
                replay::begin(&self.ladder);
                Ok(ruling)
            }
            Err(error) => self.ladder.take(demands, error),
        }
    }
}

/// What is told to the store, and asked of it, beside decisions: while it is well.
impl Shared {
    /// Takes and gives back what requests have cost more or less than was reserved.
    pub(super) async fn adjust(
        &self,
        charges: Vec<Demand>,
        refunds: Vec<(Demand, Receipt)>,
    ) -> Result<(), StoreError> {
        if !charges.is_empty() {
            self.link.chore(|store| store.charge(charges)).await?;
        }
        if !refunds.is_empty() {
            self.link.chore(|store| store.refund(refunds)).await?;
        }
        Ok(())
    }

    pub(super) async fn read(&self, demand: Demand) -> Result<Answer, StoreError> {
        self.link.chore(|store| store.read(demand)).await
    }

    pub(super) async fn reset(&self, demand: Demand) -> Result<(), StoreError> {
        self.link.chore(|store| store.reset(demand)).await
    }
}

/// What came of it: at once, or when the store has answered.
#[allow(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub(super) enum Taken {
    Now(Result<Ruling, StoreError>),
    Later(BoxFuture<Result<Ruling, StoreError>>),
}
