use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_gateway::{
    Identity, Rejection,
    auth::jwt::{Algorithm, Issuer, Jwks, JwtLayer, KeySet},
    clock::Clock,
    fields::OwnFields,
    identity::Claims,
};

use crate::support::{
    self, assert_problem, get, text,
    tokens::{AUDIENCE, ISSUER, SECRET, claims, claims_with, hs256},
};

fn issuer() -> Issuer {
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET).unwrap();
    Issuer::new(ISSUER, keys).audience(AUDIENCE)
}

fn layer() -> JwtLayer {
    let (clock, _time) = Clock::manual();
    JwtLayer::new(issuer()).unwrap().clock(clock)
}

fn with_token(token: &str) -> Request<Full<Bytes>> {
    let mut request = get("/orders?x=%61");
    let field = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    request.headers_mut().insert("authorization", field);
    request
}

/// The head that reached the inner service.
async fn reached<C: Send + Sync + 'static>(
    layer: &JwtLayer<C>,
    request: Request<Full<Bytes>>,
) -> String {
    let answer = layer.layer(support::echo()).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    text(answer).await
}

// === what goes on ===

#[tokio::test]
async fn the_identity_goes_on_and_the_token_does_not() {
    let inner = tower::service_fn(|request: Request<Full<Bytes>>| async move {
        assert!(request.headers().is_empty());
        let who = request.extensions().get::<Identity>().unwrap();
        let shown =
            format!("{} {} {:?} {}", who.scheme(), who.subject(), who.issuer(), who.has_scope("b"));
        assert!(!format!("{who:?}").contains("exp"));
        Ok::<_, std::convert::Infallible>(http::Response::new(shown))
    });
    let token = hs256(&claims_with("scope", json!("a b")));
    let answer = layer().layer(inner).oneshot(with_token(&token)).await.unwrap();
    assert_eq!(text(answer).await, "jwt alice Some(\"https://id.example\") true");
}

#[tokio::test]
async fn the_token_goes_on_by_choice() {
    let token = hs256(&claims());
    assert!(!reached(&layer(), with_token(&token)).await.contains(&token));
    assert!(reached(&layer().forward_credential(), with_token(&token)).await.contains(&token));
}

#[tokio::test]
async fn a_known_key_is_decided_at_once() {
    let answer = layer().layer(support::echo()).oneshot(with_token(&hs256(&claims())));
    assert!(futures_util::FutureExt::now_or_never(answer).is_some());
}

// === credentials ===

#[tokio::test]
async fn jwt_14_two_credentials_are_refused_whichever_is_good() {
    let good = format!("Bearer {}", hs256(&claims()));
    for two in [[&*good, "Bearer x"], ["Bearer x", &good], [&good, &good], ["Basic YTpi", &good]] {
        let mut request = get("/");
        for field in two {
            request.headers_mut().append("authorization", HeaderValue::from_str(field).unwrap());
        }
        let answer = layer().layer(support::echo()).oneshot(request).await.unwrap();
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("invalid_request"), "{challenge}");
        assert_problem(answer, 400, "malformed").await;
    }
}

#[tokio::test]
async fn jwt_16_who_brings_nothing_is_told_no_error() {
    for request in [get("/"), get("/?access_token=x")] {
        let answer =
            layer().realm("shop").unwrap().layer(support::echo()).oneshot(request).await.unwrap();
        assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"shop\"");
        assert_eq!(answer.extensions().get::<Rejection>().unwrap().status(), 401);
        assert_problem(answer, 401, "unauthenticated").await;
    }
    let mut basic = get("/");
    basic.headers_mut().insert("authorization", HeaderValue::from_static("Basic YTpi"));
    let answer = layer().layer(support::echo()).oneshot(basic).await.unwrap();
    assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"gateway\"");
}

#[tokio::test]
async fn a_grpc_client_reads_unauthenticated() {
    let call = Request::post("/pkg.Svc/M").header("content-type", "application/grpc");
    let call = call.body(Full::default()).unwrap();
    let answer = layer().layer(support::echo()).oneshot(call).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["grpc-status"]),
        (200, &HeaderValue::from(16))
    );
}

