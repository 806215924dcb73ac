mod changes;
mod stores;

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::Full;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;
use tower::{Layer, Service as _, ServiceBuilder, ServiceExt};
use tower_gateway::{
    BoxError, Identity, Rejection,
    auth::{
        Scheme, SchemeLayer,
        api_key::{
            ApiKeyLayer, Hashing, KeyDigest, KeyFactory, KeyRecord, KeyStore, MemoryKeys,
            MintedKey, StoredKeys,
        },
        jwt::{Algorithm, Issuer, JwtLayer, KeySet},
    },
    client_ip::PeerAddr,
    clock::{Clock, ManualClock},
    guard::{BoxFuture, Guard, Head},
    identity::Claims,
    key,
    rate_limit::{Plans, Quota, RateLimitLayer},
    test_util::Contract,
};

use self::stores::Store;
use crate::support::{
    self, assert_problem, get, text,
    tokens::{AUDIENCE, ISSUER, SECRET, claims, hs256},
};

fn factory() -> KeyFactory {
    KeyFactory::new("acme").unwrap()
}

fn mint() -> MintedKey {
    factory().mint().unwrap()
}

/// Where the manual clock starts.
const NOW: Duration = Duration::from_secs(2_000_000_000);

/// A layer with Paula's key.
fn layer(key: &MintedKey) -> ApiKeyLayer {
    over(MemoryKeys::new([key.record("paula")]).unwrap())
}

fn over(keys: impl Into<tower_gateway::auth::api_key::Keys>) -> ApiKeyLayer {
    ApiKeyLayer::new(keys).clock(Clock::manual().0)
}

fn with(fields: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = get("/orders?x=%61");
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append(name, value);
    }
    request
}

fn with_key(key: impl AsRef<str>) -> Request<Full<Bytes>> {
    with(&[("x-api-key", key.as_ref())])
}

async fn answer<C: Send + Sync + 'static>(
    layer: &ApiKeyLayer<C>,
    request: Request<Full<Bytes>>,
) -> Response<impl http_body::Body<Data = Bytes, Error: std::fmt::Debug> + use<C>> {
    layer.layer(support::echo()).oneshot(request).await.unwrap()
}

async fn status<C: Send + Sync + 'static>(
    layer: &ApiKeyLayer<C>,
    request: Request<Full<Bytes>>,
) -> u16 {
    answer(layer, request).await.status().as_u16()
}

/// The head that reached the inner service.
async fn reached<C: Send + Sync + 'static>(
    layer: &ApiKeyLayer<C>,
    request: Request<Full<Bytes>>,
) -> String {
    let answer = answer(layer, request).await;
    assert_eq!(answer.status(), 200);
    text(answer).await
}

// === what goes on ===

#[tokio::test]
async fn the_identity_goes_on_and_the_key_does_not() {
    let inner = tower::service_fn(|request: Request<Full<Bytes>>| async move {
        assert!(request.headers().is_empty());
        let who = request.extensions().get::<Identity>().unwrap();
        let scopes: Vec<_> = who.scopes().collect();
        let shown = format!("{} {} {:?} {scopes:?}", who.scheme(), who.subject(), who.plan());
        Ok::<_, Infallible>(Response::new(shown))
    });
    let key = mint();
    let record = key.record("paula").with_plan("gold").with_scopes(["a", "b"]);
    let layer = over(MemoryKeys::new([record]).unwrap());
    let answer = layer.layer(inner).oneshot(with_key(key.reveal())).await.unwrap();
    assert_eq!(text(answer).await, "api_key paula Some(\"gold\") [\"a\", \"b\"]");
}

#[tokio::test]
async fn the_key_goes_on_by_choice() {
    let key = mint();
    let forwarding = layer(&key).forward_credential();
    assert!(!reached(&layer(&key), with_key(key.reveal())).await.contains(key.reveal()));
    assert!(reached(&forwarding, with_key(key.reveal())).await.contains(key.reveal()));
}

#[tokio::test]
async fn no_spelling_of_the_field_goes_on() {
    let key = mint();
    let request = with(&[("x-api-key", key.reveal()), ("x_api_key", "y"), ("X_Api.Key", "z")]);
    assert_eq!(reached(&layer(&key), request).await, "GET /orders?x=%61\n");
}

#[derive(Deserialize)]
struct Account {
    sub: String,
    team: String,
}

