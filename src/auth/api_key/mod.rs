//! Admit requests that carry a known API key.
//!
//! A request passes when
//!
//! 1. it has one key, in one place: the header field `x-api-key`, or where you say;
//! 2. the key has the form that you mint, if you say so: then typing errors and random text cost no lookup;
//! 3. its digest is that of a [`KeyRecord`] which is not revoked;
//! 4. the record's dates hold now;
//! 5. the client's address is in one of the record's networks, if it names any.
//!
//! Otherwise it is answered `401` with a challenge, or `400` if it has keys in two places, `403` if it comes from
//! elsewhere, or `503` if the store cannot tell. What goes on carries an [`Identity`](crate::Identity) in its
//! extensions, with the consumer for its subject, and the record's plan and scopes; and no key.
//!
//! ```
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_gateway::{Identity, auth::api_key::{ApiKeyLayer, KeyFactory, MemoryKeys}};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let factory = KeyFactory::new("acme")?;
//! let minted = factory.mint()?; // its holder sees it once; its digest is stored
//! let keys = MemoryKeys::new([minted.record("paula").with_plan("gold")])?;
//! let layer = ApiKeyLayer::new(keys.clone()).minted_by(&factory);
//!
//! let service = ServiceBuilder::new().layer(layer).service_fn(|request: Request<String>| async move {
//!     let who: &Identity = request.extensions().get().unwrap();
//!     assert_eq!((who.subject(), who.plan()), ("paula", Some("gold")));
//!     assert!(request.headers().is_empty());
//!     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
//! });
//!
//! let with_key = || Request::get("/").header("x-api-key", minted.reveal()).body(String::new()).unwrap();
//! assert_eq!(service.clone().oneshot(with_key()).await?.status(), 200);
//!
//! keys.revoke(&minted.id());
//! let no = service.oneshot(with_key()).await?;
//! assert_eq!(no.status(), 401);
//! assert!(no.headers()["www-authenticate"].to_str()?.starts_with(r#"ApiKey realm="gateway""#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # Where the keys are
//!
//! | keys | change | cost of a request |
//! |---|---|---|
//! | [`MemoryKeys`]: all in memory, from JSON or code | seen by the next request | a look into a table |
//! | [`StoredKeys`]: in a [`KeyStore`] of yours | seen within 30 s, or when told to forget | the same, while remembered |
//!
//! Keys that were not minted here serve too, if they are visible ASCII without commas: store their SHA-256, and do
//! not name a prefix. They should have 128 random bits or more; against the guessing of short ones only a rate limit helps, and a stolen list of their
//! digests gives them away unless it was made [with a pepper](Hashing::with_pepper).
//!
//! # Rotation
//!
//! A consumer may have any number of keys. Mint a second one, let its holder change over, and let the first one end:
//! [`MemoryKeys::rotate`] does that in one step. [`KeyRecord::id`] tells the keys of a consumer apart; it is the claim
//! `key_id`.
//!
//! # One `Authorization` field for two schemes
//!
//! With [`bearer`](ApiKeyLayer::bearer) and a prefix, other bearer tokens are left to other schemes.
//!
//! # CORS
//!
//! A preflight (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) passes without a key, because browsers
//! send none. It carries no identity, no credential and no field of [`ApiKeyLayer::forward_claim`].
//!
//! # Caveat
//!
//! A key is a password that is sent with each request: whoever sees one request can make others. Bind keys to
//! networks where that is possible, let them end, and prefer tokens that expire soon for people's browsers.

mod digest;
mod factory;
mod form;
mod guard;
mod key;
mod layer;
mod memory;
mod record;
mod stored;

pub use digest::{Hashing, KeyDigest};
pub use factory::{KeyFactory, MintedKey};
pub use guard::{ApiKey, Keys};
pub use layer::ApiKeyLayer;
pub use memory::MemoryKeys;
pub use record::KeyRecord;
pub use stored::{KeyStore, StoredKeys};
