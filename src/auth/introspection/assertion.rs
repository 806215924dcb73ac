//! Client authentication by a signed assertion (`private_key_jwt`): RFC 7523 §2.2 and §3.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

use crate::{
    BoxError,
    auth::crypto::{BACK_END, NO_BACK_END},
    config_error::ConfigError,
};

/// How long an assertion holds: as long as it is on its way.
const LIFETIME: Duration = Duration::from_secs(60);

/// RSA keys of fewer bits can be factored (RFC 7518 §3.3).
const MIN_RSA_BITS: usize = 2048;

/// The algorithm of a [`ClientAssertion`]: those of RFC 7518 §3.1 and RFC 8037 with a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // the names are the registry's
pub enum SigningAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    /// Ed25519.
    EdDSA,
}

/// The private key with which the gateway signs that it is itself (RFC 7523).
///
/// Each request to the authorization server carries an assertion of its own: `iss` and `sub` are the client's id,
/// `jti` is random, and it expires after 60 seconds. The key stays here, and the server stores only its public
/// half.
#[derive(Clone)]
pub struct ClientAssertion {
    algorithm: Algorithm,
    key: EncodingKey,
    kid: Option<String>,
    audience: Option<String>,
}

impl ClientAssertion {
    pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

    /// With the private key in this PEM: PKCS#8 for all algorithms, or PKCS#1 for RSA.
    ///
    /// # Errors
    ///
    /// When the PEM holds no private key of the algorithm's kind, or an RSA key of fewer than 2048 bits, or when
    /// there is no signature back end.
    pub fn from_pem(
        algorithm: SigningAlgorithm,
        pem: impl AsRef<[u8]>,
    ) -> Result<Self, ConfigError> {
        let refuse = |why: &'static str| ConfigError::new("introspection", why);
        let algorithm = theirs(algorithm);
        let key = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem.as_ref()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_ref()),
            _ => EncodingKey::from_rsa_pem(pem.as_ref()),
        };
        let wrong = "the PEM holds no private key of the algorithm's kind";
        let key = key.map_err(|_| refuse(wrong))?;
        let assertion = Self { algorithm, key, kid: None, audience: None };
        if assertion.is_short().map_err(refuse)? {
            return Err(refuse("the RSA key has fewer than 2048 bits"));
        }
        match assertion.signature(b"") {
            Ok(_) => Ok(assertion),
            Err(_) if BACK_END.is_none() => Err(refuse(NO_BACK_END)),
            Err(_) => Err(refuse(wrong)),
        }
    }

    /// The key's name in the assertion's header, by which the server finds the public half. Default: none.
    #[must_use]
    pub fn kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// The audience that the server expects: its issuer name, or the URL of its token endpoint. Default: the issuer
    /// where that is configured for discovery, else the URL that is asked.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// An assertion of this client for `audience`, unless another is set.
    pub(super) fn make(
        &self,
        client: &str,
        audience: &str,
        now: Duration,
    ) -> Result<String, BoxError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| "the system gives no random numbers")?;
        let mut header = json!({ "alg": self.algorithm, "typ": "JWT" });
        if let Some(kid) = &self.kid {
            header["kid"] = json!(kid);
        }
        let claims = json!({
            "iss": client,
            "sub": client,
            "aud": self.audience.as_deref().unwrap_or(audience),
            "jti": BASE64.encode(random),
            "iat": now.as_secs(),
            "exp": (now + LIFETIME).as_secs(),
        });
        let [header, claims] = [header, claims].map(|it| BASE64.encode(it.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = BASE64.encode(self.signature(signed.as_bytes())?);
        Ok(format!("{signed}.{signature}"))
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, BoxError> {
        let back_end = BACK_END.ok_or(NO_BACK_END)?;
        let signer = (back_end.signer_factory)(&self.algorithm, &self.key)?;
        Ok(signer.try_sign(message).map_err(|_| "the assertion could not be signed")?)
    }

    /// Whether it is an RSA key that is too short.
    fn is_short(&self) -> Result<bool, &'static str> {
        if matches!(self.algorithm, Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA) {
            return Ok(false);
        }
        let components = BACK_END.ok_or(NO_BACK_END)?.key_utils.rsa_pub_components_from_private_key;
        let (n, _) = components(self.key.as_bytes()).map_err(|_| "the RSA key is malformed")?;
        let zeros = n.iter().take_while(|it| **it == 0).count();
        let bits = n[zeros..].first().map_or(0, |it| 8 - it.leading_zeros() as usize)
            + (n.len() - zeros).saturating_sub(1) * 8;
        Ok(bits < MIN_RSA_BITS)
    }
}

impl fmt::Debug for ClientAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAssertion")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

