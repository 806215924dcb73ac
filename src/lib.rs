//! An embeddable API gateway: authentication, rate limits, routing and proxying as tower layers.
//!
//! Each concern of a gateway is a [`tower`](https://docs.rs/tower) layer. Stack those that you need around an axum app,
//! a tonic server or any service over HTTP; or compose a gateway of your own in front of upstreams.
//!
//! ```text
//!             request ──►                                                      ◄── response
//!  Server ─► ClientIp ─► RateLimit ─► Jwt ─────► Route ──────┬─► Upstream (users)
//!            +ClientIp   10 r/s       +Identity  +Matched    └─► Upstream (default)
//!                        burst 20                 Route
//!  any "no":  Rejection ─► problem+json | grpc-status | grpc-web
//! ```
//!
//! # An axum app
//!
//! Wrap it once; handlers take the typed claims.
//!
#![cfg_attr(all(feature = "jwt", feature = "rate-limit", feature = "axum"), doc = "```")]
#![cfg_attr(not(all(feature = "jwt", feature = "rate-limit", feature = "axum")), doc = "```ignore")]
//! use axum::{Router, routing::get};
//! use tower::ServiceBuilder;
//! use tower_gateway::{
//!     auth::jwt::{Algorithm, Issuer, JwtLayer, KeySet},
//!     identity::Claims,
//!     key,
//!     rate_limit::{Quota, RateLimitLayer},
//! };
//!
//! #[derive(serde::Deserialize)]
//! struct Staff { sub: String }
//!
//! async fn orders(staff: Claims<Staff>) -> String {
//!     format!("the orders of {}", staff.sub)
//! }
//!
//! # fn main() -> Result<(), tower_gateway::ConfigError> {
//! # let secret = [7; 32];
//! let keys = KeySet::from_secret(Algorithm::HS256, secret)?;
//! let issuer = Issuer::new("https://id.example", keys).audience("orders");
//! let gate = ServiceBuilder::new()
//!     .layer(RateLimitLayer::new(Quota::per_minute(600).burst(50), key::client_ip()))
//!     .layer(JwtLayer::new(issuer)?.typed::<Staff>());
//! let app: Router = Router::new().route("/orders", get(orders)).layer(gate);
//! # Ok(()) }
//! ```
//!
//! # A tonic server
//!
//! The same layers: a refusal reaches the client as `Code::Unauthenticated` or `Code::ResourceExhausted`.
//!
//! ```text
//! Server::builder().layer(gate).add_service(greeter).serve(addr).await?;
//! ```
//!
//! # A gateway
//!
//! Limit by client address, check the token, `/v1/users` to the users service, everything else to the default; on one
//! runtime per core.
//!
#![cfg_attr(
    all(
        feature = "jwt",
        feature = "rate-limit",
        feature = "route",
        feature = "upstream",
        feature = "server"
    ),
    doc = "```no_run"
)]
#![cfg_attr(
    not(all(
        feature = "jwt",
        feature = "rate-limit",
        feature = "route",
        feature = "upstream",
        feature = "server"
    )),
    doc = "```ignore"
)]
//! use std::num::NonZeroUsize;
//! use tower::ServiceBuilder;
//! use tower_gateway::{
//!     auth::jwt::{Issuer, Jwks, JwtLayer},
//!     client::HttpClient,
//!     client_ip::ClientIpLayer,
//!     key,
//!     rate_limit::{Quota, RateLimitLayer},
//!     route::{RouteLayer, Routes},
//!     server::Server,
//!     upstream::Upstream,
//! };
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = Jwks::remote("https://id.example/jwks.json", HttpClient::new()).start()?;
//! let jwt = JwtLayer::new(Issuer::new("https://id.example", keys).audience("api"))?;
//! let limit = RateLimitLayer::new(Quota::per_second(10).burst(20), key::client_ip());
//! let users = Upstream::new("http://10.0.0.7:9000")?;
//! let default = Upstream::new("http://10.0.0.8:9000")?;
//! let route = RouteLayer::new(Routes::new().prefix("/v1/users", users))?;
//!
//! let gateway = move || {
//!     ServiceBuilder::new()
//!         .layer(ClientIpLayer::behind_proxies(1))
//!         .layer(limit.clone())
//!         .layer(jwt.clone())
//!         .layer(route.clone())
//!         .service(default.unshared())
//! };
//! let server = Server::new().serve_per_core(([0, 0, 0, 0], 8080).into(), NonZeroUsize::MIN, gateway)?;
//! tokio::signal::ctrl_c().await?;
//! server.drain()?;
//! # Ok(()) }
//! ```
//!
//! # Modules
//!
//! | layer | module | feature |
//! |---|---|---|
//! | [`ClientIpLayer`](client_ip::ClientIpLayer): who is connected | [`client_ip`] | – |
//! | [`GuardLayer`](guard::GuardLayer): a layer of your own | [`guard`] | – |
//! | `JwtLayer`: JSON Web Tokens | `auth::jwt` | `jwt` |
//! | `IntrospectionLayer`: opaque tokens, by asking who issued them | `auth::introspection` | `introspection` |
//! | `ApiKeyLayer`: API keys | `auth::api_key` | `api-key` |
//! | `SignedUrlLayer`: URLs that carry their own permission | `auth::signed_url` | `signed-url` |
//! | `RequireLayer`: who may do what | `auth::require` | `require` |
//! | `RateLimitLayer`, `ConcurrencyLimitLayer`: quotas for each client | `rate_limit` | `rate-limit` |
//! | `RedisStore`: limits that nodes share | `rate_limit::redis` | `redis` |
//! | `RouteLayer`: by host, path and method | `route` | `route` |
//! | `Upstream`: an origin as a service | `upstream` | `upstream` |
//! | `TranscodeLayer`: JSON over HTTP in front of gRPC | `transcode` | `transcode` |
//! | `Server`: a hardened accept loop | `server` | `server` |
//! | `HttpClient`: the ready HTTP client | `client` | `client` |
//! | https origins, TLS in the server, `rediss://` | | `tls` |
//! | extractors and peer addresses of the hosts | `host` | `axum`, `tonic` |
//! | an event, a counter for each decision | | `tracing`, `metrics` |
//! | a manual clock, the contract checklist | `test_util` | `test-util` |
//!
//! Nothing is on by default but `tracing` and the signature back end `crypto-aws-lc`; `full` is every concern and host.
//!
//! What layers tell each other stands in typed extensions of the request: [`ClientIp`](client_ip::ClientIp),
//! [`Identity`], [`MatchedRoute`], [`Deadline`]. Which layer stands where is told in [layer order](docs::layer_order);
//! how it is all made, in [architecture](docs::architecture).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

