//! How many requests of a key are in flight.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Full, channel::Channel};
use tokio::sync::Notify;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_gateway::{
    Identity, Rejection,
    body::Body,
    key::{self, KeyWriter},
    rate_limit::{ConcurrencyLimitLayer, MissingKey, Plans},
};

use crate::support::{assert_problem, echo, get};

type Content = Full<Bytes>;

fn of(tenant: &str) -> Request<Content> {
    let mut request = get("/");
    request.headers_mut().insert("x-tenant", tenant.parse().unwrap());
    request
}

fn limit(most: usize) -> ConcurrencyLimitLayer {
    ConcurrencyLimitLayer::new(most, key::header("x-tenant"))
}

fn in_flight(layer: &ConcurrencyLimitLayer, tenant: &str) -> usize {
    let mut key = KeyWriter::new();
    key.part(tenant);
    layer.in_flight(&key)
}

async fn call<S, B>(service: &S, request: Request<Content>) -> Response<Body<B>>
where
    S: Service<Request<Content>, Response = Response<Body<B>>, Error: std::fmt::Debug> + Clone,
{
    service.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_request_is_in_flight_until_its_body_has_ended() {
    let layer = limit(2);
    let service = layer.layer(echo());
    let (mut one, other) = (call(&service, of("a")).await, call(&service, of("a")).await);
    assert_eq!(
        (one.status(), other.status(), in_flight(&layer, "a")),
        (status(200), status(200), 2)
    );
    let refused = call(&service, of("a")).await;
    assert_eq!(refused.headers()["retry-after"], "1");
    assert!(!refused.headers().contains_key("ratelimit"));
    let problem = assert_problem(refused, 429, "rate-limited").await;
    assert_eq!(problem["violated-policies"], serde_json::json!(["concurrency"]));
    assert_eq!(call(&service, of("b")).await.status(), 200, "another key");

    drop(other); // unread
    assert_eq!(in_flight(&layer, "a"), 1);
    while one.body_mut().frame().await.is_some() {}
    assert_eq!(in_flight(&layer, "a"), 0, "at the end of the body, which is still there");
    assert_eq!(call(&service, of("a")).await.status(), 200);
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap()
}

#[tokio::test]
async fn a_stream_counts_as_long_as_it_runs() {
    let layer = limit(1);
    let (sender, body) = Channel::<Bytes, Infallible>::new(4);
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let service = layer.layer(service_fn(move |_: Request<Content>| {
        let body = body.lock().unwrap().take().unwrap();
        async { Ok::<_, Infallible>(Response::new(body)) }
    }));
    let mut stream = call(&service, of("a")).await;
    let mut sender = sender;
    for _ in 0..3 {
        sender.send_data(Bytes::from("x")).await.unwrap();
        assert!(stream.body_mut().frame().await.unwrap().unwrap().is_data());
        assert_eq!(in_flight(&layer, "a"), 1);
    }
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    sender.send_trailers(trailers).await.unwrap();
    drop(sender);
    assert!(stream.body_mut().frame().await.unwrap().unwrap().is_trailers());
    assert!(stream.body_mut().frame().await.is_none());
    assert_eq!(in_flight(&layer, "a"), 0);
}

#[tokio::test]
async fn an_error_and_a_cancelled_request_hold_nothing() {
    let layer = limit(1);
    let fails = layer.layer(service_fn(async |_: Request<Content>| {
        Err::<Response<Content>, _>(std::io::Error::other("down"))
    }));
    for _ in 0..3 {
        assert!(fails.clone().oneshot(of("a")).await.is_err());
        assert_eq!(in_flight(&layer, "a"), 0);
    }

    let hangs = layer.layer(service_fn(async |_: Request<Content>| {
        std::future::pending::<Result<Response<Content>, Infallible>>().await
    }));
    let mut hanging = Box::pin(hangs.clone().oneshot(of("a")));
    assert!(futures_util::poll!(&mut hanging).is_pending());
    assert_eq!(in_flight(&layer, "a"), 1);
    assert_eq!(call(&hangs, of("a")).await.status(), 429);
    drop(hanging);
    assert_eq!(in_flight(&layer, "a"), 0);
}

#[tokio::test]
async fn an_upgrade_counts_until_its_response_is_sent() {
    let layer = limit(1);
    let service = layer.layer(service_fn(async |_: Request<Content>| {
        let switching = Response::builder().status(101).header("upgrade", "websocket");
        Ok::<_, Infallible>(switching.body(Content::default()).unwrap())
    }));
    let response = call(&service, of("a")).await;
    assert_eq!((response.status(), in_flight(&layer, "a")), (status(101), 1));
    let (head, body) = response.into_parts();
    assert!(body.is_end_stream(), "the host drops it at once");
    drop(body);
    assert_eq!(
        (head.headers["upgrade"].as_bytes(), in_flight(&layer, "a")),
        (&b"websocket"[..], 0)
    );
}

#[tokio::test]
async fn the_number_goes_by_plan_or_by_request() {
    let by_plan = Plans::otherwise(1).plan("pro", 3).plan("banned", 0);
    let by_plan = ConcurrencyLimitLayer::new(by_plan, key::subject()).layer(echo());
    for (plan, most) in [("pro", 3), ("other", 1), ("banned", 0)] {
        let mut held = Vec::new();
        for _ in 0..5 {
            let mut request = get("/");
            request.extensions_mut().insert(Identity::new("jwt", plan).with_plan(plan));
            held.push(call(&by_plan, request).await);
        }
        assert_eq!(held.iter().filter(|it| it.status() == 200).count(), most, "{plan}");
    }

    let by_path = |head: tower_gateway::guard::Head<'_>| head.uri().path().len();
    let by_path = ConcurrencyLimitLayer::new(by_path, key::shared()).layer(echo());
    let first = call(&by_path, get("/")).await;
    assert_eq!(call(&by_path, get("/")).await.status(), 429);
    assert_eq!(call(&by_path, get("/long")).await.status(), 200);
    drop(first);
}

#[tokio::test]
async fn a_missing_key_an_exemption_and_a_name_are_chosen() {
    let layer = ConcurrencyLimitLayer::new(1, key::header("x-tenant"));
    let held = |layer: ConcurrencyLimitLayer| async move {
        let service = layer.layer(echo());
        let first = call(&service, get("/health")).await;
        [first.status().as_u16(), call(&service, get("/health")).await.status().as_u16()]
    };
    assert_eq!(held(layer.clone()).await, [403, 403]);
    assert_eq!(held(layer.clone().missing_key(MissingKey::Skip)).await, [200, 200]);
    assert_eq!(held(layer.clone().missing_key(MissingKey::Shared)).await, [200, 429]);
    assert_eq!(held(layer.clone().exempt(|head| head.uri() == "/health")).await, [200, 200]);
    let shared = layer.missing_key(MissingKey::Shared);
    assert_eq!(held(shared.clone().report_only()).await, [200, 200]);

    let service = shared.name("uploads").layer(echo());
    let _first = call(&service, get("/")).await;
    let refused = call(&service, get("/")).await;
    let rejection = refused.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.members().collect::<Vec<_>>(), [("policy", "uploads")]);
}

