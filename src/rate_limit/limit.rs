//! One limit: who is counted, how much is admitted, and what a request costs.

use std::{any::type_name, borrow::Cow, fmt, sync::Arc};

use super::{
    penalty::Penalty,
    quota::{Quota, QuotaSource},
    settle::Settle,
    sharing::Fallback,
};
use crate::{
    guard::Head,
    key::{Key, KeyWriter},
    rejection::Rejection,
};

/// One limit of a [`RateLimitLayer`](super::RateLimitLayer): a quota for each key. See the
/// [module docs](crate::rate_limit).
///
/// ```
/// use tower_gateway::{key, rate_limit::{Limit, MissingKey, Plans, Quota, RateLimitLayer}};
///
/// let plans = Plans::otherwise(Quota::per_minute(10)).plan("pro", Quota::per_minute(1_000));
/// let by_plan = Limit::new(plans, key::subject()).name("plan").missing_key(MissingKey::Skip);
/// let by_address = Limit::new(Quota::per_second(10).burst(50), key::client_ip()).name("address");
/// let layer = RateLimitLayer::of(by_address).and(by_plan);
/// ```
#[derive(Clone)]
pub struct Limit {
    name: Cow<'static, str>,
    unit: Option<Cow<'static, str>>,
    key: Arc<dyn Key + Send + Sync>,
    key_type: &'static str,
    quotas: Arc<dyn QuotaSource + Send + Sync>,
    missing: MissingKey,
    cost: Option<Arc<Cost>>,
    exempt: Option<Arc<Exempt>>,
    settlement: Option<Arc<dyn Settle + Send + Sync>>,
    penalty: Option<Penalty>,
    report_only: bool,
    fallback: Fallback,
}

