//! Refusals, read by others: serde_json for problem documents, tonic for gRPC.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue, Method, Request, header};
use tonic_types::StatusExt;
use tower_gateway::{
    body::Body,
    guard::Head,
    rejection::{Reason, Rejection},
    reply::reply,
};

use crate::support::{assert_problem, text};

type Response = http::Response<Body<String>>;

fn refuse(media: &str, rejection: Rejection) -> Response {
    let request = Request::post("/").header("content-type", media).body(()).unwrap();
    reply(Head::of(&request), rejection)
}

fn limited() -> Rejection {
    Rejection::rate_limited(Duration::from_millis(1_500)).with_member("policy", "per-client")
}

#[tokio::test]
async fn http_gets_a_problem_document() {
    let response = refuse("application/json", limited());
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let problem = assert_problem(response, 429, "rate-limited").await;
    assert_eq!(problem["policy"], "per-client");
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
}

#[tokio::test]
async fn every_reason_is_a_problem_and_a_grpc_status() {
    for reason in Reason::ALL {
        let rejection = || Rejection::new(*reason, "What to do.");
        let (status, name) = (reason.status().as_u16(), reason.name());
        let problem = assert_problem(refuse("text/plain", rejection()), status, name).await;
        assert_eq!(problem["detail"], "What to do.");
        let response = refuse("application/grpc", rejection());
        let status = tonic::Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code() as i32, reason.grpc_code() as i32);
        assert_eq!(status.message(), "What to do.");
    }
}

#[test]
fn tonic_reads_the_details() {
    let response = refuse("application/grpc", limited());
    assert_eq!(response.status(), 200);
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let details = status.get_error_details();
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_millis(1_500)));
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("RATE_LIMITED", "tower-gateway"));
    assert_eq!(info.metadata["policy"], "per-client");
    let violation = &details.quota_failure().unwrap().violations[0];
    assert_eq!(violation.subject, "per-client");
    assert_eq!(response.headers()["grpc-retry-pushback-ms"], "1500");
}

#[test]
fn a_message_of_any_text_survives() {
    let detail = "50 % of “naïve”\r\nclients\u{1}";
    let response = refuse("application/grpc+proto", Rejection::forbidden(detail));
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.message(), detail);
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
}

#[tokio::test]
async fn grpc_web_gets_the_trailers_in_a_frame() {
    let binary = refuse("application/grpc-web+proto", limited());
    assert_eq!(binary.status(), 200);
    assert_eq!(binary.headers()["content-type"], "application/grpc-web+proto");
    assert_eq!(binary.headers()["retry-after"], "2");
    let frame = http_body_util::BodyExt::collect(binary.into_body()).await.unwrap().to_bytes();
    assert_trailer_frame(&frame);

    let encoded = text(refuse("application/grpc-web-text", limited())).await;
    assert_trailer_frame(&BASE64_STANDARD.decode(encoded).unwrap());
}

fn assert_trailer_frame(frame: &[u8]) {
    let (head, block) = frame.split_at(5);
    assert_eq!(head[0], 0x80, "the trailer flag");
    assert_eq!(u32::from_be_bytes(head[1..].try_into().unwrap()) as usize, block.len());
    let mut fields = HeaderMap::new();
    for line in std::str::from_utf8(block).unwrap().split_terminator("\r\n") {
        let (name, value) = line.split_once(": ").unwrap();
        let name: header::HeaderName = name.parse().unwrap();
        fields.insert(name, HeaderValue::from_str(value).unwrap());
    }
    let status = tonic::Status::from_header_map(&fields).unwrap();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
}

#[test]
fn head_is_answered_without_content() {
    let request = Request::builder().method(Method::HEAD).body(()).unwrap();
    let response: Response = reply(Head::of(&request), Rejection::not_found());
    assert_eq!(response.status(), 404);
    assert!(http_body::Body::is_end_stream(response.body()));
}

#[tokio::test]
async fn the_cause_and_the_inside_stay_inside() {
    let leaky = || Rejection::internal().caused_by("redis://:hunter2@10.1.2.3:6379");
    let document = text(refuse("text/plain", leaky())).await;
    let trailers = format!("{:?}", refuse("application/grpc", leaky()).headers());
    for shown in [document, trailers] {
        assert!(!shown.contains("hunter2") && !shown.contains("10.1.2.3"), "{shown}");
    }
}
