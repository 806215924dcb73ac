//! The keys: what they are called, and the one algorithm that each serves.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, jwk::EllipticCurve};
use sha2::Sha256;

use super::message::Message;
use crate::{
    auth::crypto::{BACK_END, NO_BACK_END},
    config_error::ConfigError,
};

/// The longest text of a signature: 64 octets in base64url.
const MAX_SIGNATURE: usize = 86;

/// Verifies URLs. It has an id, which URLs name, and serves one algorithm.
///
/// Ids are 1 to 64 letters, digits and `-._~`.
#[derive(Clone)]
pub struct VerifyingKey {
    id: Arc<str>,
    material: Material,
}

/// Signs URLs, and can verify them too.
#[derive(Clone)]
pub struct SigningKey {
    verifying: VerifyingKey,
    /// For HMAC there is none: the secret that verifies also signs.
    private: Option<EncodingKey>,
}

#[derive(Clone)]
enum Material {
    /// The secret, hashed into the first block (RFC 2104 §4).
    Hmac(Box<Hmac<Sha256>>),
    Ed25519(DecodingKey),
}

// === impl VerifyingKey ===

impl VerifyingKey {
    /// HMAC-SHA256 (RFC 2104) with a secret of at least 32 random octets. Whoever has it can sign as well.
    ///
    /// # Errors
    ///
    /// When the secret is shorter, or the id is none.
    pub fn hmac(id: &str, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        if secret.len() < 32 {
            return Err(mistake(id, "the secret is shorter than 32 octets"));
        }
        let hmac = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Self::new(id, Material::Hmac(Box::new(hmac)))
    }

    /// Ed25519 (RFC 8032) with the 32 octets of a public key.
    ///
    /// # Errors
    ///
    /// When it is no public key, the id is none, or there is no cryptography: features `crypto-aws-lc` and
    /// `crypto-rust`.
    pub fn ed25519(id: &str, public: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let key = public_key(public.as_ref()).map_err(|why| mistake(id, why))?;
        Self::new(id, Material::Ed25519(key))
    }

    /// Ed25519 with a public key in PEM (`BEGIN PUBLIC KEY`, RFC 8410).
    ///
    /// # Errors
    ///
    /// As [`ed25519`](Self::ed25519), and when the PEM is a private key, which a verifier must not need.
    pub fn ed25519_pem(id: &str, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let pem = pem.as_ref();
        if pem.windows(11).any(|it| it == b"PRIVATE KEY") {
            return Err(mistake(id, "the PEM is a private key; a verifier needs the public one"));
        }
        let key = DecodingKey::from_ed_pem(pem);
        let octets = key.as_ref().ok().and_then(|key| key.try_get_as_bytes().ok());
        Self::ed25519(id, octets.unwrap_or_default())
    }

    fn new(id: &str, material: Material) -> Result<Self, ConfigError> {
        match is_id(id) {
            true => Ok(Self { id: id.into(), material }),
            false => Err(mistake(id, "an id is 1 to 64 letters, digits and `-._~`")),
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn shared_id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// Whether this is the key's signature of the message, in its one spelling.
    pub(super) fn verify(&self, message: &Message<'_>, signature: &str) -> bool {
        let mut octets = [0; MAX_SIGNATURE];
        if signature.len() > MAX_SIGNATURE {
            return false;
        }
        let Ok(length) = URL_SAFE_NO_PAD.decode_slice(signature, &mut octets) else {
            return false;
        };
        match (&self.material, &octets[..length]) {
            // In constant time, and only whole tags.
            (Material::Hmac(hmac), tag) => mac(hmac, message).verify_slice(tag).is_ok(),
            (Material::Ed25519(key), signature) if signature.len() == 64 => {
                let verifier =
                    BACK_END.and_then(|it| (it.verifier_factory)(&Algorithm::EdDSA, key).ok());
                verifier.is_some_and(|it| it.verify(&message.to_vec(), &signature.to_vec()).is_ok())
            }
            (Material::Ed25519(_), _) => false,
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = match self.material {
            Material::Hmac(_) => "HMAC-SHA256",
            Material::Ed25519(_) => "Ed25519",
        };
        write!(f, "VerifyingKey({}, {algorithm})", self.id)
    }
}

// === impl SigningKey ===

impl SigningKey {
    /// HMAC-SHA256 (RFC 2104) with a secret of at least 32 random octets, which the verifier has too.
    ///
    /// # Errors
    ///
    /// When the secret is shorter, or the id is none.
    pub fn hmac(id: &str, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Ok(Self { verifying: VerifyingKey::hmac(id, secret)?, private: None })
    }

    /// Ed25519 (RFC 8032) with a private key in PEM (`BEGIN PRIVATE KEY`, PKCS#8): what
    /// `openssl genpkey -algorithm ed25519` writes.
    ///
    /// # Errors
    ///
    /// When it is no such key, the id is none, or there is no cryptography: features `crypto-aws-lc` and
    /// `crypto-rust`.
    pub fn ed25519_pem(id: &str, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let wrong = |_| mistake(id, "the PEM holds no Ed25519 private key (PKCS#8)");
        let back_end = BACK_END.ok_or_else(|| mistake(id, NO_BACK_END))?;
        let private = EncodingKey::from_ed_pem(pem.as_ref()).map_err(wrong)?;
        (back_end.signer_factory)(&Algorithm::EdDSA, &private).map_err(wrong)?;
        let public_half = back_end.key_utils.ed_pub_components_from_private_key;
        let public = public_half(private.as_bytes(), &EllipticCurve::Ed25519).map_err(wrong)?;
        Ok(Self { verifying: VerifyingKey::ed25519(id, public)?, private: Some(private) })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.verifying.id()
    }

    /// What verifies its signatures: for Ed25519 the public half, for HMAC the same secret.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.verifying.clone()
    }

    /// The key's signature of the message, in base64url without padding.
    pub(super) fn sign(&self, message: &Message<'_>) -> Result<String, ConfigError> {
        let signature = match (&self.verifying.material, &self.private) {
            (Material::Hmac(hmac), _) => Some(mac(hmac, message).finalize().into_bytes().to_vec()),
            (Material::Ed25519(_), Some(private)) => BACK_END
                .and_then(|it| (it.signer_factory)(&Algorithm::EdDSA, private).ok())
                .and_then(|it| it.try_sign(&message.to_vec()).ok()),
            (Material::Ed25519(_), None) => None,
        };
        let signature = signature.ok_or_else(|| mistake(self.id(), "the key did not sign"))?;
        Ok(URL_SAFE_NO_PAD.encode(signature))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id())
    }
}

fn mac(prepared: &Hmac<Sha256>, message: &Message<'_>) -> Hmac<Sha256> {
    message.parts().into_iter().fold(prepared.clone(), Mac::chain_update)
}

/// A public key that the back end can use.
fn public_key(octets: &[u8]) -> Result<DecodingKey, &'static str> {
    const NONE: &str = "it is no Ed25519 public key";
    let back_end = BACK_END.ok_or(NO_BACK_END)?;
    if octets.len() != 32 {
        return Err(NONE);
    }
    let key = DecodingKey::from_ed_der(octets);
    (back_end.verifier_factory)(&Algorithm::EdDSA, &key).map(|_| ()).map_err(|_| NONE)?;
    Ok(key)
}

