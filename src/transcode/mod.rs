//! JSON over HTTP in front of gRPC services: `google.api.http`, ProtoJSON and streaming, as a layer.
//!
//! A client sends `GET /v1/users/ada`; the service behind gets a call of `users.v1.Users/GetUser`, and its message
//! goes back as JSON. The service is any that speaks gRPC: tonic's in this process, with no socket between, or an
//! [`Upstream`](crate::upstream::Upstream) over HTTP/2.
//!
//! 1. Calls of gRPC and gRPC-Web, and requests that no rule takes, pass untouched ([`reject_native`] and
//!    [`reject_unknown`] refuse them).
//! 2. A request that a rule of `google.api.http` takes becomes a call: path, query and body are one message, or a
//!    stream of them. [`Descriptors`] tells the rules, [`Schema`] holds them.
//! 3. The answer is JSON; content as it is, for a `google.api.HttpBody`; or a stream, in a [`Framing`] that the client
//!    accepts.
//! 4. A failure is an HTTP status and a document ([`ErrorBody`]). After the answer has begun it is the last record of
//!    the stream.
//!
//! ```
//! use http::Request;
//! use http_body_util::{BodyExt, Full};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_gateway::transcode::{CallBody, TranscodeLayer};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! // Stands for a service of tonic.
//! let grpc = service_fn(|call: Request<CallBody<Full<bytes::Bytes>>>| async move {
//!     assert_eq!(call.uri(), "/users.v1.Users/GetUser");
//!     let message = call.into_body().collect().await?.to_bytes();
//!     assert_eq!(&message[..], b"\0\0\0\0\x05\x0a\x03ada");
//!     let user = Full::from(&b"\0\0\0\0\x0b\x0a\x09users/ada"[..]);
//!     let trailers = async { Some(Ok([("grpc-status", "0")].map(|(name, value)| {
//!         (name.parse().unwrap(), value.parse().unwrap())
//!     }).into_iter().collect())) };
//!     let answer = http::Response::builder().header("content-type", "application/grpc");
//!     Ok::<_, tower_gateway::BoxError>(answer.body(user.with_trailers(trailers)).unwrap())
//! });
//!
//! let rest = TranscodeLayer::from_descriptor_set(example_proto::DESCRIPTORS).unwrap().layer(grpc);
//! let request = Request::get("/v1/users/ada").body(Full::default()).unwrap();
//! let answer = rest.clone().oneshot(request).await.unwrap();
//! let json = answer.into_body().collect().await.unwrap().to_bytes();
//! assert_eq!(json, r#"{"name":"users/ada"}"#);
//!
//! let wrong = Request::get("/v1/users/ada?shoe=7").body(Full::default()).unwrap();
//! assert_eq!(rest.oneshot(wrong).await.unwrap().status(), 400);
//! # });
//! ```
//!
//! # Requests
//!
//! | the method takes | the body | becomes |
//! |---|---|---|
//! | one message | JSON | the message, or the field that `body` names; nothing at all is a message without fields |
//! | a stream | lines of JSON | a message each, converted as the service reads; an array is refused with 400 |
//! | a `google.api.HttpBody` | of any media type | its `data`, with its `content_type`; of a stream, a message for each piece as it arrives, the media type in the first |
//! | – (a rule without `body`) | | not looked at |
//!
//! What path and query bind is part of *every* message of a stream. A `PATCH` whose body is a field gets an
//! `update_mask` of the fields that the body names, unless the query brings one. JSON comes as `application/json`, as
//! any `+json`, or without a media type; lines also as `application/x-ndjson`. Other media types, and content in a
//! coding, are refused with 415. Trailers of a request are dropped.
//!
//! The service gets a `POST` of HTTP/2 with the metadata that [`Metadata`] lets pass, the request's extensions, and two
//! of this layer's: a [`MatchedRoute`](crate::MatchedRoute) with the rule's template, and, if the call's time is
//! limited, its [`Deadline`](crate::Deadline). The client limits it with `Grpc-Timeout`.
//!
//! # Answers
//!
//! The head of a stream is sent with the first message, so that a failure before it has a status of its own. Only a
//! client that is sending a stream itself gets it as soon as the service sends its own, since it may wait for it; and one of an event stream after a
//! [`heartbeat`]'s period. Messages are read no faster than the client reads. Where no record can stand, in
//! content of another type, a failure breaks the connection off, so that nobody takes half for the whole. What comes in
//! the trailers of a stream is not passed on. The answer to a `HEAD` has the head that `GET` would have, and no content.
//!
//! A refusal of a layer behind, or of `Upstream`, is told as that layer told it, in the dialect of HTTP.
//!
//! # Bounds
//!
//! | what | default | beyond |
//! |---|---|---|
//! | [`max_request`](TranscodeLayer::max_request) | 4 MiB | 413 |
//! | [`max_message`](TranscodeLayer::max_message) | 4 MiB | 413 of the client's, 502 of the service's |
//! | [`max_response`](TranscodeLayer::max_response) | 16 MiB | 502 |
//! | [`timeout`](TranscodeLayer::timeout) | 60 s | 504, or 408 while the request is read |
//! | [`stream_timeout`](TranscodeLayer::stream_timeout) | – | 504, in band |
//! | path and query of a stream, which each of its messages repeats | 1 KiB of wire bytes | 414 |
//! | depth of messages | 100 | 400 of the client's, 502 of the service's |
//!
//! Nothing is ever cut short. Dropping the answer, at any point, cancels the call. Deadlines are looked at while the
//! client reads: one that does not read is the server's to cut (`Server::write_timeout` in this crate).
//!
//! **Caveat.** A method has two names now, the rule's path and `/users.v1.Users/GetUser`, and calls by the second pass
//! untouched. Layers that decide by path stand behind this one, where there is only the second, or know both; or
//! [`reject_native`] leaves only the first.
//!
//! [`heartbeat`]: TranscodeLayer::heartbeat
//! [`reject_native`]: TranscodeLayer::reject_native
//! [`reject_unknown`]: TranscodeLayer::reject_unknown

mod bind;
mod call;
mod chunk;
mod descriptors;
mod escape;
mod fault;
mod grpc;
mod json;
mod layer;
mod mask;
pub mod openapi;
pub mod reflection;
mod rules;
mod schema;
mod service;
mod settings;
mod stream;
mod template;
mod types;
mod well_known;
mod wire;

pub use call::{CallBody, TranscodeBody, TranscodeFuture};
pub use descriptors::Descriptors;
pub use grpc::{ErrorBody, Metadata};
pub use json::JsonOptions;
pub use layer::{TranscodeHandle, TranscodeLayer};
pub use openapi::OpenApi;
pub use schema::Schema;
pub use service::Transcode;
pub use stream::Framing;
