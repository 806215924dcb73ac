use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::json;
use tower::{Layer, ServiceExt};
use tower_gateway::{
    Identity, Rejection,
    auth::{
        Scheme, SchemeLayer,
        introspection::{Endpoint, Introspection, IntrospectionLayer},
    },
    body::Body,
    clock::{Clock, ManualClock},
    guard::Head,
    identity::Claims,
};

use crate::support::{
    self, assert_problem,
    authorization_server::{AuthorizationServer, Mode, form_field},
    get, text,
    tokens::NOW,
};

pub(super) const ENDPOINT: &str = "https://id.example/introspect";

type Answered = Response<Body<Full<Bytes>>>;

/// A server that knows the token `good`, and how it is asked.
struct Rig {
    server: AuthorizationServer,
    clock: Clock,
    time: ManualClock,
}

impl Rig {
    fn new() -> Self {
        let (clock, time) = Clock::manual();
        let server = AuthorizationServer::new(&clock);
        server.issue("good", json!({ "sub": "alice", "aud": "orders", "scope": "read" }));
        Self { server, clock, time }
    }

    fn endpoint(
        &self,
    ) -> Endpoint<
        impl tower::Service<
            Request<String>,
            Response = Response<Full<Bytes>>,
            Error = std::convert::Infallible,
            Future: Send,
        > + Clone
        + Send
        + use<>,
    > {
        Introspection::at(ENDPOINT, self.server.client())
            .client_secret_basic("gateway", "hunter2")
            .clock(self.clock.clone())
    }

    fn introspection(&self) -> Introspection {
        self.endpoint().build().unwrap().audience("orders")
    }

    fn layer(&self) -> IntrospectionLayer {
        layer(self.introspection())
    }
}

fn layer(introspection: Introspection) -> IntrospectionLayer {
    IntrospectionLayer::new(introspection).unwrap()
}

fn with_token(token: &str) -> Request<Full<Bytes>> {
    let mut request = get("/orders?x=%61");
    let field = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    request.headers_mut().insert("authorization", field);
    request
}

fn ask<C: Send + Sync + 'static>(
    layer: &IntrospectionLayer<C>,
    request: Request<Full<Bytes>>,
) -> impl Future<Output = Answered> + Send + use<C> {
    let answer = layer.layer(support::echo()).oneshot(request);
    async { answer.await.unwrap() }
}

async fn status(layer: &IntrospectionLayer, token: &str) -> u16 {
    ask(layer, with_token(token)).await.status().as_u16()
}

/// 401 with a challenge that says so, and no word of the token.
async fn assert_invalid(answer: Answered, row: &str) {
    assert_eq!(answer.status(), 401, "{row}");
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.contains("error=\"invalid_token\""), "{row}: {challenge}");
    assert!(!format!("{challenge}{}", text(answer).await).contains(row), "{row}");
}

/// 503 that says when to come again, and to the operator why.
async fn assert_undecided(answer: Answered, cause: &str) {
    assert!(answer.headers().contains_key("retry-after"), "{cause}");
    assert!(!answer.headers().contains_key("www-authenticate"), "{cause}");
    let rejection = answer.extensions().get::<Rejection>().unwrap();
    let shown = rejection.cause().unwrap().to_string();
    assert!(shown.contains(cause), "{shown}");
    let problem = assert_problem(answer, 503, "unavailable").await;
    assert!(!problem.to_string().contains(cause), "only the operator is told");
}

// === what goes on ===

#[tokio::test]
async fn the_identity_goes_on_and_the_token_does_not() {
    let rig = Rig::new();
    let inner = tower::service_fn(|request: Request<Full<Bytes>>| async move {
        assert!(request.headers().is_empty());
        let who = request.extensions().get::<Identity>().unwrap();
        let shown = format!("{} {} {:?}", who.scheme(), who.subject(), who.issuer());
        assert!(who.has_scope("read") && !format!("{who:?}").contains("orders"));
        Ok::<_, std::convert::Infallible>(Response::new(shown))
    });
    let answer = rig.layer().layer(inner).oneshot(with_token("good")).await.unwrap();
    assert_eq!(text(answer).await, format!("introspection alice {:?}", Some(ENDPOINT)));
}

