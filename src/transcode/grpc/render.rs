//! The status of a call as a client of HTTP reads it: its status line, fields and a JSON document.

use std::io::Write as _;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::{
    base64,
    status::{Detail, Status},
};
use crate::rejection::{Rejection, whole_seconds};

/// What the body of an error says. Its details stand in both: those of a type that is known as ProtoJSON writes an
/// `Any`, others as `{"@type":"…","value":"<base64>"}`, so that none is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorBody {
    /// A problem document, RFC 9457: `type`, `title`, `status`, `detail`, and of gRPC `code` ("NOT_FOUND") and
    /// `details`. `application/problem+json`.
    #[default]
    Problem,
    /// `google.rpc.Status` as grpc-gateway and Envoy write it: `code` (5), `message`, `details`. `application/json`.
    Status,
}

/// Writes a known `Any` as JSON, of its type's URL and its value. If it returns `false`, whatever it has written is
/// taken back.
pub(crate) trait WriteAny: FnMut(&str, &[u8], &mut Vec<u8>) -> bool {}

impl<F: FnMut(&str, &[u8], &mut Vec<u8>) -> bool> WriteAny for F {}

/// The answer that tells the status, with fields of the service's metadata.
///
/// A 401 must have a challenge (RFC 9110 §15.5.2): if the metadata has none, it is `Bearer`, which is how gRPC's call
/// credentials come. Unless the metadata says otherwise, a delay becomes `Retry-After`, and nobody stores the answer.
pub(crate) fn response(
    status: &Status,
    metadata: HeaderMap,
    body: ErrorBody,
    any: impl WriteAny,
) -> Response<Bytes> {
    let mut out = Vec::with_capacity(256);
    let media = match body {
        ErrorBody::Problem => {
            problem(status, &mut out, any);
            "application/problem+json"
        }
        ErrorBody::Status => {
            out.push(b'{');
            members(status, &mut out, any);
            "application/json"
        }
    };
    answer(status.code().http_status(), status, metadata, media, out)
}

/// A refusal of the gateway's as `google.rpc.Status`. As a problem document, [`reply`](crate::reply) writes it.
pub(crate) fn refusal(rejection: &Rejection, any: impl WriteAny) -> Response<Bytes> {
    let (status, mut out) = (Status::from(rejection), vec![b'{']);
    members(&status, &mut out, any);
    answer(rejection.status(), &status, rejection.headers().clone(), "application/json", out)
}

/// The record that ends a stream: a `google.rpc.Status` as ProtoJSON writes it within an `Any`.
pub(crate) fn record(status: &Status, out: &mut Vec<u8>, any: impl WriteAny) {
    out.extend_from_slice(br#"{"@type":"type.googleapis.com/google.rpc.Status","#);
    members(status, out, any);
}

fn answer(
    line: StatusCode,
    status: &Status,
    mut headers: HeaderMap,
    media: &'static str,
    body: Vec<u8>,
) -> Response<Bytes> {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Some(delay) = status.retry_after() {
        headers.entry(header::RETRY_AFTER).or_insert_with(|| whole_seconds(delay).into());
    }
    if line == StatusCode::UNAUTHORIZED {
        headers.entry(header::WWW_AUTHENTICATE).or_insert(HeaderValue::from_static("Bearer"));
    }
    let mut response = Response::new(body.into());
    *response.status_mut() = line;
    *response.headers_mut() = headers;
    response
}

/// `type` is `about:blank`, because the service has not named one; so the title is that of the HTTP status
/// (RFC 9457 §4.2.1).
fn problem(status: &Status, out: &mut Vec<u8>, any: impl WriteAny) {
    let code = status.code();
    let line = code.http_status();
    let title = line.canonical_reason().unwrap_or("Client Closed Request"); // 499 is in no registry
    out.extend_from_slice(br#"{"type":"about:blank","title":"#);
    json(out, title);
    let _ = write!(out, r#","status":{},"detail":"#, line.as_u16());
    json(out, status.message());
    let _ = write!(out, r#","code":"{}","details":"#, code.name());
    details(status.details(), out, any);
    out.push(b'}');
}

/// The rest of an object that has been opened. All three, though empty: a shape that clients can rely on.
fn members(status: &Status, out: &mut Vec<u8>, any: impl WriteAny) {
    let _ = write!(out, r#""code":{},"message":"#, status.number());
    json(out, status.message());
    out.extend_from_slice(br#","details":"#);
    details(status.details(), out, any);
    out.push(b'}');
}

fn details(details: &[Detail], out: &mut Vec<u8>, mut any: impl WriteAny) {
    out.push(b'[');
    for (n, detail) in details.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        let start = out.len();
        if !any(&detail.type_url, &detail.value, out) {
            out.truncate(start);
            unknown(detail, out);
        }
    }
    out.push(b']');
}

fn unknown(detail: &Detail, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"@type":"#);
    json(out, &detail.type_url);
    out.extend_from_slice(br#","value":"#);
    json(out, &base64::padded(&detail.value));
    out.push(b'}');
}

fn json(out: &mut Vec<u8>, value: impl Serialize) {
    serde_json::to_writer(out, &value).expect("text is JSON, and memory takes it");
}