#[tokio::test]
async fn jwt_15_the_query_is_read_by_choice_and_cleaned() {
    let token = hs256(&claims());
    let uri = format!("/a?x=%61&access_token={token}&y=1");
    let refused = layer().layer(support::echo()).oneshot(get(&uri)).await.unwrap();
    assert_eq!(refused.status(), 401);
    let choice = layer().accept_query_parameter();
    assert_eq!(reached(&choice, get(&uri)).await, "GET /a?x=%61&y=1\n");
    let answer = choice.layer(support::echo()).oneshot(get(&uri)).await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "private");
    // and a body is never looked at
    let form = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
    let form = form.body(Full::from(format!("access_token={token}"))).unwrap();
    let refused = choice.layer(support::echo()).oneshot(form).await.unwrap();
    assert_eq!(refused.status(), 401);
}

#[tokio::test]
async fn a_header_or_a_cookie_is_read_by_choice_and_taken_out() {
    let token = hs256(&claims());
    let with = |fields: &[(&'static str, &str)]| {
        let mut request = get("/");
        for (name, value) in fields {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        request
    };
    let cookies = format!("a=1; session={token}; b=2");
    let bearer = format!("Bearer {token}");
    let header = with(&[("x-token", &token)]);
    let cookie = with(&[("cookie", &cookies)]);
    for request in [&header, &cookie] {
        let answer = layer().layer(support::echo()).oneshot(request.clone()).await.unwrap();
        assert_eq!(answer.status(), 401, "not chosen");
    }
    let choice = layer().accept_header("X-Token").unwrap().accept_cookie("session").unwrap();
    assert_eq!(reached(&choice, header).await, "GET /\n");
    let head = reached(&choice, cookie).await;
    assert!(head.contains("a=1") && head.contains("b=2") && !head.contains("session"), "{head}");
    assert_eq!(reached(&choice, with(&[("authorization", &bearer)])).await, "GET /\n");
    for two in [
        with(&[("x-token", &token), ("authorization", &bearer)]),
        with(&[("x-token", &token), ("cookie", &cookies)]),
        with(&[("x-token", &token), ("x-token", &token)]),
    ] {
        let answer = choice.layer(support::echo()).oneshot(two).await.unwrap();
        assert_problem(answer, 400, "malformed").await;
    }
    for bad in ["", "a b", "Host", "cookie", "authorization", "content_length"] {
        assert!(layer().accept_header(bad).is_err(), "{bad}");
    }
    for bad in ["", "a=b", "a;b", "a b", "\u{e9}"] {
        assert!(layer().accept_cookie(bad).is_err(), "{bad}");
    }
    // the token's field can carry what the inner service is told instead
    let instead =
        layer().accept_header("x-token").unwrap().forward_claim("sub", "x-token").unwrap();
    assert_eq!(reached(&instead, with(&[("x-token", &token)])).await, "GET /\nx-token: alice\n");
}

#[tokio::test]
async fn all_claims_go_on_in_one_field_that_no_client_can_set() {
    let layer = layer().forward_claims("x-jwt-payload").unwrap();
    let mut request = with_token(&hs256(&claims()));
    request.headers_mut().insert("x_jwt_payload", HeaderValue::from_static("e30"));
    let head = reached(&layer, request).await;
    let (_, sent) = head.split_once("x-jwt-payload: ").unwrap();
    let json = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, sent.trim_end());
    assert_eq!(serde_json::from_slice::<Value>(&json.unwrap()).unwrap(), claims());
    assert!(!head.contains("x_jwt_payload"));
    assert!(layer.forward_claim("sub", "X-JWT-Payload").is_err(), "it is taken");
}

#[tokio::test]
async fn jwt_18_and_19_no_method_and_no_agent_is_exempt() {
    for method in
        ["HEAD", "OPTIONS", "TRACE", "PROPFIND", "FOO", "get", "POST", "DELETE", "CONNECT"]
    {
        let mut request = get("/");
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        request
            .headers_mut()
            .insert("user-agent", HeaderValue::from_static("GoogleHC/1.0 kube-probe/1.30"));
        let answer = layer().layer(support::echo()).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 401, "{method}");
    }
}

// === preflight ===

