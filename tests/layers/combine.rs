//! Several schemes as one: which of them judges, and what goes on.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::json;
use tower::{Layer, ServiceExt, service_fn};
use tower_gateway::{
    Identity, Rejection,
    auth::{
        Challenge, Scheme, SchemeLayer, all_of,
        api_key::{ApiKeyLayer, KeyFactory, MemoryKeys},
        first_of,
        introspection::{Introspection, IntrospectionLayer},
        jwt::{Algorithm, Issuer, JwtLayer, KeySet},
        optional,
        require::{RequireLayer, authenticated},
    },
    clock::Clock,
    fields::OwnFields,
    guard::{Guard, GuardLayer, Head, Pass, Verdict},
    identity::Claims,
    key::{self, Key, KeyWriter},
    rate_limit::{Limit, MissingKey, Quota, RateLimitLayer},
    test_util::Contract,
};

use crate::support::{
    assert_problem,
    authorization_server::AuthorizationServer,
    text,
    tokens::{AUDIENCE, ISSUER, SECRET, Signer, claims, claims_with, hs256},
};

type Body = Full<Bytes>;

const OTHER: &str = "https://other.example";

/// A scheme that takes everything that begins with `good` for a name, at once or after a pause.
#[derive(Clone)]
struct Opaque {
    field: HeaderName,
    waits: bool,
    asked: Arc<AtomicUsize>,
    /// Questions that were begun and not answered.
    open: Arc<AtomicUsize>,
}

impl Opaque {
    fn in_field(field: &'static str) -> Self {
        let field = HeaderName::from_static(field);
        Self { field, waits: false, asked: Arc::default(), open: Arc::default() }
    }

    /// Any bearer token.
    fn bearer() -> Self {
        Self::in_field("authorization")
    }

    fn waits(self) -> Self {
        Self { waits: true, ..self }
    }

    fn layer(&self) -> GuardLayer<Self> {
        GuardLayer::new(self.clone())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn pass(&self, identity: Option<Identity>) -> Stripping {
        Stripping { field: self.field.clone(), identity }
    }

    fn judge(&self, credential: &str) -> Result<Stripping, Rejection> {
        let name = credential.trim_start_matches("Bearer ");
        match name.starts_with("good") {
            true => Ok(self.pass(Some(Identity::new("opaque", name)))),
            false => Err(Challenge::bearer("opaque").unwrap().invalid_token("It is not good.")),
        }
    }
}

impl Guard for Opaque {
    const NAME: &'static str = "opaque";
    type Pass = Stripping;

    fn check(&self, head: Head<'_>) -> Verdict<Stripping> {
        let Some(credential) = head.headers().get(&self.field) else {
            return Verdict::refuse(self.missing());
        };
        let credential = credential.to_str().unwrap().to_owned();
        let this = self.clone();
        if !self.waits {
            self.asked.fetch_add(1, Ordering::SeqCst);
            return Verdict::Now(self.judge(&credential));
        }
        Verdict::later(async move {
            this.asked.fetch_add(1, Ordering::SeqCst);
            let _open = Open::one(&this.open);
            tokio::task::yield_now().await;
            this.judge(&credential)
        })
    }

    fn bypass(&self) -> Option<Stripping> {
        Some(self.pass(None))
    }
}

impl Scheme for Opaque {
    fn presented(&self, head: Head<'_>) -> bool {
        head.headers().contains_key(&self.field)
    }

    fn missing(&self) -> Rejection {
        Challenge::bearer("opaque").unwrap().missing()
    }
}

/// Takes the field out, and puts the identity in.
struct Stripping {
    field: HeaderName,
    identity: Option<Identity>,
}

impl Pass for Stripping {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        request.headers_mut().remove(&self.field);
        if let Some(identity) = self.identity.take() {
            request.extensions_mut().insert(identity);
        }
    }
}

struct Open(Arc<AtomicUsize>);

