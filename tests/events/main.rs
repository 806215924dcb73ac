//! What events show of authentication: every outcome, and no credential.
//!
//! One subscriber for the whole process, at the finest level: what is watched by one test alone may be missed, since
//! events remember whether anybody listens.

mod shared_limits;
#[path = "../support/mod.rs"]
mod support;

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_gateway::{
    auth::{
        api_key::{ApiKeyLayer, KeyFactory, MemoryKeys},
        first_of,
        introspection::{Introspection, IntrospectionLayer},
        jwt::{Algorithm, Issuer, Jwks, JwtLayer, KeySet},
        require::{RequireLayer, scope},
        signed_url::{Link, SignedUrlLayer, SigningKey, UrlSigner},
    },
    clock::Clock,
};

use crate::support::{
    Echo,
    authorization_server::{AuthorizationServer, Mode},
    echo, get,
    idp::{self, Idp},
    tokens::{AUDIENCE, ISSUER, SECRET, claims_with, hs256, jwks, rs256},
};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fn log() -> MutexGuard<'static, Vec<u8>> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Log;

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        log().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

static SUBSCRIBER: LazyLock<()> = LazyLock::new(|| {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(|| Log)
        .init();
});

/// The events at a path of the test's own, and all warnings; none of which shows a secret.
fn events(path: &str, secrets: &[&str]) -> String {
    let log = String::from_utf8(log().clone()).unwrap();
    for secret in secrets {
        assert!(secret.len() > 5 && !log.contains(secret), "{secret}: {log}");
    }
    let of_path = |line: &&str| line.contains(&format!("path={path}")) || line.contains("WARN");
    log.lines().filter(of_path).collect::<Vec<_>>().join("\n")
}

async fn status<L>(layer: &L, request: Request<Full<Bytes>>) -> u16
where
    L: Layer<Echo>,
    L::Service: Service<
            Request<Full<Bytes>>,
            Response = http::Response<tower_gateway::body::Body<Full<Bytes>>>,
            Error = std::convert::Infallible,
        >,
{
    LazyLock::force(&SUBSCRIBER);
    layer.layer(echo()).oneshot(request).await.unwrap().status().as_u16()
}

fn bearing(uri: &str, token: &str) -> Request<Full<Bytes>> {
    let mut request = get(uri);
    let field = format!("Bearer {token}").parse().unwrap();
    request.headers_mut().insert("authorization", field);
    request
}

fn assert_shows(events: &str, outcomes: &[&str]) {
    for outcome in outcomes {
        assert!(events.contains(outcome), "{outcome}: {events}");
    }
}

#[tokio::test]
async fn of_tokens() {
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET).unwrap();
    let layer = JwtLayer::new(Issuer::new(ISSUER, keys).audience(AUDIENCE)).unwrap();
    let layer = layer.clock(Clock::manual().0).accept_query_parameter();
    let layer = layer.forward_claim("email", "x-email").unwrap();
    let good = hs256(&claims_with("email", json!("ada@canary.example")));
    let forged = format!("{}A", &good[..good.len() - 1]);
    assert_eq!(status(&layer, bearing("/jwt", &good)).await, 200);
    assert_eq!(status(&layer, get(&format!("/jwt?access_token={good}"))).await, 200);
    assert_eq!(status(&layer, bearing("/jwt", &forged)).await, 401);
    assert_eq!(status(&layer.clone().report_only(), bearing("/jwt", &forged)).await, 200);
    let typed = layer.typed::<HashMap<String, u64>>();
    assert_eq!(status(&typed, bearing("/jwt", &good)).await, 401);
    let signature = good.rsplit_once('.').unwrap().1;
    let events = events("/jwt", &[signature, "canary.example", "access_token", &forged[..40]]);
    assert_shows(&events, &["admitted", "refused", "reported", "HashMap"]);
}

