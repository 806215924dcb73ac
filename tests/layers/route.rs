use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, Response, Version};
use http_body_util::Full;
use proptest::prelude::*;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer,
    util::BoxCloneSyncService,
};
use tower_gateway::{
    MatchedRoute,
    route::{NotFound, Route, RouteLayer, Routed, Routes},
    target::PathRules,
};

use crate::support::{assert_problem, text};

type Named = BoxCloneSyncService<Request<Full<Bytes>>, Response<String>, Infallible>;

/// Answers with its name and what reached it.
fn named(name: &'static str) -> Named {
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Full<Bytes>>| async move {
        let matched = request.extensions().get::<MatchedRoute>();
        let captures = matched.map_or(String::new(), |it| {
            let pairs = it.captures().map(|(name, value)| format!(" {name}={value}"));
            pairs.collect()
        });
        Ok(Response::new(format!("{name} {}{captures}", request.uri())))
    }))
}

fn gateway(routes: Routes<Named>) -> Routed<Named, Named> {
    RouteLayer::new(routes).unwrap().layer(named("default"))
}

fn request(method: &str, uri: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(uri);
    request.header("host", "a.example").body(Full::default()).unwrap()
}

async fn at(gateway: &Routed<Named, Named>, uri: &str) -> String {
    text(gateway.clone().oneshot(request("GET", uri)).await.unwrap()).await
}

#[tokio::test]
async fn what_is_matched_is_what_is_forwarded() {
    let gateway = gateway(Routes::new().prefix("/api", named("api")));
    for (sent, seen) in [
        ("/api", "api /api"),
        ("/%61pi/x", "api /api/x"),
        ("/api/%7e%c3%a9?q=%7e&/public/..", "api /api/~%C3%A9?q=%7e&/public/.."),
        ("/api?x=/..;//", "api /api?x=/..;//"),
        ("/api%20", "default /api%20"),
        ("/api%3f", "default /api%3F"),
        ("/apix", "default /apix"),
        ("/API", "default /API"),
        ("/x?y=/api", "default /x?y=/api"),
        ("http://a.example/%61pi", "api http://a.example/api"),
    ] {
        assert_eq!(at(&gateway, sent).await, seen, "{sent}");
    }
}

#[tokio::test]
async fn a_path_that_can_be_read_in_two_ways_reaches_nobody() {
    let gateway = RouteLayer::new(Routes::new().prefix("/", NotFound)).unwrap().layer(NotFound);
    for path in [
        "/public/../api",
        "/public/%2e%2e/api",
        "/public/..%2fapi",
        "/public/%2E%2E%2Fapi",
        "/public/.%2e/api",
        "/public/..%5capi",
        "/public/..;/api",
        "/public/..;a=b/api",
        "/public/..%3b/api",
        "/api;x=1/",
        "//api",
        "/./api",
        "//..//",
        "/api%2fx",
        "/%2fapi",
        "/api%00",
        "/%zz/../api",
        "/%",
        "/..",
        "/%c0%ae%c0%ae/api",
    ] {
        let response = gateway.clone().oneshot(request("GET", path)).await.unwrap();
        assert_problem(response, 400, "malformed").await;
    }
}

#[tokio::test]
async fn hosts_are_tenants() {
    let routes = Routes::new()
        .route(Route::prefix("/").host("a.example"), named("a"))
        .route(Route::prefix("/").host("b.example"), named("b"))
        .route(Route::prefix("/").host("*.c.example"), named("c"));
    let gateway = gateway(routes);
    let at_host = async |hosts: &[&str], version| {
        let mut request = Request::get("/").version(version);
        for host in hosts {
            request = request.header("host", *host);
        }
        let response = gateway.clone().oneshot(request.body(Full::default()).unwrap());
        let response = response.await.unwrap();
        match response.status().as_u16() {
            200 => text(response).await,
            status => status.to_string(),
        }
    };
    for (hosts, answer) in [
        (&["a.example"][..], "a /"),
        (&["A.EXAMPLE"], "a /"),
        (&["a.example.:8443"], "a /"),
        (&["b.example:80"], "b /"),
        (&["x.y.c.example"], "c /"),
        (&["c.example"], "default /"),
        (&["a.example.evil"], "default /"),
        (&["[::1]:80"], "default /"),
        (&[], "400"),
        (&["a.example", "b.example"], "400"),
        (&["a.example/"], "400"),
        (&["a.example@b.example"], "400"),
        (&[""], "400"),
    ] {
        assert_eq!(at_host(hosts, Version::HTTP_11).await, answer, "{hosts:?}");
    }
    assert_eq!(at_host(&[], Version::HTTP_10).await, "default /");
    // Absolute-form beats Host in HTTP/1.1, and must agree with it in HTTP/2.
    let mut absolute = request("GET", "http://b.example/");
    let response = gateway.clone().oneshot(absolute.clone()).await.unwrap();
    assert_eq!(text(response).await, "b http://b.example/");
    *absolute.version_mut() = Version::HTTP_2;
    let response = gateway.clone().oneshot(absolute).await.unwrap();
    assert_problem(response, 400, "malformed").await;
}

