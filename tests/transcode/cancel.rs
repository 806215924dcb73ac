//! A client that leaves takes its call with it.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tower::{Layer, ServiceExt};
use tower_gateway::{clock::Clock, upstream::Upstream};

use crate::{
    rest::{Content, get, layer},
    script::frame,
};

/// Says when it is dropped.
struct Held(UnboundedSender<()>);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// One message, and then nothing for ever.
struct Endless {
    first: Option<Bytes>,
    _held: Held,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => Poll::Pending,
        }
    }
}

fn answer(dropped: &UnboundedSender<()>) -> Response<Endless> {
    let event = example_proto::users::v1::UserEvent { sequence: 1, ..Default::default() };
    let first = Some(frame(&event).into());
    let body = Endless { first, _held: Held(dropped.clone()) };
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

/// A service on a socket, and what it says: when it begins to think, and when a stream of its is reset.
async fn origin() -> (Upstream, UnboundedReceiver<()>) {
    let (dropped, drops) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let dropped = dropped.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let dropped = dropped.clone();
                async move {
                    if request.uri().path().ends_with("GetUser") {
                        dropped.send(()).unwrap();
                        let _held = Held(dropped);
                        return std::future::pending().await;
                    }
                    Ok::<_, Infallible>(answer(&dropped))
                }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    (upstream.http2(), drops)
}

/// Fails rather than hangs; nothing here depends on how long it takes.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    let over = Clock::system().sleep(Duration::from_secs(20));
    match select(pin!(future), pin!(over)).await {
        Either::Left((output, _)) => output,
        Either::Right(_) => panic!("it is late"),
    }
}

#[tokio::test]
async fn a_stream_over_a_socket_is_reset() {
    let (upstream, mut drops) = origin().await;
    let service = layer().layer(upstream);
    let response = service.oneshot(get("/v1/users:watch")).await.unwrap();
    let mut body = response.into_body();
    soon(body.frame()).await.unwrap().unwrap();
    assert!(drops.try_recv().is_err());
    drop(body);
    soon(drops.recv()).await.unwrap();
}

#[tokio::test]
async fn a_call_over_a_socket_is_reset() {
    let (upstream, mut events) = origin().await;
    let call = tokio::spawn(layer().layer(upstream).oneshot(get("/v1/users/ada")));
    soon(events.recv()).await.unwrap(); // the service has begun
    call.abort();
    soon(events.recv()).await.unwrap();
}

#[tokio::test]
async fn a_fault_of_the_client_ends_the_call_within() {
    let (dropped, mut drops) = unbounded_channel();
    let service = layer().layer(tower::service_fn(
        move |request: Request<tower_gateway::transcode::CallBody<Content>>| {
            let dropped = dropped.clone();
            async move {
                let _held = Held(dropped);
                let failed = request.into_body().collect().await.is_err();
                assert!(failed, "the service does not take what came for the whole");
                std::future::pending::<Result<Response<Endless>, Infallible>>().await
            }
        },
    ));
    let lines = Request::post("/v1/users:import").body(Content::from("{}\n{]\n")).unwrap();
    let response = soon(service.oneshot(lines)).await.unwrap();
    assert_eq!(response.status(), 400);
    drops.recv().await.unwrap();
}