impl Open {
    fn one(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn jwt_of(issuer: &str, secret: &[u8; 64]) -> JwtLayer {
    let keys = KeySet::from_secret(Algorithm::HS256, *secret).unwrap();
    let issuer = Issuer::new(issuer, keys).audience(AUDIENCE);
    JwtLayer::new(issuer).unwrap().clock(Clock::manual().0)
}

fn jwt() -> JwtLayer {
    jwt_of(ISSUER, &SECRET)
}

fn with(fields: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = Request::get("/orders").body(Body::default()).unwrap();
    for (name, value) in fields {
        let value = HeaderValue::try_from(*value).unwrap();
        request.headers_mut().append(HeaderName::from_static(name), value);
    }
    request
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// What reached the inner service: the target, the fields but `host`, and who it is; or the refusal.
async fn ask<L, B>(layer: &L, request: Request<Body>) -> Result<String, Response<B>>
where
    L: Layer<Echo>,
    L::Service:
        tower::Service<Request<Body>, Response = Response<B>, Error = std::convert::Infallible>,
{
    let answer = layer.layer(echo()).oneshot(request).await.unwrap();
    match answer.headers().get("x-seen") {
        Some(seen) => Ok(seen.to_str().unwrap().to_owned()),
        None => Err(answer),
    }
}

type Echo =
    tower::util::BoxCloneSyncService<Request<Body>, Response<Body>, std::convert::Infallible>;

fn echo() -> Echo {
    Echo::new(service_fn(|request: Request<Body>| async move {
        let mut fields: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect();
        fields.sort_unstable();
        let who = request.extensions().get::<Identity>();
        let who =
            who.map_or("nobody".to_owned(), |it| format!("{} {:?}", it.scheme(), it.subject()));
        let seen = format!("{} [{}] {who}", request.uri(), fields.join(", "));
        let seen = HeaderValue::try_from(seen).unwrap();
        let mut response = Response::new(Body::default());
        response.headers_mut().insert("x-seen", seen);
        Ok(response)
    }))
}

fn challenges<B>(answer: &Response<B>) -> Vec<&str> {
    let all = answer.headers().get_all(header::WWW_AUTHENTICATE);
    all.iter().map(|it| it.to_str().unwrap()).collect()
}

fn refused_by<B>(answer: &Response<B>) -> Option<&'static str> {
    answer.extensions().get::<Rejection>().unwrap().scheme()
}

// === first_of ===

#[tokio::test]
async fn the_bearer_dispatcher_judges_tokens_by_their_form() {
    for opaque in [Opaque::bearer(), Opaque::bearer().waits()] {
        let layer = first_of((jwt(), opaque.layer()));
        let token = bearer(&hs256(&claims()));
        let seen = ask(&layer, with(&[("authorization", &token)])).await.unwrap();
        assert_eq!((seen.as_str(), opaque.asked()), ("/orders [] jwt \"alice\"", 0));
        let seen = ask(&layer, with(&[("authorization", "Bearer good-7")])).await.unwrap();
        assert_eq!((seen.as_str(), opaque.asked()), ("/orders [] opaque \"good-7\"", 1));
        let no = ask(&layer, with(&[("authorization", "Bearer bad")])).await.unwrap_err();
        assert_eq!((refused_by(&no), opaque.asked()), (Some("opaque"), 2));
        assert_problem(no, 401, "unauthenticated").await;
    }
}

#[tokio::test]
async fn bearer_tokens_of_three_kinds_each_go_to_the_scheme_they_are_for() {
    let clock = Clock::manual().0;
    let server = AuthorizationServer::new(&clock);
    server.issue("opaque", json!({ "sub": "grace" }));
    let endpoint = Introspection::at("https://id.example/introspect", server.client());
    let opaque = endpoint.client_secret_basic("gateway", "hunter2").clock(clock.clone());
    let opaque = IntrospectionLayer::new(opaque.build().unwrap().any_audience()).unwrap();
    let factory = KeyFactory::new("acme").unwrap();
    let (key, unknown) = (factory.mint().unwrap(), factory.mint().unwrap());
    let keys = MemoryKeys::new([key.record("paula")]).unwrap();
    let keys = ApiKeyLayer::new(keys).minted_by(&factory).bearer().clock(clock);
    let layer = first_of((jwt(), keys, opaque));

    let (good, forged) = (hs256(&claims()), Signer::secret("HS256", &[8; 32]).token(&claims()));
    let foreign = hs256(&claims_with("iss", json!(OTHER)));
    let no_key = key.reveal().replacen("acme_", "acme_x", 1);
    let rows = [
        (good.as_str(), Ok("jwt \"alice\""), 0),
        (&forged, Err("jwt"), 0),
        (&foreign, Err("jwt"), 0),
        (key.reveal(), Ok("api_key \"paula\""), 0),
        (unknown.reveal(), Err("api_key"), 0),
        (&no_key, Err("api_key"), 0),
        ("opaque", Ok("introspection \"grace\""), 1),
        ("opaque", Ok("introspection \"grace\""), 1),
        ("guessed", Err("introspection"), 2),
    ];
    for (token, expected, asked) in rows {
        match (ask(&layer, with(&[("authorization", &bearer(token))])).await, expected) {
            (Ok(seen), Ok(who)) => assert_eq!(seen, format!("/orders [] {who}")),
            (Err(no), Err(scheme)) => {
                assert_eq!(refused_by(&no), Some(scheme), "{token}");
                assert_problem(no, 401, "unauthenticated").await;
            }
            (answer, _) => panic!("{token}: {:?}", answer.map_err(|it| it.status())),
        }
        assert_eq!(server.asked(), asked, "{token}");
    }
}

#[tokio::test]
async fn the_word_of_the_scheme_that_judges_is_final() {
    let key = Opaque::in_field("x-key");
    let layer = first_of((jwt(), key.layer()));
    let forged = bearer(&Signer::secret("HS256", &[8; 32]).token(&claims()));
    let expired = bearer(&hs256(&claims_with("exp", json!(1))));
    for bad in [&forged, &expired] {
        let no = ask(&layer, with(&[("authorization", bad), ("x-key", "good")])).await.unwrap_err();
        assert_eq!((no.status().as_u16(), refused_by(&no)), (401, Some("jwt")));
        assert!(challenges(&no)[0].contains("invalid_token"));
    }
    assert_eq!(key.asked(), 0);
    // in the other order, the key speaks
    let layer = first_of((key.layer(), jwt()));
    let seen = ask(&layer, with(&[("authorization", &forged), ("x-key", "good")])).await.unwrap();
    assert_eq!(seen, "/orders [] opaque \"good\"", "and what it did not judge goes nowhere");
}

#[tokio::test]
async fn without_a_credential_each_scheme_says_what_it_takes_once() {
    let other = jwt_of(OTHER, &[9; 64]);
    let layer = first_of((jwt(), other, Opaque::in_field("x-key").layer()));
    for fields in [&[][..], &[("authorization", "Basic YTpi")], &[("x-other", "good")]] {
        let no = ask(&layer, with(fields)).await.unwrap_err();
        assert_eq!(challenges(&no), ["Bearer realm=\"gateway\"", "Bearer realm=\"opaque\""]);
        assert_eq!(refused_by(&no), None);
        assert_problem(no, 401, "unauthenticated").await;
    }
}

#[tokio::test]
async fn a_credential_of_no_kind_is_a_bad_one() {
    let layer = first_of((Opaque::in_field("x-key").layer(), jwt()));
    for bad in ["Bearer opaque", "Bearer a.b", "Bearer", "Bearer a b"] {
        let no = ask(&layer, with(&[("authorization", bad)])).await.unwrap_err();
        assert_eq!((no.status().as_u16(), refused_by(&no)), (401, Some("jwt")), "{bad}");
        assert!(challenges(&no)[0].contains("invalid_token"), "{bad}");
    }
    let two = ask(&layer, with(&[("authorization", "Bearer a"), ("authorization", "Bearer a")]));
    assert_eq!(two.await.unwrap_err().status(), 400);
}

#[tokio::test]
async fn a_forwarded_credential_survives_a_scheme_that_reads_the_same_place() {
    let token = bearer(&hs256(&claims()));
    let other = || jwt_of(OTHER, &[9; 64]);
    let forwarded = format!("/orders [authorization={token}] jwt \"alice\"");
    let request = || with(&[("authorization", &token)]);
    for opaque in [Opaque::bearer(), Opaque::bearer().waits()] {
        let layer = first_of((jwt().forward_credential(), opaque.layer()));
        assert_eq!(ask(&layer, request()).await.unwrap(), forwarded);
        let nested = first_of((first_of((jwt().forward_credential(), opaque.layer())), other()));
        assert_eq!(ask(&nested, request()).await.unwrap(), forwarded);
        let nested = optional(first_of((
            Opaque::in_field("x-key").layer(),
            optional(first_of((jwt().forward_credential(), other()))),
        )));
        assert_eq!(ask(&nested, request()).await.unwrap(), forwarded);
        // who did not ask for it does not get it, whatever the others asked for
        let layer = first_of((jwt(), other().forward_credential(), opaque.layer()));
        assert_eq!(ask(&layer, request()).await.unwrap(), "/orders [] jwt \"alice\"");
    }
    let in_query = || jwt().accept_query_parameter().forward_credential();
    let layer = first_of((in_query(), other().accept_query_parameter()));
    let uri = format!("/orders?x=%61&access_token={}&y", hs256(&claims()));
    let mut request = with(&[]);
    *request.uri_mut() = uri.parse().unwrap();
    let moved = format!("/orders?x=%61&y&access_token={} [] jwt \"alice\"", hs256(&claims()));
    let answer = layer.layer(echo()).oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["x-seen"], moved);
    assert_eq!(answer.headers()["cache-control"], "private");
}

#[tokio::test]
async fn a_field_that_two_schemes_set_is_the_judges() {
    let sub = |layer: JwtLayer| layer.forward_claim("sub", "x-auth-sub").unwrap();
    let layer = first_of((
        sub(jwt()),
        sub(jwt_of(OTHER, &[9; 64])).forward_claim("department", "x-auth-department").unwrap(),
        Opaque::in_field("x-key").layer(),
    ));
    let token = bearer(&hs256(&claims()));
    let spoofed = [
        ("x-auth-sub", "root"),
        ("x_auth_sub", "root"),
        ("x-auth-department", "board"),
        ("x-key", "good"),
    ];
    let mut request = with(&spoofed);
    request.headers_mut().insert("authorization", HeaderValue::try_from(&token).unwrap());
    let seen = ask(&layer, request).await.unwrap();
    assert_eq!(seen, "/orders [x-auth-sub=alice] jwt \"alice\"");
    let seen = ask(&layer, with(&spoofed)).await.unwrap();
    assert_eq!(seen, "/orders [] opaque \"good\"");
}

// === all_of ===

#[derive(Debug, Deserialize)]
struct Person {
    sub: String,
}

#[derive(Debug, Deserialize)]
struct Device {
    serial: u32,
}

#[tokio::test]
async fn all_have_to_admit_and_the_first_says_who_it_is() {
    for key in [Opaque::in_field("x-key"), Opaque::in_field("x-key").waits()] {
        let token = bearer(&hs256(&claims()));
        let both = [("authorization", token.as_str()), ("x-key", "good")];
        let layer = all_of((jwt(), key.layer()));
        assert_eq!(ask(&layer, with(&both)).await.unwrap(), "/orders [] jwt \"alice\"");
        let turned = all_of((key.layer(), jwt()));
        assert_eq!(ask(&turned, with(&both)).await.unwrap(), "/orders [] opaque \"good\"");
        for (fields, by) in [
            (&both[..1], "opaque"),
            (&both[1..], "jwt"),
            (&[], "jwt"),
            (&[both[0], ("x-key", "bad")], "opaque"),
            (&[("authorization", "Bearer a.b.c"), both[1]], "jwt"),
        ] {
            let no = ask(&layer, with(fields)).await.unwrap_err();
            assert_eq!((no.status().as_u16(), refused_by(&no)), (401, Some(by)), "{fields:?}");
        }
    }
}

#[tokio::test]
async fn the_claims_of_all_stay() {
    let device = Signer::secret("HS256", &[9; 64]);
    let device = device.token(&json!({
        "iss": OTHER, "aud": AUDIENCE, "sub": "d", "exp": 2_000_000_300_u64, "serial": 7
    }));
    let second = jwt_of(OTHER, &[9; 64]).accept_query_parameter().typed::<Device>();
    // The first reads the field, the second would too: there is one token in each place.
    let second = all_of((Opaque::in_field("x-key").layer(), second));
    let inner = service_fn(|request: Request<Body>| async move {
        let extensions = request.extensions();
        let sub = extensions.get::<Claims<Person>>().map(|it| it.sub.clone());
        let serial = extensions.get::<Claims<Device>>().map(|it| it.serial);
        let who = extensions.get::<Identity>().unwrap().issuer().map(str::to_owned);
        assert_eq!((sub, serial, who), (Some("alice".into()), Some(7), Some(ISSUER.into())));
        Ok::<_, std::convert::Infallible>(Response::new(Body::default()))
    });
    // Two layers, one inside the other, come to the same.
    let mut request = with(&[("x-key", "good")]);
    *request.uri_mut() = format!("/?access_token={device}").parse().unwrap();
    let person = Opaque::in_field("x-person").layer();
    let refused = ask(&all_of((person, second.clone())), with(&[("x-key", "good")])).await;
    assert_eq!(refused.unwrap_err().status(), 401);
    let typed = Typed(Identity::new("jwt", "alice").with_issuer(ISSUER));
    let answer = all_of((GuardLayer::new(typed), second)).layer(inner).oneshot(request).await;
    assert_eq!(answer.unwrap().status(), 200);
}

/// Admits everything, with claims.
struct Typed(Identity);

impl Guard for Typed {
    const NAME: &'static str = "typed";
    type Pass = TypedPass;