#[tokio::test]
async fn a_grpc_client_reads_resource_exhausted_and_when_to_retry() {
    let service = limit(0).layer(echo());
    let mut call_ = of("a");
    call_.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let response = call(&service, call_).await;
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let details = tonic_types::StatusExt::get_error_details(&status);
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
    assert_eq!(details.quota_failure().unwrap().violations[0].subject, "concurrency");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_tasks_never_more_than_the_limit_are_inside() {
    const MOST: usize = 7;
    let layer = limit(MOST);
    let inside = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let (go, seen) = (Arc::new(Notify::new()), Arc::clone(&inside));
    let service = layer.layer(service_fn(move |_: Request<Content>| {
        let seen = Arc::clone(&seen);
        async move {
            let now = seen.0.fetch_add(1, Ordering::SeqCst) + 1;
            seen.1.fetch_max(now, Ordering::SeqCst);
            tokio::task::yield_now().await;
            seen.0.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Response::new(Content::from("x")))
        }
    }));
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let (service, go) = (service.clone(), Arc::clone(&go));
            tokio::spawn(async move {
                go.notified().await;
                let mut admitted = 0;
                for turn in 0..200 {
                    let response = call(&service, of("a")).await;
                    admitted += usize::from(response.status() == 200);
                    match (task + turn) % 3 {
                        0 => drop(response),
                        1 => _ = response.into_body().collect().await,
                        _ => tokio::task::yield_now().await,
                    }
                }
                admitted
            })
        })
        .collect();
    tokio::task::yield_now().await;
    while tasks.iter().any(|task| !task.is_finished()) {
        go.notify_waiters();
        tokio::task::yield_now().await;
    }
    let mut admitted = 0;
    for task in tasks {
        admitted += task.await.unwrap();
    }
    assert!(admitted >= MOST, "{admitted}");
    assert!(inside.1.load(Ordering::SeqCst) <= MOST);
    assert_eq!(in_flight(&layer, "a"), 0, "all were given back");
}
