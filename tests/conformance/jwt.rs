//! RFC 7515, 7519, 8037, 8725, 9068 and the forgeries that are known, against real keys.
//!
//! | section | what | test |
//! |---|---|---|
//! | RFC 7515 §2, §5.2 (2) | one spelling of base64url | `jwt_03`, `jwt_14`, `no_mutation_of_a_token_verifies` |
//! | §4, §5.2 (3, 4) | members once, UTF-8, one object | `jwt_13` |
//! | §4.1.1, §5.2 (5) | the algorithm is one that is known | `jwt_01` |
//! | §4.1.2, §4.1.3, §4.1.5, §4.1.6 | no key of the token's own | `jwt_04`, `jwt_06`, `rfc_8725_3_10` |
//! | §4.1.4 | `kid` | `jwt_05` |
//! | §4.1.9 | `typ` as a media type | `jwt_20` |
//! | §4.1.11; RFC 7797 §6 | critical extensions | `jwt_11` |
//! | §5.2 (8) | the signature | `jwt_03` |
//! | §7.2 | the JSON serialization is none | `jwt_12` |
//! | RFC 7519 §2, §4.1.4–§4.1.6 | dates | `jwt_07_to_10`, `jwt_23` |
//! | §4.1.1–§4.1.3 | `iss`, `sub`, `aud` | `jwt_07_to_10`, `jwt_21` |
//! | §4.1.7 | `jti` | `the_name_of_a_token` |
//! | §6 | unsecured tokens | `jwt_01`, `the_examples_of_rfc_7515` (A.5) |
//! | §7.2 | claims are one object, of no unknown type | `jwt_13` |
//! | RFC 8037 A.4 | Ed25519 | `the_key_of_rfc_8037`, `every_algorithm` |
//! | RFC 8725 §2.1, §3.1 | a key serves one algorithm | `jwt_02`, `jwt_04e` |
//! | §2.2, §3.5 | weak keys | `keys_that_are_refused` |
//! | §3.2 | algorithms are chosen | `jwt_04e` |
//! | §3.3 | every operation is verified | `jwt_03` |
//! | §3.4 | points off the curve | `jwks_06` |
//! | §3.6, §2.4 | neither compression nor encryption | `jwt_12` |
//! | §3.7 | UTF-8 | `jwt_13` |
//! | §3.8, §3.9 | issuer, subject, audience | `jwt_07_to_10`, `jwt_21` |
//! | §3.10 | what a token says leads nowhere | `jwt_05`, `jwt_06`, `jwt_17`, `rfc_8725_3_10` |
//! | §3.11, §3.12 | kinds of tokens are kept apart | `jwt_20` |
//! | RFC 9068 §2.1, §2.2, §4 | access tokens | `jwt_20_access_tokens_of_rfc_9068` |

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http::{HeaderValue, Request, Response};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;
use tower::{Layer, ServiceExt};
use tower_gateway::{
    auth::jwt::{Algorithm, Issuer, JwtLayer, KeySet},
    body::Body,
    clock::{Clock, ManualClock},
};

use crate::support::{
    self,
    tokens::{
        self, ABSENT, AUDIENCE, ISSUER, NOW, SECRET, Signer, claims, claims_with, es256, hs256,
        rs256,
    },
};

type Answer = Response<Body<http_body_util::Full<bytes::Bytes>>>;

/// A layer that trusts the RSA and the EC key, and its clock.
fn public_keys() -> (JwtLayer, ManualClock) {
    let keys = KeySet::from_jwks(tokens::jwks([rs256(), es256()])).unwrap();
    layer(Issuer::new(ISSUER, keys).audience(AUDIENCE))
}

fn secret() -> JwtLayer {
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET).unwrap();
    layer(Issuer::new(ISSUER, keys).audience(AUDIENCE)).0
}

fn layer(issuer: Issuer) -> (JwtLayer, ManualClock) {
    let (clock, time) = Clock::manual();
    (JwtLayer::new(issuer).unwrap().clock(clock), time)
}

