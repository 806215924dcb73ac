//! Signatures of tokens.
//!
//! A shared secret is prepared once and verified here: to prepare it is about half of what HMAC costs on a token.
//! Public keys are the back end's.

use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm as Alg, DecodingKey, errors::Error};
use sha2::{Sha256, Sha384, Sha512};

use super::algorithm::{Algorithm, Family};
use crate::auth::crypto::{BACK_END, NO_BACK_END};

/// Whether signatures can be verified at all.
pub(super) const fn is_available() -> bool {
    BACK_END.is_some()
}

/// RSA moduli in bits: what is shorter can be factored, what is longer costs too much to verify.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key or a secret that can verify.
pub(super) enum VerifyingKey {
    Secret(Box<Secret>),
    Public(DecodingKey),
}

/// A secret, hashed into the first block of each of its algorithms (RFC 2104 §4).
pub(super) struct Secret {
    hs256: Hmac<Sha256>,
    hs384: Hmac<Sha384>,
    hs512: Hmac<Sha512>,
}

impl Secret {
    fn new(secret: &[u8]) -> Self {
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        Self {
            hs256: Hmac::new_from_slice(secret).expect(ANY_LENGTH),
            hs384: Hmac::new_from_slice(secret).expect(ANY_LENGTH),
            hs512: Hmac::new_from_slice(secret).expect(ANY_LENGTH),
        }
    }

    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match algorithm {
            Algorithm::HS256 => authentic(&self.hs256, message, signature),
            Algorithm::HS384 => authentic(&self.hs384, message, signature),
            Algorithm::HS512 => authentic(&self.hs512, message, signature),
            _ => false,
        }
    }
}

/// Compares in constant time, and only whole tags.
fn authentic<M: Mac + Clone>(prepared: &M, message: &[u8], signature: &[u8]) -> bool {
    prepared.clone().chain_update(message).verify_slice(signature).is_ok()
}

impl VerifyingKey {
    pub(super) fn secret(secret: &[u8]) -> Self {
        Self::Secret(Box::new(Secret::new(secret)))
    }

    /// From the big-endian modulus and exponent.
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, &'static str> {
        // Some publishers write the sign octet of DER.
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        let bits = n.len() * 8 - n.first().map_or(0, |it| it.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err("the RSA modulus is shorter than 2048 bits or longer than 8192");
        }
        let odd = |number: &[u8]| number.last().is_some_and(|it| it & 1 == 1);
        if e.len() > 4 || !odd(e) || e == [1] || !odd(n) {
            return Err("the RSA exponent or modulus is not usable");
        }
        Ok(Self::Public(DecodingKey::from_rsa_raw_components(n, e)))
    }

    /// From the coordinates of a point.
    pub(super) fn ec(family: Family, x: &[u8], y: &[u8]) -> Result<Self, &'static str> {
        let length = if family == Family::P384 { 48 } else { 32 };
        if x.len() != length || y.len() != length {
            // RFC 7518 §6.2.1.2: the full length, leading zeros included
            return Err("a coordinate has the wrong length");
        }
        let point = [&[4], x, y].concat(); // uncompressed, SEC 1 §2.3.3
        Self::probed(DecodingKey::from_ec_der(&point), family)
    }

    pub(super) fn ed25519(x: &[u8]) -> Result<Self, &'static str> {
        match x.len() {
            32 => Self::probed(DecodingKey::from_ed_der(x), Family::Ed25519),
            _ => Err("an Ed25519 key has 32 octets"),
        }
    }

    /// From a PEM public key of this family.
    pub(super) fn from_pem(family: Family, pem: &[u8]) -> Result<Self, &'static str> {
        let wrong = |_: Error| "the PEM holds no public key of the algorithm's kind";
        if pem.windows(17).any(|it| it == b"BEGIN CERTIFICATE") {
            return Err("the PEM holds a certificate; export its public key");
        }
        if pem.windows(11).any(|it| it == b"PRIVATE KEY") {
            return Err("the PEM holds a private key; a verifier needs only the public one");
        }
        match family {
            Family::Hmac => Err("an HMAC secret is no PEM; use `from_secret`"),
            Family::Rsa => {
                let key = DecodingKey::from_rsa_pem(pem).map_err(wrong)?;
                let back_end = BACK_END.ok_or(NO_BACK_END)?;
                let components = back_end.key_utils.rsa_pub_components_from_public_key;
                let der = key.try_get_as_bytes().map_err(wrong)?;
                let (n, e) = components(der).map_err(wrong)?;
                Self::rsa(&n, &e)
            }
            Family::P256 | Family::P384 => {
                let key = DecodingKey::from_ec_pem(pem).map_err(wrong)?;
                match key.try_get_as_bytes().map_err(wrong)? {
                    [4, point @ ..] if point.len() % 2 == 0 => {
                        let (x, y) = point.split_at(point.len() / 2);
                        Self::ec(family, x, y)
                    }
                    _ => Err("the PEM holds no uncompressed point"),
                }
            }
            Family::Ed25519 => {
                let key = DecodingKey::from_ed_pem(pem).map_err(wrong)?;
                Self::ed25519(key.try_get_as_bytes().map_err(wrong)?)
            }
        }
    }

    /// Refuses what the back end cannot use, as far as it looks before the first signature.
    fn probed(key: DecodingKey, family: Family) -> Result<Self, &'static str> {
        let algorithm = family.default_algorithm().expect("a public key has one");
        let back_end = BACK_END.ok_or(NO_BACK_END)?;
        match (back_end.verifier_factory)(&theirs(algorithm), &key) {
            Ok(_) => Ok(Self::Public(key)),
            Err(_) => Err("the point is not on the curve"),
        }
    }

    /// Whether `signature` is this key's over `message`.
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &Vec<u8>) -> bool {
        let key = match self {
            Self::Secret(secret) => return secret.verify(algorithm, message, signature),
            Self::Public(key) => key,
        };
        let verifier = BACK_END.and_then(|it| (it.verifier_factory)(&theirs(algorithm), key).ok());
        verifier.is_some_and(|it| it.verify(message, signature).is_ok())
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|it| **it == 0).count();
    &number[zeros..]
}

const fn theirs(algorithm: Algorithm) -> Alg {
    match algorithm {
        Algorithm::HS256 => Alg::HS256,
        Algorithm::HS384 => Alg::HS384,
        Algorithm::HS512 => Alg::HS512,
        Algorithm::RS256 => Alg::RS256,
        Algorithm::RS384 => Alg::RS384,
        Algorithm::RS512 => Alg::RS512,
        Algorithm::PS256 => Alg::PS256,
        Algorithm::PS384 => Alg::PS384,
        Algorithm::PS512 => Alg::PS512,
        Algorithm::ES256 => Alg::ES256,
        Algorithm::ES384 => Alg::ES384,
        Algorithm::EdDSA => Alg::EdDSA,
    }
}
