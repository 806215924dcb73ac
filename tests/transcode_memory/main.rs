//! What streams hold: ten thousand at once, and bodies of a hundred megabytes.
//!
//! The counts are of the whole process, so this crate has one test only.
#![allow(clippy::unwrap_used)]

#[path = "../../examples/support/users.rs"]
mod users;

use std::{
    alloc::System,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use example_proto::users::v1::users_server::UsersServer;
use futures_util::future::join_all;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::net::TcpStream;
use tower::{Layer, ServiceExt, service_fn};
use tower_gateway::{
    server::{self, Server},
    test_util::Frames,
    transcode::{CallBody, TranscodeLayer},
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated now.
fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

const MIB: usize = 1 << 20;

fn layer() -> TranscodeLayer {
    TranscodeLayer::from_descriptor_set(example_proto::DESCRIPTORS).unwrap()
}

#[tokio::test]
async fn memory_is_bounded() {
    ten_thousand_streams().await;
    ten_thousand_streams_on_sockets().await;
    a_hundred_megabytes().await;
}

const STREAMS: usize = 10_000;

async fn ten_thousand_streams() {
    let native = streams(|| {
        let watch = Request::post("/users.v1.Users/WatchUsers");
        let frame = Bytes::from_static(&[0; 5]);
        watch.header("content-type", "application/grpc").body(Full::new(frame)).unwrap()
    });
    let native = native.await;
    let rest = streams(|| Request::get("/v1/users:watch").body(Full::default()).unwrap()).await;
    println!("bytes that a stream holds: {native:?} of tonic's, {rest:?} with the layer's");
    let (ours, then) = (rest[0] - native[0], rest[4] - native[4]);
    assert!(ours < 2 * 1024, "the layer holds {ours} bytes for a stream");
    assert!(then <= ours + 256, "it grows: {rest:?}, and without it {native:?}");
}

/// How much each holds after 1 to 5 messages.
async fn streams(watch: impl Fn() -> Request<Full<Bytes>>) -> Vec<usize> {
    let users = layer().layer(UsersServer::new(users::Users::default()));
    let send = async |request| {
        let response = users.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body()
    };
    let ada = |method: &str, target: &str| {
        let body = Full::new(Bytes::from_static(br#"{"displayName":"Ada"}"#));
        Request::builder().method(method).uri(target).body(body).unwrap()
    };
    send(ada("POST", "/v1/users?id=ada")).await;

    let before = live();
    let mut streams = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        streams.push(send(watch()).await);
    }
    let mut each = Vec::new();
    for change in 0..5 {
        if change > 0 {
            send(ada("PATCH", "/v1/users/ada")).await.collect().await.unwrap();
        }
        let frames = join_all(streams.iter_mut().map(BodyExt::frame)).await;
        assert!(frames.into_iter().all(|frame| frame.is_some_and(|it| it.is_ok())));
        each.push((live() - before) / STREAMS);
    }
    drop(streams);
    assert!(live() < before + MIB, "streams leave {} bytes behind", live() - before);
    each
}

/// Streams on one connection of HTTP/2.
const ON_ONE: usize = 100;

type Client = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

/// The same over connections to a real server: what client, server and service hold together.
async fn ten_thousand_streams_on_sockets() {
    let users = layer().layer(UsersServer::new(users::Users::default()));
    let listener = server::listen(([127, 0, 0, 1], 0).into()).unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = Server::new().serve(listener, users, async { drop(stopped.await) });
    let serving = tokio::spawn(serving);
    let mut admin = connect(addr).await;
    let ada = r#"{"displayName":"Ada"}"#;
    assert_eq!(ask(&mut admin, "POST", "/v1/users?id=ada", ada).await.status(), 200);

    let (before, mut connections, mut streams) = (live(), Vec::new(), Vec::new());
    for _ in 0..STREAMS / ON_ONE {
        let mut connection = connect(addr).await;
        for _ in 0..ON_ONE {
            let response = ask(&mut connection, "GET", "/v1/users:watch", "").await;
            assert_eq!(response.status(), 200);
            streams.push(response.into_body());
        }
        connections.push(connection);
    }
    let mut each = Vec::new();
    for change in 0..5 {
        if change > 0 {
            let changed = ask(&mut admin, "PATCH", "/v1/users/ada", ada).await;
            changed.into_body().collect().await.unwrap();
        }
        let frames = join_all(streams.iter_mut().map(BodyExt::frame)).await;
        assert!(frames.into_iter().all(|frame| frame.is_some_and(|it| it.is_ok())));
        each.push((live() - before) / STREAMS);
    }
    println!("bytes that a stream holds, with its client: {each:?}");
    assert!(each[4] <= each[1] + 1024, "it grows: {each:?}");
    drop((streams, connections, admin, stop));
    serving.await.unwrap().unwrap();
}

async fn connect(addr: SocketAddr) -> Client {
    let stream = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn ask(
    client: &mut Client,
    method: &str,
    target: &str,
    body: &'static str,
) -> Response<Incoming> {
    client.ready().await.unwrap();
    let request = Request::builder().method(method).uri(format!("http://x{target}"));
    client.send_request(request.body(Full::from(body)).unwrap()).await.unwrap()
}

/// A chunk, a hundred megabytes of it; and what was seen when it was asked for.
struct Chunks {
    chunk: Bytes,
    seen: Arc<Seen>,
}

/// How much was read, and held at most meanwhile.
#[derive(Default)]
struct Seen {
    read: AtomicUsize,
    most: AtomicUsize,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.seen.most.fetch_max(live(), Relaxed);
        let read = self.seen.read.fetch_add(self.chunk.len(), Relaxed);
        let chunk = (read < 100 * MIB).then(|| Ok(Frame::data(self.chunk.clone())));
        Poll::Ready(chunk)
    }
}

async fn a_hundred_megabytes() {
    for (chunk, status, most_read) in [
        // an array is told by its first byte
        (format!("[{}", "{},".repeat(21_845)), StatusCode::BAD_REQUEST, MIB),
        // a message without an end, by the cap
        ("x".repeat(65_536), StatusCode::PAYLOAD_TOO_LARGE, 5 * MIB),
        // messages are read as long as they come
        ("{\"id\":\"a\"}\n".repeat(5_958), StatusCode::OK, usize::MAX),
    ] {
        let (read, most, answered) = upload(chunk.into()).await;
        assert_eq!(answered, status);
        println!("{status}: {} KiB read, {} KiB held at most", read >> 10, most >> 10);
        assert!(read <= most_read, "{read} bytes were read");
        assert!(most < 10 * MIB, "{most} bytes were held");
    }
}

async fn upload(chunk: Bytes) -> (usize, usize, StatusCode) {
    let service = layer().layer(service_fn(|request: Request<CallBody<Chunks>>| async {
        let mut body = request.into_body();
        while let Some(Ok(_)) = body.frame().await {}
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let body = Frames::new([&b"\0\0\0\0\0"[..]]).with_trailers(trailers);
        let response = Response::builder().header("content-type", "application/grpc");
        Ok::<_, Infallible>(response.body(body).unwrap())
    }));
    let (seen, before) = (Arc::<Seen>::default(), live());
    let body = Chunks { chunk, seen: Arc::clone(&seen) };
    let response = service.oneshot(Request::post("/v1/users:import").body(body).unwrap()).await;
    let most = seen.most.load(Relaxed).saturating_sub(before);
    (seen.read.load(Relaxed), most, response.unwrap().status())
}