#[tokio::test]
async fn a_preflight_passes_with_nothing_to_its_name() {
    let layer = layer().forward_claim("sub", "x-auth-sub").unwrap().forward_credential();
    let preflight = |origin: bool| {
        let mut request = Request::options("/").header("access-control-request-method", "POST");
        if origin {
            request = request.header("origin", "https://shop.example");
        }
        let request = request.header("authorization", "Bearer x").header("x-auth-sub", "root");
        request.header("x_auth_sub", "root").body(Full::default()).unwrap()
    };
    let head = reached(&layer, preflight(true)).await;
    assert!(
        head.contains("origin") && !head.contains("root") && !head.contains("Bearer"),
        "{head}"
    );
    let half = layer.layer(support::echo()).oneshot(preflight(false)).await.unwrap();
    assert_eq!(half.status(), 401);
}

// === claims for the upstream ===

#[tokio::test]
async fn claims_become_fields_that_nobody_else_can_set() {
    let layer = layer().forward_claim("sub", "x-auth-sub").unwrap();
    let layer = layer.forward_claim("groups", "x-auth-groups").unwrap();
    let layer = layer.forward_claim("gone", "x-auth-gone").unwrap();
    let mut request = with_token(&hs256(&claims_with("groups", json!(["a b", "c"]))));
    for (name, value) in [
        ("x-auth-sub", "root"),
        ("x_auth_sub", "root"),
        ("x.auth.sub", "root"),
        ("x-auth-gone", "root"),
        ("connection", "close, x-auth-sub, x-auth-groups"),
    ] {
        request
            .headers_mut()
            .append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let head = reached(&layer, request).await;
    let mut fields: Vec<_> = head.lines().skip(1).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["x-auth-groups: a%20b c", "x-auth-sub: alice"]);
}

#[tokio::test]
async fn jwt_17_no_claim_breaks_out_of_its_field() {
    let layer = layer().forward_claim("sub", "x-auth-sub").unwrap();
    for (sub, field) in [
        (
            json!("a\r\nx-admin: 1\r\n\r\nGET / HTTP/1.1"),
            "a%0D%0Ax-admin: 1%0D%0A%0D%0AGET / HTTP/1.1",
        ),
        (json!("Zo\u{eb}\u{0}\u{7f}"), "Zo%C3%AB%00%7F"),
        (json!("  a b "), "%20%20a b%20"),
        (json!("  "), "%20%20"),
        (json!("100%"), "100%25"),
        (json!(""), ""),
    ] {
        let head = reached(&layer, with_token(&hs256(&claims_with("sub", sub)))).await;
        assert_eq!(head, format!("GET /orders?x=%61\nx-auth-sub: {field}\n"));
    }
    let scalars = [
        (json!(7), Some("7")),
        (json!(true), Some("true")),
        (json!(1.5), Some("1.5")),
        (json!(null), None),
        (json!({}), None),
        (json!([1]), None),
        (json!([]), Some("")),
    ];
    for (value, field) in scalars {
        let layer = self::layer().forward_claim("c", "x-c").unwrap();
        let head = reached(&layer, with_token(&hs256(&claims_with("c", value.clone())))).await;
        let expected = field.map_or(String::new(), |it| format!("x-c: {it}\n"));
        assert_eq!(head, format!("GET /orders?x=%61\n{expected}"), "{value}");
    }
}

#[tokio::test]
async fn the_fields_are_known_to_the_upstream() {
    let inner = tower::service_fn(|request: Request<Full<Bytes>>| async move {
        let own = request.extensions().get::<OwnFields>().unwrap();
        let mut names: Vec<_> = own.0.iter().map(HeaderName::as_str).collect();
        names.sort_unstable();
        Ok::<_, std::convert::Infallible>(http::Response::new(names.join(" ")))
    });
    let layer = layer().forward_claim("sub", "x-auth-sub").unwrap();
    // No field says that there will be trailers: a layer further out may have taken it away.
    let mut request = with_token(&hs256(&claims()));
    let others = OwnFields([HeaderName::from_static("x-other")].into());
    request.extensions_mut().insert(others);
    let answer = layer.layer(inner).oneshot(request).await.unwrap();
    assert_eq!(text(answer).await, "x-auth-sub x-other");
}

#[test]
fn names_that_mean_something_to_http_carry_no_claim() {
    for field in [
        "host",
        "Content-Length",
        "authorization",
        "connection",
        "keep-alive",
        "proxy-connection",
        "http2-settings",
        "te",
        "a b",
        "",
        "cookie",
        "forwarded",
    ] {
        assert!(layer().forward_claim("sub", field).is_err(), "{field}");
    }
    let twice = layer().forward_claim("sub", "x-a").unwrap().forward_claim("iss", "X-A");
    assert!(twice.is_err());
    let spelled = layer().forward_claim("sub", "x-a").unwrap().forward_claim("iss", "x_a");
    assert!(spelled.is_err());
}

