//! An issuer that is found by its metadata: OpenID Connect Discovery 1.0, RFC 8414.

use std::time::Duration;

use http::HeaderValue;
use serde_json::json;
use tower::{Layer, ServiceExt};
use tower_gateway::{
    auth::jwt::{Issuer, Jwks, JwtLayer},
    clock::{Clock, ManualClock},
};

use crate::support::{
    self,
    idp::{Idp, Mode},
    tokens::{AUDIENCE, ISSUER, claims_with, es256, jwks, rs256},
};

const SECOND: Duration = Duration::from_secs(1);
const OPENID: &str = "https://id.example/.well-known/openid-configuration";
const OAUTH: &str = "https://id.example/.well-known/oauth-authorization-server";
const KEYS: &str = "https://keys.example/jwks";

fn metadata(issuer: &str, keys: &str) -> Mode {
    Mode::Document(
        json!({ "issuer": issuer, "jwks_uri": keys, "scopes_supported": ["a"] }).to_string(),
    )
}

/// An issuer that has nothing but its keys, on another host.
struct Place {
    idp: Idp,
    clock: Clock,
    time: ManualClock,
}

impl Place {
    fn new() -> Self {
        let (clock, time) = Clock::manual();
        let idp = Idp::new(&clock, String::new());
        idp.set(Mode::Status(404));
        idp.page(KEYS, Mode::Document(jwks([es256()])));
        Self { idp, clock, time }
    }

    async fn discovered(&self) -> Jwks {
        let keys = Jwks::discover(ISSUER, self.idp.client()).clock(self.clock.clone());
        let keys = keys.start().unwrap();
        let _ = keys.ready().await;
        self.pass(Duration::ZERO).await;
        keys
    }

