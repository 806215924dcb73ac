//! Calls that take too long, by a clock that is moved by hand.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Channel};
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};
use tower_gateway::{
    clock::Clock,
    test_util::Frames,
    transcode::{CallBody, TranscodeLayer},
};

use crate::{
    rest::{get, layer, read, users, with_ada},
    script,
};

fn timed() -> (TranscodeLayer, tower_gateway::clock::ManualClock) {
    let (clock, time) = Clock::manual();
    (layer().clock(clock).timeout(Duration::from_secs(5)), time)
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_given_up() {
    let (layer, time) = timed();
    let inner = service_fn(|_: Request<CallBody<_>>| {
        std::future::pending::<Result<http::Response<Frames>, std::convert::Infallible>>()
    });
    let mut call = std::pin::pin!(layer.layer(inner).oneshot(get("/v1/users/ada")));
    assert!(futures_util::poll!(call.as_mut()).is_pending());
    time.advance(Duration::from_millis(4_999));
    assert!(futures_util::poll!(call.as_mut()).is_pending());
    time.advance(Duration::from_millis(1));
    read(call.await.unwrap()).await.is_problem(504, "in time");
}

#[tokio::test]
async fn a_client_that_does_not_send_is_given_up() {
    let (layer, time) = timed();
    let (mut sent, body) = Channel::<Bytes, std::io::Error>::new(1);
    sent.send_data("{".into()).await.unwrap();
    let request = Request::post("/v1/users").body(body).unwrap();
    let mut call = std::pin::pin!(users(&layer).oneshot(request));
    assert!(futures_util::poll!(call.as_mut()).is_pending());
    time.advance(Duration::from_secs(5));
    read(call.await.unwrap()).await.is_problem(408, "in time");
}

#[tokio::test]
async fn a_stream_ends_when_the_client_said() {
    let (layer, time) = timed();
    let users = with_ada(&layer).await;
    let mut request = get("/v1/users:watch");
    request.headers_mut().insert("grpc-timeout", "1M".parse().unwrap());
    let mut body = users.clone().oneshot(request).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    time.advance(Duration::from_secs(59));
    let next = futures_util::poll!(body.frame());
    assert!(next.is_pending(), "not by the bound of other calls: {next:?}");
    time.advance(Duration::from_secs(1));
    let last = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&last).unwrap()["code"], 4);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_service_that_never_pauses_has_no_longer() {
    let (layer, time) = timed();
    let messages = || script::grpc(vec![script::user("x"); 10_000], script::OK);
    let service = layer.stream_timeout(Duration::from_secs(1)).layer(script::answering(messages).1);
    let mut body = service.oneshot(get("/v1/users:watch")).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    time.advance(Duration::from_secs(1));
    let last = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&last).unwrap()["code"], 4);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_stream_ends_when_its_own_bound_says() {
    let (layer, time) = timed();
    let users = with_ada(&layer.stream_timeout(Duration::from_secs(3_600))).await;
    let mut body = users.clone().oneshot(get("/v1/users:watch")).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    time.advance(Duration::from_secs(3_599));
    assert!(futures_util::poll!(body.frame()).is_pending());
    time.advance(Duration::from_secs(1));
    let last = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&last).unwrap()["code"], 4);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn what_is_no_timeout_is_refused() {
    let mut request = get("/v1/users/ada");
    request.headers_mut().insert("grpc-timeout", "soon".parse().unwrap());
    read(users(&layer()).oneshot(request).await.unwrap()).await.is_problem(400, "grpc-timeout");
}