const fn theirs(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::RS256 => Algorithm::RS256,
        SigningAlgorithm::RS384 => Algorithm::RS384,
        SigningAlgorithm::RS512 => Algorithm::RS512,
        SigningAlgorithm::PS256 => Algorithm::PS256,
        SigningAlgorithm::PS384 => Algorithm::PS384,
        SigningAlgorithm::PS512 => Algorithm::PS512,
        SigningAlgorithm::ES256 => Algorithm::ES256,
        SigningAlgorithm::ES384 => Algorithm::ES384,
        SigningAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::DecodingKey;

    use super::*;

    /// Keys of nobody's.
    const P256: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgacxe6a4SPF3zMdQz
p2kAbISLDXxmt8kQZW6Py1gS0auhRANCAAQlFSxpJlfbWGUtkgVgHTBb1z4urYHP
9dAK4YBLslKOr3cK/3N8zgXCIg6yNA8QuURQO03gVNgxQ9dekpZXJHcQ
-----END PRIVATE KEY-----
";
    const P256_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJRUsaSZX21hlLZIFYB0wW9c+Lq2B
z/XQCuGAS7JSjq93Cv9zfM4FwiIOsjQPELlEUDtN4FTYMUPXXpKWVyR3EA==
-----END PUBLIC KEY-----
";
    const RSA_1024: &str = "\
-----BEGIN PRIVATE KEY-----
MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBANhpx0XX1y2e1k5A
vaQ+11/NGGokGwhI02cxDndi3nt6KaafxWZHQtiMVRBt/VUBR2Yl2emwUhPL/JNY
EkebaSkIkeQ+d4GfsfUARw8qcLMHXsGql7mQ07+2d5FoIMfKeqaldrzZmGGrD3sa
Nyf1+eBSQDT6W8EPh7f0oRW9gJ+NAgMBAAECgYBj+QGQVzRVI9I2VhwFOu59mB5W
MhW2zwWx3uyi5C6I9hc1nQsww2yy4qkNLPJhiXS1UHkJRmW0NYCZhI71O2rpKzqt
Xtx9MRsmd5XN1rA9N/uqvKO/I3AyFTITo40iE+2Vs88QCJYb/mapOuU5uVHVqouf
7RCkgALxY+HRjW26YQJBAPHjxMDLEK9GVN5C3hziHBm/sS/fSSbXQuKn4wdUYb5k
VrdJ6f74uVZQXO63vDJ7SJWDHEyRtkM0O7W+m/HAY0kCQQDlCY8naJME/73F1CaH
nbnsyywcQ80n6N/IVdngxVDW6U4Va6kCVLvrOrHAzF9FERkxUzeSEx7+Wv/JL7L4
2hYlAkEArAOKboO5qLs+LRSmOSn+S71K9r01mx5nXSGAzDyQicF2/T7d3UjpG91o
SQZ2Gfwb4N7s5/KTB3WEpLkY0rE6qQJADFuHrcimpg5mXtYjfg20imIr7xp5Zz3Z
VSXMq6P5yJ6t59n3NHj96qMwFAby3PcfNNoYlXkSowal5mT8cxDRQQJBAJbJKw0t
PHF0AkQ7zI9f3/Ul1VUZk3ZtmK8LnTSwVgbYINo9g1ciSn6Htt1brw0cXnHcgCR7
r3zk1JWM2ourPyU=
-----END PRIVATE KEY-----
";

    #[test]
    fn it_is_signed_whatever_the_back_end() {
        let Some(back_end) = BACK_END else {
            let error = ClientAssertion::from_pem(SigningAlgorithm::ES256, P256).unwrap_err();
            return assert!(error.to_string().contains(NO_BACK_END));
        };
        let key = ClientAssertion::from_pem(SigningAlgorithm::ES256, P256).unwrap();
        let assertion = key.kid("k").make("gateway", "https://id.example", LIFETIME).unwrap();
        let (message, signature) = assertion.rsplit_once('.').unwrap();
        let public = DecodingKey::from_ec_pem(P256_PUBLIC.as_bytes()).unwrap();
        let verifier = (back_end.verifier_factory)(&Algorithm::ES256, &public).unwrap();
        let signature = BASE64.decode(signature).unwrap();
        assert!(verifier.verify(message.as_bytes(), &signature).is_ok());
        let header = BASE64.decode(message.split('.').next().unwrap()).unwrap();
        assert_eq!(header, br#"{"alg":"ES256","kid":"k","typ":"JWT"}"#);
    }

    #[test]
    fn a_short_rsa_key_is_refused() {
        for algorithm in [SigningAlgorithm::RS256, SigningAlgorithm::PS512] {
            assert!(ClientAssertion::from_pem(algorithm, RSA_1024).is_err());
        }
    }
}
