//! Tokens that are kept once they were verified: the answers are those of a layer that keeps none.

use std::{cell::Cell, sync::LazyLock, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, Request};
use http_body_util::Full;
use proptest::prelude::*;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_gateway::{
    auth::jwt::{Algorithm, Issuer, Jwks, JwtLayer, KeySet, RevocationList},
    clock::{Clock, ManualClock},
};

use crate::support::{
    self,
    idp::{Idp, Mode},
    tokens::{AUDIENCE, ISSUER, NOW, SECRET, Signer, claims, claims_with, es256, hs256, jwks},
};

const SECOND: Duration = Duration::from_secs(1);

thread_local! {
    static READ: Cell<usize> = const { Cell::new(0) };
}

/// Claims that count how often they are read: as often as tokens are verified.
struct Counted;

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        READ.set(READ.get() + 1);
        Value::deserialize(deserializer).map(|_| Self)
    }
}

/// How many tokens this makes the layer verify.
fn verified(work: impl FnOnce()) -> usize {
    let before = READ.get();
    work();
    READ.get() - before
}

fn secret() -> (JwtLayer<Counted>, ManualClock) {
    let (clock, time) = Clock::manual();
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET).unwrap();
    let issuer = Issuer::new(ISSUER, keys).audience(AUDIENCE);
    (JwtLayer::new(issuer).unwrap().typed().clock(clock), time)
}

fn request(token: &str) -> Request<Full<Bytes>> {
    let mut request = support::get("/");
    let field = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    request.headers_mut().insert("authorization", field);
    request
}

/// The status of a request that is decided at once.
fn status<C: Send + Sync + 'static>(layer: &JwtLayer<C>, token: &str) -> u16 {
    let answer = layer.layer(support::echo()).oneshot(request(token));
    answer.now_or_never().expect("nothing to wait for").unwrap().status().as_u16()
}

#[test]
fn a_token_is_verified_once() {
    let (layer, _) = secret();
    let (alice, bob) = (hs256(&claims()), hs256(&claims_with("sub", json!("bob"))));
    let count = verified(|| {
        for token in [&alice, &bob, &alice, &alice, &bob] {
            assert_eq!(status(&layer, token), 200);
            assert_eq!(status(&layer.clone(), token), 200);
        }
    });
    assert_eq!(count, 2);
}

#[test]
fn what_a_kept_token_brings_is_what_it_brought_first() {
    let (layer, _) = secret();
    let layer = layer.forward_claim("sub", "x-sub").unwrap().forward_credential();
    let token = hs256(&claims());
    let heads: Vec<_> = (0..2)
        .map(|_| {
            let answer = layer.layer(support::echo()).oneshot(request(&token));
            let answer = answer.now_or_never().unwrap().unwrap();
            support::text(answer).now_or_never().unwrap()
        })
        .collect();
    assert_eq!(heads[0], heads[1]);
    assert!(heads[0].contains("x-sub: alice") && heads[0].contains(&token));
}

#[test]
fn long_tokens_and_refused_ones_are_not_kept() {
    let (layer, _) = secret();
    let long = hs256(&claims_with("x", json!("a".repeat(3 * 1024))));
    assert!(long.len() > 4096);
    let count = verified(|| {
        assert_eq!(status(&layer, &long), 200);
        assert_eq!(status(&layer, &long), 200);
    });
    assert_eq!(count, 2);
    let off = secret().0.verified_cache(0);
    let count = verified(|| assert_eq!([0; 3].map(|_| status(&off, &hs256(&claims()))), [200; 3]));
    assert_eq!(count, 3);
}

#[test]
fn the_time_for_which_a_token_is_kept_is_bounded() {
    let (layer, time) = secret();
    let token = hs256(&claims_with("exp", json!(NOW + 9_999)));
    let count = |layer: &JwtLayer<Counted>| verified(|| assert_eq!(status(layer, &token), 200));
    assert_eq!([count(&layer), count(&layer)], [1, 0]);
    time.advance(SECOND * 299);
    assert_eq!(count(&layer), 0);
    time.advance(SECOND);
    assert_eq!([count(&layer), count(&layer)], [1, 0], "five minutes");
    time.set_unix(Duration::from_secs(NOW));
    assert_eq!([count(&layer), count(&layer)], [1, 0], "the clock was set back");
    let brief = layer.cached_for(SECOND);
    assert_eq!([count(&brief), count(&brief)], [1, 0]);
    time.advance(SECOND);
    assert_eq!(count(&brief), 1);
}

