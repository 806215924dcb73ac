//! Two nodes on one Redis: one limit that is exact, and one whose units the nodes borrow.
//!
//! `redis-server --save '' --port 6379`, then `cargo run --release --example shared_limits --features full`, and try
//! the lines that it prints. Another address of Redis can be given as its argument.

use std::{convert::Infallible, error::Error};

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tower_gateway::{
    key,
    rate_limit::{Fallback, Limit, Quota, RateLimitLayer, RedisStore, Sharing},
};

/// A node: what is behind `/login` may be tried five times a minute, wherever the client comes in; everything else
/// a thousand times a second, of which a node takes what it needs for the next half second.
fn node(store: &RedisStore, name: &str) -> Router {
    let exact = Sharing::exact(store.clone()).node(name);
    let login = Limit::new(Quota::per_minute(5).sliding_log(), key::client_ip())
        .name("login")
        .on_store_failure(Fallback::closed());
    let leased = Sharing::leased(store.clone()).node(name).name("leases");
    let all = Limit::new(Quota::per_second(1_000), key::client_ip()).name("all");

    let by = name.to_owned();
    let hello = move || std::future::ready(format!("served by {by}\n"));
    Router::new()
        .route("/", get(hello.clone()))
        .route("/login", get(hello).layer(RateLimitLayer::of(login).shared(exact)))
        .layer(RateLimitLayer::of(all).shared(leased))
}

/// Serves a node until the process ends.
async fn serve(address: &str, node: Router) -> Result<Infallible, Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    let node = node.into_make_service_with_connect_info::<std::net::SocketAddr>();
    axum::serve(listener, node).await?;
    Err("the server has ended".into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter("warn,tower_gateway::store=info").init();
    let redis = std::env::args().nth(1).unwrap_or("redis://127.0.0.1:6379".into());
    let store = RedisStore::connect(redis)?.prefix("example");

    println!("# five in a minute, whichever node is asked: the sixth is a 429");
    println!(
        "for port in 3000 3001 3000 3001 3000 3001; do curl -si 127.0.0.1:$port/login | grep -E 'HTTP|^ratelimit:|retry'; done"
    );
    println!(
        "# stop Redis: logins are refused with 503, everything else goes on with each node's share"
    );
    println!(
        "redis-cli shutdown nosave; for n in 1 2 3; do curl -si 127.0.0.1:3000/login | head -1; curl -si 127.0.0.1:3001/ | head -1; done"
    );
    let nodes = (
        serve("127.0.0.1:3000", node(&store, "north")),
        serve("127.0.0.1:3001", node(&store, "south")),
    );
    tokio::select! {
        ended = nodes.0 => ended.map(|_| ()),
        ended = nodes.1 => ended.map(|_| ()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}