// The kernel: always compiled, knows no concern.
pub mod body;
pub mod client_ip;
pub mod clock;
mod config_error;
mod deadline;
mod event;
pub mod fields;
pub mod guard;
pub mod identity;
pub mod key;
mod matched_route;
#[cfg(any(feature = "route", feature = "require", feature = "transcode"))]
#[cfg_attr(
    not(any(feature = "route", feature = "require")),
    allow(dead_code, reason = "templates are read elsewhere")
)]
mod pattern;
pub mod rejection;
pub mod reply;
pub mod target;

// Concerns, and the machinery that some of them share.
#[cfg(any(
    feature = "jwt",
    feature = "introspection",
    feature = "api-key",
    feature = "signed-url",
    feature = "require"
))]
pub mod auth;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "rate-limit")]
pub mod rate_limit;
#[cfg(feature = "route")]
pub mod route;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "transcode")]
pub mod transcode;
#[cfg(feature = "upstream")]
pub mod upstream;

#[cfg(any(feature = "introspection", feature = "api-key", feature = "rate-limit"))]
mod breaker;
#[cfg(any(feature = "client", feature = "server"))]
mod gather;
#[cfg(any(
    feature = "jwt",
    feature = "introspection",
    feature = "api-key",
    feature = "signed-url",
    feature = "require",
    feature = "transcode"
))]
#[cfg_attr(
    not(all(feature = "jwt", feature = "introspection")),
    allow(dead_code, reason = "each concern uses a part")
)]
mod refreshing;

// Hosts, documentation, and tools for tests.
pub mod docs;
#[cfg(any(feature = "axum", feature = "tonic"))]
pub mod host;
#[cfg(feature = "test-util")]
pub mod test_util;

/// Any error: what services and bodies of others fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub use config_error::ConfigError;
pub use deadline::Deadline;
pub use identity::Identity;
pub use matched_route::MatchedRoute;
pub use rejection::Rejection;
pub use target::Scheme;