#[tokio::test]
async fn the_token_goes_on_by_choice() {
    let rig = Rig::new();
    let whole = text(ask(&rig.layer(), with_token("good")).await).await;
    assert_eq!(whole, "GET /orders?x=%61\n");
    let kept = text(ask(&rig.layer().forward_credential(), with_token("good")).await).await;
    assert!(kept.contains("Bearer good"));
}

#[tokio::test]
async fn members_become_fields_that_nobody_else_can_set() {
    let rig = Rig::new();
    let layer = rig.layer().forward_claim("sub", "x-auth-sub").unwrap();
    let layer = layer.forward_claim("scope", "x-auth-scope").unwrap();
    let mut request = with_token("good");
    for name in ["x-auth-sub", "x_auth_sub", "x.auth.scope"] {
        request.headers_mut().append(name, HeaderValue::from_static("root"));
    }
    let head = text(ask(&layer, request).await).await;
    let mut fields: Vec<_> = head.lines().skip(1).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["x-auth-scope: read", "x-auth-sub: alice"]);
    assert!(rig.layer().forward_claim("sub", "host").is_err());
}

#[tokio::test]
async fn handlers_of_axum_take_identity_and_claims() {
    #[derive(Deserialize)]
    struct Answer {
        department: String,
    }
    let rig = Rig::new();
    rig.server.issue("typed", json!({ "aud": "orders", "sub": "a", "department": "sales" }));
    let layer = rig.layer().typed::<Answer>();
    let handler = |who: Identity, claims: Claims<Answer>| async move {
        format!("{} in {}", who.subject(), claims.department)
    };
    let app: axum::Router =
        axum::Router::new().route("/orders", axum::routing::get(handler)).layer(layer.clone());
    let request = with_token("typed").map(axum::body::Body::new);
    assert_eq!(text(app.oneshot(request).await.unwrap()).await, "a in sales");
    assert_invalid(ask(&layer, with_token("good")).await, "good").await;
}

// === credentials ===

#[tokio::test]
async fn who_brings_nothing_or_two_is_told_and_nobody_is_asked() {
    let rig = Rig::new();
    let layer = rig.layer().realm("shop").unwrap();
    let bare = ask(&layer, get("/?access_token=good")).await;
    assert_eq!(bare.headers()["www-authenticate"], "Bearer realm=\"shop\"");
    assert_problem(bare, 401, "unauthenticated").await;
    let mut two = with_token("good");
    two.headers_mut().append("authorization", HeaderValue::from_static("Bearer good"));
    assert_problem(ask(&layer, two).await, 400, "malformed").await;
    let malformed = ["a b", "a,b", "", "a&token=good&x=", "%00", "=", "\"good\""];
    for token in malformed {
        assert_eq!(status(&layer, token).await, 401, "{token:?}");
    }
    assert_eq!(status(&layer, &"a".repeat(8 * 1024 + 1)).await, 401);
    assert_eq!(rig.server.asked(), 0);
    assert_eq!(status(&layer, &"a".repeat(8 * 1024)).await, 401);
    assert_eq!(rig.server.asked(), 1);
}

#[tokio::test]
async fn other_places_are_read_by_choice_and_cleaned() {
    let rig = Rig::new();
    let request = |field: &'static str, value: &'static str| {
        let mut request = get("/a?x=%61");
        request.headers_mut().insert(field, HeaderValue::from_static(value));
        request
    };
    let choice = rig.layer().accept_query_parameter().accept_header("x-token").unwrap();
    let choice = choice.accept_cookie("session").unwrap();
    for (request, cleaned) in [
        (get("/a?x=%61&access_token=good"), "GET /a?x=%61\n"),
        (request("x-token", "good"), "GET /a?x=%61\n"),
        (request("cookie", "a=1; session=good"), "GET /a?x=%61\ncookie: a=1\n"),
    ] {
        assert_eq!(ask(&rig.layer(), request.clone()).await.status(), 401);
        assert_eq!(text(ask(&choice, request).await).await, cleaned);
    }
    // Outside of `Authorization`, a token is still one: INT-03 by another door.
    for bad in ["/?access_token=a%26token%3Dgood%26x%3D", "/?access_token=good%00"] {
        assert_eq!(ask(&choice, get(bad)).await.status(), 401, "{bad}");
    }
    assert_eq!(rig.server.asked(), 1);
    assert!(rig.layer().accept_header("host").is_err(), "it means something to HTTP itself");
    assert!(rig.layer().accept_header("a b").is_err() && rig.layer().accept_cookie("a=b").is_err());
}