async fn answer(layer: &JwtLayer, token: &str) -> Answer {
    let mut request = support::get("/");
    let field = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    request.headers_mut().insert("authorization", field);
    layer.layer(support::echo()).oneshot(request).await.unwrap()
}

async fn assert_accepted(layer: &JwtLayer, token: &str) {
    let answer = answer(layer, token).await;
    assert_eq!(answer.status(), 200, "{:?}", answer.headers());
}

/// 401 with a challenge that says so, and without the token.
async fn assert_refused(layer: &JwtLayer, token: &str, row: &str) {
    let answer = answer(layer, token).await;
    assert_eq!(answer.status(), 401, "{row}");
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.contains("error=\"invalid_token\""), "{row}: {challenge}");
    let all = format!("{challenge}{}", support::text(answer).await);
    assert!(token.len() < 8 || !all.contains(token), "{row}");
}

// === what is accepted ===

#[tokio::test]
async fn jwt_00_good_tokens_in_all_their_forms() {
    let (layer, _) = public_keys();
    for signer in [rs256(), es256()] {
        assert_accepted(&layer, &signer.token(&claims())).await;
        let good = [
            ("aud", json!(["other", AUDIENCE])),
            ("exp", json!(NOW as f64 + 60.5)),
            ("nbf", json!(NOW + 59)),
            ("anything", json!({ "deep": [null, 1.5e3, "\u{e9}\u{0}"] })),
            ("sub", ABSENT.clone()),
        ];
        for (name, value) in good {
            assert_accepted(&layer, &signer.token(&claims_with(name, value))).await;
        }
        let mut header = signer.header();
        header["x"] = json!({ "y": [1] });
        header["x5t"] = json!(5);
        assert_accepted(&layer, &signer.token_with(&header, &claims())).await;
    }
}

#[tokio::test]
async fn every_algorithm_verifies_by_jwk_and_by_pem() {
    for algorithm in Algorithm::ALL {
        let alg = algorithm.name();
        let signer = match alg.starts_with("HS") {
            true => Signer::secret(alg, &SECRET),
            false => Signer::generate(alg),
        };
        let token = signer.token(&claims());
        let mut keys = vec![KeySet::from_jwk(signer.jwk().to_string()).unwrap()];
        keys.push(match alg.starts_with("HS") {
            true => KeySet::from_secret(algorithm, SECRET).unwrap(),
            false => KeySet::from_pem(algorithm, signer.pem()).unwrap(),
        });
        for keys in keys {
            let (layer, _) = layer(Issuer::new(ISSUER, keys).audience(AUDIENCE));
            assert_accepted(&layer, &token).await;
            let mut signature = token.clone().into_bytes();
            let at = signature.len() - 10;
            signature[at] = if signature[at] == b'A' { b'B' } else { b'A' };
            assert_refused(&layer, &String::from_utf8(signature).unwrap(), alg).await;
        }
    }
}

/// With both back ends on, the library beneath panics for whoever asks for the provider of the process.
#[cfg(all(feature = "crypto-aws-lc", feature = "crypto-rust"))]
#[tokio::test]
async fn the_provider_of_the_process_is_never_asked() {
    let theirs = || {
        jsonwebtoken::crypto::sign(
            b"",
            &jsonwebtoken::EncodingKey::from_secret(&SECRET),
            jsonwebtoken::Algorithm::HS256,
        )
    };
    assert!(
        std::panic::catch_unwind(theirs).is_err(),
        "there is a provider, so this tests nothing"
    );
    let (layer, _) = public_keys();
    for signer in [rs256(), es256()] {
        assert_accepted(&layer, &signer.token(&claims())).await;
        assert_refused(&layer, &Signer::generate("ES256").token(&claims()), "another key").await;
    }
    assert_accepted(&secret(), &hs256(&claims())).await;
}