type Cost = dyn Fn(Head<'_>) -> u64 + Send + Sync;
type Exempt = dyn Fn(Head<'_>) -> bool + Send + Sync;

/// What happens to a request that has no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingKey {
    /// It is refused with 403: who cannot be counted is not admitted.
    #[default]
    Deny,
    /// It is not limited. Right for a limit by subject, where others limit the anonymous.
    Skip,
    /// All such requests share one bucket.
    Shared,
}

impl Limit {
    /// Admits a quota for each `key`. The quota is a [`Quota`], [`Plans`](super::Plans) or a closure: see
    /// [`QuotaSource`].
    pub fn new<Q, K>(quota: Q, key: K) -> Self
    where
        Q: QuotaSource + Send + Sync + 'static,
        K: Key + Send + Sync + 'static,
    {
        Self {
            name: Cow::Borrowed("default"),
            unit: None,
            key: Arc::new(key),
            key_type: type_name::<K>(),
            quotas: Arc::new(quota),
            missing: MissingKey::default(),
            cost: None,
            exempt: None,
            settlement: None,
            penalty: None,
            report_only: false,
            fallback: Fallback::default(),
        }
    }

    /// Its name in `RateLimit` fields, refusals and metrics. Default: `default`. Public; what is not printable ASCII
    /// becomes `_` in fields. Of several limits of a layer with one name, the second is `name-2`.
    #[must_use]
    pub fn name(self, name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// What its [costs](Self::cost) count, for `RateLimit-Policy` (parameter `qu`): `content-bytes`, say. Default:
    /// requests, which need not be told.
    #[must_use]
    pub fn unit(self, unit: impl Into<Cow<'static, str>>) -> Self {
        Self { unit: Some(unit.into()), ..self }
    }

    /// What happens to a request without a key. Default: [`MissingKey::Deny`].
    #[must_use]
    pub fn missing_key(self, missing: MissingKey) -> Self {
        Self { missing, ..self }
    }

    /// How many units a request takes. Default: 1. A request that costs 0 spends nothing, and is admitted where a
    /// cost of 1 would be. One that costs more than the quota ever holds is refused for good.
    ///
    /// ```
    /// use tower_gateway::{guard::Head, key, rate_limit::{Limit, Quota}};
    ///
    /// let searches_are_dear = |head: Head<'_>| match head.uri().path() {
    ///     "/search" => 10,
    ///     _ => 1,
    /// };
    /// let limit = Limit::new(Quota::per_minute(100), key::client_ip()).cost(searches_are_dear);
    /// ```
    #[must_use]
    pub fn cost(self, cost: impl Fn(Head<'_>) -> u64 + Send + Sync + 'static) -> Self {
        Self { cost: Some(Arc::new(cost)), ..self }
    }

    /// What a request cost in the end, in the place of what was [taken](Self::cost) when it was admitted. Default: that
    /// stands. See [`settle`](super::settle).
    #[must_use]
    pub fn settle(self, settle: impl Settle + Send + Sync + 'static) -> Self {
        Self { settlement: Some(Arc::new(settle)), ..self }
    }

    /// Bans for a time who is refused too often. Default: nobody is banned. See [`Penalty`].
    #[must_use]
    pub fn penalty(self, penalty: Penalty) -> Self {
        Self { penalty: Some(penalty), ..self }
    }

    /// Requests that this limit does not see: health checks, networks of your own. Default: none.
    #[must_use]
    pub fn exempt(self, exempt: impl Fn(Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self { exempt: Some(Arc::new(exempt)), ..self }
    }

    /// Counts and refuses nobody: to see in events and metrics, as outcome `reported`, what it would refuse. Its
    /// [penalty](Self::penalty) counts too, and bans nobody.
    #[must_use]
    pub fn report_only(self) -> Self {
        Self { report_only: true, ..self }
    }

    /// What becomes of requests while the store of a [shared](super::RateLimitLayer::shared) limit cannot be
    /// asked. Each limit of a layer goes by its own. Default: [`Fallback::local_share`].
    #[must_use]
    pub fn on_store_failure(self, fallback: Fallback) -> Self {
        Self { fallback, ..self }
    }

    pub(super) fn fallback(&self) -> Fallback {
        self.fallback
    }

    pub(super) fn label(&self) -> &str {
        &self.name
    }

    pub(super) fn unit_label(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    pub(super) fn usual(&self) -> Option<Quota> {
        self.quotas.usual()
    }

    pub(super) fn settlement(&self) -> Option<&(dyn Settle + Send + Sync)> {
        self.settlement.as_deref()
    }

    pub(super) fn penalty_quota(&self) -> Option<Quota> {
        self.penalty.map(Penalty::quota)
    }

    pub(super) fn is_enforced(&self) -> bool {
        !self.report_only
    }

    /// The request's key, `None` where all without one share theirs; or nothing at all, where it is not limited.
    #[inline]
    pub(super) fn key(&self, head: Head<'_>) -> Result<Option<Named>, Rejection> {
        if self.exempt.as_ref().is_some_and(|exempt| exempt(head)) {
            return Ok(None);
        }
        let mut key = KeyWriter::new();
        match (self.key.write(head, &mut key), self.missing) {
            (Some(()), _) => Ok(Some(Named::Key(key))),
            (None, MissingKey::Shared) => Ok(Some(Named::Nobody)),
            (None, MissingKey::Skip) => Ok(None),
            (None, MissingKey::Deny) if self.report_only => Ok(None),
            (None, MissingKey::Deny) => Err(self.without_key()),
        }
    }

    #[inline]
    pub(super) fn quota(&self, head: Head<'_>) -> Quota {
        self.quotas.quota(head)
    }

    #[inline]
    pub(super) fn units(&self, head: Head<'_>) -> u64 {
        self.cost.as_ref().map_or(1, |cost| cost(head))
    }

    /// The refusal of a request that has no key. Which key it lacks is the operator's to know.
    fn without_key(&self) -> Rejection {
        let key = self.key_type;
        Rejection::forbidden("This request cannot be attributed to a client.")
            .caused_by(format!("the request has no {key} to count by: the layer that sets it has to stand outside of this one; or see `MissingKey`"))
    }
}

/// For whom a request counts.
#[derive(Clone, Debug)]
pub(super) enum Named {
    Key(KeyWriter),
    /// All those who have no key.
    Nobody,
}

impl Named {
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Key(key) => Some(key.as_bytes()),
            Self::Nobody => None,
        }
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("name", &self.name)
            .field("key", &self.key_type)
            .field("quota", &self.quotas.usual())
            .field("missing_key", &self.missing)
            .field("penalty", &self.penalty)
            .field("report_only", &self.report_only)
            .finish_non_exhaustive()
    }
}
