//! What the tests share. Each test crate uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod authorization_server;
pub mod idp;
pub mod tokens;

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::util::BoxCloneService;

pub type Echo = BoxCloneService<Request<Full<Bytes>>, Response<Full<Bytes>>, Infallible>;

/// A service that answers with the head that reached it, a line per field.
pub fn echo() -> Echo {
    BoxCloneService::new(tower::service_fn(|request: Request<Full<Bytes>>| async move {
        let mut head = format!("{} {}\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            head += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
        }
        Ok(Response::new(Full::from(head)))
    }))
}

/// A GET without content.
pub fn get(uri: &str) -> Request<Full<Bytes>> {
    Request::get(uri).body(Full::default()).unwrap()
}

/// The whole body as text.
pub async fn text<B>(response: Response<B>) -> String
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The response is a problem document with this status and reason; returns it.
pub async fn assert_problem<B>(
    response: Response<B>,
    status: u16,
    reason: &str,
) -> serde_json::Value
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["reason"], reason);
    problem
}