#[test]
fn what_was_kept_under_other_settings_does_not_count() {
    let (layer, _) = secret();
    let token = hs256(&claims());
    assert_eq!(status(&layer, &token), 200);
    assert_eq!(status(&layer.clone().max_length(token.len() - 1), &token), 401);
    assert_eq!(status(&layer, &token), 200);
}

#[test]
fn jwt_22_tokens_that_differ_only_in_their_signature() {
    let (layer, _) = secret();
    let good = hs256(&claims());
    let forged = Signer::secret("HS256", &[8; 32]).token(&claims());
    assert_eq!(good.rsplit_once('.').unwrap().0, forged.rsplit_once('.').unwrap().0);
    for _ in 0..3 {
        assert_eq!((status(&layer, &good), status(&layer, &forged)), (200, 401));
    }
}

#[test]
fn jwt_22_a_token_expires_while_it_is_kept() {
    let (layer, time) = secret();
    let token = hs256(&json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "nbf": NOW, "exp": NOW + 30
    }));
    let table = [
        (NOW, 200),
        (NOW + 89, 200),
        (NOW + 90, 401),
        (NOW + 89, 200),
        (NOW - 60, 200),
        (NOW - 61, 401),
        (NOW, 200),
        (0, 401),
    ];
    for (now, expected) in table {
        time.set_unix(Duration::from_secs(now));
        assert_eq!([status(&layer, &token), status(&layer, &token)], [expected; 2], "{now}");
    }
}

// === keys ===

static KEYS: LazyLock<[Signer; 3]> =
    LazyLock::new(|| ["a", "b", "c"].map(|kid| Signer::generate("ES256").kid(kid)));

/// The keys that are in the mask.
fn published(mask: usize) -> String {
    jwks(KEYS.iter().enumerate().filter(|(n, _)| mask & (1 << n) != 0).map(|(_, key)| key))
}

struct Published {
    idp: Idp,
    keys: Jwks,
    layer: JwtLayer<Counted>,
    clock: Clock,
    time: ManualClock,
}

impl Published {
    async fn new(mask: usize) -> Self {
        let (clock, time) = Clock::manual();
        let idp = Idp::new(&clock, published(mask));
        let keys = Jwks::remote("https://id.example/jwks", idp.client()).clock(clock.clone());
        let keys = keys.max_staleness(SECOND * 3600).start().unwrap();
        keys.ready().await.unwrap();
        let issuer = Issuer::new(ISSUER, keys.clone()).audience(AUDIENCE);
        let layer = JwtLayer::new(issuer).unwrap().typed().clock(clock.clone());
        let layer = layer.cached_for(SECOND * 9_999);
        let it = Self { idp, keys, layer, clock, time };
        it.pass(Duration::ZERO).await;
        it
    }

