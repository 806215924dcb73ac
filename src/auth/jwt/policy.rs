//! The decision: is this token good, now?

use std::time::Duration;

use super::{
    algorithm::{Algorithm, Family},
    issuer::{Issuer, Keys},
    jwks::Jwks,
    key_set::KeySet,
    revocations::TokenId,
    token::{Claims, Compact, Header, Invalid, Times, WRONG_ALGORITHM, decode, decode_header},
    unknown::UnknownKid,
};
use crate::{auth::crypto::Digest, identity::Identity};

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

/// A token that holds, and what has to be asked about it again when it is presented again.
#[derive(Debug)]
pub(super) struct Verified {
    /// Whom it speaks for, with all of its claims.
    pub(super) identity: Identity,
    jti: Option<Box<str>>,
    times: Times,
    /// Its place among the issuers.
    issuer: usize,
    /// The published document whose key verified it.
    keys: Option<Digest>,
}

impl Verified {
    /// By what it can be revoked.
    pub(super) fn id(&self) -> TokenId<'_> {
        let issuer = self.identity.issuer().unwrap_or_default();
        TokenId::new(issuer, self.identity.subject(), self.jti.as_deref(), self.times)
    }
}

/// What became of a token.
pub(super) enum Judgement {
    Good(Verified),
    Bad(Invalid),
    /// The key is not known, or none is; the issuer may have published it since.
    Undecided(Jwks, Option<UnknownKid>),
}

/// What the signature says.
enum Signature<'a> {
    Good,
    Bad,
    UnknownKey(&'a str),
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
        let (place, issuer) = self.issuer(&claims)?;
        issuer.check_header(&header)?;
        let signed = Signed::read(&header, parts, issuer)?;
        // Before the signature: what fails here costs no cryptography and no fetch, and tells its sender nothing
        // that it did not write itself.
        issuer.check_claims(&claims, &json, now)?;
        let (signature, keys) = match issuer.keys() {
            Keys::Fixed(keys) => (signed.verify(keys), None),
            Keys::Remote(jwks) => match &*jwks.current() {
                None => return Ok(Judgement::Undecided(jwks.clone(), None)),
                Some(keys) => (signed.verify(keys), keys.document()),
            },
        };
        match (signature, issuer.keys()) {
            (Signature::Good, _) => {}
            (Signature::UnknownKey(kid), Keys::Remote(jwks)) => {
                return Ok(Judgement::Undecided(jwks.clone(), Some(jwks.name(kid))));
            }
            (Signature::UnknownKey(_), Keys::Fixed(_)) => return Err(UNKNOWN_KEY),
            (Signature::Bad, _) => return Err(Invalid("The token's signature does not hold.")),
        }
        let identity = identity(issuer, &claims);
        let jti = claims.jti.as_ref().map(|it| Box::from(&*it.0));
        let times = claims.times();
        drop(claims);
        let identity = identity.with_claims(json);
        Ok(Judgement::Good(Verified { identity, jti, times, issuer: place, keys }))
    }

    /// Whether a token that was verified would be again, at `now`: it is in force, and the keys are still those.
    pub(super) fn still_holds(&self, token: &Verified, now: Duration) -> bool {
        let issuer = &self.issuers[token.issuer];
        let same_keys = match issuer.keys() {
            Keys::Fixed(_) => true,
            Keys::Remote(jwks) => {
                jwks.current().as_ref().is_some_and(|keys| keys.document() == token.keys)
            }
        };
        same_keys && issuer.check_times(token.times, now).is_ok()
    }

    /// The issuer that the token claims to be from. It is not proven yet: it decides only whose keys are tried.
    fn issuer(&self, claims: &Claims<'_>) -> Result<(usize, &Issuer), Invalid> {
        let name = claims.iss.as_ref().ok_or(Invalid("The token names no issuer."))?;
        self.issuers
            .iter()
            .enumerate()
            .find(|(_, issuer)| **issuer.name() == *name.0)
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

    fn verify(&self, keys: &KeySet) -> Signature<'a> {
        let mut candidates = keys.candidates(self.kid, self.algorithm, self.chosen);
        if candidates.any(|key| key.verify(self.algorithm, self.message, &self.signature)) {
            return Signature::Good;
        }
        match self.kid {
            Some(kid) if !keys.knows(kid) => Signature::UnknownKey(kid),
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
