//! Clients and services that do what they should not.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use serde_json::json;
use tower::{Layer, ServiceExt, service_fn};
use tower_gateway::{
    clock::{Clock, ManualClock},
    test_util::Frames,
    transcode::{CallBody, Descriptors, TranscodeLayer},
};

use crate::{
    rest::{Answer, Content, Unsized, get, layer, post, read, send, users, with_ada, with_json},
    script::{OK, answering, frame, grpc},
};

fn event(sequence: u64) -> Vec<u8> {
    frame(&example_proto::users::v1::UserEvent { sequence, ..Default::default() })
}

#[tokio::test]
async fn nothing_follows_the_record_of_an_error() {
    let broken = vec![0, 0, 0, 0, 1, 0xff];
    let chunk = [event(1), broken, event(3)].concat();
    let answer = |accept: &'static str| {
        let chunk = chunk.clone();
        let service = layer().layer(answering(move || grpc([chunk.clone()], OK)).1);
        let mut request = get("/v1/users:watch");
        request.headers_mut().insert("accept", accept.parse().unwrap());
        async move { send(&service, request).await }
    };
    for lines in [answer("*/*").await.lines(), {
        let array = answer("application/json").await.json();
        array.as_array().unwrap().clone()
    }] {
        assert_eq!((lines.len(), &lines[0]), (2, &json!({"sequence": "1"})), "{lines:?}");
        assert_eq!(lines[1]["code"], 14);
    }
}

#[tokio::test]
async fn a_method_need_not_have_a_second_name() {
    let call = |media: &str| {
        let request = Request::post("/users.v1.Users/GetUser").header("content-type", media);
        request.body(Content::from(&b"\0\0\0\0\x05\x0a\x03ada"[..])).unwrap()
    };
    let open = with_ada(&layer()).await;
    assert_eq!(send(&open, call("application/grpc")).await.header("grpc-status"), "");
    let shut = with_ada(&layer().reject_native()).await;
    assert_eq!(send(&shut, get("/v1/users/ada")).await.status, 200);
    for media in ["application/grpc", "application/grpc+proto"] {
        let answer = send(&shut, call(media)).await;
        assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, "12"));
    }
    let web = send(&shut, call("application/grpc-web")).await;
    assert_eq!(web.header("content-type"), "application/grpc-web");
    assert!(web.body.starts_with(b"\x80") && web.body[5..].starts_with(b"grpc-status: 12"));
}

/// Otherwise a request of 100 KB is a gigabyte to the service.
#[tokio::test]
async fn a_stream_does_not_repeat_a_long_path() {
    let config = "http: {rules: [{selector: users.v1.Users.ImportUsers, post: '/v1/import/{id}', body: user}]}";
    let schema = Descriptors::from_set(example_proto::DESCRIPTORS).service_config(config);
    let users = users(&TranscodeLayer::new(schema.compile().unwrap()));
    let import = |id: usize| {
        post(&format!("/v1/import/{}", "x".repeat(id)), "{\"displayName\":\"A\"}\n".repeat(3))
    };
    assert_eq!(send(&users, import(1_000)).await.status, 200);
    send(&users, import(1_100)).await.is_problem(414, "too long");
}

#[tokio::test]
async fn raw_content_comes_in_messages_that_are_taken() {
    let users = users(&layer().max_message(1024));
    let csv = "x".repeat(100_000);
    let request = Request::post("/v1/users:restore").header("content-type", "text/csv");
    let answer = send(&users, request.body(Content::from(csv)).unwrap()).await;
    assert_ne!(answer.status, 413, "{answer:?}");
}

#[tokio::test]
async fn a_patch_without_content_changes_nothing() {
    let users = with_ada(&layer()).await;
    let before = send(&users, get("/v1/users/ada")).await.json();
    for body in ["", " \n", "{}"] {
        let answer = send(&users, with_json("PATCH", "/v1/users/ada", body)).await;
        assert_eq!(answer.json(), before, "{body:?}");
    }
}

/// Always ready, and a hundredth of a second older each time.
struct Busy {
    chunk: Bytes,
    left: u32,
    time: ManualClock,
}

impl Body for Busy {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.left = self.left.checked_sub(1).expect("it is read for ever");
        self.time.advance(Duration::from_millis(10));
        Poll::Ready(Some(Ok(Frame::data(self.chunk.clone()))))
    }
}

/// A call that may take a second, of a service that sends this chunk over and over.
async fn busy(target: &str, chunk: impl Into<Bytes>) -> Answer {
    let ((clock, time), chunk) = (Clock::manual(), chunk.into());
    let service = layer().clock(clock).layer(service_fn(|_: Request<CallBody<Content>>| {
        let body = Busy { chunk: chunk.clone(), left: 10_000, time: time.clone() };
        let response = Response::builder().header("content-type", "application/grpc");
        std::future::ready(Ok::<_, Infallible>(response.body(body).unwrap()))
    }));
    let mut request = get(target);
    request.headers_mut().insert("grpc-timeout", "1S".parse().unwrap());
    read(service.oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn chunks_without_content_do_not_keep_a_call_alive() {
    for target in ["/v1/users/ada", "/v1/users:watch", "/v1/users:export"] {
        busy(target, "").await.is_problem(504, "in time");
    }
    let messages_without_content = [0; 5];
    let export = busy("/v1/users:export", messages_without_content.to_vec()).await;
    export.is_problem(504, "in time");
}

#[tokio::test]
async fn a_request_of_many_chunks_is_read_whole() {
    let user = r#"{"displayName":"Ada"}"#;
    let padded = format!("{}{user}{}", " ".repeat(1_000), " ".repeat(1_000));
    let bytes = || Frames::new(padded.bytes().map(|byte| vec![byte]));
    let users = users(&layer());
    let request = Request::post("/v1/users?id=ada").body(Unsized(bytes())).unwrap();
    assert_eq!(send(&users, request).await.status, 200);
    let import = post("/v1/users:import", "").map(|_| bytes());
    assert_eq!(send(&users, import).await.status, 400, "a user is no request to create one");
}
