//! A key set is read or refused; one that is read has keys, and they can be used.
#![no_main]

use http::{HeaderValue, Request, StatusCode};
use libfuzzer_sys::fuzz_target;
use tower_gateway::auth::jwt::{Issuer, JwtLayer, KeySet};
use tower_gateway_fuzz::inside;

/// `{"alg":…}` for several, `{"iss":"id","aud":"api","exp":99999999999}`, and no signature of anyone.
const CLAIMS: &str = "eyJpc3MiOiJpZCIsImF1ZCI6ImFwaSIsImV4cCI6OTk5OTk5OTk5OTl9";
const HEADERS: [&str; 4] = [
    "eyJhbGciOiJSUzI1NiJ9", // RS256
    "eyJhbGciOiJFUzI1NiJ9", // ES256
    "eyJhbGciOiJFZERTQSJ9", // EdDSA
    "eyJhbGciOiJIUzI1NiJ9", // HS256
];

fuzz_target!(|text: &str| {
    let _ = KeySet::from_pem(tower_gateway::auth::jwt::Algorithm::RS256, text);
    for keys in [KeySet::from_jwk(text), KeySet::from_jwks(text)].into_iter().flatten() {
        assert!(!keys.is_empty() && keys.len() <= 256);
        let layer = JwtLayer::new(Issuer::new("id", keys).audience("api")).expect("an audience");
        for header in HEADERS {
            let token = format!("Bearer {header}.{CLAIMS}.{}", "A".repeat(86));
            let mut request = Request::new(());
            let value = HeaderValue::try_from(token).expect("ASCII");
            request.headers_mut().insert("authorization", value);
            assert_eq!(inside(&layer, request).err(), Some(StatusCode::UNAUTHORIZED));
        }
    }
});
