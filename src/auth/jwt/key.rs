//! One verification key: what it is called, and the one algorithm that it serves.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::{
    algorithm::{Algorithm, Family},
    crypto::VerifyingKey,
};

/// A key and the algorithm that it is bound to (RFC 8725 §3.1).
pub(super) struct Key {
    id: Option<Box<str>>,
    family: Family,
    /// What the key's publisher or owner said; `None` leaves it to the issuer's settings.
    algorithm: Option<Algorithm>,
    material: VerifyingKey,
}

/// Whether secrets may stand in a set: yes in yours, no in one that was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Local,
    Remote,
}

/// The members of a JWK that matter here (RFC 7517 §4, RFC 7518 §6). Others are ignored, whatever their type.
#[derive(Deserialize)]
struct Jwk<'a> {
    #[serde(borrow)]
    kty: Cow<'a, str>,
    kid: Option<Cow<'a, str>>,
    alg: Option<Cow<'a, str>>,
    r#use: Option<Cow<'a, str>>,
    key_ops: Option<Vec<Cow<'a, str>>>,
    crv: Option<Cow<'a, str>>,
    n: Option<Cow<'a, str>>,
    e: Option<Cow<'a, str>>,
    x: Option<Cow<'a, str>>,
    y: Option<Cow<'a, str>>,
    k: Option<Cow<'a, str>>,
    d: Option<serde::de::IgnoredAny>,
}

impl Key {
    /// A shared secret; refused if shorter than the algorithm's hash (RFC 7518 §3.2).
    pub(super) fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, &'static str> {
        if algorithm.family() != Family::Hmac {
            return Err("a shared secret serves HS256, HS384 or HS512 only");
        }
        if secret.len() < algorithm.secret_length() {
            return Err(
                "the secret is shorter than the algorithm's hash: at least 32, 48 or 64 octets",
            );
        }
        Ok(Self {
            id: None,
            family: Family::Hmac,
            algorithm: Some(algorithm),
            material: VerifyingKey::secret(secret),
        })
    }

    /// A public key in PEM.
    pub(super) fn from_pem(algorithm: Algorithm, pem: &[u8]) -> Result<Self, &'static str> {
        let family = algorithm.family();
        Ok(Self {
            id: None,
            family,
            algorithm: Some(algorithm),
            material: VerifyingKey::from_pem(family, pem)?,
        })
    }

    /// A JWK, RFC 7517.
    pub(super) fn from_jwk(json: &str, origin: Origin) -> Result<Self, &'static str> {
        let jwk: Jwk<'_> = serde_json::from_str(json).map_err(|_| "it is no JWK")?;
        jwk.check_use()?;
        let algorithm = match &jwk.alg {
            Some(name) => Some(Algorithm::named(name).ok_or("its algorithm is not supported")?),
            None => None,
        };
        let (family, material) = jwk.material(algorithm, origin)?;
        if algorithm.is_some_and(|it| it.family() != family) {
            return Err("its algorithm is one for another kind of key");
        }
        Ok(Self {
            id: jwk.kid.map(|it| it.into_owned().into_boxed_str()),
            family,
            algorithm,
            material,
        })
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(super) fn needs_back_end(&self) -> bool {
        self.family != Family::Hmac
    }

    /// Whether the key may verify by this algorithm. `chosen` are the algorithms that the issuer's settings name,
    /// if they name any.
    pub(super) fn serves(&self, algorithm: Algorithm, chosen: Option<&[Algorithm]>) -> bool {
        if chosen.is_some_and(|chosen| !chosen.contains(&algorithm)) {
            return false;
        }
        match (self.algorithm, chosen) {
            (Some(own), _) => own == algorithm,
            (None, Some(_)) => self.family == algorithm.family(),
            (None, None) => self.family.default_algorithm() == Some(algorithm),
        }
    }

    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &Vec<u8>) -> bool {
        self.family == algorithm.family() && self.material.verify(algorithm, message, signature)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("family", &self.family)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl Jwk<'_> {
    /// RFC 7517 §4.2 and §4.3: a key for encryption verifies nothing.
    fn check_use(&self) -> Result<(), &'static str> {
        let for_signatures = self.r#use.as_deref().is_none_or(|it| it == "sig");
        let verifies = |ops: &Vec<Cow<'_, str>>| ops.iter().any(|it| it == "verify");
        match for_signatures && self.key_ops.as_ref().is_none_or(verifies) {
            true => Ok(()),
            false => Err("its `use` or `key_ops` do not let it verify"),
        }
    }

    fn material(
        &self,
        algorithm: Option<Algorithm>,
        origin: Origin,
    ) -> Result<(Family, VerifyingKey), &'static str> {
        if self.d.is_some() {
            return Err("it is a private key; publish the public one");
        }
        let octets = |member: &Option<Cow<'_, str>>| {
            let text = member.as_deref().ok_or("a member of the key is missing")?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| "a member of the key is not base64url")
        };
        match (&*self.kty, self.crv.as_deref()) {
            ("RSA", _) => {
                Ok((Family::Rsa, VerifyingKey::rsa(&octets(&self.n)?, &octets(&self.e)?)?))
            }
            ("EC", Some(curve)) => {
                let family = match curve {
                    "P-256" => Family::P256,
                    "P-384" => Family::P384,
                    _ => return Err("its curve is not supported"),
                };
                let key = VerifyingKey::ec(family, &octets(&self.x)?, &octets(&self.y)?)?;
                Ok((family, key))
            }
            ("OKP", Some("Ed25519")) => {
                Ok((Family::Ed25519, VerifyingKey::ed25519(&octets(&self.x)?)?))
            }
            ("oct", _) if origin == Origin::Remote => {
                Err("a secret has no place in a published key set")
            }
            ("oct", _) => {
                let algorithm = algorithm.ok_or("a secret needs an `alg`")?;
                let key = Self::secret(algorithm, &octets(&self.k)?)?;
                Ok((Family::Hmac, key))
            }
            _ => Err("its kind of key is not supported"),
        }
    }

    fn secret(algorithm: Algorithm, secret: &[u8]) -> Result<VerifyingKey, &'static str> {
        Key::from_secret(algorithm, secret).map(|key| key.material)
    }
}