    fn check(&self, _: Head<'_>) -> Verdict<TypedPass> {
        Verdict::admit(TypedPass(self.0.clone()))
    }
}

impl Scheme for Typed {
    fn presented(&self, _: Head<'_>) -> bool {
        true
    }

    fn missing(&self) -> Rejection {
        Rejection::forbidden("No.")
    }
}

struct TypedPass(Identity);

impl Pass for TypedPass {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        let claims = Claims::new(Person { sub: self.0.subject().to_owned() });
        request.extensions_mut().insert(self.0.clone());
        request.extensions_mut().insert(claims);
    }
}

#[tokio::test]
async fn nobody_is_asked_about_a_request_that_is_refused_anyway() {
    let slow = Opaque::in_field("x-slow").waits();
    let key = Opaque::in_field("x-key");
    for layer in [
        all_of((slow.layer(), key.layer(), slow.layer())),
        all_of((slow.layer(), key.layer(), Opaque::in_field("x-slow").waits().layer())),
    ] {
        let no = ask(&layer, with(&[("x-slow", "good"), ("x-key", "bad")])).await.unwrap_err();
        assert_eq!(no.status(), 401);
    }
    assert_eq!((slow.asked(), key.asked()), (0, 2));
    // and of those who have to be asked, the first refusal spares the others
    let second = Opaque::in_field("x-key").waits();
    let layer = all_of((slow.layer(), second.layer()));
    ask(&layer, with(&[("x-slow", "bad"), ("x-key", "good")])).await.unwrap_err();
    assert_eq!((slow.asked(), second.asked()), (1, 0));
}

