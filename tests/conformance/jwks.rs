//! A published key set, while its publisher misbehaves and clients try to make us hammer it.

use std::{sync::LazyLock, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http::{HeaderValue, Response};
use serde_json::json;
use tower::{Layer, ServiceExt};
use tower_gateway::{
    auth::jwt::{Issuer, Jwks, JwtLayer},
    body::Body,
    clock::{Clock, ManualClock},
};

use crate::support::{
    self,
    idp::{Idp, Mode},
    tokens::{self, AUDIENCE, ISSUER, Signer, claims_with, es256, jwks, rs256},
};

const SECOND: Duration = Duration::from_secs(1);

/// A second EC key, published later.
static NEXT: LazyLock<Signer> = LazyLock::new(|| Signer::generate("ES256").kid("next"));

type Answer = Response<Body<http_body_util::Full<bytes::Bytes>>>;

struct Gate {
    idp: Idp,
    keys: Jwks,
    layer: JwtLayer,
    time: ManualClock,
}

impl Gate {
    /// A gate whose issuer publishes the EC key.
    async fn open() -> Self {
        let gate = Self::with(Mode::Document(jwks([es256()])));
        gate.keys.ready().await.unwrap();
        settle().await;
        gate
    }

    /// A gate whose issuer has this mode from the start.
    fn with(mode: Mode) -> Self {
        let (clock, time) = Clock::manual();
        let idp = Idp::new(&clock, String::new());
        idp.set(mode);
        let keys = Jwks::remote("https://id.example/jwks", idp.client()).clock(clock.clone());
        let keys = keys.start().unwrap();
        let issuer = Issuer::new(ISSUER, keys.clone()).audience(AUDIENCE);
        let layer = JwtLayer::new(issuer).unwrap().clock(clock);
        Self { idp, keys, layer, time }
    }

    async fn pass(&self, duration: Duration) {
        self.time.advance(duration);
        settle().await;
    }

    async fn status(&self, signer: &Signer) -> u16 {
        self.answer(signer).await.status().as_u16()
    }

    /// The answer to a token that is valid for years.
    fn answer(&self, signer: &Signer) -> impl Future<Output = Answer> + Send + 'static {
        self.answer_to(&lasting(signer))
    }

    fn answer_to(&self, token: &str) -> impl Future<Output = Answer> + Send + 'static + use<> {
        let mut request = support::get("/");
        let field = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        request.headers_mut().insert("authorization", field);
        let service = self.layer.layer(support::echo());
        async move { service.oneshot(request).await.unwrap() }
    }

    /// The answer to a token of a known key, which must be there without waiting.
    fn at_once(&self, signer: &Signer) -> u16 {
        self.at_once_to(&lasting(signer))
    }

    fn at_once_to(&self, token: &str) -> u16 {
        let answer = futures_util::FutureExt::now_or_never(self.answer_to(token));
        answer.expect("a known key never waits").status().as_u16()
    }
}

fn lasting(signer: &Signer) -> String {
    signer.token(&claims_with("exp", json!(4_000_000_000u64)))
}

/// A token whose `kid` nobody has published.
fn strange(kid: impl std::fmt::Display) -> String {
    let header = json!({ "alg": "ES256", "kid": format!("stranger-{kid}") });
    NEXT.token_with(&header, &claims_with("exp", json!(4_000_000_000u64)))
}

/// Lets tasks do what they can without time passing.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_known_key_never_makes_a_fetch() {
    let gate = Gate::open().await;
    for _ in 0..100 {
        assert_eq!(gate.at_once(es256()), 200);
    }
    assert_eq!(gate.idp.fetches(), 1);
    assert_eq!(gate.keys.len(), 1);
}

