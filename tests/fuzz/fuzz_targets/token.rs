//! One token verifies, in one spelling; and of what the issuer has signed only what holds by another reading.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tower_gateway::{
    Identity,
    auth::jwt::{Algorithm, Issuer, JwtLayer, KeySet},
    clock::Clock,
};
use tower_gateway_fuzz::inside;

const SECRET: [u8; 32] = [7; 32];
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT","kid":"a"}"#;
const CLAIMS: &str = r#"{"iss":"id","aud":["api","b"],"sub":"ada","exp":2000000300,"scope":"r w"}"#;
/// Where the manual clock stands, and the leeway.
const NOW: f64 = 2_000_000_000.0;
const LEEWAY: f64 = 60.0;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// Anything after `Bearer`.
    Sent(&'a [u8]),
    /// The good token, with these octets in place of some of its own.
    Bent { at: u16, remove: u8, insert: &'a [u8] },
    /// Signed by the issuer, whatever it is.
    Signed { header: Option<&'a [u8]>, claims: &'a [u8] },
    /// The good header and claims, with these octets in place of some of their own, signed.
    Edited { header: bool, at: u8, remove: u8, insert: &'a [u8] },
}

static GOOD: LazyLock<String> = LazyLock::new(|| signed(HEADER.as_bytes(), CLAIMS.as_bytes()));

static LAYER: LazyLock<JwtLayer> = LazyLock::new(|| {
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET).expect("long enough");
    let layer = JwtLayer::new(Issuer::new("id", keys).audience("api")).expect("an audience");
    let layer = layer.clock(Clock::manual().0);
    layer.forward_claim("sub", "x-auth-sub").expect("a name of ours")
});

fuzz_target!(|input: Input<'_>| match input {
    Input::Sent(token) => only_the_good_one(token),
    Input::Bent { at, remove, insert } => {
        only_the_good_one(&edited(GOOD.as_bytes(), at.into(), remove.into(), insert));
    }
    Input::Signed { header, claims } => holds(header.unwrap_or(HEADER.as_bytes()), claims),
    Input::Edited { header, at, remove, insert } => {
        let edit = |text: &str| edited(text.as_bytes(), at.into(), remove.into(), insert);
        match header {
            true => holds(&edit(HEADER), CLAIMS.as_bytes()),
            false => holds(HEADER.as_bytes(), &edit(CLAIMS)),
        }
    }
});

fn only_the_good_one(token: &[u8]) {
    // RFC 9110 §11.4: one space or more, and of spaces only.
    let first = token.iter().position(|byte| *byte != b' ').unwrap_or(token.len());
    assert_eq!(verified(token).is_some(), token[first..] == *GOOD.as_bytes());
}

/// What verifies holds when a parser that forgives more reads it.
fn holds(header: &[u8], claims: &[u8]) {
    let Some(who) = verified(signed(header, claims).as_bytes()) else {
        assert!((header, claims) != (HEADER.as_bytes(), CLAIMS.as_bytes()), "the good one");
        return;
    };
    let header: Value = serde_json::from_slice(header).expect("JSON");
    let claims: Value = serde_json::from_slice(claims).expect("JSON");
    assert_eq!(header["alg"], "HS256");
    for extension in ["crit", "b64", "enc", "zip"] {
        assert!(header.get(extension).is_none());
    }
    let aud = &claims["aud"];
    let is_for_us = |it: &Value| it == "api";
    assert!(is_for_us(aud) || aud.as_array().is_some_and(|it| it.iter().any(is_for_us)));
    assert_eq!(claims["iss"], "id");
    assert!(claims["exp"].as_f64().is_some_and(|exp| NOW < exp + LEEWAY));
    for start in ["nbf", "iat"] {
        let start = claims.get(start);
        assert!(
            start.is_none_or(|it| it.is_null() || it.as_f64().is_some_and(|it| it <= NOW + LEEWAY))
        );
    }
    assert_eq!(who.subject(), claims["sub"].as_str().unwrap_or_default());
}

fn verified(token: &[u8]) -> Option<Identity> {
    let mut request = Request::new(());
    let value = HeaderValue::from_bytes(&[b"Bearer ", token].concat()).ok()?;
    request.headers_mut().insert("authorization", value);
    let request = inside(&*LAYER, request)
        .inspect_err(|no| assert!([400, 401].contains(&no.as_u16())))
        .ok()?;
    assert!(!request.headers().contains_key("authorization"), "the token went on");
    Some(request.extensions().get::<Identity>().expect("who was admitted is known").clone())
}

fn signed(header: &[u8], claims: &[u8]) -> String {
    let message = format!("{}.{}", B64.encode(header), B64.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &SECRET), message.as_bytes());
    format!("{message}.{}", B64.encode(tag))
}

fn edited(text: &[u8], at: usize, remove: usize, insert: &[u8]) -> Vec<u8> {
    let at = at % (text.len() + 1);
    let end = (at + remove).min(text.len());
    [&text[..at], insert, &text[end..]].concat()
}