#[cfg(all(test, any(feature = "crypto-aws-lc", feature = "crypto-rust")))]
mod tests {

    use super::*;

    /// Whether the key verifies this compact token.
    fn verifies(jwk: &str, algorithm: Algorithm, token: &str) -> bool {
        let key = Key::from_jwk(jwk, Origin::Local).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        key.verify(algorithm, message.as_bytes(), &signature)
    }

    const OKP: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    const OCT: &str = r#"{"kty":"oct","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;

    #[test]
    fn the_example_of_rfc_8037() {
        let a4 = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert!(verifies(OKP, Algorithm::EdDSA, a4));
        assert!(!verifies(OKP, Algorithm::EdDSA, &a4.replace("eyJ", "eyK")));
    }

    #[test]
    fn the_examples_of_rfc_7515() {
        let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let a1 = format!(
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{claims}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
        let a3 = format!(
            "eyJhbGciOiJFUzI1NiJ9.{claims}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        );
        assert!(verifies(OCT, Algorithm::HS256, &a1) && verifies(EC, Algorithm::ES256, &a3));
        assert!(!verifies(OCT, Algorithm::HS256, &a3) && !verifies(EC, Algorithm::ES256, &a1));
        assert!(!verifies(EC, Algorithm::HS256, &a1), "a public key is no secret");
    }

    #[test]
    fn a_secret_is_not_published() {
        assert!(Key::from_jwk(OCT, Origin::Remote).is_err());
        assert!(Key::from_jwk(EC, Origin::Remote).is_ok());
    }

    #[test]
    fn a_key_without_an_algorithm_serves_one() {
        let ec = Key::from_jwk(EC, Origin::Local).unwrap();
        let served: Vec<_> = Algorithm::ALL.into_iter().filter(|it| ec.serves(*it, None)).collect();
        assert_eq!(served, [Algorithm::ES256]);
        assert!(!ec.serves(Algorithm::ES256, Some(&[Algorithm::RS256])));
    }
}