    async fn pass(&self, duration: Duration) {
        self.time.advance(duration);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    async fn status(&self, token: &str) -> u16 {
        let answer = self.layer.layer(support::echo()).oneshot(request(token));
        answer.await.unwrap().status().as_u16()
    }
}

fn lasting(signer: &Signer) -> String {
    signer.token(&claims_with("exp", json!(4_000_000_000u64)))
}

#[tokio::test]
async fn jwt_22_a_key_is_withdrawn_while_its_token_is_kept() {
    let gate = Published::new(0b011).await;
    let (a, b) = (lasting(&KEYS[0]), lasting(&KEYS[1]));
    assert_eq!([gate.status(&a).await, gate.status(&b).await], [200, 200]);
    gate.idp.set(Mode::Document(published(0b010)));
    gate.pass(SECOND * 540).await;
    assert_eq!([gate.status(&a).await, gate.status(&b).await], [401, 200]);
    // another key under the old name
    let twin = Signer::generate("ES256").kid("b");
    gate.idp.set(Mode::Document(jwks([&twin])));
    gate.pass(SECOND * 540).await;
    assert_eq!([gate.status(&b).await, gate.status(&lasting(&twin)).await], [401, 200]);
}

#[tokio::test]
async fn the_same_document_again_leaves_what_is_kept() {
    let gate = Published::new(0b011).await;
    let token = lasting(&KEYS[0]);
    let count = || verified(|| assert_eq!(status(&gate.layer, &token), 200));
    assert_eq!([count(), count()], [1, 0]);
    gate.pass(SECOND * 540).await;
    assert_eq!((gate.keys.health().refreshes, count()), (2, 0));
    gate.idp.set(Mode::Status(500));
    gate.pass(SECOND * 540).await;
    assert_eq!(count(), 0, "a failure changes nothing");
    gate.idp.set(Mode::Document(published(0b111)));
    gate.pass(SECOND * 60).await;
    assert_eq!([count(), count()], [1, 0]);
}

#[tokio::test]
async fn a_kept_token_is_undecided_once_the_keys_are_too_old() {
    let gate = Published::new(0b001).await;
    let token = lasting(&KEYS[0]);
    assert_eq!(gate.status(&token).await, 200);
    gate.idp.set(Mode::Status(500));
    for _ in 0..3599 {
        gate.pass(SECOND).await;
    }
    assert_eq!(gate.status(&token).await, 200);
    gate.pass(SECOND).await;
    assert_eq!(gate.status(&token).await, 503);
    gate.idp.set(Mode::Document(published(0b001)));
    gate.pass(SECOND * 60).await;
    assert_eq!(gate.status(&token).await, 200);
}

// === revocations ===

#[test]
fn a_revocation_takes_effect_at_once() {
    let (layer, _) = secret();
    let list = RevocationList::new().clock(Clock::manual().0);
    let layer = layer.revocations(list.clone());
    let token = |sub: &str, jti: &str| {
        let mut claims = claims_with("sub", json!(sub));
        claims["jti"] = json!(jti);
        claims["iat"] = json!(NOW);
        hs256(&claims)
    };
    let (one, other, bob) = (token("alice", "1"), token("alice", "2"), token("bob", "3"));
    let statuses = || [status(&layer, &one), status(&layer, &other), status(&layer, &bob)];
    assert_eq!(statuses(), [200; 3]);
    list.revoke_token(ISSUER, "1", Duration::from_secs(NOW + 300)).unwrap();
    assert_eq!(statuses(), [401, 200, 200]);
    list.revoke_subject(ISSUER, "alice").unwrap();
    assert_eq!(statuses(), [401, 401, 200]);
    assert_eq!(status(&layer, &token("alice", "never seen before")), 401);
    list.revoke_issuer(ISSUER).unwrap();
    assert_eq!(statuses(), [401; 3]);
    let mut later = claims();
    later["iat"] = json!(NOW + 1);
    assert_eq!(status(&layer, &hs256(&later)), 200, "she has signed in again");
}

#[tokio::test]
async fn a_revoked_token_is_told_so() {
    let (layer, _) = secret();
    let layer = layer.revocations(|token: &tower_gateway::auth::jwt::TokenId<'_>| {
        token.issuer() == ISSUER && token.expires_at() == Some(Duration::from_secs(NOW + 300))
    });
    let answer = layer.layer(support::echo()).oneshot(request(&hs256(&claims()))).await.unwrap();
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    let problem = support::assert_problem(answer, 401, "unauthenticated").await;
    assert_eq!(problem["detail"], "The token was revoked.");
}

/// The order of P-256: if (r, s) is a signature, so is (r, n - s).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn a_token_respelled_by_its_holder_is_revoked_too() {
    let mut claims = claims();
    claims["jti"] = json!("1");
    let token = es256().token(&claims);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = B64.decode(signature).unwrap();
    let mut borrow = 0;
    for n in (0..32).rev() {
        let difference = i16::from(ORDER[n]) - i16::from(signature[32 + n]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + n] = difference.rem_euclid(256) as u8;
    }
    let twin = format!("{signed}.{}", B64.encode(signature));
    let keys = KeySet::from_jwk(es256().jwk().to_string()).unwrap();
    let list = RevocationList::new();
    let layer = JwtLayer::new(Issuer::new(ISSUER, keys).audience(AUDIENCE)).unwrap();
    let layer = layer.clock(Clock::manual().0).revocations(list.clone());
    assert_eq!([status(&layer, &token), status(&layer, &twin)], [200, 200]);
    list.revoke_token(ISSUER, "1", Duration::MAX).unwrap();
    assert_eq!([status(&layer, &token), status(&layer, &twin)], [401, 401]);
}

