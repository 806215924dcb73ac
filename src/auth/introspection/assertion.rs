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