// === typed claims ===

#[derive(Deserialize)]
struct Staff {
    department: String,
}

#[tokio::test]
async fn claims_that_do_not_fit_are_refused() {
    let layer = layer().typed::<Staff>();
    let inner = tower::service_fn(|request: Request<Full<Bytes>>| async move {
        let staff = request.extensions().get::<Claims<Staff>>().unwrap();
        Ok::<_, std::convert::Infallible>(http::Response::new(staff.department.clone()))
    });
    let fits = with_token(&hs256(&claims_with("department", json!("sales"))));
    assert_eq!(text(layer.layer(inner).oneshot(fits).await.unwrap()).await, "sales");
    for department in [json!(5), Value::Null] {
        let unfit = with_token(&hs256(&claims_with("department", department)));
        let answer = layer.layer(inner).oneshot(unfit).await.unwrap();
        let cause = answer.extensions().get::<Rejection>().unwrap().cause().unwrap().to_string();
        assert!(cause.ends_with("Staff"), "the operator reads which type: {cause}");
        assert_problem(answer, 401, "unauthenticated").await;
    }
}

#[tokio::test]
async fn handlers_of_axum_take_identity_and_claims() {
    use axum::{Router, routing::get};
    let handler = |who: Identity, staff: Claims<Staff>| async move {
        format!("{} in {}", who.subject(), staff.department)
    };
    let app: Router = Router::new().route("/orders", get(handler));
    let request = || {
        with_token(&hs256(&claims_with("department", json!("sales")))).map(axum::body::Body::new)
    };
    let gated = app.clone().layer(layer().typed::<Staff>());
    let answer = gated.oneshot(request()).await.unwrap();
    assert_eq!(text(answer).await, "alice in sales");
    // without the layer the stack is at fault, not the client
    let bare = app.oneshot(request()).await.unwrap();
    assert_eq!(bare.status(), 500);
    assert_eq!(bare.headers()["content-type"], "application/problem+json");
}

// === configuration ===

#[test]
fn every_mistake_is_listed() {
    let keys = || KeySet::from_secret(Algorithm::HS256, SECRET).unwrap();
    let error = JwtLayer::any_of([
        Issuer::new("", keys()),
        Issuer::new("a", keys()).audience("").algorithms([]),
        Issuer::new("a", keys()).any_audience(),
    ]);
    assert_eq!(error.unwrap_err().mistakes().len(), 5);
    assert!(JwtLayer::any_of([]).is_err());
    let other = Issuer::new("a", keys()).audience("x").algorithms([Algorithm::RS256]);
    let error = JwtLayer::new(other).unwrap_err().to_string();
    assert!(error.contains("no key for the algorithms"), "{error}");
    assert!(JwtLayer::new(issuer()).unwrap().realm("\"").is_err());
    assert!(KeySet::from_jwks(r#"{"keys":[]}"#).is_err());
}

#[test]
fn nothing_secret_is_shown() {
    let shown = format!("{:?} {:?}", issuer(), layer());
    assert!(!shown.contains("7, 7") && !shown.contains("BwcH"), "{shown}");
}

#[test]
fn a_remote_set_needs_a_runtime() {
    let client = tower::service_fn(|_: Request<String>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default()))
    });
    let error = Jwks::remote("https://id.example/jwks", client).start().unwrap_err();
    assert!(error.to_string().contains("Tokio"));
    let error = Jwks::remote("/jwks", client).refresh_every(Duration::ZERO).start().unwrap_err();
    assert_eq!(error.mistakes().len(), 2);
    let short = Duration::from_millis(999);
    let remote = || Jwks::remote("https://id.example/jwks", client);
    for hammering in [remote().refresh_every(short), remote().cooldown(short)] {
        assert!(hammering.start().unwrap_err().to_string().contains("shorter than a second"));
    }
}

#[tokio::test]
async fn the_system_clock_is_the_default() {
    let layer = JwtLayer::new(issuer()).unwrap();
    reached(&layer, with_token(&hs256(&claims()))).await;
    let old = hs256(&claims_with("exp", json!(1)));
    let answer = layer.layer(support::echo()).oneshot(with_token(&old)).await.unwrap();
    assert_eq!(answer.status(), 401);
}