#[tokio::test]
async fn dropping_the_request_drops_the_question() {
    let first = Opaque::in_field("x-a").waits();
    let second = Opaque::in_field("x-b").waits();
    let layer = all_of((first.layer(), second.layer()));
    let request = with(&[("x-a", "good"), ("x-b", "good")]);
    let mut answer = Box::pin(layer.layer(echo()).oneshot(request));
    let mut context = Context::from_waker(Waker::noop());
    let open = || [&first, &second].map(|it| it.open.load(Ordering::SeqCst));
    assert!(answer.as_mut().poll(&mut context).is_pending());
    assert_eq!(open(), [1, 0]);
    assert!(answer.as_mut().poll(&mut context).is_pending());
    assert_eq!(open(), [0, 1], "one after the other");
    drop(answer);
    assert_eq!(open(), [0, 0]);
}

#[tokio::test]
async fn where_all_set_a_field_or_read_a_place_the_first_has_its_way() {
    let token = bearer(&hs256(&claims_with("role", json!("clerk"))));
    let request = || with(&[("authorization", &token), ("x-auth", "root")]);
    let forward = |claim: &str| jwt().forward_claim(claim, "x-auth").unwrap();
    for (first, second, seen) in [
        (forward("sub"), forward("role"), "x-auth=alice"),
        (forward("role"), forward("sub"), "x-auth=clerk"),
        (forward("gone"), forward("sub"), ""),
    ] {
        let seen = format!("/orders [{seen}] jwt \"alice\"");
        assert_eq!(ask(&all_of((first, second)), request()).await.unwrap(), seen);
    }
    let kept = format!("/orders [authorization={token}, x-auth=root] jwt \"alice\"");
    let layer = all_of((jwt().forward_credential(), jwt()));
    assert_eq!(ask(&layer, request()).await.unwrap(), kept);
    let layer = all_of((jwt(), jwt().forward_credential()));
    assert_eq!(ask(&layer, request()).await.unwrap(), "/orders [x-auth=root] jwt \"alice\"");
}

