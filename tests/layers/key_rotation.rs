//! An issuer that fails in every way while requests keep coming. Whoever holds a token of a key that is known
//! notices nothing.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, Request};
use http_body_util::Full;
use serde_json::json;
use tower::{Layer, ServiceExt};
use tower_gateway::{
    auth::jwt::{Issuer, Jwks, JwtLayer},
    clock::{Clock, ManualClock},
};

use crate::support::{
    self,
    idp::{Idp, Mode},
    tokens::{AUDIENCE, ISSUER, Signer, claims_with, es256, jwks, rs256},
};

const SECOND: Duration = Duration::from_secs(1);

static NEXT: LazyLock<Signer> = LazyLock::new(|| Signer::generate("ES256").kid("next"));

/// A token that is valid for years.
fn lasting(signer: &Signer) -> String {
    signer.token(&claims_with("exp", json!(4_000_000_000u64)))
}

/// One whose `kid` nobody has published.
fn strange(n: usize) -> String {
    let header = json!({ "alg": "ES256", "kid": format!("stranger-{n}") });
    NEXT.token_with(&header, &claims_with("exp", json!(4_000_000_000u64)))
}

fn request(token: &str) -> Request<Full<Bytes>> {
    let mut request = support::get("/");
    let field = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    request.headers_mut().insert("authorization", field);
    request
}

/// An issuer of the EC key, and two gates that trust it: with what was verified kept, and without.
struct Rig {
    idp: Idp,
    keys: Jwks,
    gates: [JwtLayer; 2],
    time: ManualClock,
    known: String,
}

impl Rig {
    async fn new() -> Self {
        let (clock, time) = Clock::manual();
        let idp = Idp::new(&clock, jwks([es256()]));
        let keys = Jwks::remote("https://id.example/jwks", idp.client()).clock(clock.clone());
        let keys = keys.max_staleness(SECOND * 7200).start().unwrap();
        keys.ready().await.unwrap();
        let issuer = Issuer::new(ISSUER, keys.clone()).audience(AUDIENCE);
        let keeping = JwtLayer::new(issuer).unwrap().clock(clock);
        let gates = [keeping.clone(), keeping.verified_cache(0)];
        let rig = Self { idp, keys, gates, time, known: lasting(es256()) };
        rig.pass(Duration::ZERO).await;
        rig
    }

