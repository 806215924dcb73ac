//! Limits that several nodes share through Redis or Valkey.

mod address;
mod failure;
mod link;
mod place;
mod script;
mod wire;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use self::{address::Address, failure::Failure, link::Link, script::Script, wire::Reply};
use super::{
    algorithm::Moment,
    store::{Answer, Demand, Receipt, Store, StoreError},
    timeline::Timeline,
};
use crate::{clock::Clock, config_error::ConfigError, guard::BoxFuture};

/// Keeps the counts of limits in Redis. See the [module docs](self).
///
/// Clones are the same store, and share one connection.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    link: Link,
    prefix: Cow<'static, str>,
    /// Where it is not the server's that counts.
    time: Option<Timeline>,
    limits: Script,
    nodes: Script,
}

/// How long a call waits.
const TIMEOUT: Duration = Duration::from_millis(50);

/// The longest that a node is said to live: a year, in milliseconds.
const LONGEST_LIFE: u128 = 31_536_000_000;

impl RedisStore {
    /// One server, or what looks like one: `redis://user:password@host:port/database`. Connects when it is asked.
    ///
    /// # Errors
    ///
    /// When that is no such URL.
    pub fn connect(url: impl AsRef<str>) -> Result<Self, ConfigError> {
        Address::one(url.as_ref()).map(Self::at)
    }

    /// A cluster that some of these nodes belong to. They have one user and one password.
    ///
    /// # Errors
    ///
    /// When there is no URL, or one that is none: lists each.
    pub fn cluster<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Result<Self, ConfigError> {
        let urls: Vec<U> = urls.into_iter().collect();
        Address::cluster(&urls).map(Self::at)
    }

    /// The master of this name, wherever it is now, as these sentinels say. User, password and database of the
    /// first URL are those of the master, user and password those of the sentinels too.
    ///
    /// # Errors
    ///
    /// When there is no name or no URL, or a URL that is none: lists each.
    pub fn sentinel<U: AsRef<str>>(
        master_name: &str,
        urls: impl IntoIterator<Item = U>,
    ) -> Result<Self, ConfigError> {
        let urls: Vec<U> = urls.into_iter().collect();
        Address::sentinel(master_name, &urls).map(Self::at)
    }

    fn at(address: Address) -> Self {
        Self(Arc::new(Inner {
            link: Link::new(address, TIMEOUT),
            prefix: "rate-limit".into(),
            time: None,
            limits: Script::new(include_str!("limits.lua")),
            nodes: Script::new(include_str!("nodes.lua")),
        }))
    }

    /// What the names of all keys begin with. Default: `rate-limit`. Applications that share a server, and not their
    /// limits, each have their own.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.set(|it| it.prefix = prefix.into())
    }

    /// Time by this clock. Default: by the server's, which is the same for all nodes. Clocks of nodes that are a
    /// minute apart, and no more, let a limit admit up to a minute's worth more.
    #[must_use]
    pub fn our_time(self, clock: Clock) -> Self {
        self.set(|it| it.time = Some(Timeline::of(clock)))
    }

    /// How long a call waits for its answer, and for a connection if there is none. Default: 50 milliseconds.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|it| it.link.wait(timeout))
    }

    fn set(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// Does this with a store that lives as long as the call.
    fn call<T, F>(&self, act: impl FnOnce(Arc<Inner>) -> F) -> BoxFuture<Result<T, StoreError>>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let answer = act(Arc::clone(&self.0));
        Box::pin(async { answer.await.map_err(StoreError::from) })
    }
}

impl Store for RedisStore {
    fn take(&self, demands: Vec<Demand>) -> BoxFuture<Result<Vec<Answer>, StoreError>> {
        self.call(|inner| async move { inner.judge("take", &demands).await })
    }

    fn borrow(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        self.call(|inner| async move { inner.judge_one("borrow", demand).await })
    }

    fn charge(&self, demands: Vec<Demand>) -> BoxFuture<Result<(), StoreError>> {
        self.call(|inner| async move {
            let numbers = demands.iter().map(wire::demand).collect();
            inner.tell("charge", &demands, numbers).await
        })
    }

