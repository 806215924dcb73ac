//! Every layer through the same checklist, over a strict inner service.

use std::net::SocketAddr;

use http::{Request, Response};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_gateway::{
    auth::{
        introspection::{Introspection, IntrospectionLayer},
        jwt::{Algorithm, Issuer, Jwks, JwtLayer, KeySet, Keys},
    },
    client_ip::{ClientIpLayer, PeerAddr},
    clock::Clock,
    guard::{Guard, GuardLayer, Head, Verdict},
    key,
    rate_limit::{ConcurrencyLimitLayer, MemoryStore, Quota, RateLimitLayer, Sharing},
    rejection::Rejection,
    route::{Route, RouteLayer, Routes},
    test_util::{Contract, Frames, TestError},
};

use crate::support::{
    authorization_server::AuthorizationServer,
    idp::Idp,
    tokens::{AUDIENCE, ISSUER, SECRET, claims, es256, hs256, jwks},
};

/// Admits what says please; answers at once or after a pause.
struct Polite {
    waits: bool,
}

impl Guard for Polite {
    const NAME: &'static str = "polite";
    type Pass = ();

    fn check(&self, head: Head<'_>) -> Verdict<()> {
        let decision = match head.headers().contains_key("please") {
            true => Ok(()),
            false => Err(Rejection::forbidden("Say please.")),
        };
        if !self.waits {
            return Verdict::Now(decision);
        }
        Verdict::later(async {
            tokio::task::yield_now().await;
            decision
        })
    }
}

fn polite() -> Request<()> {
    Request::get("/").header("please", "1").body(()).unwrap()
}

fn rude() -> Request<()> {
    Request::get("/").body(()).unwrap()
}

#[tokio::test]
async fn a_guard_that_answers_at_once() {
    let layer = GuardLayer::new(Polite { waits: false });
    Contract::new(polite).refuses(rude).check(layer).await;
}

#[tokio::test]
async fn a_guard_that_waits() {
    let layer = GuardLayer::new(Polite { waits: true });
    Contract::new(polite).refuses(rude).check(layer).await;
}

#[tokio::test]
async fn client_ip() {
    Contract::new(rude).check(ClientIpLayer::direct()).await;
}

fn jwt(keys: impl Into<Keys>) -> JwtLayer {
    let issuer = Issuer::new(ISSUER, keys).audience(AUDIENCE);
    JwtLayer::new(issuer).unwrap().clock(Clock::manual().0)
}

fn bearing(token: String) -> impl Fn() -> Request<()> + Clone {
    move || Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap()
}

#[tokio::test]
async fn jwt_that_knows_the_key() {
    let layer = jwt(KeySet::from_secret(Algorithm::HS256, SECRET).unwrap());
    Contract::new(bearing(hs256(&claims()))).refuses(rude).check(layer.clone()).await;
    let forged = bearing(hs256(&claims()) + "A");
    Contract::new(bearing(hs256(&claims()))).refuses(forged).check(layer).await;
}

#[tokio::test]
async fn jwt_that_waits_for_its_keys() {
    let (clock, _time) = Clock::manual();
    let idp = Idp::new(&clock, jwks([es256()]));
    let keys = Jwks::remote("https://id.example/jwks", idp.client()).clock(clock);
    let layer = jwt(keys.start().unwrap());
    Contract::new(bearing(es256().token(&claims()))).refuses(rude).check(layer).await;
    assert_eq!(idp.fetches(), 1);
}

/// Remembers for so many seconds.
fn introspection(server: &AuthorizationServer, seconds: u64) -> IntrospectionLayer {
    server.issue("good", serde_json::json!({}));
    let endpoint = Introspection::at("https://id.example/introspect", server.client());
    let ttl = std::time::Duration::from_secs(seconds);
    let endpoint = endpoint.ttl(ttl).negative_ttl(ttl).clock(Clock::manual().0);
    let server = endpoint.client_secret_basic("gateway", "hunter2").build().unwrap();
    IntrospectionLayer::new(server.any_audience()).unwrap()
}

#[tokio::test]
async fn introspection_that_remembers_and_that_asks_each_time() {
    let server = AuthorizationServer::new(&Clock::manual().0);
    for (seconds, remembers) in [(30, true), (0, false)] {
        let layer = introspection(&server, seconds);
        let good = bearing("good".to_owned());
        for refused in [rude as fn() -> _, || bearing("bad".to_owned())()] {
            Contract::new(good.clone()).refuses(refused).check(layer.clone()).await;
        }
        assert_eq!(server.asked() <= 2, remembers, "{} questions", server.asked());
    }
}

/// Of no more than 100 requests each, and the clock stands still.
fn limit() -> RateLimitLayer {
    RateLimitLayer::new(Quota::per_hour(100), key::client_ip()).clock(Clock::manual().0)
}