#[tokio::test]
async fn a_preflight_passes_with_nothing_to_its_name() {
    let rig = Rig::new();
    let layer = rig.layer().forward_claim("sub", "x-auth-sub").unwrap();
    let request = Request::options("/").header("access-control-request-method", "POST");
    let request = request.header("origin", "https://shop.example").header("x-auth-sub", "root");
    let request = request.header("authorization", "Bearer good").body(Full::default()).unwrap();
    let head = text(ask(&layer, request).await).await;
    assert!(head.contains("origin") && !head.contains("root") && !head.contains("good"), "{head}");
    assert_eq!(rig.server.asked(), 0);
}

#[tokio::test]
async fn as_a_scheme_it_takes_any_bearer_token() {
    let rig = Rig::new();
    let layer = rig.layer();
    let scheme = layer.scheme();
    let presented = |request: &Request<Full<Bytes>>| scheme.presented(Head::of(request));
    assert!(presented(&with_token("good")) && presented(&with_token("a.b.c")));
    assert!(presented(&with_token("a b")), "what is none is refused, not passed by");
    assert!(!presented(&get("/")));
    assert_eq!(scheme.missing().status(), 401);
}

#[tokio::test]
async fn to_report_only_lets_everything_through_and_nothing_with_it() {
    let rig = Rig::new();
    let layer = rig.layer().report_only();
    for token in ["good", "bad"] {
        assert_eq!(text(ask(&layer, with_token(token)).await).await, "GET /orders?x=%61\n");
    }
    rig.server.set(Mode::Status(500));
    assert_eq!(status(&layer, "other").await, 200);
}

// === what the server says ===

#[tokio::test]
async fn int_01_only_true_is_active() {
    for answer in [
        r#"{"active":"true","aud":"orders"}"#,
        r#"{"active":1,"aud":"orders"}"#,
        r#"{"aud":"orders"}"#,
        r#"{"active":null,"aud":"orders"}"#,
        r#"{"active":false,"aud":"orders"}"#,
    ] {
        let rig = Rig::new();
        rig.server.set(Mode::Says(answer.into()));
        assert_invalid(ask(&rig.layer(), with_token("good")).await, "good").await;
    }
}

