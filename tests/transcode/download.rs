//! Answers that are streams.

use std::time::Duration;

use example_proto::google::api::HttpBody;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_gateway::{clock::Clock, test_util::Frames, transcode::Framing};

use crate::{
    rest::{Answer, Content, get, layer, send, with_ada},
    script::{OK, answering, failed, frame, grpc},
};

fn accepting(target: &str, accept: &'static str) -> Request<Content> {
    let mut request = get(target);
    request.headers_mut().insert("accept", accept.parse().unwrap());
    request
}

fn event(sequence: u64) -> Vec<u8> {
    frame(&example_proto::users::v1::UserEvent { sequence, ..Default::default() })
}

async fn told(accept: &'static str, answer: impl Fn() -> Response<Frames> + Clone) -> Answer {
    let service = layer().layer(answering(answer).1);
    send(&service, accepting("/v1/users:watch", accept)).await
}

#[tokio::test]
async fn messages_are_framed_as_the_client_accepts() {
    let two = || grpc([event(1), event(2)], OK);
    let answer = told("*/*", two).await;
    assert_eq!(answer.body, "{\"sequence\":\"1\"}\n{\"sequence\":\"2\"}\n");
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    assert_eq!(answer.header("vary"), "accept");
    let answer = told("text/event-stream", two).await;
    assert_eq!(answer.body, "data: {\"sequence\":\"1\"}\n\ndata: {\"sequence\":\"2\"}\n\n");
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(answer.header("x-accel-buffering"), "no");
    let answer = told("application/json", two).await;
    assert_eq!(answer.json(), json!([{"sequence": "1"}, {"sequence": "2"}]));
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_head_has_no_stream() {
    let service = layer().layer(answering(|| grpc([event(1)], OK)).1);
    let mut request = get("/v1/users:watch");
    *request.method_mut() = http::Method::HEAD;
    let answer = send(&service, request).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
}

#[tokio::test]
async fn who_does_not_say_gets_the_framing_of_the_layer() {
    let layer = layer().framing(Framing::Array);
    let service = layer.layer(answering(|| grpc([event(1), event(2)], OK)).1);
    let answer = send(&service, get("/v1/users:watch")).await;
    assert_eq!(answer.json(), json!([{"sequence": "1"}, {"sequence": "2"}]));
    let asked = send(&service, accepting("/v1/users:watch", "application/x-ndjson")).await;
    assert_eq!(asked.body.iter().filter(|it| **it == b'\n').count(), 2);
}

#[tokio::test]
async fn a_stream_without_messages_is_empty() {
    for answer in [|| grpc([], OK), || failed(0, "")] {
        assert_eq!(told("*/*", answer).await.body, "");
        assert_eq!(told("application/json", answer).await.body, "[]");
        assert_eq!(told("text/event-stream", answer).await.body, "");
    }
}

#[tokio::test]
async fn frames_may_be_cut_anywhere() {
    let whole = [event(1), event(300), event(2)].concat();
    for cut in 0..=whole.len() {
        let (head, tail) = (whole[..cut].to_vec(), whole[cut..].to_vec());
        let answer = told("*/*", move || grpc([head.clone(), tail.clone()], OK)).await;
        assert_eq!(answer.lines().len(), 3, "cut at {cut}");
    }
    let bytes: Vec<_> = whole.iter().map(|byte| vec![*byte]).collect();
    assert_eq!(told("*/*", move || grpc(bytes.clone(), OK)).await.lines().len(), 3);
}

#[tokio::test]
async fn a_failure_before_the_first_message_is_an_http_error() {
    let users = with_ada(&layer()).await;
    let answer = send(&users, get("/v1/users:watch?id=bob")).await;
    answer.is_problem(404, "users/bob does not exist");
    let late = || grpc([], [("grpc-status", "16"), ("grpc-message", "who?")]);
    told("*/*", late).await.is_problem(401, "who?");
    told("*/*", || grpc([], [])).await.is_problem(502, "without a status");
}

#[tokio::test]
async fn a_failure_in_the_middle_is_the_last_record() {
    let fails = || grpc([event(1)], [("grpc-status", "5"), ("grpc-message", "gone")]);
    let status = json!({
        "@type": "type.googleapis.com/google.rpc.Status",
        "code": 5,
        "message": "gone",
        "details": [],
    });
    let answer = told("*/*", fails).await;
    assert_eq!((answer.status.as_u16(), &answer.lines()[1]), (200, &status));
    assert_eq!(told("application/json", fails).await.json()[1], status);
    let answer = told("text/event-stream", fails).await;
    let events = String::from_utf8(answer.body.to_vec()).unwrap();
    let (_, error) = events.split_once("event: error\ndata: ").unwrap();
    assert_eq!(serde_json::from_str::<Value>(error.trim_end()).unwrap(), status);
    // what came before a fault of the service is told, then the fault
    for broken in [vec![9, 0, 0, 0, 0], vec![0, 0, 0, 0, 1, 0xff], vec![0, 0, 0]] {
        let answer = told("*/*", move || grpc([event(1), broken.clone()], OK)).await;
        let lines = answer.lines();
        assert_eq!(
            (lines.len(), &lines[0]["sequence"], &lines[1]["code"]),
            (2, &json!("1"), &json!(14))
        );
    }
    let answer = told("*/*", || grpc([event(1)], [])).await;
    assert_eq!(answer.lines()[1]["code"], 14, "the service did not say how it ended");
}

#[tokio::test]
async fn changes_arrive_as_they_happen() {
    let users = with_ada(&layer()).await;
    let response = users.clone().oneshot(get("/v1/users:watch?limit=2")).await.unwrap();
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&first).unwrap()["kind"], "KIND_EXISTS");
    assert!(futures_util::poll!(body.frame()).is_pending());
    let delete = Request::delete("/v1/users/ada").body(Content::default()).unwrap();
    send(&users, delete).await;
    let second = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&second).unwrap()["kind"], "KIND_DELETED");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn an_event_stream_has_a_heart() {
    let (clock, time) = Clock::manual();
    let users = with_ada(&layer().clock(clock).heartbeat(Duration::from_secs(10))).await;
    let watch = accepting("/v1/users:watch", "text/event-stream");
    let mut body = users.clone().oneshot(watch).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().unwrap().data_ref().unwrap().starts_with(b"data: "));
    for _ in 0..3 {
        time.advance(Duration::from_secs(9));
        assert!(futures_util::poll!(body.frame()).is_pending());
        time.advance(Duration::from_secs(1));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), ": \n\n");
    }
    let delete = Request::delete("/v1/users/ada").body(Content::default()).unwrap();
    send(&users, delete).await;
    assert!(body.frame().await.unwrap().unwrap().data_ref().unwrap().starts_with(b"data: "));
}

#[tokio::test]
async fn content_of_any_type_is_streamed_as_it_is() {
    let users = with_ada(&layer()).await;
    let export = send(&users, get("/v1/users:export")).await;
    assert_eq!((export.status.as_u16(), export.header("content-type")), (200, "text/csv"));
    assert!(export.body.ends_with(b"\n"), "{export:?}");
    let piece = |data: &str| {
        let body =
            HttpBody { content_type: "text/csv".into(), data: data.into(), extensions: vec![] };
        frame(&body)
    };
    // where no record can stand, the body fails
    let half = move || grpc([piece("a,b\n")], [("grpc-status", "13")]);
    let service = layer().layer(answering(half).1);
    let mut body = service.oneshot(get("/v1/users:export")).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "a,b\n");
    assert!(body.frame().await.unwrap().is_err());
}
