//! What of header fields and metadata passes, and what the service gets besides.

use std::time::Duration;

use http::Version;
use tower::Layer;
use tower_gateway::{Deadline, MatchedRoute, clock::Clock, transcode::Metadata};

use crate::{
    rest::{get, layer, send},
    script::{OK, answering, fields, grpc, user},
};

#[tokio::test]
async fn the_service_gets_a_call_of_grpc() {
    let (seen, inner) = answering(|| grpc([user("ada")], OK));
    let mut request = get("/v1/users/ada");
    request.headers_mut().extend(fields([
        ("host", "users.example"),
        ("via", "1.1 edge"),
        ("content-length", "0"),
        ("cookie", "session=1"),
        ("connection", "x-hop, close"),
        ("x-hop", "1"),
        ("te", "gzip"),
        ("grpc-encoding", "br"),
        ("x-request-id", "7"),
        ("traceparent", "00-1-2-03"),
        ("authorization", "Bearer t"),
    ]));
    request.extensions_mut().insert(7_u8);
    assert_eq!(send(&layer().layer(inner), request).await.status, 200);
    let seen = seen.lock().unwrap();
    let got = &seen[0];
    assert_eq!((got.method().as_str(), got.version()), ("POST", Version::HTTP_2));
    assert_eq!(got.uri(), "/users.v1.Users/GetUser");
    assert_eq!(got.extensions().get(), Some(&7_u8));
    let route = got.extensions().get::<MatchedRoute>().unwrap();
    assert_eq!(route.pattern(), "/v1/users/{id}");
    let expected = fields([
        ("host", "users.example"),
        ("via", "1.1 edge"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-accept-encoding", "gzip,identity"),
        ("grpc-timeout", "60000m"),
        ("x-request-id", "7"),
        ("traceparent", "00-1-2-03"),
        ("authorization", "Bearer t"),
    ]);
    for (name, value) in &expected {
        if name != "grpc-timeout" {
            assert_eq!(got.headers().get(name), Some(value), "{name}");
        }
    }
    assert_eq!(got.headers().len(), expected.len(), "{:?}", got.headers());
}

#[tokio::test]
async fn the_authority_of_the_client_stays() {
    let (seen, inner) = answering(|| grpc([user("ada")], OK));
    send(&layer().layer(inner), get("https://users.example/v1/users/ada")).await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].uri(), "https://users.example/users.v1.Users/GetUser");
}

#[tokio::test]
async fn lists_say_what_passes() {
    let metadata = Metadata::new().request(["x-tenant", "trace-bin"]).response(["x-acme-*"]);
    let layer = layer().metadata(&metadata).unwrap();
    let (seen, inner) = answering(|| {
        let mut response = grpc(
            [user("a")],
            [
                ("grpc-status", "0"),
                ("x-acme-cost", "3"),
                ("x-acme-bin", "AAE"),
                ("etag", "\"1\""),
                ("secret", "s"),
            ],
        );
        response.headers_mut().extend(fields([("x-acme-node", "n1"), ("server", "s")]));
        response
    });
    let service = layer.layer(inner);
    let mut request = get("/v1/users/a");
    request.headers_mut().extend(fields([("x-tenant", "t"), ("trace-bin", "AAE="), ("x-no", "1")]));
    let answer = send(&service, request).await;
    assert_eq!(answer.header("x-acme-cost"), "3");
    assert_eq!(answer.header("x-acme-node"), "n1");
    assert_eq!((answer.header("x-acme-bin"), answer.header("etag")), ("AAE", "\"1\""));
    for never in ["grpc-status", "secret", "server"] {
        assert!(!answer.headers.contains_key(never), "{never}");
    }
    let got = seen.lock().unwrap()[0].headers().clone();
    assert_eq!(
        (got["x-tenant"].as_bytes(), got["trace-bin"].as_bytes()),
        (&b"t"[..], &b"AAE="[..])
    );
    assert!(!got.contains_key("x-no"));
    let mut request = get("/v1/users/a");
    request.headers_mut().extend(fields([("trace-bin", "!")]));
    send(&service, request).await.is_problem(400, "base64");
}

#[tokio::test]
async fn the_service_is_told_how_long_the_client_waits() {
    let (clock, _time) = Clock::manual();
    let layer = layer().clock(clock.clone()).timeout(Duration::from_secs(30));
    let (seen, inner) = answering(|| grpc([user("ada")], OK));
    let service = layer.layer(inner);
    let told = |target: &str, asked: Option<&'static str>, outer: Option<u64>| {
        let mut request = get(target);
        if let Some(asked) = asked {
            request.headers_mut().extend(fields([("grpc-timeout", asked)]));
        }
        if let Some(outer) = outer {
            let deadline = clock.now() + Duration::from_secs(outer);
            request.extensions_mut().insert(Deadline(deadline));
        }
        let (service, seen) = (service.clone(), seen.clone());
        async move {
            send(&service, request).await;
            let got = seen.lock().unwrap().pop().unwrap();
            let told = got.headers().get("grpc-timeout");
            assert_eq!(told.is_some(), got.extensions().get::<Deadline>().is_some());
            told.map(|it| it.to_str().unwrap().to_owned())
        }
    };
    let unary = "/v1/users/ada";
    assert_eq!(told(unary, None, None).await.unwrap(), "30000000u");
    assert_eq!(told(unary, Some("2S"), None).await.unwrap(), "2000000u");
    assert_eq!(told(unary, Some("99999999H"), None).await.unwrap(), "30000000u");
    assert_eq!(told(unary, Some("2S"), Some(1)).await.unwrap(), "1000000u");
    assert_eq!(told("/v1/users:watch", None, None).await, None);
    assert_eq!(told("/v1/users:watch", Some("2S"), None).await.unwrap(), "2000000u");
}
