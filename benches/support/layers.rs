//! Each layer over a service that does nothing, and a request that shows what it does.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    net::SocketAddr,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use http::{HeaderValue, Request, Response};
use tower::{Layer, Service, ServiceBuilder};
use tower_gateway::{
    auth::jwt::{Issuer, JwtLayer, KeySet, RevocationList},
    client_ip::{ClientIpLayer, PeerAddr},
    guard::{Guard, GuardLayer, Head, Verdict},
    key,
    rate_limit::{Quota, RateLimitLayer},
    route::{Route, RouteLayer, Routes},
};

use crate::{
    cost::{Cost, cost},
    tokens::{self, Signer},
};

/// The row of a guard that does nothing.
pub const NOTHING: &str = "a guard that does nothing";

/// What a layer costs for one kind of request.
pub struct Layered {
    pub name: &'static str,
    pub cost: Cost,
}

/// Every layer, alone and then together, with what it costs beyond the same call without it.
pub fn measure() -> Vec<Layered> {
    let mut all = vec![Layered { name: "no layer", cost: cost(|_| _ = call(&mut Leaf, plain())) }];
    let mut row = |name, cost| all.push(Layered { name, cost });

    let nothing = GuardLayer::new(Nothing);
    row(NOTHING, of(&nothing, 200, plain));

    row("client address, of the peer", of(&ClientIpLayer::direct(), 200, plain));
    row("client address, one proxy", of(&ClientIpLayer::behind_proxies(1), 200, forwarded));

    let endless = RateLimitLayer::new(Quota::per_second(u32::MAX), key::client_ip());
    row("limit, admitted", of(&endless, 200, plain));
    row("limit, admitted, no fields", of(&endless.hide_fields(), 200, plain));
    let spent = RateLimitLayer::new(Quota::per_day(1), key::client_ip());
    call(&mut spent.layer(Leaf), plain());
    row("limit, refused", of(&spent, 429, plain));

    let secret = Signer::secret("HS256", &tokens::SECRET);
    for (name, signer) in [
        ("token, HS256", &secret),
        ("token, RS256", tokens::rs256()),
        ("token, ES256", tokens::es256()),
    ] {
        let token = bearer(&signer.token(&tokens::claims()));
        row(name, of(&jwt(signer).verified_cache(0), 200, || with_token(&token)));
    }
    for (name, signer) in [
        ("token, HS256, seen before", &secret),
        ("token, RS256, seen before", tokens::rs256()),
        ("token, ES256, seen before", tokens::es256()),
    ] {
        let token = bearer(&signer.token(&tokens::claims()));
        row(name, of(&jwt(signer), 200, || with_token(&token)));
    }
    let revocations = RevocationList::new();
    revocations.revoke_subject(tokens::ISSUER, "somebody else").expect("there is room");
    revocations.revoke_token(tokens::ISSUER, "another", Duration::MAX).expect("there is room");
    revocations.revoke_issuer("https://other.example").expect("there is room");
    let token = bearer(&tokens::rs256().token(&tokens::claims_with("jti", "b5c1".into())));
    let revoking = jwt(tokens::rs256()).revocations(revocations);
    row("token, RS256, seen before, not revoked", of(&revoking, 200, || with_token(&token)));
    let uncached = jwt(&secret).verified_cache(0);
    let forwarding = uncached.clone().forward_claim("sub", "x-auth-sub").expect("a name of ours");
    let token = bearer(&tokens::hs256(&tokens::claims()));
    row("token, HS256, claim forwarded", of(&forwarding, 200, || with_token(&token)));
    let forwarding = forwarding.verified_cache(10_000);
    row("token, HS256, seen before, claim forwarded", of(&forwarding, 200, || with_token(&token)));
    row("token, none", of(&jwt(&secret), 401, plain));
    let stranger = Signer::secret("HS256", &[8; 32]).token(&tokens::claims());
    let stranger = bearer(&stranger);
    row("token, HS256, forged", of(&jwt(&secret), 401, || with_token(&stranger)));

    let routes = Routes::new()
        .prefix("/v1/users", Leaf)
        .route(Route::prefix("/v1/files").strip_prefix(), Leaf)
        .route(Route::get("/v1/orders/{id}"), Leaf);
    let route = RouteLayer::new(routes).expect("patterns differ");
    row("route, prefix", of(&route, 200, || at("/v1/users/7")));
    row("route, prefix that is cut off", of(&route, 200, || at("/v1/files/7")));
    row("route, capture", of(&route, 200, || at("/v1/orders/7")));
    row("route, default", of(&route, 200, || at("/health")));

    let limit = RateLimitLayer::new(Quota::per_second(u32::MAX), key::client_ip());
    let stack = ServiceBuilder::new()
        .layer(ClientIpLayer::direct())
        .layer(limit)
        .layer(uncached)
        .layer(route);
    row("all four: address, limit, HS256, prefix", of(&stack, 200, || with_token(&token)));
    all
}

/// A guard that does nothing: what the engine costs.
struct Nothing;

impl Guard for Nothing {
    const NAME: &'static str = "nothing";
    type Pass = ();

    fn check(&self, _: Head<'_>) -> Verdict<()> {
        Verdict::admit(())
    }
}

fn jwt(signer: &Signer) -> JwtLayer {
    let keys = KeySet::from_jwk(signer.jwk().to_string()).expect("a good key");
    JwtLayer::new(Issuer::new(tokens::ISSUER, keys).audience(tokens::AUDIENCE))
        .expect("an audience")
}

// === the calls ===

#[derive(Clone)]
pub struct Leaf;

impl Service<Request<()>> for Leaf {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::new(())))
    }
}

/// What the layer costs beyond the same call without it; it answers with this status.
fn of<L, B>(layer: &L, status: u16, request: impl Fn() -> Request<()>) -> Cost
where
    L: Layer<Leaf>,
    L::Service: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let mut service = layer.layer(Leaf);
    assert_eq!(call(&mut service, request()), status);
    let without = cost(|_| _ = call(&mut Leaf, request()));
    cost(|_| _ = call(&mut service, request())).beyond(without)
}

fn call<S, B>(service: &mut S, request: Request<()>) -> u16
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let answer = service.call(request).now_or_never().expect("nothing waits");
    let answer = black_box(answer.unwrap_or_else(|never| match never {}));
    answer.status().as_u16()
}

fn plain() -> Request<()> {
    at("/v1/users/7")
}

fn at(path: &'static str) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = http::Uri::from_static(path);
    request.headers_mut().insert("host", HeaderValue::from_static("api.example"));
    let peer = PeerAddr(SocketAddr::from(([10, 0, 0, 1], 4711)));
    request.extensions_mut().insert(peer);
    request
}

fn forwarded() -> Request<()> {
    let mut request = plain();
    let proxies = HeaderValue::from_static("6.6.6.6, 203.0.113.7");
    request.headers_mut().insert("x-forwarded-for", proxies);
    request
}

fn with_token(bearer: &HeaderValue) -> Request<()> {
    let mut request = plain();
    request.headers_mut().insert("authorization", bearer.clone());
    request
}

fn bearer(token: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {token}")).expect("ASCII")
}
