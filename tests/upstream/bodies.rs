use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::Frame;
use http_body_util::{BodyExt, Channel, Full, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;
use tower_gateway::fields::OwnFields;

use super::{
    origin::{answer, echo, front, raw, read_head, serve},
    support::text,
};

#[tokio::test]
async fn request_trailers_pass_but_for_what_decides() {
    for http2 in [false, true] {
        let origin = echo().await;
        let trailers: HeaderMap = [
            "x-checksum",
            "x-auth-sub",
            "x_auth_sub",
            "content-length",
            "x-forwarded-for",
            "authorization",
        ]
        .into_iter()
        .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")))
        .collect();
        let frames = [
            Ok::<_, Infallible>(Frame::data(Bytes::from("content"))),
            Ok(Frame::trailers(trailers)),
        ];
        let request = Request::post("/")
            .header("te", "trailers")
            .header("trailer", "x-checksum, x-auth-sub, x_auth_sub, content-length, x-forwarded-for, authorization")
            .extension(OwnFields([HeaderName::from_static("x-auth-sub")].into()))
            .body(StreamBody::new(futures_util::stream::iter(frames)))
            .unwrap();
        let upstream = match http2 {
            true => origin.upstream().http2(),
            false => origin.upstream(),
        };
        let seen = text(upstream.oneshot(request).await.unwrap()).await;
        let trailers: Vec<_> = seen.lines().filter(|it| it.starts_with("trailer ")).collect();
        assert_eq!(trailers, ["trailer x-checksum: 1"], "{seen}");
    }
}

#[tokio::test]
async fn response_trailers_pass_untouched() {
    let origin = serve(|_| async {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let frames = [
            Ok::<_, Infallible>(Frame::data(Bytes::from("content"))),
            Ok(Frame::trailers(trailers)),
        ];
        let mut response = answer(StreamBody::new(futures_util::stream::iter(frames)));
        response.headers_mut().insert("trailer", HeaderValue::from_static("grpc-status"));
        response
    })
    .await;
    for upstream in [origin.upstream(), origin.upstream().http2()] {
        let request =
            Request::get("/").header("te", "trailers").body(Full::<Bytes>::default()).unwrap();
        let content = upstream.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(content.trailers().unwrap()["grpc-status"], "0");
    }
}

#[tokio::test]
async fn octets_pass_in_both_directions_at_once() {
    let origin = serve(|request: Request<hyper::body::Incoming>| async move {
        http::Response::new(request.into_body().boxed_unsync())
    })
    .await;
    for upstream in [origin.upstream(), origin.upstream().http2()] {
        let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
        let request = Request::post("/").body(body).unwrap();
        sender.send_data(Bytes::from("0")).await.unwrap();
        let mut response = upstream.oneshot(request).await.unwrap();
        for n in 0..10 {
            let frame = response.body_mut().frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), n.to_string());
            sender.send_data(Bytes::from((n + 1).to_string())).await.unwrap();
        }
        drop(sender);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "10");
    }
}

/// Counts what is pulled out of an endless upload.
fn endless() -> (
    impl http_body::Body<Data = Bytes, Error = Infallible> + Send,
    std::sync::Arc<std::sync::atomic::AtomicUsize>,
) {
    let pulled = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&pulled);
    let frames = std::iter::repeat_with(move || {
        count.fetch_add(64 * 1024, std::sync::atomic::Ordering::SeqCst);
        Ok(Frame::data(Bytes::from_static(&[0; 64 * 1024])))
    });
    (StreamBody::new(futures_util::stream::iter(frames)), pulled)
}

#[tokio::test]
async fn an_upload_waits_for_an_upstream_that_does_not_read() {
    let origin = raw(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let (body, pulled) = endless();
    let call = tokio::spawn(origin.upstream().oneshot(Request::post("/").body(body).unwrap()));
    let read = || pulled.load(std::sync::atomic::Ordering::SeqCst);
    // Until nothing has moved for many turns: the sockets are full.
    let (mut last, mut still) = (0, 0);
    while last == 0 || still < 1_000 {
        tokio::task::yield_now().await;
        still = if read() == last { still + 1 } else { 0 };
        last = read();
    }
    assert!(last < 32 * 1024 * 1024, "{last} octets were taken though nobody read them");
    call.abort();
}

#[tokio::test]
async fn an_early_answer_reaches_the_client_while_the_upload_goes_on() {
    let origin = raw(|mut stream| async move {
        read_head(&mut stream).await;
        let answer =
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge";
        stream.write_all(answer.as_bytes()).await.unwrap();
        // keeps reading for a while, as a decent server does
        let mut rest = stream.take(1_000_000);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.ok();
    })
    .await;
    let (body, _) = endless();
    let response = origin.upstream().oneshot(Request::post("/").body(body).unwrap()).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(text(response).await, "large");
}

#[tokio::test]
async fn expect_100_continue_goes_through() {
    let origin = echo().await;
    let front = front(origin.upstream()).await;
    let mut client = tokio::net::TcpStream::connect(front).await.unwrap();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 7\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 100 Continue"));
    client.write_all(b"content").await.unwrap();
    let answer = read_head(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert!((answer + &rest).ends_with("content"));
}

#[tokio::test]
async fn informational_answers_do_not_end_the_wait() {
    let origin = super::origin::says(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let response = origin.upstream().oneshot(super::support::get("/")).await.unwrap();
    assert_eq!(text(response).await, "ok");
}

#[tokio::test]
async fn an_upload_that_the_client_breaks_off_reaches_nobody_as_a_whole() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let origin = serve(move |request: Request<hyper::body::Incoming>| {
        let told = told.clone();
        async move {
            told.send(request.into_body().collect().await.is_err()).unwrap();
            answer(Full::default())
        }
    })
    .await;
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let front = front(origin.upstream()).await;
        let mut client = tokio::net::TcpStream::connect(front).await.unwrap();
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n5\r\nhello\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        drop(client);
        let broken = heard.recv().await.unwrap();
        assert!(broken, "{head}");
    }
}
