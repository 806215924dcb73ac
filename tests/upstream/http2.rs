use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, sync::Notify};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::ServiceExt;
use tower_gateway::upstream::Upstream;

use super::{
    origin::{answer, echo, front, serve, until},
    support::{get, text},
};

#[tokio::test]
async fn prior_knowledge_and_one_connection_for_all() {
    let origin = echo().await;
    let upstream = origin.upstream().http2();
    let burst = (0..50).map(|_| upstream.clone().oneshot(get("http://public.example/a?b")));
    for response in futures_util::future::join_all(burst).await {
        let seen = text(response.unwrap()).await;
        assert!(seen.starts_with(&format!("GET http://{}/a?b HTTP/2.0\n", origin.addr)), "{seen}");
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn the_preserved_host_is_the_authority() {
    let origin = echo().await;
    let upstream = origin.upstream().http2().preserve_host();
    let request = Request::get("/").header("host", "public.example:8080");
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let seen = text(upstream.oneshot(request).await.unwrap()).await;
    assert!(seen.starts_with("GET http://public.example:8080/ HTTP/2.0\n"), "{seen}");
    assert!(!seen.contains("\nhost:"), "{seen}");
}

#[tokio::test]
async fn a_second_connection_is_opened_when_streams_run_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream =
        Upstream::new(format!("http://{}", listener.local_addr().unwrap())).unwrap().http2();
    let accepted = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (count, release) = (Arc::clone(&accepted), Arc::new(Notify::new()));
    let hold = Arc::clone(&release);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let hold = Arc::clone(&hold);
            let service =
                hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    let hold = Arc::clone(&hold);
                    async move {
                        if request.uri().path() == "/slow" {
                            hold.notified().await;
                        }
                        Ok::<_, Infallible>(answer(Full::default()))
                    }
                });
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.max_concurrent_streams(2);
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    // the first exchange brings the SETTINGS
    text(upstream.clone().oneshot(get("/")).await.unwrap()).await;
    let slow: Vec<_> =
        (0..2).map(|_| tokio::spawn(upstream.clone().oneshot(get("/slow")))).collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    text(upstream.clone().oneshot(get("/")).await.unwrap()).await;
    assert_eq!(accepted.load(std::sync::atomic::Ordering::SeqCst), 2);
    release.notify_waiters();
    for call in slow {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_connection_that_says_goaway_is_replaced_without_a_loss() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream =
        Upstream::new(format!("http://{}", listener.local_addr().unwrap())).unwrap().http2();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // One answer per connection, with a GOAWAY behind it.
            let served = Arc::new(Notify::new());
            let note = Arc::clone(&served);
            let service = hyper::service::service_fn(move |_| {
                note.notify_one();
                async { Ok::<_, Infallible>(answer(Full::from("ok"))) }
            });
            tokio::spawn(async move {
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let mut connection =
                    std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
                tokio::select! {
                    _ = connection.as_mut() => return,
                    () = served.notified() => connection.as_mut().graceful_shutdown(),
                }
                let _ = connection.await;
            });
        }
    });
    for _ in 0..20 {
        let response = upstream.clone().oneshot(get("/")).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(text(response).await, "ok");
    }
}

#[tokio::test]
async fn a_client_that_leaves_resets_its_stream_and_nothing_else() {
    let (gone, reached) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    struct Tell(Arc<Notify>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let (tell, note) = (Arc::clone(&gone), Arc::clone(&reached));
    let origin = serve(move |request: Request<hyper::body::Incoming>| {
        let (tell, note) = (Tell(Arc::clone(&tell)), Arc::clone(&note));
        async move {
            if request.uri().path() == "/slow" {
                note.notify_one();
                std::future::pending::<()>().await;
            }
            std::mem::forget(tell);
            answer(Full::from("ok"))
        }
    })
    .await;
    let upstream = origin.upstream().http2();
    let mut slow = Box::pin(upstream.clone().oneshot(get("/slow")));
    tokio::select! {
        _ = &mut slow => panic!("nobody answered"),
        () = reached.notified() => {}
    }
    drop(slow);
    gone.notified().await;
    assert_eq!(text(upstream.oneshot(get("/")).await.unwrap()).await, "ok");
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_the_response_resets_its_stream() {
    let gone = Arc::new(Notify::new());
    let tell = Arc::clone(&gone);
    let origin = serve(move |_| {
        struct Tell(Arc<Notify>);
        impl Drop for Tell {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let tell = Tell(Arc::clone(&tell));
        async move {
            let mut n = 0;
            let endless = std::iter::repeat_with(move || {
                let _ = &tell;
                n += 1;
                Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(vec![n as u8; 8_000])))
            });
            answer(StreamBody::new(futures_util::stream::iter(endless)))
        }
    })
    .await;
    let mut response = origin.upstream().http2().oneshot(get("/")).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    gone.notified().await;
}

#[tokio::test]
async fn grpc_goes_through_with_its_status_in_the_trailers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("known", tonic_health::ServingStatus::Serving).await;
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(
        tonic::transport::Server::builder().add_service(health).serve_with_incoming(incoming),
    );

    let front = front(Upstream::new(url).unwrap().http2().via("edge").unwrap()).await;
    let channel = tonic::transport::Endpoint::new(format!("http://{front}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = HealthClient::new(channel);
    let ask = |service: &str| HealthCheckRequest { service: service.into() };
    assert_eq!(client.check(ask("known")).await.unwrap().into_inner().status, 1);
    assert_eq!(client.check(ask("unknown")).await.unwrap_err().code(), tonic::Code::NotFound);
    let mut watch = client.watch(ask("known")).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    reporter.set_service_status("known", tonic_health::ServingStatus::NotServing).await;
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
}

#[tokio::test]
async fn a_reset_before_the_answer_is_a_502() {
    let origin = serve(|_| async { panic!("the handler dies") }).await;
    let response = origin.upstream().http2().oneshot(get("/")).await.unwrap();
    assert_eq!(response.status(), 502);
    until(|| origin.accepted() == 1).await;
}

#[tokio::test]
async fn an_http1_server_that_is_spoken_to_in_http2_is_a_502() {
    let origin = super::origin::says("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    let response = origin.upstream().http2().oneshot(get("/")).await.unwrap();
    assert_eq!(response.status(), 502);
    let _ = response.into_body().collect().await;
}
