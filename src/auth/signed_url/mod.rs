//! Admit requests whose URL carries a signature: links to downloads and uploads that work for a while, for whoever
//! has them.
//!
//! A [`UrlSigner`] makes them; a [`SignedUrlLayer`] admits a request when
//!
//! 1. its query names a key of the layer's ([`VerifyingKey`]), by whose one algorithm the signature verifies
//!    (HMAC-SHA256 or Ed25519);
//! 2. the signature is for its method (a URL for GET serves HEAD too), its path or a prefix of it, every parameter
//!    as it stands, and, if they are covered, its host and its client's address;
//! 3. it has not expired, has begun, and does not live for longer than you allow;
//! 4. no parameter was added, moved, respelled or doubled, and none follows the signature.
//!
//! Otherwise it is answered `403`, with no more than whether it has expired, is not valid yet, or does not match.
//!
//! What goes on carries an [`Identity`](crate::Identity) in its extensions, and no parameter of ours in its URI. Its
//! subject is the one that the link names, or else the key's id; its issuer is the key's id.
//!
//! ```
//! use std::time::Duration;
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_gateway::auth::signed_url::{Link, SignedUrlLayer, SigningKey, UrlSigner};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let key = SigningKey::hmac("2033-05", [7; 32])?; // 32 random octets, that is
//! let layer = SignedUrlLayer::new([key.verifying_key()])?;
//! let link = UrlSigner::new(key).sign(Link::get("/reports/7.pdf?page=2", Duration::from_secs(900)))?;
//! assert!(link.as_str().starts_with("/reports/7.pdf?page=2&gw-key=2033-05&gw-expires="));
//!
//! let service = ServiceBuilder::new().layer(layer).service_fn(|request: Request<String>| async move {
//!     assert_eq!(request.uri(), "/reports/7.pdf?page=2");
//!     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
//! });
//! let ask = |url: String| service.clone().oneshot(Request::get(url).body(String::new()).unwrap());
//! assert_eq!(ask(link.to_string()).await.unwrap().status(), 200);
//! assert_eq!(ask(link.to_string().replace("page=2", "page=3")).await.unwrap().status(), 403);
//! assert_eq!(ask(link.to_string() + "&page=3").await.unwrap().status(), 403);
//! assert_eq!(ask("/reports/7.pdf?page=2".into()).await.unwrap().status(), 403);
//! # Ok::<(), tower_gateway::ConfigError>(())
//! # }).unwrap();
//! ```
//!
//! # What is signed
//!
//! `docs/signed-urls.md` specifies the string to sign, with test vectors, for signers in other languages.
//!
//! | parameter | value | |
//! |---|---|---|
//! | `gw-key` | the key's id | required |
//! | `gw-expires` | seconds since the epoch; the URL is good before | required |
//! | `gw-from` | seconds since the epoch; the URL is good from then on | [`Link::starts_at`] |
//! | `gw-prefix` | how many leading segments of the path are covered | [`Link::prefix`] |
//! | `gw-host` | `1`: the host is covered | an absolute URL |
//! | `gw-ip` | `1`: the client's address is covered | [`Link::client_ip`] |
//! | `gw-sub` | the subject | [`Link::subject`] |
//! | `gw-sig` | the signature of all that stands before it | required, last |
//!
//! Names that begin with `gw-` are reserved; a URL with another one is refused.
//!
//! The path is covered in its [one form](crate::target), in which the signer writes it, and a request with another
//! spelling of it is refused, unless something outside of this layer (this crate's server, say) has normalised it.
//! `%3A` and `:` are two paths here, because they are to some upstreams.
//!
//! # Keys
//!
//! To rotate, give the layer the new key beside the old one, then the signer the new one, and take the old one away
//! when its last URL has expired. With Ed25519 the gateway holds public keys only. Give each signer a key of its own:
//! the identity's issuer then tells who has signed.
//!
//! # Fields and caches
//!
//! A signature covers no header fields. From the requests that are admitted, those are removed by which an upstream
//! might do something else than what was signed: [`SignedUrlLayer::remove_field`] has the list. Answers without
//! `Cache-Control` become `private`; in others, what shared caches may keep is capped at what is left of the URL's
//! time, because a cache in front of the gateway would not ask it again.
//!
//! # CORS
//!
//! A preflight (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) passes with neither identity nor our
//! parameters.
//!
//! # Caveats
//!
//! The layer must see the path that was signed: axum's `Router::nest` cuts the prefix off before the layers of the
//! nested router are asked, so put this one around the outer router or on its routes.
//!
//! Whoever sees a URL can use it until it expires, and URLs are seen in logs, histories and `Referer` fields. This
//! crate logs no query. Sign for minutes, bind what you can, and take the key away to revoke.

mod guard;
mod key;
mod layer;
mod lifetime;
mod link;
mod message;
mod parameters;
mod policy;
mod signer;

pub use guard::{Permitted, SignedUrl};
pub use key::{SigningKey, VerifyingKey};
pub use layer::SignedUrlLayer;
pub use link::{Link, SignedLink};
pub use signer::UrlSigner;
