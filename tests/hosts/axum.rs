use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    routing::get,
};
use http::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, sync::Barrier, task::JoinSet};
use tower::{ServiceBuilder, ServiceExt};
use tower_gateway::{
    auth::{
        jwt::{Issuer, JwtLayer, KeySet},
        optional,
        require::{self, RequireLayer, Rules},
    },
    client_ip::ClientIp,
    clock::Clock,
    identity::{Claims, Identity},
    key::{self, Key},
    rate_limit::{Quota, RateLimitLayer},
    route::{Route, RouteLayer, Routes},
};

use crate::support::{assert_problem, text, tokens};

type Reached = Arc<AtomicUsize>;

async fn handler(State(reached): State<Reached>) -> &'static str {
    reached.fetch_add(1, Ordering::Relaxed);
    tokio::task::yield_now().await;
    "hello"
}

/// Five of each key, and then nothing: the clock stands still.
fn five(key: impl Key + Send + Sync + 'static) -> RateLimitLayer {
    RateLimitLayer::new(Quota::per_hour(5), key).clock(Clock::manual().0)
}

/// Sends 1,500 requests at once, spread over these paths; how many are answered with 200 and with 429.
async fn flood(app: Router, paths: [&'static str; 3]) -> (usize, usize) {
    const AT_ONCE: usize = 1_500;
    let start = Arc::new(Barrier::new(AT_ONCE));
    let mut requests = JoinSet::new();
    for n in 0..AT_ONCE {
        let (app, start) = (app.clone(), Arc::clone(&start));
        requests.spawn(async move {
            start.wait().await;
            let request = Request::get(paths[n % paths.len()]).body(Body::empty());
            app.oneshot(request.unwrap()).await.unwrap().status()
        });
    }
    let statuses = requests.join_all().await;
    let count = |status| statuses.iter().filter(|it| **it == status).count();
    (count(StatusCode::OK), count(StatusCode::TOO_MANY_REQUESTS))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_1500_requests_at_once_the_limit_is_admitted() {
    let reached = Reached::default();
    let app = Router::new()
        .route("/a", get(handler))
        .route("/b", get(handler))
        .route("/c", get(handler))
        .layer(five(key::shared())) // axum calls `layer()` once for each route
        .with_state(Arc::clone(&reached));
    assert_eq!(flood(app, ["/a", "/b", "/c"]).await, (5, 1_495));
    assert_eq!(reached.load(Ordering::Relaxed), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_limit_by_route_counts_axums_routes_apart() {
    let app = Router::new()
        .route("/users/{id}", get(handler))
        .route("/health", get(handler))
        .layer(five(key::route()))
        .with_state(Reached::default());
    assert_eq!(flood(app, ["/users/1", "/users/2", "/health"]).await, (10, 1_490));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_streams_of_one_connection_are_counted() {
    let reached = Reached::default();
    let app = Router::new()
        .route("/", get(handler))
        .layer(five(key::client_ip()))
        .with_state(Arc::clone(&reached));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>());
    tokio::spawn(server.into_future());

    let socket = tokio::net::TcpStream::connect(addr).await.unwrap();
    let client = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
    let (sender, connection) = client.await.unwrap();
    tokio::spawn(connection);
    let mut streams = JoinSet::new();
    for _ in 0..10 {
        let mut sender = sender.clone();
        let request = Request::get(format!("http://{addr}/")).body(Body::empty());
        streams.spawn(async move { sender.send_request(request.unwrap()).await.unwrap().status() });
    }
    let statuses = streams.join_all().await;
    assert_eq!(statuses.iter().filter(|it| **it == StatusCode::OK).count(), 5);
    assert_eq!(reached.load(Ordering::Relaxed), 5);
}

#[derive(serde::Deserialize)]
struct Staff {
    sub: String,
    department: String,
}

async fn whoami(staff: Claims<Staff>, who: Identity) -> String {
    assert_eq!(staff.sub, who.subject());
    format!("{} of {}", staff.sub, staff.department)
}

#[tokio::test]
async fn a_handler_takes_the_claims_that_were_verified() {
    let keys = KeySet::from_jwks(tokens::jwks([tokens::es256()])).unwrap();
    let issuer = Issuer::new(tokens::ISSUER, keys).audience(tokens::AUDIENCE);
    let gate = JwtLayer::new(issuer).unwrap().typed::<Staff>();
    let bare = Router::new().route("/whoami", get(whoami));
    let app = bare.clone().layer(gate);
    let ask = |app: Router, token: Option<String>| async {
        let mut request = Request::get("/whoami");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };

    let good = tokens::es256().token(&tokens::claims_with("department", "engines".into()));
    let answer = ask(app.clone(), Some(good)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(text(answer).await, "alice of engines");
    assert_problem(ask(app.clone(), None).await, 401, "unauthenticated").await;
    let other_shape = tokens::es256().token(&tokens::claims());
    assert_problem(ask(app, Some(other_shape)).await, 401, "unauthenticated").await;
    // Without the layer there is no evidence, and the handler is not reached.
    assert_problem(ask(bare, None).await, 500, "internal").await;
}

#[tokio::test]
async fn a_handler_behind_optional_may_take_nobody() {
    let keys = KeySet::from_jwks(tokens::jwks([tokens::es256()])).unwrap();
    let issuer = Issuer::new(tokens::ISSUER, keys).audience(tokens::AUDIENCE);
    let greet =
        async |who: Option<Identity>, staff: Option<Claims<Staff>>, ip: Option<ClientIp>| {
            let name = who.map_or("nobody".to_owned(), |it| it.subject().to_owned());
            format!("{name} {:?} {}", staff.map(|it| it.department.clone()), ip.is_some())
        };
    let gate = optional(JwtLayer::new(issuer).unwrap().typed::<Staff>());
    let app = Router::new().route("/", get(greet)).layer(gate);
    let good = tokens::es256().token(&tokens::claims_with("department", "engines".into()));
    let answer = app.clone().oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(text(answer).await, "nobody None false");
    let request = Request::get("/").header("authorization", format!("Bearer {good}"));
    let answer = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(text(answer).await, "alice Some(\"engines\") false");
}

#[tokio::test]
async fn everybody_reads_their_own_page_only() {
    let keys = KeySet::from_jwks(tokens::jwks([tokens::es256()])).unwrap();
    let issuer = Issuer::new(tokens::ISSUER, keys).audience(tokens::AUDIENCE);
    let own = require::claims(|staff: &Staff, asked| asked.captured("id", &staff.sub));
    let rules = Rules::new().get("/users/{id}", own).public("/health");
    let gate = ServiceBuilder::new()
        .layer(JwtLayer::new(issuer).unwrap().typed::<Staff>())
        .layer(RequireLayer::table(rules).unwrap());
    let app = Router::new()
        .route("/users/{id}", get(async |Path(id): Path<String>| format!("the page of {id}")))
        .route("/orders", get(async || "not in the table"))
        .layer(gate);
    let token = tokens::es256().token(&tokens::claims_with("department", "engines".into()));
    let ask = |path: &'static str| {
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        app.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    for path in ["/users/alice", "/users/%61lice"] {
        assert_eq!(text(ask(path).await.unwrap()).await, "the page of alice", "{path}");
    }
    for path in ["/users/bob", "/users/alic%65e", "/users/%2561lice", "/orders"] {
        assert_problem(ask(path).await.unwrap(), 403, "forbidden").await;
    }
    assert_problem(ask("/users/bob%2f..%2falice").await.unwrap(), 400, "malformed").await;
}

#[tokio::test]
async fn routes_of_ours_stand_in_front_of_an_app() {
    let old = Router::new().fallback(async || "old");
    let new = Router::new().fallback(async || "new");
    let routes = Routes::new().route(Route::get("/v2/{*rest}"), new);
    let app = RouteLayer::new(routes).unwrap();
    let ask = |path: &'static str| {
        let app = tower::Layer::layer(&app, old.clone());
        async move {
            let request = Request::get(path).header("host", "a").body(Body::empty()).unwrap();
            app.oneshot(request).await.unwrap()
        }
    };
    assert_eq!(text(ask("/v2/users").await).await, "new");
    assert_eq!(text(ask("/v1/users").await).await, "old");
    assert_problem(ask("/v2/%2e%2e/v1").await, 400, "malformed").await;
}
