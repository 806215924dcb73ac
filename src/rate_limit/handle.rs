//! What administrators and tests do with limits: look, top up, forget, replace.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::{
    book::{Book, Kept},
    limit::{Limit, Named},
    quota::Quota,
    store::{Answer, Demand, Receipt, StoreError},
};
use crate::{config_error::ConfigError, key::KeyWriter};

/// A hand on the limits of a layer. Clones, and the services that the layer makes, have the same limits. Made by
/// [`RateLimitLayer::handle`](super::RateLimitLayer::handle).
///
/// ```
/// use tower_gateway::{key, rate_limit::{Limit, Quota, RateLimitLayer}};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let by_tenant = Limit::new(Quota::per_hour(10), key::header("x-tenant")).name("tenant");
/// let layer = RateLimitLayer::of(by_tenant.clone());
/// let limits = layer.handle();
///
/// let (tenant, acme) = (limits.limit("tenant").unwrap(), key::header("x-tenant").of(["acme"]));
/// tenant.charge(acme.clone(), 7).await.unwrap();
/// assert_eq!(tenant.remaining(acme.clone()).await.unwrap(), 3);
/// tenant.credit(acme.clone(), 2).await.unwrap();
/// assert_eq!(tenant.remaining(acme.clone()).await.unwrap(), 5);
/// assert!(limits.limit("tenants").is_err());
///
/// // Another quota from the next request on; a bucket that was half full still is.
/// limits.replace([Limit::new(Quota::per_hour(20), key::header("x-tenant")).name("tenant")]);
/// let tenant = limits.limit("tenant").unwrap();
/// assert_eq!(tenant.remaining(acme).await.unwrap(), 10);
/// # });
/// ```
#[derive(Clone)]
pub struct LimitsHandle(Arc<ArcSwap<Book>>);

impl LimitsHandle {
    pub(super) fn new(book: &Arc<ArcSwap<Book>>) -> Self {
        Self(Arc::clone(book))
    }

    /// The names of the limits, in their order.
    pub fn names(&self) -> Vec<String> {
        self.0.load().limits.iter().map(|kept| kept.name.to_string()).collect()
    }

    /// The limit of this name, under its usual quota: the one that it was given, or for [`Plans`](super::Plans) that
    /// of everybody else.
    ///
    /// # Errors
    ///
    /// When there is no such limit, or its quota is made by a closure: see [`limit_under`](Self::limit_under).
    pub fn limit(&self, name: &str) -> Result<LimitHandle, ConfigError> {
        let (book, kept) = self.find(name)?;
        let quota = kept.limit.usual().ok_or_else(|| {
            let name = name.escape_debug();
            let mistake =
                format!("the quota of `{name}` depends on the request; ask for it under one");
            ConfigError::new("rate_limit", mistake)
        })?;
        Ok(LimitHandle { book, kept, quota })
    }

    /// The limit of this name, for keys that are under this quota: those on a plan, say.
    ///
    /// # Errors
    ///
    /// When there is no such limit.
    pub fn limit_under(&self, name: &str, quota: Quota) -> Result<LimitHandle, ConfigError> {
        let (book, kept) = self.find(name)?;
        Ok(LimitHandle { book, kept, quota })
    }

    /// From the next request on, these are the limits of the layer, with its other settings.
    ///
    /// A limit whose [name](Limit::name) is here already goes on with what that has counted. A token bucket, or a leaky
    /// one, knows how long it takes to be full, and so is as full as it was in proportion to its rate; a window keeps its
    /// count as long as period and algorithm stay. Any other algorithm begins anew, and so do limits of other names;
    /// what was counted under names that are gone is forgotten. Requests that were judged before are settled with the
    /// limits that judged them. Without limits, all requests are admitted.
    pub fn replace(&self, limits: impl IntoIterator<Item = Limit>) {
        let limits: Vec<_> = limits.into_iter().collect();
        self.0.rcu(|book| book.with_limits(limits.clone()));
    }

    fn find(&self, name: &str) -> Result<(Arc<Book>, Arc<Kept>), ConfigError> {
        let book = self.0.load_full();
        let kept = book.limits.iter().find(|kept| *kept.name == *name).cloned();
        kept.map(|kept| (book, kept)).ok_or_else(|| {
            let mistake = format!("there is no limit `{}`", name.escape_debug());
            ConfigError::new("rate_limit", mistake)
        })
    }
}

