//! Tokens and the keys that sign them, made when the tests run.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    hmac, rand,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
        RsaPublicKeyComponents,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as B64},
};
use serde_json::{Value, json};

/// The issuer and audience of [`claims`].
pub const ISSUER: &str = "https://id.example";
pub const AUDIENCE: &str = "orders";
/// The secret of [`hs256`].
pub const SECRET: [u8; 64] = [7; 64];
/// When the manual clock starts.
pub const NOW: u64 = 2_000_000_000;

/// Good claims for the manual clock's start; and for the system clock, until 2033.
pub fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": NOW + 300 })
}

/// Good claims with one of them set, or removed by `null`'s stand-in [`ABSENT`].
pub fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value == *ABSENT {
        true => claims.as_object_mut().unwrap().remove(name),
        false => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    claims
}

/// "Not there", in tables of claims.
pub static ABSENT: LazyLock<Value> = LazyLock::new(|| json!("\u{0}absent"));

/// A token that is signed with [`SECRET`].
pub fn hs256(claims: &Value) -> String {
    Signer::secret("HS256", &SECRET).token(claims)
}

/// The compact form of these parts.
pub fn compact(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", B64.encode(header), B64.encode(claims));
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", B64.encode(signature))
}

/// A key pair or a secret, with an algorithm and a `kid`.
pub struct Signer {
    pub kid: Option<String>,
    pub alg: &'static str,
    key: Private,
}

enum Private {
    Secret(Vec<u8>),
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    pub fn secret(alg: &'static str, secret: &[u8]) -> Self {
        Self::new(alg, Private::Secret(secret.to_vec()))
    }

    /// A new key pair for any public-key algorithm.
    pub fn generate(alg: &'static str) -> Self {
        Self::new(
            alg,
            match alg {
                "ES256" => {
                    Private::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
                }
                "ES384" => {
                    Private::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
                }
                "EdDSA" => Private::Ed(Ed25519KeyPair::generate().unwrap()),
                _ => Private::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
            },
        )
    }

    fn new(alg: &'static str, key: Private) -> Self {
        Self { kid: None, alg, key }
    }

    /// The same with a name.
    pub fn kid(mut self, kid: &str) -> Self {
        self.kid = Some(kid.to_owned());
        self
    }

    pub fn header(&self) -> Value {
        let mut header = json!({ "alg": self.alg, "typ": "JWT" });
        if let Some(kid) = &self.kid {
            header["kid"] = json!(kid);
        }
        header
    }

    pub fn token(&self, claims: &Value) -> String {
        self.token_with(&self.header(), claims)
    }

    /// A token with this header, signed all the same by the key's own algorithm.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.raw(&header.to_string(), &claims.to_string())
    }

    /// A token of these texts, which need not be JSON.
    pub fn raw(&self, header: &str, claims: &str) -> String {
        compact(header, claims, |message| self.sign(message))
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = rand::SystemRandom::new();
        match &self.key {
            Private::Secret(secret) => {
                let algorithm = match self.alg {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(algorithm, secret), message).as_ref().to_vec()
            }
            Private::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match self.alg {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Private::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Private::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The same key under another algorithm of its kind.
    pub fn signing_as(mut self, alg: &'static str) -> Self {
        self.alg = alg;
        self
    }

    /// The public key as a JWK with `alg` and `use`; a secret as an `oct` key.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.key {
            Private::Secret(secret) => json!({ "kty": "oct", "k": B64.encode(secret) }),
            Private::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": B64.encode(public.n), "e": B64.encode(public.e) })
            }
            Private::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let crv = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": crv, "x": B64.encode(x), "y": B64.encode(y) })
            }
            Private::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": B64.encode(pair.public_key()) })
            }
        };
        jwk["alg"] = json!(self.alg);
        jwk["use"] = json!("sig");
        if let Some(kid) = &self.kid {
            jwk["kid"] = json!(kid);
        }
        jwk
    }

    /// The public key as a SubjectPublicKeyInfo.
    pub fn der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match &self.key {
            Private::Secret(_) => unreachable!("a secret has no public key"),
            Private::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Private::Ec(pair) => pair.public_key().as_der().unwrap(),
            Private::Ed(pair) => pair.public_key().as_der().unwrap(),
        };
        der.as_ref().to_vec()
    }

    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.der())
    }

    /// The private key as PKCS#8.
    pub fn private_pem(&self) -> String {
        let der = match &self.key {
            Private::Secret(_) => unreachable!("a secret has no key pair"),
            Private::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).unwrap().as_ref().to_vec(),
            Private::Ec(pair) => pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
            Private::Ed(pair) => pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
        };
        pem("PRIVATE KEY", &der)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|it| str::from_utf8(it).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The public keys as a JWKS document.
pub fn jwks<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> String {
    let keys: Vec<_> = signers.into_iter().map(Signer::jwk).collect();
    json!({ "keys": keys }).to_string()
}

/// RS256, `kid` "rsa"; made once, since that takes a while.
pub fn rs256() -> &'static Signer {
    static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::generate("RS256").kid("rsa"));
    &SIGNER
}

/// ES256, `kid` "ec".
pub fn es256() -> &'static Signer {
    static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::generate("ES256").kid("ec"));
    &SIGNER
}
