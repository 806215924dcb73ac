//! What is stored of a key: its digest, never the key.

use std::{fmt, str::FromStr};

use hmac::{Hmac, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::{auth::crypto::Digest, config_error::ConfigError};

/// How keys become digests. Default: [`sha256`](Self::sha256).
///
/// Minted keys have so many random bits that one round of a fast hash cannot be reversed; a slow one, as for
/// passwords, would only serve who wants to keep the gateway busy. With a pepper, whoever reads the store cannot
/// even tell whether a key that they hold is in it, nor add one of their own.
#[derive(Clone)]
pub struct Hashing {
    first: Function,
    older: Vec<Function>,
}

/// Without a pepper or with one.
type Function = Option<Hmac<Sha256>>;

/// A shorter pepper would be the weakest part (RFC 2104 §3: at least the length of the hash).
const MIN_PEPPER: usize = 32;

impl Hashing {
    /// SHA-256 of the key.
    pub fn sha256() -> Self {
        Self { first: None, older: Vec::new() }
    }

    /// HMAC-SHA256 of the key under a secret that the store does not know.
    ///
    /// # Errors
    ///
    /// When the secret has fewer than 32 octets.
    pub fn with_pepper(secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        match <Hmac<Sha256> as Mac>::new_from_slice(secret) {
            Ok(keyed) if secret.len() >= MIN_PEPPER => {
                Ok(Self { first: Some(keyed), older: Vec::new() })
            }
            _ => Err(ConfigError::new("api_key", "the pepper must have at least 32 octets")),
        }
    }

    /// Finds keys also by the digests that were made so before: while a pepper is introduced or changed. A key that is
    /// not found costs as many more lookups.
    #[must_use]
    pub fn or(mut self, older: Self) -> Self {
        self.older.push(older.first);
        self.older.extend(older.older);
        self
    }

    /// The digest by which this key is stored.
    pub fn digest(&self, key: &str) -> KeyDigest {
        digest(&self.first, key)
    }

    /// The digests by which it may be found.
    pub(super) fn digests(&self, key: &str) -> impl Iterator<Item = KeyDigest> {
        std::iter::once(&self.first).chain(&self.older).map(move |it| digest(it, key))
    }
}

impl Default for Hashing {
    fn default() -> Self {
        Self::sha256()
    }
}

fn digest(function: &Function, key: &str) -> KeyDigest {
    match function {
        None => KeyDigest { kind: Kind::Sha256, octets: Sha256::digest(key).into() },
        Some(keyed) => {
            let octets = keyed.clone().chain_update(key).finalize().into_bytes().into();
            KeyDigest { kind: Kind::HmacSha256, octets }
        }
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.first {
            None => "Hashing::sha256()",
            Some(_) => "Hashing::with_pepper(..)",
        })
    }
}

/// The digest of a key: what stores keep and are asked for.
///
/// As text, which is how serde writes it too, it is `sha256:` or `hmac-sha256:` and 64 hexadecimal digits; read in
/// either case, written in lower case. Two of them are compared in constant time.
///
/// ```
/// use tower_gateway::auth::api_key::{Hashing, KeyDigest};
///
/// let digest = Hashing::sha256().digest("abc");
/// let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
/// assert_eq!(digest.to_string(), text);
/// assert_eq!(text.parse::<KeyDigest>().unwrap(), digest);
/// assert!("sha256:ba78".parse::<KeyDigest>().is_err());
/// ```
#[derive(Clone, Copy, Eq)]
pub struct KeyDigest {
    kind: Kind,
    octets: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Sha256,
    HmacSha256,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::HmacSha256 => "hmac-sha256",
        }
    }
}

impl KeyDigest {
    /// The 32 octets, for stores with a column of their own for them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.octets
    }

    /// What answers about it are remembered by.
    pub(super) fn remembered(&self) -> Digest {
        Digest(self.octets)
    }

    /// The first eight octets as text: they tell keys apart, and nothing about them.
    pub(super) fn short(&self) -> String {
        self.octets[..8].iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.octets.ct_eq(&other.octets).into()
    }
}

impl std::hash::Hash for KeyDigest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.remembered().hash(state);
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.kind.name())?;
        self.octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest({}:{}..)", self.kind.name(), self.short())
    }
}

impl FromStr for KeyDigest {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let read = || {
            let (kind, digits) = text.split_once(':')?;
            let kinds = [Kind::Sha256, Kind::HmacSha256];
            let kind = kinds.into_iter().find(|it| it.name() == kind)?;
            Some(Self { kind, octets: from_hex(digits)? })
        };
        // The text is not repeated: it might be a key, in the wrong place.
        read().ok_or_else(|| {
            let right = "a digest is `sha256:` or `hmac-sha256:` and 64 hexadecimal digits";
            ConfigError::new("api_key", right)
        })
    }
}

fn from_hex(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut octets = [0; 32];
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *octet = u8::try_from(value(pair[0])? * 16 + value(pair[1])?).ok()?;
    }
    Some(octets)
}

impl Serialize for KeyDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = KeyDigest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the digest of a key")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<KeyDigest, E> {
                text.parse().map_err(|error: ConfigError| {
                    E::custom(error.mistakes().next().unwrap_or_default())
                })
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 §4.7, and the digest of nothing.
    #[test]
    fn digests_are_those_of_the_standards() {
        let long = [0xaa; 131];
        let keyed = Hashing::with_pepper(long).unwrap();
        let digest = keyed.digest("Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(
            digest.to_string(),
            "hmac-sha256:60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
        let plain = Hashing::sha256().digest("");
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(plain.to_string(), empty);
        assert_eq!(Hashing::default().digest(""), plain);
    }

    #[test]
    fn text_is_read_strictly_and_not_repeated() {
        let digits = "0aF".repeat(21) + "9";
        let good = format!("sha256:{digits}");
        let digest: KeyDigest = good.parse().unwrap();
        assert_eq!(digest.to_string(), good.to_lowercase());
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{digest}\""));
        let other: KeyDigest = format!("hmac-sha256:{digits}").parse().unwrap();
        assert_ne!(digest, other, "the same octets of another function");
        let long = good.clone() + "0";
        let comma = good.replace("sha256:", "sha256");
        let not_hex = good.replace('9', "g");
        let accented = good.replace("a", "é");
        for bad in ["", "sha256:", "SHA256:00", &digits, &long, &comma, &not_hex, &accented, "é:é"]
        {
            let error = bad.parse::<KeyDigest>().unwrap_err().to_string();
            assert!(bad.len() < 10 || !error.contains(bad), "{error}");
        }
    }

    #[test]
    fn a_short_pepper_is_refused_and_none_is_shown() {
        assert!(Hashing::with_pepper([7; 31]).is_err());
        let keyed = Hashing::with_pepper([7; 32]).unwrap();
        assert_eq!(format!("{keyed:?}"), "Hashing::with_pepper(..)");
        let both: Vec<_> = keyed.clone().or(Hashing::sha256()).digests("a").collect();
        assert_eq!(both, [keyed.digest("a"), Hashing::sha256().digest("a")]);
        assert_ne!(keyed.digest("a"), Hashing::with_pepper([8; 32]).unwrap().digest("a"));
    }
}