#[tokio::test]
async fn no_field_of_any_scheme_comes_by_the_trailers() {
    let names = service_fn(|request: Request<Body>| async move {
        let own = request.extensions().get::<OwnFields>().unwrap();
        let mut names: Vec<_> = own.0.iter().map(HeaderName::as_str).collect();
        names.sort_unstable();
        Ok::<_, std::convert::Infallible>(Response::new(names.join(" ")))
    });
    let one = jwt().forward_claim("sub", "x-one").unwrap().forward_credential();
    let two = jwt().forward_claim("sub", "x-two").unwrap();
    let request = || {
        let token = bearer(&hs256(&claims()));
        with(&[("authorization", &token), ("transfer-encoding", "chunked")])
    };
    // one after the other, and at once: the first to go in takes `Transfer-Encoding` away
    let answer = one.layer(two.layer(names)).oneshot(request()).await.unwrap();
    assert_eq!(text(answer).await, "x-one x-two");
    let answer = all_of((one, two)).layer(names).oneshot(request()).await.unwrap();
    assert_eq!(text(answer).await, "x-one x-two");
}

// === optional ===

#[tokio::test]
async fn no_credential_is_no_identity_and_a_bad_one_is_refused() {
    let sub = jwt().forward_claim("sub", "x-auth-sub").unwrap();
    let layer = optional(first_of((sub, Opaque::in_field("x-key").waits().layer())));
    for fields in [&[][..], &[("x-auth-sub", "root")], &[("authorization", "Basic YTpi")]] {
        assert_eq!(ask(&layer, with(fields)).await.unwrap(), "/orders [] nobody", "{fields:?}");
    }
    assert_eq!(
        ask(&layer, with(&[("x-key", "good")])).await.unwrap(),
        "/orders [] opaque \"good\""
    );
    for (field, value, by) in [
        ("authorization", "Bearer a.b.c", "jwt"),
        ("authorization", "Bearer opaque", "jwt"),
        ("authorization", "Bearer", "jwt"),
        ("authorization", "Bearer a, Bearer b", "jwt"),
        ("x-key", "bad", "opaque"),
    ] {
        let no = ask(&layer, with(&[(field, value)])).await.unwrap_err();
        assert_eq!((no.status().as_u16(), refused_by(&no)), (401, Some(by)), "{value}");
    }
    // all of them or none
    let layer = optional(all_of((jwt(), Opaque::in_field("x-key").layer())));
    assert_eq!(ask(&layer, with(&[])).await.unwrap(), "/orders [] nobody");
    assert_eq!(ask(&layer, with(&[("x-key", "good")])).await.unwrap_err().status(), 401);
}

