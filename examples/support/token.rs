//! Tokens to try an example with; yours come from your issuer.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// These claims, signed with HS256.
pub(crate) fn hs256(secret: &[u8], claims: &str) -> String {
    let [header, claims] =
        [r#"{"alg":"HS256","typ":"JWT"}"#, claims].map(|it| BASE64_URL_SAFE_NO_PAD.encode(it));
    let message = format!("{header}.{claims}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}
