//! The gRPC dialects: trailers-only and gRPC-Web, with `google.rpc` details.
//!
//! Follows the [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) and
//! [gRPC-Web](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md) specifications and
//! `google/rpc/{status,error_details}.proto`.

use std::time::Duration;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::policies;
use crate::rejection::{GrpcCode, Rejection};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What `grpc-message` must encode: all but printable ASCII, and the percent sign itself.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// HTTP 200, the status in the header section, no body.
pub(super) fn trailers_only(rejection: &Rejection, request: &HeaderMap) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.headers_mut() = status_fields(rejection);
    response.headers_mut().extend(metadata(rejection));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, same_media_type(request, "application/grpc"));
    response
}

/// HTTP 200 and one frame, flagged as trailers, in the body; base64 for the text variant.
pub(super) fn web(rejection: &Rejection, request: &HeaderMap, text: bool) -> Response<Bytes> {
    let mut block = Vec::new();
    for (name, value) in &status_fields(rejection) {
        block.extend_from_slice(name.as_str().as_bytes());
        block.extend_from_slice(b": ");
        block.extend_from_slice(value.as_bytes());
        block.extend_from_slice(b"\r\n");
    }
    let mut frame = vec![0x80];
    frame.extend_from_slice(&(block.len() as u32).to_be_bytes());
    frame.extend_from_slice(&block);

    let (body, media) = match text {
        true => (BASE64_STANDARD.encode(&frame).into_bytes(), "application/grpc-web-text+proto"),
        false => (frame, "application/grpc-web+proto"),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.headers_mut() = metadata(rejection);
    response.headers_mut().insert(header::CONTENT_TYPE, same_media_type(request, media));
    response
}

/// `grpc-status`, `grpc-message` and the details, as they stand in a trailer section.
fn status_fields(rejection: &Rejection) -> HeaderMap {
    let code = rejection.reason().grpc_code();
    let message = utf8_percent_encode(rejection.detail(), MESSAGE).to_string();
    let details = BASE64_STANDARD_NO_PAD.encode(details(rejection));

    let mut fields = HeaderMap::new();
    fields.insert(GRPC_STATUS, HeaderValue::from(code as u16));
    fields.insert(GRPC_MESSAGE, ascii(message));
    fields.insert(GRPC_DETAILS, ascii(details));
    if let Some(delay) = rejection.delay() {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).max(1);
        fields.insert(GRPC_PUSHBACK, HeaderValue::from(millis));
    }
    fields
}

/// The rejection's own fields; without those that would be read as HTTP's.
fn metadata(rejection: &Rejection) -> HeaderMap {
    let mut fields = rejection.headers().clone();
    fields.remove(header::CONTENT_LENGTH);
    fields
}

/// The request's media type, which the answer to a gRPC call repeats.
fn same_media_type(request: &HeaderMap, fallback: &'static str) -> HeaderValue {
    request.get(header::CONTENT_TYPE).cloned().unwrap_or(HeaderValue::from_static(fallback))
}

fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("base64 and percent-encoded text are visible ASCII")
}

/// `google.rpc.Status { code = 1, message = 2, details = 3 }`.
pub(crate) fn details(rejection: &Rejection) -> Vec<u8> {
    let mut status = Message::default();
    status.uint(1, rejection.reason().grpc_code() as u64);
    status.text(2, rejection.detail());
    status.any(3, "google.rpc.ErrorInfo", error_info(rejection));
    if let Some(delay) = rejection.delay() {
        let mut retry = Message::default();
        retry.message(1, duration(delay));
        status.any(3, "google.rpc.RetryInfo", retry);
    }
    if rejection.reason().grpc_code() == GrpcCode::ResourceExhausted {
        status.any(3, "google.rpc.QuotaFailure", quota_failure(rejection));
    }
    status.0
}

/// `ErrorInfo { reason = 1, domain = 2, metadata = 3 }`; the reason in UPPER_SNAKE_CASE.
fn error_info(rejection: &Rejection) -> Message {
    let mut info = Message::default();
    let reason = rejection.reason().name().replace('-', "_").to_ascii_uppercase();
    info.text(1, &reason);
    info.text(2, "tower-gateway");
    for (n, (name, value)) in rejection.members().enumerate() {
        if rejection.members().take(n).any(|(earlier, _)| earlier == name) {
            continue; // a key of a map has one value, as in the problem document
        }
        let mut entry = Message::default();
        entry.text(1, name);
        entry.text(2, value);
        info.message(3, entry);
    }
    info
}

/// `QuotaFailure { violations = 1 }`, each `{ subject = 1, description = 2 }`; one that names nobody if no policy is
/// known.
fn quota_failure(rejection: &Rejection) -> Message {
    let mut failure = Message::default();
    let nobody = policies(rejection).next().is_none().then_some("");
    for policy in policies(rejection).chain(nobody) {
        let mut violation = Message::default();
        violation.text(1, policy);
        violation.text(2, rejection.detail());
        failure.message(1, violation);
    }
    failure
}

/// `google.protobuf.Duration { seconds = 1, nanos = 2 }`.
fn duration(duration: Duration) -> Message {
    let mut message = Message::default();
    message.uint(1, duration.as_secs().min(315_576_000_000)); // the type's documented maximum
    message.uint(2, u64::from(duration.subsec_nanos()));
    message
}

/// A protobuf message under construction: the two wire types that the details need.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn uint(&mut self, field: u8, value: u64) {
        if value != 0 {
            self.0.push(field << 3);
            self.varint(value);
        }
    }

    fn text(&mut self, field: u8, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn message(&mut self, field: u8, message: Self) {
        self.bytes(field, &message.0);
    }

    fn any(&mut self, field: u8, type_name: &str, value: Self) {
        let mut any = Self::default();
        any.text(1, &format!("type.googleapis.com/{type_name}"));
        any.bytes(2, &value.0);
        self.message(field, any);
    }

    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.0.push(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