#[tokio::test]
async fn anonymous_clients_have_a_plan_and_no_subject() {
    let layer = optional(jwt()).anonymous_plan("free");
    assert_eq!(ask(&layer, with(&[])).await.unwrap(), "/orders [] anonymous \"\"");
    let token = bearer(&hs256(&claims()));
    let known = ask(&layer, with(&[("authorization", &token)])).await.unwrap();
    assert_eq!(known, "/orders [] jwt \"alice\"");
    assert_eq!(
        ask(&layer, with(&[("authorization", "Bearer x")])).await.unwrap_err().status(),
        401
    );

    let nobody = Identity::anonymous().with_plan("free").with_scope("read");
    let layer = optional(jwt()).anonymous(nobody);
    let plan_of = service_fn(|request: Request<Body>| async move {
        let who: &Identity = request.extensions().get().unwrap();
        assert!(who.is_anonymous() && who.has_scope("read") && who.plan() == Some("free"));
        assert!(key::subject().write(Head::of(&request), &mut KeyWriter::new()).is_none());
        Ok::<_, std::convert::Infallible>(Response::new(Body::default()))
    });
    assert_eq!(layer.layer(plan_of).oneshot(with(&[])).await.unwrap().status(), 200);

    // so a limit by subject does not take all of them for one client, and says so
    let limit = RateLimitLayer::new(Quota::per_hour(100), key::subject());
    let answer = layer.layer(limit.layer(echo())).oneshot(with(&[])).await.unwrap();
    assert_problem(answer, 403, "forbidden").await;
    let staff = RequireLayer::new(authenticated()).unwrap();
    let answer = layer.layer(staff.layer(echo())).oneshot(with(&[])).await.unwrap();
    assert_problem(answer, 401, "unauthenticated").await;
}

