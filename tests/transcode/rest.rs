//! A client of REST, and the users service behind the layer.

use std::{
    convert::Infallible,
    fmt::Debug,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use example_proto::users::v1::users_server::UsersServer;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::{Layer, Service, ServiceExt};
use tower_gateway::transcode::{Transcode, TranscodeLayer};

use crate::users::Users;

/// The users service of this process, by tonic.
pub type Server = UsersServer<Users>;

/// The layer with the schema of the examples.
pub fn layer() -> TranscodeLayer {
    TranscodeLayer::from_descriptor_set(example_proto::DESCRIPTORS).unwrap()
}

/// The users service behind the layer.
pub fn users(layer: &TranscodeLayer) -> Transcode<Server> {
    layer.layer(UsersServer::new(Users::default()))
}

/// The same, with Ada in it.
pub async fn with_ada(layer: &TranscodeLayer) -> Transcode<Server> {
    let users = users(layer);
    let created = send(&users, post("/v1/users?id=ada", r#"{"displayName":"Ada"}"#)).await;
    assert_eq!(created.status, 200, "{created:?}");
    users
}

pub type Content = Full<Bytes>;

pub fn get(target: &str) -> Request<Content> {
    Request::get(target).body(Content::default()).unwrap()
}

pub fn post(target: &str, json: impl Into<Bytes>) -> Request<Content> {
    with_json("POST", target, json)
}

pub fn with_json(method: &str, target: &str, json: impl Into<Bytes>) -> Request<Content> {
    Request::builder()
        .method(method)
        .uri(target)
        .header("content-type", "application/json")
        .body(Full::new(json.into()))
        .unwrap()
}

/// An answer that has been read.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// What an NDJSON body holds.
    pub fn lines(&self) -> Vec<Value> {
        let lines = std::str::from_utf8(&self.body).unwrap().lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// That it is a problem document of this status, and that what it says of the fault holds these words.
    #[track_caller]
    pub fn is_problem(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let detail = self.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(words), "{detail:?} does not say {words:?}");
    }
}

pub async fn send<S, B, R>(service: &S, request: Request<B>) -> Answer
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes, Error: Debug>,
{
    read(service.clone().oneshot(request).await.unwrap()).await
}

pub async fn read<R>(response: Response<R>) -> Answer
where
    R: Body<Data = Bytes, Error: Debug>,
{
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, body }
}

/// A body that does not say how long it is.
pub struct Unsized<B>(pub B);

impl<B: Body<Data = Bytes> + Unpin> Body for Unsized<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}