#[tokio::test]
async fn claims_are_typed_and_forwarded_and_nobody_else_sets_their_fields() {
    let key = mint();
    let record = key.record("paula").with_plan("gold").with_metadata(json!({"team": "x"})).unwrap();
    let layer = over(MemoryKeys::new([record]).unwrap()).typed::<Account>();
    let inner = tower::service_fn(|request: Request<Full<Bytes>>| async move {
        let account = request.extensions().get::<Claims<Account>>().unwrap();
        Ok::<_, Infallible>(Response::new(format!("{} {}", account.sub, account.team)))
    });
    let told = layer.layer(inner).oneshot(with_key(key.reveal())).await.unwrap();
    assert_eq!(text(told).await, "paula x");

    let layer = layer.forward_claim("sub", "x-consumer").unwrap();
    let layer = layer.forward_claim("plan", "x-plan").unwrap();
    // The name under which the key came is free again.
    let layer = layer.forward_claim("key_id", "x-api-key").unwrap();
    let forged = [("x-api-key", key.reveal()), ("x-plan", "free"), ("x_plan", "free")];
    let seen = reached(&layer, with(&forged)).await;
    let id = format!("x-api-key: {}\n", key.id());
    assert!(seen.contains("x-consumer: paula\n") && seen.contains("x-plan: gold\n"), "{seen}");
    assert!(seen.contains(&id) && !seen.contains("free") && !seen.contains(key.reveal()), "{seen}");
    assert!(layer.clone().forward_claim("team", "authorization").is_err());

    let other = mint();
    let layer = over(MemoryKeys::new([other.record("paula")]).unwrap()).typed::<Account>();
    let answer = answer(&layer, with_key(other.reveal())).await;
    assert_problem(answer, 401, "unauthenticated").await;
}

#[tokio::test]
async fn a_preflight_passes_without_a_key() {
    let key = mint();
    let mut preflight =
        with(&[("origin", "https://a.example"), ("access-control-request-method", "PUT")]);
    *preflight.method_mut() = Method::OPTIONS;
    let layer = layer(&key).forward_claim("sub", "x-consumer").unwrap().forward_credential();
    assert_eq!(status(&layer, preflight.clone()).await, 200);
    let forged = HeaderValue::from_static("paula");
    preflight.headers_mut().insert("x-consumer", forged.clone());
    preflight.headers_mut().insert("x-api-key", forged);
    let seen = reached(&layer, preflight).await;
    assert!(!seen.contains("paula"), "{seen}");
}

#[tokio::test]
async fn reports_only_by_choice() {
    let layer = layer(&mint()).report_only();
    let seen = reached(&layer, with_key("wrong")).await;
    assert!(!seen.contains("wrong"));
    assert_eq!(status(&layer, get("/")).await, 200);
}

// === credentials ===

#[tokio::test]
async fn who_brings_nothing_is_told_what_is_needed() {
    let layer = layer(&mint()).realm("shop").unwrap();
    let answer = answer(&layer, get("/")).await;
    assert_eq!(answer.headers()["www-authenticate"], "ApiKey realm=\"shop\"");
    assert_eq!(answer.extensions().get::<Rejection>().unwrap().status(), 401);
    let problem = assert_problem(answer, 401, "unauthenticated").await;
    assert_eq!(problem["detail"], "This resource needs an API key.");
    assert_eq!(layer.scheme().missing().detail(), "This resource needs an API key.");
    assert!(layer.realm("a\"b").is_err());
}

#[tokio::test]
async fn a_grpc_client_reads_unauthenticated() {
    let call = Request::post("/pkg.Svc/M").header("content-type", "application/grpc");
    let answer = answer(&layer(&mint()), call.body(Full::default()).unwrap()).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["grpc-status"]), (200, &16.into()));
}

#[tokio::test]
async fn key_01_a_wrong_key_is_answered_alike_wherever_it_is_wrong() {
    let key = mint();
    let bend = |at: usize| {
        let mut bent = key.reveal().to_owned();
        let other = if bent.as_bytes()[at] == b'a' { "b" } else { "a" };
        bent.replace_range(at..=at, other);
        bent
    };
    let mut answers = Vec::new();
    for wrong in [bend(0), bend(20), bend(40), mint().into_string()] {
        let answer = answer(&layer(&key), with_key(wrong)).await;
        let challenge = answer.headers()["www-authenticate"].clone();
        answers.push((challenge, assert_problem(answer, 401, "unauthenticated").await));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].1["detail"], "The API key is not valid.");
}

#[tokio::test]
async fn key_02_two_keys_are_refused_whichever_is_good() {
    let key = mint();
    let good = key.reveal();
    let layer = layer(&key).header("x-api-key").unwrap().query_parameter("key").unwrap();
    let in_query = |value: &str, field: &str| {
        let mut request = with_key(field);
        *request.uri_mut() = format!("/?key={value}").parse().unwrap();
        request
    };
    let mut twice = get("/");
    *twice.uri_mut() = format!("/?key={good}&k%65y={good}").parse().unwrap();
    for request in [
        with(&[("x-api-key", good), ("x-api-key", "other")]),
        with(&[("x-api-key", "other"), ("x-api-key", good)]),
        with(&[("x-api-key", good), ("x-api-key", good)]),
        in_query(good, "other"),
        in_query("other", good),
        in_query(good, good),
        twice,
    ] {
        let answer = answer(&layer, request).await;
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("invalid_request"), "{challenge}");
        assert_problem(answer, 400, "malformed").await;
    }
}

