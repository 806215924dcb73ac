//! What the store costs beside its server: 64 tasks that take from one bucket through `RedisStore`, 64 whose requests
//! go through a layer that shares its limit by it, and 64 that send the same script with the same arguments through
//! the client alone, in turns.
//!
//! `cargo bench --all-features --bench redis`. Needs `redis-server` on the PATH, and says so where there is none.
#![allow(clippy::disallowed_methods, reason = "a measurement reads the real clock")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use http::Request;
use tower::{Layer, ServiceExt};
use tower_gateway::{
    key,
    rate_limit::{Demand, Quota, RateLimitLayer, RedisStore, Sharing, Store},
};

#[path = "../tests/support/redis_server.rs"]
mod redis_server;
use redis_server::RedisServer;

#[path = "support/leaf.rs"]
mod leaf;
use leaf::Leaf;

const TASKS: usize = 64;
const CALLS: usize = 1_000;
const ROUNDS: usize = 12;

/// Calls a second, of all tasks together.
async fn rate<F: Future<Output = ()> + Send + 'static>(task: impl Fn() -> F) -> f64 {
    let begin = Instant::now();
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(task())).collect();
    for task in tasks {
        task.await.expect("no call fails");
    }
    (TASKS * CALLS) as f64 / begin.elapsed().as_secs_f64()
}

fn endless() -> Quota {
    Quota::per_second(1_000_000_000)
}

async fn through_the_store(store: RedisStore) {
    for _ in 0..CALLS {
        let demand = Demand::test("requests", Some(b"alice"), endless());
        store.take(vec![demand]).await.expect("the server answers");
    }
}

async fn through_the_layer(layer: RateLimitLayer) {
    let service = layer.layer(Leaf);
    for _ in 0..CALLS {
        let request = Request::new(());
        let response = service.clone().oneshot(request).await.expect("a refusal is an answer");
        assert_eq!(response.status(), 200);
    }
}

/// The demand's twelve numbers: a bucket, enforced, one unit, and its times.
fn numbers() -> Vec<u8> {
    let counts = [1.0, 1.0, 1.0, (1_u64 << 53) as f64];
    let times = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
    counts.into_iter().chain(times).flat_map(f64::to_le_bytes).collect()
}

async fn through_the_client(
    mut connection: redis::aio::MultiplexedConnection,
    hash: String,
    key: String,
    numbers: Vec<u8>,
) {
    for _ in 0..CALLS {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&hash).arg(1).arg(&key).arg("take").arg("").arg(&numbers);
        let _: Vec<i64> = command.query_async(&mut connection).await.expect("the server answers");
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if Command::new("redis-server").arg("--version").output().is_err() {
        return println!("skipped: there is no redis-server on the PATH");
    }
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).expect("a URL");
    let store = store.timeout(Duration::from_secs(5));
    through_the_store(store.clone()).await;

    let (key, numbers) = (server.keys().pop().expect("one key"), numbers());
    let script = redis::Script::new(include_str!("../src/rate_limit/redis/limits.lua"));
    let client = redis::Client::open(server.url()).expect("a URL");
    let connection = client.get_multiplexed_async_connection().await.expect("it runs");

    let sharing = Sharing::exact(store.clone()).deadline(Duration::from_secs(5));
    let layer = RateLimitLayer::new(endless(), key::shared()).hide_fields().shared(sharing);

    let mut best = [0.0_f64; 3];
    for _ in 0..ROUNDS {
        best[0] = best[0].max(rate(|| through_the_store(store.clone())).await);
        let bare = || {
            let (connection, hash) = (connection.clone(), script.get_hash().to_owned());
            through_the_client(connection, hash, key.clone(), numbers.clone())
        };
        best[1] = best[1].max(rate(bare).await);
        best[2] = best[2].max(rate(|| through_the_layer(layer.clone())).await);
    }
    let [ours, bare, layer] = best;
    println!("RedisStore::take      {ours:9.0} calls/s at {TASKS} at once");
    println!("a layer that shares   {layer:9.0} calls/s, {:.2} of the client", layer / bare);
    println!("EVALSHA by the client {bare:9.0} calls/s");
    println!("ours / bare           {:9.2}   (goal: at least 0.9)", ours / bare);
}
