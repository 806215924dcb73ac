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
///
/// The HTTP status is that of the code: 1 is 499; 3, 9 and 11 are 400; 4 is 504; 5 is 404; 6 and 10 are 409; 7 is 403; 8 is
/// 429; 12 is 501; 14 is 503; 16 is 401; others are 500. A `RetryInfo` becomes `Retry-After`. A 401 without a
/// `www-authenticate` among its metadata says `Bearer`, because RFC 9110 §15.5.2 demands a challenge.
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
/// A 401 without a challenge gets `Bearer`, which is how gRPC's call credentials come. Unless the metadata says otherwise, a delay becomes `Retry-After`, and nobody stores the answer.
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
    json(out, base64::padded(&detail.value));
    out.push(b'}');
}

fn json(out: &mut Vec<u8>, value: impl Serialize) {
    serde_json::to_writer(out, &value).expect("text is JSON, and memory takes it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcode::{
        json::{JsonOptions, write::Print},
        types::Types,
    };
    use http::HeaderName;
    use serde_json::{Value, json};
    use std::time::Duration;
    use tonic_types::{ErrorDetails, StatusExt};

    /// A status as a service would send it.
    fn sent(fields: &[(&'static str, &str)]) -> Status {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        Status::of(&fields.iter().map(field).collect()).unwrap()
    }

    /// `NOT_FOUND` with one detail: `x/pkg.Book { 0x08 0x01 }`.
    fn missing_book() -> Status {
        let any = b"\x0a\x0ax/pkg.Book\x12\x02\x08\x01";
        let bytes = [&b"\x08\x05\x1a"[..], &[any.len() as u8], any].concat();
        let details = base64::encode(&bytes);
        sent(&[
            ("grpc-status", "5"),
            ("grpc-message", "No %22book%22%0D%0A here"),
            ("grpc-status-details-bin", &details),
        ])
    }

    fn unknown_any(_: &str, _: &[u8], out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(b"{\"half\":");
        false
    }

    fn shown(status: &Status, body: ErrorBody) -> (Response<Bytes>, Value) {
        let response = response(status, HeaderMap::new(), body, unknown_any);
        let document = serde_json::from_slice(response.body()).unwrap();
        (response, document)
    }

    #[test]
    fn a_problem_document() {
        let (response, document) = shown(&missing_book(), ErrorBody::Problem);
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let expected = json!({
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "No \"book\"\r\n here",
            "code": "NOT_FOUND",
            "details": [{"@type": "x/pkg.Book", "value": "CAE="}],
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn a_status_as_json() {
        let (response, document) = shown(&missing_book(), ErrorBody::Status);
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "application/json");
        let expected = json!({
            "code": 5,
            "message": "No \"book\"\r\n here",
            "details": [{"@type": "x/pkg.Book", "value": "CAE="}],
        });
        assert_eq!(document, expected);
        let empty = sent(&[("grpc-status", "99")]);
        let (response, document) = shown(&empty, ErrorBody::Status);
        assert_eq!(response.status(), 500);
        assert_eq!(document, json!({"code": 99, "message": "", "details": []}));
    }

    #[test]
    fn a_known_detail_is_shown_as_what_it_is() {
        let any = |url: &str, value: &[u8], out: &mut Vec<u8>| {
            assert_eq!((url, value), ("x/pkg.Book", &b"\x08\x01"[..]));
            out.extend_from_slice(br#"{"@type":"x/pkg.Book","id":1}"#);
            true
        };
        let mut out = Vec::from(&b"before "[..]);
        record(&missing_book(), &mut out, any);
        let record = out.strip_prefix(b"before ").unwrap();
        let expected = json!({
            "@type": "type.googleapis.com/google.rpc.Status",
            "code": 5,
            "message": "No \"book\"\r\n here",
            "details": [{"@type": "x/pkg.Book", "id": 1}],
        });
        assert_eq!(serde_json::from_slice::<Value>(record).unwrap(), expected);
        assert!(record.starts_with(br#"{"@type":"#), "a reader sees at once what it is");
    }

    /// Written by tonic, read and shown by us: the types of `google.rpc` are known without being declared.
    #[test]
    fn the_details_of_google_are_known() {
        let mut told = ErrorDetails::new();
        told.set_retry_info(Some(Duration::from_millis(2_500)));
        told.add_bad_request_violation("book.id", "too long");
        let tonic = tonic::Status::with_error_details(tonic::Code::InvalidArgument, "No.", told);
        let status = Status::of(tonic.into_http::<()>().headers()).unwrap();
        let types = Types::compile(&[] as &[&[u8]]).unwrap();
        let print = Print { types: &types, options: JsonOptions::new(), limit: 4096 };
        let any = |url: &str, value: &[u8], out: &mut Vec<u8>| print.any(url, value, out);
        let response = response(&status, HeaderMap::new(), ErrorBody::Status, any);
        let document: Value = serde_json::from_slice(response.body()).unwrap();
        let expected = json!([
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.500s"},
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": "book.id", "description": "too long"}],
            },
        ]);
        assert_eq!(document["details"], expected);
        assert_eq!(response.headers()["retry-after"], "3");
    }

    #[test]
    fn a_title_is_that_of_the_http_status() {
        let title = |code: &str| {
            let (_, document) = shown(&sent(&[("grpc-status", code)]), ErrorBody::Problem);
            (document["title"].clone(), document["status"].clone(), document["code"].clone())
        };
        assert_eq!(title("1"), (json!("Client Closed Request"), json!(499), json!("CANCELLED")));
        assert_eq!(title("14"), (json!("Service Unavailable"), json!(503), json!("UNAVAILABLE")));
        assert_eq!(title("77"), (json!("Internal Server Error"), json!(500), json!("UNKNOWN")));
    }

    #[test]
    fn a_401_has_a_challenge() {
        let status = sent(&[("grpc-status", "16")]);
        let (none, _) = shown(&status, ErrorBody::Problem);
        assert_eq!(
            (none.status().as_u16(), &none.headers()["www-authenticate"]),
            (401, &"Bearer".parse().unwrap())
        );
        let mut metadata = HeaderMap::new();
        metadata.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey"));
        let own = response(&status, metadata, ErrorBody::Problem, unknown_any);
        assert_eq!(
            own.headers().get_all("www-authenticate").iter().collect::<Vec<_>>(),
            ["ApiKey"]
        );
        let (other, _) = shown(&missing_book(), ErrorBody::Problem);
        assert!(!other.headers().contains_key("www-authenticate"));
    }

    #[test]
    fn a_delay_is_whole_seconds_rounded_up() {
        let status = sent(&[("grpc-status", "14"), ("grpc-retry-pushback-ms", "1001")]);
        let (shown, _) = shown(&status, ErrorBody::Status);
        assert_eq!(
            (shown.status().as_u16(), &shown.headers()["retry-after"]),
            (503, &"2".parse().unwrap())
        );
        let mut metadata = HeaderMap::new();
        metadata.insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
        let own = response(&status, metadata, ErrorBody::Status, unknown_any);
        assert_eq!(own.headers()["retry-after"], "30");
    }

    #[test]
    fn a_refusal_of_ours_is_a_status_too() {
        let no =
            Rejection::rate_limited(Duration::from_millis(1_500)).with_member("policy", "daily");
        let response = refusal(&no, unknown_any);
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["content-type"], "application/json");
        let document: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(document["code"], 8);
        assert_eq!(document["message"], "Too many requests; try again later.");
        let details = document["details"].as_array().unwrap();
        let types: Vec<_> = details.iter().map(|it| it["@type"].as_str().unwrap()).collect();
        assert_eq!(
            types,
            ["ErrorInfo", "RetryInfo", "QuotaFailure"]
                .map(|it| format!("type.googleapis.com/google.rpc.{it}"))
        );
        // Its HTTP status is its own: 404 is not what UNIMPLEMENTED would be.
        assert_eq!(refusal(&Rejection::not_found(), unknown_any).status(), 404);
    }
}
