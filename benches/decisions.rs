//! What one decision costs: nanoseconds and allocations, beside a crate that does the same work.
//!
//! `cargo bench --all-features --bench decisions`. Each line is the fastest of many runs; the
//! layers' lines are whole calls over a service that does nothing, less the same call without the layer.

use std::{convert::Infallible, future::ready, hint::black_box, net::SocketAddr};

use futures_util::FutureExt;
use http::{Request, Response};
use stats_alloc::Region;
use tower::{Layer, Service, service_fn};
use tower_gateway::{
    client_ip::PeerAddr,
    key,
    rate_limit::{Quota, RateLimitLayer},
    route::{Route, RouteLayer, Routes},
};

#[path = "support/cost.rs"]
mod cost;
use cost::{ALLOCATOR, cost};

fn leaf()
-> impl Service<Request<()>, Response = Response<String>, Error = Infallible, Future: Send> + Clone
{
    service_fn(|request: Request<()>| {
        black_box(&request);
        ready(Ok(Response::new(String::new())))
    })
}

fn call<S, B>(service: &mut S, request: Request<()>)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    black_box(service.call(request).now_or_never().is_some_and(|it| it.is_ok()));
}

fn from(client: usize) -> Request<()> {
    let ip = (client as u32 + (10 << 24)).to_be_bytes();
    let peer = PeerAddr(SocketAddr::from((ip, 4711)));
    let mut request = Request::new(());
    request.extensions_mut().insert(peer);
    request
}

fn rate_limit() {
    let without = cost(|n| call(&mut leaf(), from(n)));
    let endless = || RateLimitLayer::new(Quota::per_second(u32::MAX.into()), key::client_ip());
    let limited = |name, layer: RateLimitLayer, clients: usize| {
        let mut service = layer.layer(leaf());
        cost(|n| call(&mut service, from(n % clients))).beyond(without).report(name);
    };
    limited("limit, one client, admitted", endless(), 1);
    limited("limit, one client, admitted, no fields", endless().hide_fields(), 1);
    limited("limit, 100,000 clients, admitted", endless(), 100_000);
    let day = RateLimitLayer::new(Quota::per_day(1), key::client_ip());
    limited("limit, one client, refused", day, 1);

    let quota = governor::Quota::per_second(std::num::NonZeroU32::MAX);
    let peer = governor::RateLimiter::keyed(quota);
    let check = |clients: usize| {
        cost(|n| {
            let ip = std::net::Ipv4Addr::from((n % clients) as u32);
            black_box(peer.check_key(&ip).is_ok());
        })
    };
    check(1).report("governor's own keyed limiter, one client");
    check(100_000).report("governor's own keyed limiter, 100,000 clients");
}

/// What a limit holds after so many clients: no more after five times its maximum.
fn memory() {
    let layer = RateLimitLayer::new(Quota::per_day(2), key::client_ip());
    let region = Region::new(ALLOCATOR);
    let mut service = layer.layer(leaf());
    let mut clients = 0..5_000_000;
    for count in [1_000_000, 4_000_000] {
        clients.by_ref().take(count).for_each(|n| call(&mut service, from(n)));
        let stats = region.change();
        let bytes = stats.bytes_allocated - stats.bytes_deallocated;
        println!(
            "limit, {} clients: {:.1} MiB, {:.1} bytes for each of the 1,000,000 it keeps",
            clients.start,
            bytes as f64 / 1_048_576.0,
            bytes as f64 / 1_000_000.0
        );
    }
}

fn at(path: &'static str) -> Request<()> {
    let mut request = from(1);
    *request.uri_mut() = http::Uri::from_static(path);
    let host = http::HeaderValue::from_static("api.example");
    request.headers_mut().insert("host", host);
    request
}

fn route() {
    let without = cost(|_| call(&mut leaf(), at("/v1/service7/things")));
    for count in [10, 1_000] {
        let mut routes = Routes::new();
        let mut peer = matchit::Router::new();
        for n in 0..count {
            let (all, one) =
                (format!("/v1/service{n}/things"), format!("/v1/service{n}/things/{{id}}"));
            peer.insert(all.as_str(), n).expect("patterns differ");
            peer.insert(one.as_str(), n).expect("patterns differ");
            routes = routes.exact(all, leaf()).route(Route::get(one), leaf());
        }
        let layer = RouteLayer::new(routes).expect("patterns differ");
        let mut service = layer.layer(leaf());
        for (what, path) in [
            ("literal", "/v1/service7/things"),
            ("one capture", "/v1/service7/things/42"),
            ("nothing matches", "/v2/service7/things"),
        ] {
            let name = format!("route, {} routes, {what}", 2 * count);
            cost(|_| call(&mut service, at(path))).beyond(without).report(&name);
            let found = cost(|_| {
                black_box(peer.at(black_box(path)).is_ok());
            });
            found.report(&format!("  matchit alone, {what}"));
        }
    }
}

fn main() {
    rate_limit();
    memory();
    route();
}