// === properties ===

/// What may happen between two presentations of a token, and they.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    SetClock(u64),
    Publish(usize),
    Fail,
    RevokeToken(usize),
    RevokeSubject(usize),
    RevokeIssuer,
    Present(usize, bool),
}

/// A token of each key, for each of two people, short-lived and long-lived, dated and not.
static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut tokens = Vec::new();
    for (n, key) in KEYS.iter().enumerate() {
        for sub in ["s0", "s1"] {
            for (exp, iat) in
                [(NOW + 100, Some(NOW)), (NOW + 2_000, Some(NOW + 300)), (NOW + 5_000, None)]
            {
                let mut claims = claims_with("sub", json!(sub));
                claims["exp"] = json!(exp);
                claims["jti"] = json!(format!("t{}", tokens.len()));
                if let Some(iat) = iat {
                    claims["iat"] = json!(iat);
                    claims["nbf"] = json!(iat + n as u64 * 20);
                }
                tokens.push(key.token(&claims));
            }
        }
    }
    tokens
});

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..400u64).prop_map(Step::Pass),
        1 => (NOW - 200..NOW + 3_000).prop_map(Step::SetClock),
        2 => (1..8usize).prop_map(Step::Publish),
        1 => Just(Step::Fail),
        1 => (0..18usize).prop_map(Step::RevokeToken),
        1 => (0..2usize).prop_map(Step::RevokeSubject),
        1 => Just(Step::RevokeIssuer),
        20 => (0..18usize, any::<bool>()).prop_map(|(token, first)| Step::Present(token, first)),
    ]
}

/// Each presentation's answer, with and without what is kept.
async fn answers(steps: Vec<Step>) -> Vec<(u16, u16)> {
    let gate = Published::new(0b011).await;
    let list = RevocationList::new().clock(gate.clock.clone());
    let kept = gate.layer.clone().revocations(list.clone()).cached_for(SECOND * 500);
    let anew = kept.clone().verified_cache(0);
    let mut answers = Vec::new();
    for step in steps {
        match step {
            Step::Pass(seconds) => gate.pass(SECOND * seconds as u32).await,
            Step::SetClock(unix) => gate.time.set_unix(Duration::from_secs(unix)),
            Step::Publish(mask) => gate.idp.set(Mode::Document(published(mask))),
            Step::Fail => gate.idp.set(Mode::Status(500)),
            Step::RevokeToken(n) => {
                list.revoke_token(ISSUER, &format!("t{n}"), Duration::MAX).unwrap();
            }
            Step::RevokeSubject(n) => list.revoke_subject(ISSUER, &format!("s{n}")).unwrap(),
            Step::RevokeIssuer => list.revoke_issuer(ISSUER).unwrap(),
            Step::Present(token, kept_first) => {
                let ask = async |layer: &JwtLayer<Counted>| {
                    let answer = layer.layer(support::echo()).oneshot(request(&TOKENS[token]));
                    answer.await.unwrap().status().as_u16()
                };
                answers.push(match kept_first {
                    true => (ask(&kept).await, ask(&anew).await),
                    false => {
                        let anew = ask(&anew).await;
                        (ask(&kept).await, anew)
                    }
                });
            }
        }
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_kept_changes_no_answer(steps in proptest::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (n, (kept, anew)) in runtime.block_on(answers(steps)).into_iter().enumerate() {
            prop_assert_eq!(kept, anew, "presentation {}", n);
        }
    }

    #[test]
    fn no_mutation_of_a_token_that_is_kept_verifies(at in 0.0..1.0f64, byte in 0x21u8..0x7f) {
        let (layer, _) = secret();
        let token = hs256(&claims());
        prop_assert_eq!(status(&layer, &token), 200);
        let mut bytes = token.clone().into_bytes();
        let at = (at * bytes.len() as f64) as usize;
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(status(&layer, &String::from_utf8(bytes).unwrap()) != 200);
        prop_assert_eq!(status(&layer, &token), 200);
    }
}