    fn refund(&self, demands: Vec<(Demand, Receipt)>) -> BoxFuture<Result<(), StoreError>> {
        self.call(|inner| async move {
            let numbers = demands.iter().map(|(it, receipt)| wire::refund(it, *receipt)).collect();
            let demands: Vec<_> = demands.into_iter().map(|(demand, _)| demand).collect();
            inner.tell("refund", &demands, numbers).await
        })
    }

    fn read(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        self.call(|inner| async move { inner.judge_one("read", demand).await })
    }

    fn reset(&self, demand: Demand) -> BoxFuture<Result<(), StoreError>> {
        self.call(|inner| async move {
            let numbers = vec![wire::demand(&demand)];
            inner.tell("reset", &[demand], numbers).await
        })
    }

    fn nodes(&self, node: &str, lives: Duration) -> BoxFuture<Result<u32, StoreError>> {
        let node = place::node(node);
        self.call(move |inner| async move { inner.count_nodes(&node, lives).await })
    }
}

impl Inner {
    /// What the script answers to these demands, in one call.
    async fn judge(&self, what: &str, demands: &[Demand]) -> Result<Vec<Answer>, Failure> {
        let at = self.moment();
        let numbers = demands.iter().map(wire::demand).collect();
        let reply = self.run(what, self.keys(demands), numbers, at).await?;
        Reply::read(reply)?.answers(demands, at.map(|it| it.unix))
    }

    async fn judge_one(&self, what: &str, demand: Demand) -> Result<Answer, Failure> {
        self.judge(what, &[demand]).await?.pop().ok_or(Failure::Garbage)
    }

    /// Does the same to all demands: in one call for those that lie together.
    async fn tell(
        &self,
        what: &str,
        demands: &[Demand],
        numbers: Vec<Vec<u8>>,
    ) -> Result<(), Failure> {
        let at = self.moment();
        let mut calls: Vec<(Vec<String>, Vec<Vec<u8>>)> = Vec::new();
        for (key, numbers) in self.keys(demands).into_iter().zip(numbers) {
            let together = |keys: &[String]| keys.iter().all(|it| self.are_together(it, &key));
            match calls.iter_mut().find(|(keys, _)| together(keys)) {
                Some((keys, all)) => {
                    keys.push(key);
                    all.push(numbers);
                }
                None => calls.push((vec![key], vec![numbers])),
            }
        }
        for (keys, numbers) in calls {
            self.run(what, keys, numbers, at).await?;
        }
        Ok(())
    }

    async fn run(
        &self,
        what: &str,
        keys: Vec<String>,
        numbers: Vec<Vec<u8>>,
        at: Option<Moment>,
    ) -> Result<redis::Value, Failure> {
        if keys.iter().any(|key| !self.are_together(key, &keys[0])) {
            return Err(Failure::Apart);
        }
        let time = at.map(wire::time).unwrap_or_default();
        let arguments: Vec<_> =
            [what.as_bytes().to_vec(), time].into_iter().chain(numbers).collect();
        self.limits.run(&self.link, &keys, &arguments).await
    }

    async fn count_nodes(&self, node: &str, lives: Duration) -> Result<u32, Failure> {
        let lives = lives.as_nanos().div_ceil(1_000_000).clamp(1, LONGEST_LIFE).to_string();
        let now = self.moment().map(|at| (at.now / 1_000_000).to_string()).unwrap_or_default();
        let arguments = [node, lives.as_str(), now.as_str()];
        let count = self.nodes.run(&self.link, &[place::nodes(&self.prefix)], &arguments).await?;
        redis::from_redis_value(count).map_err(|_| Failure::Garbage)
    }

    fn keys(&self, demands: &[Demand]) -> Vec<String> {
        let cluster = self.link.is_cluster();
        demands.iter().map(|demand| place::key(&self.prefix, demand, cluster)).collect()
    }

    /// Whether one script may have both keys.
    fn are_together(&self, one: &str, other: &str) -> bool {
        !self.link.is_cluster() || place::slot(one) == place::slot(other)
    }

    /// Now, by our clock; `None` where the server's counts.
    fn moment(&self) -> Option<Moment> {
        self.time.as_ref().map(|time| time.moment(true))
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}