#[tokio::test]
async fn jwks_01_unknown_names_cannot_hammer_the_issuer() {
    let gate = Gate::open().await;
    let flood: Vec<_> = (0..300).map(|n| tokio::spawn(gate.answer_to(&strange(n)))).collect();
    assert_eq!(gate.at_once(es256()), 200);
    for answer in flood {
        assert_eq!(answer.await.unwrap().status(), 401);
    }
    assert_eq!(gate.idp.fetches(), 1 + 1, "they share one");
    for n in 0..10_000 {
        assert_eq!(gate.answer_to(&strange(n)).await.status(), 401);
    }
    assert_eq!(gate.idp.fetches(), 1 + 2);
    for n in 0..1_000 {
        assert_eq!(gate.at_once_to(&strange(n)), 401, "there is nothing to wait for");
    }
    // and so it goes on, also when the fetch fails: one in ten seconds
    gate.idp.set(Mode::Status(500));
    for _ in 0..10 {
        gate.pass(SECOND).await;
        for n in 0..100 {
            assert_eq!(gate.answer_to(&strange(n)).await.status(), 401);
        }
        assert_eq!(gate.at_once(es256()), 200);
    }
    assert_eq!(gate.idp.fetches(), 1 + 2 + 1);
}

#[tokio::test]
async fn jwks_01_one_unknown_name_is_asked_for_ever_more_rarely() {
    let gate = Gate::open().await;
    let mut asked = Vec::new();
    let before = gate.idp.fetches();
    for second in 0..500 {
        let fetches = gate.idp.fetches();
        assert_eq!(gate.answer_to(&strange("same")).await.status(), 401);
        if gate.idp.fetches() > fetches {
            asked.push(second);
        }
        gate.pass(SECOND).await;
    }
    assert_eq!(asked, [0, 10, 30, 70, 150, 310]);
    assert_eq!(gate.idp.fetches() - before, asked.len(), "the others were not held up either");
}

#[tokio::test]
async fn jwks_05_a_key_that_is_used_before_it_is_published_is_accepted_soon_after() {
    let gate = Gate::open().await;
    for _ in 0..29 {
        assert_eq!(gate.status(&NEXT).await, 401);
        gate.pass(SECOND).await;
    }
    gate.idp.set(Mode::Document(jwks([es256(), &NEXT])));
    gate.pass(SECOND).await;
    assert_eq!(gate.status(&NEXT).await, 200);
    // whoever asks for whatever reason asks for all
    let gate = Gate::open().await;
    assert_eq!(gate.status(&NEXT).await, 401);
    gate.idp.set(Mode::Document(jwks([es256(), &NEXT])));
    assert_eq!(gate.at_once(&NEXT), 401, "too early");
    assert_eq!(gate.answer_to(&strange(0)).await.status(), 401);
    assert_eq!(gate.at_once(&NEXT), 200);
}

#[tokio::test]
async fn a_token_that_no_key_can_save_asks_for_none() {
    let gate = Gate::open().await;
    gate.pass(SECOND * 60).await;
    let secret = Signer::secret("HS256", &[1; 32]).kid("new");
    assert_eq!(gate.at_once(&secret), 401);
    let expired = Signer::generate("EdDSA").kid("new").token(&claims_with("exp", json!(1)));
    let mut request = support::get("/");
    let field = HeaderValue::try_from(format!("Bearer {expired}")).unwrap();
    request.headers_mut().insert("authorization", field);
    let answer = gate.layer.layer(support::echo()).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(gate.idp.fetches(), 1);
}

#[tokio::test]
async fn jwks_02_an_outage_loses_no_token_that_we_can_verify() {
    let gate = Gate::open().await;
    gate.idp.set(Mode::Status(500));
    for _ in 0..24 * 60 - 1 {
        gate.pass(SECOND * 60).await;
        assert_eq!(gate.at_once(es256()), 200);
    }
    let health = gate.keys.health();
    assert!(health.last_error.unwrap().contains("500"));
    assert!(health.failures > 1_000);
    // beyond the maximum staleness nothing can be decided: 503, never 401
    gate.pass(SECOND * 120).await;
    let answer = gate.answer(es256()).await;
    assert!(answer.headers().contains_key("retry-after"));
    support::assert_problem(answer, 503, "unavailable").await;
    gate.idp.set(Mode::Document(jwks([es256()])));
    gate.pass(SECOND * 60).await;
    assert_eq!(gate.at_once(es256()), 200);
}

