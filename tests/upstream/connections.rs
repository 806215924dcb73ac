use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tokio::{io::AsyncWriteExt, sync::Notify};
use tower::ServiceExt;
use tower_gateway::clock::Clock;

use super::{
    origin::{answer, echo, front, raw, read_head, serve, talk, until},
    support::{get, text},
};

#[tokio::test]
async fn one_connection_serves_one_request_after_another() {
    let origin = echo().await;
    let upstream = origin.upstream();
    for _ in 0..50 {
        text(upstream.clone().oneshot(get("/")).await.unwrap()).await;
    }
    for _ in 0..50 {
        let post = Request::post("/").body(Full::from("content")).unwrap();
        text(upstream.clone().oneshot(post).await.unwrap()).await;
    }
    assert_eq!(origin.accepted(), 1);
    text(upstream.unshared().oneshot(get("/")).await.unwrap()).await;
    assert_eq!(origin.accepted(), 2, "an unshared copy has connections of its own");
}

#[tokio::test]
async fn a_response_of_many_frames_gives_its_connection_back_too() {
    let origin = serve(|_| async {
        let frames = (0..20)
            .map(|_| Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(vec![7; 9_000]))));
        answer(StreamBody::new(futures_util::stream::iter(frames)))
    })
    .await;
    let upstream = origin.upstream();
    for _ in 0..20 {
        let response = upstream.clone().oneshot(get("/")).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 180_000);
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn through_a_front_connections_are_kept() {
    let origin = echo().await;
    let front = front(origin.upstream()).await;
    let requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(9)
        + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = talk(front, &requests).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 10);
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_opens_as_many_connections_as_it_needs_and_keeps_them() {
    let origin = echo().await;
    let upstream = origin.upstream();
    for _ in 0..20 {
        let burst = (0..20).map(|_| upstream.clone().oneshot(get("/")));
        for response in futures_util::future::join_all(burst).await {
            text(response.unwrap()).await;
        }
    }
    assert!(origin.accepted() <= 25, "{}", origin.accepted());
}

#[tokio::test]
async fn idle_connections_are_closed_in_time() {
    let origin = echo().await;
    let (clock, time) = Clock::manual();
    let upstream = origin.upstream().clock(clock).keep_alive(Duration::from_secs(10));
    text(upstream.clone().oneshot(get("/")).await.unwrap()).await;
    origin.open(1).await;
    until(|| time.sleepers() > 0).await;
    time.advance(Duration::from_secs(10));
    origin.open(0).await;
    text(upstream.oneshot(get("/")).await.unwrap()).await;
    assert_eq!(origin.accepted(), 2);
}

#[tokio::test]
async fn no_more_are_kept_than_allowed() {
    let origin = echo().await;
    let upstream = origin.upstream().max_idle(2);
    let burst = (0..8).map(|_| upstream.clone().oneshot(get("/")));
    for response in futures_util::future::join_all(burst).await {
        text(response.unwrap()).await;
    }
    assert_eq!(origin.accepted(), 8);
    origin.open(2).await;
}

