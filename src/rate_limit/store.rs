//! What several nodes share: the role of Redis, and of whatever else can keep counts for many.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use super::{
    algorithm::{self, Admission, Judgment, Moment},
    limit::Named,
    quota::Quota,
};
use crate::guard::BoxFuture;

/// Keeps the counts of limits for several nodes.
///
/// [`MemoryStore`](super::MemoryStore) keeps them in this process: for tests, for simulations, for several layers
/// that shall count together. Each method is one operation that nobody sees half done, and at most one round trip.
/// Calls may be dropped at any time, and what they were about to do may then be done or not.
pub trait Store: Send + Sync + 'static {
    /// Takes from all demands, or from none if one that is [enforced](Demand::is_enforced) is refused: the others are
    /// then granted 0 units, and what they leave is what was there before. Where a demand is refused, the
    /// [penalty box](Demand::is_penalty_box) that follows it counts a refusal, enforced or not, and answers as it
    /// then stands: the refusal that brings a ban is told of it. An answer for each demand.
    ///
    /// No two demands are on the same limit: a layer never asks so, and a store may fail then.
    fn take(&self, demands: Vec<Demand>) -> BoxFuture<Result<Vec<Answer>, StoreError>>;

    /// Takes what there is, up to the demand's units: a loan. Refused if there is nothing.
    fn borrow(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>>;

    /// Takes the units of each demand whether they are there or not: what is not there becomes a debt.
    fn charge(&self, demands: Vec<Demand>) -> BoxFuture<Result<(), StoreError>>;

    /// Gives units back that were taken under this receipt. What has been forgotten since is not given back, nor what a
    /// bucket has refilled: or units that were held for long would come back on top of a full bucket. Under
    /// [`Receipt::LATEST`], what was taken last is given back first.
    fn refund(&self, demands: Vec<(Demand, Receipt)>) -> BoxFuture<Result<(), StoreError>>;

    /// Says what a demand would be answered, and takes nothing.
    fn read(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>>;

    /// Forgets what is known of the demand's key.
    fn reset(&self, demand: Demand) -> BoxFuture<Result<(), StoreError>>;

    /// Says that this node lives, and goes on to for so long; how many nodes do, this one included.
    fn nodes(&self, node: &str, lives: Duration) -> BoxFuture<Result<u32, StoreError>>;
}

/// What is asked of one limit for one key.
#[derive(Clone, Debug)]
pub struct Demand {
    limit: Arc<str>,
    key: Named,
    quota: Quota,
    units: u64,
    enforced: bool,
    alone: bool,
}

impl Demand {
    pub(super) fn new(
        limit: Arc<str>,
        key: Named,
        quota: Quota,
        units: u64,
        enforced: bool,
    ) -> Self {
        Self { limit, key, quota, units, enforced, alone: false }
    }

    /// Says that no demand on another key ever stands beside it in one call.
    pub(super) fn alone(self, alone: bool) -> Self {
        Self { alone, ..self }
    }

    /// The name of the limit.
    pub fn limit(&self) -> &str {
        &self.limit
    }

    /// The key's bytes; `None` for the one key of all those who have none.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.bytes()
    }

    /// How much the key may take.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// How many units. 0 takes nothing, and is admitted where 1 would be.
    pub fn units(&self) -> u64 {
        self.units
    }

    /// Whether its refusal refuses the request; a limit that only reports refuses nobody.
    pub fn is_enforced(&self) -> bool {
        self.enforced
    }

    /// Whether no demand on another key ever stands beside it in one [`take`](Store::take), as it is for layers of
    /// one limit: so a store that is spread over several servers may keep each key on another. It is the same in
    /// every demand on this limit.
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// Whether it is a penalty box: one that counts the refusals of the demand before it.
    pub fn is_penalty_box(&self) -> bool {
        self.quota.is_penalty_box()
    }

    /// The same with other units.
    #[must_use]
    pub fn with_units(self, units: u64) -> Self {
        Self { units, ..self }
    }
}

/// All-or-nothing on one limit twice has no meaning that all stores share, and in memory would wait for itself.
pub(super) fn ask_each_limit_once(demands: &[Demand]) -> Result<(), StoreError> {
    let known = |n: usize| demands[..n].iter().any(|it| it.limit == demands[n].limit);
    match (1..demands.len()).any(known) {
        true => Err(StoreError::new("one call asks the same limit twice")),
        false => Ok(()),
    }
}

/// For tests of a store; a layer makes its own.
#[cfg(feature = "test-util")]
impl Demand {
    /// Asks an enforced limit for one unit, for the key that is one part with these bytes; for all those who have
    /// none, with `None`.
    pub fn test(limit: &str, key: Option<&[u8]>, quota: Quota) -> Self {
        let named = |part: &[u8]| {
            let mut key = crate::key::KeyWriter::new();
            key.part(part);
            Named::Key(key)
        };
        Self::new(limit.into(), key.map_or(Named::Nobody, named), quota, 1, true)
    }