    async fn pass(&self, duration: Duration) {
        self.time.advance(duration);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    async fn statuses(&self, token: &str) -> [u16; 2] {
        let mut statuses = [0; 2];
        for (gate, status) in self.gates.iter().zip(&mut statuses) {
            let answer = gate.layer(support::echo()).oneshot(request(token)).await.unwrap();
            *status = answer.status().as_u16();
        }
        statuses
    }

    /// What is known is admitted, and without waiting.
    fn assert_known(&self, token: &str, when: &str) {
        for gate in &self.gates {
            let answer = gate.layer(support::echo()).oneshot(request(token));
            let answer = answer.now_or_never().unwrap_or_else(|| panic!("{when}: it waits"));
            assert_eq!(answer.unwrap().status(), 200, "{when}");
        }
    }
}

#[tokio::test]
async fn an_issuer_that_fails_in_every_way_costs_no_known_token() {
    let rig = Rig::new().await;
    let secret = Signer::secret("HS256", &support::tokens::SECRET);
    let failures = [
        ("status 500", Mode::Status(500)),
        ("status 204", Mode::Status(204)),
        ("elsewhere", Mode::Redirect),
        ("huge", Mode::Huge),
        ("slow", Mode::Slow(SECOND * 8, jwks([es256()]))),
        ("silent", Mode::Hangs),
        ("html", Mode::Document("<html>Down for maintenance</html>".into())),
        ("no keys", Mode::Document(r#"{"keys":[]}"#.into())),
        ("keys of the wrong type", Mode::Document(r#"{"keys":"none"}"#.into())),
        ("a secret", Mode::Document(jwks([&secret]))),
        ("deep", Mode::Document(format!(r#"{{"keys":[{}]}}"#, "[".repeat(100_000)))),
        ("nothing", Mode::Document(String::new())),
    ];
    for (when, mode) in failures {
        let failures = rig.keys.health().failures;
        rig.idp.set(mode);
        for step in 0..120 {
            rig.pass(SECOND * 5).await;
            rig.assert_known(&rig.known, when);
            if step == 60 {
                let asking = tokio::spawn({
                    let gate = rig.gates[0].layer(support::echo());
                    gate.oneshot(request(&strange(0)))
                });
                rig.pass(Duration::ZERO).await;
                rig.assert_known(&rig.known, when);
                for _ in 0..10 {
                    rig.pass(SECOND).await;
                }
                assert_eq!(asking.await.unwrap().unwrap().status(), 401, "{when}");
            }
        }
        assert!(rig.keys.health().failures > failures, "{when} is a failure");
        rig.idp.set(Mode::Document(jwks([es256()])));
        rig.pass(SECOND * 60).await;
        assert_eq!(rig.keys.health().last_error, None, "{when} has passed");
    }
}

#[tokio::test]
async fn an_issuer_that_is_away_for_too_long_leaves_tokens_undecided() {
    let rig = Rig::new().await;
    rig.idp.set(Mode::Status(500));
    for _ in 0..719 {
        rig.pass(SECOND * 10).await;
        rig.assert_known(&rig.known, "within the maximum staleness");
    }
    for _ in 0..100 {
        rig.pass(SECOND * 60).await;
        assert_eq!(rig.statuses(&rig.known).await, [503; 2]);
        assert_eq!(rig.statuses(&strange(1)).await, [503; 2]);
        assert_eq!(rig.keys.health().keys, 0);
    }
    let answer = rig.gates[0].layer(support::echo()).oneshot(request(&rig.known)).await.unwrap();
    assert!(answer.headers().contains_key("retry-after"));
    support::assert_problem(answer, 503, "unavailable").await;
    rig.idp.set(Mode::Document(jwks([es256()])));
    rig.pass(SECOND * 60).await;
    rig.assert_known(&rig.known, "back again");
}

#[tokio::test]
async fn ten_thousand_unknown_keys_make_two_fetches() {
    let rig = Rig::new().await;
    let before = rig.idp.fetches();
    for n in 0..10_000 {
        assert_eq!(rig.statuses(&strange(n)).await, [401; 2]);
        rig.assert_known(&rig.known, "in the flood");
        if n % 1_000 == 0 {
            rig.pass(Duration::from_millis(999)).await; // just within the window
        }
    }
    assert_eq!(rig.idp.fetches() - before, 2);
}

#[tokio::test]
async fn at_once_they_make_one() {
    let rig = Rig::new().await;
    rig.idp.set(Mode::Slow(SECOND, jwks([es256()])));
    let flood: Vec<_> = (0..10_000)
        .map(|n| tokio::spawn(rig.gates[0].layer(support::echo()).oneshot(request(&strange(n)))))
        .collect();
    for _ in 0..100 {
        rig.pass(Duration::ZERO).await; // until all of them wait
    }
    rig.assert_known(&rig.known, "in the flood");
    rig.pass(SECOND).await;
    for answer in flood {
        assert_eq!(answer.await.unwrap().unwrap().status(), 401);
    }
    assert_eq!(rig.idp.fetches(), 1 + 1);
}

#[tokio::test]
async fn keys_are_rotated_in_and_out() {
    let rig = Rig::new().await;
    let next = lasting(&NEXT);
    rig.assert_known(&rig.known, "the old key");
    rig.idp.set(Mode::Document(jwks([es256(), &NEXT])));
    assert_eq!(rig.statuses(&next).await, [200; 2], "new, and at once");
    rig.assert_known(&rig.known, "both");
    rig.idp.set(Mode::Document(jwks([&*NEXT])));
    rig.pass(SECOND * 540).await;
    rig.assert_known(&next, "the new key");
    assert_eq!(rig.statuses(&rig.known).await, [401; 2], "withdrawn, also from what is kept");
    rig.idp.set(Mode::Document(jwks([rs256(), &NEXT])));
    assert_eq!(rig.statuses(&lasting(rs256())).await, [200; 2]);
    rig.assert_known(&next, "beside another");
}

/// On real threads: keys change all the time, one stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_that_change_under_load_cost_no_known_token() {
    let (clock, time) = Clock::manual();
    let idp = Idp::new(&clock, jwks([es256()]));
    let keys = Jwks::remote("https://id.example/jwks", idp.client()).clock(clock.clone());
    let keys = keys.start().unwrap();
    keys.ready().await.unwrap();
    let issuer = Issuer::new(ISSUER, keys.clone()).audience(AUDIENCE);
    let gate = JwtLayer::new(issuer).unwrap().clock(clock);
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (service, token) = (gate.layer(support::echo()), lasting(es256()));
            let (over, asked) = (over.clone(), asked.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let answer = service.clone().oneshot(request(&token)).await.unwrap();
                    assert_eq!(answer.status(), 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let sets = [jwks([es256(), &NEXT]), jwks([rs256(), es256()]), jwks([es256()])];
    for (n, set) in sets.iter().cycle().take(60).enumerate() {
        idp.set(Mode::Document(set.clone()));
        let served = asked.load(Ordering::Relaxed);
        time.advance(SECOND * 540);
        while keys.health().refreshes < n as u64 + 2 || asked.load(Ordering::Relaxed) < served + 10
        {
            tokio::task::yield_now().await;
        }
    }
    over.store(true, Ordering::Relaxed);
    for worker in load {
        worker.await.unwrap();
    }
}
