//! RFC 7662, and how a client of it shows who it is: RFC 6749 §2.3.1, RFC 7523 §3, RFC 8705 §2.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::{Layer, Service, ServiceExt};
use tower_gateway::{
    auth::{
        introspection::{
            ClientAssertion, Endpoint, Introspection, IntrospectionLayer, SigningAlgorithm,
        },
        jwt::{Issuer, JwtLayer, KeySet},
    },
    client::HttpClient,
    clock::{Clock, ManualClock},
    rejection::Rejection,
};

use crate::support::{
    self,
    authorization_server::{AuthorizationServer, Mode, form_field},
    tokens::{NOW, Signer, es256, rs256},
};

const ENDPOINT: &str = "https://server.example.com/introspect";

/// The token of the examples in RFC 7662 §2.1.
const TOKEN: &str = "2YotnFZFEjr1zCsicMWpAA";

fn server() -> (AuthorizationServer, Clock, ManualClock) {
    let (clock, time) = Clock::manual();
    (AuthorizationServer::new(&clock), clock, time)
}

type Client = tower::util::BoxCloneSyncService<
    Request<String>,
    Response<Full<bytes::Bytes>>,
    std::convert::Infallible,
>;

/// A layer that asks this server, as the gateway that `shown` says it is.
fn layer(
    server: &AuthorizationServer,
    clock: &Clock,
    shown: impl FnOnce(Endpoint<Client>) -> Endpoint<Client>,
) -> IntrospectionLayer {
    let endpoint = Introspection::at(ENDPOINT, server.client()).clock(clock.clone());
    let introspection = shown(endpoint).build().unwrap().any_audience();
    IntrospectionLayer::new(introspection).unwrap()
}

fn basic(endpoint: Endpoint<Client>) -> Endpoint<Client> {
    endpoint.client_secret_basic("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw")
}

async fn answer(layer: &IntrospectionLayer, token: &str) -> Response<()> {
    let mut request = support::get("/");
    let field = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    request.headers_mut().insert("authorization", field);
    layer.layer(support::echo()).oneshot(request).await.unwrap().map(drop)
}

async fn status(layer: &IntrospectionLayer, token: &str) -> u16 {
    answer(layer, token).await.status().as_u16()
}

// === RFC 7662 ===

