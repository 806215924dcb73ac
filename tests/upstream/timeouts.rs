use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Channel};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tower::ServiceExt;
use tower_gateway::{
    body::Body,
    client::IncomingBody,
    clock::{Clock, ManualClock},
    upstream::Upstream,
};

use super::{
    origin::{Origin, raw, read_head, until},
    support::{assert_problem, get},
};

const SECOND: Duration = Duration::from_secs(1);

/// An upstream with a clock that moves by hand, for an origin that reads and stays silent.
async fn silent() -> (Origin, Upstream, ManualClock) {
    let origin = raw(|mut stream| async move {
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.ok();
    })
    .await;
    let (clock, time) = Clock::manual();
    let upstream = origin.upstream().clock(clock);
    (origin, upstream, time)
}

/// The outcome of a call during which the time passes that is given, once the call waits for it.
async fn after<T: Send + 'static>(
    time: &ManualClock,
    passes: Duration,
    call: impl Future<Output = T> + Send + 'static,
) -> T {
    let mut call = tokio::spawn(call);
    waiting(time).await;
    time.advance(passes - Duration::from_millis(10));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished(), "too early");
    time.advance(Duration::from_millis(10));
    (&mut call).await.unwrap()
}

async fn waiting(time: &ManualClock) {
    until(|| time.sleepers() > 0).await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

type Called = Result<Response<Body<IncomingBody>>, Infallible>;

async fn assert_504(response: Called) {
    assert_problem(response.unwrap(), 504, "gateway-timeout").await;
}

#[tokio::test]
async fn an_upstream_that_stays_silent_is_given_up_on() {
    let (origin, upstream, time) = silent().await;
    let upstream = upstream.first_byte_timeout(30 * SECOND);
    assert_504(after(&time, 30 * SECOND, upstream.clone().oneshot(get("/"))).await).await;
    // and its connection is not used again
    assert_504(after(&time, 30 * SECOND, upstream.oneshot(get("/"))).await).await;
    assert_eq!(origin.accepted(), 2);
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_given_up_on() {
    // A listener whose queue is full: SYNs are dropped.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener: TcpListener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let queued = Arc::new(AtomicUsize::new(0));
    let connects: Vec<_> = (0..8)
        .map(|_| {
            let queued = Arc::clone(&queued);
            tokio::spawn(async move {
                let stream = tokio::net::TcpStream::connect(addr).await;
                queued.fetch_add(1, SeqCst);
                std::future::pending::<()>().await;
                drop(stream);
            })
        })
        .collect();
    until(|| queued.load(SeqCst) == 2).await; // Linux queues one more than it is told
    let (clock, time) = Clock::manual();
    let upstream =
        Upstream::new(format!("http://{addr}")).unwrap().clock(clock).connect_timeout(5 * SECOND);
    assert_504(after(&time, 5 * SECOND, upstream.oneshot(get("/"))).await).await;
    connects.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn the_whole_exchange_has_a_limit_by_choice() {
    let (_origin, upstream, time) = silent().await;
    let upstream = upstream.total_timeout(7 * SECOND);
    assert_504(after(&time, 7 * SECOND, upstream.oneshot(get("/"))).await).await;
}

/// A response whose content stops after five of ten octets.
async fn stopping() -> Origin {
    raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await
}

#[tokio::test]
async fn a_body_that_stops_ends_with_an_error() {
    for total in [false, true] {
        let origin = stopping().await;
        let (clock, time) = Clock::manual();
        let upstream = origin.upstream().clock(clock).idle_timeout(60 * SECOND);
        let (upstream, limit) = match total {
            true => (upstream.total_timeout(20 * SECOND), 20 * SECOND),
            false => (upstream, 60 * SECOND),
        };
        let mut response = upstream.oneshot(get("/")).await.unwrap();
        assert_eq!(
            response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(),
            "hello"
        );
        let rest = after(&time, limit, response.into_body().collect()).await;
        let text = rest.unwrap_err().to_string();
        assert_eq!(text, if total { "the exchange took too long" } else { "the response stopped" });
    }
}

#[tokio::test]
async fn a_slow_body_that_keeps_coming_is_not_cut() {
    let (feed, mut fed) = tokio::sync::mpsc::unbounded_channel::<()>();
    let fed = std::sync::Arc::new(tokio::sync::Mutex::new(std::mem::replace(
        &mut fed,
        tokio::sync::mpsc::unbounded_channel().1,
    )));
    let origin = raw(move |mut stream| {
        let fed = std::sync::Arc::clone(&fed);
        async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await.unwrap();
            while fed.lock().await.recv().await.is_some() {
                stream.write_all(b"x").await.unwrap();
            }
        }
    })
    .await;
    let (clock, time) = Clock::manual();
    let upstream = origin.upstream().clock(clock).idle_timeout(60 * SECOND);
    let mut response = upstream.oneshot(get("/")).await.unwrap();
    for _ in 0..10 {
        let frame = tokio::spawn(async move {
            let frame = response.body_mut().frame().await;
            (response, frame)
        });
        waiting(&time).await;
        time.advance(59 * SECOND);
        feed.send(()).unwrap();
        let (again, frame) = frame.await.unwrap();
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "x");
        response = again;
    }
    assert!(response.body_mut().frame().await.is_none());
}

#[tokio::test]
async fn a_long_upload_is_not_taken_for_a_silent_upstream() {
    let (_origin, upstream, time) = silent().await;
    let upstream = upstream.first_byte_timeout(30 * SECOND).idle_timeout(60 * SECOND);
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    let call = tokio::spawn(upstream.oneshot(Request::post("/").body(body).unwrap()));
    for _ in 0..10 {
        sender.send_data(Bytes::from("piece")).await.unwrap();
        waiting(&time).await;
        time.advance(29 * SECOND);
    }
    drop(sender); // the last octet: now the upstream's time begins
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished());
    time.advance(29 * SECOND);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished());
    time.advance(SECOND);
    assert_504(call.await.unwrap()).await;
}

#[tokio::test]
async fn a_client_that_stops_its_upload_is_told_so() {
    let (_origin, upstream, time) = silent().await;
    let upstream = upstream.first_byte_timeout(30 * SECOND).idle_timeout(60 * SECOND);
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    sender.send_data(Bytes::from("piece")).await.unwrap();
    let call = tokio::spawn(upstream.oneshot(Request::post("/").body(body).unwrap()));
    waiting(&time).await;
    for _ in 0..60 {
        time.advance(SECOND);
        waiting_or_done(&time, &call).await;
    }
    assert_problem(call.await.unwrap().unwrap(), 408, "request-timeout").await;
    drop(sender);
}

async fn waiting_or_done<T>(time: &ManualClock, call: &tokio::task::JoinHandle<T>) {
    until(|| time.sleepers() > 0 || call.is_finished()).await;
}