    async fn pass(&self, duration: Duration) {
        self.time.advance(duration);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn the_keys_are_where_the_metadata_say() {
    let place = Place::new();
    place.idp.page(OPENID, metadata(ISSUER, KEYS));
    let keys = place.discovered().await;
    assert_eq!(keys.len(), 1);
    assert_eq!(place.idp.addresses(), [OPENID, KEYS]);

    let layer = JwtLayer::new(Issuer::new(ISSUER, keys).audience(AUDIENCE)).unwrap();
    let mut request = support::get("/");
    let token = es256().token(&claims_with("exp", json!(4_000_000_000u64)));
    let field = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    request.headers_mut().insert("authorization", field);
    let answer = layer.layer(support::echo()).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn an_authorization_server_of_rfc_8414_is_found_too() {
    for absent in [Mode::Status(404), Mode::Status(500), Mode::Document("<html>".into())] {
        let place = Place::new();
        place.idp.page(OPENID, absent);
        place.idp.page(OAUTH, metadata(ISSUER, KEYS));
        assert_eq!(place.discovered().await.len(), 1);
        assert_eq!(place.idp.addresses(), [OPENID, OAUTH, KEYS]);
    }
}

#[tokio::test]
async fn jwks_07_metadata_of_another_issuer_are_refused() {
    for named in ["https://evil.example", "https://id.example/", "https://ID.example", ""] {
        let place = Place::new();
        place.idp.page(OPENID, metadata(named, KEYS));
        place.idp.page(OAUTH, metadata(ISSUER, KEYS)); // a lie is no reason to ask elsewhere
        let keys = place.discovered().await;
        assert!(keys.is_empty());
        assert!(keys.ready().await.is_err());
        assert!(keys.health().last_error.unwrap().contains("to the letter"));
        assert_eq!(place.idp.addresses(), [OPENID]);
    }
}

#[tokio::test]
async fn jwks_07_also_when_it_happens_later() {
    let place = Place::new();
    place.idp.page(OPENID, metadata(ISSUER, KEYS));
    let keys = place.discovered().await;
    place.idp.page(OPENID, metadata("https://evil.example", "https://evil.example/jwks"));
    place.pass(SECOND * 540).await;
    let health = keys.health();
    assert_eq!((health.refreshes, health.failures, health.keys), (1, 1, 1));
    assert!(!place.idp.addresses().contains(&"https://evil.example/jwks".to_owned()));
}

#[tokio::test]
async fn jwks_08_keys_over_plain_http_are_refused() {
    for at in ["http://keys.example/jwks", "http://127.0.0.1/jwks", "ftp://keys.example/", "/jwks"]
    {
        let place = Place::new();
        place.idp.page(OPENID, metadata(ISSUER, at));
        let keys = place.discovered().await;
        assert!(keys.is_empty(), "{at}");
        assert_eq!(place.idp.addresses(), [OPENID]);
    }
    let place = Place::new();
    place.idp.page(OPENID, metadata(ISSUER, "http://keys.example/jwks"));
    place.idp.page("http://keys.example/jwks", Mode::Document(jwks([es256()])));
    let keys = Jwks::discover(ISSUER, place.idp.client()).clock(place.clock.clone());
    let keys = keys.allow_http().start().unwrap();
    keys.ready().await.unwrap();
}

#[tokio::test]
async fn the_keys_may_move() {
    let place = Place::new();
    place.idp.page(OPENID, metadata(ISSUER, KEYS));
    let keys = place.discovered().await;
    place.idp.page(OPENID, metadata(ISSUER, "https://id.example/new"));
    place.idp.page("https://id.example/new", Mode::Document(jwks([es256(), rs256()])));
    place.idp.page(KEYS, Mode::Status(410));
    place.pass(SECOND * 540).await;
    assert_eq!((keys.health().keys, keys.health().last_error), (2, None));
}

#[tokio::test]
async fn while_the_metadata_cannot_be_read_the_keys_are_where_they_were() {
    let place = Place::new();
    place.idp.page(OPENID, metadata(ISSUER, KEYS));
    let keys = place.discovered().await;
    for bad in [Mode::Status(500), Mode::Redirect, Mode::Huge, Mode::Document("[]".into())] {
        let refreshes = keys.health().refreshes;
        place.idp.page(OPENID, bad);
        place.pass(SECOND * 540).await;
        let health = keys.health();
        assert_eq!((health.refreshes, health.failures), (refreshes + 1, 0), "{health:?}");
    }
    // and when they hang, the fetch is given up as a whole, and what is known stays
    place.idp.page(OPENID, Mode::Hangs);
    place.pass(SECOND * 540).await;
    place.pass(SECOND * 5).await;
    let health = keys.health();
    assert_eq!((health.failures, health.keys), (1, 1));
    assert_eq!(health.last_error.as_deref(), Some("no answer in time"));
    let asked = place.idp.addresses();
    assert!(asked.iter().all(|it| [OPENID, OAUTH, KEYS].contains(&&**it)), "{asked:?}");
}

#[tokio::test]
async fn a_slow_issuer_is_given_up_and_tried_again() {
    let place = Place::new();
    place.idp.page(OPENID, metadata(ISSUER, KEYS));
    place.idp.page(KEYS, Mode::Slow(SECOND * 8, jwks([es256()])));
    let keys = Jwks::discover(ISSUER, place.idp.client()).clock(place.clock.clone());
    let keys = keys.start().unwrap();
    place.pass(Duration::ZERO).await;
    place.pass(SECOND * 5).await;
    assert_eq!(keys.health().failures, 1);
    place.idp.page(KEYS, Mode::Document(jwks([es256()])));
    place.pass(SECOND).await;
    let health = keys.health();
    assert_eq!((health.keys, health.skipped, health.age), (1, 0, Some(Duration::ZERO)));
}

#[tokio::test]
async fn an_issuer_is_found_in_one_line() {
    let place = Place::new();
    place.idp.page(OPENID, metadata(ISSUER, KEYS));
    let issuer = Issuer::discover(ISSUER, place.idp.client()).unwrap().audience(AUDIENCE);
    issuer.jwks().unwrap().ready().await.unwrap();
    assert!(JwtLayer::new(issuer).is_ok());
    let unheard = Issuer::discover(ISSUER, place.idp.client()).unwrap();
    let error = JwtLayer::new(unheard).unwrap_err();
    assert!(error.to_string().contains("audience"), "{error}");
    for bad in ["http://id.example", "id.example", "https://id.example/?a=b", "https://id.example#"]
    {
        assert!(Issuer::discover(bad, place.idp.client()).is_err(), "{bad}");
    }
}