#[tokio::test]
async fn the_plan_of_anonymous_clients_reaches_the_rate_limiter() {
    let free = |head: Head<'_>, key: &mut KeyWriter| {
        let free = head.get::<Identity>()?.plan() == Some("free");
        free.then(|| key::header("x-client").write(head, key))?
    };
    let limit =
        RateLimitLayer::of(Limit::new(Quota::per_hour(2), free).missing_key(MissingKey::Skip));
    let gate = optional(jwt()).anonymous_plan("free").layer(limit.layer(echo()));
    let token = bearer(&hs256(&claims()));
    let statuses = async |fields: &[(&'static str, &str)]| {
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(gate.clone().oneshot(with(fields)).await.unwrap().status().as_u16());
        }
        all
    };
    assert_eq!(statuses(&[("x-client", "a")]).await, [200, 200, 429]);
    assert_eq!(statuses(&[("x-client", "b")]).await, [200, 200, 429], "a limit for each");
    let known = [("x-client", "a"), ("authorization", &token)];
    assert_eq!(statuses(&known).await, [200; 3], "who is known has no such plan");
    let bad = [("x-client", "c"), ("authorization", "Bearer x")];
    assert_eq!(statuses(&bad).await, [401; 3], "and a bad credential is no way to it");
}

#[tokio::test]
async fn who_was_known_further_out_stays_known() {
    let layer = optional(Opaque::in_field("x-key").layer()).anonymous_plan("free");
    let token = bearer(&hs256(&claims()));
    let answer = jwt().layer(layer.layer(echo()));
    let answer = answer.oneshot(with(&[("authorization", &token)])).await.unwrap();
    assert_eq!(answer.headers()["x-seen"], "/orders [] jwt \"alice\"");
}

