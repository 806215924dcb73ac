//! Say who may do what.
//!
//! Authentication layers leave an [`Identity`](crate::Identity) in the request; [`RequireLayer`], inside of them,
//! compares it with a [`Rule`]. Rules combine by `and`, `or` and `not`:
//!
//! | rule | admits |
//! |---|---|
//! | [`scope`], [`any_scope`], [`all_scopes`] | who holds these scope tokens |
//! | [`role`], [`any_role`] | who has a role: in the claim `roles`, or where [`RequireLayer::roles_claim`] says |
//! | [`claim`] | whose claim, at any depth, is this, is one of these, contains it, exists |
//! | [`plan`], [`any_plan`], [`scheme`], [`issuer`], [`subject`] | whom this part of the identity fits |
//! | [`that`], [`claims`] | whom your closure admits, over the identity or typed claims, and the path's captures |
//! | [`authenticated`], [`anyone`], [`nobody`] | just that |
//!
//! Everything is compared whole and by case: no scope is a prefix of another, and a number is no text.
//!
//! A request is answered `401` with a challenge when nobody is behind it (no identity, or an
//! [anonymous](crate::Identity::is_anonymous) one), else `403`; with RFC 6750's `insufficient_scope` and the scopes
//! that it takes when it is for a scope. The member `lacks` of the problem document says what kind of thing is
//! missing: `scope`, `role`, `claim`, `plan`, `permission` and so on. The rule's name goes to events, never to the
//! client.
//!
//! ```
//! use http::{Request, Response};
//! use serde::Deserialize;
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_gateway::{Identity, auth::require::{self, RequireLayer, Rules, claim, role, scope}};
//!
//! #[derive(Deserialize)]
//! struct Staff { sub: String }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let own = require::claims(|staff: &Staff, asked| asked.captured("id", &staff.sub));
//! let rules = Rules::new()
//!     .get("/users/{id}", own.or(role("admin")))
//!     .post("/orders", scope("orders:write").and(claim("/tenant/id").equals(7)))
//!     .any("/admin/{*rest}", role("admin"))
//!     .grpc("/shop.Orders/Create", scope("orders:write"))
//!     .public("/health");
//! let service = ServiceBuilder::new().layer(RequireLayer::table(rules)?).service_fn(
//!     |_: Request<String>| async { Ok::<_, std::convert::Infallible>(Response::new(String::new())) },
//! );
//!
//! // An authentication layer sets the identity; here, the request comes with one.
//! let alice = Identity::new("jwt", "alice").with_claims(r#"{"sub":"alice","roles":["clerk"]}"#);
//! let get = |path: &str| Request::get(path).extension(alice.clone()).body(String::new()).unwrap();
//! assert_eq!(service.clone().oneshot(get("/users/alice")).await.unwrap().status(), 200);
//! assert_eq!(service.clone().oneshot(get("/users/bob")).await.unwrap().status(), 403);
//! assert_eq!(service.clone().oneshot(get("/admin/%75sers")).await.unwrap().status(), 403);
//! assert_eq!(service.clone().oneshot(get("/elsewhere")).await.unwrap().status(), 403);
//!
//! let nobody = |path: &str| Request::get(path).body(String::new()).unwrap();
//! assert_eq!(service.clone().oneshot(nobody("/health")).await.unwrap().status(), 200);
//! assert_eq!(service.oneshot(nobody("/users/alice")).await.unwrap().status(), 401);
//! # Ok::<_, tower_gateway::ConfigError>(())
//! # }).unwrap();
//! ```
//!
//! # Which rule
//!
//! [`RequireLayer::new`] has one rule for every request. [`RequireLayer::table`] has [`Rules`] by method and path,
//! with the patterns of `RouteLayer` and its order: the most specific pattern wins, a `HEAD` is a `GET`, literals are
//! compared as an upstream decodes them. What no rule is for is refused; a table without rules, with two for the same
//! requests or with one that is never reached is refused when it is built.
//!
//! The path is judged in the one form that [`target`](crate::target) describes, `400` answers one that can be read in
//! two ways, and that form is what goes on. So `/%61dmin` is `/admin`, and `//admin`, `/x/../admin` and `/admin;x`
//! are nothing.
//!
//! The path of a gRPC call is `/pkg.Service/Method`, so [`Rules::grpc`] rules over single methods; a refusal is
//! `PERMISSION_DENIED` or `UNAUTHENTICATED`.
//!
//! A closure reads the captures of its rule's pattern, [decoded](Asked::capture). Under a single rule, they are those
//! of the route layer outside. Inside an axum `Router`, whose captures are its own, use a table.
//!
//! # Caveats
//!
//! Behind axum's `nest`, and behind a route that strips its prefix, the path is what is left of it: put the table
//! around them.
//!
//! The method is the request's own. An inner service that obeys `X-HTTP-Method-Override` or the like does something
//! else than was judged: remove such fields, or do not obey them.
//!
//! A preflight (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) passes, because it carries no
//! credential; any other `OPTIONS` takes a rule.

mod asked;
mod claim;
mod guard;
mod judge;
mod layer;
mod rule;
mod rules;
mod table;

pub use asked::Asked;
pub use claim::Value;
pub use guard::{Canonical, Require};
pub use layer::RequireLayer;
pub use rule::{
    Claim, Rule, all_scopes, any_plan, any_role, any_scope, anyone, authenticated, claim, claims,
    issuer, nobody, plan, role, scheme, scope, subject, that,
};
pub use rules::Rules;
