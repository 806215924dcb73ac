//! Limits that several nodes share through Redis or Valkey: exact, for one round trip a request.
//!
//! A request is admitted when 1. the server answers in time, and 2. every limit of its layer has what it asks for.
//! Then it has taken from all of them, and else from none: one script judges all limits of a request and writes
//! what they come to, while nobody else can read or write. It goes by the server's time. The algorithms are those
//! of limits that are kept in memory, with the same answers to the nanosecond; the server's clock has microseconds.
//!
//! ```no_run
//! use tower_gateway::{key, rate_limit::{Quota, RateLimitLayer, RedisStore, Sharing}};
//!
//! # fn main() -> Result<(), tower_gateway::ConfigError> {
//! let store = RedisStore::connect("redis://limits.internal:6379")?;
//! let quota = Quota::per_minute(600).sliding_window();
//! let layer = RateLimitLayer::new(quota, key::client_ip()).shared(Sharing::exact(store));
//! # Ok(())
//! # }
//! ```
//!
//! A cluster, or a master that sentinels watch:
//!
//! ```no_run
//! use tower_gateway::rate_limit::RedisStore;
//!
//! # fn main() -> Result<(), tower_gateway::ConfigError> {
//! let cluster = RedisStore::cluster(["redis://node-1:6379", "redis://node-2:6379"])?;
//! let watched = RedisStore::sentinel("main", ["redis://s-1:26379", "redis://s-2:26379"])?.prefix("shop");
//! # Ok(())
//! # }
//! ```
//!
//! # What it costs
//!
//! Each operation is one round trip, and one more where a server does not know the script: after its start. The
//! script reads and writes one value for each limit; [`sliding_log`](super::Quota::sliding_log) reads and writes a few
//! entries, of which a refusal of a large cost reads up to all. A key takes about 150 bytes of the server's memory,
//! and 40 more for each entry of a log. Every key has an end: when its state is at rest, or a minute after that by
//! [our time](RedisStore::our_time). Keys are named by hashes, so nothing of a client can be read from them.
//!
//! Counts and costs are exact up to 2⁵³, and larger ones are cut to that.
//!
//! # On a cluster
//!
//! What one script touches has to lie in one slot. A layer of one limit is spread over all nodes by its clients'
//! keys. The limits of a layer that has several may each count by another key; so all such layers of one prefix lie
//! in one slot, on one node, which answers some 100,000 requests a second. Where that is not enough, make them
//! layers of their own, which are then not spent from together, or give each layer a store with a [prefix] of its
//! own. A limit that gets company in its layer, or loses it, begins anew.
//!
//! [prefix]: RedisStore::prefix
//!
//! # When Redis is gone, or has forgotten
//!
//! A call that is not answered in [time](RedisStore::timeout), 50 ms, is an error; what becomes of the request then is
//! the [`Sharing`](super::Sharing)'s choice. It may have been counted, or not. A connection that fails, that is silent
//! for the whole of a call, or that leads to a server which has become a replica is replaced: one attempt at a
//! time, begun by the next call, and through the sentinels where there are some. A call that finds an old
//! connection closed is an error, and the one after it is not.
//!
//! A server that restarts without its data, or a replica that takes over before it has heard all, admits again what
//! it has forgotten: at most what the limit admits from cold, once for each such loss. A master that is cut off
//! from its sentinels goes on for those who still reach it, unless it is told not to (`min-replicas-to-write`).
//!
//! What another program writes under our keys is an error until it is gone. Servers before Redis 5 cannot run the
//! script.
//!
//! # TLS
//!
//! With feature `tls`, URLs that begin with `rediss://` are encrypted, by TLS 1.2 or 1.3; sentinels and the master that
//! they name alike. A server's certificate has to be for the host of its URL, or for the name by which a cluster or a
//! sentinel announces it, and be issued by a public authority or by those of `RedisStore::root_pem`. The connection takes
//! rustls's provider of the process, and makes it aws-lc-rs if there is none. `redis://` is not encrypted.

mod address;
mod failure;
mod link;
mod place;
mod script;
#[cfg(feature = "tls")]
mod trust;
#[cfg(not(feature = "tls"))]
#[path = "trust_nobody.rs"]
mod trust;
mod wire;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use self::{address::Address, failure::Failure, link::Link, script::Script, wire::Reply};
use super::{
    algorithm::Moment,
    store::{Answer, Demand, Receipt, Store, StoreError, ask_each_limit_once},
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

    /// Time by this clock. Default: by the server's, which is the same for all nodes. For no window does time go
    /// back: who is behind counts with those who are ahead. A limit admits as much more, once, as clocks are apart;
    /// they may be apart by up to a minute.
    #[must_use]
    pub fn our_time(self, clock: Clock) -> Self {
        self.set(|it| it.time = Some(Timeline::of(clock)))
    }

    /// How long a call waits for its answer, and for a connection if there is none. Default: 50 milliseconds.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|it| it.link.wait(timeout))
    }

    /// Trusts servers whose certificates come from these authorities, and from no others: PEM, one or more. Default:
    /// the roots of the Mozilla programme.
    ///
    /// # Errors
    ///
    /// When that is no such PEM, or a URL is not `rediss://`.
    #[cfg(feature = "tls")]
    pub fn root_pem(self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        self.trusting(|trust| trust.with_roots(pem.as_ref()))
    }

    /// Shows this certificate to servers: the chain, leaf first, and its private key, both PEM.
    ///
    /// # Errors
    ///
    /// When either cannot be read, or a URL is not `rediss://`. That the key is another's shows when it connects.
    #[cfg(feature = "tls")]
    pub fn certificate_pem(
        self,
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, ConfigError> {
        self.trusting(|trust| Ok(trust.with_identity(chain.as_ref(), key.as_ref())))
    }

    #[cfg(feature = "tls")]
    fn trusting(
        self,
        change: impl FnOnce(trust::Trust) -> Result<trust::Trust, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let address = self.0.link.address().trusting(change)?;
        Ok(self.set(|it| it.link.lead_to(address)))
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
        if let Err(error) = ask_each_limit_once(&demands) {
            return Box::pin(std::future::ready(Err(error)));
        }
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