fn from(peer: &'static str) -> impl Fn() -> Request<()> {
    let peer: SocketAddr = peer.parse().unwrap();
    move || Request::get("/").extension(PeerAddr(peer)).body(()).unwrap()
}

#[tokio::test]
async fn rate_limit() {
    let layer = limit();
    let spend =
        service_fn(async |_: Request<()>| Ok::<_, TestError>(Response::new(Frames::default())));
    for _ in 0..100 {
        layer.layer(spend).oneshot(from("192.0.2.2:1")()).await.unwrap();
    }
    Contract::new(from("192.0.2.1:1")).refuses(from("192.0.2.2:2")).check(layer).await;
    Contract::new(from("192.0.2.1:1")).admits_exactly(100).check(limit()).await;
}

#[tokio::test]
async fn rate_limit_that_asks_a_store() {
    let shared = || limit().shared(Sharing::exact(MemoryStore::with(Clock::manual().0, 1_000)));
    Contract::new(from("192.0.2.1:1")).refuses(rude).check(shared()).await;
    Contract::new(from("192.0.2.1:1")).admits_exactly(100).check(shared()).await;
}

#[tokio::test]
async fn concurrency_limit() {
    let none_of_the_second = |head: Head<'_>| match head.get::<PeerAddr>() {
        Some(peer) if peer.0.port() == 2 => 0,
        _ => 100,
    };
    let layer = ConcurrencyLimitLayer::new(none_of_the_second, key::client_ip());
    Contract::new(from("192.0.2.1:1")).refuses(from("192.0.2.2:2")).check(layer).await;
}

type Boxed = BoxCloneSyncService<Request<Frames>, Response<Frames>, TestError>;

fn routes() -> RouteLayer<Boxed> {
    let elsewhere = service_fn(async |_| -> Result<_, TestError> { panic!("another route") });
    let elsewhere = || Boxed::new(elsewhere);
    let posts = Route::post("/posts");
    RouteLayer::new(Routes::new().prefix("/elsewhere", elsewhere()).route(posts, elsewhere()))
        .unwrap()
}

#[tokio::test]
async fn route() {
    let at = |path: &'static str| move || Request::get(path).header("host", "a").body(()).unwrap();
    for refused in ["/elsewhere/..", "/posts"] {
        Contract::new(at("/")).refuses(at(refused)).check(routes()).await;
    }
}

#[tokio::test]
async fn all_together() {
    let jwt = jwt(KeySet::from_secret(Algorithm::HS256, SECRET).unwrap());
    let stack = |limit| {
        let stack = ServiceBuilder::new().layer(ClientIpLayer::direct()).layer(limit);
        stack.layer(jwt.clone()).layer(routes()).into_inner()
    };
    let admitted = bearing(hs256(&claims()));
    let admitted = move || {
        let mut request = admitted();
        request.headers_mut().insert("host", http::HeaderValue::from_static("a"));
        request.extensions_mut().extend(from("192.0.2.1:1")().extensions().clone());
        request
    };
    let contract = Contract::new(admitted);
    contract.clone().refuses(from("192.0.2.1:1")).check(stack(limit())).await;
    contract.admits_exactly(100).check(stack(limit())).await;
}

mod the_checklist_finds {
    //! The checklist itself, shown layers that break it.

    use std::task::{Context, Poll};

    use http::{Request, Response};
    use tower::{Layer, Service, layer::layer_fn};
    use tower_gateway::test_util::{Contract, Frames};

    /// Wraps a service's `call` by a way of being wrong.
    #[derive(Clone)]
    struct Wrong<S>(S);

    impl<S> Service<Request<Frames>> for Wrong<S>
    where
        S: Service<Request<Frames>, Response = Response<Frames>> + Clone,
    {
        type Response = S::Response;
        type Error = S::Error;
        type Future = S::Future;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.0.poll_ready(cx)
        }

        fn call(&mut self, request: Request<Frames>) -> S::Future {
            self.0.clone().call(request) // the known bug: the clone was never polled ready
        }
    }

    #[tokio::test]
    #[should_panic(expected = "called without being ready")]
    async fn a_clone_that_is_called_unready() {
        Contract::new(super::rude).check(layer_fn(Wrong)).await;
    }

    #[tokio::test]
    #[should_panic(expected = "a refusal leaves the inner service untouched")]
    async fn a_layer_that_admits_what_it_should_refuse() {
        // `Identity` refuses nothing: the probe is called, and answers without a rejection.
        let nothing = tower::layer::util::Identity::new();
        let lost = layer_fn(move |inner| nothing.layer(inner));
        Contract::new(super::rude).refuses(super::rude).check(lost).await;
    }
}
