//! A gRPC service that answers what a test says, byte for byte.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
};

use http::{HeaderMap, HeaderValue, Request, Response};
use prost::Message;
use tower::{Service, service_fn};
use tower_gateway::{test_util::Frames, transcode::CallBody};

use crate::rest::Content;

/// The frame of a message.
pub fn frame(message: &impl Message) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend_from_slice(&(message.encoded_len() as u32).to_be_bytes());
    message.encode(&mut frame).unwrap();
    frame
}

/// Header fields, or trailers.
pub fn fields<const N: usize>(fields: [(&'static str, &'static str); N]) -> HeaderMap {
    let fields =
        fields.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
    HeaderMap::from_iter(fields)
}

/// 200, of the media type of gRPC, with these frames and trailers.
pub fn grpc<const N: usize>(
    frames: impl IntoIterator<Item = Vec<u8>>,
    trailers: [(&'static str, &'static str); N],
) -> Response<Frames> {
    let mut body = Frames::new(frames);
    if N > 0 {
        body = body.with_trailers(fields(trailers));
    }
    let response = Response::builder().header("content-type", "application/grpc");
    response.body(body).unwrap()
}

/// A failure that is told in the head.
pub fn failed(code: u32, message: &str) -> Response<Frames> {
    let mut response = grpc([], []);
    response.headers_mut().insert("grpc-status", code.into());
    response.headers_mut().insert("grpc-message", message.parse().unwrap());
    response
}

/// The requests that a service has got, their bodies unread.
pub type Seen = Arc<Mutex<Vec<Request<()>>>>;

/// A service that gives this answer to every request.
#[allow(clippy::type_complexity, reason = "it says what the service is")]
pub fn answering(
    answer: impl Fn() -> Response<Frames> + Clone,
) -> (
    Seen,
    impl Service<
        Request<CallBody<Content>>,
        Response = Response<Frames>,
        Error = Infallible,
        Future = Ready<Result<Response<Frames>, Infallible>>,
    > + Clone,
) {
    let seen = Seen::default();
    let requests = Arc::clone(&seen);
    let service = service_fn(move |request: Request<CallBody<Content>>| {
        requests.lock().unwrap().push(request.map(drop));
        ready(Ok(answer()))
    });
    (seen, service)
}

/// The bytes of a user of this name, in a frame.
pub fn user(name: &str) -> Vec<u8> {
    frame(&example_proto::users::v1::User { name: name.into(), ..Default::default() })
}

pub const OK: [(&str, &str); 1] = [("grpc-status", "0")];
