//! Admit requests that carry a valid JSON Web Token.
//!
//! A request passes when
//!
//! 1. it has one bearer token, in one `Authorization` field;
//! 2. the token has three parts in their one canonical spelling, no critical extension, and no member twice;
//! 3. its `iss` is exactly the name of an [`Issuer`] that you trust;
//! 4. a key of that issuer verifies the signature, by the one algorithm that the key is bound to;
//! 5. `exp`, which must be there, and `nbf` and `iat` hold now, within the leeway;
//! 6. its `aud` names an audience of yours.
//!
//! Otherwise it is answered `401` with a challenge (RFC 6750), or `400` if it has credentials in two places, or
//! `503` if there are no keys to judge by. The token never chooses its algorithm or key, and never makes the
//! gateway connect anywhere: one with `jwk`, `jku`, `x5c` or `x5u` is refused, or, by
//! [`choice`](Issuer::ignore_brought_keys), judged as if it had none.
//!
//! What goes on carries an [`Identity`](crate::Identity) in its extensions, and no token.
//!
//! ```
//! # use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
//! # fn mint(claims: &str) -> String {
//! #     let signed = format!("{}.{}", B64.encode(r#"{"alg":"HS256"}"#), B64.encode(claims));
//! #     let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[7; 32]);
//! #     format!("{signed}.{}", B64.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes())))
//! # }
//! use http::{Request, Response};
//! use serde::Deserialize;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_gateway::{auth::jwt::{Algorithm, Issuer, JwtLayer, KeySet}, identity::Claims};
//!
//! #[derive(Deserialize)]
//! struct Staff { department: String }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let keys = KeySet::from_secret(Algorithm::HS256, [7; 32])?; // 32 random bytes, that is
//! let layer = JwtLayer::new(Issuer::new("https://id.example", keys).audience("orders"))?.typed::<Staff>();
//!
//! let service = ServiceBuilder::new().layer(layer).service_fn(|request: Request<String>| async move {
//!     let staff: &Claims<Staff> = request.extensions().get().unwrap();
//!     assert_eq!(staff.department, "sales");
//!     assert!(request.headers().is_empty());
//!     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
//! });
//!
//! let token = mint(r#"{"iss":"https://id.example","aud":"orders","exp":99999999999,"department":"sales"}"#);
//! let good = Request::get("/").header("authorization", format!("Bearer {token}"));
//! assert_eq!(service.clone().oneshot(good.body(String::new()).unwrap()).await.unwrap().status(), 200);
//!
//! let bare = Request::get("/").body(String::new()).unwrap();
//! let no = service.oneshot(bare).await.unwrap();
//! assert_eq!(no.status(), 401);
//! assert_eq!(no.headers()["www-authenticate"], r#"Bearer realm="gateway""#);
//! # Ok::<(), tower_gateway::ConfigError>(())
//! # }).unwrap();
//! ```
//!
//! # Keys
//!
//! | keys | from |
//! |---|---|
//! | a shared secret | [`KeySet::from_secret`] |
//! | PEM | [`KeySet::from_pem`] |
//! | a JWK, a JWKS document | [`KeySet::from_jwk`], [`KeySet::from_jwks`] |
//! | what the issuer publishes, found by its metadata | [`Issuer::discover`] |
//! | a JWKS document at a URL | [`Jwks::remote`] |
//!
//! Every key is bound to one algorithm, by its `alg` or by you. Refused are secrets shorter than the hash, RSA
//! keys of less than 2048 bits, keys for encryption, private keys, and secrets in a published set.
//!
//! Keys that are published are fetched by one task and refreshed; requests never wait for a key that is known:
//!
#![cfg_attr(feature = "client", doc = "```no_run")]
#![cfg_attr(not(feature = "client"), doc = "```ignore")]
//! use tower_gateway::{auth::jwt::{Issuer, JwtLayer}, client::HttpClient};
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = Issuer::discover("https://id.example", HttpClient::new())?.audience("orders");
//! let layer = JwtLayer::new(issuer)?;
//! # Ok(()) }
//! ```
//!
//! # Reading who it is
//!
//! In axum (feature `axum`), `Identity` and `Claims<C>` are extractors. In tonic (feature `tonic`), `RequestExt` of
//! the module `host::tonic` brings `request.identity()?` and `request.claims::<C>()?`.
//!
//! # Tokens that come again
//!
//! A token that was verified is kept, so that the next request that bears it costs a digest and not a signature:
//! half a microsecond instead of 15 (RS256) or 37 (ES256). This changes no answer, and takes memory for 10,000 tokens
//! of at most 4 KiB: see [`JwtLayer::verified_cache`]. What is to be refused before it expires is told by
//! [`JwtLayer::revocations`]: by the token's `jti`, or all that were issued to a subject or by an issuer.
//!
//! # CORS
//!
//! A preflight (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) passes without a token, because
//! browsers send none; put a CORS layer around this one if the inner service does not answer them. It carries no
//! identity, no credential and no field of [`JwtLayer::forward_claim`].
//!
//! # Caveat
//!
//! A token that verifies is good until it expires: signing out at the issuer does not reach it. Issue short ones, or
//! tell the layer what was revoked.

mod algorithm;
mod cache;
mod crypto;
mod guard;
mod issuer;
mod jwks;
mod key;
mod key_set;
mod layer;
mod policy;
mod remote;
mod revocations;
mod token;
mod unknown;

pub use algorithm::Algorithm;
pub use guard::Jwt;
pub use issuer::{Issuer, Keys};
pub use jwks::{Jwks, JwksHealth};
pub use key_set::KeySet;
pub use layer::JwtLayer;
pub use remote::RemoteJwks;
pub use revocations::{ListFull, RevocationList, Revocations, TokenId};
