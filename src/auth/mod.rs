//! Authentication: who is asking, proven by a credential.
//!
//! | layer | credential | module |
//! |---|---|---|
//! | `JwtLayer` | a signed JSON Web Token | `jwt` |
//! | `IntrospectionLayer` | an opaque token of OAuth 2.0 | `introspection` |
//! | `ApiKeyLayer` | an API key | `api_key` |
//! | `SignedUrlLayer` | a signature in the URL | `signed_url` |
//! | `RequireLayer` | none: it says who of them may do what | `require` |
//!
//! Several become one layer by [`first_of`], [`all_of`] and [`optional`]: see [`combine`].
//!
//! Every scheme leaves an [`Identity`](crate::identity::Identity) in the request's extensions, answers `401`
//! with a challenge when there is no good credential, `503` when it cannot decide, and removes the credential
//! before the request goes on.
#![cfg_attr(
    not(all(
        feature = "jwt",
        feature = "introspection",
        feature = "api-key",
        feature = "signed-url"
    )),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "each scheme uses a part of what they share"
    )
)]

mod admission;
#[cfg(feature = "api-key")]
pub mod api_key;
mod challenge;
pub mod combine;
mod credential;
mod crypto;
mod fetch;
mod forward;
#[cfg(feature = "introspection")]
pub mod introspection;
mod json;
#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(any(feature = "introspection", feature = "api-key"))]
mod lookup;
#[cfg(any(feature = "introspection", feature = "jwt"))]
mod metadata;
mod query;
mod reader;
#[cfg(feature = "require")]
pub mod require;
mod scheme;
mod settings;
#[cfg(feature = "signed-url")]
pub mod signed_url;
mod terms;

pub use crate::refreshing::Health;
pub use admission::Admitted;
pub use challenge::Challenge;
pub use combine::{all_of, first_of, optional};
pub use scheme::{Scheme, SchemeLayer};