/// RFC 7519 §3.1 is the token of RFC 7515 A.1, in which `exp` is 1300819380 and `iss` is joe.
#[tokio::test]
async fn the_examples_of_rfc_7515() {
    let a1 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let a1_key = r#"{"kty":"oct","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    let a2 = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let a2_key = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
    let a3 = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let a3_key = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    for (token, key) in [(a1, a1_key), (a2, a2_key), (a3, a3_key)] {
        let keys = KeySet::from_jwk(key).unwrap();
        let (layer, time) = layer(Issuer::new("joe", keys).any_audience());
        time.set_unix(Duration::from_secs(1_300_819_380));
        assert_accepted(&layer, token).await;
        time.set_unix(Duration::from_secs(1_300_819_440));
        assert_refused(&layer, token, "after its leeway").await;
    }
    // A.5: the same claims, unsecured
    let a5 = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    let (layer, _) = layer(Issuer::new("joe", KeySet::from_jwk(a3_key).unwrap()).any_audience());
    assert_refused(&layer, a5, "A.5").await;
}

/// Its payload is no JSON, so it is no JWT: the signature of the example is checked through its key.
#[tokio::test]
async fn the_key_of_rfc_8037() {
    let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let a4 = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let (layer, _) = layer(Issuer::new("a", KeySet::from_jwk(key).unwrap()).any_audience());
    let answer = answer(&layer, a4).await;
    let problem = support::assert_problem(answer, 401, "unauthenticated").await;
    assert_eq!(problem["detail"], "The token's claims are malformed.");
}

// === what is refused ===

