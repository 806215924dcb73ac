//! Tokens that are refused although they verify.
//!
//! A token is named by what its issuer wrote into it, never by its text or a digest of that: an ECDSA signature has
//! a second spelling that verifies too, so that a text which was revoked could come back as another.

mod list;
mod rules;

use std::time::Duration;

pub use self::list::{ListFull, RevocationList};
use super::token::Times;
use crate::auth::terms::since_epoch;

/// Knows which tokens were revoked: [`RevocationList`], or a closure.
///
/// ```
/// # use tower_gateway::auth::jwt::{Algorithm, Issuer, JwtLayer, KeySet, TokenId};
/// # let keys = KeySet::from_secret(Algorithm::HS256, [7; 32])?;
/// # let issuer = Issuer::new("https://id.example", keys).audience("orders");
/// // Whoever is not named is nobody's token.
/// let layer = JwtLayer::new(issuer)?.revocations(|token: &TokenId<'_>| token.subject().is_none());
/// # Ok::<(), tower_gateway::ConfigError>(())
/// ```
///
/// It is asked about each request that bears a good token, on the request's way: it must answer from memory. A list
/// that lives elsewhere is copied to memory by a task of yours; that task also decides what holds while the list
/// cannot be read.
pub trait Revocations: Send + Sync + 'static {
    /// Whether this token, which verifies, was revoked.
    fn revoked(&self, token: &TokenId<'_>) -> bool;
}

impl<F: Fn(&TokenId<'_>) -> bool + Send + Sync + 'static> Revocations for F {
    fn revoked(&self, token: &TokenId<'_>) -> bool {
        self(token)
    }
}

/// What a verified token can be told by.
#[derive(Clone, Copy, Debug)]
pub struct TokenId<'a> {
    issuer: &'a str,
    subject: &'a str,
    id: Option<&'a str>,
    times: Times,
}

impl<'a> TokenId<'a> {
    pub(super) fn new(
        issuer: &'a str,
        subject: &'a str,
        id: Option<&'a str>,
        times: Times,
    ) -> Self {
        Self { issuer, subject, id, times }
    }

    /// `iss`: who issued it.
    pub fn issuer(&self) -> &'a str {
        self.issuer
    }

    /// `sub`: whom it speaks for; `None` if that is nobody, or the empty string.
    pub fn subject(&self) -> Option<&'a str> {
        (!self.subject.is_empty()).then_some(self.subject)
    }

    /// `jti`: its own name, unique within the issuer.
    pub fn id(&self) -> Option<&'a str> {
        self.id
    }

    /// `iat`: when it was issued, since the Unix epoch.
    pub fn issued_at(&self) -> Option<Duration> {
        self.times.iat.map(|it| since_epoch(it.0))
    }

    /// `exp`: when it expires, since the Unix epoch.
    pub fn expires_at(&self) -> Option<Duration> {
        self.times.exp.map(|it| since_epoch(it.0))
    }
}
