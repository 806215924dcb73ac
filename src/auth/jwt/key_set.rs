//! The keys of one issuer.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    algorithm::Algorithm,
    key::{Key, Origin},
};
use crate::{
    auth::crypto::Digest,
    config_error::{ConfigError, Mistakes},
};

/// More keys than this are nobody's set; the rest is left out.
const MAX_KEYS: usize = 256;

/// At most so many signatures are verified for one token.
const MAX_TRIALS: usize = 4;

/// Verification keys, each bound to one algorithm. See the [module docs](super).
///
/// A key without an `alg` serves one algorithm all the same: RS256 for RSA, and that of its curve otherwise; or
/// those of its kind that [`Issuer::algorithms`](super::Issuer::algorithms) names.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<&'static str>,
    document: Option<Digest>,
}

#[derive(Deserialize)]
struct Jwks<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl KeySet {
    /// A shared secret for HS256, HS384 or HS512.
    ///
    /// # Errors
    ///
    /// When the secret is shorter than the hash: 32, 48 or 64 octets (RFC 7518 §3.2); a password is no key.
    pub fn from_secret(
        algorithm: Algorithm,
        secret: impl AsRef<[u8]>,
    ) -> Result<Self, ConfigError> {
        Self::one(Key::from_secret(algorithm, secret.as_ref()))
    }

    /// A public key in PEM (`BEGIN PUBLIC KEY`, or `BEGIN RSA PUBLIC KEY`), for one algorithm.
    ///
    /// # Errors
    ///
    /// When it holds no such key, a certificate, a private key, or an RSA key of less than 2048 bits.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::one(Key::from_pem(algorithm, pem.as_ref()))
    }

    /// One JWK, RFC 7517.
    ///
    /// # Errors
    ///
    /// When it cannot verify: an unknown kind, a private or weak key, `use` other than `sig`.
    pub fn from_jwk(json: impl AsRef<str>) -> Result<Self, ConfigError> {
        Self::one(Key::from_jwk(json.as_ref(), Origin::Local))
    }

    /// A JWKS document, RFC 7517 §5. Keys that cannot be used are left out, each by itself.
    ///
    /// # Errors
    ///
    /// When it is no such document, or no key of it can be used.
    pub fn from_jwks(json: impl AsRef<str>) -> Result<Self, ConfigError> {
        Self::parse(json.as_ref(), Origin::Local)
            .map_err(|mistake| ConfigError::new("jwt", mistake))
    }

    /// These keys and those.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self.skipped.extend(other.skipped);
        self.document = None;
        self
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can be used; such a set cannot be built.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Why keys of the document were left out.
    pub fn skipped(&self) -> impl ExactSizeIterator<Item = &str> {
        self.skipped.iter().copied()
    }

    fn one(key: Result<Key, &'static str>) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::of("jwt");
        let mut keys = Vec::new();
        match key {
            Ok(key) => keys.push(key),
            Err(mistake) => mistakes.add(format!("the key cannot be used: {mistake}")),
        }
        mistakes.or(Self { keys, skipped: Vec::new(), document: None })
    }

    pub(super) fn parse(json: &str, origin: Origin) -> Result<Self, String> {
        let document: Jwks<'_> = serde_json::from_str(json)
            .map_err(|_| "the document is no JWKS, an object with an array `keys`".to_owned())?;
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for jwk in document.keys.iter().take(MAX_KEYS) {
            match Key::from_jwk(jwk.get(), origin) {
                Ok(key) => keys.push(key),
                Err(why) => skipped.push(why),
            }
        }
        match (keys.is_empty(), skipped.first()) {
            (false, _) => Ok(Self { keys, skipped, document: Some(Digest::of(json.as_bytes())) }),
            (true, None) => Err("the key set is empty".to_owned()),
            (true, Some(why)) => Err(format!("no key of the set can be used; the first: {why}")),
        }
    }

    /// The document that the keys are from. One that is fetched again unchanged brings the same keys.
    pub(super) fn document(&self) -> Option<Digest> {
        self.document
    }

    /// Whether there is a key for one of these algorithms, or for any.
    pub(super) fn serves_any(&self, chosen: Option<&[Algorithm]>) -> bool {
        Algorithm::ALL.iter().any(|it| self.keys.iter().any(|key| key.serves(*it, chosen)))
    }

    /// Whether there is a key that only a cryptographic back end can verify with.
    pub(super) fn need_back_end(&self) -> bool {
        self.keys.iter().any(Key::needs_back_end)
    }

    /// Whether a key has this name.
    pub(super) fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.id() == Some(kid))
    }

    /// The keys to try: those that serve the algorithm, and have the token's `kid` or no name at all.
    pub(super) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        chosen: Option<&[Algorithm]>,
    ) -> impl Iterator<Item = &Key> {
        self.keys
            .iter()
            .filter(move |key| kid.is_none() || key.id().is_none() || key.id() == kid)
            .filter(move |key| key.serves(algorithm, chosen))
            .take(MAX_TRIALS)
    }
}