#[tokio::test]
async fn jwt_01_no_algorithm() {
    let (layer, _) = public_keys();
    for alg in [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!(""),
        json!(["RS256"]),
        json!(null),
    ] {
        let header = json!({ "alg": alg, "kid": "rsa" }).to_string();
        let signed = format!("{}.{}", B64.encode(&header), B64.encode(claims().to_string()));
        for token in
            [format!("{signed}."), signed.clone(), rs256().raw(&header, &claims().to_string())]
        {
            assert_refused(&layer, &token, &header).await;
        }
    }
    assert_refused(&layer, &rs256().raw(r#"{"kid":"rsa"}"#, &claims().to_string()), "absent").await;
}

#[tokio::test]
async fn jwt_02_a_public_key_is_no_secret() {
    let (layer, _) = public_keys();
    let modulus = B64.decode(rs256().jwk()["n"].as_str().unwrap()).unwrap();
    let der = rs256().der();
    let pkcs1 = der[24..].to_vec();
    for secret in [rs256().pem().into_bytes(), der, pkcs1, modulus, vec![]] {
        for alg in ["HS256", "HS384", "HS512"] {
            for kid in ["rsa", "ec", "none of both"] {
                let forged = Signer::secret(alg, &secret).kid(kid).token(&claims());
                assert_refused(&layer, &forged, alg).await;
            }
            assert_refused(&layer, &Signer::secret(alg, &secret).token(&claims()), alg).await;
        }
    }
}

#[tokio::test]
async fn jwt_03_broken_signatures() {
    let (layer, _) = public_keys();
    for signer in [rs256(), es256()] {
        let token = signer.token(&claims());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = signed.split_once('.').unwrap();
        let bytes = B64.decode(signature).unwrap();
        let half = B64.encode(&bytes[..bytes.len() / 2]);
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let other = B64.encode(claims_with("sub", json!("root")).to_string());
        for forged in [
            format!("{signed}.{half}"),
            format!("{signed}."),
            format!("{signed}.{}", B64.encode(flipped)),
            format!("{header}.{other}.{signature}"),
            format!("{signed}.{signature}{signature}"),
            format!("{signed}.{signature}="),
            format!("{signed}.{}", B64.encode(vec![0; bytes.len()])), // CVE-2022-21449
        ] {
            assert_refused(&layer, &forged, signer.alg).await;
        }
    }
}

#[tokio::test]
async fn jwt_04_a_token_does_not_bring_its_key() {
    let (layer, _) = public_keys();
    let attacker = Signer::generate("RS256").kid("rsa");
    let mut header = attacker.header();
    assert_refused(&layer, &attacker.token(&claims()), "our kid").await;
    header["jwk"] = attacker.jwk();
    header["x5c"] = json!(["MIIB"]);
    assert_refused(&layer, &attacker.token_with(&header, &claims()), "jwk").await;
    header.as_object_mut().unwrap().remove("kid");
    assert_refused(&layer, &attacker.token_with(&header, &claims()), "jwk, no kid").await;
}

#[tokio::test]
async fn jwt_04e_a_key_serves_one_algorithm() {
    let (layer, _) = public_keys();
    // the real key, another algorithm of its kind
    let key = Signer::generate("RS256").kid("k");
    let own = KeySet::from_jwk(key.jwk().to_string()).unwrap();
    let (bound, _) = self::layer(Issuer::new(ISSUER, own).audience(AUDIENCE));
    let mut unnamed = key.jwk();
    unnamed.as_object_mut().unwrap().remove("alg");
    let issuer =
        || Issuer::new(ISSUER, KeySet::from_jwk(unnamed.to_string()).unwrap()).audience(AUDIENCE);
    let (default, _) = self::layer(issuer());
    let (chosen, _) = self::layer(issuer().algorithms([Algorithm::PS256]));
    assert_accepted(&default, &key.token(&claims())).await;
    assert_refused(&chosen, &key.token(&claims()), "not chosen").await;
    let key = key.signing_as("PS256");
    assert_refused(&bound, &key.token(&claims()), "published as RS256").await;
    assert_refused(&default, &key.token(&claims()), "RS256 by default").await;
    assert_accepted(&chosen, &key.token(&claims())).await;
    // an EC header over an RSA kid, and the reverse
    let mut header = es256().header();
    header["kid"] = json!("rsa");
    assert_refused(&layer, &es256().token_with(&header, &claims()), "kid of RSA").await;
}

#[tokio::test]
async fn jwt_05_unknown_names() {
    let (layer, _) = public_keys();
    let stranger = Signer::generate("ES256");
    for kid in [
        json!("unknown"),
        json!("../../dev/null"),
        json!("' OR 1=1 --"),
        json!(1),
        json!(["rsa"]),
        json!("k".repeat(5_000)),
        json!(null),
        json!("rsa\u{0}"),
        json!("RSA"),
        ABSENT.clone(),
    ] {
        let mut header = json!({ "alg": "ES256", "kid": kid });
        if kid == *ABSENT {
            header.as_object_mut().unwrap().remove("kid");
        }
        assert_refused(&layer, &stranger.token_with(&header, &claims()), &header.to_string()).await;
    }
    // without a kid the keys that fit are tried
    assert_accepted(&layer, &rs256().token_with(&json!({ "alg": "RS256" }), &claims())).await;
}

#[tokio::test]
async fn rfc_8725_3_10_a_token_that_brings_a_key_is_refused_even_if_it_does_not_need_it() {
    let signer = rs256();
    let issuer = || {
        let keys = KeySet::from_jwk(signer.jwk().to_string()).unwrap();
        Issuer::new(ISSUER, keys).audience(AUDIENCE)
    };
    let (strict, _) = layer(issuer());
    let (lenient, _) = layer(issuer().ignore_brought_keys());
    for (member, value) in [
        ("jwk", signer.jwk()),
        ("jku", json!("https://id.example/jwks")),
        ("x5c", json!(["MIIB"])),
        ("x5u", json!("https://id.example/x509")),
    ] {
        let mut header = signer.header();
        header[member] = value;
        let token = signer.token_with(&header, &claims());
        assert_refused(&strict, &token, member).await;
        assert_accepted(&lenient, &token).await;
    }
    let mut header = signer.header();
    header["x5t"] = json!("a thumbprint, which is no key");
    assert_accepted(&strict, &signer.token_with(&header, &claims())).await;
}

#[tokio::test]
async fn jwt_06_no_connection_to_where_a_token_points() {
    let canary = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", canary.local_addr().unwrap());
    let (layer, _) = public_keys();
    let attacker = Signer::generate("RS256");
    for member in ["jku", "x5u"] {
        for kid in ["rsa", "evil"] {
            let header = json!({ "alg": "RS256", "kid": kid, member: url });
            assert_refused(&layer, &attacker.token_with(&header, &claims()), member).await;
        }
    }
    assert_refused(&layer, &attacker.token(&claims_with("iss", json!(url))), "iss").await;
    assert_refused(&layer, &rs256().token(&claims_with("iss", json!(url))), "iss").await;
    let waiting = std::pin::pin!(canary.accept());
    assert!(futures_util::FutureExt::now_or_never(waiting).is_none());
}

/// Each claim at each value, signed by a good key.
#[tokio::test]
async fn jwt_07_to_10_claims() {
    let (layer, _) = public_keys();
    let hour = NOW + 3600;
    let rows: Vec<(&str, Vec<Value>)> = vec![
        (
            "exp",
            vec![
                json!(NOW - 61),
                json!(NOW - 60),
                json!(hour.to_string()),
                ABSENT.clone(),
                json!(null),
                json!(-1),
                json!(true),
                json!({}),
                json!([hour]),
                json!(0),
            ],
        ),
        ("nbf", vec![json!(hour), json!(NOW.to_string()), json!([NOW]), json!(null), json!(false)]),
        ("iat", vec![json!(hour), json!("now"), json!({})]),
        (
            "iss",
            vec![
                json!("https://evil.example"),
                ABSENT.clone(),
                json!("https://id.example/"),
                json!("https://id.exampl"),
                json!("HTTPS://ID.EXAMPLE"),
                json!([ISSUER]),
                json!(null),
                json!(""),
                json!(1),
            ],
        ),
        (
            "aud",
            vec![
                json!("other"),
                ABSENT.clone(),
                json!([]),
                json!("order"),
                json!("orders2"),
                json!("Orders"),
                json!({ "orders": 1 }),
                json!([["orders"]]),
                json!(""),
                json!(null),
                json!(5),
                json!(["x", 5]),
            ],
        ),
        ("sub", vec![json!(1), json!(null), json!(["alice"])]),
    ];
    for (name, values) in rows {
        for value in values {
            let token = es256().token(&claims_with(name, value.clone()));
            assert_refused(&layer, &token, &format!("{name}: {value}")).await;
        }
    }
    let header = es256().header().to_string();
    let endless = claims().to_string().replace("2000000300", "1e400");
    assert_refused(&layer, &es256().raw(&header, &endless), "exp: 1e400").await;
}

#[tokio::test]
async fn jwt_11_critical_extensions() {
    let (layer, _) = public_keys();
    for (name, value) in [
        ("crit", json!(["x"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!("exp")),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("b64", json!(true)),
    ] {
        let mut header = rs256().header();
        header[name] = value;
        assert_refused(&layer, &rs256().token_with(&header, &claims()), &header.to_string()).await;
    }
    let header = json!({ "alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": false });
    assert_refused(&layer, &rs256().token_with(&header, &claims()), "RFC 7797").await;
}

#[tokio::test]
async fn jwt_12_other_serializations() {
    let (layer, _) = public_keys();
    let jwe = json!({ "alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": i32::MAX, "p2s": "AAAA", "zip": "DEF" });
    let five = format!("{}.AAAA.AAAA.AAAA.AAAA", B64.encode(jwe.to_string()));
    assert_refused(&layer, &five, "five parts").await;
    let mut header = rs256().header();
    header["zip"] = json!("DEF");
    assert_refused(&layer, &rs256().token_with(&header, &claims()), "zip").await;
    assert_refused(&layer, &rs256().token_with(&jwe, &claims()), "JWE header").await;
    assert_refused(&layer, r#"{"payload":"e30","signatures":[]}"#, "JSON").await;
}

#[tokio::test]
async fn jwt_13_hostile_json() {
    let (layer, _) = public_keys();
    let (good_header, good) = (rs256().header().to_string(), claims().to_string());
    let twice = |json: &str, member: &str| json.replacen('{', &format!("{{{member},"), 1);
    for (header, claims) in [
        (twice(&good_header, r#""alg":"RS256""#), good.clone()),
        (twice(&good_header, r#""x":1,"x":1"#), good.clone()),
        (twice(&good_header, r#""\u0061lg":"none""#), good.clone()),
        (good_header.clone(), twice(&good, r#""exp":9999999999"#)),
        (good_header.clone(), twice(&good, r#""x":1,"x":2"#)),
        (good_header.clone(), "[]".into()),
        (good_header.clone(), "\"text\"".into()),
        (good_header.clone(), format!("{good}{good}")),
        (good_header.clone(), String::new()),
        (twice(&good_header, &format!("\"x\":{}", "[".repeat(2_000))), good.clone()),
        (
            twice(&good_header, &format!("\"x\":{}{}", "[".repeat(1_000), "]".repeat(1_000))),
            good.clone(),
        ),
        (
            good_header.clone(),
            twice(&good, &format!("\"x\":{}{}", "[".repeat(1_000), "]".repeat(1_000))),
        ),
        (format!("\u{feff}{good_header}"), good.clone()),
    ] {
        assert_refused(&layer, &rs256().raw(&header, &claims), &header).await;
    }
    let signed = format!("{}.{}", B64.encode(&good_header), B64.encode(b"{\"sub\":\"\xff\"}"));
    let token = format!("{signed}.{}", B64.encode(rs256().sign(signed.as_bytes())));
    assert_refused(&layer, &token, "invalid UTF-8").await;
}

#[tokio::test]
async fn jwt_14_sizes_and_spellings() {
    let (layer, _) = public_keys();
    let long = rs256().token(&claims_with("x", json!("a".repeat(64 * 1024))));
    assert_refused(&layer, &long, "64 KiB").await;
    assert_refused(&layer, &".".repeat(40_000), "dots").await;
    let token = rs256().token(&claims());
    for spelling in [
        token.replacen('.', "..", 1),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}="),
    ] {
        assert_refused(&layer, &spelling, &spelling).await;
    }
}

#[tokio::test]
async fn jwt_20_the_type_of_a_token() {
    let keys = KeySet::from_jwks(tokens::jwks([rs256()])).unwrap();
    let (layer, _) = layer(Issuer::new(ISSUER, keys).audience(AUDIENCE).typ("at+jwt"));
    for (typ, accepted) in [
        (json!("at+jwt"), true),
        (json!("application/at+jwt"), true),
        (json!("AT+JWT"), true),
        (json!("JWT"), false),
        (json!("logout+jwt"), false),
        (json!(""), false),
        (json!(1), false),
    ] {
        let mut header = rs256().header();
        header["typ"] = typ;
        let token = rs256().token_with(&header, &claims());
        match accepted {
            true => assert_accepted(&layer, &token).await,
            false => assert_refused(&layer, &token, &header.to_string()).await,
        }
    }
}

/// RFC 9068 §2.1, §2.2 and §4.
#[tokio::test]
async fn jwt_20_access_tokens_of_rfc_9068() {
    let keys = KeySet::from_jwks(tokens::jwks([rs256()])).unwrap();
    let (layer, _) = layer(Issuer::new(ISSUER, keys).audience(AUDIENCE).access_tokens());
    let mut header = rs256().header();
    header["typ"] = json!("at+jwt");
    let good = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "client_id": "shop", "jti": "1",
        "iat": NOW, "exp": NOW + 300
    });
    assert_accepted(&layer, &rs256().token_with(&header, &good)).await;
    assert_refused(&layer, &rs256().token(&good), "typ: JWT").await;
    for name in good.as_object().unwrap().keys() {
        for value in [None, Some(Value::Null)] {
            let mut claims = good.clone();
            match value {
                None => _ = claims.as_object_mut().unwrap().remove(name),
                Some(null) => claims[name] = null,
            }
            assert_refused(&layer, &rs256().token_with(&header, &claims), name).await;
        }
    }
    header.as_object_mut().unwrap().remove("typ");
    assert_refused(&layer, &rs256().token_with(&header, &good), "no typ").await;
}

/// RFC 7519 §4.1.7: a `jti` is a string.
#[tokio::test]
async fn the_name_of_a_token() {
    let (layer, _) = public_keys();
    assert_accepted(&layer, &es256().token(&claims_with("jti", json!("b5c1")))).await;
    for jti in [json!(1), json!(null), json!(["a"]), json!({})] {
        assert_refused(&layer, &es256().token(&claims_with("jti", jti)), "jti").await;
    }
}

#[tokio::test]
async fn jwt_21_issuers_do_not_share_keys() {
    let (clock, _time) = Clock::manual();
    let (a, b) = (Signer::generate("ES256").kid("k"), Signer::generate("ES256").kid("k"));
    let issuer = |name: &str, signer: &Signer, audience: &str| {
        Issuer::new(name, KeySet::from_jwk(signer.jwk().to_string()).unwrap()).audience(audience)
    };
    let layer =
        JwtLayer::any_of([issuer("a", &a, "x"), issuer("b", &b, "y")]).unwrap().clock(clock);
    let token = |signer: &Signer, iss: &str, aud: &str| {
        signer.token(&json!({ "iss": iss, "aud": aud, "exp": NOW + 1 }))
    };
    assert_accepted(&layer, &token(&a, "a", "x")).await;
    assert_accepted(&layer, &token(&b, "b", "y")).await;
    for (signer, iss, aud) in
        [(&a, "b", "y"), (&b, "a", "x"), (&a, "a", "y"), (&b, "b", "x"), (&a, "c", "x")]
    {
        assert_refused(&layer, &token(signer, iss, aud), iss).await;
    }
}

#[tokio::test]
async fn jwt_23_clocks_that_disagree_and_step() {
    let (layer, time) = public_keys();
    let token = rs256().token(&json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "nbf": NOW, "exp": NOW + 30
    }));
    for (at, accepted) in [
        (NOW, true),
        (NOW - 60, true),
        (NOW - 90, false),
        (NOW + 89, true),
        (NOW + 90, false),
        (NOW - 3600, false),
        (NOW, true),
        (0, false),
        (NOW + 3600, false),
        (NOW, true),
    ] {
        time.set_unix(Duration::from_secs(at));
        match accepted {
            true => assert_accepted(&layer, &token).await,
            false => assert_refused(&layer, &token, &at.to_string()).await,
        }
    }
    time.set_unix(Duration::MAX);
    assert_refused(&layer, &token, "the end of time").await;
}

// === keys ===

#[test]
fn keys_that_are_refused() {
    assert!(KeySet::from_secret(Algorithm::HS256, [0; 31]).is_err());
    assert!(KeySet::from_secret(Algorithm::HS384, [0; 47]).is_err());
    assert!(KeySet::from_secret(Algorithm::HS512, [0; 63]).is_err());
    assert!(KeySet::from_secret(Algorithm::RS256, [0; 64]).is_err());
    assert!(KeySet::from_pem(Algorithm::HS256, rs256().pem()).is_err());
    assert!(KeySet::from_pem(Algorithm::ES256, rs256().pem()).is_err());
    assert!(KeySet::from_pem(Algorithm::RS256, es256().pem()).is_err());
    assert!(KeySet::from_pem(Algorithm::ES384, es256().pem()).is_err());
    assert!(KeySet::from_pem(Algorithm::RS256, "-----BEGIN PUBLIC KEY-----").is_err());
    let pair = rcgen::KeyPair::generate().unwrap();
    assert!(KeySet::from_pem(Algorithm::ES256, pair.serialize_pem()).is_err());
    let certificate = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let error = KeySet::from_pem(Algorithm::ES256, certificate.cert.pem()).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");

    let set = |signer: &Signer, name: &str, value: Value| {
        let mut jwk = signer.jwk();
        jwk[name] = value;
        KeySet::from_jwk(jwk.to_string())
    };
    let (rsa, ec) = (rs256(), es256());
    assert!(set(rsa, "x5c", json!("no array")).is_ok(), "members of no interest are not read");
    assert!(set(rsa, "use", json!("enc")).is_err());
    assert!(set(rsa, "key_ops", json!(["sign"])).is_err());
    assert!(set(rsa, "key_ops", json!(["verify"])).is_ok());
    assert!(set(rsa, "alg", json!("ES256")).is_err());
    assert!(set(rsa, "alg", json!("RSA-OAEP")).is_err());
    assert!(set(rsa, "alg", json!("none")).is_err());
    assert!(set(rsa, "alg", json!("HS256")).is_err());
    assert!(set(rsa, "kid", json!(1)).is_err());
    assert!(set(rsa, "d", json!("AQAB")).is_err(), "a private key was published");
    assert!(set(rsa, "n", json!(B64.encode([0xff; 128]))).is_err(), "1024 bits");
    assert!(set(rsa, "n", json!(B64.encode([0xff; 1025]))).is_err(), "8200 bits");
    assert!(set(rsa, "e", json!("AQ")).is_err(), "e = 1");
    assert!(set(rsa, "e", json!("Ag")).is_err(), "e = 2");
    assert!(set(rsa, "e", json!(B64.encode([1; 9]))).is_err());
    assert!(set(ec, "crv", json!("P-521")).is_err());
    assert!(set(ec, "crv", json!("P-384")).is_err());
    assert!(set(ec, "x", json!("AAAA")).is_err());
    assert!(set(ec, "kty", json!("RSA")).is_err());
}

// === properties ===

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Not one byte of a token can be another one.
    #[test]
    fn no_mutation_of_a_token_verifies(at in 0.0..1.0f64, byte in 0x21u8..0x7f, kind in 0..3) {
        let token = match kind { 0 => hs256(&claims()), 1 => es256().token(&claims()), _ => rs256().token(&claims()) };
        let (public, _) = public_keys();
        let layer = if kind == 0 { secret() } else { public };
        let mut bytes = token.into_bytes();
        let at = (at * bytes.len() as f64) as usize;
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let field = [b"Bearer ", &bytes[..]].concat();
        prop_assert!(status_of(&layer, &field) != 200);
    }

    /// Whatever stands in the field, there is an answer, and it is no.
    #[test]
    fn no_field_panics(field in proptest::collection::vec(any::<u8>(), 0..200), bearer in any::<bool>()) {
        let field = if bearer { [b"Bearer ", &field[..]].concat() } else { field };
        prop_assert!(status_of(&secret(), &field) != 200);
    }

    #[test]
    fn no_header_or_claims_panic(header in "[\\[\\]{}\",:a-z0-9\\\\ ]{0,60}", claims in "[\\[\\]{}\",:a-z0-9\\\\ ]{0,60}") {
        let token = Signer::secret("HS256", &SECRET).raw(&header, &claims);
        prop_assert_eq!(status_of(&secret(), format!("Bearer {token}").as_bytes()), 401);
    }
}

/// 400 for what is no field value at all.
fn status_of(layer: &JwtLayer, field: &[u8]) -> u16 {
    let Ok(value) = HeaderValue::from_bytes(field) else {
        return 400;
    };
    let request = Request::get("/").header("authorization", value);
    let request = request.body(http_body_util::Full::<bytes::Bytes>::default()).unwrap();
    let answer = layer.layer(support::echo()).oneshot(request);
    futures_util::FutureExt::now_or_never(answer).unwrap().unwrap().status().as_u16()
}