#[tokio::test]
async fn of_an_issuer_that_fails() {
    let (clock, time) = Clock::manual();
    let idp = Idp::new(&clock, jwks([rs256()]));
    let keys = Jwks::remote("https://id.example/jwks?canary=secret", idp.client());
    let keys = keys.clock(clock.clone()).start().unwrap();
    keys.ready().await.unwrap();
    let layer = JwtLayer::new(Issuer::new(ISSUER, keys.clone()).audience(AUDIENCE)).unwrap();
    let layer = layer.clock(clock);
    idp.set(idp::Mode::Status(500));
    time.advance(Duration::from_secs(600));
    while keys.health().failures == 0 {
        tokio::task::yield_now().await;
    }
    let token = rs256().token(&claims_with("exp", json!(3_000_000_000_u64)));
    assert_eq!(status(&layer, bearing("/idp", &token)).await, 200);
    let events = events("/idp", &[token.rsplit_once('.').unwrap().1, "canary=secret"]);
    assert_shows(&events, &["the last good value stays", "500", "admitted"]);
}

#[tokio::test]
async fn of_introspection() {
    let (clock, _time) = Clock::manual();
    let server = AuthorizationServer::new(&clock);
    server.issue("canary-token", json!({ "aud": "orders", "note": "canary-note" }));
    let endpoint = Introspection::at("https://id.example/introspect", server.client());
    let endpoint = endpoint.client_secret_post("gateway", "canary-client-secret").clock(clock);
    let layer = IntrospectionLayer::new(endpoint.build().unwrap().audience("orders")).unwrap();
    assert_eq!(status(&layer, bearing("/opaque", "canary-token")).await, 200);
    assert_eq!(status(&layer, bearing("/opaque", "canary-guess")).await, 401);
    for mode in [Mode::Status(500), Mode::Status(401), Mode::Says("canary-says".into())] {
        server.set(mode);
        assert_eq!(status(&layer, bearing("/opaque", "canary-other")).await, 503);
    }
    let events = events("/opaque", &["canary-"]);
    assert_shows(&events, &["admitted", "refused", "500", "own credentials"]);
}

#[tokio::test]
async fn of_api_keys() {
    let factory = KeyFactory::new("acme").unwrap();
    let (key, other) = (factory.mint().unwrap(), factory.mint().unwrap());
    let record = key.record("paula").with_metadata(json!({ "note": "canary-metadata" })).unwrap();
    let keys = MemoryKeys::new([record]).unwrap();
    let layer = ApiKeyLayer::new(keys).minted_by(&factory).query_parameter("key").unwrap();
    let layer = layer.header("x-api-key").unwrap();
    let with = |key: &str| {
        let mut request = get("/key");
        request.headers_mut().insert("x-api-key", key.parse().unwrap());
        request
    };
    assert_eq!(status(&layer, with(key.reveal())).await, 200);
    assert_eq!(status(&layer, get(&format!("/key?key={}", key.reveal()))).await, 200);
    assert_eq!(status(&layer, with(other.reveal())).await, 401);
    let digest = key.digest().to_string();
    let secrets = [key.reveal(), other.reveal(), &digest, "canary-metadata"];
    assert_shows(&events("/key", &secrets), &["admitted", "refused"]);
}

#[tokio::test]
async fn of_signed_urls() {
    let clock = || Clock::manual().0;
    let key = SigningKey::hmac("k", [7; 32]).unwrap();
    let layer = SignedUrlLayer::new([key.verifying_key()]).unwrap().clock(clock());
    let link = Link::get("/signed?page=1", Duration::from_secs(60));
    let url: String = UrlSigner::new(key).clock(clock()).sign(link).unwrap().into();
    let tampered = url.replace("page=1", "page=2");
    assert_eq!(status(&layer, get(&url)).await, 200);
    assert_eq!(status(&layer, get(&tampered)).await, 403);
    assert_eq!(status(&layer.report_only(), get(&tampered)).await, 200);
    let events = events("/signed", &["gw-sig", "page=1", "page=2"]);
    assert_shows(&events, &["admitted", "refused", "reported", "the signature is another one"]);
}