#[tokio::test]
async fn key_03_what_cannot_be_a_key_is_refused_before_any_lookup() {
    let store = Store::default();
    let (keys, _time) = store.keys();
    let layer = ApiKeyLayer::new(keys).header("x-api-key").unwrap();
    let layer = layer.query_parameter("key").unwrap();
    let (long, huge) = ("a".repeat(513), "a".repeat(64 * 1024));
    for bad in ["", " ", "  ", "a b", "a\tb", "a,b", "é", "\u{80}", &long, &huge] {
        assert_eq!(status(&layer, with_key(bad)).await, 401, "{bad:?}");
    }
    for bad in ["key", "key=", "key=%00", "key=%20", "key=a%0Ab", "key=%C3%A9", "key=%", "key=%zz%"]
    {
        let request = get(&format!("/?{bad}"));
        // A stray `%` stands for itself: no key of ours, but one that can be asked about.
        let readable = bad.ends_with('%');
        assert_eq!(status(&layer, request).await, 401, "{bad}");
        assert_eq!(store.asked() > 0, readable, "{bad}");
    }
    let asked = store.asked();
    assert_eq!(status(&layer, with_key("a".repeat(512))).await, 401);
    assert_eq!(store.asked(), asked + 1, "512 bytes are looked at");
    assert_eq!(status(&layer.max_length(10), with_key("a".repeat(11))).await, 401);
    assert_eq!(store.asked(), asked + 1);
}

#[tokio::test]
async fn key_04_the_query_is_read_by_choice_and_the_key_taken_out() {
    let key = mint();
    let uri = format!("/orders?a=%61&key={}&b", key.reveal());
    assert_eq!(status(&layer(&key), get(&uri)).await, 401);
    let by_choice = layer(&key).query_parameter("key").unwrap();
    let admitted = answer(&by_choice, get(&uri)).await;
    assert_eq!(admitted.headers()["cache-control"], "private");
    assert!(text(admitted).await.starts_with("GET /orders?a=%61&b\n"));
    // Whoever names a source means that one: the default does not count any more.
    assert_eq!(status(&by_choice, with_key(key.reveal())).await, 401);
    assert_eq!(status(&by_choice.header("x-api-key").unwrap(), with_key(key.reveal())).await, 200);
}

#[tokio::test]
async fn other_sources() {
    let key = mint();
    let cookie = layer(&key).cookie("key").unwrap();
    let request = with(&[("cookie", &format!("a=1; key={}; b=2", key.reveal()))]);
    assert_eq!(reached(&cookie, request).await, "GET /orders?x=%61\ncookie: a=1; b=2\n");
    let field = layer(&key).header("X-Shop-Key").unwrap();
    assert_eq!(reached(&field, with(&[("x-shop-key", key.reveal())])).await, "GET /orders?x=%61\n");
    let bearer = layer(&key).bearer();
    let request = with(&[("authorization", &format!("Bearer {}", key.reveal()))]);
    assert_eq!(reached(&bearer, request).await, "GET /orders?x=%61\n");
    let bad = [
        layer(&key).header("a b"),
        layer(&key).header("authorization"),
        layer(&key).header("Cookie"),
        layer(&key).header("host"),
        layer(&key).query_parameter(""),
        layer(&key).cookie("a;b"),
        layer(&key).prefix("_"),
    ];
    assert!(bad.iter().all(Result::is_err));
}

#[tokio::test]
async fn key_07_a_key_that_connection_names_counts_and_does_not_go_on() {
    let key = mint();
    let request = with(&[("connection", "x-api-key, close"), ("x-api-key", key.reveal())]);
    let seen = reached(&layer(&key), request).await;
    assert!(!seen.contains(key.reveal()));
    let request = with(&[("connection", "x-api-key")]);
    assert_eq!(status(&layer(&key), request).await, 401);
}

