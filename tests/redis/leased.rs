//! Leases of a real server: how seldom it is asked.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_gateway::{
    key,
    rate_limit::{Quota, RateLimitLayer, RedisStore, Sharing},
};

use crate::{patient, redis_server::RedisServer};

/// How many scripts the server has run.
fn calls(server: &RedisServer) -> u32 {
    let info = server.command("INFO commandstats");
    let ours = info.lines().filter(|line| line.starts_with("cmdstat_eval"));
    ours.filter_map(|line| line.split(['=', ',']).nth(1)?.parse::<u32>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_a_second_ask_the_server_less_than_twice_in_a_hundred() {
    const REQUESTS: u32 = 20_000;
    let server = RedisServer::start();
    let store = patient(RedisStore::connect(server.url()).unwrap());
    let sharing = Sharing::leased(store).deadline(Duration::from_secs(10));
    let layer = RateLimitLayer::new(Quota::per_second(20_000), key::shared()).shared(sharing);
    let inner = async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new()));
    let node = layer.layer(service_fn(inner));
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let mut admitted = 0;
    for _ in 0..REQUESTS / 10 {
        ticks.tick().await;
        for _ in 0..10 {
            let response = node.clone().oneshot(Request::new(())).await.unwrap();
            admitted += u32::from(response.status() == 200);
        }
    }
    let calls = calls(&server);
    println!("{admitted} of {REQUESTS} admitted, for {calls} calls");
    assert!(calls > 0 && calls < REQUESTS / 50, "{calls} calls");
    assert!(admitted > REQUESTS * 9 / 10, "{admitted}");
}
