//! Send each request to the service that its path, host and method name; all others to the inner service.
//!
//! A [`Routes`] table holds services, each under a [`Route`]; [`RouteLayer`] puts it in front of the default:
//!
//! ```
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
//! use tower_gateway::{MatchedRoute, route::{Route, RouteLayer, Routes}};
//! # use http_body_util::BodyExt;
//! # use std::convert::Infallible;
//!
//! /// Any service will do: an upstream, a handler. Routes hold one type; where yours differ, box them.
//! fn named(name: &'static str) -> BoxCloneSyncService<Request<String>, Response<String>, Infallible> {
//!     BoxCloneSyncService::new(service_fn(move |_| async move { Ok(Response::new(name.to_owned())) }))
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let routes = Routes::new()
//!     .prefix("/v1/users", named("users"))
//!     .exact("/health", named("health"))
//!     .route(Route::get("/v1/orders/{id}").host("api.example"), named("orders"));
//! let gateway = RouteLayer::new(routes)?.layer(named("default"));
//!
//! let at = |method, path| {
//!     let request = Request::builder().method(method).uri(path).header("host", "api.example");
//!     gateway.clone().oneshot(request.body(String::new()).unwrap())
//! };
//! # macro_rules! text { ($r:expr) => { String::from_utf8($r.await.unwrap().into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap() } }
//! assert_eq!(text!(at("GET", "/v1/users/7")), "users");
//! assert_eq!(text!(at("GET", "/v1/users2")), "default");
//! assert_eq!(text!(at("GET", "/v1/%6Frders/7")), "orders");
//! assert_eq!(at("POST", "/v1/orders/7").await.unwrap().status(), 405);
//! assert_eq!(at("GET", "/v1/users/%2e%2e/health").await.unwrap().status(), 400);
//! # Ok::<_, tower_gateway::ConfigError>(())
//! # }).unwrap();
//! ```
//!
//! # Which route
//!
//! | route | takes | not |
//! |---|---|---|
//! | `Route::new("/health")` | `/health` | `/health/`, `/Health` |
//! | `Route::prefix("/v1/users")` | `/v1/users`, `/v1/users/`, `/v1/users/7` | `/v1/users2` |
//! | `Route::new("/orders/{id}")` | `/orders/7` | `/orders/`, `/orders/7/items` |
//! | `Route::new("/files/{*rest}")` | `/files/a`, `/files/a/b` | `/files`, `/files/` |
//!
//! The most specific route that takes the request wins, in whatever order they were added:
//!
//! 1. its host over `*.` its parent domain, the longest first, over any host;
//! 2. then the paths, segment by segment from the left: a literal over a capture over a rest over a prefix, so
//!    that a longer prefix beats a shorter one;
//! 3. then its method over `GET` for a `HEAD`, over any method.
//!
//! A path that is known, but for other methods only, is answered with 405 and `Allow`. A path that is not known
//! goes to the inner service; [`NotFound`] is one that answers 404.
//!
//! [`RouteLayer::new`] refuses a table with two routes for the same requests, or with one that can never win.
//!
//! # One reading
//!
//! Before anything is compared, the path is brought into the one form that [`target`](crate::target) describes,
//! and that form is what the service gets: nothing is judged by one reading and forwarded in another. What can be
//! read in two ways, path or host, is refused with 400, and so is an HTTP/1.1 request that names no host (RFC 9112
//! §3.2). Literals are compared as an upstream decodes them: `/jobs%3Acancel` is `/jobs:cancel`. Captured values
//! stay percent-encoded.
//!
//! # Caveats
//!
//! A route's service is cloned for each request and awaited ready before its call, so clones should be cheap and
//! share what they must (`Arc`s, as in this crate's own services). The inner service was polled ready before the
//! router could know whether it will be called; when it is not, that instance is dropped for a clone of it, and
//! what it had reserved is free again.
//!
//! `CONNECT host:port` and `OPTIONS *` have no path and go to the inner service.

mod body;
mod host;
mod layer;
mod not_found;
mod routes;
mod service;
mod table;

pub use body::RoutedBody;
pub use layer::{RouteHandle, RouteLayer};
pub use not_found::NotFound;
pub use routes::{Route, Routes};
pub use service::{RouteFuture, Routed};