#[tokio::test]
async fn rfc_7662_2_1_the_request() {
    let (server, clock, _) = server();
    status(&layer(&server, &clock, basic), TOKEN).await;
    let sent = server.last();
    assert_eq!((sent.method().as_str(), sent.uri().to_string()), ("POST", ENDPOINT.into()));
    assert_eq!(sent.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(sent.headers()["accept"], "application/json");
    assert_eq!(sent.body(), &format!("token={TOKEN}&token_type_hint=access_token"));
}

#[tokio::test]
async fn rfc_7662_2_1_every_token_is_one_field() {
    let (server, clock, _) = server();
    let layer = layer(&server, &clock, basic);
    for token in ["a+b/c==", "a~b._-", "%61", "a.b.c"] {
        server.issue(token, json!({}));
        assert_eq!(status(&layer, token).await, if token == "%61" { 401 } else { 200 }, "{token}");
    }
    assert!(form_field(server.last().body(), "token").is_some());
}

#[tokio::test]
async fn rfc_7662_2_1_a_bearer_token_of_the_protected_resource() {
    let (server, clock, _) = server();
    status(&layer(&server, &clock, |it| it.bearer_token("23410913-abewfq.123483")), TOKEN).await;
    assert_eq!(server.last().headers()["authorization"], "Bearer 23410913-abewfq.123483");
}

#[tokio::test]
async fn rfc_7662_2_2_the_responses_of_the_examples() {
    let (server, clock, time) = server();
    let active = json!({
        "active": true,
        "client_id": "l238j323ds-23ij4",
        "username": "jdoe",
        "scope": "read write dolphin",
        "sub": "Z5O3upPC88QrAjx00dis",
        "aud": "https://protected.example.net/resource",
        "iss": "https://server.example.com/",
        "exp": 1_419_356_238,
        "iat": 1_419_350_238,
        "extension_field": "twenty-seven",
    });
    server.set(Mode::Says(active.to_string()));
    time.set_unix(std::time::Duration::from_secs(1_419_352_000));
    let layer = layer(&server, &clock, basic);
    assert_eq!(status(&layer, TOKEN).await, 200);
    server.set(Mode::Says(r#"{"active": false}"#.into()));
    assert_eq!(status(&layer, "another").await, 401);
}

/// The members of §2.2, each with what makes it hold and what does not.
#[tokio::test]
async fn rfc_7662_2_2_the_members() {
    let good = || json!({ "active": true, "aud": "here", "iss": "us", "scope": "a b" });
    let rows: [(&str, Value, u16); 24] = [
        ("active", json!("true"), 401),
        ("active", json!(null), 401),
        ("scope", json!("b a c"), 200),
        ("scope", json!(["a", "b"]), 200),
        ("scope", json!("a"), 403),
        ("scope", json!(null), 403),
        ("scope", json!("ab"), 403),
        ("client_id", json!(7), 503),
        ("token_type", json!("Bearer"), 200),
        ("token_type", json!("bearer"), 200),
        ("token_type", json!("mac"), 401),
        ("token_type", json!("refresh_token"), 401),
        ("exp", json!(NOW + 1), 200),
        ("exp", json!(NOW), 401),
        ("exp", json!("later"), 503),
        ("iat", json!(NOW + 61), 401),
        ("nbf", json!(NOW + 60), 200),
        ("nbf", json!(NOW + 61), 401),
        ("sub", json!(["a"]), 503),
        ("aud", json!(["there", "here"]), 200),
        ("aud", json!("there"), 401),
        ("aud", json!(null), 401),
        ("iss", json!("them"), 401),
        ("cnf", json!({ "x5t#S256": "x" }), 401),
    ];
    for (name, value, expected) in rows {
        let (server, clock, _) = server();
        let mut says = good();
        says[name] = value.clone();
        server.set(Mode::Says(says.to_string()));
        let introspection = basic(Introspection::at(ENDPOINT, server.client()).clock(clock));
        let introspection = introspection.build().unwrap().audience("here").issuer("us");
        let introspection = introspection.require_scope("a").require_scope("b");
        let layer = IntrospectionLayer::new(introspection).unwrap();
        assert_eq!(status(&layer, TOKEN).await, expected, "{name}: {value}");
    }
}

#[tokio::test]
async fn rfc_7662_2_3_an_error_response_says_nothing_of_the_token() {
    for status in [400, 401, 403, 404, 405, 415, 429, 500, 502, 503, 301, 302, 307, 308, 201, 204] {
        let (server, clock, _) = server();
        server.set(Mode::Status(status));
        let answer = answer(&layer(&server, &clock, basic), TOKEN).await;
        assert_eq!(answer.status(), 503, "{status}");
        assert!(answer.headers().contains_key("retry-after"), "{status}");
        let cause = answer.extensions().get::<Rejection>().unwrap().cause().unwrap().to_string();
        assert!(cause.contains(&status.to_string()), "{cause}");
    }
}

#[tokio::test]
async fn rfc_7662_4_the_endpoint_is_reached_by_tls() {
    let (server, ..) = server();
    let at = |url: &str| basic(Introspection::at(url, server.client())).build().is_ok();
    assert!(at(ENDPOINT) && at("http://localhost:9000/i") && at("http://[::1]/i"));
    assert!(!at("http://server.example.com/introspect") && !at("http://10.0.0.1/i"));
}

#[tokio::test]
async fn rfc_7662_4_an_answer_is_not_used_beyond_the_tokens_end() {
    let (server, clock, time) = server();
    server.issue(TOKEN, json!({ "exp": NOW + 10 }));
    let layer = layer(&server, &clock, basic);
    assert_eq!(status(&layer, TOKEN).await, 200);
    time.advance(std::time::Duration::from_secs(10));
    assert_eq!((status(&layer, TOKEN).await, server.asked()), (401, 1));
}

// === who is asking ===

#[tokio::test]
async fn rfc_6749_2_3_1_the_clients_password() {
    let (server, clock, _) = server();
    status(&layer(&server, &clock, basic), TOKEN).await;
    let field = server.last().headers()["authorization"].clone();
    assert_eq!(field, "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");

    // Both parts are encoded before they are joined: else the first colon of the id would end it.
    let odd = |it: Endpoint<Client>| it.client_secret_basic("a:b", "\u{a3} 100%+");
    status(&layer(&server, &clock, odd), TOKEN).await;
    let field = server.last().headers()["authorization"].clone();
    assert_eq!(field, format!("Basic {}", STANDARD.encode("a%3Ab:%C2%A3+100%25%2B")));

    let post = |it: Endpoint<Client>| it.client_secret_post("a&b", "c=d e");
    status(&layer(&server, &clock, post), TOKEN).await;
    let form = server.last().into_body();
    assert_eq!(form_field(&form, "client_id").as_deref(), Some("a&b"));
    assert_eq!(form_field(&form, "client_secret").as_deref(), Some("c=d e"));
}

#[tokio::test]
async fn rfc_8705_2_the_certificate_shows_it_and_the_form_names_it() {
    let (server, clock, _) = server();
    status(&layer(&server, &clock, |it| it.tls_client_auth("gateway")), TOKEN).await;
    assert_eq!(form_field(server.last().body(), "client_id").as_deref(), Some("gateway"));
    assert!(!server.last().headers().contains_key("authorization"));
}

/// As a server reads it: signed by the client's key, from it, about it, for here, and not for long.
async fn is_accepted(assertion: &str, keys: KeySet, audience: &str, clock: Clock) -> bool {
    let issuer = Issuer::new("gateway", keys).audience(audience).leeway(Default::default());
    let judge = JwtLayer::new(issuer).unwrap().clock(clock);
    let mut request = support::get("/");
    let field = HeaderValue::try_from(format!("Bearer {assertion}")).unwrap();
    request.headers_mut().insert("authorization", field);
    judge.layer(support::echo()).oneshot(request).await.unwrap().status() == 200
}

fn claims(assertion: &str) -> Value {
    let claims = assertion.split('.').nth(1).unwrap();
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    serde_json::from_slice(&json).unwrap()
}

#[tokio::test]
async fn rfc_7523_3_the_assertion() {
    use SigningAlgorithm as A;
    let (ec, p384, ed) =
        (es256(), Signer::generate("ES384").kid("k"), Signer::generate("EdDSA").kid("k"));
    let rsa = rs256();
    for (algorithm, name, signer) in [
        (A::RS256, "RS256", rsa),
        (A::RS384, "RS384", rsa),
        (A::RS512, "RS512", rsa),
        (A::PS256, "PS256", rsa),
        (A::PS384, "PS384", rsa),
        (A::PS512, "PS512", rsa),
        (A::ES256, "ES256", ec),
        (A::ES384, "ES384", &p384),
        (A::EdDSA, "EdDSA", &ed),
    ] {
        let (server, clock, time) = server();
        let key = ClientAssertion::from_pem(algorithm, signer.private_pem()).unwrap();
        let key = key.kid(signer.kid.clone().unwrap());
        let signs = |it: Endpoint<Client>| it.private_key_jwt("gateway", key);
        let layer = layer(&server, &clock, signs);
        server.issue(TOKEN, json!({}));
        assert_eq!(status(&layer, TOKEN).await, 200, "{name}");

        let form = server.last().into_body();
        let one = form_field(&form, "client_assertion").unwrap();
        let kind = form_field(&form, "client_assertion_type").unwrap();
        assert_eq!(kind, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        assert_eq!(form_field(&form, "client_id").as_deref(), Some("gateway"));
        let said = claims(&one);
        assert_eq!((&said["iss"], &said["sub"]), (&json!("gateway"), &json!("gateway")));
        assert_eq!((&said["iat"], &said["exp"]), (&json!(NOW), &json!(NOW + 60)));

        let mut jwk = signer.jwk();
        jwk["alg"] = json!(name);
        let keys = || KeySet::from_jwk(jwk.to_string()).unwrap();
        assert!(is_accepted(&one, keys(), ENDPOINT, clock.clone()).await, "{name}");
        assert!(!is_accepted(&one, keys(), "https://elsewhere.example", clock.clone()).await);
        let stranger = KeySet::from_jwk(Signer::generate("ES256").jwk().to_string()).unwrap();
        assert!(!is_accepted(&one, stranger, ENDPOINT, clock.clone()).await);

        status(&layer, "another").await;
        let other = form_field(server.last().body(), "client_assertion").unwrap();
        assert_ne!(said["jti"], claims(&other)["jti"], "each is used once");
        time.advance(std::time::Duration::from_secs(60));
        assert!(!is_accepted(&one, keys(), ENDPOINT, clock).await, "not for long");
    }
}

#[tokio::test]
async fn rfc_7523_3_the_audience_is_the_servers_choice() {
    let (server, clock, _) = server();
    let key = || ClientAssertion::from_pem(SigningAlgorithm::ES256, es256().private_pem()).unwrap();
    let named = |it: Endpoint<Client>| {
        it.private_key_jwt("gateway", key().audience("https://server.example.com"))
    };
    status(&layer(&server, &clock, named), TOKEN).await;
    let assertion = form_field(server.last().body(), "client_assertion").unwrap();
    assert_eq!(claims(&assertion)["aud"], "https://server.example.com");

    let issuer = "https://server.example.com";
    let document = json!({ "issuer": issuer, "introspection_endpoint": ENDPOINT }).to_string();
    server.publish(&format!("{issuer}/.well-known/oauth-authorization-server"), document);
    let found = Introspection::discover(issuer, server.client()).clock(clock);
    let found = found.private_key_jwt("gateway", key()).build().unwrap().any_audience();
    status(&IntrospectionLayer::new(found).unwrap(), TOKEN).await;
    let assertion = form_field(server.last().body(), "client_assertion").unwrap();
    assert_eq!(claims(&assertion)["aud"], issuer);
}

#[test]
fn a_key_that_cannot_sign_is_refused_at_the_start() {
    use SigningAlgorithm as A;
    for (algorithm, pem) in [
        (A::RS256, es256().private_pem()),
        (A::ES256, rs256().private_pem()),
        (A::ES384, es256().private_pem()),
        (A::EdDSA, es256().private_pem()),
        (A::ES256, es256().pem()),
        (A::ES256, es256().private_pem().replace('M', "N")),
        (A::ES256, String::new()),
    ] {
        let error = ClientAssertion::from_pem(algorithm, &pem).unwrap_err().to_string();
        assert!(pem.is_empty() || !error.contains(&pem), "{error}");
    }
    let key = ClientAssertion::from_pem(A::ES256, es256().private_pem()).unwrap().kid("k");
    assert_eq!(format!("{key:?}"), "ClientAssertion { algorithm: ES256, kid: Some(\"k\"), .. }");
}

// === over real HTTP ===

/// A server of axum's: it verifies the assertion and answers about the token. Its address.
async fn real_server(tokens: AuthorizationServer) -> std::net::SocketAddr {
    let introspect = move |form: String| async move {
        let keys = KeySet::from_pem(tower_gateway::auth::jwt::Algorithm::ES256, es256().pem());
        let assertion = form_field(&form, "client_assertion").unwrap_or_default();
        match is_accepted(&assertion, keys.unwrap(), "https://id.test", Clock::system()).await {
            true => Ok(([("content-type", "application/json")], tokens.known(&form))),
            false => Err(http::StatusCode::UNAUTHORIZED),
        }
    };
    let app = axum::Router::new().route("/introspect", axum::routing::post(introspect));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn over_real_http_with_the_crates_own_client() {
    let (tokens, ..) = server();
    tokens.issue("good", json!({ "sub": "alice" }));
    let address = real_server(tokens).await;
    for (signer, expected) in [(es256(), [200, 401]), (&Signer::generate("ES256"), [503, 503])] {
        let key = ClientAssertion::from_pem(SigningAlgorithm::ES256, signer.private_pem()).unwrap();
        let key = key.audience("https://id.test");
        let endpoint = Introspection::at(format!("http://{address}/introspect"), HttpClient::new());
        let introspection = endpoint.private_key_jwt("gateway", key).build().unwrap();
        let layer = IntrospectionLayer::new(introspection.any_audience()).unwrap();
        for (token, expected) in ["good", "bad"].into_iter().zip(expected) {
            assert_eq!(status(&layer, token).await, expected, "{token}");
        }
    }
}

#[tokio::test]
async fn over_real_http_where_nobody_listens() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let endpoint = Introspection::at(format!("http://{address}/introspect"), HttpClient::new());
    let introspection = endpoint.tls_client_auth("gateway").build().unwrap().any_audience();
    let mut service = IntrospectionLayer::new(introspection).unwrap().layer(support::echo());
    let request = Request::get("/").header("authorization", "Bearer good");
    let request = request.body(Full::default()).unwrap();
    let answer = service.ready().await.unwrap().call(request).await.unwrap();
    assert_eq!(answer.status(), 503);
    let cause = answer.extensions().get::<Rejection>().unwrap().cause().unwrap().to_string();
    assert!(cause.contains("refused"), "{cause}");
}