#[tokio::test]
async fn jwks_03_what_is_no_key_set_does_not_replace_one() {
    let gate = Gate::open().await;
    let secret = Signer::secret("HS256", &tokens::SECRET).kid("secret");
    let bad = [
        Mode::Document("<html>Down for maintenance</html>".into()),
        Mode::Document(r#"{"keys":[]}"#.into()),
        Mode::Document(r#"{"keys":{}}"#.into()),
        Mode::Document("[]".into()),
        Mode::Document(String::new()),
        Mode::Document(jwks([&secret])),
        Mode::Huge,
        Mode::Redirect,
        Mode::Status(204),
        Mode::Status(404),
        Mode::Hangs,
    ];
    for mode in bad {
        let before = gate.keys.health().failures;
        gate.idp.set(mode);
        gate.pass(SECOND * 600).await;
        gate.pass(SECOND * 6).await; // the hanging one is given up
        assert!(gate.keys.health().failures > before, "{:?}", gate.keys.health());
        assert_eq!(gate.at_once(es256()), 200);
    }
    assert!(gate.idp.addresses().iter().all(|it| it == "https://id.example/jwks"));
}

#[tokio::test]
async fn jwks_04_a_slow_issuer_holds_up_nobody_with_a_known_key() {
    let gate = Gate::open().await;
    gate.idp.set(Mode::Slow(SECOND * 4, jwks([es256(), &NEXT])));
    gate.pass(SECOND * 60).await;
    let waiting = tokio::spawn(gate.answer(&NEXT));
    settle().await;
    for _ in 0..4 {
        assert_eq!(gate.at_once(es256()), 200);
        assert!(!waiting.is_finished());
        gate.pass(SECOND).await;
    }
    assert_eq!(waiting.await.unwrap().status(), 200);

    // one that is too slow: the wait is bounded, and the answer is no
    gate.idp.set(Mode::Slow(SECOND * 8, jwks([es256(), &NEXT])));
    gate.pass(SECOND * 60).await;
    let waiting = tokio::spawn(gate.answer_to(&strange(1)));
    settle().await;
    gate.pass(SECOND * 5).await;
    assert_eq!(waiting.await.unwrap().status(), 401);
}

#[tokio::test]
async fn jwks_05_a_new_key_is_fetched_when_it_is_first_seen() {
    let gate = Gate::open().await;
    gate.idp.set(Mode::Document(jwks([&*NEXT])));
    let many: Vec<_> = (0..50).map(|_| tokio::spawn(gate.answer(&NEXT))).collect();
    for answer in many {
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    assert_eq!(gate.idp.fetches(), 2);
    // and the key that was withdrawn is unknown from now on
    assert_eq!(gate.status(es256()).await, 401);
    assert_eq!(gate.at_once(es256()), 401);
}

#[tokio::test]
async fn jwks_06_one_bad_key_does_not_spoil_the_set() {
    let mut twin = rs256().jwk();
    twin["kid"] = json!("ec"); // the kid of the EC key
    let mut no_modulus = rs256().jwk();
    no_modulus.as_object_mut().unwrap().remove("n");
    let mut off_curve = es256().jwk();
    off_curve["kid"] = json!("off");
    off_curve["y"] = json!(B64.encode([1; 32]));
    let mut odd = rs256().jwk();
    odd["x5c"] = json!("no array");
    let keys = json!({ "keys": [
        { "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA" }, no_modulus, 5, "text", {}, null, off_curve, twin,
        es256().jwk(), odd,
        { "kty": "oct", "alg": "HS256", "k": B64.encode(tokens::SECRET), "kid": "oct" },
    ]});
    let gate = Gate::with(Mode::Document(keys.to_string()));
    gate.keys.ready().await.unwrap();
    assert_eq!(gate.at_once(es256()), 200);
    assert_eq!(gate.at_once(rs256()), 200);
    settle().await;
    let secret = Signer::secret("HS256", &tokens::SECRET);
    assert_eq!(gate.at_once(&secret), 401, "a secret was published");
    let off = Signer::generate("ES256").kid("off");
    // not at once: one back end finds such a key when the set is read, the other when a token is verified
    assert_eq!(gate.status(&off).await, 401);
    let confused = Signer::secret("HS256", &es256().der()).kid("ec");
    assert_eq!(gate.at_once(&confused), 401);
}

#[tokio::test]
async fn without_any_key_nothing_is_decided() {
    let gate = Gate::with(Mode::Status(500));
    let no = gate.keys.ready().await.unwrap_err();
    assert_eq!(no.status(), 503);
    settle().await;
    let answer = gate.answer(es256()).await;
    assert_eq!(
        answer.headers()["retry-after"],
        "2",
        "the second failure, since it was asked again"
    );
    support::assert_problem(answer, 503, "unavailable").await;
    // a token that is bad under any key is bad now
    assert_eq!(gate.at_once(&Signer::secret("none", &[1; 32])), 401);
    gate.idp.set(Mode::Document(jwks([es256()])));
    gate.pass(SECOND * 2).await;
    assert_eq!(gate.at_once(es256()), 200);
}

#[tokio::test]
async fn who_comes_before_the_first_keys_waits_for_them() {
    let gate = Gate::with(Mode::Slow(SECOND, jwks([es256()])));
    settle().await;
    let waiting = tokio::spawn(gate.answer(es256()));
    settle().await;
    assert!(!waiting.is_finished());
    gate.pass(SECOND).await;
    assert_eq!(waiting.await.unwrap().status(), 200);
}

#[tokio::test]
async fn jwks_09_a_client_that_leaves_takes_no_fetch_with_it() {
    let gate = Gate::open().await;
    gate.idp.set(Mode::Slow(SECOND, jwks([es256(), &NEXT])));
    gate.pass(SECOND * 60).await;
    let leader = tokio::spawn(gate.answer(&NEXT));
    settle().await;
    let follower = tokio::spawn(gate.answer(&NEXT));
    settle().await;
    leader.abort();
    settle().await;
    gate.pass(SECOND).await;
    assert_eq!(follower.await.unwrap().status(), 200);
    assert_eq!(gate.idp.fetches(), 2);
}

#[tokio::test]
async fn the_publishers_max_age_counts() {
    let gate = Gate::with(Mode::MaxAge(jwks([es256()]), 100));
    gate.keys.ready().await.unwrap();
    settle().await;
    gate.pass(SECOND * 89).await;
    assert_eq!(gate.idp.fetches(), 1);
    gate.pass(SECOND).await;
    assert_eq!(gate.idp.fetches(), 2);
}

#[tokio::test]
async fn jwks_08_plain_http_is_a_choice() {
    let (clock, _time) = Clock::manual();
    let idp = Idp::new(&clock, jwks([es256()]));
    let error = Jwks::remote("http://id.example/jwks", idp.client()).start().unwrap_err();
    assert!(error.to_string().contains("https"), "{error}");
    assert!(Jwks::remote("http://id.example/jwks", idp.client()).allow_http().start().is_ok());
    assert!(Jwks::remote("http://127.0.0.1/jwks", idp.client()).start().is_ok());
}

#[tokio::test]
async fn over_real_sockets() {
    use axum::{Router, response::Redirect, routing::get};
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};

    let app = Router::new()
        .route("/jwks", get(async || ([("cache-control", "max-age=60")], jwks([es256()]))))
        .route("/moved", get(async || Redirect::permanent("/jwks")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let client = Client::builder(TokioExecutor::new()).build_http::<String>();
    let keys = Jwks::remote(format!("{base}/jwks"), client.clone()).start().unwrap();
    keys.ready().await.unwrap();
    assert_eq!((keys.len(), keys.health().refreshes), (1, 1));

    let moved = Jwks::remote(format!("{base}/moved"), client.clone()).start().unwrap();
    assert!(moved.ready().await.is_err());
    assert!(moved.health().last_error.unwrap().contains("308"));

    let nobody = Jwks::remote("http://127.0.0.1:1/jwks", client).start().unwrap();
    assert!(nobody.ready().await.is_err());
    assert!(nobody.health().last_error.unwrap().contains("refused"));
}