#[tokio::test]
async fn int_02_who_cannot_decide_says_503_and_when_to_come_again() {
    let says = |text: &str| Mode::Says(text.into());
    for (mode, cause) in [
        (Mode::Status(500), "500"),
        (Mode::Status(204), "204"),
        (Mode::Status(429), "429"),
        (Mode::Status(401), "the gateway's own credentials"),
        (Mode::Status(403), "the gateway's own credentials"),
        (Mode::Redirect, "307"),
        (Mode::Huge, "larger than"),
        (says(""), "no JSON object"),
        (says("<html>active: true</html>"), "no JSON object"),
        (says(r#"[{"active":true}]"#), "no JSON object"),
        (says(r#"{"active":false,"active":true,"aud":"orders"}"#), "no JSON object"),
        (says(r#"{"active":true,"aud":"orders","exp":"soon"}"#), "wrong type"),
    ] {
        let rig = Rig::new();
        rig.server.set(mode);
        let layer = rig.layer();
        assert_undecided(ask(&layer, with_token("good")).await, cause).await;
        assert_eq!(rig.server.asked(), 1, "and nobody is asked elsewhere");
        rig.server.set(Mode::Answers);
        assert_eq!(status(&layer, "good").await, 200, "{cause}: it is not remembered");
    }
}

#[tokio::test]
async fn int_02_a_token_that_its_server_chokes_on_stops_no_questions_about_others() {
    for status_code in [400, 413, 414, 422, 431] {
        let rig = Rig::new();
        let layer = rig.layer();
        rig.server.set(Mode::Status(status_code));
        for n in 0..10 {
            let answer = ask(&layer, with_token(&format!("odd-{n}"))).await;
            assert_undecided(answer, &status_code.to_string()).await;
        }
        assert_eq!(rig.server.asked(), 10);
        rig.server.set(Mode::Answers);
        assert_eq!(status(&layer, "good").await, 200);
    }
}

#[tokio::test]
async fn int_02_a_question_ends_in_time() {
    let rig = Rig::new();
    rig.server.set(Mode::Hangs);
    let layer =
        layer(rig.endpoint().timeout(Duration::from_secs(2)).build().unwrap().any_audience());
    let answer = tokio::spawn(ask(&layer, with_token("good")));
    while rig.time.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    rig.time.advance(Duration::from_secs(2));
    assert_undecided(answer.await.unwrap(), "no answer in time").await;
}

#[tokio::test]
async fn int_02_over_grpc() {
    let rig = Rig::new();
    let call = || {
        let mut call = with_token("good");
        *call.method_mut() = http::Method::POST;
        let media = HeaderValue::from_static("application/grpc");
        call.headers_mut().insert("content-type", media);
        call
    };
    for (mode, code) in [(Mode::Status(500), 14), (Mode::Says("{}".into()), 16)] {
        rig.server.set(mode);
        let answer = ask(&rig.layer(), call()).await;
        assert_eq!(answer.headers()["grpc-status"], HeaderValue::from(code));
    }
    rig.server.set(Mode::Answers);
    let layer = layer(rig.introspection().require_scope("write"));
    assert_eq!(ask(&layer, call()).await.headers()["grpc-status"], HeaderValue::from(7));
}

#[tokio::test]
async fn a_client_that_fails_or_panics_is_no_answer() {
    let (clock, _time) = Clock::manual();
    let broken = tower::service_fn(|request: Request<String>| async move {
        assert!(!request.body().contains("panic"), "as asked");
        Err::<Response<String>, _>(std::io::Error::other("connection refused"))
    });
    let endpoint = Introspection::at(ENDPOINT, broken).without_client_authentication().clock(clock);
    let layer = layer(endpoint.build().unwrap().any_audience());
    assert_undecided(ask(&layer, with_token("good")).await, "connection refused").await;
    assert_undecided(ask(&layer, with_token("panic")).await, "panicked").await;
}

// === requirements ===

#[tokio::test]
async fn int_04_each_layer_judges_what_is_remembered_by_its_own_requirements() {
    let rig = Rig::new();
    let server = rig.introspection();
    let strangers = rig.introspection(); // its own memory
    let read = layer(server.clone().require_scope("read"));
    let write = layer(server.clone().require_scope("read").require_scope("write"));
    let billing = layer(server.clone().all_audiences().audience("billing"));
    let issued = layer(server.issuer("https://id.example"));
    for _ in 0..2 {
        assert_eq!(status(&read, "good").await, 200);
        let lacks = ask(&write, with_token("good")).await;
        let challenge = lacks.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        assert!(challenge.contains("scope=\"read write\""), "{challenge}");
        assert_problem(lacks, 403, "forbidden").await;
        assert_invalid(ask(&billing, with_token("good")).await, "good").await;
        assert_invalid(ask(&issued, with_token("good")).await, "good").await;
    }
    assert_eq!(rig.server.asked(), 1);
    assert_eq!(status(&layer(strangers), "good").await, 200);
    assert_eq!(rig.server.asked(), 2);
}

#[tokio::test]
async fn a_token_comes_of_age_while_it_is_remembered() {
    let rig = Rig::new();
    rig.server.issue("young", json!({ "aud": "orders", "nbf": NOW + 70 }));
    let layer = rig.layer();
    assert_invalid(ask(&layer, with_token("young")).await, "young").await;
    rig.time.advance(Duration::from_secs(10));
    assert_eq!((status(&layer, "young").await, rig.server.asked()), (200, 1));
}

// === what is remembered ===

#[tokio::test]
async fn int_05_two_servers_never_share_an_answer() {
    let (one, other) = (Rig::new(), Rig::new());
    other.server.revoke("good");
    let layers = [one.layer(), other.layer()];
    for _ in 0..2 {
        assert_eq!(status(&layers[0], "good").await, 200);
        assert_eq!(status(&layers[1], "good").await, 401);
    }
    assert_eq!((one.server.asked(), other.server.asked()), (1, 1));
}

#[tokio::test]
async fn int_06_an_answer_ends_with_its_token_and_with_its_time() {
    let rig = Rig::new();
    rig.server.issue("short", json!({ "aud": "orders", "exp": NOW + 5 }));
    let minute = Duration::from_secs(60);
    let layer = layer(rig.endpoint().ttl(minute).build().unwrap().audience("orders"));
    assert_eq!(status(&layer, "short").await, 200);
    assert_eq!(status(&layer, "good").await, 200);
    rig.time.advance(Duration::from_millis(4_999));
    assert_eq!(status(&layer, "short").await, 200);
    rig.time.advance(Duration::from_millis(1));
    assert_eq!(status(&layer, "short").await, 401);
    rig.server.revoke("good");
    assert_eq!((status(&layer, "good").await, rig.server.asked()), (200, 2));
    rig.time.advance(Duration::from_secs(55));
    assert_eq!((status(&layer, "good").await, rig.server.asked()), (401, 3));
}

#[tokio::test]
async fn by_default_a_revocation_shows_within_30_seconds_and_a_new_token_within_5() {
    let rig = Rig::new();
    let layer = rig.layer();
    assert_eq!((status(&layer, "good").await, status(&layer, "new").await), (200, 401));
    rig.server.revoke("good");
    rig.server.issue("new", json!({ "aud": "orders" }));
    assert_eq!((status(&layer, "good").await, status(&layer, "new").await), (200, 401));
    rig.time.advance(Duration::from_secs(5));
    assert_eq!((status(&layer, "good").await, status(&layer, "new").await), (200, 200));
    rig.time.advance(Duration::from_secs(25));
    assert_eq!(status(&layer, "good").await, 401);
}

#[tokio::test]
async fn what_is_forgotten_is_asked_again_by_all_layers() {
    let rig = Rig::new();
    let server = rig.introspection();
    let layers = [layer(server.clone()), layer(server.clone().require_scope("read"))];
    for layer in &layers {
        assert_eq!(status(layer, "good").await, 200);
    }
    rig.server.revoke("good");
    server.forget("good");
    for layer in &layers {
        assert_eq!(status(layer, "good").await, 401);
    }
    rig.server.issue("good", json!({ "aud": "orders" }));
    server.forget_all();
    assert_eq!((status(&layers[0], "good").await, rig.server.asked()), (200, 3));
}

#[tokio::test]
async fn a_remembered_answer_is_decided_at_once() {
    let rig = Rig::new();
    let layer = rig.layer();
    assert_eq!((status(&layer, "good").await, status(&layer, "bad").await), (200, 401));
    for token in ["good", "bad"] {
        assert!(futures_util::FutureExt::now_or_never(ask(&layer, with_token(token))).is_some());
    }
}

#[tokio::test]
async fn by_choice_a_remembered_answer_serves_while_the_server_is_down() {
    let rig = Rig::new();
    rig.server.issue("short", json!({ "aud": "orders", "exp": NOW + 40 }));
    let endpoint = rig.endpoint().stale_if_error(Duration::from_secs(60));
    let lenient = layer(endpoint.build().unwrap().audience("orders"));
    let strict = rig.layer();
    for layer in [&lenient, &strict] {
        assert_eq!((status(layer, "good").await, status(layer, "short").await), (200, 200));
    }
    rig.server.set(Mode::Status(503));
    rig.time.advance(Duration::from_secs(30));
    assert_eq!((status(&lenient, "good").await, status(&lenient, "short").await), (200, 200));
    assert_eq!(status(&strict, "good").await, 503);
    assert_eq!(status(&lenient, "never seen").await, 401, "malformed");
    assert_eq!(status(&lenient, "never-seen").await, 503);
    rig.time.advance(Duration::from_secs(10));
    assert_eq!(status(&lenient, "short").await, 401, "not beyond its end");
    rig.time.advance(Duration::from_secs(50));
    assert_eq!(status(&lenient, "good").await, 503);
}

// === load ===

#[tokio::test]
async fn int_07_random_tokens_are_bounded_in_memory_and_in_flight() {
    let rig = Rig::new();
    let layer = rig.layer();
    rig.server.set(Mode::Slow(Duration::from_secs(1)));
    let asking: Vec<_> = (0..10_000)
        .map(|n| tokio::spawn(ask(&layer, with_token(&format!("random-{n}")))))
        .collect();
    while rig.time.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    // Everyone else has been answered by now: nothing queues behind the questions that are open.
    let mut refused = 0;
    while refused < 10_000 - 64 {
        refused = asking.iter().filter(|it| it.is_finished()).count();
        tokio::task::yield_now().await;
    }
    assert_eq!((rig.server.asked(), rig.server.most_open()), (64, 64));
    rig.time.advance(Duration::from_secs(1));
    let mut counts = std::collections::BTreeMap::new();
    for answer in asking {
        let answer = answer.await.unwrap();
        assert!(answer.status() != 503 || answer.headers().contains_key("retry-after"));
        *counts.entry(answer.status().as_u16()).or_insert(0) += 1;
    }
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(401, 64), (503, 9_936)]);
    assert_eq!(rig.server.asked(), 64, "who was refused is not asked about later");
}

#[tokio::test]
async fn int_07_what_is_remembered_is_bounded_and_bad_tokens_push_out_no_good_one() {
    let rig = Rig::new();
    let endpoint = rig.endpoint().capacity(100);
    let layer = layer(endpoint.build().unwrap().audience("orders"));
    assert_eq!(status(&layer, "good").await, 200);
    for n in 0..10_000 {
        assert_eq!(status(&layer, &format!("random-{n}")).await, 401);
    }
    assert_eq!(rig.server.asked(), 10_001);
    assert_eq!((status(&layer, "good").await, rig.server.asked()), (200, 10_001));
    let again = (0..10_000).map(|n| ask(&layer, with_token(&format!("random-{n}"))));
    let at_once = again.filter_map(futures_util::FutureExt::now_or_never);
    let remembered = at_once.filter(|answer| answer.status() == 401).count();
    assert!((1..=200).contains(&remembered), "{remembered}");
}

#[tokio::test]
async fn int_08_one_question_for_all_who_present_a_token_even_when_the_first_leaves() {
    let rig = Rig::new();
    rig.server.set(Mode::Slow(Duration::from_secs(1)));
    let layer = rig.layer();
    let first = tokio::spawn(ask(&layer, with_token("good")));
    while rig.time.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    let others: Vec<_> = (0..100).map(|_| tokio::spawn(ask(&layer, with_token("good")))).collect();
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    rig.time.advance(Duration::from_secs(1));
    for answer in join_all(others).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(rig.server.asked(), 1);
}

#[tokio::test]
async fn after_failures_in_a_row_nobody_asks_for_a_while() {
    let rig = Rig::new();
    let layer = rig.layer();
    assert_eq!(status(&layer, "good").await, 200);
    rig.server.set(Mode::Status(500));
    for n in 0..50 {
        assert_eq!(status(&layer, &format!("cold-{n}")).await, 503);
    }
    assert_eq!(rig.server.asked(), 1 + 5);
    assert_eq!(status(&layer, "good").await, 200, "what is remembered is not affected");
    rig.server.set(Mode::Answers);
    let open = ask(&layer, with_token("cold")).await;
    assert_eq!(open.headers()["retry-after"], "1");
    assert_undecided(open, "the last questions failed").await;
    rig.time.advance(Duration::from_secs(1));
    assert_eq!(status(&layer, "cold").await, 401);
    assert_eq!(status(&layer, "colder").await, 401);
    assert_eq!(rig.server.asked(), 1 + 5 + 2);
}

#[tokio::test]
async fn a_server_that_stands_still_holds_up_only_who_is_not_remembered() {
    let rig = Rig::new();
    let layer = rig.layer();
    assert_eq!(status(&layer, "good").await, 200);
    rig.server.set(Mode::Hangs);
    let mut cold = Vec::new();
    for second in 0..20 {
        let one = |n| tokio::spawn(ask(&layer, with_token(&format!("cold-{second}-{n}"))));
        cold.extend((0..100).map(one));
        for _ in 0..10 {
            assert_eq!(status(&layer, "good").await, 200);
            tokio::task::yield_now().await;
        }
        rig.time.advance(Duration::from_secs(1));
    }
    rig.time.advance(Duration::from_secs(3));
    for answer in cold {
        assert_eq!(answer.await.unwrap().status(), 503);
    }
    assert!(rig.server.most_open() <= 64);
    assert!(
        (66..70).contains(&rig.server.asked()),
        "the first 64, and then one probe after each pause"
    );
    // The remembered answer's time is over meanwhile; and when the server goes on, so does all.
    rig.server.set(Mode::Answers);
    rig.time.advance(Duration::from_secs(60));
    assert_eq!((status(&layer, "good").await, status(&layer, "cold").await), (200, 401));
}

#[tokio::test]
async fn whose_answer_cannot_be_used_stops_no_question_about_others() {
    let rig = Rig::new();
    let layer = rig.layer();
    rig.server.set(Mode::Huge);
    for _ in 0..10 {
        assert_eq!(status(&layer, "fat").await, 503);
    }
    rig.server.set(Mode::Answers);
    assert_eq!(status(&layer, "good").await, 200);
}

// === discovery ===

const ISSUER: &str = "https://id.example/tenant";
const WELL_KNOWN: &str = "https://id.example/.well-known/oauth-authorization-server/tenant";

fn metadata(issuer: &str) -> String {
    json!({ "issuer": issuer, "introspection_endpoint": "https://id.example/tenant/introspect" })
        .to_string()
}

fn discovered(rig: &Rig) -> Introspection {
    let endpoint = Introspection::discover(ISSUER, rig.server.client());
    let endpoint = endpoint.client_secret_post("gateway", "hunter2").clock(rig.clock.clone());
    endpoint.build().unwrap().audience("orders")
}

#[tokio::test]
async fn the_endpoint_is_where_the_issuer_says() {
    for place in [WELL_KNOWN, "https://id.example/tenant/.well-known/openid-configuration"] {
        let rig = Rig::new();
        rig.server.publish(place, metadata(ISSUER));
        let server = discovered(&rig);
        let layer = layer(server.clone());
        // The first request waits for the metadata.
        assert_eq!(status(&layer, "good").await, 200);
        server.ready().await;
        assert_eq!(rig.server.last().uri(), "https://id.example/tenant/introspect");
        assert_eq!(server.health().unwrap().refreshes, 1);
    }
}

#[tokio::test]
async fn a_token_of_another_tenant_of_the_server_is_refused() {
    let rig = Rig::new();
    rig.server.publish(WELL_KNOWN, metadata(ISSUER));
    rig.server.issue("ours", json!({ "aud": "orders", "iss": ISSUER }));
    rig.server.issue("theirs", json!({ "aud": "orders", "iss": "https://id.example/other" }));
    let layer = layer(discovered(&rig));
    assert_eq!((status(&layer, "ours").await, status(&layer, "good").await), (200, 200));
    assert_invalid(ask(&layer, with_token("theirs")).await, "theirs").await;
}

#[tokio::test]
async fn metadata_of_another_issuer_are_not_used() {
    let rig = Rig::new();
    rig.server.publish(WELL_KNOWN, metadata("https://id.example/other"));
    let layer = layer(discovered(&rig));
    assert_undecided(ask(&layer, with_token("good")).await, "id.example/other").await;
    rig.server.publish(WELL_KNOWN, metadata(ISSUER));
    rig.time.advance(Duration::from_secs(1));
    assert_eq!(status(&layer, "good").await, 200);
    assert_eq!(rig.server.asked(), 1);
}

// === configuration ===

#[test]
fn every_mistake_is_listed() {
    let (clock, _time) = Clock::manual();
    let client = AuthorizationServer::new(&clock).client();
    let mistakes = |endpoint: Endpoint<_>| match endpoint.build() {
        Ok(_) => 0,
        Err(error) => error.mistakes().len(),
    };
    let at = |url: &str| Introspection::at(url, client.clone());
    assert_eq!(mistakes(at("http://id.example/i").capacity(0)), 3);
    assert_eq!(mistakes(at("/i").client_secret_basic("", "s").bearer_token("a b")), 3);
    assert_eq!(mistakes(at(ENDPOINT).tls_client_auth("a").without_client_authentication()), 1);
    assert_eq!(mistakes(at("http://id.example/i").tls_client_auth("a").allow_http()), 0);
    assert_eq!(mistakes(at("http://127.0.0.1:1/i").bearer_token("a").timeout(Duration::MAX)), 0);
    let discover = Introspection::discover("https://id.example?x", client.clone());
    assert_eq!(mistakes(discover), 2);
    let discover = Introspection::discover(ISSUER, client.clone()).tls_client_auth("a");
    assert!(discover.build().unwrap_err().to_string().contains("Tokio"));

    let server = at(ENDPOINT).bearer_token("a").build().unwrap();
    let error = IntrospectionLayer::new(server.clone()).unwrap_err();
    assert!(error.to_string().contains("any_audience"));
    let error = IntrospectionLayer::new(server.audience("").require_scope("a b")).unwrap_err();
    assert_eq!(error.mistakes().len(), 2);
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let rig = Rig::new();
    let server = rig.introspection();
    let endpoint = Introspection::at(
        ENDPOINT,
        tower::service_fn(|_: Request<String>| async {
            Ok::<_, std::convert::Infallible>(Response::new(String::new()))
        }),
    );
    let endpoint = endpoint.client_secret_post("gateway", "hunter2");
    let layers = [layer(server.clone()), rig.layer()];
    let shown = format!("{endpoint:?} {server:?} {layers:?} {:?}", layers[0].scheme());
    for secret in ["hunter2", "Z2F0ZXdheTpodW50ZXIy"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    ask(&rig.layer(), with_token("good")).await;
    let sent = rig.server.last();
    assert!(sent.headers()["authorization"].is_sensitive());
    assert_eq!(form_field(sent.body(), "token").as_deref(), Some("good"));
}

#[tokio::test]
async fn long_times_do_not_overflow() {
    let rig = Rig::new();
    let endpoint = rig.endpoint().ttl(Duration::MAX).negative_ttl(Duration::MAX);
    let endpoint = endpoint.stale_if_error(Duration::MAX).timeout(Duration::MAX);
    let server = endpoint.build().unwrap().audience("orders").leeway(Duration::from_secs(3600));
    let layer = layer(server);
    rig.server.issue("long", json!({ "aud": "orders", "exp": 1e300, "iat": -1e300, "nbf": 1e300 }));
    for token in ["good", "long", "bad"] {
        let once = status(&layer, token).await;
        assert_eq!(status(&layer, token).await, once);
        assert!(once != 503);
    }
}

#[tokio::test]
async fn the_same_layer_on_many_services_asks_once() {
    let rig = Rig::new();
    let layer = Arc::new(rig.layer());
    for _ in 0..10 {
        assert_eq!(status(&layer.as_ref().clone(), "good").await, 200);
    }
    assert_eq!(rig.server.asked(), 1);
}
