//! Admit so much of each client in a time, and tell the others when to come back.
//!
//! A [`Limit`] is a [`Quota`] for each key: a client's address, a subject, a route (see [`key`](crate::key)). A request
//! takes one unit, or its [`cost`](Limit::cost); if that is not there, it is refused with `429` /
//! `RESOURCE_EXHAUSTED`. The limits of a [`RateLimitLayer`] are checked together and spend together: a request that
//! one of them refuses spends from none. How units come back with time is the quota's algorithm: token bucket (the
//! default), leaky bucket, sliding window, sliding log, fixed window, day or month of the calendar.
//!
//! ```
//! # #[cfg(feature = "test-util")] {
//! use http::{Request, Response};
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use tower_gateway::{clock::Clock, key, rate_limit::{Quota, RateLimitLayer}};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let (clock, time) = Clock::manual();
//! let limit = RateLimitLayer::new(Quota::per_second(10).burst(2), key::header("x-tenant"));
//! let mut service = ServiceBuilder::new().layer(limit.clock(clock)).service(service_fn(
//!     |_: Request<String>| async { Ok::<_, std::convert::Infallible>(Response::new(String::new())) },
//! ));
//! let request = |tenant| Request::get("/").header("x-tenant", tenant).body(String::new()).unwrap();
//!
//! let first = service.ready().await.unwrap().call(request("acme")).await.unwrap();
//! assert_eq!(first.headers()["ratelimit"], r#""default";r=1;t=1"#);
//! assert_eq!(service.ready().await.unwrap().call(request("acme")).await.unwrap().status(), 200);
//!
//! let third = service.ready().await.unwrap().call(request("acme")).await.unwrap();
//! assert_eq!(third.status(), 429);
//! assert_eq!(third.headers()["retry-after"], "1");
//! assert_eq!(service.ready().await.unwrap().call(request("bmce")).await.unwrap().status(), 200);
//!
//! time.advance(Duration::from_millis(100)); // a tenth of a second refills one
//! assert_eq!(service.ready().await.unwrap().call(request("acme")).await.unwrap().status(), 200);
//! # });
//! # }
//! ```
//!
//! # What the client reads
//!
//! `Retry-After` in whole seconds, rounded up and at least 1: a client that waits so long, and is alone on its key, is
//! admitted. `RateLimit-Policy: "default";q=20;w=2` says that 20 may come at once and are there again in 2 seconds,
//! `RateLimit: "default";r=19;t=1` that 19 are left and that all are there in 1 second
//! (draft-ietf-httpapi-ratelimit-headers-11, on admitted responses too). Each limit has its member in both, by its
//! [`name`](Limit::name); the problem document lists those that refused, as `violated-policies`.
//! [`legacy_fields`](RateLimitLayer::legacy_fields) adds `X-RateLimit-*`, [`hide_fields`](RateLimitLayer::hide_fields)
//! leaves all of them out. A gRPC client gets the same, and `RetryInfo` and `QuotaFailure` as details.
//!
//! # What a request costs, and who is banned
//!
//! A limit's [`cost`](Limit::cost) is known when a request comes; [`settle`] corrects it by the response: bytes, tokens
//! of a language model, failed logins only. A [`Penalty`] bans for a time who is refused too often.
//!
//! # While it runs
//!
//! [`RateLimitLayer::handle`] shows what a key has left, tops it up, lifts bans, and replaces the limits without
//! losing counts. With feature `metrics`, each limit counts in `tower_gateway_rate_limit_total{policy, outcome}`, where
//! the policy is its name and the outcome `admitted`, `refused`, `banned`, `reported` (it would have refused, and only
//! reports) or `unsettled` (a final cost that did not reach the [store](Store)). A request that others refuse counts for
//! those that refuse it, and for no other.
//!
//! # One node or many
//!
//! A layer counts in this process. [`shared`](RateLimitLayer::shared) makes several nodes count together, by asking a
//! [`Store`] for each request or by borrowing from it ([`Sharing`]); the store is Redis or Valkey (`RedisStore`, feature
//! `redis`), or one of yours. What each way admits, and what happens while the store is down, is told in
//! [rate limits on many nodes](crate::docs::distributed_rate_limits).
//!
//! # Memory
//!
//! A limit keeps the state of up to [`max_keys`](RateLimitLayer::max_keys) keys (1,000,000 by default), and takes
//! memory as keys come, 52 bytes for each key of the maximum in the end; a sliding log takes more. A key of which
//! everything has come back is forgotten when its place is needed, which changes nothing for it. When there is no such
//! place, a new key shares a state with other newcomers: it is refused sooner than it should, and never admits
//! more; who has been limited stays limited. Nothing is ever scanned, and no task runs in the background, but for what
//! is shared with other nodes.
//!
//! # Caveats
//!
//! A request that has no key is refused with 403 ([`MissingKey`]). For [`key::client_ip`](crate::key::client_ip)
//! the host has to say who is connected: in axum, serve with `into_make_service_with_connect_info`. Behind
//! proxies, put a [`ClientIpLayer`](crate::client_ip::ClientIpLayer) outside, or all the world is one client.
//!
//! Put the limit by address outside of authentication, so that a flood of bad credentials costs nothing; a limit by
//! subject goes inside. A limit by route goes inside of what routes: on a route's service, or on an axum `Router`.
//!
//! [Rate limits](crate::docs::rate_limits) is the guide: which quota to take, and what to write when coming from nginx,
//! Kong, Envoy, AWS or Apigee.

mod algorithm;
mod background;
mod book;
mod calendar;
pub mod concurrency;
mod counted;
mod fields;
mod guard;
mod handle;
mod layer;
mod legacy;
mod limit;
mod memory;
mod penalty;
mod quota;
#[cfg(feature = "redis")]
pub mod redis;
mod ruling;
mod said;
pub mod settle;
mod settling;
mod sharing;
mod store;
mod timeline;
mod waiting;

pub use concurrency::ConcurrencyLimitLayer;
pub use counted::Counted;
pub use guard::Limits;
pub use handle::{LimitHandle, LimitsHandle};
pub use layer::RateLimitLayer;
pub use limit::{Limit, MissingKey};
pub use memory::MemoryStore;
pub use penalty::Penalty;
pub use quota::{Plans, Quota, QuotaSource};
#[cfg(feature = "redis")]
pub use redis::RedisStore;
pub use sharing::{Fallback, FirstFallback, Sharing};
pub use store::{Answer, Demand, Receipt, Store, StoreError};