#[tokio::test]
async fn bearer_tokens_of_another_scheme_are_left_alone() {
    let key = mint();
    let layer = layer(&key).bearer().minted_by(&factory());
    let in_another_order = self::layer(&key).prefix("other").unwrap().bearer().bearer();
    let in_another_order = in_another_order.minted_by(&factory());
    let field = format!("Bearer {}", key.reveal());
    assert_eq!(status(&in_another_order, with(&[("authorization", &field)])).await, 200);
    let scheme = layer.scheme();
    let presents = |field: &str| {
        let request = with(&[("authorization", field)]);
        scheme.presented(Head::of(&request))
    };
    assert!(presents(&format!("Bearer {}", key.reveal())) && presents("Bearer acme_typo"));
    assert!(!presents("Bearer a.b.c") && !presents("Basic YTpi") && presents("Bearer a b"));
    assert!(!scheme.presented(Head::of(&get("/"))));

    // The two schemes in a row, each with its credential in its place.
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET).unwrap();
    let jwt = JwtLayer::new(Issuer::new(ISSUER, keys).audience(AUDIENCE)).unwrap();
    let jwt = jwt.clock(Clock::manual().0);
    let layer = layer.header("x-api-key").unwrap();
    let stack = ServiceBuilder::new().layer(layer).layer(jwt).service(support::echo());
    let token = format!("Bearer {}", hs256(&claims()));
    let both = with(&[("authorization", &token), ("x-api-key", key.reveal())]);
    let answer = stack.oneshot(both).await.unwrap();
    assert_eq!((answer.status().as_u16(), &*text(answer).await), (200, "GET /orders?x=%61\n"));
}

// === nothing shows a key ===

#[tokio::test]
async fn a_key_is_in_no_debug_output_and_in_no_answer() {
    let pepper = "the-pepper-the-pepper-the-pepper";
    let factory = factory().hashing(Hashing::with_pepper(pepper).unwrap());
    let key = factory.mint().unwrap();
    let keys = MemoryKeys::new([key.record("paula")]).unwrap();
    let layer = ApiKeyLayer::new(keys.clone()).minted_by(&factory).typed::<Account>();
    let (stored, _time) = Store::of(key.record("paula")).keys();
    let record = key.record("paula").with_metadata(json!({"note": key.reveal()})).unwrap();
    let request = with_key(key.reveal());
    let refused = answer(&layer, request.clone()).await;
    let shown = [
        format!("{key:?} {factory:?} {:?}", factory.clone().hashing(Hashing::sha256())),
        format!("{keys:?} {stored:?} {record:?} {:?}", key.digest()),
        format!("{layer:?} {:?} {:?}", layer.scheme(), layer.layer(support::echo())),
        format!("{:?} {:?}", Head::of(&request), layer.scheme().check(Head::of(&request))),
        format!("{:?}", refused.headers()),
        text(refused).await,
    ];
    let digest = key.digest().to_string();
    for shown in shown {
        for secret in [key.reveal(), &key.reveal()[5..25], pepper, &digest] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

// === together ===

/// How many of ten requests with each key in turn are admitted.
async fn admitted(layer: ApiKeyLayer, limit: RateLimitLayer, keys: [&MintedKey; 3]) -> [u8; 3] {
    let service = ServiceBuilder::new().layer(layer).layer(limit.clock(Clock::manual().0));
    let service = service.service(support::echo());
    let mut admitted = [0; 3];
    for _ in 0..10 {
        for (count, key) in admitted.iter_mut().zip(keys) {
            let answer = service.clone().oneshot(with_key(key.reveal())).await.unwrap();
            *count += u8::from(answer.status() == 200);
        }
    }
    admitted
}

#[tokio::test]
async fn consumer_and_plan_reach_the_rate_limiter_by_the_identity() {
    let keys = [mint(), mint(), mint()];
    let [paula, again, quentin] = &keys;
    let records = [
        paula.record("paula").with_plan("gold"),
        again.record("paula").with_plan("gold"),
        quentin.record("quentin").with_plan("free"),
    ];
    let layer = over(MemoryKeys::new(records).unwrap());
    let each = RateLimitLayer::new(Quota::per_hour(6), key::subject());
    // The two keys of one consumer count together.
    assert_eq!(admitted(layer.clone(), each, [paula, again, quentin]).await, [3, 3, 6]);
    let plans = Plans::otherwise(Quota::unlimited()).plan("free", Quota::per_hour(6));
    let by_plan = RateLimitLayer::new(plans, key::subject());
    assert_eq!(admitted(layer, by_plan, [paula, again, quentin]).await, [10, 10, 6]);
}

proptest! {
    #[test]
    fn no_change_of_a_minted_key_is_admitted(at in 0..41_usize, to in 0x21..0x7f_u8, cut in 0..41_usize) {
        let key = mint();
        for layer in [layer(&key), layer(&key).minted_by(&factory())] {
            let admits = |key: &str| {
                let status = status(&layer, with_key(key)).now_or_never();
                status.expect("decided at once") == 200
            };
            prop_assert!(admits(key.reveal()));
            let mut bent = key.reveal().to_owned().into_bytes();
            bent[at] = to;
            let bent = String::from_utf8(bent).unwrap();
            prop_assert_eq!(admits(&bent), bent == key.reveal());
            prop_assert!(!admits(&key.reveal()[..cut]) && (cut == 0 || !admits(&key.reveal()[cut..])));
            let doubled = key.reveal().to_owned() + key.reveal();
            prop_assert!(!admits(&doubled));
        }
    }
}
