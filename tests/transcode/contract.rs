//! The layer contract: for what passes by the checklist, for what is transcoded here.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    task::{Context, Waker},
};

use http::{Request, Response};
use tower::{Layer, Service, service_fn};
use tower_gateway::{
    rejection::Rejection,
    test_util::{Contract, Frames, StrictReady},
    transcode::{CallBody, TranscodeLayer},
};

use crate::{
    rest::{get, layer, post, read},
    script::{OK, answering, grpc, user},
};

#[tokio::test]
async fn what_passes_passes_whole() {
    let plain = || Request::get("/v2/else").body(()).unwrap();
    Contract::new(plain).check(layer()).await;
    let native = || {
        let call = Request::post("/users.v1.Users/GetUser");
        call.header("content-type", "application/grpc").body(()).unwrap()
    };
    Contract::new(native).check(layer().reject_unknown()).await;
}

/// At once, and after the body has been read.
fn calls() -> [Request<crate::rest::Content>; 2] {
    [get("/v1/users/ada"), post("/v1/users", "{}")]
}

#[tokio::test]
async fn the_instance_that_is_ready_is_called() {
    let inner = StrictReady::new(answering(|| grpc([user("a")], OK)).1);
    let held = inner.reservations();
    let service = layer().layer(inner);
    for mut service in [service.clone(), service] {
        for request in calls() {
            poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
            assert_eq!(service.call(request).await.unwrap().status(), 200);
        }
    }
    assert_eq!(held.held(), 0);
}

#[tokio::test]
async fn a_refusal_stays_outside_and_holds_nothing() {
    let (seen, inner) = answering(|| grpc([user("a")], OK));
    let inner = StrictReady::new(inner);
    let held = inner.reservations();
    let mut service = layer().reject_unknown().layer(inner);
    let refused = [get("/v2/else"), get("/v1/users?x=1"), post("/v1/users", "nonsense")];
    for request in refused {
        poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
        let response = service.call(request).await.unwrap();
        assert_eq!(held.held(), 0, "what was reserved is free");
        let status = response.extensions().get::<Rejection>().unwrap().status();
        assert_eq!(response.status(), status);
        assert_eq!(read(response).await.header("content-type"), "application/problem+json");
    }
    assert_eq!(seen.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn dropping_it_cancels_the_call() {
    for request in 0..2 {
        for polls in 0..3 {
            let inner = service_fn(|_: Request<CallBody<_>>| {
                pending::<Result<Response<Frames>, std::convert::Infallible>>()
            });
            let inner = StrictReady::new(inner);
            let held = inner.reservations();
            let mut service = layer().layer(inner);
            poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
            {
                let [get, post] = calls();
                let mut future = pin!(service.call(if request == 0 { get } else { post }));
                for _ in 0..polls {
                    let poll = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    assert!(poll.is_pending());
                }
            }
            drop(service);
            assert_eq!(held.held(), 0);
        }
    }
}

#[tokio::test]
async fn an_error_within_passes_unchanged() {
    let inner =
        service_fn(|_: Request<CallBody<_>>| async { Err::<Response<Frames>, _>("broken") });
    for request in calls() {
        let result = layer().layer(inner).call(request).await;
        assert_eq!(result.err(), Some("broken"));
    }
}

/// Compiles, or not.
#[test]
fn it_can_be_sent_and_shared() {
    fn check<T: Send + Sync + Clone>(_: &T) {}
    fn send<T: Send>(_: &T) {}
    let layer: TranscodeLayer = layer();
    check(&layer);
    check(&layer.handle());
    let mut users = crate::rest::users(&layer);
    check(&users);
    send(&users.call(get("/v1/users/ada")));
}
