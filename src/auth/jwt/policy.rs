//! The decision: is this token good, now?

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    issuer::{Issuer, Keys},
    key_set::KeySet,
    remote::Jwks,
    token::{Claims, Compact, Header, Invalid, decode, decode_header},
};
use crate::identity::Identity;

/// The issuers, and what holds for all of them.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    issuers: Vec<Issuer>,
    max_length: usize,
}

/// What became of a token.
pub(super) enum Judgement {
    Good(Verified),
    Bad(Invalid),
    /// The key is not known; its issuer may have published it since.
    UnknownKey(Jwks),
    /// There are no keys to judge by.
    NoKeys(Jwks),
}

/// A token that holds. Only [`Policy::judge`] makes one.
pub(super) struct Verified {
    pub(super) identity: Identity,
    pub(super) claims: Bytes,
}

/// What the signature says.
enum Signature {
    Good,
    Bad,
    UnknownKey,
}

impl Policy {
    pub(super) fn new(issuers: Vec<Issuer>, max_length: usize) -> Self {
        Self {
            issuers,
            max_length,
        }
    }

    pub(super) fn limit_length(&mut self, max_length: usize) {
        self.max_length = max_length;
    }

    /// Pure, but for the snapshot of the keys.
    pub(super) fn judge(&self, token: &str, now: Duration) -> Judgement {
        self.try_judge(token, now).unwrap_or_else(Judgement::Bad)
    }

    fn try_judge(&self, token: &str, now: Duration) -> Result<Judgement, Invalid> {
        if token.len() > self.max_length {
            return Err(Invalid("The token is too long."));
        }
        let parts = Compact::split(token)?;
        let header = decode_header(parts.header)?;
        let header = Header::read(&header)?;
        let json = Bytes::from(decode(parts.claims)?);
        let claims = Claims::read(&json)?;
        let issuer = self.issuer(&claims)?;
        issuer.check_header(&header)?;
        let signature = match issuer.keys() {
            Keys::Fixed(keys) => verify(keys, issuer, &header, parts)?,
            Keys::Remote(jwks) => match &*jwks.current() {
                None => return Ok(Judgement::NoKeys(jwks.clone())),
                Some(keys) => match verify(keys, issuer, &header, parts)? {
                    Signature::UnknownKey => return Ok(Judgement::UnknownKey(jwks.clone())),
                    known => known,
                },
            },
        };
        match signature {
            Signature::Good => {}
            Signature::Bad => return Err(Invalid("The token's signature does not hold.")),
            Signature::UnknownKey => return Err(Invalid("The token's key is not known.")),
        }
        // After the signature: what the claims say is nobody's business before.
        issuer.check_claims(&claims, now)?;
        let identity = identity(&claims, &json);
        drop(claims);
        Ok(Judgement::Good(Verified {
            identity,
            claims: json,
        }))
    }

    /// The issuer that the token claims to be from. It is not proven yet: it decides only whose keys are tried.
    fn issuer(&self, claims: &Claims<'_>) -> Result<&Issuer, Invalid> {
        let name = claims
            .iss
            .as_ref()
            .ok_or(Invalid("The token names no issuer."))?;
        self.issuers
            .iter()
            .find(|issuer| *issuer.name() == *name.0)
            .ok_or(Invalid("The token is from another issuer."))
    }
}

fn verify(
    keys: &Arc<KeySet>,
    issuer: &Issuer,
    header: &Header<'_>,
    parts: Compact<'_>,
) -> Result<Signature, Invalid> {
    let algorithm = header.algorithm()?;
    let signature = decode(parts.signature)?;
    let message = parts.signed.as_bytes();
    let mut candidates = keys.candidates(header.kid(), algorithm, issuer.chosen_algorithms());
    if candidates.any(|key| key.verify(algorithm, message, &signature)) {
        return Ok(Signature::Good);
    }
    match header.kid() {
        Some(kid) if !keys.knows(kid) => Ok(Signature::UnknownKey),
        _ => Ok(Signature::Bad),
    }
}

fn identity(claims: &Claims<'_>, json: &Bytes) -> Identity {
    let text = |it: &Option<super::json::Text<'_>>| it.as_ref().map(|it| Box::<str>::from(&*it.0));
    let mut identity =
        Identity::new("jwt", text(&claims.sub).unwrap_or_default()).with_claims(json.clone());
    if let Some(issuer) = text(&claims.iss) {
        identity = identity.with_issuer(issuer);
    }
    if let Some(scope) = claims.scope() {
        identity = identity.with_scope(&*scope);
    }
    identity
}
