//! An issuer of tokens to try an example with; yours is your identity provider.

use std::{io, net::SocketAddr};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use axum::{Json, Router, routing::get};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Serves an app on a port of its own, for as long as the process lives.
pub(crate) async fn spawn(app: Router) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

/// An issuer with a key that was made a moment ago.
pub(crate) struct DemoIssuer {
    pair: EcdsaKeyPair,
}

impl DemoIssuer {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Self { pair: pair.expect("the system's random numbers") }
    }

    /// Publishes its key set, and where that is (OpenID Connect Discovery), on a port of its own. Returns its name.
    pub(crate) async fn publish(&self) -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let name = format!("http://{}", listener.local_addr()?);
        let metadata = json!({"issuer": name, "jwks_uri": format!("{name}/jwks.json")});
        let metadata = get(async move || Json(metadata));
        let app = self.jwks().route("/.well-known/openid-configuration", metadata);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(name)
    }

    /// Its key set, RFC 7517.
    pub(crate) fn jwks(&self) -> Router {
        let point = self.pair.public_key().as_ref(); // 0x04, x, y
        let [x, y] = [&point[1..33], &point[33..]].map(|it| BASE64_URL_SAFE_NO_PAD.encode(it));
        let key =
            json!({"kty":"EC","crv":"P-256","kid":"demo","alg":"ES256","use":"sig","x":x,"y":y});
        let set = json!({ "keys": [key] });
        Router::new().route("/jwks.json", get(async move || Json(set)))
    }

    /// A token for alice that is good for an hour.
    pub(crate) fn token(&self, issuer: &str, audience: &str, now: u64) -> String {
        self.sign(&json!({
            "iss": issuer, "aud": audience, "sub": "alice", "iat": now, "exp": now + 3_600,
        }))
    }

    /// A token of these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg":"ES256","kid":"demo","typ":"JWT"});
        let [header, claims] =
            [&header, claims].map(|it| BASE64_URL_SAFE_NO_PAD.encode(it.to_string()));
        let message = format!("{header}.{claims}");
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes());
        let signature = signature.expect("a fresh key signs");
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}
