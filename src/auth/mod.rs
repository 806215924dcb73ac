//! Authentication: who is asking, proven by a credential.
//!
//! | layer | credential | module |
//! |---|---|---|
//! | [`JwtLayer`](jwt::JwtLayer) | a signed JSON Web Token | [`jwt`] |
//!
//! Every scheme leaves an [`Identity`](crate::identity::Identity) in the request's extensions, answers `401`
//! with a challenge when there is no good credential, `503` when it cannot decide, and removes the credential
//! before the request goes on.

mod admission;
mod challenge;
mod credential;
mod fetch;
mod forward;
mod json;
#[cfg(feature = "jwt")]
pub mod jwt;
mod query;
mod refreshing;
mod scheme;

pub use admission::Admitted;
pub use challenge::Challenge;
pub use refreshing::Health;
pub use scheme::{Scheme, SchemeLayer};
