//! Admit requests whose opaque token its authorization server calls active (OAuth 2.0 token introspection,
//! RFC 7662).
//!
//! A request passes when
//!
//! 1. it has one bearer token, in one place, of the form of RFC 6750 §2.1 and at most 8 KiB;
//! 2. the server answers `"active": true`, and nothing that only resembles it;
//! 3. the token's `exp` has not come, and `nbf` and `iat` hold now, within the leeway;
//! 4. its `aud` names an audience of yours, its `iss` is the one that you named or discovered, if you did;
//! 5. it is a bearer token: neither a refresh token nor bound to a key whose proof nobody here asks for (`cnf`);
//! 6. it has the scopes that you require.
//!
//! Otherwise it is answered `401` with a challenge (RFC 6750), `403` if only a scope is missing, `400` if it has
//! credentials in two places, or `503` with `Retry-After` if the server cannot be asked. That the server does not
//! accept the *gateway's* credentials is such a case, and never a `401`: the client can do nothing about it. The
//! cause is in the event.
//!
//! What goes on carries an [`Identity`](crate::Identity) in its extensions, and no token.
//!
//! ```
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_gateway::{Identity, auth::introspection::{Introspection, IntrospectionLayer}};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! // Any HTTP client is one: `HttpClient` of feature `client`, say. This one is the server itself.
//! let client = service_fn(|request: Request<String>| async move {
//!     let active = request.body().starts_with("token=good&");
//!     let answer = format!(r#"{{"active":{active},"sub":"alice","aud":"orders"}}"#);
//!     Ok::<_, std::convert::Infallible>(Response::new(answer))
//! });
//! let server = Introspection::at("https://id.example/introspect", client)
//!     .client_secret_basic("gateway", "from your configuration")
//!     .build()?;
//! let layer = IntrospectionLayer::new(server.audience("orders"))?;
//!
//! let service = ServiceBuilder::new().layer(layer).service_fn(|request: Request<String>| async move {
//!     let who: &Identity = request.extensions().get().unwrap();
//!     assert_eq!(who.subject(), "alice");
//!     assert!(request.headers().is_empty());
//!     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
//! });
//!
//! let with = |token: &str| Request::get("/").header("authorization", format!("Bearer {token}"));
//! let good = with("good").body(String::new()).unwrap();
//! assert_eq!(service.clone().oneshot(good).await.unwrap().status(), 200);
//!
//! let bad = with("bad").body(String::new()).unwrap();
//! let no = service.oneshot(bad).await.unwrap();
//! assert_eq!(no.status(), 401);
//! assert!(no.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
//! # Ok::<(), tower_gateway::ConfigError>(())
//! # }).unwrap();
//! ```
//!
//! # What is asked, and how often
//!
//! What the server says is remembered by the token's SHA-256: an active token for 30 seconds and not beyond its
//! `exp`, any other for 5 seconds, 10,000 of each. Requirements are compared at each request, so that layers can
//! share what is remembered ([`Introspection`] is cloned) and still require different things; two servers, or two
//! clients of one, never share.
//!
//! However many requests bring a token that is not remembered, it is asked about once, by a task that goes on when
//! they go away. At most 64 questions are open; the next token is answered `503` at once. After five failures in a
//! row nobody asks for 1, 2, 4 … 30 seconds. An answer of 200 that cannot be used (no JSON, more than 64 KiB) is
//! `503` too, and no failure: it says nothing of the others. By choice
//! ([`Endpoint::stale_if_error`]) what was remembered serves a while longer when the server fails.
//!
//! # Who is asking
//!
//! | the server knows the gateway by | |
//! |---|---|
//! | a secret | [`Endpoint::client_secret_basic`], [`Endpoint::client_secret_post`] |
//! | a key pair | [`Endpoint::private_key_jwt`] |
//! | a certificate | [`Endpoint::tls_client_auth`], and a client with that certificate |
//! | a token of the gateway's own | [`Endpoint::bearer_token`] |
//!
//! # Reading who it is
//!
//! As with the other schemes, `Identity` and, after [`IntrospectionLayer::typed`], `Claims<C>` are in the request's
//! extensions, and extractors of axum. The identity's subject is the answer's `sub`, or the `client_id` of a token
//! that a client got for itself; its issuer is the answer's `iss`, else the issuer that was discovered or the
//! endpoint's URL. Its claims are the whole answer.
//!
//! # CORS
//!
//! A preflight (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) passes without a token and without an
//! identity, because browsers send none.
//!
//! # Caveat
//!
//! A token that is revoked is admitted for up to [`ttl`](Endpoint::ttl) more. Call [`Introspection::forget`] where
//! you learn of it, or set a shorter one. Who asks for tokens that nobody issued makes the gateway ask too: limit
//! requests by address in front of this layer.

mod answer;
mod assertion;
mod client_auth;
mod endpoint;
mod form;
mod guard;
mod layer;
mod rules;
mod server;
mod shared;

pub use assertion::{ClientAssertion, SigningAlgorithm};
pub use endpoint::Endpoint;
pub use guard::Introspect;
pub use layer::IntrospectionLayer;
pub use shared::Introspection;