    /// As [`test`](Self::test): a box that bans for `ban` who is refused `count` times within `period`.
    pub fn test_penalty_box(
        limit: &str,
        key: Option<&[u8]>,
        count: u64,
        period: Duration,
        ban: Duration,
    ) -> Self {
        Self::test(limit, key, Quota::penalty_box(count, period, ban))
    }

    /// The same of a limit that only reports.
    #[must_use]
    pub fn reporting(self) -> Self {
        Self { enforced: false, ..self }
    }

    /// The same of a layer of one limit.
    #[must_use]
    pub fn of_one_limit(self) -> Self {
        self.alone(true)
    }
}

/// What a limit says to a demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub(super) verdict: Result<Grant, Option<Duration>>,
    pub(super) remaining: u64,
    pub(super) reset: Duration,
}

/// What was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) units: u64,
    pub(super) delay: Duration,
    pub(super) receipt: Receipt,
}

impl Answer {
    /// What an algorithm's judgment on a demand for so many units says.
    pub(super) fn of(quota: Quota, judgment: Judgment, at: Moment, units: u64) -> Self {
        let Judgment { verdict, remaining, reset } = judgment;
        let verdict = match verdict {
            Ok(Admission { state, delay }) => Ok(Grant {
                units,
                delay: Duration::from_nanos(delay),
                receipt: Receipt::new(algorithm::receipt(quota, state, at)),
            }),
            Err(refusal) => Err(refusal.wait.map(Duration::from_nanos)),
        };
        Self { verdict, remaining, reset: Duration::from_nanos(reset) }
    }

    /// So many units were taken, or would be.
    pub fn granted(units: u64) -> Self {
        let grant = Grant { units, ..Grant::default() };
        Self { verdict: Ok(grant), remaining: 0, reset: Duration::ZERO }
    }

    /// Nothing was taken; the same demand would be admitted after `wait`, or never.
    pub fn refused(wait: Option<Duration>) -> Self {
        Self { verdict: Err(wait), remaining: 0, reset: Duration::ZERO }
    }

    /// What is left now, and how long until all is there again. Default: 0 and 0.
    #[must_use]
    pub fn leaving(self, remaining: u64, reset: Duration) -> Self {
        Self { remaining, reset, ..self }
    }

    /// The request has to wait so long for its turn: leaky buckets. Default: 0.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        if let Ok(grant) = &mut self.verdict {
            grant.delay = delay;
        }
        self
    }

    /// Under which it can be given back. Default: 0.
    #[must_use]
    pub fn under(mut self, receipt: Receipt) -> Self {
        if let Ok(grant) = &mut self.verdict {
            grant.receipt = receipt;
        }
        self
    }

    /// How many units were granted; `None` for a refusal.
    pub fn units(&self) -> Option<u64> {
        Some(self.verdict.ok()?.units)
    }

    /// How long until the same demand would be admitted; `None` for never, and for a grant.
    pub fn wait(&self) -> Option<Duration> {
        self.verdict.err().flatten()
    }

    /// What is left.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// How long until all is there again.
    pub fn reset(&self) -> Duration {
        self.reset
    }

    /// The receipt of a grant.
    pub fn receipt(&self) -> Receipt {
        self.verdict.map(|grant| grant.receipt).unwrap_or_default()
    }
}

/// When units were taken, so that they go back to where they came from: a store's own word, which only it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Receipt(u64);

impl Receipt {
    /// Of whatever was taken last: for credit that nobody has paid for.
    pub const LATEST: Self = Self(algorithm::LATEST);

    /// A store's word.
    pub fn new(word: u64) -> Self {
        Self(word)
    }

    /// The word.
    pub fn word(self) -> u64 {
        self.0
    }
}

/// A store could not be asked, or did not answer; or it did, and cannot say anything of this key.
pub struct StoreError {
    cause: Box<dyn Error + Send + Sync>,
    of_key: bool,
}

impl StoreError {
    /// For this reason, which goes to events and never to a client.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: cause.into(), of_key: false }
    }

    /// What the store keeps under a key of this call cannot be read. That is no outage: who writes there what does not
    /// belong there, harms the limits of that key and of no other.
    pub fn of_key(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { of_key: true, ..Self::new(cause) }
    }

    pub(super) fn is_of_key(&self) -> bool {
        self.of_key
    }

    pub(super) fn cause(&self) -> &(dyn Error + Send + Sync) {
        &*self.cause
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store of rate limits failed: {}", self.cause)
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreError({:?})", self.cause.to_string())
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}