/// What a client says in a query or a body is its own.
#[tokio::test]
async fn of_transcoding() {
    use tower_gateway::transcode::{CallBody, TranscodeLayer};
    LazyLock::force(&SUBSCRIBER);
    let nobody = service_fn(|_: Request<CallBody<Full<Bytes>>>| async {
        let answer = http::Response::builder().header("content-type", "text/plain");
        Ok::<_, std::convert::Infallible>(answer.body(Full::<Bytes>::default()).unwrap())
    });
    let rest = TranscodeLayer::from_descriptor_set(example_proto::DESCRIPTORS).unwrap();
    let rest = rest.reject_unknown().layer(nobody);
    let status = async |method: &str, uri: &str, body: &'static str| {
        let request = Request::builder().method(method).uri(uri);
        let request = request.header("content-type", "application/json");
        let answer = rest.clone().oneshot(request.body(Full::from(body)).unwrap()).await.unwrap();
        answer.status().as_u16()
    };
    let uri = "/v1/transcoded/users";
    assert_eq!(status("GET", uri, "").await, 404);
    assert_eq!(status("GET", "/v1/users?order=canary-query", "").await, 400);
    assert_eq!(status("GET", "/v1/users?page_size=canary-number", "").await, 400);
    for body in [
        r#"{"role":"canary-member"}"#,
        r#"{"createTime":"canary-time"}"#,
        r#"{"sessionLength":"canary-length"}"#,
        r#"{"quotaBytes":"canary-quota"}"#,
        r#"{"keyDigest":"canary-digest!"}"#,
        r#"{"trust":"canary-trust"}"#,
        r#"{"attachments":[{"@type":"canary-type"}]}"#,
        r#"canary-nonsense"#,
    ] {
        assert_eq!(status("POST", "/v1/users?id=canary-id", body).await, 400, "{body}");
    }
    assert_eq!(status("GET", "/v1/users/ada", "").await, 502);
    let canaries = ["canary-query", "canary-number", "canary-member", "canary-time"];
    let more = ["canary-length", "canary-quota", "canary-digest", "canary-trust", "canary-type"];
    let secrets = [&canaries[..], &more, &["canary-nonsense", "canary-id"]].concat();
    assert_shows(&events(uri, &secrets), &["transcode", "refused", "404", "not-found"]);
    let broken = events("/v1/users/ada", &[]);
    assert_shows(&broken, &["transcode", "502", "answered in no gRPC", "text/plain"]);
}

#[tokio::test]
async fn of_combinations_and_rules_which_name_who_refused() {
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET).unwrap();
    let jwt = JwtLayer::new(Issuer::new(ISSUER, keys).audience(AUDIENCE)).unwrap();
    let jwt = jwt.clock(Clock::manual().0);
    let (clock, _time) = Clock::manual();
    let server = service_fn(|_: Request<String>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(r#"{"active":false}"#.to_owned()))
    });
    let opaque = Introspection::at("https://id.example/i", server).bearer_token("canary-ours");
    let opaque = opaque.clock(clock).build().unwrap().audience("orders");
    let both = first_of((jwt.clone(), IntrospectionLayer::new(opaque).unwrap()));
    let good = hs256(&claims_with("scope", json!("orders:read")));
    assert_eq!(status(&both, bearing("/both", &good)).await, 200);
    assert_eq!(status(&both, bearing("/both", "canary-opaque")).await, 401);
    let rule = RequireLayer::new(scope("orders:write").named("canary rule")).unwrap();
    assert_eq!(status(&rule, get("/both")).await, 401);
    let secrets = [good.rsplit_once('.').unwrap().1, "canary-opaque", "canary-ours"];
    let events = events("/both", &secrets);
    assert_shows(&events, &["first_of", "introspection", "admitted", "refused", "require"]);
}