fn is_id(text: &str) -> bool {
    let allowed = |it: u8| it.is_ascii_alphanumeric() || b"-._~".contains(&it);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn mistake(id: &str, why: &str) -> ConfigError {
    ConfigError::new("signed_url", format!("key `{}`: {why}", id.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_at_least_32_octets_and_ids_need_no_escape() {
        assert!(SigningKey::hmac("a", [7; 32]).is_ok());
        assert!(SigningKey::hmac("a", [7; 31]).is_err());
        assert!(VerifyingKey::hmac("a", [7; 31]).is_err());
        for id in ["", "a b", "a&b", "a%41", "é", "a=b", "a+b", &"a".repeat(65)] {
            assert!(VerifyingKey::hmac(id, [7; 32]).is_err(), "{id}");
        }
        assert!(VerifyingKey::hmac(&"a".repeat(64), [7; 32]).is_ok());
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let key = SigningKey::hmac("2033-05", [b'x'; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(2033-05)");
        let key = key.verifying_key();
        assert_eq!(format!("{key:?}"), "VerifyingKey(2033-05, HMAC-SHA256)");
        let error = SigningKey::hmac("a", [b'x'; 31]).unwrap_err();
        assert!(!error.to_string().contains("xx"));
    }
}

#[cfg(all(test, any(feature = "crypto-aws-lc", feature = "crypto-rust")))]
mod ed25519_tests {
    use super::*;

    /// The key of RFC 8032 §7.1, test 1, as the document has it.
    fn pem(label: &str) -> &'static str {
        let document = include_str!("../../../docs/signed-urls.md");
        let start = document.find(&format!("-----BEGIN {label}")).unwrap();
        let end = format!("-----END {label} KEY-----");
        let length = document[start..].find(&end).unwrap() + end.len();
        &document[start..start + length]
    }

    #[test]
    fn one_half_signs_and_the_other_verifies() {
        let message = |query| Message {
            method: "GET",
            host: Default::default(),
            client: String::new(),
            path: "/reports/7.pdf",
            query,
        };
        let good = message("page=2&gw-key=partner-a&gw-expires=2000000900");
        let signing = SigningKey::ed25519_pem("partner-a", pem("PRIVATE")).unwrap();
        let signature = signing.sign(&good).unwrap();
        assert!(include_str!("../../../docs/signed-urls.md").contains(&signature));
        let public = VerifyingKey::ed25519_pem("partner-a", pem("PUBLIC")).unwrap();
        for key in [&public, &signing.verifying_key()] {
            assert!(key.verify(&good, &signature));
            assert!(!key.verify(&message("page=3"), &signature));
            for length in 0..signature.len() {
                assert!(!key.verify(&good, &signature[..length]), "{length}");
            }
            assert!(!key.verify(&good, &format!("{signature}A")));
        }
        assert_eq!(format!("{public:?}"), "VerifyingKey(partner-a, Ed25519)");
    }
}