#[tokio::test]
async fn dropping_the_upstream_closes_its_connections() {
    let origin = echo().await;
    text(origin.upstream().oneshot(get("/")).await.unwrap()).await;
    origin.open(0).await;
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_no_request() {
    // One answer per connection, then closed without a word of it.
    let origin = raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    })
    .await;
    let upstream = origin.upstream();
    for n in 1..=30 {
        let post = Request::post("/").body(Full::<Bytes>::from("content")).unwrap();
        let response = upstream.clone().oneshot(post).await.unwrap();
        assert_eq!(response.status(), 200, "request {n}");
        text(response).await;
        // the FIN has to arrive, which takes no time on loopback but a turn of the reactor
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(origin.accepted(), 30);
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let heads = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    // The first exchange is fine; the second request on the same connection is read, and the connection dies.
    let origin = raw(move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            loop {
                let head = read_head(&mut stream).await;
                if head.is_empty() || head.starts_with("POST") {
                    return seen.lock().unwrap().push(head);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            }
        }
    })
    .await;
    let upstream = origin.upstream();
    text(upstream.clone().oneshot(get("/")).await.unwrap()).await;
    let post = Request::post("/").body(Full::<Bytes>::from("content")).unwrap();
    assert_eq!(upstream.oneshot(post).await.unwrap().status(), 502);
    assert_eq!(origin.accepted(), 1);
    let posts = heads.lock().unwrap().iter().filter(|it| it.starts_with("POST")).count();
    assert_eq!(posts, 1);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_response_cancels_it() {
    let reached = Arc::new(Notify::new());
    let note = Arc::clone(&reached);
    let origin = serve(move |_| {
        note.notify_one();
        std::future::pending()
    })
    .await;
    let mut call = Box::pin(origin.upstream().oneshot(get("/")));
    tokio::select! {
        _ = &mut call => panic!("nobody answered"),
        () = reached.notified() => {}
    }
    origin.open(1).await;
    drop(call);
    origin.open(0).await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_the_response_cancels_it() {
    let origin = serve(|_| async {
        let first = futures_util::stream::iter([Ok::<_, Infallible>(http_body::Frame::data(
            Bytes::from("first"),
        ))]);
        let body = futures_util::StreamExt::chain(first, futures_util::stream::pending());
        answer(StreamBody::new(body))
    })
    .await;
    let upstream = origin.upstream();
    let mut response = upstream.clone().oneshot(get("/")).await.unwrap();
    assert_eq!(response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), "first");
    drop(response);
    origin.open(0).await;
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_keep_its_connection() {
    let origin = serve(|_| async { answer(Full::from(vec![7; 10_000_000])) }).await;
    let upstream = origin.upstream();
    drop(upstream.clone().oneshot(get("/")).await.unwrap());
    origin.open(0).await;
    let response = upstream.oneshot(get("/")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 10_000_000);
}

#[tokio::test]
async fn ninety_clients_leave_and_nothing_is_leaked() {
    let origin = serve(|_| std::future::pending()).await;
    let upstream = origin.upstream();
    let calls: Vec<_> = (0..90).map(|_| tokio::spawn(upstream.clone().oneshot(get("/")))).collect();
    origin.open(90).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    origin.open(0).await;
}

#[tokio::test]
async fn an_empty_body_of_any_kind_is_sent_without_framing_that_says_otherwise() {
    let origin = echo().await;
    let seen = text(
        origin
            .upstream()
            .oneshot(Request::get("/").body(Empty::<Bytes>::new()).unwrap())
            .await
            .unwrap(),
    )
    .await;
    assert!(!seen.contains("content-length") && !seen.contains("transfer-encoding"), "{seen}");
    let seen = text(
        origin
            .upstream()
            .oneshot(Request::post("/").body(Empty::<Bytes>::new()).unwrap())
            .await
            .unwrap(),
    )
    .await;
    assert!(seen.contains("content-length: 0"), "{seen}");
}

#[test]
fn connections_of_a_runtime_that_has_ended_cost_no_request() {
    // As in a process with a runtime per core, or a test with one per case, that share an upstream.
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let serving =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let origin = serving.block_on(echo());
    for upstream in [origin.upstream(), origin.upstream().http2()] {
        for _ in 0..5 {
            let upstream = upstream.clone();
            let seen = runtime().block_on(async move {
                let post = Request::post("/").body(Full::<Bytes>::from("content"));
                let response = upstream.oneshot(post.unwrap()).await.unwrap();
                assert_eq!(response.status(), 200);
                text(response).await
            });
            assert!(seen.ends_with("content"), "{seen}");
        }
    }
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    // `localhost` has ::1 and 127.0.0.1 on most machines; the origin listens on the latter only.
    let origin = echo().await;
    let upstream =
        tower_gateway::upstream::Upstream::new(format!("http://localhost:{}", origin.addr.port()));
    let response = upstream.unwrap().oneshot(get("/")).await.unwrap();
    assert_eq!(response.status(), 200);
}