#[tokio::test]
async fn another_method_is_told_which_ones_there_are() {
    let routes = Routes::new()
        .route(Route::get("/v1/orders/{id}"), named("read"))
        .route(Route::delete("/v1/orders/{id}"), named("drop"));
    let gateway = gateway(routes);
    let send = |method| gateway.clone().oneshot(request(method, "/v1/orders/7"));
    assert_eq!(text(send("GET").await.unwrap()).await, "read /v1/orders/7 id=7");
    assert_eq!(text(send("HEAD").await.unwrap()).await, "read /v1/orders/7 id=7");
    assert_eq!(text(send("DELETE").await.unwrap()).await, "drop /v1/orders/7 id=7");
    let response = send("POST").await.unwrap();
    assert_eq!(response.headers()["allow"], "DELETE, GET, HEAD");
    assert_problem(response, 405, "method-not-allowed").await;
}

#[tokio::test]
async fn no_method_of_a_field_is_believed() {
    let routes = Routes::new().route(Route::delete("/a"), named("drop"));
    let mut request = request("POST", "/a");
    for (name, value) in [
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/b"),
        ("x-rewrite-url", "/b"),
        ("x-forwarded-uri", "/b"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(gateway(routes).oneshot(request).await.unwrap().status(), 405);
}

#[tokio::test]
async fn a_stripped_prefix_leaves_a_path() {
    let routes = Routes::new()
        .route(Route::prefix("/v1/{tenant}").strip_prefix(), named("api"))
        .route(Route::prefix("/all").strip_prefix(), named("all"));
    let gateway = gateway(routes);
    for (sent, seen) in [
        ("/v1/acme/users/7?x=1", "api /users/7?x=1 tenant=acme"),
        ("/v1/acme", "api / tenant=acme"),
        ("/v1/acme/", "api / tenant=acme"),
        ("/v1/acme?x", "api /?x tenant=acme"),
        ("/v1/a%3Fb%23/c", "api /c tenant=a%3Fb%23"),
        ("/all..admin", "default /all..admin"),
        ("http://a.example/all/x", "all http://a.example/x"),
    ] {
        assert_eq!(at(&gateway, sent).await, seen, "{sent}");
    }
    let response = gateway.oneshot(request("GET", "/all//admin")).await.unwrap();
    assert_problem(response, 400, "malformed").await;
}

#[tokio::test]
async fn parameters_are_kept_by_choice() {
    let layer = RouteLayer::new(Routes::new().prefix("/a;v=1", named("a"))).unwrap();
    let kept = layer.clone().path_rules(PathRules::default().keep_parameters());
    assert_eq!(at(&kept.layer(named("default")), "/a%3bv=1/b").await, "a /a;v=1/b");
    let refused = layer.layer(NotFound).oneshot(request("GET", "/a;v=1"));
    assert_eq!(refused.await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_table_is_swapped_whole() {
    let layer = RouteLayer::new(Routes::new().exact("/a", named("old"))).unwrap();
    let (service, handle) = (layer.layer(named("default")), layer.handle());
    assert_eq!(at(&service, "/a").await, "old /a");
    handle.replace(Routes::new().exact("/b", named("new"))).unwrap();
    assert_eq!(at(&service, "/a").await, "default /a");
    assert_eq!(at(&service, "/b").await, "new /b");
    let bad = Routes::new().exact("/c", named("x")).exact("/c", named("y"));
    assert!(handle.replace(bad).is_err());
    assert_eq!(at(&service, "/b").await, "new /b");
}

#[tokio::test]
async fn a_request_in_flight_stays_on_its_table() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let opened = Arc::clone(&gate);
    let slow = Named::new(tower::service_fn(move |_: Request<Full<Bytes>>| {
        let opened = Arc::clone(&opened);
        async move {
            opened.notified().await;
            Ok(Response::new("old".to_owned()))
        }
    }));
    let layer = RouteLayer::new(Routes::new().exact("/a", slow)).unwrap();
    let service = layer.layer(named("default"));
    let in_flight = tokio::spawn(service.oneshot(request("GET", "/a")));
    tokio::task::yield_now().await;
    layer.handle().replace(Routes::new()).unwrap();
    gate.notify_one();
    assert_eq!(text(in_flight.await.unwrap().unwrap()).await, "old");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_swap_under_load_loses_no_request() {
    let table = |name| Routes::new().exact("/a", named(name));
    let layer = RouteLayer::new(table("one")).unwrap();
    let service = layer.layer(named("default"));
    let load = (0..4).map(|_| {
        let service = service.clone();
        tokio::spawn(async move {
            for _ in 0..500 {
                let answer = at(&service, "/a").await;
                assert!(["one /a", "two /a"].contains(&answer.as_str()), "{answer}");
            }
        })
    });
    let load: Vec<_> = load.collect();
    while !load.iter().all(tokio::task::JoinHandle::is_finished) {
        layer.handle().replace(table("two")).unwrap();
        tokio::task::yield_now().await;
        layer.handle().replace(table("one")).unwrap();
    }
    for task in load {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn who_has_no_default_answers_404() {
    let gateway = RouteLayer::new(Routes::<NotFound>::new()).unwrap().layer(NotFound);
    let response = gateway.clone().oneshot(request("GET", "/x")).await.unwrap();
    assert_problem(response, 404, "not-found").await;
    let mut call = request("POST", "/pkg.Svc/M");
    let grpc = "application/grpc".parse().unwrap();
    call.headers_mut().insert("content-type", grpc);
    let response = gateway.clone().oneshot(call).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "12");
    let connect = Request::builder().method(Method::CONNECT).uri("a.example:443");
    let connect = connect.header("host", "a.example:443").body(Full::<Bytes>::default());
    assert_eq!(gateway.oneshot(connect.unwrap()).await.unwrap().status(), 404);
}

/// Counts its calls, and panics when called without having been ready; a clone is not ready.
struct Strict {
    ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        let calls = Arc::clone(&self.calls);
        Self { ready: false, calls }
    }
}

impl Service<Request<Full<Bytes>>> for Strict {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without poll_ready");
        self.calls.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Response::new(String::new())))
    }
}

#[tokio::test]
async fn each_service_is_called_ready() {
    let calls = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let [route, default] =
        calls.each_ref().map(|calls| Strict { ready: false, calls: Arc::clone(calls) });
    let layer = RouteLayer::new(Routes::new().exact("/a", route)).unwrap();
    let mut gateway = layer.layer(default);
    for path in ["/a", "/b", "/a", "/a", "/..", "/b"] {
        let ready = gateway.ready().await.unwrap();
        ready.call(request("GET", path)).await.unwrap();
    }
    assert_eq!(calls.map(|it| it.load(Ordering::Relaxed)), [3, 2]);
}

#[tokio::test]
async fn a_route_holds_no_permit_of_the_default() {
    let default =
        ServiceBuilder::new().layer(ConcurrencyLimitLayer::new(1)).service(named("default"));
    let layer = RouteLayer::new(Routes::new().exact("/a", named("a"))).unwrap();
    let mut one = layer.layer(default);
    let mut other = one.clone();
    for path in ["/a", "/.."] {
        one.ready().await.unwrap().call(request("GET", path)).await.unwrap();
        // `one` is kept, as a connection keeps its service; it must not keep the only permit.
        let response = other.ready().await.unwrap().call(request("GET", "/b")).await;
        assert_eq!(text(response.unwrap()).await, "default /b");
    }
}

#[test]
fn every_mistake_of_a_table_is_listed() {
    let routes = Routes::new()
        .exact("a", NotFound)
        .prefix("/b/", NotFound)
        .exact("/c/{x}", NotFound)
        .exact("/c/{y}", NotFound)
        .route(Route::get("/d").host("bad host"), NotFound);
    let error = RouteLayer::new(routes).unwrap_err();
    assert_eq!(error.what(), "route");
    assert_eq!(error.mistakes().len(), 4, "{error}");
}

proptest! {
    #[test]
    fn whatever_the_path_a_service_sees_the_one_that_was_matched(
        path in "/([ab.;%/\\\\]|%[0-9a-fA-F]{2}|a/b|admin){0,6}",
    ) {
        let Ok(uri) = path.parse::<http::Uri>() else { return Ok(()) };
        let routes = Routes::new()
            .route(Route::prefix("/a"), named("a"))
            .route(Route::prefix("/a/b").strip_prefix(), named("b"))
            .exact("/admin", named("admin"));
        let sent = gateway(routes).oneshot(request("GET", &uri.to_string())).now_or_never();
        let response = sent.expect("nothing waits").unwrap();
        if response.status() == 400 {
            return Ok(());
        }
        let answer = text(response).now_or_never().expect("nothing waits");
        let (name, seen) = answer.split_once(' ').unwrap();
        prop_assert_eq!(PathRules::default().canonical(seen).unwrap(), seen);
        // Decoded as an upstream might: no other route's path appears.
        let decoded = percent_encoding::percent_decode_str(seen).decode_utf8_lossy();
        let under = |prefix: &str| decoded.strip_prefix(prefix).is_some_and(|it| it.is_empty() || it.starts_with('/'));
        match name {
            "a" => prop_assert!(under("/a") && !under("/a/b")),
            "admin" => prop_assert_eq!(decoded, "/admin"),
            "default" => prop_assert!(!under("/a") && decoded != "/admin"),
            _ => {}
        }
    }
}
