//! The decision: is this token good, now?

use std::time::Duration;

use super::{
    algorithm::{Algorithm, Family},
    issuer::{Issuer, Keys},
    key_set::KeySet,
    remote::Jwks,
    token::{Claims, Compact, Header, Invalid, WRONG_ALGORITHM, decode, decode_header},
};
use crate::identity::Identity;

pub(super) const UNKNOWN_KEY: Invalid = Invalid("The token's key is not known.");

/// Whether the token has the form of a JWT, good or bad: what has not may be an opaque token.
pub(super) fn looks_like_a_jwt(token: &str) -> bool {
    let Ok(parts) = Compact::split(token) else {
        return false;
    };
    // `{` in base64url, whatever follows
    decode_header(parts.header).is_ok_and(|header| header.trim_ascii_start().starts_with(b"{"))
}

/// The issuers, and what holds for all of them.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    issuers: Vec<Issuer>,
    max_length: usize,
}

/// What became of a token.
pub(super) enum Judgement {
    /// Whom the token speaks for, with all of its claims.
    Good(Identity),
    Bad(Invalid),
    /// The key is not known, or none is; the issuer may have published it since.
    Undecided(Jwks),
}

/// What the signature says.
enum Signature {
    Good,
    Bad,
    UnknownKey,
}

impl Policy {
    pub(super) fn new(issuers: Vec<Issuer>, max_length: usize) -> Self {
        Self { issuers, max_length }
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
        let json = decode(parts.claims)?;
        let claims = Claims::read(&json)?;
        let issuer = self.issuer(&claims)?;
        issuer.check_header(&header)?;
        let signed = Signed::read(&header, parts, issuer)?;
        // Before the signature: what fails here costs no cryptography and no fetch, and tells its sender nothing
        // that it did not write itself.
        issuer.check_claims(&claims, now)?;
        let signature = match issuer.keys() {
            Keys::Fixed(keys) => signed.verify(keys),
            Keys::Remote(jwks) => match &*jwks.current() {
                None => return Ok(Judgement::Undecided(jwks.clone())),
                Some(keys) => signed.verify(keys),
            },
        };
        match (signature, issuer.keys()) {
            (Signature::Good, _) => {}
            (Signature::UnknownKey, Keys::Remote(jwks)) => {
                return Ok(Judgement::Undecided(jwks.clone()));
            }
            (Signature::UnknownKey, Keys::Fixed(_)) => return Err(UNKNOWN_KEY),
            (Signature::Bad, _) => return Err(Invalid("The token's signature does not hold.")),
        }
        let identity = identity(issuer, &claims);
        drop(claims);
        Ok(Judgement::Good(identity.with_claims(json)))
    }

    /// The issuer that the token claims to be from. It is not proven yet: it decides only whose keys are tried.
    fn issuer(&self, claims: &Claims<'_>) -> Result<&Issuer, Invalid> {
        let name = claims.iss.as_ref().ok_or(Invalid("The token names no issuer."))?;
        self.issuers
            .iter()
            .find(|issuer| **issuer.name() == *name.0)
            .ok_or(Invalid("The token is from another issuer."))
    }
}

/// A signature, and what it takes to verify it.
struct Signed<'a> {
    algorithm: Algorithm,
    chosen: Option<&'a [Algorithm]>,
    kid: Option<&'a str>,
    message: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Signed<'a> {
    fn read(
        header: &'a Header<'_>,
        parts: Compact<'a>,
        issuer: &'a Issuer,
    ) -> Result<Self, Invalid> {
        let algorithm = header.algorithm()?;
        let chosen = issuer.chosen_algorithms();
        // A published set holds no secrets, so no new one can make this token good.
        let possible =
            algorithm.family() != Family::Hmac || matches!(issuer.keys(), Keys::Fixed(_));
        if !possible || chosen.is_some_and(|chosen| !chosen.contains(&algorithm)) {
            return Err(WRONG_ALGORITHM);
        }
        Ok(Self {
            algorithm,
            chosen,
            kid: header.kid(),
            message: parts.signed.as_bytes(),
            signature: decode(parts.signature)?,
        })
    }

    fn verify(&self, keys: &KeySet) -> Signature {
        let mut candidates = keys.candidates(self.kid, self.algorithm, self.chosen);
        if candidates.any(|key| key.verify(self.algorithm, self.message, &self.signature)) {
            return Signature::Good;
        }
        match self.kid {
            Some(kid) if !keys.knows(kid) => Signature::UnknownKey,
            _ => Signature::Bad,
        }
    }
}

fn identity(issuer: &Issuer, claims: &Claims<'_>) -> Identity {
    let subject = claims.sub.as_ref().map_or("", |it| &*it.0);
    let identity = Identity::new("jwt", subject).with_issuer(issuer.name().clone());
    match claims.scope() {
        Some(scope) => identity.with_scope(&*scope),
        None => identity,
    }
}