impl fmt::Debug for LimitsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LimitsHandle").field(&self.names()).finish()
    }
}

/// One limit of a layer, as it was when it was asked for. Made by [`LimitsHandle::limit`].
///
/// Keys are what the [`key`](crate::key)s' `of` make, and `None` is the one of those who have none
/// ([`MissingKey::Shared`](super::MissingKey::Shared)). Where the layer's limits are
/// [shared](super::RateLimitLayer::shared), the store is asked, and errors are its; else each method answers at once
/// and does not fail.
#[derive(Clone)]
pub struct LimitHandle {
    book: Arc<Book>,
    kept: Arc<Kept>,
    quota: Quota,
}

impl LimitHandle {
    /// How many units the key has left now. A ban is not looked at: see [`banned`](Self::banned).
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn remaining(&self, key: impl Into<Option<KeyWriter>>) -> Result<u64, StoreError> {
        Ok(self.read(self.demand(key, 0)).await?.remaining())
    }

    /// Takes units from the key, whether it has them or not: what it does not have becomes a debt.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn charge(
        &self,
        key: impl Into<Option<KeyWriter>>,
        units: u64,
    ) -> Result<(), StoreError> {
        let demand = self.demand(key, units);
        match &self.book.sharing {
            None => self.book.with_ask(&self.kept.table, &demand, |ask, at| ask.force(at)),
            Some(sharing) => return sharing.settle(vec![demand], Vec::new()).await,
        }
        Ok(())
    }

    /// Gives the key units back. It never has more than its quota: credit beyond that is lost.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn credit(
        &self,
        key: impl Into<Option<KeyWriter>>,
        units: u64,
    ) -> Result<(), StoreError> {
        let demand = self.demand(key, units);
        let latest = Receipt::LATEST;
        match &self.book.sharing {
            None => self.book.with_ask(&self.kept.table, &demand, |ask, at| ask.refund(at, latest)),
            Some(sharing) => return sharing.settle(Vec::new(), vec![(demand, latest)]).await,
        }
        Ok(())
    }

    /// Forgets what the key has taken. A ban stays: see [`unban`](Self::unban).
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn reset(&self, key: impl Into<Option<KeyWriter>>) -> Result<(), StoreError> {
        let demand = self.demand(key, 0);
        match &self.book.sharing {
            None => self.book.with_ask(&self.kept.table, &demand, |ask, at| ask.reset(at)),
            Some(sharing) => return sharing.reset(demand).await,
        }
        Ok(())
    }

    /// How much longer the key is banned; `None` if it is not.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn banned(
        &self,
        key: impl Into<Option<KeyWriter>>,
    ) -> Result<Option<Duration>, StoreError> {
        let Some(demand) = self.kept.penalty_demand(&named(key)) else { return Ok(None) };
        Ok(self.read(demand).await?.verdict.err().flatten())
    }

    /// Ends the key's ban, and forgets its refusals.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn unban(&self, key: impl Into<Option<KeyWriter>>) -> Result<(), StoreError> {
        let key = named(key);
        match (&self.book.sharing, &self.kept.penalty, self.kept.penalty_demand(&key)) {
            (None, Some(penalty), Some(demand)) => {
                self.book.with_ask(&penalty.table, &demand, |ask, at| ask.reset(at));
                Ok(())
            }
            (Some(sharing), _, Some(demand)) => sharing.reset(demand).await,
            _ => Ok(()),
        }
    }

    fn demand(&self, key: impl Into<Option<KeyWriter>>, units: u64) -> Demand {
        self.kept.shared_account(named(key), self.quota).with_units(units)
    }

    async fn read(&self, demand: Demand) -> Result<Answer, StoreError> {
        let penalty = self.kept.penalty.as_ref().filter(|_| demand.is_penalty_box());
        let table = penalty.map_or(&self.kept.table, |penalty| &penalty.table);
        match &self.book.sharing {
            None => Ok(self.book.with_ask(table, &demand, |ask, at| ask.read(at))),
            Some(sharing) => sharing.read(demand).await,
        }
    }
}

fn named(key: impl Into<Option<KeyWriter>>) -> Named {
    key.into().map_or(Named::Nobody, Named::Key)
}

impl fmt::Debug for LimitHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LimitHandle").field(&self.kept.name).field(&self.quota).finish()
    }
}
