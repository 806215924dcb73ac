use std::error::Error;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Full};
use tower::ServiceExt;
use tower_gateway::client::{ClientErrorKind, HttpClient};

use super::origin::{echo, says};

async fn kind(uri: &str) -> ClientErrorKind {
    let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
    HttpClient::new().oneshot(request).await.unwrap_err().kind()
}

#[tokio::test]
async fn any_origin_and_any_body_over_one_pool() {
    let (one, other) = (echo().await, echo().await);
    let client = HttpClient::new();
    for origin in [&one, &other, &one, &other] {
        let request =
            Request::get(format!("{}/keys?x", origin.url())).body(Empty::<Bytes>::new()).unwrap();
        let response = client.clone().oneshot(request).await.unwrap();
        let seen = response.into_body().collect().await.unwrap().to_bytes();
        let seen = String::from_utf8(seen.to_vec()).unwrap();
        assert!(seen.starts_with("GET /keys?x HTTP/1.1\n"), "{seen}");
        assert!(seen.contains(&format!("host: {}\n", origin.addr)), "{seen}");

        let request = Request::post(origin.url()).body(Full::<Bytes>::from("content")).unwrap();
        let response = client.clone().oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    assert_eq!((one.accepted(), other.accepted()), (1, 1));
}

#[tokio::test]
async fn a_host_that_the_caller_names_is_sent() {
    let origin = echo().await;
    let request = Request::get(origin.url()).header("host", "other.example");
    let response =
        HttpClient::new().oneshot(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    let seen = response.into_body().collect().await.unwrap().to_bytes();
    let seen = String::from_utf8(seen.to_vec()).unwrap();
    assert!(
        seen.contains("\nhost: other.example\n") && seen.matches("host:").count() == 1,
        "{seen}"
    );
}

#[tokio::test]
async fn errors_say_what_failed() {
    for uri in ["/relative", "ftp://a/", "http://user:password@127.0.0.1/"] {
        assert_eq!(kind(uri).await, ClientErrorKind::Request, "{uri}");
    }
    assert_eq!(kind("http://does-not-exist.invalid/").await, ClientErrorKind::Connect);
    assert_eq!(kind(&says("").await.url()).await, ClientErrorKind::Closed);
    assert_eq!(kind(&says("nonsense\r\n\r\n").await.url()).await, ClientErrorKind::Malformed);
}

#[tokio::test]
async fn the_cause_is_a_source() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
    let error = HttpClient::new().oneshot(request).await.unwrap_err();
    let io = error.source().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(io.kind(), std::io::ErrorKind::ConnectionRefused);
}