// === all of these ===

fn preflight() -> Request<Body> {
    let mut request = with(&[
        ("origin", "https://shop.example"),
        ("access-control-request-method", "POST"),
        ("authorization", "Bearer x"),
        ("x-key", "good"),
    ]);
    *request.method_mut() = http::Method::OPTIONS;
    request
}

/// A preflight passes with nothing to its name, and report-only lets through what is refused.
async fn lets_through<G>(layer: GuardLayer<G>)
where
    G: Guard + Send + Sync + 'static,
    G::Pass: Send,
{
    let seen = ask(&layer, preflight()).await.unwrap_or_else(|_| panic!("{}", G::NAME));
    let fields = "access-control-request-method=POST, origin=https://shop.example";
    assert_eq!(seen, format!("/orders [{fields}] nobody"), "{}", G::NAME);
    let bad = || with(&[("authorization", "Bearer a.b.c"), ("x-key", "bad")]);
    assert_eq!(ask(&layer, bad()).await.unwrap_err().status(), 401, "{}", G::NAME);
    let seen = ask(&layer.report_only(), bad()).await.unwrap_or_else(|_| panic!("{}", G::NAME));
    assert_eq!(seen, "/orders [] nobody", "{}", G::NAME);
}

#[tokio::test]
async fn preflights_and_reported_requests_pass_with_nothing_to_their_name() {
    let key = || Opaque::in_field("x-key").layer();
    lets_through(first_of((jwt().forward_credential(), key()))).await;
    lets_through(all_of((jwt().forward_credential(), key()))).await;
    lets_through(optional(first_of((jwt(), key()))).anonymous_plan("free")).await;
}

#[tokio::test]
async fn the_mode_of_the_combination_counts() {
    let layer = first_of((jwt().report_only(), Opaque::in_field("x-key").layer()));
    assert_eq!(ask(&layer, with(&[])).await.unwrap_err().status(), 401);
}

#[tokio::test]
async fn up_to_six_combine() {
    let key = |field| Opaque::in_field(field).layer();
    let layer = first_of((key("a"), key("b"), key("c"), key("d"), key("e"), jwt()));
    let seen = ask(&layer, with(&[("e", "good"), ("a-b", "x")])).await.unwrap();
    assert_eq!(seen, "/orders [a-b=x] opaque \"good\"");
    let layer = all_of((key("a"), key("b"), key("c"), key("d"), key("e")));
    assert!(ask(&layer, with(&[("e", "good")])).await.is_err());
}

fn is_scheme_layer(_: &impl SchemeLayer) {}

#[tokio::test]
async fn the_layer_contract() {
    let head = |fields: &'static [(&'static str, &'static str)]| move || with(fields).map(drop);
    let both = head(&[("x-a", "good"), ("x-b", "good")]);
    let bad = head(&[("x-a", "bad")]);
    for waits in [false, true] {
        let key = |field| Opaque { waits, ..Opaque::in_field(field) }.layer();
        let first = first_of((key("x-a"), key("x-b")));
        is_scheme_layer(&first);
        Contract::new(both).refuses(bad).check(first).await;
        let all = all_of((key("x-a"), key("x-b")));
        is_scheme_layer(&all);
        Contract::new(both).refuses(bad).check(all).await;
        let free = optional(key("x-a"));
        is_scheme_layer(&free);
        Contract::new(both).refuses(bad).check(free.clone()).await;
        Contract::new(head(&[])).refuses(bad).check(free.anonymous_plan("free")).await;
    }
}
