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
    transcode::CallBody,
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
